"""smbport.server.readiness: sockets that are served when there is something to read, by one task for all of them."""

import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, suppress
from functools import partial
from time import perf_counter

import pytest
import trio
import trio.testing

from smbport.platform import ReadySet
from smbport.posix.sockets import PosixSockets
from smbport.server import readiness as module
from smbport.server.readiness import PATIENCE, PlainReadiness, Readiness, SharedReadiness, new_readiness
from smbport.server.workers import Workers
from smbport_linux.platform import probe


def ready_set() -> ReadySet:
    made = probe().sockets.ready_set()
    assert made is not None
    return made


@pytest.fixture
def workers() -> Iterator[Workers]:
    with closing(Workers(1)) as made:
        yield made


KINDS = [
    pytest.param(lambda workers: SharedReadiness(ready_set(), trio.CapacityLimiter(1), workers, 50), id="shared"),
    pytest.param(
        lambda workers: SharedReadiness(ready_set(), trio.CapacityLimiter(1), workers, 0), id="shared, always asleep"
    ),
    pytest.param(lambda _: PlainReadiness(), id="plain"),
]


@pytest.fixture(params=KINDS)
async def readiness(request: pytest.FixtureRequest, workers: Workers) -> AsyncIterator[Readiness]:
    """It runs."""
    made = request.param(workers)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(made.run)
        yield made
        nursery.cancel_scope.cancel()
    made.close()


class Echo:
    """Sends back what it gets, until that is a full stop."""

    def __init__(self) -> None:
        self.ours, self.theirs = socket.socketpair()
        self.ours.setblocking(False)
        self.calls = 0
        self.left = 0

    def __enter__(self) -> "Echo":
        return self

    def __exit__(self, *_: object) -> None:
        self.ours.close()
        self.theirs.close()

    def call(self) -> bool:
        self.calls += 1
        data = self.ours.recv(1)
        self.ours.send(data)
        return data not in (b".", b"")

    def leave(self) -> None:
        self.left += 1

    def attend(self, readiness: Readiness) -> None:
        readiness.attend(self.ours.fileno(), self.call, self.leave)

    async def ask(self, data: bytes = b"?") -> None:
        self.theirs.send(data)
        await trio.lowlevel.wait_readable(self.theirs)
        assert self.theirs.recv(9) == data


async def test_each_is_called_until_it_has_enough(readiness: Readiness) -> None:
    with Echo() as one, Echo() as other:
        one.attend(readiness)
        other.attend(readiness)
        for _ in range(3):
            await one.ask()
        await one.ask(b".")
        assert (one.left, other.left) == (1, 0)
        one.theirs.send(b"!")  # nobody listens
        await other.ask()
        await other.ask(b".")
        assert (one.calls, other.calls) == (4, 2)
        assert (one.left, other.left) == (1, 1)


async def test_they_take_turns(readiness: Readiness) -> None:
    turns: list[Echo] = []
    with Echo() as one, Echo() as other:
        for echo in (one, other):
            echo.theirs.send(b"?????????.")
            readiness.attend(echo.ours.fileno(), lambda e=echo: turns.append(e) or e.call())
        while len(turns) < 20:
            await trio.lowlevel.checkpoint()
    assert [set(turns[at : at + 2]) for at in range(0, 20, 2)] == [{one, other}] * 10


async def test_who_has_had_enough_can_attend_again(readiness: Readiness) -> None:
    with Echo() as echo:
        for times in (1, 2):
            echo.attend(readiness)
            await echo.ask(b".")
            assert echo.left == times


async def test_who_has_had_enough_can_be_closed_at_once(readiness: Readiness) -> None:
    """The next one may have the same descriptor."""
    for _ in range(3):
        with Echo() as echo:
            readiness.attend(echo.ours.fileno(), echo.call, echo.ours.close)
            await echo.ask()
            await echo.ask(b".")


async def test_who_leaves_is_not_called_any_more(readiness: Readiness) -> None:
    with Echo() as echo:
        echo.attend(readiness)
        await echo.ask()
        readiness.leave(echo.ours.fileno())
        readiness.leave(echo.ours.fileno())
        echo.theirs.send(b"?")
        await trio.testing.wait_all_tasks_blocked()
        assert (echo.calls, echo.left) == (1, 0)


async def test_who_leaves_when_both_are_ready_is_not_called_any_more(readiness: Readiness) -> None:
    with Echo() as one, Echo() as other:
        for echo, rival in ((one, other), (other, one)):
            echo.theirs.send(b"??")
            leave = partial(readiness.leave, rival.ours.fileno())
            readiness.attend(echo.ours.fileno(), lambda call=echo.call, leave=leave: leave() is None and call())
        await trio.testing.wait_all_tasks_blocked()
        assert sorted((one.calls, other.calls)) == [0, 2]


async def test_who_leaves_before_anything_came_can_be_closed_at_once(readiness: Readiness) -> None:
    with Echo() as echo:
        echo.attend(readiness)
        readiness.leave(echo.ours.fileno())
    with Echo() as echo:
        echo.attend(readiness)
        await trio.testing.wait_all_tasks_blocked()
        readiness.leave(echo.ours.fileno())
        echo.ours.close()
        await trio.testing.wait_all_tasks_blocked()
        assert (echo.calls, echo.left) == (0, 0)


class FakeSet:
    """Tells of one socket that is ready, as often as it was told to; notes how long it was to wait."""

    def __init__(self, ready: int) -> None:
        self.ready = ready
        self.waits: list[float] = []

    def wait(self, wait_s: float, most: int) -> list[tuple[int, int]]:
        self.waits.append(wait_s)
        self.ready -= 1
        return [(7, 1)] if self.ready >= 0 else []


@pytest.fixture
async def staying(workers: Workers) -> AsyncIterator[SharedReadiness]:
    readiness = SharedReadiness(ready_set(), trio.CapacityLimiter(1), workers, busy_wait_us=0)
    readiness.close()
    readiness._soon = PATIENCE[0]
    readiness._calls[7] = lambda: True
    trio.lowlevel.add_instrument(readiness)
    yield readiness
    trio.lowlevel.remove_instrument(readiness)


def turn(readiness: SharedReadiness, ready: int, seconds: float = 60) -> list[float]:
    readiness._ready = ready = FakeSet(ready)
    readiness._others = 0
    readiness._turn(perf_counter() + seconds)
    return ready.waits


async def test_it_stays_while_requests_come_soon(staying: SharedReadiness) -> None:
    assert turn(staying, 3) == [0, module.STAY_S, module.STAY_S, module.STAY_S]
    assert staying._soon == 0, "it stayed in vain, so it has to see more of them"
    assert staying._patience == 2 * PATIENCE[0]
    assert turn(staying, 3) == [0]
    for _ in range(20):
        staying._soon = PATIENCE[1]
        turn(staying, 1)
    assert staying._patience == PATIENCE[1]


async def test_it_stays_awake_while_pauses_are_short(staying: SharedReadiness) -> None:
    staying._busy_wait_s = 3600  # shorter than that are those of a test
    asleep = [module.STAY_S] * PATIENCE[0]
    staying._ready = ready = FakeSet(PATIENCE[0] + 4)
    staying._calls[7] = lambda: not len(ready.waits) > PATIENCE[0] + 2 or staying.task_scheduled(None) is None
    staying._others = 0
    staying._turn(perf_counter() + 60)
    assert ready.waits == [0, *asleep, 0, 0]


async def test_it_sleeps_again_when_it_stayed_awake_in_vain(staying: SharedReadiness) -> None:
    staying._short, staying._busy_wait_s = PATIENCE[0], 1e-9
    assert turn(staying, 1) == [0, module.STAY_S]
    assert staying._short_patience == 2 * PATIENCE[0]
    for _ in range(20):
        staying._short, staying._soon = PATIENCE[1], PATIENCE[1]
        turn(staying, 1)
    assert staying._short_patience == PATIENCE[1]


async def test_it_sleeps_when_workers_are_at_work(staying: SharedReadiness, workers: Workers) -> None:
    staying._short, staying._busy_wait_s = PATIENCE[0], 3600
    workers.start(lambda: None, lambda: None)
    assert turn(staying, 1) == [0, module.STAY_S]


async def test_a_long_pause_says_that_the_next_is_slept_through(staying: SharedReadiness) -> None:
    staying._short, staying._short_patience, staying._busy_wait_s = PATIENCE[0], PATIENCE[1], 1e-9
    assert turn(staying, 2) == [0, module.STAY_S, module.STAY_S]
    assert staying._short == 0


async def test_a_turn_has_an_end(staying: SharedReadiness) -> None:
    staying._patience = 4 * PATIENCE[0]
    staying._soon = 4 * PATIENCE[0]
    assert turn(staying, 1000, seconds=-1) == [0]
    assert staying._patience == 2 * PATIENCE[0], "what it had to do came soon enough to fill a turn"


async def test_it_does_not_stay_when_a_task_can_run(staying: SharedReadiness) -> None:
    async with trio.open_nursery() as nursery:
        staying._calls[7] = lambda: nursery.start_soon(trio.lowlevel.checkpoint) is None
        assert turn(staying, 3) == [0]


async def test_it_does_not_stay_when_a_task_was_woken_with_it(staying: SharedReadiness) -> None:
    """trio runs them in any order, and its statistics do not count those that are still to come."""
    async with trio.open_nursery() as nursery:
        staying._ready = ready = FakeSet(3)
        staying._others = -1
        nursery.start_soon(trio.lowlevel.checkpoint)
        await trio.lowlevel.checkpoint()  # this task is the one that wakes up itself
        staying._turn(perf_counter() + 60)
        assert ready.waits == [0]


async def test_it_does_not_stay_when_a_thread_works(staying: SharedReadiness) -> None:
    await staying._threads[0].acquire_on_behalf_of("a thread")
    assert turn(staying, 3) == [0]


async def test_it_does_not_stay_when_a_time_out_is_near(staying: SharedReadiness) -> None:
    with trio.move_on_after(60):
        with trio.CancelScope(deadline=trio.current_time() + module.STAY_S / 2):
            await trio.testing.wait_all_tasks_blocked()
            assert turn(staying, 3) == [0]


async def test_it_does_not_stay_when_somebody_reads_slowly(staying: SharedReadiness) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        with suppress(BlockingIOError):
            while ours.send(bytes(1 << 16)):
                pass
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.lowlevel.wait_writable, ours)
            await trio.testing.wait_all_tasks_blocked()
            assert turn(staying, 3) == [0]
            nursery.cancel_scope.cancel()


async def test_a_system_without_such_a_set(workers: Workers) -> None:
    threads = trio.CapacityLimiter(1)
    assert isinstance(new_readiness(PosixSockets(), threads, workers, 50), PlainReadiness)
    shared = new_readiness(probe().sockets, threads, workers, 50)
    assert isinstance(shared, SharedReadiness)
    shared.close()
