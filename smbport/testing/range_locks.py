"""Range locks of a MemoryPlatform.  A local program is whoever has a handle of its own."""

import threading
from typing import Final
from weakref import WeakKeyDictionary

from smbport.platform import File
from smbport.testing.handles import MemoryFile, own_file

__all__ = ["MemoryRangeLocks"]

Range = tuple[int, int, bool]  # start, end, exclusive


class MemoryRangeLocks:
    """The power `range_locks`."""

    def __init__(self) -> None:
        self._held: Final[WeakKeyDictionary[MemoryFile, list[Range]]] = WeakKeyDictionary()
        self._lock = threading.Lock()

    def lock(self, file: File, offset: int, length: int, *, exclusive: bool, wait: bool = False) -> bool:
        own, wanted = own_file(file), (offset, offset + length, exclusive)
        with self._lock, own.locked() as inode:
            others = [other for other in self._held if other is not own and other.inode is inode and other.is_open]
            if any(_collide(wanted, held) for other in others for held in self._held[other]):
                return False
            self._held[own] = [*_without(self._held.get(own, []), offset, offset + length), wanted]
        return True

    def unlock(self, file: File, offset: int, length: int, *, wait: bool = False) -> None:
        own = own_file(file)
        with self._lock, own.locked():
            self._held[own] = _without(self._held.get(own, []), offset, offset + length)


def _collide(one: Range, other: Range) -> bool:
    return one[0] < other[1] and other[0] < one[1] and (one[2] or other[2])


def _without(ranges: list[Range], start: int, end: int) -> list[Range]:
    """What is left of them outside of start..end."""
    left = [(first, min(last, start), kind) for first, last, kind in ranges if first < start]
    return left + [(max(first, end), last, kind) for first, last, kind in ranges if end < last]
