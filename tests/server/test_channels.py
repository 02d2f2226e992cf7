"""Several connections for one session, over real sockets: breaks that find their way, and connections that go."""

import gc
import logging
import random
from collections import Counter

import pytest
import trio

from smbport.server.connection import DELIVERY_TIMEOUT_S
from smbport.testing.client import FileId
from smbport.wire.constants import Access, Command, ContextTag, CreateDisposition, HeaderFlag, LockFlag, OplockLevel
from smbport.wire.create import CreateRequest, pack_create_request
from smbport.wire.create_contexts import DurableHandleRequestV2
from smbport.wire.echo import CancelRequest
from smbport.wire.session import LogoffRequest
from smbport.wire.status import Status

II, BATCH = OplockLevel.LEVEL_II, OplockLevel.BATCH


async def bound(world, first):
    """One more connection for the session of another client."""
    peer = world.connect()
    peer.client_guid = first.client_guid
    await peer.do(peer.negotiate, [first.dialect])
    await peer.do(peer.bind, first, "u", "p")
    return peer


async def open_with_oplock(peer, tree: int, name: str = "f") -> FileId:
    file = await peer.do(
        peer.create, tree, name, access=Access.FILE_ALL_ACCESS, disposition=CreateDisposition.OPEN_IF, oplock=BATCH
    )
    assert file.oplock_level == BATCH
    return file


def opening(peer, tree: int, *, create_guid: bytes | None = None, replay: bool = False):
    request = CreateRequest(
        requested_oplock_level=II, impersonation_level=2, desired_access=Access.FILE_ALL_ACCESS, file_attributes=0,
        share_access=7, create_disposition=CreateDisposition.OPEN, create_options=0,
    )  # fmt: skip
    contexts = []
    if create_guid is not None:
        asked = DurableHandleRequestV2(timeout=0, flags=0, create_guid=create_guid)
        contexts.append((ContextTag.DURABLE_REQUEST_V2, asked.pack()))
    flags = HeaderFlag.REPLAY_OPERATION if replay else 0
    return peer.request(Command.CREATE, pack_create_request(request, "f", contexts), tree_id=tree, flags=flags)


class Deaf:
    """A platform whose sockets are not acknowledged anything by some peers."""

    def __init__(self, platform, unheard) -> None:
        self.sockets = self
        self._platform = platform
        self._unheard = unheard

    def unacknowledged(self, sock) -> int:
        return 1 << 30 if sock in self._unheard else 0

    def __getattr__(self, name: str):
        return getattr(self._platform.sockets if name in ("tune", "interfaces") else self._platform, name)


@pytest.fixture
def deaf(monkeypatch):
    """`deaf(world, peers...)`: what is sent to these from now on is not acknowledged."""

    def make(world, *peers):
        ports = {peer.sock.getsockname()[1] for peer in peers}
        sockets = [connection._socket for connection in world.listener.connections]
        unheard = [sock for sock in sockets if sock.getpeername()[1] in ports]
        monkeypatch.setattr(world.server, "platform", Deaf(world.server.platform, unheard))

    return make


# Breaks ---------------------------------------------------------------------------------------------------------


async def test_a_break_can_be_acknowledged_on_another_channel(start) -> None:
    world = await start()
    first, tree = await world.log_on()
    second = await bound(world, first)
    other, others_tree = await world.log_on()
    file = await open_with_oplock(second, tree)
    [message_id] = other.send(opening(other, others_tree))
    assert (await first.do(first.wait_for_break)).file_id_volatile == file.volatile
    assert await second.do(second.acknowledge_break, file, II) == II
    assert (await other.answers(1))[message_id] == Status.SUCCESS


async def test_a_break_goes_over_a_channel_that_is_left(start) -> None:
    world = await start()
    first, tree = await world.log_on()
    second = await bound(world, first)
    other, others_tree = await world.log_on()
    file = await open_with_oplock(first, tree)
    first.reset()
    await world.until(lambda: len(world.listener.connections) == 2)
    [message_id] = other.send(opening(other, others_tree))
    assert (await second.do(second.wait_for_break)).file_id_volatile == file.volatile
    assert await second.do(second.acknowledge_break, file, II) == II
    assert (await other.answers(1))[message_id] == Status.SUCCESS


@pytest.mark.parametrize("lost", ["deaf", "gone"])
async def test_a_break_that_does_not_arrive_goes_over_the_next_channel(start, deaf, mock_clock, lost: str) -> None:
    """The first one hears it, but nobody can know; or it goes before it has acknowledged anything."""
    world = await start()
    first, tree = await world.log_on()
    second, third = await bound(world, first), await bound(world, first)
    other, others_tree = await world.log_on()
    file = await open_with_oplock(first, tree)
    deaf(world, first)
    [message_id] = other.send(opening(other, others_tree))
    await first.do(first.wait_for_break)
    if lost == "gone":
        first.reset()
    else:
        await trio.testing.wait_all_tasks_blocked()
        mock_clock.jump(DELIVERY_TIMEOUT_S)
    assert (await second.do(second.wait_for_break)).file_id_volatile == file.volatile
    assert await third.do(third.acknowledge_break, file, II) == II
    assert (await other.answers(1))[message_id] == Status.SUCCESS
    for _ in range(5):
        mock_clock.jump(DELIVERY_TIMEOUT_S)
        await trio.testing.wait_all_tasks_blocked()
    third.send(third.echo())
    assert (await third.answer()).command == Command.ECHO  # no break came there
    assert world.server.bugs == 0


async def test_a_break_that_nobody_hears_is_given_up(start, deaf, mock_clock) -> None:
    world = await start(oplock_break_timeout_s=35)
    first, tree = await world.log_on()
    second = await bound(world, first)
    other, others_tree = await world.log_on()
    await open_with_oplock(first, tree)
    deaf(world, first, second)
    [message_id] = other.send(opening(other, others_tree))
    for peer in (first, second):
        await peer.do(peer.wait_for_break)
        await trio.testing.wait_all_tasks_blocked()
        mock_clock.jump(DELIVERY_TIMEOUT_S)
    assert (await other.answer()).status == Status.PENDING
    mock_clock.jump(35)
    assert await other.answers(1) == {message_id: Status.SUCCESS}
    assert world.server.bugs == 0


# A connection goes while something waits ------------------------------------------------------------------------


async def waiting_alone(world, *, lost: str = "reset"):
    """A CREATE waits for `holder`, who has `file`; its channel went, `first` and `third` are left of its session."""
    holder, holders_tree = await world.log_on()
    file = await open_with_oplock(holder, holders_tree)
    first, tree = await world.log_on()
    second, third = await bound(world, first), await bound(world, first)
    second.send(opening(second, tree, create_guid=GUID))
    assert (await second.answer()).status == Status.PENDING
    second.reset() if lost == "reset" else second.link.close()
    await world.until(lambda: any(connection.state.ended for connection in world.listener.connections))
    await trio.testing.wait_all_tasks_blocked()
    return holder, file, first, third, tree


GUID = bytes(range(16))


@pytest.mark.parametrize("lost", ["reset", "closed"])
async def test_a_create_that_waits_is_answered_on_another_channel(start, lost: str) -> None:
    """Its client cannot know how far it had come, and asks again until it is over.  [MS-SMB2] 3.2.7.1, 3.3.5.9.10"""
    world = await start()
    holder, file, first, third, tree = await waiting_alone(world, lost=lost)
    for peer in (first, third):
        [again] = peer.send(opening(peer, tree, create_guid=GUID, replay=True))
        assert await peer.answers(1) == {again: Status.FILE_NOT_AVAILABLE}
    await holder.do(holder.close, file)
    await world.until(lambda: len(world.listener.connections) == 3)
    assert world.server.open_count == 1
    third.send(opening(third, tree, create_guid=GUID, replay=True))
    header, frame = await third.do(third.receive)
    assert header.status == Status.SUCCESS
    await first.do(first.write, third.file_id(tree, frame), 0, b"good")
    assert world.server.open_count == 1
    assert len(world.server.sessions[first.session_id].channels) == 2
    assert world.server.bugs == 0


@pytest.mark.parametrize("end", ["logoff", "last channels", "garbage"])
async def test_what_waits_alone_ends_with_its_session(start, end: str) -> None:
    world = await start()
    holder, _, first, third, _ = await waiting_alone(world)
    if end == "logoff":
        await first.do(first.call, Command.LOGOFF, LogoffRequest().pack())
        await world.until(lambda: len(world.listener.connections) == 3)
    else:
        first.reset()
        third.sock.sendall(b"garbage!") if end == "garbage" else third.link.close()
        await world.until(lambda: len(world.listener.connections) == 1)
    assert world.server.open_count == 1
    for peer in (holder, first, third):
        peer.link.close()
    await world.until_alone()
    assert world.server.bugs == 0


async def test_what_waits_alone_does_not_keep_the_server_from_stopping(start, mock_clock) -> None:
    world = await start()
    await waiting_alone(world)
    world.scope.cancel()
    await world.stopped.wait()
    assert world.leftovers() == {}
    assert trio.current_time() == 0, "no grace was needed"


async def test_what_waits_alone_can_be_cancelled_on_another_channel(start) -> None:
    world = await start()
    _, _, first, _, _ = await waiting_alone(world)
    [alone] = [connection for connection in world.listener.connections if connection.state.ended]
    [running] = alone.state.running.values()
    cancel = first.message(Command.CANCEL, CancelRequest().pack(), flags=HeaderFlag.ASYNC_COMMAND, message_id=0)
    cancel[32:40] = running.async_id.to_bytes(8, "little")
    first.link.send(first.protect(cancel))
    await world.until(lambda: alone not in world.listener.connections)
    assert world.server.open_count == 1


async def test_a_lock_is_not_taken_behind_the_back_of_its_client(start) -> None:
    """A wait that may last for ever ends with its connection.  [MS-SMB2] 3.3.7.1"""
    world = await start()
    first, tree = await world.log_on()
    second = await bound(world, first)
    files = [await first.do(first.open, tree, "f") for _ in range(2)]
    first.send(first.locking(files[0]))
    await first.answers(1)
    second.send(second.locking(files[1]))
    assert (await second.answer()).status == Status.PENDING
    second.reset()
    await world.until(lambda: len(world.listener.connections) == 1)
    first.send(first.locking(files[0], flags=LockFlag.UNLOCK))
    [again] = first.send(first.locking(files[1], flags=LockFlag.EXCLUSIVE | LockFlag.FAIL_IMMEDIATELY))
    assert (await first.answers(2))[again] == Status.SUCCESS
    [unlocked] = first.send(first.locking(files[1], flags=LockFlag.UNLOCK))
    assert await first.answers(1) == {unlocked: Status.SUCCESS}


# The end --------------------------------------------------------------------------------------------------------


async def test_logoff_answers_what_waits_on_other_channels(start) -> None:
    world = await start()
    first, tree = await world.log_on()
    second = await bound(world, first)
    files = [await first.do(first.open, tree, "f") for _ in range(2)]
    first.send(first.locking(files[0]))
    await first.answers(1)
    [waiting] = second.send(second.locking(files[1]))
    assert (await second.answer()).status == Status.PENDING
    [leaving] = first.send(first.request(Command.LOGOFF, LogoffRequest().pack()))
    assert await first.answers(1) == {leaving: Status.SUCCESS}
    assert await second.answers(1) == {waiting: Status.RANGE_NOT_LOCKED}
    assert not world.server.sessions
    assert all(not connection.state.channels for connection in world.listener.connections)


async def test_logoff_while_a_create_waits_on_another_channel(start) -> None:
    """Nothing is opened for a session that is not there any more."""
    world = await start()
    holder, holders_tree = await world.log_on()
    await open_with_oplock(holder, holders_tree)
    first, tree = await world.log_on()
    second = await bound(world, first)
    [waiting] = second.send(opening(second, tree))
    assert (await second.answer()).status == Status.PENDING
    await first.do(first.call, Command.LOGOFF, LogoffRequest().pack())
    assert await second.answers(1) == {waiting: Status.CANCELLED}
    assert world.server.open_count == 1


async def test_what_is_in_a_thread_is_answered_on_its_own_channel(start, gate) -> None:
    world = await start()
    first, tree = await world.log_on()
    second = await bound(world, first)
    file = await first.do(first.open, tree, "f")
    world.hold(gate, "File.write_at")
    first.send(first.writing(file, 0, b"1"))
    [two] = second.send(second.writing(file, 1, b"2"))
    await world.until(lambda: gate.arrived == 2)
    first.reset()
    await trio.testing.wait_all_tasks_blocked()
    gate.open()
    assert await second.answers(1) == {two: Status.SUCCESS}
    await world.until(lambda: len(world.listener.connections) == 1)  # the other write is over, too
    assert await second.do(second.read, file, 0, 2) == b"12"


def census() -> Counter[str]:
    """How many objects there are of every class of ours that belongs to clients."""
    gc.collect()
    ours = ("smbport.state.", "smbport.commands.", "smbport.server.", "smbport.security.")
    names = (f"{type(thing).__module__}.{type(thing).__qualname__}" for thing in gc.get_objects())
    return Counter(name for name in names if name.startswith(ours))


async def test_sessions_that_lose_all_their_channels_leave_nothing(start, caplog) -> None:
    """Whichever goes first, and whatever is pending on it: a lock, a break, a binding."""
    caplog.set_level(logging.ERROR, "smbport")
    world = await start(connections_per_address=1000)
    order = random.Random(1)
    tasks, before = 0, Counter[str]()
    for number in range(33):
        first, tree = await world.log_on()
        others = [await bound(world, first) for _ in range(3)]
        files = [await first.do(first.open, tree, "g") for _ in range(2)]
        first.send(first.locking(files[0]))
        await first.answers(1)
        others[0].send(others[0].locking(files[1]))
        assert (await others[0].answer()).status == Status.PENDING
        await open_with_oplock(others[1], tree)
        stranger, strangers_tree = await world.log_on()
        helper = await bound(world, stranger)
        helper.send(opening(helper, strangers_tree, create_guid=GUID))
        assert (await helper.answer()).status == Status.PENDING
        peers = [first, *others, stranger, helper]
        order.shuffle(peers)
        for peer in peers:
            peer.reset() if order.random() < 0.5 else peer.link.close()
        await world.until_alone()
        world.peers.clear()
        if number == 2:  # what is made once and kept is there
            await trio.testing.wait_all_tasks_blocked()
            tasks, before = trio.lowlevel.current_statistics().tasks_living, census()
    await trio.testing.wait_all_tasks_blocked()
    assert census() - before == Counter()
    assert trio.lowlevel.current_statistics().tasks_living == tasks
    assert world.server.bugs == 0
