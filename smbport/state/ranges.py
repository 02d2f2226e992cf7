"""Byte-range locks of one file.  [MS-FSA] 2.1.4.10, 2.1.5.9, [MS-SMB2] 3.3.5.14

Rules, for two ranges that overlap:

    held \\ wanted          shared lock   exclusive lock   read   write
    shared, same open      yes           no               yes    no
    shared, other open     yes           no               yes    no
    exclusive, same open   yes           no               yes    yes
    exclusive, other open  no            no               no     no

A range of length 0 overlaps only what begins before it and ends behind it; reading or writing no bytes is never
refused.  Locks do not merge: each is released by an unlock of exactly its range, one lock per unlock, exclusive
locks before shared ones.

Who wants to wait stands in a queue.  When a range becomes free, the queue is gone through from its head, and whoever
has nothing held in the way gets the lock there and then, before anybody else can ask.  Those who wait stand in
nobody's way: a client may hold one range and wait for another, and would wait for itself.

No answer depends on which lock stands in the way, only on whether one does.  So locks are kept as sorted offsets
that are counted by bisection: the 65,536th lock of a file costs about as much as the first.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Hashable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from smbport.state.server import Event

__all__ = ["HeldLock", "LockWaiter", "Part", "RangeLocks"]


class HeldLock(NamedTuple):
    """One lock, as it is written down."""

    offset: int
    length: int
    exclusive: bool


class Part(NamedTuple):
    """A stretch of bytes that one open has locked alike from end to end, or not at all."""

    start: int
    end: int
    exclusive: bool | None  # None: not locked


class LockWaiter:
    """A place in the queue."""

    __slots__ = ("event", "granted", "owner", "wanted")

    def __init__(self, owner: Hashable, wanted: HeldLock, event: "Event") -> None:
        self.owner = owner
        self.wanted = wanted
        self.event = event  # set when the wait is over
        self.granted = False  # and whether it was worth it


class _Ranges:
    """Ranges that may overlap each other, to be counted."""

    __slots__ = ("_ends", "_points", "_starts")

    def __init__(self) -> None:
        self._starts: list[int] = []  # of ranges that hold bytes; like the others in ascending order
        self._ends: list[int] = []
        self._points: list[int] = []  # offsets of ranges of length 0

    def __len__(self) -> int:
        return len(self._starts) + len(self._points)

    def add(self, offset: int, length: int) -> None:
        if length:
            insort(self._starts, offset)
            insort(self._ends, offset + length)
        else:
            insort(self._points, offset)

    def remove(self, offset: int, length: int) -> None:
        """Take one away that was added."""
        if length:
            del self._starts[bisect_left(self._starts, offset)]
            del self._ends[bisect_left(self._ends, offset + length)]
        else:
            del self._points[bisect_left(self._points, offset)]

    def begin_before(self, offset: int) -> bool:
        """Whether any of them does."""
        return any(offsets and offsets[0] < offset for offsets in (self._starts, self._points))

    def overlapping(self, offset: int, length: int) -> int:
        """How many overlap this range: those that begin before its end, less those that end before it begins."""
        end = offset + length
        count = bisect_left(self._starts, end) - bisect_right(self._ends, offset)
        if length:
            count += bisect_left(self._points, end) - bisect_right(self._points, offset)
        return count


class _Owned:
    """The locks of one open."""

    __slots__ = ("count", "exclusive", "granted")

    def __init__(self) -> None:
        self.count = 0
        self.granted: dict[tuple[int, int, bool], list[int]] = {}  # (offset, length, exclusive) -> serial numbers
        self.exclusive = _Ranges()


class RangeLocks:
    """All locks of a file; an owner is any object that stands for an open."""

    __slots__ = ("_exclusive", "_owners", "_serial", "_shared", "queue")

    def __init__(self) -> None:
        self.queue: list[LockWaiter] = []  # in the order they came
        self._shared = _Ranges()
        self._exclusive = _Ranges()
        self._owners: dict[Hashable, _Owned] = {}  # those that hold a lock
        self._serial = 0

    def __len__(self) -> int:
        return len(self._shared) + len(self._exclusive)

    def count(self, owner: Hashable) -> int:
        """How many locks one open has."""
        owned = self._owners.get(owner)
        return owned.count if owned is not None else 0

    def parts(self, owner: Hashable, offset: int, length: int) -> list[Part]:
        """What `owner` holds of a range of bytes, part by part; where locks overlap, the exclusive one counts."""
        end = offset + length
        covers = self._covers(owner, offset, length)
        edges = sorted({offset, end, *(edge for cover in covers for edge in cover[:2] if offset < edge < end)})
        return [Part(start, stop, _strongest(covers, start, stop)) for start, stop in pairwise(edges)]

    def _covers(self, owner: Hashable, offset: int, length: int) -> list[Part]:
        """The locks of `owner` that overlap a range of bytes."""
        owned = self._owners.get(owner)
        if owned is None or not self._shared.overlapping(offset, length) + self._exclusive.overlapping(offset, length):
            return []  # nearly always, and then it does not matter how many there are elsewhere
        end = offset + length
        return [
            Part(start, start + size, exclusive)
            for start, size, exclusive in owned.granted
            if start < end and offset < start + size
        ]

    def begin_before(self, offset: int) -> bool:
        """Whether any lock begins before `offset`."""
        return self._shared.begin_before(offset) or self._exclusive.begin_before(offset)

    def try_lock(self, owner: Hashable, offset: int, length: int, *, exclusive: bool) -> bool:
        """Grant the lock if nothing stands against it.  The range must end at 2^64 at the latest."""
        if exclusive:
            blocked = self._shared.overlapping(offset, length) + self._exclusive.overlapping(offset, length) > 0
        else:
            blocked = self._foreign(owner, offset, length)
        if blocked:
            return False
        owned = self._owners.get(owner)
        if owned is None:
            owned = self._owners[owner] = _Owned()
        owned.count += 1
        self._serial += 1
        owned.granted.setdefault((offset, length, exclusive), []).append(self._serial)
        if exclusive:
            owned.exclusive.add(offset, length)
            self._exclusive.add(offset, length)
        else:
            self._shared.add(offset, length)
        return True

    def unlock(self, owner: Hashable, offset: int, length: int) -> HeldLock | None:
        """Release one lock of exactly this range, an exclusive one first, and return it.  None if there is none."""
        for exclusive in (True, False):
            if self._drop(owner, offset, length, exclusive):
                return HeldLock(offset, length, exclusive)
        return None

    def unlock_newest(self, owner: Hashable, offset: int, length: int) -> None:
        """Take back the lock of this range that was granted last."""
        granted = self._owners[owner].granted
        shared, exclusive = (granted.get((offset, length, kind), [0])[-1] for kind in (False, True))
        self._drop(owner, offset, length, exclusive > shared)

    def release(self, owner: Hashable) -> bool:
        """Drop every lock of `owner`, whose open closes, and what it waits for.  True if there were any locks."""
        for waiter in [waiter for waiter in self.queue if waiter.owner is owner]:
            self.queue.remove(waiter)
            waiter.event.set()
        owned = self._owners.pop(owner, None)
        if owned is None:
            return False
        for (offset, length, exclusive), serials in sorted(owned.granted.items(), reverse=True):  # lists shrink cheaply
            for _ in serials:
                (self._exclusive if exclusive else self._shared).remove(offset, length)
        return True

    def wait(self, owner: Hashable, wanted: HeldLock, event: "Event") -> LockWaiter:
        """Stand in the queue for a lock that `try_lock` has refused."""
        waiter = LockWaiter(owner, wanted, event)
        self.queue.append(waiter)
        return waiter

    def stop_waiting(self, waiter: LockWaiter) -> None:
        """Leave the queue, if the wait is not over."""
        if waiter in self.queue:
            self.queue.remove(waiter)

    def grant_waiting(self) -> None:
        """Ranges may have become free: go through the queue."""
        still: list[LockWaiter] = []
        waiting, self.queue = self.queue, still
        for waiter in waiting:
            offset, length, exclusive = waiter.wanted
            if self.try_lock(waiter.owner, offset, length, exclusive=exclusive):
                waiter.granted = True
                waiter.event.set()
            else:
                still.append(waiter)

    def may_read(self, owner: Hashable, offset: int, length: int) -> bool:
        """Whether no exclusive lock of another owner covers any of these bytes."""
        return not self._owners or not length or not self._foreign(owner, offset, length)

    def may_write(self, owner: Hashable, offset: int, length: int) -> bool:
        """Whether no lock but an exclusive one of this owner covers any of these bytes."""
        if not self._owners or not length:
            return True
        return not self._shared.overlapping(offset, length) and not self._foreign(owner, offset, length)

    def _foreign(self, owner: Hashable, offset: int, length: int) -> bool:
        """Whether an exclusive lock of another owner overlaps the range."""
        count = self._exclusive.overlapping(offset, length)
        owned = self._owners.get(owner) if count else None
        return count > (owned.exclusive.overlapping(offset, length) if owned is not None else 0)

    def _drop(self, owner: Hashable, offset: int, length: int, exclusive: bool) -> bool:
        """Take one lock away; False if there is none of that kind."""
        owned = self._owners.get(owner)
        serials = owned.granted.get((offset, length, exclusive)) if owned is not None else None
        if owned is None or serials is None:
            return False
        serials.pop()
        owned.count -= 1
        if exclusive:
            owned.exclusive.remove(offset, length)
            self._exclusive.remove(offset, length)
        else:
            self._shared.remove(offset, length)
        if not serials:
            del owned.granted[offset, length, exclusive]
            if not owned.granted:
                del self._owners[owner]
        return True


def _strongest(covers: Sequence[Part], start: int, end: int) -> bool | None:
    """What the locks make of a stretch that each of them covers wholly or not at all."""
    kinds = [cover.exclusive for cover in covers if cover.start <= start and end <= cover.end]
    return any(kinds) if kinds else None
