"""DOS attributes and creation times beside the states of files: adding them, and knowing them without asking again."""

import time
from collections.abc import Sequence
from typing import Final, Generic, TypeVar

from smbport.platform import Kind, Stat
from smbport.posix.dosattrib import NO_MARKS, Marks

__all__ = ["MARKED_KINDS", "MarkCache", "Unchanged", "add_marks"]

MARKED_KINDS: Final = (Kind.FILE, Kind.DIRECTORY)  # Linux allows user attributes on nothing else

CACHED_MARKS: Final = 131072  # about 12 MB
SETTLED_NS: Final = 100_000_000  # many ticks of the coarsest clock (10 ms) by which kernels stamp changes
INODE: Final = 96  # bits: more than any time has in nanoseconds, which may be below zero
DEVICE: Final = INODE + 64

T = TypeVar("T")


class Unchanged(Generic[T]):
    """What was read of files that did not change since.

    Setting an attribute moves the time of change.  But two changes within one tick of the kernel's clock leave
    the same time, so what is read right after a change is not kept: the second may still come.
    """

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: dict[int, T] = {}  # by file and time of change in one number: a third of what tuples take

    def find(self, stat: Stat) -> T | None:
        """What was read when the file was as it is now."""
        device, inode = stat.key
        return self._known.get((device << DEVICE) + (inode << INODE) + stat.change_ns)

    def keep(self, stat: Stat, read: T) -> None:
        """Remember what was read after `stat`."""
        if time.time_ns() - stat.change_ns > SETTLED_NS:
            if len(self._known) >= CACHED_MARKS:
                self._known.clear()
            device, inode = stat.key
            self._known[(device << DEVICE) + (inode << INODE) + stat.change_ns] = read


class MarkCache(Unchanged[Marks]):
    """Marks of files."""

    __slots__ = ()

    def add_known(self, names: Sequence[bytes], found: Sequence[Stat | None]) -> list[tuple[bytes, Stat]]:
        """Add marks to the states of names; returns those whose marks must be read.  In every listing's hot path."""
        known = self._known
        unknown: list[tuple[bytes, Stat]] = []
        for name, stat in zip(names, found, strict=True):
            if stat is None or stat.kind not in MARKED_KINDS:
                continue
            device, inode = stat.key
            marks = known.get((device << DEVICE) + (inode << INODE) + stat.change_ns)
            if marks is None:
                unknown.append((name, stat))
            elif marks is not NO_MARKS:
                add_marks(stat, marks)
        return unknown


def add_marks(stat: Stat, marks: Marks) -> None:
    stat.dos_attributes = marks.dos_attributes
    if marks.birth_ns is not None:
        stat.birth_ns = marks.birth_ns
