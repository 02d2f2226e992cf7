"""Telling the server's own changes from those of others, where the platform tells of all alike.

    step = ledger.begin()                       a step begins that may change files on another thread
    ledger.hear(events, now_ns)                 the platform's news, own and foreign
    ledger.resume(step)                         the step is over; what follows is about what it did
    ledger.note(7, "name", teller, ARRIVALS)    the server has done it itself, and `teller` knows already
    ledger.excuse(7, MOVED, teller)             `teller` looks at this directory since now
    ledger.end(step)
    ledger.take(now_ns)                         what nobody needs to be asked about any more

Whoever changes something notes it when it is done, before anything else can run.  What the platform tells of that
has been heard by then, because the one who notes has just asked.  So a note explains nothing that comes later, and
nothing that was heard before the change began, but one name that came or went in between, and what the same file
suffered.

While a step runs on another thread its change may be heard of before its note is made, so everything waits for the
steps that were running when it was heard.  A step that takes longer than HOLD_NS is not waited for: then a change may
be told twice, by the note and by the news.

What is not seen: a change of others to the data of a file that falls into the very moment in which the server
itself changes it.
"""

from collections import deque
from collections.abc import Hashable, Iterable
from typing import Final

from smbport.platform import WatchChange, WatchEvent

__all__ = ["ARRIVALS", "DEPARTURES", "HOLD_NS", "NO_STEP", "Heard", "Ledger"]

ARRIVALS: Final = (WatchChange.ADDED, WatchChange.RENAMED_TO)
DEPARTURES: Final = (WatchChange.REMOVED, WatchChange.RENAMED_FROM)
SUFFERED: Final = (WatchChange.MODIFIED, WatchChange.ATTRIBUTES)
NO_STEP: Final = 0  # what is done on the event loop's own thread, from one wait of a handler to the next
HOLD_NS: Final = 1_000_000_000  # guessed: most steps take milliseconds


class Heard:
    """One piece of news, and who needs it no more."""

    __slots__ = ("event", "heard_ns", "is_early", "last_step", "tellers")

    def __init__(self, event: WatchEvent, last_step: int, heard_ns: int, *, is_early: bool) -> None:
        self.event = event
        self.last_step = last_step  # the newest one that had begun
        self.heard_ns = heard_ns
        self.is_early = is_early  # heard before whatever is done now on this thread
        self.tellers: set[Hashable] = set()


class Ledger:
    """News that waits, in the order it came."""

    __slots__ = ("_by_name", "_in_hand", "_last_step", "_running", "_waiting")

    def __init__(self) -> None:
        self._last_step = 0
        self._in_hand = NO_STEP  # the step whose outcome is noted now
        self._running: dict[int, None] = {}  # in the order they began
        self._waiting: deque[Heard] = deque()
        self._by_name: dict[tuple[int, str], list[Heard]] = {}

    def __len__(self) -> int:
        """How many wait."""
        return len(self._waiting)

    def begin(self) -> int:
        """A step begins on another thread."""
        self._last_step += 1
        self._running[self._last_step] = None
        return self._last_step

    def resume(self, step: int) -> None:
        """It is over; what is noted from now on is what it did, until `end`."""
        self._in_hand = step

    def end(self, step: int) -> None:
        """What it did was noted."""
        self._in_hand = NO_STEP
        self._running.pop(step, None)

    def hear(self, events: Iterable[WatchEvent], now_ns: int, *, is_early: bool = False) -> None:
        """News from the platform; `is_early` if nothing was done on this thread that was not noted already."""
        for event in events:
            heard = Heard(event, self._last_step, now_ns, is_early=is_early)
            self._waiting.append(heard)
            self._by_name.setdefault((event.watch, event.name), []).append(heard)

    def note(self, watch: int, name: str, teller: Hashable, moves: Iterable[int] = ()) -> bool:
        """The server did something to a name itself: what was heard of it needs not to be told to `teller`.

        `moves` is ARRIVALS or DEPARTURES if the name came or went.  Whether something was heard.
        """
        found = False
        for heard in self._since(self._by_name.get((watch, name), [])):
            what = heard.event.what
            if what not in SUFFERED:
                if what not in moves or teller in heard.tellers:
                    continue
                moves = ()  # one is enough
            heard.tellers.add(teller)
            found = True
        return found

    def excuse(self, watch: int, what: int, teller: Hashable) -> None:
        """What the directory itself has suffered so far means nothing to `teller`, who knows it only now."""
        for heard in self._by_name.get((watch, ""), ()):
            if heard.event.what == what:
                heard.tellers.add(teller)

    def _since(self, candidates: list[Heard]) -> list[Heard]:
        """Those heard since the change began, the likeliest first: here the last, of a step the first."""
        step = self._in_hand
        if step == NO_STEP:
            return [heard for heard in reversed(candidates) if not heard.is_early]
        return [heard for heard in candidates if heard.last_step >= step]

    def take(self, now_ns: int) -> list[Heard]:
        """What waits for no step any more."""
        oldest = next(iter(self._running), self._last_step + 1)
        ripe: list[Heard] = []
        while self._waiting:
            heard = self._waiting[0]
            if heard.last_step >= oldest and now_ns - heard.heard_ns < HOLD_NS:
                break
            self._waiting.popleft()
            self._forget(heard)
            ripe.append(heard)
        return ripe

    def _forget(self, heard: Heard) -> None:
        key = (heard.event.watch, heard.event.name)
        same = self._by_name[key]
        same.remove(heard)
        if not same:
            del self._by_name[key]
