"""smbport.server.shared_readiness: when the task for all sockets stays, and when it goes back to trio."""

import socket
from collections.abc import AsyncIterator
from contextlib import suppress
from time import perf_counter

import pytest
import trio
import trio.testing

from smbport.platform import ReadySet
from smbport.server import shared_readiness as module
from smbport.server.shared_readiness import PATIENCE, SharedReadiness
from smbport.server.workers import Workers
from smbport_linux.platform import probe


def ready_set() -> ReadySet:
    made = probe().sockets.ready_set()
    assert made is not None
    return made


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
