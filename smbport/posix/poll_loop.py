"""`select.kqueue` made of `select.poll`, for systems where trio finds no event loop of its own.

trio runs on epoll or on kqueue.  A system that has neither, or an epoll without one-shot events as QNX has, gets
here what trio's kqueue backend uses of the `select` module, and no more: descriptors that become readable or
writable.  Every wait costs time in proportion to the connections, which is good enough for a few hundred.
"""

import fcntl
import math
import os
import select
from collections.abc import Sequence
from contextlib import suppress
from errno import ENOENT
from typing import Final, Protocol

__all__ = ["PollEvent", "PollQueue", "has_event_loop", "install"]

# Numbers of our own: nobody but `PollQueue` reads them.
FILTER_READ: Final = 1
FILTER_WRITE: Final = 2
EV_ADD: Final = 1
EV_DELETE: Final = 2
EV_ONESHOT: Final = 4
EV_EOF: Final = 8

ENDED: Final = select.POLLHUP | select.POLLERR  # wakes readers and writers: their next call tells what happened
ASKS: Final = {FILTER_READ: select.POLLIN, FILTER_WRITE: select.POLLOUT}
MAX_TIMEOUT_MS: Final = 2**31 - 1


class HasFileno(Protocol):
    def fileno(self) -> int: ...


class PollEvent:
    """`select.kevent`: a change that is asked for, or an event that came."""

    __slots__ = ("filter", "flags", "ident")

    def __init__(self, ident: int | HasFileno, filter: int = FILTER_READ, flags: int = EV_ADD) -> None:
        self.ident = ident if isinstance(ident, int) else ident.fileno()
        self.filter = filter
        self.flags = flags


class PollQueue:
    """`select.kqueue`, for one thread."""

    __slots__ = ("_poll", "_wanted")

    def __init__(self) -> None:
        self._poll = select.poll()
        self._wanted: dict[int, dict[int, int]] = {}  # descriptor -> filter -> flags

    def control(
        self, changes: Sequence[PollEvent] | None, max_events: int, timeout: float | None = None
    ) -> list[PollEvent]:
        """Make the changes, then wait up to `timeout` seconds for events; with `max_events` 0, do not wait."""
        for change in changes or ():
            self._change(change)
        return self._wait(max_events, timeout) if max_events else []

    def close(self) -> None:
        self._wanted.clear()

    def _change(self, change: PollEvent) -> None:
        """OSError(ENOENT) if what is to be deleted is not there, OSError(EBADF) if a descriptor is closed."""
        fd, wanted = change.ident, self._wanted.setdefault(change.ident, {})
        try:
            if not change.flags & EV_DELETE:
                fcntl.fcntl(fd, fcntl.F_GETFD)
                wanted[change.filter] = change.flags
            elif wanted.pop(change.filter, None) is None:
                raise OSError(ENOENT, os.strerror(ENOENT))
        finally:
            self._register(fd)

    def _register(self, fd: int) -> None:
        """Ask for what is wanted now."""
        wanted = self._wanted[fd]
        if wanted:
            self._poll.register(fd, sum(ASKS[filter] for filter in wanted))
        else:
            del self._wanted[fd]
            with suppress(KeyError):
                self._poll.unregister(fd)

    def _wait(self, max_events: int, timeout: float | None) -> list[PollEvent]:
        # Rounded up: a loop that wakes too early finds nothing to do and comes back, again and again.
        wait_ms = None if timeout is None else min(math.ceil(timeout * 1000), MAX_TIMEOUT_MS)
        events: list[PollEvent] = []
        for fd, found in self._poll.poll(wait_ms):
            if found & select.POLLNVAL:  # closed: a kqueue forgets it without a word
                self._wanted[fd].clear()
                self._register(fd)
                continue
            for filter, flags in list(self._wanted[fd].items()):
                # Bits in common: what is asked for can be several bits, of which one is found.
                if found & (ASKS[filter] | ENDED) and len(events) < max_events:
                    events.append(PollEvent(fd, filter, flags & EV_ONESHOT | (EV_EOF if found & ENDED else 0)))
                    if flags & EV_ONESHOT:
                        self._change(PollEvent(fd, filter, EV_DELETE))
        return events


NAMES: Final[dict[str, object]] = {
    "kqueue": PollQueue,
    "kevent": PollEvent,
    "KQ_FILTER_READ": FILTER_READ,
    "KQ_FILTER_WRITE": FILTER_WRITE,
    "KQ_EV_ADD": EV_ADD,
    "KQ_EV_DELETE": EV_DELETE,
    "KQ_EV_ONESHOT": EV_ONESHOT,
    "KQ_EV_EOF": EV_EOF,
}


def has_event_loop() -> bool:
    """Whether trio finds something to run on."""
    return hasattr(select, "epoll") or hasattr(select, "kqueue")


def install() -> None:
    """Let trio, which must not have been imported yet, run on `select.poll`.  A kqueue that is there stays."""
    if hasattr(select, "kqueue"):
        return
    import selectors  # before the names are there: it must not take them for the real thing

    selectors.DefaultSelector = selectors.PollSelector  # type: ignore[misc, assignment]  # an epoll would be gone
    if hasattr(select, "epoll"):
        del select.epoll
    vars(select).update(NAMES)
