"""Several connections for one session, over real sockets: breaks that find their way, and connections that go."""

import gc
import logging
import random
from collections import Counter

import pytest
import trio

from smbport.server.connection import DELIVERY_TIMEOUT_S
from smbport.testing.client import FileId
from smbport.wire.constants import Access, Command, CreateDisposition, OplockLevel
from smbport.wire.create import CreateRequest, pack_create_request
from smbport.wire.session import LogoffRequest
from smbport.wire.status import Status

II, BATCH = OplockLevel.LEVEL_II, OplockLevel.BATCH


async def bound(world, first):
    """One more connection for the session of another client."""
    peer = world.connect()
    await peer.do(peer.negotiate, [first.dialect])
    await peer.do(peer.bind, first, "u", "p")
    return peer


async def open_with_oplock(peer, tree: int, name: str = "f") -> FileId:
    file = await peer.do(
        peer.create, tree, name, access=Access.FILE_ALL_ACCESS, disposition=CreateDisposition.OPEN_IF, oplock=BATCH
    )
    assert file.oplock_level == BATCH
    return file


def opening(peer, tree: int):
    request = CreateRequest(
        requested_oplock_level=II, impersonation_level=2, desired_access=Access.FILE_ALL_ACCESS, file_attributes=0,
        share_access=7, create_disposition=CreateDisposition.OPEN, create_options=0,
    )  # fmt: skip
    return peer.request(Command.CREATE, pack_create_request(request, "f"), tree_id=tree)


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
        mock_clock.jump(DELIVERY_TIMEOUT_S)
    assert (await other.answer()).status == Status.PENDING
    mock_clock.jump(35)
    assert await other.answers(1) == {message_id: Status.SUCCESS}
    assert world.server.bugs == 0


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
    assert await second.do(second.read, file, 0, 2) == b"12"
    await world.until(lambda: len(world.listener.connections) == 1)


def census() -> Counter[str]:
    """How many objects there are of every class of ours that belongs to clients."""
    gc.collect()
    kinds = (type(thing) for thing in gc.get_objects())
    ours = ("smbport.state.", "smbport.commands.", "smbport.server.", "smbport.security.")
    return Counter(f"{kind.__module__}.{kind.__qualname__}" for kind in kinds if kind.__module__.startswith(ours))


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
        stranger.send(opening(stranger, strangers_tree))
        assert (await stranger.answer()).status == Status.PENDING
        peers = [first, *others, stranger]
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
