"""Names on their way from the user store and the system to the pipes that tell them."""

from typing import Any

import pytest

from smbport.commands.account_names import ACCOUNT_PIPES, find_names
from smbport.platform import Account
from smbport.security.auth import LogonUser
from smbport.state.open import PipeOpen
from smbport.wire.security import Sid, WellKnownSid, unix_group_sid, unix_user_sid

ACCOUNTS = (Account("u", 1000, 100, (100,)), Account("listed", 1005, 100, ()))


def names_from(wire: Any, user: str = "u", password: str = "p", pipe: str = "lsarpc") -> Any:
    peer = wire.connect(user, password, share=None)
    peer.tree = peer.tree_connect("IPC$")
    peer.create(peer.tree, pipe)
    (opened,) = next(iter(wire.server.sessions.values())).opens.values()
    assert isinstance(opened, PipeOpen)
    return opened.pipe._association._describe().names  # type: ignore[attr-defined]


@pytest.mark.parametrize("pipe", ACCOUNT_PIPES)
def test_who_is_known(new_wire: Any, pipe: str) -> None:
    wire = new_wire(accounts=ACCOUNTS, groups={"staff": 100}, administrators=("U",), server_name="FILES")
    names = names_from(wire, pipe=pipe)
    assert names.server == "FILES"
    assert [name for _, name in names.accounts()] == ["u", "other"]
    machine = wire.users.machine_id
    assert names.administrators == {WellKnownSid.BUILTIN_ADMINISTRATORS, Sid(5, (21, *machine, 1000))}
    assert names.name_of(unix_user_sid(1005)).name == "listed"
    assert names.name_of(unix_group_sid(100)).name == "staff"


def test_who_is_logged_on_is_known_although_the_system_does_not_list_him(new_wire: Any, monkeypatch: Any) -> None:
    wire = new_wire(accounts=ACCOUNTS)
    monkeypatch.setattr(type(wire.memory.identity), "names", lambda self, *, wait=False: ({}, {}))
    names = names_from(wire)
    assert names.name_of(unix_user_sid(1000)).name == "u"
    assert names.name_of(unix_user_sid(1005)).name == "1005"


def test_a_system_without_accounts(new_wire: Any) -> None:
    names = names_from(new_wire())
    assert (names.unix_users, names.unix_groups) == ({}, {})


def test_other_pipes_do_not_need_them(new_wire: Any) -> None:
    assert names_from(new_wire(accounts=ACCOUNTS), pipe="srvsvc") is None


@pytest.mark.parametrize("kind", ["guest", "anonymous"])
def test_guests_and_the_anonymous_learn_nothing(share: Any, kind: Any) -> None:
    share.session.user = LogonUser("", "", kind, None)
    asking = find_names(share.server, share.session)
    with pytest.raises(StopIteration) as stop:
        asking.send(None)
    assert stop.value.value is None


def test_names_that_take_a_thread(new_wire: Any) -> None:
    wire = new_wire(accounts=ACCOUNTS)
    wire.faults.force_threads("Identity.names")
    assert names_from(wire).name_of(unix_user_sid(1005)).name == "listed"
