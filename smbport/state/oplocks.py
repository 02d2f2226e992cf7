"""Oplocks of one file: who may cache what, and who must give it up.  [MS-FSA] 2.1.5.18, 2.1.4.12, [MS-SMB2] 3.3.4.6

    level       its client may keep to itself         granted
    LEVEL_II    what it read                          beside any other opens, while no byte range is locked
    EXCLUSIVE   what it read and wrote                to the only open; stat opens do not count
    BATCH       the same, and that it closed          likewise

The three rows below are all that happens to an oplock: what stays of each level when somebody else, and for
LEVEL_II also the holder itself, does such a thing.  A level that goes down is a break, and its holder is told.

Giving up LEVEL_II takes no answer.  From EXCLUSIVE and BATCH the client has to write back or to close, so until it
acknowledges, closes or has had its time, the break is pending: it still has its level, and whoever wants something
that the level does not allow waits.  Another level may be asked for then; it is broken to when the first break is
over, because whoever waited looks again.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, Generic, NamedTuple, TypeVar

from smbport.wire.constants import Access, OplockLevel
from smbport.wire.status import Status, StatusError

if TYPE_CHECKING:
    from smbport.state.server import Event

__all__ = ["CHANGE", "NEED_CLOSED", "OPEN", "Blocker", "Contention", "Oplocks", "is_stat_open"]

_NONE: Final = OplockLevel.NONE
_II: Final = OplockLevel.LEVEL_II
_EXCLUSIVE: Final = OplockLevel.EXCLUSIVE
_BATCH: Final = OplockLevel.BATCH

Contention = Mapping[int, int]  # level held -> level that stays

# open it, as its share modes allow
OPEN: Final[Contention] = {_II: _II, _EXCLUSIVE: _II, _BATCH: _II}
# what only a CLOSE makes possible: open it against its share modes, replace its name, move its directory
NEED_CLOSED: Final[Contention] = {_II: _II, _EXCLUSIVE: _EXCLUSIVE, _BATCH: _II}
# overwrite it, write, change its size, lock a range
CHANGE: Final[Contention] = {_II: _NONE, _EXCLUSIVE: _NONE, _BATCH: _NONE}

Owner = TypeVar("Owner")

_STAT_ACCESS: Final = Access.READ_ATTRIBUTES | Access.WRITE_ATTRIBUTES | Access.SYNCHRONIZE


def is_stat_open(granted_access: int) -> bool:
    """Whether an open can do so little that it disturbs no cache."""
    return not granted_access & ~_STAT_ACCESS


class Blocker(NamedTuple, Generic[Owner]):
    """A break that is pending."""

    owner: Owner
    over: "Event"  # set when the break is


class _Oplock:
    """What one open holds."""

    __slots__ = ("left", "level", "over")

    def __init__(self, level: int) -> None:
        self.level = level
        self.left = level  # while a break is pending: the level that its holder was told to go down to
        self.over: Event | None = None  # set when the pending break is over; None if there is none


class Oplocks(Generic[Owner]):
    """The oplocks of one file; an owner is any hashable object that stands for an open."""

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held: dict[Owner, _Oplock] = {}

    def __len__(self) -> int:
        return len(self._held)

    def level(self, owner: Owner) -> int:
        """What an open holds; during a break still what it held before."""
        oplock = self._held.get(owner)
        return _NONE if oplock is None else oplock.level

    def grant(self, owner: Owner, wanted: int, *, sole: bool, locked: bool) -> int:
        """Give a new open the best level within `wanted` that can be had, and return it.

        `sole`: there are no other opens, or stat opens only; `locked`: a byte range is locked.
        """
        if locked or wanted not in (_II, _EXCLUSIVE, _BATCH):
            return _NONE
        if self._held or not sole:
            wanted = _II
        if any(oplock.level != _II for oplock in self._held.values()):
            return _NONE
        self._held[owner] = _Oplock(wanted)
        return wanted

    def start_breaks(
        self, contention: Contention, new_event: "Callable[[], Event]", by: Owner | None = None
    ) -> list[tuple[Owner, int]]:
        """Break what cannot stay.  Returns the holders to tell of it, with what is left to them.

        `by` is the open that contends, if it is open already: what it caches alone cannot hurt itself.
        """
        told: list[tuple[Owner, int]] = []
        for owner, oplock in list(self._held.items()):
            left = contention[oplock.level]
            if left == oplock.level or oplock.over is not None:
                continue
            if oplock.level == _II:
                del self._held[owner]
            elif owner is by:
                continue
            else:
                oplock.left = left
                oplock.over = new_event()
            told.append((owner, left))
        return told

    def find_blocker(self, contention: Contention, by: Owner | None = None) -> Blocker[Owner] | None:
        """A break that must be over before somebody may go on, of those that `start_breaks` started or found."""
        for owner, oplock in self._held.items():
            if oplock.over is not None and owner is not by and contention[oplock.level] != oplock.level:
                return Blocker(owner, oplock.over)
        return None

    def acknowledge(self, owner: Owner, level: int) -> int:
        """The holder has done its part and keeps `level`, or less if it was told so.  Returns what it has now.

        Raises INVALID_OPLOCK_PROTOCOL if no break is pending, where the specification has INVALID_DEVICE_STATE and
        Windows does not.  Raises INVALID_PARAMETER for a level that a break cannot end with; the oplock is gone then.
        """
        oplock = self._held.get(owner)
        if oplock is None or oplock.over is None:
            raise StatusError(Status.INVALID_OPLOCK_PROTOCOL, "no break is pending")
        self.release(owner)
        if level not in (_NONE, _II):
            raise StatusError(Status.INVALID_PARAMETER, f"break acknowledged with level {level}")
        left = min(level, oplock.left)
        if left:
            self._held[owner] = _Oplock(left)
        return left

    def release(self, owner: Owner) -> None:
        """The open is closed, or its client had its time: whoever waits for the break can go on."""
        oplock = self._held.pop(owner, None)
        if oplock is not None and oplock.over is not None:
            oplock.over.set()
