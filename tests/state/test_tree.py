"""smbport.state.tree: who gets into a share, and who may change what is in it."""

from types import SimpleNamespace

import pytest

from smbport.platform import Features, FileKey, Stat
from smbport.security.access import Token
from smbport.state.descriptors import Descriptors
from smbport.state.dfs import DfsLink
from smbport.state.settings import ShareSettings
from smbport.state.spellings import Spellings
from smbport.state.tree import IPC_ACCESS, Share, TreeConnect
from smbport.wire.constants import Access
from smbport.wire.security import WellKnownSid

NOBODY = Token(WellKnownSid.ANONYMOUS, WellKnownSid.ANONYMOUS, WellKnownSid.ANONYMOUS, frozenset())


def share(*, volume_read_only=False, **settings):
    volume = SimpleNamespace(features=Features(file_system="ext4", read_only=volume_read_only))
    return Share(ShareSettings(name="Data", path="data", **settings), volume)


def connect(world, served, user="ann", kind="user"):
    return TreeConnect(world.session(user, kind), 1, served, world.platform.account, served.volume)


def test_posix_extensions_are_offered_where_the_system_decides():
    assert share().offers_posix
    assert not share(posix_extensions=False).offers_posix
    assert not share(acl="nt").offers_posix
    assert not Share(ShareSettings(name="IPC$", path=""), None).offers_posix


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


# A tree as it was -------------------------------------------------------------------------------------------------


class Snapshot:
    """A volume that tells who looks at it, and whether it was closed."""

    features = Features(file_system="ext4", read_only=True)
    closed = False

    def __init__(self, account=None):
        self.account = account

    def acting_as(self, account):
        return Snapshot(account)

    def close(self):
        self.closed = True


def test_layouts_and_links_are_read_once():
    served = share(snapshots="*/x", snapshot_times="modified", dfs=(DfsLink("a", ("one\\x",)),))
    assert served.snapshots.below == "x"
    assert served.links.names_in("") == ["a"]
    assert (share().snapshots, share().links) == (None, None)


def test_a_tree_as_it_was(world):
    tree = connect(world, share(snapshots="%s", continuous_availability=True, dfs=(DfsLink("a", ("one\\x",)),)))
    snapshot = Snapshot()
    was = tree.as_of(snapshot, 5)
    assert (was.live, was.snapshot_ns, was.tree_id, was.session) == (tree, 5, tree.tree_id, tree.session)
    assert was.volume is was.share.volume is snapshot
    assert (was.writable, was.maximal_access) == (False, Access.FILE_ALL_ACCESS)
    settings = was.share.settings
    assert (was.share.links, was.share.snapshots, settings.local_changes) == (None, None, "none")
    assert not settings.continuous_availability
    was.close()
    assert snapshot.closed


def test_a_tree_as_it_was_has_the_same_rights(world):
    tree = connect(world, share())
    tree.volume = tree.share.volume.__class__(features=tree.share.volume.features)  # of the account
    tree.descriptors = Descriptors(None, "user.NTACL", tree.share.volume, NOBODY, tree.account, {}, True, [])
    was = tree.as_of(Snapshot(), 5)
    assert was.share.volume.account is None
    assert was.volume.account is tree.account
    assert was.descriptors.volume is was.share.volume
    assert tree.descriptors.volume is tree.share.volume


def test_files_of_snapshots_are_others(world):
    tree = connect(world, share())
    keys = []
    for place in (tree, tree.as_of(Snapshot(), 5), tree.as_of(Snapshot(), 6)):
        stat = Stat(FileKey(1, 2), *range(11), None)
        place.set_apart(stat)
        keys.append(stat.key)
    assert keys[0] == FileKey(1, 2)
    assert len(set(keys)) == 3
    assert {key.inode for key in keys} == {2}


def test_a_tree_as_it_is_is_not_closed(world):
    tree = connect(world, share())
    tree.close()  # the volume of the share has no such method
    assert tree.live is None
