"""Modes in access control lists for macOS: mode, owner and group in SIDs of NFS, of which the mode can be set."""

import struct
from collections.abc import Callable
from typing import Any

import pytest

from smbport.commands.macos import add_nfs_aces, take_nfs_aces
from smbport.platform import AclEntry, AclTag
from smbport.security.ntacl import SystemState
from smbport.wire.aapl import AaplCapability
from smbport.wire.constants import AceType, ContextTag, InfoType, SecurityInformation
from smbport.wire.security import Ace, Acl, SecurityDescriptor, Sid
from smbport.wire.status import StatusError, status_name

NewWire = Callable[..., Any]
QUERY = struct.pack("<IIQQ", 1, 0, 7, 7)
DACL = SecurityInformation.DACL
EVERYTHING = SecurityInformation.OWNER | SecurityInformation.GROUP | DACL


def mode_ace(bits: int) -> Ace:
    return Ace(AceType.ACCESS_DENIED, 0, 0, Sid(5, (88, 3, bits)))


@pytest.fixture
def wire(new_wire: NewWire) -> Any:
    wire = new_wire(share={"macos": True})
    wire.make("f", b"data", mode=0o640)
    wire.make_directory("d", mode=0o1751)
    return wire


@pytest.fixture
def peer(wire: Any) -> Any:
    """A client that macOS runs on."""
    return mac(wire)


def mac(wire: Any) -> Any:
    peer = wire.connect()
    status, _, _ = peer.try_create("", contexts=[(ContextTag.AAPL, QUERY)])
    assert status == "SUCCESS"
    return peer


def read(peer: Any, name: str = "f", information: int = EVERYTHING) -> SecurityDescriptor:
    file = peer.open(name)
    data = peer.query_info(file, 0, info_type=InfoType.SECURITY, additional=information)
    peer.close(file)
    return SecurityDescriptor.parse(data)


def write(peer: Any, *aces: Ace, name: str = "f", information: int = DACL, **parts: Sid) -> str:
    file = peer.open(name)
    data = SecurityDescriptor(dacl=Acl(aces), **parts).pack()
    try:
        peer.set_info(file, 0, data, info_type=InfoType.SECURITY, additional=information)
    except StatusError as error:
        return status_name(error.status).removeprefix("STATUS_")
    finally:
        peer.close(file)
    return "SUCCESS"


def plain(wire: Any, name: str = "f") -> tuple[Ace, ...]:
    """The list as others see it."""
    dacl = read(wire.connect(), name).dacl
    assert dacl is not None
    return dacl.aces


@pytest.mark.parametrize(("name", "mode"), [("f", 0o100640), ("d", 0o041751)])
def test_what_is_shown(wire: Any, peer: Any, name: str, mode: int) -> None:
    stat = wire.stat(name)
    dacl = read(peer, name).dacl
    assert dacl is not None
    assert dacl.aces[:-3] == plain(wire, name)
    assert [(ace.type, ace.flags, ace.mask) for ace in dacl.aces[-3:]] == [(AceType.ACCESS_DENIED, 0, 0)] * 3
    assert [str(ace.sid) for ace in dacl.aces[-3:]] == [
        f"S-1-5-88-3-{mode}", f"S-1-5-88-1-{stat.uid}", f"S-1-5-88-2-{stat.gid}",
    ]  # fmt: skip
    assert read(peer, name, SecurityInformation.OWNER).dacl is None


def test_a_mode_is_set_alone(wire: Any, peer: Any) -> None:
    assert write(peer, mode_ace(0o100751)) == "SUCCESS"
    assert wire.stat("f").mode == 0o751
    assert write(peer, mode_ace(0o041700), name="d") == "SUCCESS"
    assert wire.stat("d").mode == 0o1700


def test_a_mode_is_set_with_all_that_was_read(wire: Any, peer: Any) -> None:
    """As chmod does that reads, changes and writes."""
    dacl = read(peer).dacl
    assert dacl is not None
    aces = [mode_ace(0o100600) if str(ace.sid).startswith("S-1-5-88-3") else ace for ace in dacl.aces]
    assert write(peer, *aces) == "SUCCESS"
    assert wire.stat("f").mode == 0o600


def test_a_list_is_set_beside_the_mode_as_it_was(wire: Any, peer: Any) -> None:
    """As who changes the list does: the mode that comes along is the old one, and does not undo it."""
    wire.make("other", mode=0o604)
    assert write(peer, *plain(wire, "other"), mode_ace(0o100640)) == "SUCCESS"
    assert wire.stat("f").mode == 0o604


def test_owner_and_group_are_not_set_so(wire: Any, peer: Any) -> None:
    before = wire.stat("f")
    aces = [Ace(AceType.ACCESS_DENIED, 0, 0, Sid(5, (88, kind, 4711))) for kind in (1, 2)]
    assert write(peer, *aces) == "SUCCESS"
    after = wire.stat("f")
    assert (after.uid, after.gid, after.mode) == (before.uid, before.gid, before.mode)
    assert write(peer, information=SecurityInformation.OWNER, owner=Sid(5, (88, 1, 4711))) == "INVALID_SID"


def test_an_empty_list_is_one(wire: Any, peer: Any) -> None:
    """It grants nothing, and is no way to say nothing."""
    assert write(peer) == write(wire.connect())
    assert write(peer, Ace(AceType.ACCESS_ALLOWED, 0, 1, Sid(5, (21, 1, 2, 3)))) == "NOT_SUPPORTED"


@pytest.mark.parametrize(
    ("share", "offered"),
    [
        ({"macos": True}, True),
        ({"macos": True, "macos_modes": False}, False),
        ({"macos": True, "acl": "nt"}, False),
    ],
)
def test_where_they_are_offered(new_wire: NewWire, share: dict[str, object], offered: bool) -> None:
    wire = new_wire(share=share)
    wire.make("f", mode=0o640)
    peer = wire.connect()
    _, response, frame = peer.try_create("", contexts=[(ContextTag.AAPL, QUERY)])
    assert bool(promised(frame[response.create_contexts_offset :]) & AaplCapability.NFS_ACE) == offered
    dacl = read(peer).dacl
    assert dacl is not None
    assert any(not ace.mask for ace in dacl.aces) == offered
    if not offered:
        write(peer, mode_ace(0o100777))
        assert wire.stat("f").mode == 0o640


def promised(answer: bytes) -> int:
    """The capabilities of the server in the create context."""
    return int(struct.unpack_from("<Q", answer, answer.index(struct.pack("<IIQ", 1, 0, 7)) + 16)[0])


def test_others_neither_see_nor_set_them(wire: Any) -> None:
    peer = wire.connect()
    assert write(peer, mode_ace(0o100777)) == "NOT_SUPPORTED"
    assert wire.stat("f").mode == 0o640
    assert all(ace.mask for ace in plain(wire))


@pytest.mark.pure_only
def test_a_list_of_nfsv4_is_not_touched(peer: Any, monkeypatch: pytest.MonkeyPatch, wire: Any) -> None:
    monkeypatch.setattr("smbport.commands.macos.is_nfs4", lambda entries: True)
    dacl = read(peer).dacl
    assert dacl is not None
    assert dacl.aces == plain(wire)
    assert write(peer, mode_ace(0o100777)) == "NOT_SUPPORTED"


def test_a_list_that_grants_all_has_none() -> None:
    state = SystemState(1, 2, 0o100640, (AclEntry(AclTag.USER_OBJ, 0, 7),))
    assert add_nfs_aces(SecurityDescriptor(), state).dacl is None
    added = add_nfs_aces(SecurityDescriptor(dacl=Acl()), state).dacl
    assert added is not None
    assert take_nfs_aces(added) == (Acl(), 0o640)
    assert take_nfs_aces(Acl()) == (Acl(), None)
