"""Whether changes may be made on the event loop's own thread now: as long as the disk keeps up.

A plain write of a few pages copies them into the page cache and does not wait for the disk.  But a writer is held up
when too much is dirty or the journal is full.  That cannot be foreseen but it can be measured: after one slow call
the gate is closed for a while, so that a busy disk costs the event loop a few pauses in a second and not one with
each write.  A thread hop costs ten times as much as the write itself, so this is worth it.  The same goes for changes
of times, mode, owner and attributes.  A call is slow if it took long and the thread gave up its core to wait; one
that only lost its core to other programs meanwhile would take as long in another thread.
"""

import resource
from errno import EAGAIN
from resource import getrusage
from time import monotonic_ns
from typing import Final

from smbport.posix.walk import error

__all__ = ["ChangeGate"]

SLOW_NS: Final = 4_000_000  # guessed: a busy disk takes longer
PAUSE_NS: Final = 250_000_000  # guessed

# Where a thread's own waits are not counted, those of the process are: any of them counts then, and the gate closes.
WHOSE: Final[int] = getattr(resource, "RUSAGE_THREAD", resource.RUSAGE_SELF)


class ChangeGate:
    """Closed for a while after a change had to wait long.  One volume has one, whoever it acts as.

    Only the event loop's thread comes here.
    """

    __slots__ = ("_closed_until_ns", "_waits")

    def __init__(self) -> None:
        self._closed_until_ns = 0
        self._waits = 0  # of this thread before the change

    def enter(self) -> int:
        """BlockingIOError while closed, else the time, for `leave`."""
        now_ns = monotonic_ns()
        if now_ns < self._closed_until_ns:
            raise error(EAGAIN)
        self._waits = count_waits()
        return now_ns

    def leave(self, entered_ns: int, length: int) -> None:
        """Close if what was done with `length` bytes since `enter` took long, because it had to wait."""
        now_ns = monotonic_ns()
        took_long = now_ns - entered_ns > SLOW_NS + length  # a gigabyte in a second is slow for memory
        if took_long and count_waits() != self._waits:
            self._closed_until_ns = now_ns + PAUSE_NS


def count_waits() -> int:
    """How often this thread has given up its core by itself.  Takes 0.4 us."""
    return getrusage(WHOSE).ru_nvcsw
