"""DOS attributes and creation times beside the states of files: adding them, and knowing them without asking again."""

import time
from typing import Final, Generic, TypeVar

from smbport.platform import FileKey, Kind, Stat
from smbport.posix.dosattrib import Marks

__all__ = ["MARKED_KINDS", "MarkCache", "Unchanged", "add_marks"]

MARKED_KINDS: Final = (Kind.FILE, Kind.DIRECTORY)  # Linux allows user attributes on nothing else

CACHED_MARKS: Final = 16384  # about 5 MB
SETTLED_NS: Final = 100_000_000  # many ticks of the coarsest clock (10 ms) by which kernels stamp changes


T = TypeVar("T")


class Unchanged(Generic[T]):
    """What was read of files that did not change since.

    Setting an attribute moves the time of change.  But two changes within one tick of the kernel's clock leave
    the same time, so what is read right after a change is not kept: the second may still come.
    """

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: dict[FileKey, tuple[int, T]] = {}

    def find(self, stat: Stat) -> T | None:
        """What was read when the file was as it is now."""
        known = self._known.get(stat.key)
        return known[1] if known is not None and known[0] == stat.change_ns else None

    def keep(self, stat: Stat, read: T) -> None:
        """Remember what was read after `stat`."""
        if time.time_ns() - stat.change_ns > SETTLED_NS:
            if len(self._known) >= CACHED_MARKS:
                self._known.clear()
            self._known[stat.key] = (stat.change_ns, read)


MarkCache = Unchanged[Marks]


def add_marks(stat: Stat, marks: Marks) -> None:
    stat.dos_attributes = marks.dos_attributes
    if marks.birth_ns is not None:
        stat.birth_ns = marks.birth_ns
