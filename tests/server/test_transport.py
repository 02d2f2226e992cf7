"""smbport.server.transport: frames out of bytes, however they were cut; bytes out of parts, however they are taken."""

import errno
import socket
from collections.abc import Iterable, Iterator

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from smbport.commands.call import FileRange
from smbport.server.transport import (
    BUFFER_SIZE,
    GATHER_PARTS,
    JOINED_BYTES,
    POOLED_BYTES,
    BufferPool,
    Receiver,
    Sender,
)
from smbport.state.settings import Limits, Settings
from smbport.testing.direct import new_server
from smbport.testing.memory import MemoryPlatform
from smbport.users import MemoryUsers
from smbport.wire.status import Disconnect

LIMIT = 1 << 20


def framed(*messages: bytes) -> bytes:
    return b"".join(len(message).to_bytes(4, "big") + message for message in messages)


def messages_of(*lengths: int) -> list[bytes]:
    return [bytes([number]) * length for number, length in enumerate(lengths, 1)]


def taken(receiver: Receiver, limit: int = LIMIT) -> list[bytes]:
    return [bytes(frame) for frame in frames_of(receiver, limit)]


def frames_of(receiver: Receiver, limit: int = LIMIT) -> Iterator[memoryview]:
    while (frame := receiver.next_frame(limit)) is not None:
        yield frame


async def arrived(receiver: Receiver, sock: socket.socket) -> bool:
    await trio.lowlevel.wait_readable(sock)
    return receiver.receive()


async def received_in_pieces(pair, pieces: Iterable[bytes]) -> list[bytes]:
    ours, theirs = pair
    receiver = Receiver(ours, BufferPool())
    found = []
    for piece in pieces:
        theirs.sendall(piece)
        while is_more_there(ours):
            assert await arrived(receiver, ours)
            found += taken(receiver)
    return found


def is_more_there(sock: socket.socket) -> bool:
    """One receive takes no more than the buffer has room for."""
    try:
        return bool(sock.recv(1, socket.MSG_PEEK))
    except BlockingIOError:
        return False


# Receiving ------------------------------------------------------------------------------------------------------


async def test_frames_cut_at_every_byte(pair) -> None:
    messages = messages_of(1, 0, 7, 64, 3)
    stream = framed(*messages)
    for cut in range(1, len(stream)):
        assert await received_in_pieces(pair, [stream[:cut], stream[cut:]]) == messages


async def test_frames_that_come_byte_by_byte(pair) -> None:
    messages = messages_of(5, 0, 0, 70)
    stream = framed(*messages)
    assert await received_in_pieces(pair, [stream[at : at + 1] for at in range(len(stream))]) == messages


@given(
    st.lists(st.integers(0, 3 * BUFFER_SIZE), max_size=6),
    st.lists(st.integers(1, 2 * BUFFER_SIZE), max_size=12),
    st.sets(st.integers(0, 5)),
)
def test_frames_of_any_size_in_any_pieces(lengths: list[int], cuts: list[int], kept: set[int]) -> None:
    """Also when some of them are kept, as those are whose handler waits."""
    messages = messages_of(*lengths)
    stream = framed(*messages)
    found: list[memoryview] = []

    async def main() -> None:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            ours.setblocking(False)
            receiver = Receiver(ours, BufferPool())
            position = 0
            for size in [*cuts, len(stream)]:
                piece = memoryview(stream)[position : position + size]
                position += size
                while piece or is_more_there(ours):
                    piece = piece[theirs.send(piece[:50_000]) :]
                    assert await arrived(receiver, ours)
                    for frame in frames_of(receiver):
                        if len(found) in kept:
                            receiver.abandon()
                            found.append(frame)
                        else:
                            found.append(memoryview(bytes(frame)))

    trio.run(main)
    assert [bytes(frame) for frame in found] == messages


async def test_a_frame_as_large_as_the_buffer_and_a_little_larger(pair) -> None:
    for length in (BUFFER_SIZE - 5, BUFFER_SIZE - 4, BUFFER_SIZE - 3, BUFFER_SIZE, 2 * BUFFER_SIZE):
        messages = messages_of(9, length, 9)
        stream = framed(*messages)
        pieces = [stream[at : at + 9000] for at in range(0, len(stream), 9000)]
        assert await received_in_pieces(pair, pieces) == messages


async def test_the_prefix_alone_decides_that_a_frame_is_too_long(pair) -> None:
    ours, theirs = pair
    receiver = Receiver(ours, BufferPool())
    theirs.sendall(framed(b"good") + (LIMIT + 1).to_bytes(4, "big"))
    await arrived(receiver, ours)
    assert receiver.next_frame(LIMIT) == b"good"
    with pytest.raises(Disconnect, match="frame of 1048577 bytes, 1048576 are allowed now"):
        receiver.next_frame(LIMIT)


async def test_a_frame_at_the_limit_is_good(pair) -> None:
    ours, theirs = pair
    receiver = Receiver(ours, BufferPool())
    theirs.sendall(framed(bytes(100)))
    await arrived(receiver, ours)
    assert taken(receiver, 100) == [bytes(100)]


@pytest.mark.parametrize("first", [1, 0x81, 0x85, 0xFF])
async def test_a_first_byte_that_is_not_zero(pair, first: int) -> None:
    ours, theirs = pair
    receiver = Receiver(ours, BufferPool())
    theirs.sendall(bytes([first, 0, 0, 0]))
    await arrived(receiver, ours)
    with pytest.raises(Disconnect, match="not 0"):
        taken(receiver)


async def test_the_end_of_the_stream(pair) -> None:
    ours, theirs = pair
    receiver = Receiver(ours, BufferPool())
    theirs.sendall(framed(b"last")[:-1])
    theirs.shutdown(socket.SHUT_WR)
    assert await arrived(receiver, ours)
    assert taken(receiver) == []
    assert not await arrived(receiver, ours)


async def test_an_abandoned_frame_is_never_written_again(pair) -> None:
    ours, theirs = pair
    pool = BufferPool()
    receiver = Receiver(ours, pool)
    kept = []
    for number in range(1, 20):
        theirs.sendall(framed(bytes([number]) * 1000, b"small", bytes(2000))[:-500])
        await arrived(receiver, ours)
        for frame in frames_of(receiver):
            if len(frame) == 1000:
                receiver.abandon()
                kept.append((number, frame))
        theirs.sendall(bytes(500))
        await arrived(receiver, ours)
        assert len(taken(receiver)) == 1
    assert all(frame == bytes([number]) * 1000 for number, frame in kept)


async def test_an_idle_receiver_holds_no_buffer(pair) -> None:
    ours, theirs = pair
    pool = BufferPool()
    receiver = Receiver(ours, pool)
    theirs.sendall(framed(b"one"))
    await arrived(receiver, ours)
    assert taken(receiver) == [b"one"]
    receiver.rest()
    assert pool.spare_bytes == BUFFER_SIZE
    theirs.sendall(framed(b"two"))
    await arrived(receiver, ours)
    assert not pool.spare_bytes
    receiver.release()
    receiver.release()
    assert pool.spare_bytes == BUFFER_SIZE


async def test_large_frames_in_a_row_are_received_in_one_buffer_that_is_used_again(pair) -> None:
    """Each in few calls: the first bytes, before its length is known, and the rest at once."""
    ours, theirs = pair
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    pool = BufferPool()
    receiver = Receiver(ours, pool)
    length = 3 * BUFFER_SIZE
    for number in range(4):
        theirs.setblocking(False)
        rest = memoryview(framed(bytes([number]) * length) + framed(b"next")[:6])
        found: list[bytes] = []
        calls = 0
        while rest or not found:
            if rest:
                rest = rest[theirs.send(rest) :]
            await arrived(receiver, ours)
            calls += 1
            found += taken(receiver)
        assert found == [bytes([number]) * length]
        assert calls <= 3
        theirs.sendall(framed(b"next")[6:])
        while not taken(receiver):
            await arrived(receiver, ours)
        receiver.release()
    assert pool.spare_bytes == BUFFER_SIZE + 4 * BUFFER_SIZE, "one of each size"


def test_the_pool_keeps_no_more_than_it_may() -> None:
    pool = BufferPool()
    for size in (1, BUFFER_SIZE, 2 * BUFFER_SIZE, POOLED_BYTES // 2 + 1):
        buffers = [pool.take(size) for _ in range(POOLED_BYTES // BUFFER_SIZE + 10)]
        assert all(len(buffer) >= size for buffer in buffers)
        for buffer in buffers:
            pool.give_back(buffer)
        assert pool.spare_bytes <= POOLED_BYTES
    assert pool.spare_bytes == POOLED_BYTES


# Sending --------------------------------------------------------------------------------------------------------


class Script:
    """A socket that takes as many bytes at a time as it is told to, and what a zero copy power does to it.

    0 is "nothing now", after which the file may have shrunk, -1 is that data of a file must be waited for; behind the
    end of the script, everything is taken.
    """

    def __init__(self, counts: Iterable[int] = (), *, real: socket.socket | None = None) -> None:
        self._counts = list(counts)
        self._real = real
        self.got = bytearray()
        self.calls = 0
        self.gathered = 0  # of them, those with several buffers

    def fileno(self) -> int:
        """Of a socket that is always writable, so that the next attempt comes at once."""
        assert self._real is not None
        return self._real.fileno()

    def _take(self) -> int:
        self.calls += 1
        count = self._counts.pop(0) if self._counts else 1 << 30
        if not count:
            raise BlockingIOError(errno.EAGAIN, "nothing now")
        return count

    def _is_cold(self) -> bool:
        return self._counts[:1] == [-1] and bool(self._counts.pop(0))

    def sendmsg(self, parts: list[bytes]) -> int:
        self.gathered += 1
        return self.send(b"".join(parts))

    def send(self, data: bytes) -> int:
        self._is_cold()  # which is no matter of what is in memory
        taken = data[: self._take()]
        self.got += taken
        return len(taken)

    def send_file(self, head: memoryview, file: "StubFile", offset: int, length: int) -> int:
        cold = self._is_cold()
        if cold and not head:
            raise OSError(errno.EBUSY, "not in memory")
        room = min(self._take(), len(head) if cold else 1 << 30)
        data = bytes(head[:room])
        data += file.content[offset : offset + min(length, room - len(data))]
        file.shrink()
        self.got += data
        return len(data)


class ScriptedZeroCopy:
    min_length = 1
    needs_cached = False

    def __init__(self, script: Script) -> None:
        self._script = script

    def send(self, sock: Script, head: memoryview, file: "StubFile", offset: int, length: int) -> int:
        assert sock is self._script
        return sock.send_file(head, file, offset, length)


class StubFile:
    """A file that loses its tail after so many calls."""

    def __init__(self, content: bytes, size_later: int, calls: int) -> None:
        self.content = content
        self._size_later = size_later
        self._calls = calls

    def read_at(self, offset: int, length: int, *, wait: bool) -> bytes:
        assert wait
        self.shrink()
        return self.content[offset : offset + length]

    def shrink(self) -> None:
        self._calls -= 1
        if not self._calls:
            self.content = self.content[: self._size_later]


class StubOpen:
    closed = True

    def __init__(self) -> None:
        self.pins = 1
        self.released = 0

    def release_handle(self) -> None:
        self.released += 1


class Bench:
    """A sender on a scripted socket."""

    def __init__(self, script: Script | socket.socket, *, send_timeout_s: float = 60) -> None:
        platform = MemoryPlatform()
        platform.zero_copy = ScriptedZeroCopy(script) if isinstance(script, Script) else None  # type: ignore[assignment]
        settings = Settings(server_guid=bytes(16), limits=Limits(send_timeout_s=send_timeout_s))
        self.failures: list[str] = []
        self.tasks: list = []
        server = new_server(settings, platform, MemoryUsers({}))
        self.sender = Sender(script, server, self.tasks.append, self.failures.append)  # type: ignore[arg-type]

    async def finish(self) -> None:
        """Run the tasks that the sender wants to have started."""
        for task in self.tasks:
            await task()


PIECES = st.one_of(
    st.binary(max_size=300),
    st.tuples(st.binary(min_size=1, max_size=80), st.integers(1, 400), st.integers(0, 500), st.integers(1, 4)),
)


@pytest.mark.pure_only  # the open is a stand-in
@given(st.lists(PIECES, max_size=12), st.lists(st.integers(-1, 200), max_size=60))
def test_what_was_queued_arrives_whatever_is_taken_at_a_time(pieces: list, counts: list[int]) -> None:
    """Buffers and file ranges in order; a file that shrinks is filled up with zeroes; all pins are released."""
    ours, theirs = socket.socketpair()
    script = Script(counts, real=ours)
    bench = Bench(script)
    expected: list[bytes] = []
    files: list[tuple[int, bytes]] = []
    opens: list[StubOpen] = []
    for number, piece in enumerate(pieces):
        if isinstance(piece, bytes):
            bench.sender.queue([piece])
            expected.append(piece)
            continue
        head, length, size_later, calls = piece
        content = bytes([number + 1]) * (length + 10)
        opened = StubOpen()
        opens.append(opened)
        file = StubFile(content, size_later, calls)
        bench.sender.queue([head, FileRange(opened, file, 10, length)])  # type: ignore[arg-type]
        expected.append(head)
        files.append((sum(map(len, expected)), content[10:]))
        expected.append(content[10:])
    with ours, theirs:
        bench.sender.flush()
        trio.run(bench.finish)
    wanted = b"".join(expected)
    got = bytes(script.got)
    assert len(got) == len(wanted)
    for start, content in files:
        end = start + len(content)
        sent = got[start:end].rstrip(b"\0")
        assert content.startswith(sent)
        wanted = wanted[:start] + got[start:end] + wanted[end:]
    assert got == wanted
    assert bench.sender.queued_bytes == 0
    assert not bench.failures
    assert all(opened.pins == 0 and opened.released == 1 for opened in opens)


@pytest.mark.pure_only  # the open is a stand-in
@given(st.integers(1, 5 << 16), st.integers(0, 5 << 16))
def test_a_file_that_shrank_is_zeroes_to_the_promised_length(length: int, size: int) -> None:
    script, opened = Script(), StubOpen()
    bench = Bench(script)
    file = StubFile(b"x" * size, 0, 0)
    bench.sender.queue([b"head", FileRange(opened, file, 0, length), b"next"])  # type: ignore[arg-type]
    bench.sender.flush()
    assert script.got == b"head" + (b"x" * min(size, length)).ljust(length, b"\0") + b"next"
    assert opened.pins == 0


def test_small_answers_leave_in_one_call() -> None:
    script = Script()
    bench = Bench(script)
    for number in range(GATHER_PARTS):
        assert not bench.sender.wants_flush
        bench.sender.queue([bytes([number])])
    assert bench.sender.wants_flush
    bench.sender.flush()
    assert script.calls == 1
    assert script.got == bytes(range(GATHER_PARTS))


def test_small_buffers_are_put_together_and_large_ones_stay_where_they_are() -> None:
    script = Script()
    bench = Bench(script)
    for size, gathered in ((JOINED_BYTES - 1, 0), (JOINED_BYTES, 1)):
        bench.sender.queue([bytes(size), b"x"])
        bench.sender.flush()
        assert (script.calls, script.gathered) == (1 + gathered, gathered)
    assert script.got == bytes(JOINED_BYTES - 1) + b"x" + bytes(JOINED_BYTES) + b"x"


@pytest.mark.pure_only  # the open is a stand-in
def test_what_stands_before_a_file_range_leaves_first_and_its_head_with_it() -> None:
    script = Script()
    bench = Bench(script)
    file, opened = StubFile(b"data", 0, 0), StubOpen()
    bench.sender.queue([b"a", b"b", b"head", FileRange(opened, file, 0, 4), b"c"])  # type: ignore[arg-type]
    bench.sender.flush()
    assert script.got == b"abheaddatac"
    assert script.calls == 3


def test_empty_parts_do_not_stop_it() -> None:
    script = Script()
    bench = Bench(script)
    bench.sender.queue([b"", b"one", b"", b""])
    bench.sender.flush()
    bench.sender.queue([b""])
    bench.sender.flush()
    assert script.got == b"one"
    assert bench.sender.queued_bytes == 0


async def test_the_task_sends_what_is_added_meanwhile() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        script = Script([0, 3, 0, 2], real=ours)
        bench = Bench(script)
        bench.sender.queue([b"first"])
        bench.sender.flush()
        bench.sender.queue([b"second"])
        bench.sender.flush()
        assert len(bench.tasks) == 1
        await bench.finish()
    assert script.got == b"firstsecond"


async def test_an_error_of_the_socket_fails_the_connection(pair) -> None:
    ours, theirs = pair
    bench = Bench(ours)
    theirs.close()
    bench.sender.queue([b"lost"])
    bench.sender.flush()
    assert bench.failures == ["sending failed: Broken pipe"]


async def test_an_error_of_the_socket_fails_the_connection_later_too(pair) -> None:
    ours, theirs = pair
    bench = Bench(ours)
    fill(ours)
    bench.sender.queue([b"lost"])
    bench.sender.flush()
    theirs.close()
    await bench.finish()
    assert bench.failures in (["sending failed: Broken pipe"], ["sending failed: Connection reset by peer"])


def fill(sock: socket.socket) -> int:
    """Send until the socket takes no more."""
    count = 0
    while True:
        try:
            count += sock.send(bytes(1000))
        except BlockingIOError:
            return count


async def test_a_client_that_takes_nothing_is_given_up(pair, autojump_clock) -> None:
    ours, _ = pair
    bench = Bench(ours, send_timeout_s=7)
    fill(ours)
    bench.sender.queue([b"never"])
    bench.sender.flush()
    begin = trio.current_time()
    await bench.finish()
    assert bench.failures == ["the client took no byte for 7 s"]
    assert trio.current_time() - begin == 7


async def test_a_client_that_takes_a_little_is_not_given_up(pair, autojump_clock) -> None:
    """Too little for the socket to be called writable, but bytes all the same."""
    ours, theirs = pair
    bench = Bench(ours, send_timeout_s=7)
    fill(ours)
    bench.sender.queue([bytes(500)] * GATHER_PARTS * 30)
    queued = bench.sender.queued_bytes
    bench.sender.flush()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(bench.finish)
        for _ in range(8):
            await trio.sleep(6)
            theirs.recv(70_000)
            assert not bench.failures
    assert bench.failures == ["the client took no byte for 7 s"]
    assert 0 < bench.sender.queued_bytes < queued


async def test_waiting_for_space_ends_as_soon_as_there_is_some(nursery) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        bench = Bench(ours)
        fill(ours)
        bench.sender.queue([bytes(1000)] * 100)
        bench.sender.flush()
        nursery.start_soon(bench.finish)
        await bench.sender.wait_for_space(100_000)
        async with trio.open_nursery() as waiting:
            for limit in (90_000, 50_000, 0):
                waiting.start_soon(bench.sender.wait_for_space, limit)
            client = trio.SocketStream(trio.socket.from_stdlib_socket(theirs))
            while bench.sender.queued_bytes:
                await client.receive_some(10_000)
        await client.aclose()


@pytest.mark.pure_only  # the open is a stand-in
def test_closing_drops_what_is_queued_and_what_is_queued_afterwards() -> None:
    script = Script([0])
    bench = Bench(script)
    for _ in range(2):
        opened = StubOpen()
        bench.sender.queue([b"head", FileRange(opened, StubFile(b"data", 0, 0), 0, 4)])  # type: ignore[arg-type]
        bench.sender.close()
        assert opened.pins == 0
        assert opened.released == 1
        assert bench.sender.queued_bytes == 0
        bench.sender.flush()
    assert script.got == b""
