"""A platform that tells of every call: one line each, for debugging a port or the core above it.

    Volume#1.open('a/b', 1) -> File#2
    File#2.read_at(0, 65536) -> <1234 bytes>
    Volume#1.stat('gone') -> ENOENT

Objects are numbered as they are handed out.  Of data only the length is told, so a trace holds no file contents.
"""

import errno
import itertools
from collections.abc import Callable
from typing import Final, TypeVar

from smbport.testing.calls import GIVERS, Call, role_of, wrap

__all__ = ["trace"]

T = TypeVar("T")

MAX_TEXT: Final = 200  # characters of one value; guessed to be what one wants to read


def trace(inner: T, tell: Callable[[str], None]) -> T:
    """`inner`, a platform or a volume, with one line to `tell` after each call."""
    return wrap(inner, _Tracer(tell).intercept)


class _Tracer:
    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._labels: dict[int, tuple[str, object]] = {}  # by id until closed; kept alive, or ids would come again
        self._numbers = itertools.count(1)

    def intercept(self, call: Call) -> object:
        line = self._describe(call)
        try:
            result = call.proceed()
        except OSError as error:
            self._tell(f"{line} -> {errno.errorcode.get(error.errno or 0, error)}")
            raise
        if call.name in GIVERS:
            self._labels[id(result)] = (f"{role_of(result)}#{next(self._numbers)}", result)
        elif call.name == "close":
            self._labels.pop(id(call.target), None)
        self._tell(line if result is None else f"{line} -> {self._text(result)}")
        return result

    def _describe(self, call: Call) -> str:
        shown = [self._text(value) for value in call.positional]
        shown += [f"{name}={self._text(value)}" for name, value in call.keywords.items()]
        label = self._labels[id(call.target)][0] if id(call.target) in self._labels else call.role
        return f"{label}.{call.name}({', '.join(shown)})"

    def _text(self, value: object) -> str:
        if id(value) in self._labels:
            return self._labels[id(value)][0]
        if isinstance(value, bytes | bytearray | memoryview):
            return f"<{len(value)} bytes>"
        if isinstance(value, list):
            return f"<{len(value)} items>"
        text = repr(value)
        return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}..."
