"""ChangeTimes that clients chose.  [MS-FSA] 2.1.5.15.2

POSIX moves the change time with every change and lets nobody set it.  So a time that a client sets, or holds, is kept
here beside the one that the file system had just then.  As long as that is still the same, the file was not changed
since, and the client's time is told.  It is forgotten when the server ends: then the file system's is told again.
"""

from dataclasses import replace
from typing import Final

from smbport.platform import FileKey, Stat

__all__ = ["ChangeTimes"]

MAX_FILES: Final = 16384  # in one share, about 200 bytes each; guessed


class ChangeTimes:
    """The memory of one share."""

    __slots__ = ("_chosen",)

    def __init__(self) -> None:
        self._chosen: dict[FileKey, tuple[int, int]] = {}  # the time of the file system, and the client's

    def choose(self, stat: Stat, change_ns: int) -> None:
        """Tell `change_ns` of a file that is in this state, until it changes."""
        self._chosen.pop(stat.key, None)
        if stat.change_ns == change_ns:
            return
        self._chosen[stat.key] = stat.change_ns, change_ns
        if len(self._chosen) > MAX_FILES:
            del self._chosen[next(iter(self._chosen))]

    def seen(self, stat: Stat) -> Stat:
        """The same state as clients see it."""
        if not self._chosen:
            return stat
        chosen = self._chosen.get(stat.key)
        if chosen is None:
            return stat
        if chosen[0] != stat.change_ns:
            del self._chosen[stat.key]
            return stat
        return replace(stat, change_ns=chosen[1])

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self._chosen)
