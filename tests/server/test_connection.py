"""smbport.server.connection, over real sockets: how requests are cancelled and connections end, in order, abruptly, or
by a bug; nothing stays.
"""

import gc
import logging
import socket
import tracemalloc

import pytest
import spnego
import trio

from smbport.server import transport
from smbport.server.transport import BUFFER_SIZE, POOLED_BYTES
from smbport.wire.constants import Command, HeaderFlag, LockFlag
from smbport.wire.create import CreateRequest, pack_create_request
from smbport.wire.echo import EchoRequest
from smbport.wire.file import WriteRequest, pack_write_request
from smbport.wire.header import Header
from smbport.wire.lock import LockElement, LockRequest, pack_lock_request
from smbport.wire.session import LogoffRequest, SessionSetupRequest, pack_session_setup_request
from smbport.wire.status import Disconnect, Status
from smbport.wire.tree import TreeDisconnectRequest

ECHO = EchoRequest().pack()
ALL_ONES = (1 << 64) - 1


async def two_opens(world):
    """A client with two opens of a file, of which the first holds a lock."""
    peer, tree = await world.log_on()
    first, second = await peer.do(peer.open, tree, "f"), await peer.do(peer.open, tree, "f")
    peer.send(peer.locking(first))
    assert list((await peer.answers(1)).values()) == [Status.SUCCESS]
    return peer, tree, first, second


async def wait_for_lock(peer, file) -> tuple[int, int]:
    """Message id and async id of a LOCK that waits."""
    [message_id] = peer.send(peer.locking(file))
    header = await peer.answer()
    assert (header.message_id, header.status) == (message_id, Status.PENDING)
    return message_id, header.async_id


# CANCEL, LOGOFF, TREE_DISCONNECT --------------------------------------------------------------------------------


@pytest.mark.parametrize("by_async_id", [False, True])
async def test_cancel_ends_a_wait(start, by_async_id: bool) -> None:
    world = await start()
    peer, _, first, second = await two_opens(world)
    message_id, async_id = await wait_for_lock(peer, second)
    bystander, _ = await wait_for_lock(peer, second)
    if by_async_id:
        message = peer.message(Command.CANCEL, bytes.fromhex("04000000"), message_id=0, flags=HeaderFlag.ASYNC_COMMAND)
        message[32:40] = async_id.to_bytes(8, "little")
        peer.link.send(peer.protect(message))
    else:
        peer.send(peer.cancelling(message_id))
    assert await peer.answers(1) == {message_id: Status.CANCELLED}
    peer.send(peer.cancelling(message_id), peer.cancelling(999))  # nothing of the sort
    [unlocked] = peer.send(peer.locking(first, flags=LockFlag.UNLOCK))
    assert await peer.answers(2) == {unlocked: Status.SUCCESS, bystander: Status.SUCCESS}


async def test_who_waits_for_a_lock_gets_it_before_who_asks_for_it_again(start) -> None:
    world = await start()
    peer, _, first, second = await two_opens(world)
    waiting, _ = await wait_for_lock(peer, second)
    unlocked, again = peer.send(peer.locking(first, flags=LockFlag.UNLOCK), peer.locking(first))
    assert await peer.answers(2) == {unlocked: Status.SUCCESS, waiting: Status.SUCCESS}
    [unlocked] = peer.send(peer.locking(second, flags=LockFlag.UNLOCK))
    assert await peer.answers(2) == {unlocked: Status.SUCCESS, again: Status.SUCCESS}


async def test_cancel_without_signature_is_ignored(start) -> None:
    world = await start()
    peer, _, first, second = await two_opens(world)
    message_id, _ = await wait_for_lock(peer, second)
    peer.sign = False
    peer.send(peer.cancelling(message_id))
    peer.sign = True
    [unlocked] = peer.send(peer.locking(first, flags=LockFlag.UNLOCK))
    assert await peer.answers(2) == {unlocked: Status.SUCCESS, message_id: Status.SUCCESS}


async def test_another_client_cannot_cancel(start) -> None:
    world = await start()
    peer, _, first, second = await two_opens(world)
    message_id, _ = await wait_for_lock(peer, second)
    other, _ = await world.log_on()
    other.send(other.cancelling(message_id))
    await other.do(other.call, Command.ECHO, ECHO)
    [unlocked] = peer.send(peer.locking(first, flags=LockFlag.UNLOCK))
    assert await peer.answers(2) == {unlocked: Status.SUCCESS, message_id: Status.SUCCESS}


@pytest.mark.parametrize("create_in_a_thread", [False, True])
async def test_cancel_of_a_request_inside_a_compound(start, create_in_a_thread: bool) -> None:
    """It is known by its own message id, not by that of the request that made the chain a task."""
    world = await start()
    peer, tree, _, _ = await two_opens(world)
    if create_in_a_thread:
        world.faults.force_threads("Volume.open")
    ids, frame = create_and_lock(peer, tree, "f")
    peer.link.send(frame)
    assert (await peer.answer()).message_id == ids[0]
    pending = await peer.answer()
    assert (pending.message_id, pending.status) == (ids[1], Status.PENDING)
    peer.send(peer.cancelling(ids[0]))  # was answered already
    peer.send(peer.cancelling(ids[1]))
    assert await peer.answers(1) == {ids[1]: Status.CANCELLED}


def create_and_lock(peer, tree: int, name: str) -> tuple[list[int], bytes]:
    """A compound: CREATE, and a LOCK of what it opened."""
    request = CreateRequest(
        requested_oplock_level=0, impersonation_level=2, desired_access=0x12019F, file_attributes=0, share_access=7,
        create_disposition=1, create_options=0,
    )  # fmt: skip
    create = peer.message(Command.CREATE, pack_create_request(request, name), tree_id=tree)
    create += bytes(-len(create) % 8)
    create[20:24] = len(create).to_bytes(4, "little")
    file_of_create = LockRequest(file_id_persistent=ALL_ONES, file_id_volatile=ALL_ONES)
    body = pack_lock_request(file_of_create, [LockElement(offset=0, length=1, flags=LockFlag.EXCLUSIVE)])
    lock = peer.message(Command.LOCK, body, tree_id=tree, flags=HeaderFlag.RELATED_OPERATIONS)
    ids = [Header.unpack_from(message).message_id for message in (create, lock)]
    return ids, peer.protect(create) + peer.protect(lock)


def compound_of_locks(peer, tree, file):
    """Three requests for the same range; their ids, and the frame."""
    body = pack_lock_request(
        LockRequest(file_id_persistent=file.persistent, file_id_volatile=file.volatile),
        [LockElement(offset=0, length=1, flags=LockFlag.EXCLUSIVE)],
    )
    locks = [peer.message(Command.LOCK, body, tree_id=tree) for _ in range(3)]
    ids = [Header.unpack_from(lock).message_id for lock in locks]
    for lock in locks[:-1]:
        lock[20:24] = len(lock).to_bytes(4, "little")
    return ids, b"".join(map(peer.protect, locks))


async def test_every_request_of_a_compound_waits_for_itself(start) -> None:
    world = await start()
    peer, tree, first, second = await two_opens(world)
    ids, locks = compound_of_locks(peer, tree, second)
    peer.link.send(locks)
    async_ids = set()
    for message_id in ids:
        pending = await peer.answer()
        assert (pending.message_id, pending.status) == (message_id, Status.PENDING)
        async_ids.add(pending.async_id)
        if message_id != ids[-1]:
            peer.send(peer.cancelling(message_id))
            assert await peer.answers(1) == {message_id: Status.CANCELLED}
    assert len(async_ids) == 3
    [unlocked] = peer.send(peer.locking(first, flags=LockFlag.UNLOCK))
    assert await peer.answers(2) == {unlocked: Status.SUCCESS, ids[-1]: Status.SUCCESS}


@pytest.mark.parametrize(
    ("command", "body"),
    [(Command.LOGOFF, LogoffRequest().pack()), (Command.TREE_DISCONNECT, TreeDisconnectRequest().pack())],
    ids=["logoff", "tree disconnect"],
)
async def test_the_end_of_session_or_tree_ends_its_waits(start, command: int, body: bytes) -> None:
    world = await start()
    peer, tree, _, second = await two_opens(world)
    waits = [(await wait_for_lock(peer, second))[0] for _ in range(3)]
    [ended] = peer.send(peer.request(command, body, tree_id=tree))
    answers = await peer.answers(4)
    assert answers.pop(ended) == Status.SUCCESS
    assert answers == dict.fromkeys(waits, Status.RANGE_NOT_LOCKED)
    assert world.server.open_count == 0
    await world.until(lambda: not world.memory.open_handles)
    peer.link.close()
    await world.until_alone()


async def test_logoff_while_a_create_is_in_a_thread(start, gate) -> None:
    """What it opened must not outlive the session."""
    world = await start()
    peer, tree = await world.log_on()
    world.hold(gate, "Volume.create")
    request = CreateRequest(
        requested_oplock_level=0, impersonation_level=2, desired_access=0x12019F, file_attributes=0, share_access=7,
        create_disposition=2, create_options=0,
    )  # fmt: skip
    create, logoff = peer.send(
        peer.request(Command.CREATE, pack_create_request(request, "new"), tree_id=tree),
        peer.request(Command.LOGOFF, LogoffRequest().pack()),
    )
    assert await peer.answers(1) == {logoff: Status.SUCCESS}
    gate.open()
    answers = await peer.answers(1)
    assert answers[create] != Status.SUCCESS
    peer.link.close()
    await world.until_alone()


# Logging on -----------------------------------------------------------------------------------------------------


def send_wrong_password(peer) -> None:
    """A whole logon but for the last answer."""
    receive = peer.link.receive
    answers = [receive]
    peer.link.receive = lambda: answers.pop()()
    with pytest.raises(IndexError):
        peer.log_on("u", "wrong")
    peer.link.receive = receive


@pytest.mark.parametrize("trick", ["cancel", "close", "reset", "garbage"])
async def test_the_delay_of_a_failed_logon_cannot_be_cut_short(start, mock_clock, trick: str) -> None:
    """Neither for this answer nor for how many an address may await at once."""
    world = await start()
    peer = world.connect()
    await peer.do(peer.negotiate)
    await peer.do(send_wrong_password, peer)
    await world.until(lambda: world.server.throttle._pending)
    if trick == "cancel":
        peer.send(peer.cancelling(peer.message_id - 1))
    elif trick == "close":
        peer.link.close()
    elif trick == "reset":
        peer.reset()
    else:
        peer.sock.sendall(b"garbage!")
    for _ in range(10):
        await trio.testing.wait_all_tasks_blocked()
    assert world.server.throttle._pending == {"127.0.0.1": 1}
    mock_clock.jump(2)
    if trick == "cancel":
        assert (await peer.answer()).status == Status.LOGON_FAILURE
    peer.link.close()
    await world.until_alone()


async def test_half_made_logons_are_counted_and_forgotten(start) -> None:
    world = await start(sessions_in_setup=3)
    peer = world.connect()
    await peer.do(peer.negotiate)
    for _ in range(3):
        peer.session_id = 0
        header, _ = await peer.do(half_a_logon, peer)
        assert header.status == Status.MORE_PROCESSING_REQUIRED
    peer.session_id = 0
    header, _ = await peer.do(half_a_logon, peer)
    assert header.status == Status.TOO_MANY_SESSIONS
    assert len(world.server.sessions) == 3
    peer.link.close()
    await world.until_alone()


def half_a_logon(peer):
    request = SessionSetupRequest(flags=0, security_mode=1, capabilities=0, channel=0, previous_session_id=0)
    ntlm = spnego.client("u", "p", protocol="ntlm", options=spnego.NegotiateOptions.use_ntlm)
    return peer.ask(Command.SESSION_SETUP, pack_session_setup_request(request, ntlm.step()))


# Going away -----------------------------------------------------------------------------------------------------


async def test_half_closed_gets_its_answers(start, gate) -> None:
    world = await start()
    peer, _, first, second = await two_opens(world)
    waiting, _ = await wait_for_lock(peer, second)
    await peer.do(peer.write, first, 0, b"data")
    world.hold(gate, "File.read_at")
    reading, echo = peer.send(peer.reading(first, 0, 4), peer.echo())
    peer.sock.shutdown(socket.SHUT_WR)
    assert await peer.answers(2) == {echo: Status.SUCCESS, waiting: Status.CANCELLED}
    gate.open()
    assert await peer.answers(1) == {reading: Status.SUCCESS}
    assert await peer.is_gone()
    await world.until_alone()


async def test_half_closed_ends_all_waits_of_a_compound(start) -> None:
    world = await start()
    peer, tree, _, second = await two_opens(world)
    ids, locks = compound_of_locks(peer, tree, second)
    peer.link.send(locks)
    assert (await peer.answer()).status == Status.PENDING
    peer.sock.shutdown(socket.SHUT_WR)
    assert await peer.answers(3) == dict.fromkeys(ids, Status.CANCELLED)
    assert await peer.is_gone()
    await world.until_alone()


STAGES = (
    "connected", "half a prefix", "half a frame", "negotiated", "half logged on", "session", "tree", "open",
    "half a write", "wait", "delete on close", "unread answers",
)  # fmt: skip


async def reach(world, stage: str):
    """A client that has come so far."""
    peer = world.connect()
    if stage == "connected":
        return peer
    if stage.startswith("half a ") and stage != "half a write":
        peer.sock.sendall(b"\0\0" if stage == "half a prefix" else b"\0\0\0\x80" + bytes(70))
        return peer
    await peer.do(peer.negotiate)
    if stage == "half logged on":
        await peer.do(half_a_logon, peer)
    if stage in ("negotiated", "half logged on"):
        return peer
    await peer.do(peer.log_on, "u", "p")
    if stage == "session":
        return peer
    tree = await peer.do(peer.tree_connect, "s")
    if stage == "tree":
        return peer
    files = [await peer.do(peer.open, tree, name) for name in ("f", "f", "d")]
    if stage == "half a write":
        request = peer.writing(files[0], 0, bytes(200_000))
        peer.sock.sendall((len(request.frame).to_bytes(4, "big") + request.frame)[:100_000])
    elif stage == "wait":
        peer.send(peer.locking(files[0], flags=LockFlag.SHARED), peer.locking(files[1]))
    elif stage == "delete on close":
        await peer.do(peer.set_info, files[2], 13, b"\1")
    elif stage == "unread answers":
        await peer.do(peer.write, files[0], 0, bytes(65536))
        peer.send(*(peer.reading(files[0], 0, 65536) for _ in range(8)))
    return peer


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("stage", STAGES)
async def test_abrupt_ends_leave_nothing(start, stage: str, how: str) -> None:
    world = await start()
    for _ in range(20):
        peer = await reach(world, stage)
        peer.reset() if how == "reset" else peer.link.close()
    await world.until_alone()
    assert world.server.bugs == 0


@pytest.mark.parametrize("how", ["close", "reset"])
async def test_abrupt_ends_while_threads_work(start, gate, how: str) -> None:
    world = await start()
    peers = []
    for number in range(10):
        peer, tree = await world.log_on()
        file = await peer.do(peer.open, tree, f"f{number}")
        peers.append((peer, tree, file))
    for name in ("File.write_at", "Volume.open", "Volume.remove"):
        world.hold(gate, name)
    for peer, tree, file in peers:
        peer.link.send(create_and_lock(peer, tree, "f0")[1])
        peer.send(peer.writing(file, 0, bytes(10)), peer.request(Command.LOGOFF, LogoffRequest().pack()))
    await world.until(lambda: gate.arrived == 20)
    for peer, _, _ in peers:
        peer.reset() if how == "reset" else peer.link.close()
    await trio.testing.wait_all_tasks_blocked()
    gate.open()
    await world.until_alone()
    assert world.server.bugs == 0


async def test_names_that_are_to_go_go_with_their_client(start) -> None:
    """All of them, though each needs a thread, and the first one meets a bug."""
    world = await start()
    peer, tree = await world.log_on()
    for name in ("a", "b", "c"):
        file = await peer.do(peer.open, tree, name)
        await peer.do(peer.set_info, file, 13, b"\1")
    world.faults.force_threads("Volume.remove")
    world.faults.do_before("Volume.remove", break_down)
    peer.link.close()
    await world.until_alone()
    assert world.server.bugs == 1
    directory = world.memory.open_volume("v").open("", 1)
    assert [entry.name for entry in directory.entries(10)] == ["a"]
    directory.close()


async def test_the_server_stops_while_names_go(start, gate) -> None:
    world = await start()
    peer, tree = await world.log_on()
    [connection] = world.listener.connections
    file = await peer.do(peer.open, tree, "f")
    await peer.do(peer.set_info, file, 13, b"\1")
    world.hold(gate, "Volume.remove")
    peer.link.close()
    await world.until(lambda: gate.arrived == 1)
    world.scope.cancel()
    connection.end("twice")
    await trio.testing.wait_all_tasks_blocked()
    assert not world.stopped.is_set()
    gate.open()
    await world.stopped.wait()
    assert world.leftovers() == {}
    assert world.server.bugs == 0


async def test_thousands_of_abrupt_ends_cost_no_memory(start) -> None:
    world = await start(unauthenticated_per_address=10_000, unauthenticated_connections=10_000)

    def storm(count: int) -> None:
        for number in range(count):
            peer = world.connect()
            if number % 4:
                peer.sock.sendall((b"\0", b"\0\0\0\x80" + bytes(70), b"\0\0\0\4SPAM")[number % 3])
            peer.reset() if number % 2 else peer.link.close()
        world.peers.clear()

    async def weather(count: int) -> int:
        await trio.to_thread.run_sync(storm, count)
        await world.until_alone()
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        before = await weather(1000)  # fills every free list and pool
        tasks = trio.lowlevel.current_statistics().tasks_living
        after = await weather(4000)
        buffers = tracemalloc.take_snapshot().filter_traces([tracemalloc.Filter(True, transport.__file__)])
    finally:
        tracemalloc.stop()
    assert trio.lowlevel.current_statistics().tasks_living == tasks
    assert after - before < 4000 * 40, "bytes for each connection that is gone: less than any object has"
    assert sum(trace.size for trace in buffers.traces) <= POOLED_BYTES + 2 * BUFFER_SIZE


# No task without need -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["close", "half-close", "reset", "spam"])
async def test_who_waits_for_nothing_comes_and_goes_without_a_task(start, caplog, how: str) -> None:
    caplog.set_level(logging.INFO, "smbport")
    world = await start()
    peer, _ = await world.log_on()
    [connection] = world.listener.connections
    assert (await peer.do(peer.ask, Command.ECHO, ECHO))[0].status == Status.SUCCESS
    if how == "half-close":
        peer.sock.shutdown(socket.SHUT_WR)
        assert await peer.is_gone()
    elif how == "spam":
        peer.sock.sendall(b"\0\0\0\4SPAM")
        assert await peer.is_gone()
    else:
        peer.reset() if how == "reset" else peer.link.close()
    await world.until_alone()
    assert not connection._has_task
    reasons = {"reset": "Connection reset by peer", "spam": "frame begins with 5350414d"}
    ends = [record.getMessage() for record in caplog.records if " ended: " in record.getMessage()]
    assert [text.partition("ended: ")[2].removeprefix("[Errno 104] ") for text in ends] == [
        reason for kind, reason in reasons.items() if kind == how
    ]
    connection.end("twice")  # means nothing now
    assert not connection._has_task


async def test_who_waits_for_threads_only_has_no_task(start, gate) -> None:
    world = await start()
    peer, tree = await world.log_on()
    [connection] = world.listener.connections
    file = await peer.do(peer.open, tree, "f")
    world.hold(gate, "File.write_at")
    written = peer.send(peer.writing(file, 0, b"data"))
    await world.until(lambda: gate.arrived == 1)
    gate.open()
    assert await peer.answers(1) == dict.fromkeys(written, Status.SUCCESS)
    assert not connection._has_task
    peer.link.close()
    await world.until_alone()


async def test_what_waits_before_there_is_a_main_task_begins_with_it(start) -> None:
    world = await start()
    peer, _, first, second = await two_opens(world)
    [connection] = world.listener.connections
    assert not connection._has_task
    waiting = peer.send(peer.locking(second), peer.locking(second))
    assert [(await peer.answer()).status for _ in waiting] == [Status.PENDING] * 2
    assert connection._has_task
    unlocked = peer.send(*(peer.locking(file, flags=LockFlag.UNLOCK) for file in (first, second)))
    assert await peer.answers(4) == dict.fromkeys((*unlocked, *waiting), Status.SUCCESS)
    peer.link.close()
    await world.until_alone()


# Bugs -----------------------------------------------------------------------------------------------------------


def break_down() -> None:
    raise ZeroDivisionError


@pytest.mark.parametrize("in_a_thread", [False, True])
async def test_a_bug_costs_one_connection(start, caplog, in_a_thread: bool) -> None:
    world = await start()
    peer, tree = await world.log_on()
    other, _ = await world.log_on()
    file = await peer.do(peer.open, tree, "f")
    if in_a_thread:
        world.faults.force_threads("File.write_at")
    world.faults.do_before("File.write_at", break_down)
    request = peer.writing(file, 0, b"PRIVATE DATA")
    peer.send(peer.echo(), request)
    assert (await peer.answer()).command == Command.ECHO
    assert await peer.is_gone()
    assert world.server.bugs == 1
    [record] = [record for record in caplog.records if record.levelno == logging.ERROR]
    text = logging.Formatter().format(record)
    assert f"bug while answering 127.0.0.1; header {request.frame[:64].hex()}" in record.getMessage()
    assert "break_down" in text
    assert "ZeroDivisionError" in text
    assert b"PRIVATE".hex() not in text
    assert (await other.do(other.ask, Command.ECHO, ECHO))[0].status == Status.SUCCESS
    other.link.close()
    await world.until_alone()


def lock_and_write(peer, tree: int, file) -> bytes:
    """A compound: a LOCK, and a WRITE to what it locks."""
    element = LockElement(offset=0, length=1, flags=LockFlag.EXCLUSIVE)
    of_file = LockRequest(file_id_persistent=file.persistent, file_id_volatile=file.volatile)
    lock = peer.message(Command.LOCK, pack_lock_request(of_file, [element]), tree_id=tree)
    lock += bytes(-len(lock) % 8)
    lock[20:24] = len(lock).to_bytes(4, "little")
    to_file = WriteRequest(length=1, offset=0, file_id_persistent=ALL_ONES, file_id_volatile=ALL_ONES)
    body = pack_write_request(to_file, b"x")
    write = peer.message(Command.WRITE, body, tree_id=tree, flags=HeaderFlag.RELATED_OPERATIONS)
    return peer.protect(lock) + peer.protect(write)


@pytest.mark.parametrize(
    ("failure", "bugs"), [(ZeroDivisionError(), 1), (Disconnect("told so"), 0)], ids=["bug", "disconnect"]
)
async def test_what_ends_a_connection_after_a_wait(start, caplog, failure: Exception, bugs: int) -> None:
    caplog.set_level(logging.INFO)
    world = await start()
    peer, tree, first, second = await two_opens(world)

    def fail() -> None:
        raise failure

    world.faults.do_before("File.write_at", fail)
    peer.link.send(lock_and_write(peer, tree, second))
    assert (await peer.answer()).status == Status.PENDING
    peer.send(peer.locking(first, flags=LockFlag.UNLOCK))
    assert await peer.is_gone()
    assert world.server.bugs == bugs
    assert ("an internal error" if bugs else "told so") in caplog.text
    await world.until_alone()


@pytest.mark.parametrize("name", ["Volume.remove", "File.close"])
async def test_a_bug_while_a_connection_is_released_costs_nobody_else(start, caplog, name: str) -> None:
    world = await start()
    other, _ = await world.log_on()
    peer, _ = await world.log_on()
    tree = await peer.do(peer.tree_connect, "s")
    file = await peer.do(peer.open, tree, "f")
    await peer.do(peer.set_info, file, 13, b"\1")
    world.faults.do_before(name, break_down)
    peer.link.close()
    await world.until(lambda: len(world.listener.connections) == 1)
    assert world.server.bugs == 1
    assert "bug on the connection of 127.0.0.1" in caplog.text
    assert (await other.do(other.ask, Command.ECHO, ECHO))[0].status == Status.SUCCESS


@pytest.mark.parametrize("step", ["Session.lose", "Receiver.release"])
async def test_a_bug_while_a_connection_without_a_task_is_released(start, caplog, monkeypatch, step: str) -> None:
    world = await start()
    other, _ = await world.log_on()
    [others] = world.listener.connections
    peer, _ = await world.log_on()
    [connection] = world.listener.connections - {others}
    [channel] = connection.state.channels.values()
    broken = type(channel.session) if step == "Session.lose" else type(connection.conversation.receiver)
    with monkeypatch.context() as patch:
        patch.setattr(broken, step.partition(".")[2], lambda self: break_down())
        peer.sock.shutdown(socket.SHUT_WR)
        await world.until(lambda: world.listener.connections == {others})
    connection._socket.close()  # this may be what the bug has kept from happening
    assert world.server.bugs == 1
    assert not connection.state.channels
    assert "bug on the connection of 127.0.0.1" in caplog.text
    assert (await other.do(other.ask, Command.ECHO, ECHO))[0].status == Status.SUCCESS


async def test_a_bug_outside_of_any_request_costs_one_connection(start, caplog) -> None:
    world = await start()
    other, _ = await world.log_on()
    [others] = world.listener.connections
    peer, _ = await world.log_on()
    [connection] = world.listener.connections - {others}

    class Broken:
        def recv_into(self, buffer, count) -> int:
            break_down()

    connection.conversation.receiver._socket = Broken()
    peer.send(peer.echo())
    assert await peer.is_gone()
    assert world.server.bugs == 1
    assert "ZeroDivisionError" in caplog.text
    assert (await other.do(other.ask, Command.ECHO, ECHO))[0].status == Status.SUCCESS
