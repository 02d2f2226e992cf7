"""Own changes and foreign ones: plain cases, and random interleavings on a platform that tells of all alike."""

from collections import Counter
from typing import NamedTuple

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from smbport.platform import ACCESS_READ, ACCESS_WRITE, WatchChange, WatchEvent
from smbport.state.ledger import ARRIVALS, DEPARTURES, HOLD_NS, Ledger
from smbport.testing.memory import MemoryPlatform

ADDED, REMOVED, MODIFIED = WatchChange.ADDED, WatchChange.REMOVED, WatchChange.MODIFIED


def told(ledger: Ledger, now_ns: int = 0) -> list[tuple[int, str, set[object]]]:
    return [(heard.event.what, heard.event.name, set(heard.tellers)) for heard in ledger.take(now_ns)]


def test_what_nobody_notes_is_told_in_order() -> None:
    ledger = Ledger()
    ledger.hear([WatchEvent(1, ADDED, "a"), WatchEvent(2, REMOVED, "b"), WatchEvent(0, WatchChange.LOST)], 0)
    assert len(ledger) == 3
    assert told(ledger) == [(ADDED, "a", set()), (REMOVED, "b", set()), (WatchChange.LOST, "", set())]
    assert told(ledger) == []


def test_a_note_explains_one_name_and_all_that_the_file_suffered() -> None:
    ledger = Ledger()
    ledger.hear([WatchEvent(1, what, "a") for what in (ADDED, MODIFIED, REMOVED, ADDED, MODIFIED)], 0)
    ledger.hear([WatchEvent(1, ADDED, "b"), WatchEvent(2, ADDED, "a")], 0)
    assert ledger.note(1, "a", "me", ARRIVALS)
    assert not ledger.note(3, "a", "me", ARRIVALS)
    assert told(ledger) == [
        (ADDED, "a", set()), (MODIFIED, "a", {"me"}), (REMOVED, "a", set()), (ADDED, "a", {"me"}),
        (MODIFIED, "a", {"me"}), (ADDED, "b", set()), (ADDED, "a", set()),
    ]  # fmt: skip


def test_a_note_explains_nothing_that_was_heard_before() -> None:
    ledger = Ledger()
    ledger.hear([WatchEvent(1, MODIFIED, "a")], 0, is_early=True)
    ledger.hear([WatchEvent(1, MODIFIED, "a")], 0)
    assert ledger.note(1, "a", "me")
    assert [tellers for _, _, tellers in told(ledger)] == [set(), {"me"}]
    first = ledger.begin()
    ledger.hear([WatchEvent(1, MODIFIED, "a")], 0)
    second = ledger.begin()
    ledger.hear([WatchEvent(1, MODIFIED, "a")], 0, is_early=True)
    ledger.resume(second)
    assert ledger.note(1, "a", "me")
    ledger.end(second)
    ledger.end(first)
    assert [tellers for _, _, tellers in told(ledger)] == [set(), {"me"}]


def test_two_notes_explain_two_names() -> None:
    ledger = Ledger()
    ledger.hear([WatchEvent(1, WatchChange.RENAMED_FROM, "a"), WatchEvent(1, REMOVED, "a")], 0)
    assert ledger.note(1, "a", "me", DEPARTURES)
    assert ledger.note(1, "a", "me", DEPARTURES)
    assert not ledger.note(1, "a", "me", DEPARTURES)
    assert ledger.note(1, "a", "you", DEPARTURES)
    assert [tellers for _, _, tellers in told(ledger)] == [{"me"}, {"me", "you"}]


def test_a_note_explains_nothing_that_comes_later() -> None:
    ledger = Ledger()
    assert not ledger.note(1, "a", "me", ARRIVALS)
    ledger.hear([WatchEvent(1, ADDED, "a")], 0)
    assert told(ledger) == [(ADDED, "a", set())]


def test_what_was_heard_while_a_step_runs_waits_for_it() -> None:
    ledger = Ledger()
    ledger.hear([WatchEvent(1, ADDED, "before")], 0)
    first = ledger.begin()
    ledger.hear([WatchEvent(1, ADDED, "a")], 0)
    second = ledger.begin()
    ledger.hear([WatchEvent(1, ADDED, "b")], 0)
    assert told(ledger) == [(ADDED, "before", set())]
    ledger.end(first)
    assert told(ledger) == [(ADDED, "a", set())]
    ledger.note(1, "b", "me", ARRIVALS)
    ledger.end(second)
    assert told(ledger) == [(ADDED, "b", {"me"})]


def test_no_step_is_waited_for_too_long() -> None:
    ledger = Ledger()
    ledger.begin()
    ledger.hear([WatchEvent(1, ADDED, "a")], 5)
    assert told(ledger, 4 + HOLD_NS) == []
    assert told(ledger, 5 + HOLD_NS) == [(ADDED, "a", set())]


class Step(NamedTuple):
    """An own change that is done, but not noted."""

    number: int
    notes: list[tuple[str, tuple[int, ...]]]


names = st.sampled_from(["a", "b", "c"])


def moves_of(events: list[tuple[int, str]]) -> Counter[tuple[bool, str]]:
    """How often which name came and went: whether by a rename is all that two moves at once may leave open."""
    return Counter((what in ARRIVALS, name) for what, name in events if what != MODIFIED)


class Interleaving(RuleBasedStateMachine):
    """The server and others change one directory; whoever listens hears of all that others did, and of nothing else.

    After what others do, the loop gets to listen before the server changes the same file: what is asked for here is
    exact.  A step that runs on another thread is done at once, and noted at any time later.
    """

    @initialize()
    def begin(self) -> None:
        platform = MemoryPlatform()
        self.volume = platform.open_volume("v")
        assert platform.watch is not None
        self.watcher = platform.watch.start()
        root = self.volume.open("", ACCESS_READ)
        assert root.is_directory
        self.watch = self.watcher.add(root)
        self.ledger = Ledger()
        self.present: set[str] = set()
        self.running: list[Step] = []
        self.foreign: list[tuple[int, str]] = []
        self.heard: list[tuple[int, str]] = []

    def change(self, name: str, other: str, kind: str) -> list[tuple[int, str]]:
        """Do something that is possible.  Returns the events that it makes."""
        if name not in self.present:
            self.volume.create(name, ACCESS_READ, 0o644).close()
            self.present.add(name)
            return [(ADDED, name)]
        if kind == "write":
            file = self.volume.open(name, ACCESS_WRITE)
            assert not file.is_directory
            file.write_at(0, b"data")
            file.close()
            return [(MODIFIED, name)]
        if kind == "rename" and name != other:
            self.volume.rename(name, other, replace=True)
            self.present ^= {name}
            self.present |= {other}
            return [(WatchChange.RENAMED_FROM, name), (WatchChange.RENAMED_TO, other)]
        self.volume.remove(name, self.volume.stat(name).key)
        self.present ^= {name}
        return [(REMOVED, name)]

    def listen(self, *, is_early: bool = True) -> None:
        self.ledger.hear(self.watcher.take(), 0, is_early=is_early)

    def busy(self) -> set[str]:
        return {name for step in self.running for name, _ in step.notes}

    def note(self, notes: list[tuple[str, tuple[int, ...]]]) -> None:
        self.listen(is_early=False)
        for name, moves in notes:
            self.ledger.note(self.watch, name, "me", moves)

    @rule(name=names, other=names, kind=st.sampled_from(["write", "rename", "remove"]))
    def others(self, name: str, other: str, kind: str) -> None:
        if kind == "write" and name in self.busy():
            kind = "remove"
        self.listen()
        events = self.change(name, other, kind)
        self.listen()
        self.foreign += events

    @rule(name=names, other=names, kind=st.sampled_from(["write", "rename", "remove"]), inline=st.booleans())
    def ours(self, name: str, other: str, kind: str, inline: bool) -> None:
        self.listen()
        number = 0 if inline else self.ledger.begin()
        events = self.change(name, other, kind)
        moves = {what: moves for moves in (ARRIVALS, DEPARTURES) for what in moves}
        step = Step(number, [(name, moves.get(what, ())) for what, name in events])
        if inline:
            self.note(step.notes)
        else:
            self.running.append(step)

    def end(self, step: Step) -> None:
        self.ledger.resume(step.number)
        self.note(step.notes)
        self.ledger.end(step.number)

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        self.end(self.running.pop(data.draw(st.integers(0, len(self.running) - 1))))

    @rule()
    def tell(self) -> None:
        self.listen()
        self.heard += [(heard.event.what, heard.event.name) for heard in self.ledger.take(0) if not heard.tellers]

    def teardown(self) -> None:
        if not hasattr(self, "running"):
            return
        while self.running:
            self.end(self.running.pop())
        self.tell()
        self.watcher.close()
        assert moves_of(self.heard) == moves_of(self.foreign)
        # Equal ones in a row are one, and others may lie between what was one for us.
        assert {event for event in self.heard if event[0] == MODIFIED} == {
            event for event in self.foreign if event[0] == MODIFIED
        }


TestInterleaving = Interleaving.TestCase
TestInterleaving.settings = settings(max_examples=200, stateful_step_count=30, deadline=None)


def test_what_a_directory_has_suffered_before_somebody_looked_at_it() -> None:
    ledger = Ledger()
    ledger.hear([WatchEvent(7, WatchChange.MOVED, ""), WatchEvent(7, WatchChange.GONE, "")], 0)
    ledger.excuse(7, WatchChange.MOVED, "new")
    ledger.excuse(8, WatchChange.MOVED, "nobody")
    moved, gone = ledger.take(1)
    assert (moved.tellers, gone.tellers) == ({"new"}, set())
