"""smbport.state.tree: who gets into a share, and who may change what is in it."""

from types import SimpleNamespace

import pytest

from smbport.state.settings import ShareSettings
from smbport.state.spellings import Spellings
from smbport.state.tree import IPC_ACCESS, Share, TreeConnect
from smbport.wire.constants import Access


def share(*, volume_read_only=False, **settings):
    volume = SimpleNamespace(features=SimpleNamespace(read_only=volume_read_only))
    return Share(ShareSettings(name="Data", path="data", **settings), volume)


def connect(world, served, user="ann", kind="user"):
    return TreeConnect(world.session(user, kind), 1, served, world.platform.account, served.volume)


def test_a_share_is_called_what_the_administrator_calls_it():
    assert share().name == "Data"


@pytest.mark.parametrize(
    ("valid_users", "user", "admitted"),
    [
        ((), "ann", True),
        ((), "", True),
        (("Ann", "bob"), "aNN", True),
        (("ann",), "ann2", False),
        (("ann",), "an", False),
        (("ann",), "", False),
        (("STRASSE",), "straße", True),
    ],
)
def test_valid_users(valid_users, user, admitted):
    assert share(valid_users=valid_users).admits(user) is admitted


@pytest.mark.parametrize(
    ("settings", "writable"),
    [
        ({}, True),
        ({"read_only": True}, False),
        ({"volume_read_only": True}, False),
        ({"read_only": True, "write_users": ("ANN",)}, True),
        ({"read_only": True, "write_users": ("bob",)}, False),
        ({"write_users": ("bob",)}, True),
    ],
)
def test_who_may_change(world, settings, writable):
    served = share(**settings)
    assert served.is_writable_for("ann") is writable
    tree = connect(world, served)
    assert tree.writable is writable
    assert bool(tree.maximal_access & Access.WRITE_DATA) is writable
    assert bool(tree.maximal_access & Access.DELETE) is writable
    assert tree.maximal_access & Access.FILE_GENERIC_READ == Access.FILE_GENERIC_READ


@pytest.mark.parametrize("kind", ["guest", "anonymous"])
def test_a_guest_is_on_no_list_whatever_it_calls_itself(world, kind):
    served = share(read_only=True, write_users=("ann",))
    assert connect(world, served, "ann").writable
    assert not connect(world, served, "ann", kind).writable


@pytest.mark.parametrize(("encryption", "sealed"), [("offered", False), ("required", True)])
def test_a_share_can_insist_on_encryption(world, encryption, sealed):
    assert connect(world, share(encryption=encryption)).encrypt is sealed


def test_the_pipes_can_be_read_and_written_by_all(world):
    served = world.server.find_share("ipc$")
    assert served.admits("")
    assert served.is_writable_for("")
    tree = connect(world, served, "")
    assert (tree.writable, tree.maximal_access, tree.volume) == (True, IPC_ACCESS, None)
    assert not tree.maximal_access & Access.DELETE


def test_a_tree_connect_knows_where_it_belongs(world):
    served = share()
    session = world.session()
    tree = TreeConnect(session, 5, served, world.platform.account, served.volume)
    assert (tree.session, tree.tree_id, tree.share, tree.account) == (session, 5, served, world.platform.account)


@pytest.mark.parametrize("case_sensitive", [True, False])
def test_spellings_are_remembered_where_case_does_not_matter(case_sensitive):
    assert isinstance(share(case_sensitive=case_sensitive).spellings, Spellings) is not case_sensitive
