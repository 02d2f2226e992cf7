"""Who of many sockets has something to read, and may be called.

Where the system has a set of sockets that trio can wait for, one task serves them all: `server/shared_readiness.py`.
"""

from collections.abc import Callable
from typing import Protocol

import trio

from smbport.platform import Sockets
from smbport.server.shared_readiness import SharedReadiness, nobody
from smbport.server.workers import Workers

__all__ = ["PlainReadiness", "Readiness", "new_readiness"]


class Readiness(Protocol):
    """Calls whoever has something to read."""

    async def run(self) -> None:
        """Must run while anybody attends."""

    def attend(self, descriptor: int, call: Callable[[], bool], left: Callable[[], None] = nobody) -> None:
        """Call, from whatever task, when there is something to read.  Neither must raise.

        When `call` returns False, that was the last time, and `left` is called.
        """

    def leave(self, descriptor: int) -> None:
        """Attend no more: to be called before it is closed, and harmless if it is not attended."""

    def close(self) -> None:
        """When nobody attends any more."""


def new_readiness(sockets: Sockets, threads: trio.CapacityLimiter, workers: Workers, busy_wait_us: int) -> Readiness:
    """The best that this system has; `threads` and `workers` work for the server; see `Limits` for `busy_wait_us`."""
    ready = sockets.ready_set()
    return PlainReadiness() if ready is None else SharedReadiness(ready, threads, workers, busy_wait_us)


_Attendance = tuple[trio.CancelScope, int, Callable[[], bool], Callable[[], None]]


class PlainReadiness:
    """Each waits by itself: for systems whose event loop has no descriptor that could be waited for."""

    def __init__(self) -> None:
        self._scopes: dict[int, trio.CancelScope] = {}
        self._nursery: trio.Nursery | None = None
        self._early: list[_Attendance] = []  # who came before there was one

    async def run(self) -> None:
        """See `Readiness`."""
        async with trio.open_nursery() as self._nursery:
            while self._early:
                self._nursery.start_soon(self._attend, *self._early.pop(0))
            await trio.sleep_forever()

    def attend(self, descriptor: int, call: Callable[[], bool], left: Callable[[], None] = nobody) -> None:
        """See `Readiness`."""
        scope = self._scopes[descriptor] = trio.CancelScope()
        if self._nursery is None:
            self._early.append((scope, descriptor, call, left))
        else:
            self._nursery.start_soon(self._attend, scope, descriptor, call, left)

    def leave(self, descriptor: int) -> None:
        """See `Readiness`."""
        scope = self._scopes.pop(descriptor, None)
        if scope is not None:
            scope.cancel()

    def close(self) -> None:
        """Nothing is held."""

    async def _attend(
        self, scope: trio.CancelScope, descriptor: int, call: Callable[[], bool], left: Callable[[], None]
    ) -> None:
        with scope:
            await trio.lowlevel.checkpoint_if_cancelled()  # it may be closed already
            await trio.lowlevel.wait_readable(descriptor)
            while not scope.cancel_called and call():  # what was ready at the same time may have made it leave
                await trio.lowlevel.wait_readable(descriptor)
        if not scope.cancel_called:
            del self._scopes[descriptor]
            left()
