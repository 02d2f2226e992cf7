"""Who of many sockets has something to read: one system call for all of them, and no change of tasks.

With a task for each connection that waits by itself, a request costs a turn of trio's loop: two system calls, and code
enough to drive that of the answer out of the processor's caches.  Here one task waits for the system's set of them all,
and calls whoever is ready (docs/decisions/007).

A client that asks one thing at a time asks the next within microseconds of the answer.  So the task stays and waits
for it in the system call, asleep, as long as nobody else can be late by that.
"""

from collections.abc import Callable
from typing import Final, Protocol, cast

import trio

from smbport.platform import ReadySet, Sockets

__all__ = ["PlainReadiness", "Readiness", "SharedReadiness", "new_readiness"]

STAY_S: Final = 0.001  # how long to wait for the next request: systems have no smaller unit
TURN_S: Final = 0.002  # after that, trio's other tasks have their turn, whoever asks for more
MOST: Final = 128  # descriptors at a time
MANY: Final = 4  # when so many were ready at once, others have become so meanwhile
PATIENCE: Final = 8, 1024  # so many requests in a row must have come soon, before staying is tried (again)


class Readiness(Protocol):
    """Calls whoever has something to read."""

    async def run(self) -> None:
        """Must run while anybody attends."""

    async def attend(self, descriptor: int, call: Callable[[], bool]) -> None:
        """Call, from whatever task, when there is something to read; until it returns False.  It must not raise."""

    def close(self) -> None:
        """When nobody attends any more."""


def new_readiness(sockets: Sockets, threads: trio.CapacityLimiter) -> Readiness:
    """The best that this system has; `threads` work for the server."""
    ready = sockets.ready_set()
    return PlainReadiness() if ready is None else SharedReadiness(ready, threads)


class PlainReadiness:
    """Each waits by itself: for systems whose event loop has no descriptor that could be waited for."""

    async def run(self) -> None:
        """Nothing has to be done for all."""

    async def attend(self, descriptor: int, call: Callable[[], bool]) -> None:
        """See `Readiness`."""
        while True:
            await trio.lowlevel.wait_readable(descriptor)
            if not call():
                return

    def close(self) -> None:
        """Nothing is held."""


class SharedReadiness:
    """One task for all, with a set of the system's.

    It is an instrument of trio, too.  Those "don't have to inherit" (`trio.abc.Instrument`), and what does is not
    compiled.
    """

    def __init__(self, ready: ReadySet, threads: trio.CapacityLimiter) -> None:
        self._ready = ready
        self._calls: dict[int, Callable[[], bool]] = {}
        self._left: dict[int, trio.lowlevel.ParkingLot] = {}  # who is told that its call said False
        self._threads = (threads, trio.to_thread.current_default_thread_limiter())
        self._others = False  # tasks that have come to have something to do in this turn
        self._soon = 0  # how many times in a row somebody was ready soon after the last turn
        self._patience = PATIENCE[0]

    async def run(self) -> None:
        """See `Readiness`."""
        descriptor, ended = self._ready.fileno(), trio.current_time()
        instrument = cast("trio.abc.Instrument", self)
        trio.lowlevel.add_instrument(instrument)
        try:
            while True:
                await trio.lowlevel.wait_readable(descriptor)
                begun = trio.current_time()
                self._soon = self._soon + 1 if begun - ended < STAY_S else 0
                self._turn(begun + TURN_S)
                ended = trio.current_time()
        finally:
            trio.lowlevel.remove_instrument(instrument)

    async def attend(self, descriptor: int, call: Callable[[], bool]) -> None:
        """See `Readiness`."""
        left = self._left[descriptor] = trio.lowlevel.ParkingLot()
        self._calls[descriptor] = call
        self._ready.add(descriptor)
        try:
            await left.park()
        finally:
            self._forget(descriptor)

    def close(self) -> None:
        """See `Readiness`."""
        self._ready.close()

    def _forget(self, descriptor: int) -> None:
        if self._calls.pop(descriptor, None) is not None:
            self._ready.remove(descriptor)
            self._left.pop(descriptor).unpark_all()

    def task_scheduled(self, task: trio.lowlevel.Task) -> None:
        """trio calls this, see trio.abc.Instrument."""
        self._others = True

    def _turn(self, end: float) -> None:
        """Call whoever is ready, and again while it is worth it and nobody else wants to run."""
        self._others = is_known = False
        wait_s = 0.0
        while events := self._ready.wait(wait_s, MOST):
            for descriptor, _ in events:
                call = self._calls.get(descriptor)
                if call is not None and not call():
                    self._forget(descriptor)
            if self._others:
                return
            if trio.current_time() >= end:
                self._patience = max(self._patience // 2, PATIENCE[0])
                return
            if self._soon >= self._patience:
                wait_s = STAY_S
            elif len(events) < MANY:
                return
            if not is_known and not self._is_alone():
                return
            is_known = True  # threads and time-outs do not begin without a task
        if wait_s:  # it stayed in vain
            self._soon = 0
            self._patience = min(self._patience * 2, PATIENCE[1])

    def _is_alone(self) -> bool:
        """Whether nobody whom trio knows of becomes late now: tasks, time-outs, threads, clients that read slowly."""
        known = trio.lowlevel.current_statistics()
        return not (
            known.tasks_runnable
            or known.run_sync_soon_queue_size
            or known.seconds_to_next_deadline < STAY_S
            or getattr(known.io_statistics, "tasks_waiting_write", 0)
            or any(limiter.borrowed_tokens for limiter in self._threads)
        )
