"""Faults on order: a platform that fails where and when a test wants it to.

    faults = Faults()
    platform = faults.wrap(MemoryPlatform())
    faults.fail("File.write_at", errno.EIO, nth=3)

A call is named `File.write_at`, or `write_at` for every role that has it, or `*` for all.  A fault begins with
the `nth` such call from now on and lasts for `times` calls, for ever if that is None.  A call that fails never
reaches the wrapped platform.  Several faults on one call take effect in the order in which they were ordered.
"""

import errno
import os
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from smbport.platform import Features
from smbport.testing.calls import METHODS, Call, wrap

__all__ = ["Faults"]

T = TypeVar("T")

LENGTHS: Final = {
    "File.write_at": "data",
    "Directory.entries": "limit",
    "Clone.copy": "length",
    "ZeroCopy.send": "length",
}
"""Calls that may do less than they were asked to, and the argument that says how much that is."""


@dataclass(slots=True)
class Fault:
    """What happens to the calls of one name."""

    name: str
    nth: int
    times: int | None
    act: Callable[[Call], Call]  # raises OSError, or gives the call to go on with
    seen: int = 0

    def is_due(self, call: Call) -> bool:
        """Count the call if it is one of ours; whether the fault strikes it."""
        if self.name not in (call.path, call.name) and (self.name != "*" or call.name == "close"):
            return False
        self.seen += 1
        return self.seen >= self.nth and (self.times is None or self.seen < self.nth + self.times)


class Faults:
    """The faults of one wrapped platform.  They may be ordered from any thread at any time."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()  # calls so far, `File.write_at` and so on; calls sent to a thread once
        self._faults: list[Fault] = []
        self._threaded: list[str] = []
        self._lock = threading.Lock()

    def wrap(self, inner: T) -> T:
        """A platform, volume, file or directory that suffers these faults, as does all that it hands out."""
        return wrap(inner, self._intercept, alter_features=self._alter_features)

    def fail(self, name: str, code: int, *, nth: int = 1, times: int | None = 1) -> None:
        """OSError(code) instead of the call.  `close` never raises, so it cannot be named, and `*` leaves it out."""

        def act(call: Call) -> Call:
            raise OSError(code, os.strerror(code))

        if name.rpartition(".")[2] == "close":
            raise ValueError("close never raises")
        self._order(name, nth, times, act)

    def shorten(self, name: str, length: int, *, nth: int = 1, times: int | None = None) -> None:
        """Write, list, copy or send at most `length`; `name` is one of `LENGTHS`."""
        argument = LENGTHS[name]

        def act(call: Call) -> Call:
            wanted = call.arguments[argument]
            if isinstance(wanted, bytes | memoryview):
                return call.replace(**{argument: wanted[:length]})
            assert isinstance(wanted, int)
            return call.replace(**{argument: min(wanted, length)})

        self._order(name, nth, times, act)

    def do_before(self, name: str, action: Callable[[], None], *, nth: int = 1, times: int | None = 1) -> None:
        """Call `action()` on the caller's thread first: to change the world between two steps of the core."""

        def act(call: Call) -> Call:
            action()
            return call

        self._order(name, nth, times, act)

    def force_threads(self, name: str = "*") -> None:
        """BlockingIOError from every such call with wait=False, so that the core repeats it in a thread."""
        _check_name(name)
        with self._lock:
            self._threaded.append(name)

    def clear(self) -> None:
        """Forget all faults; `counts` stay."""
        with self._lock:
            self._faults.clear()
            self._threaded.clear()

    def _order(self, name: str, nth: int, times: int | None, act: Callable[[Call], Call]) -> None:
        _check_name(name)
        with self._lock:
            self._faults.append(Fault(name, nth, times, act))

    def _intercept(self, call: Call) -> object:
        with self._lock:
            if self._is_for_a_thread(call):
                raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
            self.counts[call.path] += 1
            due = [fault for fault in self._faults if fault.is_due(call)]
        for fault in due:
            call = fault.act(call)
        return call.proceed()

    def _alter_features(self, features: Features) -> Features:
        """What is forced into threads is not inline, and the core may plan with that."""
        return replace(features, inline_io=False) if self._threaded else features

    def _is_for_a_thread(self, call: Call) -> bool:
        return (
            call.may_block
            and any(name in ("*", call.name, call.path) for name in self._threaded)
            and not call.arguments["wait"]
        )


def _check_name(name: str) -> None:
    """A misspelt name would be a test that cannot fail."""
    if name != "*" and not any(name in (method, f"{role}.{method}") for role in METHODS for method in METHODS[role]):
        raise ValueError(f"the contract has no call {name!r}")
