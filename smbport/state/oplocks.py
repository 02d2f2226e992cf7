"""What clients cache of one file, and what makes them give it up.  [MS-FSA] 2.1.5.18, 2.1.4.12, [MS-SMB2] 3.3.1.12

    caching   its client may keep to itself    granted
    READ      what it read                     beside other opens, while no byte range of the file is locked
    WRITE     what it wrote                    to the only one who has the file open; stat opens do not count
    HANDLE    that it closed                   beside others that have READ and HANDLE, too

Two kinds of caches hold these bits.  An oplock belongs to one open and is READ (level II), READ and WRITE
(exclusive) or all three (batch).  A lease belongs to all opens of a client with the same key (state/leases.py) and
can be anything with READ.  So HANDLE is not had beside the other kind: a lease gets none where there is an oplock,
and an oplock is not to be had at all where a lease has it.

    somebody else ...                               takes                 and waits until nobody has
    OPEN            opens it as share modes allow   WRITE                 WRITE
    READ_SECURITY   opens it to see who may do so   WRITE of oplocks      WRITE
    NEED_CLOSED     can do it only after a CLOSE    HANDLE                HANDLE
    CHANGE          overwrites, writes, locks it    READ, WRITE, HANDLE   WRITE

A lease keeps what is not taken.  An oplock has no level for HANDLE alone: it falls to READ or to nothing.

To lose READ alone takes no answer.  From WRITE the client has to write back and from HANDLE perhaps to close, so until
it acknowledges, closes or has had its time, the break is pending: it still has what it had, and whoever wants what that
does not allow waits.  More may be taken meanwhile; the holder hears of that when it has acknowledged the first break,
and as long as there is more than READ to lose, READ is taken in a step of its own.

What a cache allows its own client to do never breaks it, with one exception: READ of an oplock also ends when the
holder itself changes the file.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple

from smbport.wire.constants import Access, OplockLevel
from smbport.wire.create_contexts import LeaseState

if TYPE_CHECKING:
    from smbport.state.open import FileOpen
    from smbport.state.server import Event

__all__ = [
    "CHANGE", "HANDLE", "NEED_CLOSED", "NONE", "OPEN", "READ", "READ_SECURITY", "WRITE", "Blocker", "Break", "Cache",
    "Contention", "Oplock", "Oplocks", "is_stat_open",
]  # fmt: skip

NONE: Final = LeaseState.NONE
READ: Final = LeaseState.READ_CACHING
HANDLE: Final = LeaseState.HANDLE_CACHING
WRITE: Final = LeaseState.WRITE_CACHING

_STAT_ACCESS: Final = Access.READ_ATTRIBUTES | Access.WRITE_ATTRIBUTES | Access.SYNCHRONIZE
_LEVELS: Final = {
    OplockLevel.NONE: NONE,
    OplockLevel.LEVEL_II: READ,
    OplockLevel.EXCLUSIVE: READ | WRITE,
    OplockLevel.BATCH: READ | WRITE | HANDLE,
}
_LEVEL_OF: Final = {state: level for level, state in _LEVELS.items()}


def is_stat_open(granted_access: int) -> bool:
    """Whether an open can do so little that it disturbs no cache."""
    return not granted_access & ~_STAT_ACCESS


class Contention(NamedTuple):
    """What somebody wants to do to the file; the table above."""

    takes: int
    waits: int
    spares_leases: bool = False


OPEN: Final = Contention(WRITE, WRITE)
READ_SECURITY: Final = Contention(WRITE, WRITE, spares_leases=True)
NEED_CLOSED: Final = Contention(HANDLE, HANDLE)
CHANGE: Final = Contention(READ | WRITE | HANDLE, WRITE)


class Cache:
    """What one oplock or lease allows."""

    __slots__ = ("deadline_ns", "over", "postponed", "required", "state", "told")

    is_lease = False

    def __init__(self) -> None:
        self.state: int = NONE
        # While a break is pending:
        self.over: Event | None = None  # set when it is over; None if there is none
        self.told: int = NONE  # what its holder was told to go down to,
        self.required: int = NONE  # and what it must come to in the end
        self.deadline_ns = 0  # when it is over anyway
        self.postponed: Break | None = None  # what its holder does not know yet, being away

    def left_by(self, contention: Contention) -> int:
        """What stays of it."""
        left = self.state & ~contention.takes
        return left if left == self.state else left & READ

    def is_spared(self, contention: Contention, by: "Cache | None") -> bool:
        """Whether this contention, through an open with the cache `by`, is none of its business."""
        return self is by and self.state != READ

    def is_broken_by(self, contention: Contention, by: "Cache | None") -> bool:
        """Whether it cannot stay as it is."""
        return bool(self.state & contention.takes) and not self.is_spared(contention, by)

    def advance(self) -> None:
        """Its state changes, not by its client's acknowledgment."""


class Oplock(Cache):
    """The cache of one open."""

    __slots__ = ("opened",)

    def __init__(self, opened: "FileOpen") -> None:
        super().__init__()
        self.opened = opened

    @property
    def level(self) -> int:
        """The state as an OplockLevel."""
        return _LEVEL_OF[self.state]


class Break(NamedTuple):
    """What a holder must be told."""

    cache: Cache
    held: int
    left: int

    @property
    def must_acknowledge(self) -> bool:
        """Whether the holder has to answer."""
        return self.held != READ


class Blocker(NamedTuple):
    """A break that is pending."""

    cache: Cache
    over: "Event"  # set when the break is


class Oplocks:
    """The caches of one file that allow anything."""

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held: dict[Cache, None] = {}  # in the order they were granted

    def __len__(self) -> int:
        return len(self._held)

    # Granting ---------------------------------------------------------------------------------------------------

    def grant_oplock(self, opened: "FileOpen", level: int, *, sole: bool, locked: bool) -> Oplock | None:
        """Give a new open the best level within `level` that can be had.

        `sole`: there are no other opens, or stat opens only; `locked`: a byte range is locked.
        """
        state = _LEVELS.get(level, NONE)
        if not sole or self._held:
            state &= READ
        if locked or not state or any(other.state != READ for other in self._held):
            return None
        oplock = Oplock(opened)
        oplock.state = state
        self._held[oplock] = None
        return oplock

    def grant_lease(self, lease: Cache, wanted: int, *, first: bool, sole: bool, locked: bool) -> None:
        """Give a lease what can be had of `wanted`; if it is not the `first` time, all of it or nothing.

        A lease is never given less than it has, nor anything while a break is pending.  `sole`: opens that do not
        share it are stat opens; `locked`: a byte range is locked.
        """
        granted = NONE if locked else self._available(lease, wanted, sole=sole)
        more = granted != lease.state and not lease.state & ~granted
        if lease.over is None and more and (first or granted == wanted):
            lease.state = granted
            lease.advance()
            self._held[lease] = None

    def _available(self, lease: Cache, wanted: int, *, sole: bool) -> int:
        """What of `wanted` goes with the caches of others.  Without READ, nothing is worth having."""
        others = [other for other in self._held if other is not lease]
        if any(other.state & WRITE for other in others):
            return NONE
        if others or not sole:
            wanted &= ~WRITE
        if not all(other.is_lease for other in others):
            wanted &= ~HANDLE
        return wanted if wanted & READ else NONE

    # Breaking ---------------------------------------------------------------------------------------------------

    def mind(self, contention: Contention, by: Cache | None = None) -> bool:
        """Whether there is anything to break, or broken already and to be waited for."""
        return any(cache.is_broken_by(contention, by) for cache in self._held)

    def start_breaks(
        self, contention: Contention, new_event: "Callable[[], Event]", deadline_ns: int, by: Cache | None = None
    ) -> list[Break]:
        """Break what cannot stay.  Returns what the holders must be told.

        `by` is the cache of the open that contends, or the lease it asks for: what it caches alone cannot hurt it.
        """
        started = [self.start_break(cache, contention, new_event, deadline_ns, by) for cache in list(self._held)]
        return [told for told in started if told is not None]

    def start_break(
        self,
        cache: Cache,
        contention: Contention,
        new_event: "Callable[[], Event]",
        deadline_ns: int,
        by: Cache | None = None,
    ) -> Break | None:
        """The same, for one of them."""
        if not cache.is_broken_by(contention, by):
            return None
        left = cache.left_by(contention)
        if cache.over is not None:
            cache.required &= left
            return None
        told = Break(cache, cache.state, left)
        cache.advance()
        if told.must_acknowledge:
            cache.over, cache.deadline_ns = new_event(), deadline_ns
            cache.told = cache.required = left
        else:
            self.release(cache)
        return told

    def find_blocker(self, contention: Contention, by: Cache | None = None) -> Blocker | None:
        """A break that must be over before somebody may go on, of those that `start_breaks` started or found."""
        for cache in self._held:
            if cache.over is not None and cache.state & contention.waits and not cache.is_spared(contention, by):
                return Blocker(cache, cache.over)
        return None

    def acknowledge(self, cache: Cache, state: int) -> Break | None:
        """The holder has done its part of a pending break and keeps `state`, which must be within `cache.told`.

        Returns what it must be told next, if more was taken meanwhile.
        """
        assert cache.over is not None
        if not state & ~cache.required:
            self._settle(cache, state)
            return None
        cache.state = state
        told = Break(cache, state, cache.required | READ if state != READ else NONE)
        if told.must_acknowledge:
            cache.told = told.left
        else:
            self._settle(cache, NONE)
        return told

    def release(self, cache: Cache) -> None:
        """Nothing is left of it: whoever waits for the break can go on."""
        self._settle(cache, NONE)

    def expire(self, now_ns: int) -> None:
        """Release those whose holders had their time."""
        for cache in [cache for cache in self._held if cache.over is not None and cache.deadline_ns <= now_ns]:
            self.release(cache)

    def _settle(self, cache: Cache, state: int) -> None:
        cache.state = state
        if not state:
            self._held.pop(cache, None)
        over, cache.over = cache.over, None
        if over is not None:
            over.set()
