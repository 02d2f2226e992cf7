"""READ."""

import errno
from collections.abc import Callable
from typing import Any

import pytest

from smbport.commands import read
from smbport.commands.call import FileRange
from smbport.pipes.pipe import open_pipe
from smbport.pipes.server_info import describe_server
from smbport.platform import ACCESS_READ
from smbport.testing.handles import MemoryFile
from smbport.wire.constants import Access, Command, Dialect, HeaderFlag, LockFlag
from smbport.wire.echo import CancelRequest
from smbport.wire.file import (
    CloseRequest,
    ReadRequest,
    ReadResponse,
    WriteRequest,
    pack_read_request,
    pack_write_request,
    read_data,
)
from smbport.wire.header import HEADER_SIZE, Header
from smbport.wire.lock import LockElement, LockRequest, pack_lock_request
from smbport.wire.record import Buffer
from smbport.wire.session import LogoffRequest
from smbport.wire.status import Status, StatusError, status_name

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
    needs_cached = True


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


@pytest.mark.pure_only  # watches the making of objects
def test_a_large_plain_read_is_sent_from_the_file(zero_copy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    peer = opened(zero_copy.connect())
    made = ranges(monkeypatch)
    assert plain_read(peer, 8, 2000) == (0, CONTENT[8:2008])
    [state] = zero_copy.server.sessions[peer.session_id].opens.values()
    assert (state.position, state.pins) == (2008, 0)
    assert plain_read(peer, 9000, 5000) == (0, CONTENT[9000:])
    assert made == [(8, 2000), (9000, len(CONTENT) - 9000)]


@pytest.mark.pure_only  # watches the making of objects
def test_what_is_sent_without_waiting_need_not_be_at_hand(zero_copy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    peer = opened(zero_copy.connect())
    made = ranges(monkeypatch)
    zero_copy.memory.zero_copy.needs_cached = False
    monkeypatch.setattr(read, "_is_at_hand", lambda *arguments: False)
    assert plain_read(peer, 0, 2000) == (0, CONTENT[:2000])
    zero_copy.memory.zero_copy.needs_cached = True
    assert plain_read(peer, 0, 2000) == (0, CONTENT[:2000])
    assert made == [(0, 2000)]


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


class Answers:
    """A pipe whose answers a test makes; `broken` when there are no more."""

    def __init__(self, *answers: bytes) -> None:
        self.answers = list(answers)
        self.broken = False

    def is_ready(self) -> bool:
        return bool(self.answers) or self.broken

    def write(self, data: Buffer) -> None:
        self.answers.append(bytes(data))

    def read(self, max_length: int) -> tuple[bytes, bool]:
        if not self.answers:
            raise StatusError(Status.PIPE_BROKEN)
        answer = self.answers.pop(0)
        if len(answer) > max_length:
            self.answers.insert(0, answer[max_length:])
        return answer[:max_length], len(answer) > max_length


class PipeReader:
    """A client that has a pipe open, and asks for more than is there."""

    def __init__(self, wire: Any) -> None:
        self.wire = wire
        self.peer = wire.connect(share="IPC$")
        self.peer.file = self.peer.create(self.peer.tree, "srvsvc", access=Access.GENERIC_ALL)
        [self.state] = wire.server.sessions[self.peer.session_id].opens.values()
        self.pipe = self.state.pipe = Answers()

    def ask(self, length: int = 100, **keywords: int) -> tuple[int, str]:
        """The message id of a READ, and what is said at once."""
        [(header, frame)] = self.peer.send(Command.READ, body(self.peer, 0, length), **keywords)
        return header.message_id, said(frame)

    def write(self, data: bytes) -> list[tuple[int, str]]:
        """The READs that end with that."""
        ids = {"file_id_persistent": self.peer.file.persistent, "file_id_volatile": self.peer.file.volatile}
        request = WriteRequest(length=len(data), offset=0, flags=0, **ids)
        return self.ended(Command.WRITE, pack_write_request(request, data))

    def close(self) -> list[tuple[int, str]]:
        ids = {"file_id_persistent": self.peer.file.persistent, "file_id_volatile": self.peer.file.volatile}
        return self.ended(Command.CLOSE, CloseRequest(flags=0, **ids).pack())

    def cancel(self, message_id: int) -> list[tuple[int, str]]:
        message = self.peer.message(Command.CANCEL, CancelRequest().pack(), message_id=message_id)
        return [(header.message_id, said(frame)) for header, frame in self.peer.frames(message)]

    def ended(self, command: int, body: bytes) -> list[tuple[int, str]]:
        """The READs that end with another request, which succeeds; one may set the next one going."""
        [(header, _), *ended] = self.peer.send(command, body)
        assert header.status == Status.SUCCESS
        while frames := self.peer.connection.resume():
            ended += [(Header.unpack_from(frame), frame) for frame in frames]
        return [(header.message_id, said(frame)) for header, frame in ended]


def said(frame: bytes) -> str:
    """The data, or the status without STATUS_."""
    status = Header.unpack_from(frame).status
    if status in (Status.SUCCESS, Status.BUFFER_OVERFLOW):
        return frame[80:].decode() + "..." * (status == Status.BUFFER_OVERFLOW)
    return status_name(status).removeprefix("STATUS_")


@pytest.fixture
def pipe(wire: Any) -> PipeReader:
    return PipeReader(wire)


def test_a_pipe_gives_its_answer_in_pieces(pipe: PipeReader) -> None:
    pipe.write(b"0123456789")
    assert [pipe.ask(4)[1], pipe.ask(0)[1], pipe.ask()[1]] == ["0123...", "\0...", "456789"]


@pytest.mark.parametrize("length", [0, 100])
def test_an_empty_pipe_is_waited_for(pipe: PipeReader, length: int) -> None:
    reading, said = pipe.ask(length)
    assert said == "PENDING"
    assert pipe.write(b"0123") == [(reading, "0123" if length else "\0...")]
    assert not pipe.state.readers


def test_who_asks_first_is_answered_first(pipe: PipeReader) -> None:
    """Though the last one comes when there is an answer again."""
    first, second = pipe.ask(3)[0], pipe.ask()[0]
    pipe.pipe.write(b"abcdef")
    third, said = pipe.ask()
    assert said == "PENDING"
    assert pipe.write(b"ghi") == [(first, "abc..."), (second, "def"), (third, "ghi")]


def test_who_does_not_wait_any_more_is_passed_over(pipe: PipeReader) -> None:
    first, second = pipe.ask()[0], pipe.ask()[0]
    assert pipe.cancel(first) == [(first, "CANCELLED")]
    assert pipe.write(b"abc") == [(second, "abc")]


def test_an_answer_that_crosses_a_cancel_is_the_next_ones(pipe: PipeReader) -> None:
    first, second = pipe.ask()[0], pipe.ask()[0]
    pipe.pipe.write(b"abc")
    assert pipe.cancel(first) == [(first, "CANCELLED"), (second, "abc")]
    assert not pipe.state.readers


def test_a_write_that_breaks_the_pipe_ends_what_waits(wire: Any, pipe: PipeReader) -> None:
    description = describe_server(
        wire.server.settings, (), user="u", restricted=False, names=None, now_ns=0, start_ns=0
    )
    pipe.state.pipe = open_pipe("srvsvc", lambda: description)
    reading, _ = pipe.ask()
    ids = {"file_id_persistent": pipe.peer.file.persistent, "file_id_volatile": pipe.peer.file.volatile}
    garbage = pack_write_request(WriteRequest(length=100, offset=0, flags=0, **ids), bytes(100))
    frames = [frame for _, frame in pipe.peer.send(Command.WRITE, garbage)]
    assert [said(frame) for frame in frames] == ["PIPE_BROKEN", "PIPE_BROKEN"]
    assert Header.unpack_from(frames[1]).message_id == reading


def test_a_pipe_that_breaks_ends_what_waits(pipe: PipeReader) -> None:
    waits = [pipe.ask()[0] for _ in range(2)]
    pipe.pipe.broken = True
    assert pipe.write(b"abc") == [(waits[0], "abc"), (waits[1], "PIPE_BROKEN")]
    assert pipe.ask()[1] == "PIPE_BROKEN"


def test_the_end_of_a_pipe_ends_what_waits(pipe: PipeReader) -> None:
    waits = [pipe.ask()[0] for _ in range(2)]
    assert pipe.close() == [(reading, "PIPE_BROKEN") for reading in waits]
    pipe = PipeReader(pipe.wire)
    waits = [pipe.ask()[0] for _ in range(2)]
    assert pipe.ended(Command.LOGOFF, LogoffRequest().pack()) == [(reading, "PIPE_BROKEN") for reading in waits]


def test_what_waits_for_a_pipe_ends_with_its_connection(pipe: PipeReader) -> None:
    """There would be nobody to tell the answer; another connection of the session may ask for it."""
    pipe.ask()
    other = pipe.wire.client()
    other.negotiate([Dialect.SMB_3_1_1])
    other.bind(pipe.peer, "u", "p")
    pipe.peer.connection.close()
    assert not pipe.state.readers
    assert not pipe.state.closed
    assert not pipe.state.pins
    other.file = pipe.peer.file
    pipe.pipe.write(b"abc")
    assert other.read(other.file, 0, 100) == b"abc"


def test_only_the_last_request_of_a_compound_may_wait_for_a_pipe(pipe: PipeReader) -> None:
    peer = pipe.peer
    reads = [peer.message(Command.READ, body(peer), tree_id=peer.tree) for _ in range(2)]
    reads[0] += bytes(-len(reads[0]) % 8)
    reads[0][20:24] = len(reads[0]).to_bytes(4, "little")
    frames = peer.connection.receive(peer.protect(reads[0]) + peer.protect(reads[1]))
    assert [said(frame) for frame in frames] == ["INTERNAL_ERROR", "PENDING"]
