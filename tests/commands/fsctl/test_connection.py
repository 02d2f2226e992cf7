"""FSCTLs about the connection and the server."""

from collections.abc import Callable
from typing import Any

import pytest

from smbport.platform import Interface
from smbport.wire.constants import FsControl, SecurityMode
from smbport.wire.ioctl import (
    ValidateNegotiateInfoRequest,
    ValidateNegotiateInfoResponse,
    pack_validate_negotiate_info,
    parse_network_interfaces,
)
from smbport.wire.status import Disconnect

EVERY_DIALECT = (0x0202, 0x0210, 0x0300, 0x0302, 0x0311)
VALIDATE = FsControl.VALIDATE_NEGOTIATE_INFO


# Was the NEGOTIATE changed on the way?


def validation(peer: Any, **changes: Any) -> bytes:
    """What an honest client sends, but for `changes`."""
    state = peer.connection.state
    dialects = changes.pop("dialects", state.client_dialects)
    fields = {
        "capabilities": state.client_capabilities, "guid": state.client_guid,
        "security_mode": state.client_security_mode, **changes,
    }  # fmt: skip
    return pack_validate_negotiate_info(ValidateNegotiateInfoRequest(**fields), dialects)


@pytest.mark.parametrize("signing", ["required", "offered"])
@pytest.mark.parametrize("dialect", [0x0202, 0x0210, 0x0300, 0x0302])
def test_nothing_was_changed(new_wire: Callable[..., Any], dialect: int, signing: str) -> None:
    """Asked of any tree, or of none."""
    wire = new_wire(signing=signing)
    peer = wire.connect(dialect=dialect)
    for tree in (peer.tree, 0):
        peer.tree = tree
        status, output = peer.fsctl(VALIDATE, validation(peer), room=24)
        assert status == "SUCCESS"
        assert ValidateNegotiateInfoResponse.unpack_from(output) == ValidateNegotiateInfoResponse(
            capabilities=peer.connection.state.capabilities,
            guid=wire.server.settings.server_guid,
            security_mode=SecurityMode.SIGNING_ENABLED | (2 if signing == "required" else 0),
            dialect=dialect,
        )


def test_a_client_that_offered_more_than_one(wire: Any) -> None:
    peer = wire.client()
    peer.negotiate([0x0202, 0x0210, 0x0300, 0x0302])
    peer.log_on("u", "p")
    assert peer.fsctl(VALIDATE, validation(peer))[0] == "SUCCESS"


CHANGES: dict[str, dict[str, Any]] = {
    "capabilities": {"capabilities": 0x7F},
    "no capabilities": {"capabilities": 0},
    "guid": {"guid": b"somebody else's."},
    "security mode": {"security_mode": 3},
    "a newer dialect was taken away": {"dialects": (0x0300, 0x0302, 0x0311)},
    "only an older dialect": {"dialects": (0x0202, 0x0210)},
    "an unknown dialect": {"dialects": (0x0401,)},
    "no dialect": {"dialects": ()},
}


@pytest.mark.parametrize("name", CHANGES)
def test_any_difference_ends_the_connection(wire: Any, name: str) -> None:
    peer = wire.connect(dialect=0x0302)
    with pytest.raises(Disconnect, match="does not match the NEGOTIATE"):
        peer.fsctl(VALIDATE, validation(peer, **CHANGES[name]))


def test_a_downgrade_ends_the_connection(wire: Any) -> None:
    """The client had offered 3.1.1, and somebody on the way took it out."""
    peer = wire.connect(dialect=0x0302)
    with pytest.raises(Disconnect, match="does not match"):
        peer.fsctl(VALIDATE, validation(peer, dialects=EVERY_DIALECT))


def test_no_room_for_the_answer_ends_the_connection(wire: Any) -> None:
    peer = wire.connect(dialect=0x0302)
    with pytest.raises(Disconnect, match="does not match"):
        peer.fsctl(VALIDATE, validation(peer), room=23)


@pytest.mark.parametrize("end", [0, 1, 23, 24, 25])
def test_a_malformed_one_ends_the_connection(wire: Any, end: int) -> None:
    peer = wire.connect(dialect=0x0302)
    with pytest.raises(Disconnect, match="malformed"):
        peer.fsctl(VALIDATE, validation(peer)[:end])


def test_3_1_1_has_better_and_ends_the_connection(wire: Any) -> None:
    peer = wire.connect()
    with pytest.raises(Disconnect, match=r"on 3\.1\.1"):
        peer.fsctl(VALIDATE, validation(peer))


# Network interfaces


LAN = (
    Interface(index=2, address="192.0.2.7", speed=10**9, rss=True),
    Interface(index=2, address="2001:db8::7", speed=10**9),
)


def test_network_interfaces(wire: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(wire.memory.sockets), "interfaces", lambda self: LAN)
    status, output = wire.connect().fsctl(FsControl.QUERY_NETWORK_INTERFACE_INFO)
    assert status == "SUCCESS"
    found = parse_network_interfaces(output)
    assert [(entry.if_index, entry.capability, entry.link_speed) for entry in found] == [(2, 1, 10**9), (2, 0, 10**9)]
    assert [len(entry.address) for entry in found] == [4, 16]


def test_network_interfaces_that_cannot_be_found_out(wire: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(wire.memory.sockets), "interfaces", lambda self: ())
    assert wire.connect().fsctl(FsControl.QUERY_NETWORK_INTERFACE_INFO) == ("SUCCESS", b"")


def test_network_interfaces_that_do_not_fit(wire: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(wire.memory.sockets), "interfaces", lambda self: LAN)
    peer = wire.connect()
    assert peer.fsctl(FsControl.QUERY_NETWORK_INTERFACE_INFO, room=303)[0] == "BUFFER_TOO_SMALL"
    assert peer.fsctl(FsControl.QUERY_NETWORK_INTERFACE_INFO, room=304)[0] == "SUCCESS"


@pytest.mark.parametrize("dialect", [0x0202, 0x0210])
def test_network_interfaces_are_for_3_0(wire: Any, dialect: int) -> None:
    peer = wire.connect(dialect=dialect)
    assert peer.fsctl(FsControl.QUERY_NETWORK_INTERFACE_INFO)[0] == "INVALID_DEVICE_REQUEST"
