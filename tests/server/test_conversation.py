"""smbport.server.conversation, over real sockets: what is answered, in which order, and what that costs others."""

import gc
import logging
import tracemalloc
from collections import Counter

import pytest
import trio

from smbport.server import transport
from smbport.server.connection import ClientConnection
from smbport.server.transport import BUFFER_SIZE
from smbport.state.settings import Settings, ShareSettings
from smbport.testing import pages
from smbport.testing.handles import MemoryFile
from smbport.testing.memory import MemoryPlatform
from smbport.wire.constants import Command, LockFlag
from smbport.wire.echo import EchoRequest
from smbport.wire.header import HEADER_SIZE
from smbport.wire.negotiate import NegotiateResponse
from smbport.wire.status import Status

ECHO = EchoRequest().pack()


def framed(request) -> bytes:
    return len(request.frame).to_bytes(4, "big") + request.frame


def only_connection(world) -> ClientConnection:
    [connection] = world.listener.connections
    return connection


# Frames ---------------------------------------------------------------------------------------------------------


async def test_requests_that_come_byte_by_byte(start) -> None:
    world = await start()
    peer, _ = await world.log_on()
    stream = b"".join(framed(peer.echo()) for _ in range(3))
    for at in range(len(stream)):
        peer.sock.sendall(stream[at : at + 1])
        await trio.testing.wait_all_tasks_blocked()
    assert list((await peer.answers(3)).values()) == [Status.SUCCESS] * 3


async def test_many_frames_in_one_receive_are_answered_in_one_send(start, monkeypatch: pytest.MonkeyPatch) -> None:
    world = await start()
    peer, _ = await world.log_on()
    calls: list[int] = []
    sender = only_connection(world).conversation.sender

    class Counting:
        def __init__(self, inner) -> None:
            self.inner = inner

        def send(self, data) -> int:
            calls.append(len(data))
            return self.inner.send(data)

    sender._socket = Counting(sender._socket)
    sent = peer.send(*(peer.echo() for _ in range(50)))
    assert list(await peer.answers(50)) == sent
    assert len(calls) == 1


async def test_a_frame_larger_than_the_buffer_and_small_ones_behind_it(start) -> None:
    world = await start()
    peer, tree = await world.log_on()
    file = await peer.do(peer.open, tree, "f")
    data = bytes(range(256)) * 2048
    assert len(data) > 4 * BUFFER_SIZE
    requests = [peer.writing(file, 0, data), *(peer.echo() for _ in range(5)), peer.writing(file, 10, b"small")]
    sent = await peer.do(peer.send, *requests)
    assert list(await peer.answers(7)) == sent
    assert await peer.do(peer.read, file, 0, len(data)) == data[:10] + b"small" + data[15:]


async def test_little_is_taken_before_a_session_and_more_afterwards(start) -> None:
    world = await start(frame_before_session=5000)
    stranger = world.connect()
    await stranger.do(stranger.negotiate)
    peer, tree = await world.log_on()
    file = await peer.do(peer.open, tree, "f")
    assert await peer.do(peer.write, file, 0, bytes(1 << 20)) == 1 << 20
    stranger.sock.sendall((5001).to_bytes(4, "big"))
    assert await stranger.is_gone()
    peer.sock.sendall(((8 << 20) + 65536 + 1).to_bytes(4, "big"))
    assert await peer.is_gone()


async def test_after_logoff_it_is_little_again(start) -> None:
    world = await start()
    peer, _ = await world.log_on()
    await peer.do(peer.call, Command.LOGOFF, bytes.fromhex("04000000"))
    peer.sock.sendall((65537).to_bytes(4, "big"))
    assert await peer.is_gone()


async def test_an_smb1_client_is_told_to_speak_smb2(start) -> None:
    world = await start()
    peer = world.connect()
    dialects = b"\2NT LM 0.12\0\2SMB 2.???\0"
    peer.link.send(b"\xffSMB\x72" + bytes(27) + b"\0" + len(dialects).to_bytes(2, "little") + dialects)
    answer = await peer.do(peer.link.receive)
    assert answer.startswith(b"\xfeSMB")
    assert NegotiateResponse.unpack_from(answer, HEADER_SIZE).dialect_revision == 0x02FF


@pytest.mark.parametrize("first", [0x81, 0x85, 0xFF])
async def test_a_bad_first_byte_ends_the_connection_with_one_line(start, caplog, first: int) -> None:
    caplog.set_level(logging.INFO, "smbport")
    world = await start()
    peer = world.connect()
    peer.sock.sendall(bytes([first, 0, 0, 4]) + bytes(4))
    assert await peer.is_gone()
    assert [record.getMessage() for record in caplog.records] == [
        f"connection of 127.0.0.1 ended: direct TCP frame begins with 0x{first:02x}, not 0"
    ]


async def test_what_stands_before_garbage_is_answered(start) -> None:
    world = await start()
    peer, _ = await world.log_on()
    peer.sock.sendall(framed(peer.echo()) + b"\0\0\0\4SPAM")
    assert (await peer.answer()).status == Status.SUCCESS
    assert await peer.is_gone()


# Requests that leave for a thread -------------------------------------------------------------------------------


async def test_frames_stay_good_while_their_requests_are_in_threads(start, gate) -> None:
    """More arrives meanwhile, into another buffer."""
    world = await start()
    peer, tree = await world.log_on()
    file = await peer.do(peer.open, tree, "f")
    world.hold(gate, "File.write_at")
    stream, data = b"", b""
    for number in range(30):
        piece = bytes([number + 1]) * (100 if number % 3 else 70_000)
        stream += framed(peer.writing(file, len(data), piece))
        data += piece
    for at in range(0, len(stream), 10_000):
        peer.sock.sendall(stream[at : at + 10_000])
        await trio.testing.wait_all_tasks_blocked()
    await world.until(lambda: gate.arrived == 30)
    gate.open()
    assert Counter((await peer.answers(30)).values()) == {Status.SUCCESS: 30}
    world.faults.clear()
    assert await peer.do(peer.read, file, 0, len(data)) == data


async def test_answers_overtake_those_that_take_longer(start, gate) -> None:
    world = await start()
    peer, tree = await world.log_on()
    file = await peer.do(peer.open, tree, "f")
    await peer.do(peer.write, file, 0, b"data")
    world.hold(gate, "File.read_at")
    slow, quick = peer.send(peer.reading(file, 0, 4), peer.echo())
    assert list(await peer.answers(1)) == [quick]
    gate.open()
    assert await peer.answers(1) == {slow: Status.SUCCESS}


@pytest.mark.parametrize("dialect", [0x0202, 0x0311])
async def test_everything_in_threads(start, dialect: int) -> None:
    world = await start()
    world.faults.force_threads()
    peer, tree = await world.log_on(dialect)
    file = await peer.do(peer.open, tree, "f")
    sent = peer.send(*(peer.writing(file, number * 1000, bytes([number]) * 1000) for number in range(60)))
    assert set(await peer.answers(60)) == set(sent)
    content = await peer.do(peer.read, file, 0, 60_000)
    assert content == b"".join(bytes([number]) * 1000 for number in range(60))
    await peer.do(peer.close, file)
    await world.until(lambda: not world.memory.open_handles)


async def test_an_idle_connection_costs_little(start) -> None:
    """64 kB at most, and no receive buffer, whatever it has done before."""
    world = await start()
    tracemalloc.start()
    try:
        await world.log_on()
        gc.collect()
        before, _ = tracemalloc.get_traced_memory()
        for number in range(30):
            peer, tree = await world.log_on()
            file = await peer.do(peer.open, tree, str(number))
            await peer.do(peer.write, file, 0, bytes(200_000))
        gc.collect()
        snapshot = tracemalloc.take_snapshot()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    content = sum(trace.size for trace in snapshot.filter_traces([tracemalloc.Filter(True, pages.__file__)]).traces)
    buffers = snapshot.filter_traces([tracemalloc.Filter(True, transport.__file__)]).traces
    assert (after - before - content) / 30 < 64_000, "with all that the client in this process needs"
    assert sum(trace.size for trace in buffers) < 8 * BUFFER_SIZE, "those in the pool: one or two of each size"


async def test_no_request_waits_for_the_collector(start) -> None:
    """Frames of 8 MiB and answers of the same size must not live until a cyclic collection happens to come."""
    world = await start()
    peer, tree = await world.log_on()
    file = await peer.do(peer.open, tree, "f")

    async def work() -> None:
        await peer.do(peer.write, file, 0, bytes(1000))
        await peer.do(peer.read, file, 0, 1000)
        world.faults.force_threads("File.read_at")
        await peer.do(peer.read, file, 0, 1000)
        world.faults.clear()

    await work()
    gc.collect()
    gc.disable()
    try:
        for _ in range(5):
            await work()
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        kinds = Counter(type(item).__name__ for item in gc.garbage)
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
    for name in ("Call", "Chain", "Reply", "Running", "Wait", "memoryview", "coroutine"):
        assert kinds[name] == 0, kinds


# Limits ---------------------------------------------------------------------------------------------------------


async def test_no_more_requests_run_than_may(start, gate) -> None:
    world = await start(running_requests=3)
    peer, tree = await world.log_on()
    file = await peer.do(peer.open, tree, "f")
    await peer.do(peer.write, file, 0, b"data")
    world.hold(gate, "File.read_at")
    first, *sent = peer.send(peer.echo(), *(peer.reading(file, 0, 4) for _ in range(7)))
    assert list(await peer.answers(1)) == [first], "what is ready goes out before anybody is waited for"
    await world.until(lambda: gate.arrived == 3)
    await trio.testing.wait_all_tasks_blocked()
    assert gate.arrived == 3
    assert len(only_connection(world).state.running) == 3
    gate.open()
    assert set(await peer.answers(7)) == set(sent)


async def test_no_more_bytes_are_promised_than_may_be_queued(start, gate) -> None:
    world = await start(queued_bytes=1 << 20)
    peer, tree = await world.log_on()
    file = await peer.do(peer.open, tree, "f")
    await peer.do(peer.write, file, 0, bytes(1 << 20))
    world.hold(gate, "File.read_at")
    sent = peer.send(*(peer.reading(file, 0, 512 << 10) for _ in range(6)))
    await world.until(lambda: gate.arrived == 3)
    await trio.testing.wait_all_tasks_blocked()
    assert gate.arrived == 3
    gate.open()
    assert set(await peer.answers(6)) == set(sent)


async def test_requests_that_wait_do_not_count_as_running(start) -> None:
    """Else the request that ends their wait would never be read."""
    world = await start(running_requests=2)
    peer, tree = await world.log_on()
    file, other = await peer.do(peer.open, tree, "f"), await peer.do(peer.open, tree, "f")
    peer.send(peer.locking(file, 0), peer.locking(file, 1))
    await peer.answers(2)
    waits = [peer.locking(other, 0), peer.locking(other, 1)]
    sent = peer.send(*waits, peer.locking(file, 0, LockFlag.UNLOCK), peer.locking(file, 1, LockFlag.UNLOCK))
    assert await peer.answers(4) == dict.fromkeys(sent, Status.SUCCESS)


async def test_no_more_requests_wait_than_may(start) -> None:
    world = await start(async_requests=3)
    peer, tree = await world.log_on()
    file, other = await peer.do(peer.open, tree, "f"), await peer.do(peer.open, tree, "f")
    peer.send(peer.locking(file))
    await peer.answers(1)
    waiting = peer.send(*(peer.locking(other) for _ in range(4)))
    [(refused, status)] = (await peer.answers(1)).items()
    assert status == Status.INSUFFICIENT_RESOURCES
    waiting.remove(refused)
    peer.send(peer.cancelling(waiting[1]))
    assert await peer.answers(1) == {waiting[1]: Status.CANCELLED}
    [waiting[1]] = peer.send(peer.locking(other))
    assert (await peer.answer()).status == Status.PENDING
    peer.send(*map(peer.cancelling, waiting))
    assert await peer.answers(3) == dict.fromkeys(waiting, Status.CANCELLED)


async def test_a_client_that_never_reads_is_not_read_either_and_at_last_given_up(start, mock_clock, caplog) -> None:
    caplog.set_level(logging.INFO, "smbport")
    world = await start(queued_bytes=1 << 20)
    greedy, tree = await world.log_on()
    file = await greedy.do(greedy.open, tree, "f")
    await greedy.do(greedy.write, file, 0, bytes(1 << 20))
    connection = only_connection(world)
    greedy.send(*(greedy.reading(file, 0, 1 << 20) for _ in range(40)))
    await world.until(lambda: connection.conversation.sender.queued_bytes > 1 << 20)
    await trio.testing.wait_all_tasks_blocked()
    assert connection.conversation.sender.queued_bytes <= 2 * ((1 << 20) + 80), "what was queued, and one more answer"
    assert world.faults.counts["File.read_at"] < 40
    other, _ = await world.log_on()
    await other.do(other.call, Command.ECHO, ECHO)
    mock_clock.jump(61)
    await world.until(lambda: connection not in world.listener.connections)
    assert "connection of 127.0.0.1 ended: the client took no byte for 60 s" in caplog.text
    await other.do(other.call, Command.ECHO, ECHO)
    other.link.close()
    await world.until_alone()


async def test_a_client_that_reads_again_gets_everything(start) -> None:
    world = await start(queued_bytes=1 << 20)
    greedy, tree = await world.log_on()
    file = await greedy.do(greedy.open, tree, "f")
    await greedy.do(greedy.write, file, 0, bytes(1 << 20))
    sent = greedy.send(*(greedy.reading(file, 0, 1 << 20) for _ in range(40)))
    await world.until(lambda: only_connection(world).conversation.sender.queued_bytes > 1 << 20)
    assert list(await greedy.answers(40)) == sent


async def test_a_turn_is_one_receive(start, monkeypatch: pytest.MonkeyPatch) -> None:
    """However much one client has sent, others wait for one receive of it at most."""
    world = await start()
    peer, tree = await world.log_on()
    file = await peer.do(peer.open, tree, "f")
    written: list[int] = []
    write_at = MemoryFile.write_at

    def record(self: MemoryFile, *args, **keywords) -> int:
        written.append(write_at(self, *args, **keywords))
        return written[-1]

    monkeypatch.setattr(MemoryFile, "write_at", record)
    sent = peer.send(*(peer.writing(file, 0, bytes(20_000)) for _ in range(30)))
    assert only_connection(world).conversation.on_readable()  # no task has had a turn since
    assert 1 <= len(written) <= BUFFER_SIZE // 20_000
    assert list(await peer.answers(30)) == sent


# Zero copy ------------------------------------------------------------------------------------------------------


class Miserly:
    """Takes a prime number of bytes at a time, and often nothing."""

    min_length = 1000
    needs_cached = True

    def __init__(self) -> None:
        self.calls = 0

    def send(self, sock, head, file, offset: int, length: int) -> int:
        self.calls += 1
        if self.calls % 3 == 0:
            raise BlockingIOError
        data = (bytes(head) + file.read_at(offset, length))[:9973]
        return sock.send(data) if data else 0


@pytest.fixture
async def miserly(start, monkeypatch: pytest.MonkeyPatch):
    """A server with zero copy, a client that does not sign, and its file with content."""
    monkeypatch.setattr(MemoryFile, "fileno", lambda self: 7)
    platform = MemoryPlatform()
    platform.zero_copy = Miserly()  # type: ignore[assignment]
    share = ShareSettings(name="s", path="v", run_as="server")
    world = await start(platform=platform, settings=Settings(shares=(share,), signing="offered"))
    world.memory = platform
    peer, tree = await world.log_on()
    file = await peer.do(peer.open, tree, "f")
    content = bytes(range(251)) * 2000
    await peer.do(peer.write, file, 0, content)
    peer.sign = False
    return world, peer, file, content


async def test_file_ranges_arrive_in_order_and_whole(miserly) -> None:
    world, peer, file, content = miserly
    requests = []
    expected = {}
    for number in range(30):
        request = peer.reading(file, number * 7, 50_000 if number % 4 else 100)
        requests += [request, peer.echo()]
        expected[request.message_id] = content[number * 7 :][: 50_000 if number % 4 else 100]
    sent = peer.send(*requests)
    arrived = []
    for _ in sent:
        header, frame = await peer.do(peer.receive)
        arrived.append(header.message_id)
        if header.command == Command.READ:
            assert frame[HEADER_SIZE + 16 :] == expected[header.message_id]
    assert arrived == sent
    await peer.do(peer.close, file)
    await world.until(lambda: not world.memory.open_handles)


async def test_a_file_that_shrinks_on_its_way_is_zeroes(miserly) -> None:
    world, peer, file, content = miserly
    zero_copy = world.memory.zero_copy
    send = zero_copy.send

    def shrinking(*args) -> int:
        if zero_copy.calls == 1:
            world.server.find_share("s").volume.open("f", 2).resize(20_000)
        return send(*args)

    zero_copy.send = shrinking
    peer.send(peer.reading(file, 0, 400_000), peer.echo())
    _, frame = await peer.do(peer.receive)
    assert frame[HEADER_SIZE + 16 :] == content[:20_000] + bytes(380_000)
    assert (await peer.answer()).command == Command.ECHO


@pytest.mark.parametrize("closed_before", [False, True])
async def test_ranges_that_never_leave_are_let_go(miserly, closed_before: bool) -> None:
    world, peer, file, _ = miserly
    peer.send(*(peer.reading(file, 0, 500_000) for _ in range(20)))
    connection = only_connection(world)
    await world.until(lambda: connection.conversation.sender.queued_bytes > 500_000)
    [opened] = world.server.sessions[peer.session_id].opens.values()
    assert opened.pins > 1
    if closed_before:
        world.server.close_open(opened)
        assert world.memory.open_handles == 1
    peer.reset()
    await world.until_alone()
    assert opened.pins == 0
