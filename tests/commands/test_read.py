"""READ."""

import errno
from collections.abc import Callable
from typing import Any

import pytest

from smbport.commands.call import FileRange
from smbport.platform import ACCESS_READ
from smbport.testing.handles import MemoryFile
from smbport.wire.constants import Access, Command, HeaderFlag, LockFlag
from smbport.wire.file import CloseRequest, ReadRequest, ReadResponse, pack_read_request, read_data
from smbport.wire.header import HEADER_SIZE, Header
from smbport.wire.lock import LockElement, LockRequest, pack_lock_request
from smbport.wire.session import LogoffRequest
from smbport.wire.status import Status, status_name

ALL_ONES = (1 << 64) - 1
LARGEST = (1 << 63) - 1
CONTENT = bytes(range(256)) * 40


@pytest.fixture
def reader(wire: Any) -> Any:
    """A client with the file f open for reading, as `reader.file`."""
    wire.make("f", CONTENT)
    return opened(wire.connect())


def opened(peer: Any, access: int = Access.GENERIC_READ) -> Any:
    peer.file = peer.open("f", access)
    return peer


def body(peer: Any, offset: int = 0, length: int = 10, **fields: int) -> bytes:
    ids = {"file_id_persistent": peer.file.persistent, "file_id_volatile": peer.file.volatile}
    return pack_read_request(ReadRequest(offset=offset, length=length, **{**ids, **fields}))


def status(peer: Any, offset: int = 0, length: int = 10, **fields: int) -> str:
    header, _ = peer.ask(Command.READ, body(peer, offset, length, **fields), tree_id=peer.tree, payload=length)
    return status_name(header.status)


# What is read -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("offset", "length"), [(0, 10), (5, 1), (0, len(CONTENT)), (len(CONTENT) - 1, 1), (len(CONTENT) - 3, 100), (256, 0)]
)
def test_a_range(reader: Any, offset: int, length: int) -> None:
    assert reader.read(reader.file, offset, length) == CONTENT[offset : offset + length]


def test_the_response(reader: Any) -> None:
    """The data stands where DataOffset says, and nothing behind it."""
    _, frame = reader.ask(Command.READ, body(reader, 3, 5), tree_id=reader.tree)
    response = ReadResponse.unpack_from(frame, HEADER_SIZE)
    assert (response.data_offset, response.data_length, response.data_remaining) == (80, 5, 0)
    assert frame[80:] == CONTENT[3:8]
    _, frame = reader.ask(Command.READ, body(reader, 3, 0), tree_id=reader.tree)
    assert ReadResponse.unpack_from(frame, HEADER_SIZE).data_length == 0
    assert frame[80:] == b"\0", "StructureSize 17 promises a byte"


@pytest.mark.parametrize("offset", [len(CONTENT), len(CONTENT) + 1, 1 << 40, LARGEST - 10])
def test_behind_the_end(reader: Any, offset: int) -> None:
    assert status(reader, offset) == "STATUS_END_OF_FILE"


def test_nothing_of_an_empty_file(wire: Any) -> None:
    wire.make("f")
    peer = opened(wire.connect())
    assert status(peer) == "STATUS_END_OF_FILE"
    assert status(peer, length=0) == "STATUS_SUCCESS"


def test_a_minimum_that_is_not_there(reader: Any) -> None:
    end = len(CONTENT)
    assert status(reader, end - 5, 10, minimum_count=5) == "STATUS_SUCCESS"
    assert status(reader, end - 5, 10, minimum_count=6) == "STATUS_END_OF_FILE"


def test_the_position_is_behind_what_was_read(wire: Any, reader: Any) -> None:
    [state] = wire.server.sessions[reader.session_id].opens.values()
    reader.read(reader.file, 7, 5)
    assert state.position == 12


def test_execute_is_good_for_reading(wire: Any, reader: Any) -> None:
    """As Windows does for programs that are run from a share.  [MS-SMB2] 3.3.5.12"""
    peer = opened(wire.connect(), Access.EXECUTE)
    assert peer.read(peer.file, 0, 4) == CONTENT[:4]


# What is refused --------------------------------------------------------------------------------------------------


def test_without_the_right(wire: Any, reader: Any) -> None:
    for access in (Access.WRITE_DATA, Access.READ_ATTRIBUTES, Access.READ_EA | Access.DELETE):
        assert status(opened(wire.connect(), access)) == "STATUS_ACCESS_DENIED"


@pytest.mark.parametrize(
    ("offset", "length"),
    [(LARGEST + 1, 1), (LARGEST, 1), (ALL_ONES, 1), (ALL_ONES, 0), (LARGEST - 4, 10), (1 << 63, 0)],
)
def test_beyond_the_largest_offset(reader: Any, offset: int, length: int) -> None:
    assert status(reader, offset, length) == "STATUS_INVALID_PARAMETER"


@pytest.mark.parametrize(("dialect", "limit"), [(0x0202, 65536), (0x0311, 8 << 20)])
def test_more_than_was_negotiated(wire: Any, dialect: int, limit: int) -> None:
    wire.make("f", b"short")
    peer = opened(wire.connect(dialect=dialect))
    assert status(peer, 0, limit) == "STATUS_SUCCESS"
    assert status(peer, 0, limit + 1) == "STATUS_INVALID_PARAMETER"


def test_a_directory_has_no_data(wire: Any) -> None:
    peer = wire.connect()
    peer.file = peer.open("", Access.GENERIC_READ)
    assert status(peer) == "STATUS_INVALID_DEVICE_REQUEST"


def test_an_open_that_is_none(reader: Any) -> None:
    assert status(reader, file_id_volatile=reader.file.volatile + 1) == "STATUS_FILE_CLOSED"
    assert status(reader, file_id_persistent=ALL_ONES, file_id_volatile=ALL_ONES) == "STATUS_FILE_CLOSED"
    reader.close(reader.file)
    assert status(reader) == "STATUS_FILE_CLOSED"


def test_a_request_that_lies(reader: Any) -> None:
    whole = body(reader)
    assert reader.lie(Command.READ, whole, least=ReadRequest.SIZE) == {Status.INVALID_PARAMETER}
    assert status(reader) == "STATUS_SUCCESS"


# Locks ------------------------------------------------------------------------------------------------------------


def test_a_range_that_others_hold(wire: Any, reader: Any) -> None:
    holder = opened(wire.connect(), Access.GENERIC_ALL)
    element = LockElement(offset=100, length=10, flags=LockFlag.EXCLUSIVE | LockFlag.FAIL_IMMEDIATELY)
    ids = {"file_id_persistent": holder.file.persistent, "file_id_volatile": holder.file.volatile}
    assert holder.status(Command.LOCK, pack_lock_request(LockRequest(**ids), [element])) == Status.SUCCESS
    assert status(reader, 95, 6) == "STATUS_FILE_LOCK_CONFLICT"
    assert status(reader, 109, 50) == "STATUS_FILE_LOCK_CONFLICT"
    assert status(reader, 90, 10) == "STATUS_SUCCESS"
    assert status(reader, 110, 10) == "STATUS_SUCCESS"
    assert status(holder, 95, 10) == "STATUS_SUCCESS"


# Errors and threads -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (errno.EIO, "STATUS_UNEXPECTED_IO_ERROR"),
        (errno.ESTALE, "STATUS_FILE_CLOSED"),
        (errno.ENOMEM, "STATUS_INSUFFICIENT_RESOURCES"),
        (errno.EISDIR, "STATUS_FILE_IS_A_DIRECTORY"),
        (12345, "STATUS_UNSUCCESSFUL"),
    ],
)
def test_errors(wire: Any, reader: Any, number: int, expected: str) -> None:
    wire.faults.fail("File.read_at", number)
    assert status(reader) == expected
    assert status(reader) == "STATUS_SUCCESS"


def test_a_read_that_takes_a_thread(wire: Any, reader: Any) -> None:
    wire.faults.force_threads("File.read_at")
    assert reader.read(reader.file, 0, 10) == CONTENT[:10]


def test_a_close_while_a_read_is_in_a_thread(wire: Any, reader: Any) -> None:
    """The handle lives until the read is done; both are answered."""
    handles: list[int] = []
    wire.faults.force_threads("File.read_at")
    wire.faults.do_before("File.read_at", lambda: reader.close(reader.file))
    wire.faults.do_before("File.read_at", lambda: handles.append(wire.memory.open_handles))
    assert status(reader) == "STATUS_SUCCESS"
    assert handles == [1]
    wire.check_nothing_is_open()


def test_a_logoff_while_a_read_is_in_a_thread(wire: Any, reader: Any) -> None:
    gone: list[int] = []
    wire.faults.force_threads("File.read_at")
    wire.faults.do_before("File.read_at", lambda: gone.append(reader.status(Command.LOGOFF, LogoffRequest().pack())))
    assert status(reader) == "STATUS_SUCCESS"
    assert gone == [Status.SUCCESS]
    wire.check_nothing_is_open()
    [(header, _)] = reader.send(Command.READ, body(reader))
    assert header.status == Status.USER_SESSION_DELETED


# Zero copy --------------------------------------------------------------------------------------------------------


class ZeroCopy:
    """What makes READ give a range of the file; sending is not done here."""

    min_length = 1000


@pytest.fixture
def zero_copy(new_wire: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> Any:
    """A server whose platform sends from files, with a client that does not sign."""
    monkeypatch.setattr(MemoryFile, "fileno", lambda self: 7)
    wire = new_wire(signing="offered")
    wire.memory.zero_copy = ZeroCopy()
    wire.make("f", CONTENT)
    return wire


def ranges(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """(offset, length) of every range that is promised from now on."""
    made: list[tuple[int, int]] = []
    original = FileRange.__init__

    def remember(self: FileRange, opened: Any, file: Any, offset: int, length: int) -> None:
        made.append((offset, length))
        original(self, opened, file, offset, length)

    monkeypatch.setattr(FileRange, "__init__", remember)
    return made


def plain_read(peer: Any, offset: int, length: int, *, charge: int = 1, **fields: int) -> tuple[int, bytes]:
    request = body(peer, offset, length, **fields)
    message = peer.message(Command.READ, request, tree_id=peer.tree, charge=charge)
    [(header, frame)] = peer.frames(message, plain=True)
    if header.status:
        return header.status, b""
    return 0, bytes(read_data(frame, ReadResponse.unpack_from(frame, HEADER_SIZE)))


def test_a_large_plain_read_is_sent_from_the_file(zero_copy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    peer = opened(zero_copy.connect())
    made = ranges(monkeypatch)
    assert plain_read(peer, 8, 2000) == (0, CONTENT[8:2008])
    [state] = zero_copy.server.sessions[peer.session_id].opens.values()
    assert (state.position, state.pins) == (2008, 0)
    assert plain_read(peer, 9000, 5000) == (0, CONTENT[9000:])
    assert made == [(8, 2000), (9000, len(CONTENT) - 9000)]


def test_no_more_is_promised_than_there_is(zero_copy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    peer = opened(zero_copy.connect())
    made = ranges(monkeypatch)
    assert plain_read(peer, len(CONTENT), 2000)[0] == Status.END_OF_FILE
    assert plain_read(peer, len(CONTENT) - 10, 2000, minimum_count=11)[0] == Status.END_OF_FILE
    assert plain_read(peer, len(CONTENT) + 5, 2000)[0] == Status.END_OF_FILE
    assert made == []


def test_small_signed_sealed_and_compound_reads_are_copied(zero_copy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is signed must be seen, and a compound has other replies behind it."""
    peer = opened(zero_copy.connect())
    made = ranges(monkeypatch)
    assert plain_read(peer, 0, 999)[1] == CONTENT[:999]
    assert peer.read(peer.file, 0, 2000) == CONTENT[:2000]
    peer.seal = True
    assert peer.read(peer.file, 0, 2000) == CONTENT[:2000]
    first = peer.message(Command.READ, body(peer, 0, 2000), tree_id=peer.tree)
    first += bytes(-len(first) % 8)
    first[20:24] = len(first).to_bytes(4, "little")
    close = CloseRequest(file_id_persistent=ALL_ONES, file_id_volatile=ALL_ONES).pack()
    second = peer.message(Command.CLOSE, close, tree_id=peer.tree, flags=HeaderFlag.RELATED_OPERATIONS)
    [(header, frame)] = peer.frames(bytes(first + second), plain=True)
    assert header.status == Status.SUCCESS
    assert frame[80 : 80 + 2000] == CONTENT[:2000]
    assert Header.unpack_from(frame, header.next_command).status == Status.SUCCESS
    assert made == []
    zero_copy.check_nothing_is_open()


def test_files_without_a_descriptor_are_copied(zero_copy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MemoryFile, "fileno", lambda self: -1)
    peer = opened(zero_copy.connect())
    made = ranges(monkeypatch)
    assert plain_read(peer, 0, 2000)[1] == CONTENT[:2000]
    assert made == []


def test_a_range_keeps_the_handle_until_it_is_sent(zero_copy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also if the file is closed before the bytes are out."""
    peer = opened(zero_copy.connect())
    [state] = zero_copy.server.sessions[peer.session_id].opens.values()
    seen: list[tuple[bool, int]] = []
    original = MemoryFile.read_at

    def send_late(self: MemoryFile, offset: int, length: int, **keywords: Any) -> bytes:
        if length > 1:  # not a sample
            zero_copy.server.close_open(state)
            seen.append((state.closed, zero_copy.memory.open_handles))
        return original(self, offset, length, **keywords)

    monkeypatch.setattr(MemoryFile, "read_at", send_late)
    assert plain_read(peer, 0, 2000)[1] == CONTENT[:2000]
    assert seen == [(True, 1)]
    zero_copy.check_nothing_is_open()


@pytest.mark.parametrize("cold", [0, 3 << 18, (1 << 20) - 1])
def test_what_is_not_at_hand_is_read_in_a_thread(zero_copy: Any, monkeypatch: pytest.MonkeyPatch, cold: int) -> None:
    """Sending from the file would hold up everybody until the disk has found it."""
    content = bytes(range(256)) * 4096
    zero_copy.make("large", content)
    peer = zero_copy.connect()
    peer.file = peer.open("large", Access.GENERIC_READ)
    made = ranges(monkeypatch)
    original = MemoryFile.read_at
    waited: list[int] = []

    def disk(self: MemoryFile, offset: int, length: int, *, wait: bool = False) -> bytes:
        if wait:
            waited.append(length)
        elif offset <= cold < offset + length:
            raise BlockingIOError
        return original(self, offset, length, wait=wait)

    monkeypatch.setattr(MemoryFile, "read_at", disk)
    assert plain_read(peer, 0, 1 << 20, charge=16) == (0, content)
    assert (made, waited) == ([], [1 << 20])


def test_a_file_that_shrank_after_the_promise_is_padded(zero_copy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The length was sent already; no old memory fills the rest."""
    peer = opened(zero_copy.connect())
    original = MemoryFile.read_at

    def shrink(self: MemoryFile, offset: int, length: int, **keywords: Any) -> bytes:
        if length > 1:  # not a sample
            monkeypatch.setattr(MemoryFile, "read_at", original)
            file = zero_copy.volume.open("f", ACCESS_READ | 2)
            file.resize(100)
            file.close()
        return original(self, offset, length, **keywords)

    monkeypatch.setattr(MemoryFile, "read_at", shrink)
    assert plain_read(peer, 0, 2000)[1] == CONTENT[:100] + bytes(1900)


# Pipes ------------------------------------------------------------------------------------------------------------


class Waiting:
    """A pipe with one answer of ten bytes."""

    def __init__(self) -> None:
        self.left = b"0123456789"

    def available(self) -> int:
        return len(self.left)

    def read(self, max_length: int) -> tuple[bytes, bool]:
        taken, self.left = self.left[:max_length], self.left[max_length:]
        return taken, bool(self.left)


def test_a_pipe_gives_its_answer_in_pieces(wire: Any) -> None:
    peer = wire.connect(share="IPC$")
    peer.file = peer.create(peer.tree, "srvsvc", access=Access.GENERIC_ALL)
    assert status(peer) == "STATUS_PIPE_EMPTY"
    [state] = wire.server.sessions[peer.session_id].opens.values()
    state.pipe = Waiting()
    header, frame = peer.ask(Command.READ, body(peer, 0, 4), tree_id=peer.tree)
    assert (header.status, frame[80:]) == (Status.BUFFER_OVERFLOW, b"0123")
    header, frame = peer.ask(Command.READ, body(peer, 0, 100), tree_id=peer.tree)
    assert (header.status, frame[80:]) == (Status.SUCCESS, b"456789")
    assert status(peer) == "STATUS_PIPE_EMPTY"
