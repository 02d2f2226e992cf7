"""IOCTL: the FSCTLs that belong to the protocol."""

from collections.abc import Callable
from typing import Any

import pytest

from smbport.commands.ioctl import ON_OPEN, WITHOUT_OPEN
from smbport.commands.rights import FSCTLS
from smbport.platform import Interface
from smbport.wire.constants import Access, Command, FsControl, SecurityMode
from smbport.wire.header import HEADER_SIZE
from smbport.wire.ioctl import (
    FileObjectIdBuffer,
    IoctlRequest,
    IoctlResponse,
    ValidateNegotiateInfoRequest,
    ValidateNegotiateInfoResponse,
    ioctl_output,
    pack_ioctl_request,
    pack_validate_negotiate_info,
    parse_network_interfaces,
)
from smbport.wire.status import Disconnect, Status, status_name

ALL_ONES = (1 << 64) - 1
NO_FILE = {"file_id_persistent": ALL_ONES, "file_id_volatile": ALL_ONES}
EVERY_DIALECT = (0x0202, 0x0210, 0x0300, 0x0302, 0x0311)
VALIDATE = FsControl.VALIDATE_NEGOTIATE_INFO
OBJECT_ID = FsControl.CREATE_OR_GET_OBJECT_ID
TRANSCEIVE, PEEK, WAIT = FsControl.PIPE_TRANSCEIVE, FsControl.PIPE_PEEK, FsControl.PIPE_WAIT
BIND = bytes.fromhex(
    "05000b03100000004800000001000000b810b810000000000100000000000100"
    "c84f324b7016d30112785a47bf6ee18803000000045d888aeb1cc9119fe808002b10486002000000"
)  # DCE/RPC bind to srvsvc 3.0 with NDR


def body(code: int, data: bytes = b"", *, room: int = 1024, file: Any = None, **fields: int) -> bytes:
    ids = NO_FILE if file is None else {"file_id_persistent": file.persistent, "file_id_volatile": file.volatile}
    return pack_ioctl_request(IoctlRequest(ctl_code=code, max_output_response=room, **{**ids, **fields}), data)


def ask(peer: Any, code: int, data: bytes = b"", **keywords: Any) -> tuple[str, bytes]:
    """Status without STATUS_, and the output."""
    header, frame = peer.ask(Command.IOCTL, body(code, data, **keywords), tree_id=peer.tree, payload=1 << 20)
    name = status_name(header.status).removeprefix("STATUS_")
    if name not in ("SUCCESS", "BUFFER_OVERFLOW"):
        return name, b""
    response = IoctlResponse.unpack_from(frame, HEADER_SIZE)
    assert (response.ctl_code, response.input_count) == (code, 0)
    return name, bytes(ioctl_output(frame, response))


@pytest.fixture
def pipe(wire: Any) -> Any:
    """A client with a pipe, as `pipe.file`."""
    peer = wire.connect(share="IPC$")
    peer.file = peer.create(peer.tree, "srvsvc", access=Access.GENERIC_ALL)
    return peer


# What there is ------------------------------------------------------------------------------------------------------


def test_an_ioctl_that_is_no_fsctl(peer: Any) -> None:
    for flags in (0, 2, 3, 0xFFFFFFFF):
        assert ask(peer, VALIDATE, flags=flags)[0] == "NOT_SUPPORTED"


def test_every_fsctl_that_is_not_served(wire: Any, peer: Any) -> None:
    """Is refused the same, whatever it would do: on a file, on a directory, on a pipe."""
    file, root = peer.make("f"), peer.open("", Access.GENERIC_ALL)
    known = {code for key, code in vars(FsControl).items() if key.isupper()} | {0, 0xFFFFFFFF}
    absent = known - set(WITHOUT_OPEN) - set(FSCTLS)
    assert absent
    for code in absent:
        for opened in (file, root):
            assert ask(peer, code, bytes(64), file=opened)[0] == "INVALID_DEVICE_REQUEST"


def test_every_fsctl_on_an_open_that_is_none(peer: Any) -> None:
    """The open is looked for before anything else is said."""
    file = peer.make("f")
    peer.close(file)
    for code in (*ON_OPEN, FsControl.SET_SPARSE, 0):
        assert ask(peer, code, file=file)[0] == "FILE_CLOSED"
        assert ask(peer, code)[0] == "FILE_CLOSED"


def test_an_open_needs_its_tree(peer: Any) -> None:
    file = peer.make("f")
    peer.tree = 99
    assert ask(peer, OBJECT_ID, file=file)[0] == "NETWORK_NAME_DELETED"


def test_a_tree_that_must_be_sealed(new_wire: Callable[..., Any]) -> None:
    peer = new_wire(share={"encryption": "required"}).connect()
    assert ask(peer, OBJECT_ID)[0] == "ACCESS_DENIED"
    peer.seal = True
    assert ask(peer, OBJECT_ID, file=peer.make("f"), room=64)[0] == "SUCCESS"


@pytest.mark.parametrize("field", ["max_output_response", "max_input_response"])
def test_more_than_was_negotiated(wire: Any, field: str) -> None:
    peer = wire.connect()
    limit = wire.server.settings.limits.transact_size
    file = peer.make("f")
    if field == "max_output_response":
        assert ask(peer, OBJECT_ID, file=file, room=limit)[0] == "SUCCESS"
        assert ask(peer, OBJECT_ID, file=file, room=limit + 1)[0] == "INVALID_PARAMETER"
    else:
        assert ask(peer, OBJECT_ID, file=file, max_input_response=limit + 1)[0] == "INVALID_PARAMETER"


def test_more_input_than_was_negotiated(wire: Any) -> None:
    peer = wire.connect(dialect=0x0202)
    file = peer.make("f")
    assert ask(peer, OBJECT_ID, bytes(65536), file=file)[0] == "SUCCESS"
    assert ask(peer, OBJECT_ID, bytes(65537), file=file)[0] == "INVALID_PARAMETER"


def test_a_request_that_lies(peer: Any) -> None:
    whole = body(OBJECT_ID, bytes(16), file=peer.make("f"))
    lies = peer.lie(Command.IOCTL, whole, least=len(whole), fields=[(24, 4, 28, 4)])
    assert lies == {Status.INVALID_PARAMETER}


# VALIDATE_NEGOTIATE_INFO: was the NEGOTIATE changed on the way? -------------------------------------------------------


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
        status, output = ask(peer, VALIDATE, validation(peer), room=24)
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
    assert ask(peer, VALIDATE, validation(peer))[0] == "SUCCESS"


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
        ask(peer, VALIDATE, validation(peer, **CHANGES[name]))


def test_a_downgrade_ends_the_connection(wire: Any) -> None:
    """The client had offered 3.1.1, and somebody on the way took it out."""
    peer = wire.connect(dialect=0x0302)
    with pytest.raises(Disconnect, match="does not match"):
        ask(peer, VALIDATE, validation(peer, dialects=EVERY_DIALECT))


def test_no_room_for_the_answer_ends_the_connection(wire: Any) -> None:
    peer = wire.connect(dialect=0x0302)
    with pytest.raises(Disconnect, match="does not match"):
        ask(peer, VALIDATE, validation(peer), room=23)


@pytest.mark.parametrize("end", [0, 1, 23, 24, 25])
def test_a_malformed_one_ends_the_connection(wire: Any, end: int) -> None:
    peer = wire.connect(dialect=0x0302)
    with pytest.raises(Disconnect, match="malformed"):
        ask(peer, VALIDATE, validation(peer)[:end])


def test_3_1_1_has_better_and_ends_the_connection(wire: Any) -> None:
    peer = wire.connect()
    with pytest.raises(Disconnect, match=r"on 3\.1\.1"):
        ask(peer, VALIDATE, validation(peer))


# Others of no open ----------------------------------------------------------------------------------------------------


LAN = (
    Interface(index=2, address="192.0.2.7", speed=10**9, rss=True),
    Interface(index=2, address="2001:db8::7", speed=10**9),
)


def test_network_interfaces(wire: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(wire.memory.sockets), "interfaces", lambda self: LAN)
    status, output = ask(wire.connect(), FsControl.QUERY_NETWORK_INTERFACE_INFO)
    assert status == "SUCCESS"
    found = parse_network_interfaces(output)
    assert [(entry.if_index, entry.capability, entry.link_speed) for entry in found] == [(2, 1, 10**9), (2, 0, 10**9)]
    assert [len(entry.address) for entry in found] == [4, 16]


def test_network_interfaces_that_cannot_be_found_out(wire: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(wire.memory.sockets), "interfaces", lambda self: ())
    assert ask(wire.connect(), FsControl.QUERY_NETWORK_INTERFACE_INFO) == ("SUCCESS", b"")


def test_network_interfaces_that_do_not_fit(wire: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(wire.memory.sockets), "interfaces", lambda self: LAN)
    peer = wire.connect()
    assert ask(peer, FsControl.QUERY_NETWORK_INTERFACE_INFO, room=303)[0] == "BUFFER_TOO_SMALL"
    assert ask(peer, FsControl.QUERY_NETWORK_INTERFACE_INFO, room=304)[0] == "SUCCESS"


@pytest.mark.parametrize("dialect", [0x0202, 0x0210])
def test_network_interfaces_are_for_3_0(wire: Any, dialect: int) -> None:
    peer = wire.connect(dialect=dialect)
    assert ask(peer, FsControl.QUERY_NETWORK_INTERFACE_INFO)[0] == "INVALID_DEVICE_REQUEST"


@pytest.mark.parametrize("code", [FsControl.DFS_GET_REFERRALS, FsControl.DFS_GET_REFERRALS_EX])
@pytest.mark.parametrize("share", ["s", "IPC$"])
def test_there_is_no_dfs(wire: Any, code: int, share: str) -> None:
    assert ask(wire.connect(share=share), code, bytes(20))[0] == "FS_DRIVER_REQUIRED"


def test_waiting_for_a_pipe(wire: Any, pipe: Any, peer: Any) -> None:
    assert ask(pipe, WAIT, bytes(20)) == ("SUCCESS", b"")
    assert ask(peer, WAIT, bytes(20))[0] == "INVALID_DEVICE_REQUEST"
    peer.tree = 99
    assert ask(peer, WAIT, bytes(20))[0] == "INVALID_DEVICE_REQUEST"


# Pipes ----------------------------------------------------------------------------------------------------


def test_a_question_and_its_answer(pipe: Any) -> None:
    status, output = ask(pipe, TRANSCEIVE, BIND, file=pipe.file)
    assert status == "SUCCESS"
    assert output[2] == 12, "bind_ack"


def test_an_answer_that_does_not_fit_is_cut_and_the_rest_waits(pipe: Any) -> None:
    status, first = ask(pipe, TRANSCEIVE, BIND, file=pipe.file, room=20)
    assert (status, len(first)) == ("BUFFER_OVERFLOW", 20)
    assert ask(pipe, TRANSCEIVE, BIND, file=pipe.file)[0] == "PIPE_BUSY"
    status, peeked = ask(pipe, PEEK, file=pipe.file)
    waiting = int.from_bytes(peeked[4:8], "little")
    rest = pipe.read(pipe.file, 0, 1000)
    assert len(rest) == waiting
    assert (first + rest)[2] == 12
    assert ask(pipe, TRANSCEIVE, BIND, file=pipe.file)[0] == "SUCCESS"


def test_peek(pipe: Any) -> None:
    """Connected, and nothing there."""
    assert ask(pipe, PEEK, file=pipe.file) == ("SUCCESS", bytes.fromhex("03000000 00000000 00000000 00000000"))
    assert ask(pipe, PEEK, file=pipe.file, room=15)[0] == "BUFFER_TOO_SMALL"


@pytest.mark.parametrize("code", [TRANSCEIVE, PEEK])
def test_files_are_no_pipes(peer: Any, code: int) -> None:
    assert ask(peer, code, file=peer.make("f"))[0] == "INVALID_DEVICE_REQUEST"
    assert ask(peer, code, file=peer.open("", Access.GENERIC_ALL))[0] == "INVALID_DEVICE_REQUEST"


@pytest.mark.parametrize("code", [TRANSCEIVE, PEEK])
def test_rights_come_first(wire: Any, peer: Any, code: int) -> None:
    wire.make("f")
    assert ask(peer, code, file=peer.open("f", Access.READ_ATTRIBUTES))[0] == "ACCESS_DENIED"


# Object ids ----------------------------------------------------------------------------------------------------


def object_id(peer: Any, file: Any) -> FileObjectIdBuffer:
    status, output = ask(peer, OBJECT_ID, file=file, room=64)
    assert (status, len(output)) == ("SUCCESS", 64)
    return FileObjectIdBuffer.unpack_from(output)


def test_an_object_id_stays_with_the_file(wire: Any, peer: Any) -> None:
    first, second = peer.make("f"), peer.make("g")
    found = object_id(peer, first)
    assert found.object_id == found.birth_object_id
    assert found.birth_volume_id == wire.volume.features.serial.to_bytes(16, "little")
    assert found.object_id != object_id(peer, second).object_id
    peer.close(first)
    wire.volume.rename("f", "renamed", replace=False)
    assert object_id(peer, peer.open("renamed", Access.READ_ATTRIBUTES)) == found


def test_an_object_id_needs_its_room(peer: Any) -> None:
    assert ask(peer, OBJECT_ID, file=peer.make("f"), room=63)[0] == "INVALID_PARAMETER"


def test_pipes_have_no_object_id(pipe: Any) -> None:
    assert ask(pipe, OBJECT_ID, file=pipe.file)[0] == "INVALID_DEVICE_REQUEST"


def test_the_file_is_told_back(peer: Any) -> None:
    _, frame = peer.ask(Command.IOCTL, body(OBJECT_ID, file=peer.make("f")), tree_id=peer.tree)
    response = IoctlResponse.unpack_from(frame, HEADER_SIZE)
    assert response.file_id_volatile not in (0, ALL_ONES)
    assert response.flags == 0
