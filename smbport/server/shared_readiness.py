"""Who of many sockets has something to read: one system call for all of them, and no change of tasks.

With a task for each connection that waits by itself, a request costs a turn of trio's loop: two system calls, and code
enough to drive that of the answer out of the processor's caches.  Here one task waits for the system's set of them all,
and calls whoever is ready (docs/decisions/007).

A client that asks one thing at a time asks the next within microseconds of the answer.  So the task stays and waits
for it in the system call, as long as nobody else can be late by that: awake for those microseconds, if that has been
worth it, because a processor that went to sleep takes as long to wake up; then asleep.
"""

from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Final, cast

import trio

from smbport.platform import ReadySet
from smbport.server.workers import Workers

__all__ = ["SharedReadiness", "nobody"]

STAY_S: Final = 0.001  # how long to wait for the next request: systems have no smaller unit
TURN_S: Final = 0.002  # after that, trio's other tasks have their turn, whoever asks for more
MOST: Final = 128  # descriptors at a time
FEW: Final = 16  # the same, where one is expected: the system call allocates room for them all
MANY: Final = 4  # when so many were ready at once, others have become so meanwhile
PATIENCE: Final = 8, 1024  # so many requests in a row must have come soon, before it stays, or stays awake (again)


def nobody() -> None:
    """Who has left, if nobody wants to know."""


class SharedReadiness:
    """One task for all, with a set of the system's.

    It is an instrument of trio, too.  Those "don't have to inherit" (`trio.abc.Instrument`), and what does is not
    compiled.
    """

    def __init__(self, ready: ReadySet, threads: trio.CapacityLimiter, workers: Workers, busy_wait_us: int) -> None:
        self._ready = ready
        self._workers = workers
        self._busy_wait_s = busy_wait_us / 1e6
        self._calls: dict[int, Callable[[], bool]] = {}
        self._left: dict[int, Callable[[], None]] = {}  # for when the call said False
        self._threads = (threads, trio.to_thread.current_default_thread_limiter())
        self._others = 0  # tasks that have come to have something to do since the task for all went to sleep
        self._soon = 0  # how many times in a row somebody was ready soon after the last turn
        self._patience = PATIENCE[0]
        self._short = 0  # how many times in a row somebody was ready so soon that staying awake would have met it
        self._short_patience = PATIENCE[0]

    async def run(self) -> None:
        """See `Readiness`."""
        descriptor, ended = self._ready.fileno(), perf_counter()
        instrument = cast("trio.abc.Instrument", self)
        trio.lowlevel.add_instrument(instrument)
        try:
            while True:
                self._others = -1  # it wakes up itself
                await trio.lowlevel.wait_readable(descriptor)
                begun = perf_counter()
                self._soon = self._soon + 1 if begun - ended < STAY_S else 0
                self._turn(begun + TURN_S)
                ended = perf_counter()
        finally:
            trio.lowlevel.remove_instrument(instrument)

    def attend(self, descriptor: int, call: Callable[[], bool], left: Callable[[], None] = nobody) -> None:
        """See `Readiness`."""
        self._calls[descriptor] = call
        self._left[descriptor] = left
        self._ready.add(descriptor)

    def leave(self, descriptor: int) -> None:
        """See `Readiness`."""
        if self._calls.pop(descriptor, None) is not None:
            self._ready.remove(descriptor)
            del self._left[descriptor]

    def close(self) -> None:
        """See `Readiness`."""
        self._ready.close()

    def task_scheduled(self, task: trio.lowlevel.Task) -> None:
        """trio calls this, see trio.abc.Instrument."""
        self._others += 1

    def _turn(self, end: float) -> None:
        """Call whoever is ready, and again while it is worth it and nobody else wants to run."""
        is_known = stays = False
        while events := self._stay() if stays else self._ready.wait(0, MOST):
            for descriptor, _ in events:
                call = self._calls.get(descriptor)
                if call is not None and not call():
                    left = self._left[descriptor]
                    self.leave(descriptor)
                    left()
            if self._others > 0:
                return
            if perf_counter() >= end:
                self._patience = max(self._patience // 2, PATIENCE[0])
                return
            if self._soon >= self._patience:
                stays = True
            elif len(events) < MANY:
                return
            if not is_known and not self._is_alone():
                return
            is_known = True  # threads and time-outs do not begin without a task
        if stays:  # in vain
            self._soon = 0
            self._patience = min(self._patience * 2, PATIENCE[1])

    def _stay(self) -> Sequence[tuple[int, int]]:
        """Whoever is ready next, if that is soon."""
        # Workers need the interpreter, which who waits awake gives back for moments only.
        is_awake = self._short >= self._short_patience and not self._workers.at_work
        return (is_awake and self._wait_awake()) or self._wait_asleep()

    def _wait_awake(self) -> Sequence[tuple[int, int]]:
        end = perf_counter() + self._busy_wait_s
        while perf_counter() < end:
            if events := self._ready.wait(0, FEW):
                self._short_patience = PATIENCE[0]
                return events
        self._short = 0
        self._short_patience = min(self._short_patience * 2, PATIENCE[1])
        return ()

    def _wait_asleep(self) -> Sequence[tuple[int, int]]:
        begun = perf_counter()
        events = self._ready.wait(STAY_S, MOST)
        is_short = perf_counter() - begun < 2 * self._busy_wait_s  # half of it is to wake up, as far as is known
        self._short = self._short + 1 if is_short else 0
        return events

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
