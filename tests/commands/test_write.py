"""WRITE."""

import errno
from collections.abc import Callable
from typing import Any

import pytest

from smbport.testing.calls import wrap
from smbport.wire.constants import Access, Command, CreateOption, LockFlag, OplockLevel, WriteFlag
from smbport.wire.file import WriteRequest, WriteResponse, pack_write_request
from smbport.wire.header import HEADER_SIZE, Header
from smbport.wire.lock import LockElement, LockRequest, pack_lock_request
from smbport.wire.session import LogoffRequest
from smbport.wire.status import Status, StatusError, status_name

ALL_ONES = (1 << 64) - 1
LARGEST = (1 << 63) - 1
APPEND = ALL_ONES


@pytest.fixture
def writer(wire: Any) -> Any:
    """A client with the file f open for everything, as `writer.file`."""
    wire.make("f", b"content")
    return opened(wire.connect())


def opened(peer: Any, access: int = Access.GENERIC_ALL, **keywords: Any) -> Any:
    peer.file = peer.open("f", access, **keywords)
    return peer


def body(peer: Any, offset: int = 0, data: bytes = b"data", **fields: int) -> bytes:
    ids = {"file_id_persistent": peer.file.persistent, "file_id_volatile": peer.file.volatile}
    return pack_write_request(WriteRequest(offset=offset, **{**ids, **fields}), data)


def status(peer: Any, offset: int = 0, data: bytes = b"data", **fields: int) -> str:
    header, _ = peer.ask(Command.WRITE, body(peer, offset, data, **fields), tree_id=peer.tree, payload=len(data))
    return status_name(header.status)


# What is written --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("offset", "data", "content"),
    [
        (0, b"X", b"Xontent"),
        (3, b"XYZ", b"conXYZt"),
        (7, b"s", b"contents"),
        (10, b"far", b"content\0\0\0far"),
        (0, b"", b"content"),
    ],
)
def test_bytes_at_an_offset(wire: Any, writer: Any, offset: int, data: bytes, content: bytes) -> None:
    assert writer.write(writer.file, offset, data) == len(data)
    assert wire.content("f") == content


def test_the_response(writer: Any) -> None:
    _, frame = writer.ask(Command.WRITE, body(writer, 0, b"12345"), tree_id=writer.tree)
    assert frame[HEADER_SIZE:] == WriteResponse(count=5).pack()


def test_the_position_is_behind_what_was_written(wire: Any, writer: Any) -> None:
    [state] = wire.server.sessions[writer.session_id].opens.values()
    writer.write(writer.file, 7, b"12345")
    assert state.position == 12


def test_what_was_acknowledged_is_seen_by_all(wire: Any, writer: Any) -> None:
    reader = opened(wire.connect(), Access.GENERIC_READ)
    writer.write(writer.file, 0, b"visible")
    assert reader.read(reader.file, 0, 7) == b"visible"


def through_flags(wire: Any, peer: Any, **fields: int) -> list[object]:
    """What `through` each write of the platform got."""
    seen: list[object] = []

    def watch(call: Any) -> object:
        if call.path == "File.write_at":
            seen.append(call.arguments["through"])
        return call.proceed()

    [state] = wire.server.sessions[peer.session_id].opens.values()
    state.node = wrap(state.node, watch)
    assert status(peer, **fields) == "STATUS_SUCCESS"
    return seen


def test_write_through_if_the_request_or_the_open_says_so(wire: Any, writer: Any) -> None:
    assert through_flags(wire, writer) == [False]
    assert through_flags(wire, writer, flags=WriteFlag.WRITE_THROUGH)[-1] is True
    other = opened(wire.connect(), options=CreateOption.WRITE_THROUGH)
    assert through_flags(wire, other) == [True]


# Appending --------------------------------------------------------------------------------------------------------


def test_a_handle_that_may_only_append(wire: Any, writer: Any) -> None:
    """At the end or behind it, or "wherever the end is"; never over what is there."""
    peer = opened(wire.connect(), Access.APPEND_DATA)
    assert status(peer, 7, b"-one") == "STATUS_SUCCESS"
    assert status(peer, APPEND, b"-two") == "STATUS_SUCCESS"
    assert wire.content("f") == b"content-one-two"
    for offset in (0, 14):
        assert status(peer, offset) == "STATUS_ACCESS_DENIED"
    assert wire.content("f") == b"content-one-two"


# What is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("access", [Access.GENERIC_READ, Access.DELETE, Access.WRITE_ATTRIBUTES, Access.WRITE_EA])
def test_without_the_right(wire: Any, writer: Any, access: int) -> None:
    assert status(opened(wire.connect(), access)) == "STATUS_ACCESS_DENIED"
    assert wire.content("f") == b"content"


def test_through_a_share_that_became_read_only(wire: Any, writer: Any) -> None:
    """The right of the handle is not enough."""
    [state] = wire.server.sessions[writer.session_id].opens.values()
    state.tree.writable = False
    assert status(writer) == "STATUS_MEDIA_WRITE_PROTECTED"
    assert wire.content("f") == b"content"


@pytest.mark.parametrize("offset", [LARGEST, LARGEST + 1, LARGEST - 3, 1 << 63, ALL_ONES - 3])
def test_beyond_the_largest_offset(wire: Any, writer: Any, offset: int) -> None:
    assert status(writer, offset) == "STATUS_INVALID_PARAMETER"
    assert wire.content("f") == b"content"


def test_more_than_was_negotiated(wire: Any) -> None:
    wire.make("f")
    peer = opened(wire.connect(dialect=0x0202))
    assert status(peer, 0, bytes(65536)) == "STATUS_SUCCESS"
    assert status(peer, 0, bytes(65537)) == "STATUS_INVALID_PARAMETER"
    assert wire.stat("f").size == 65536


def test_a_directory_has_no_data(wire: Any) -> None:
    peer = wire.connect()
    peer.file = peer.open("", Access.GENERIC_ALL)
    assert status(peer) == "STATUS_INVALID_DEVICE_REQUEST"


def test_an_open_that_is_none(writer: Any) -> None:
    assert status(writer, file_id_volatile=writer.file.volatile + 1) == "STATUS_FILE_CLOSED"
    writer.close(writer.file)
    assert status(writer) == "STATUS_FILE_CLOSED"


def test_a_request_that_lies(wire: Any, writer: Any) -> None:
    """Least of all are bytes written that are not data: of the header, or past the message."""
    whole = body(writer, 0, b"some data of some length")
    lies = writer.lie(Command.WRITE, whole, least=len(whole), fields=[(2, 2, 4, 4)])
    assert lies == {Status.INVALID_PARAMETER}
    assert wire.content("f") == b"content"


def test_a_range_that_others_hold(wire: Any, writer: Any) -> None:
    holder = opened(wire.connect())
    for offset, kind in ((2, LockFlag.SHARED), (20, LockFlag.EXCLUSIVE)):
        element = LockElement(offset=offset, length=2, flags=kind | LockFlag.FAIL_IMMEDIATELY)
        ids = {"file_id_persistent": holder.file.persistent, "file_id_volatile": holder.file.volatile}
        assert holder.status(Command.LOCK, pack_lock_request(LockRequest(**ids), [element])) == Status.SUCCESS
    assert status(writer, 0, b"123") == "STATUS_FILE_LOCK_CONFLICT"
    assert status(writer, 21, b"1") == "STATUS_FILE_LOCK_CONFLICT"
    assert status(writer, 0, b"") == "STATUS_SUCCESS"
    assert status(holder, 2, b"1") == "STATUS_FILE_LOCK_CONFLICT", "a shared lock holds off its owner too"
    assert status(holder, 20, b"12") == "STATUS_SUCCESS"
    assert status(writer, 4, b"X") == "STATUS_SUCCESS"
    assert wire.content("f") == b"contXnt" + bytes(13) + b"12"


def test_what_others_have_read_is_old(wire: Any, writer: Any) -> None:
    """An oplock by which a client caches what it read is broken; it need not answer."""
    reader = wire.connect()
    reader.create(reader.tree, "f", access=Access.GENERIC_READ, oplock=OplockLevel.LEVEL_II)
    reader.connection.resume()
    assert status(writer) == "STATUS_SUCCESS"
    [frame] = reader.connection.resume()
    assert Header.unpack_from(frame).command == Command.OPLOCK_BREAK


# Errors and threads -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (errno.ENOSPC, "STATUS_DISK_FULL"),
        (errno.EDQUOT, "STATUS_DISK_FULL"),
        (errno.EFBIG, "STATUS_DISK_FULL"),
        (errno.EROFS, "STATUS_MEDIA_WRITE_PROTECTED"),
        (errno.EIO, "STATUS_UNEXPECTED_IO_ERROR"),
        (errno.EPERM, "STATUS_ACCESS_DENIED"),
    ],
)
def test_errors(wire: Any, writer: Any, number: int, expected: str) -> None:
    wire.faults.fail("File.write_at", number)
    assert status(writer) == expected
    assert wire.content("f") == b"content"
    assert status(writer) == "STATUS_SUCCESS"


def test_a_short_write_says_how_short(wire: Any, writer: Any) -> None:
    """Never a success for all of it (the volume ran full in the middle)."""
    wire.faults.shorten("File.write_at", 3)
    assert writer.write(writer.file, 0, b"12345") == 3
    assert wire.content("f") == b"123tent"


def test_a_write_of_nothing_is_no_success(wire: Any, writer: Any) -> None:
    wire.faults.shorten("File.write_at", 0)
    assert status(writer) == "STATUS_DISK_FULL"


def test_a_volume_that_runs_full(new_wire: Callable[..., Any]) -> None:
    wire = new_wire(capacity=8192)
    wire.make("f")
    peer = opened(wire.connect())
    assert peer.write(peer.file, 0, bytes(6000)) == 6000
    assert peer.write(peer.file, 6000, bytes(6000)) == 2192
    assert status(peer, 8192, b"more") == "STATUS_DISK_FULL"


def test_a_write_that_takes_a_thread(wire: Any, writer: Any) -> None:
    wire.faults.force_threads("File.write_at")
    assert writer.write(writer.file, 0, b"threads") == 7
    assert wire.content("f") == b"threads"


def test_a_close_while_a_write_is_in_a_thread(wire: Any, writer: Any) -> None:
    handles: list[int] = []
    wire.faults.force_threads("File.write_at")
    wire.faults.do_before("File.write_at", lambda: writer.close(writer.file))
    wire.faults.do_before("File.write_at", lambda: handles.append(wire.memory.open_handles))
    assert status(writer, 0, b"written") == "STATUS_SUCCESS"
    assert handles == [1]
    assert wire.content("f") == b"written"
    wire.check_nothing_is_open()


def test_a_logoff_while_a_write_is_in_a_thread(wire: Any, writer: Any) -> None:
    gone: list[int] = []
    wire.faults.force_threads("File.write_at")
    wire.faults.do_before("File.write_at", lambda: gone.append(writer.status(Command.LOGOFF, LogoffRequest().pack())))
    assert status(writer, 0, b"written") == "STATUS_SUCCESS"
    assert gone == [Status.SUCCESS]
    wire.check_nothing_is_open()
    [(header, _)] = writer.send(Command.WRITE, body(writer))
    assert header.status == Status.USER_SESSION_DELETED
    assert wire.content("f") == b"written"


# Pipes ------------------------------------------------------------------------------------------------------------


def test_a_pipe_takes_bytes(wire: Any) -> None:
    taken: list[bytes] = []

    class Pipe:
        def write(self, data: memoryview) -> None:
            taken.append(bytes(data))

    peer = wire.connect(share="IPC$")
    peer.file = peer.create(peer.tree, "srvsvc", access=Access.GENERIC_ALL)
    [state] = wire.server.sessions[peer.session_id].opens.values()
    state.pipe = Pipe()
    assert peer.write(peer.file, ALL_ONES, b"request") == 7
    assert taken == [b"request"]


def test_appends_in_threads_do_not_overwrite_each_other(wire: Any) -> None:
    wire.make("f")
    peer = wire.connect()
    file = peer.open("f", Access.APPEND_DATA)
    wire.faults.force_threads("File.write_at")
    wire.faults.do_before("File.write_at", lambda: peer.write(file, APPEND, b"second"))
    peer.write(file, APPEND, b"first")
    assert wire.content("f") == b"firstsecond"
    assert peer.write(file, APPEND, b"!") == 1
    assert wire.content("f") == b"firstsecond!"


def test_a_write_through_that_failed_is_remembered_like_a_flush(wire: Any) -> None:
    wire.make("f")
    peer = wire.connect()
    file = peer.open("f")
    wire.faults.fail("File.write_at", errno.EIO)
    with pytest.raises(StatusError):
        peer.write(file, 0, b"data", flags=WriteFlag.WRITE_THROUGH)
    with pytest.raises(StatusError) as refused:
        peer.flush(file)
    assert refused.value.status == Status.DISK_OPERATION_FAILED
