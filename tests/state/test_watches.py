"""What a watched directory tells: plain cases, and a state machine against a model that packs everything anew."""

from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from smbport.state.watches import Answer, Waiter, Watch
from smbport.testing.direct import PlainEvent
from smbport.wire.change import CompletionFilter, NotifyAction, pack_notify_information, parse_notify_information
from smbport.wire.status import Status

ADDED, REMOVED, MODIFIED = NotifyAction.ADDED, NotifyAction.REMOVED, NotifyAction.MODIFIED
OLD, NEW = NotifyAction.RENAMED_OLD_NAME, NotifyAction.RENAMED_NEW_NAME
NAME, SIZE = CompletionFilter.FILE_NAME, CompletionFilter.SIZE
LOOK = Answer(Status.NOTIFY_ENUM_DIR)


def waiter(room: int = 1000) -> Waiter:
    return Waiter(PlainEvent(), room)


def waiting(watch: Watch, room: int = 1000) -> Waiter:
    assert watch.ask(room) is None
    found = waiter(room)
    watch.wait(found)
    return found


def told(answer: Answer | None) -> list[tuple[int, str]]:
    assert answer is not None
    assert answer.status == Status.SUCCESS
    return parse_notify_information(answer.data)


@pytest.fixture
def watch() -> Watch:
    return Watch(NAME, 1000, tree=False)


def test_news_is_told_once(watch: Watch) -> None:
    watch.changed(ADDED, "a", NAME, None)
    watch.changed(REMOVED, "a", NAME, None)
    assert told(watch.ask(1000)) == [(ADDED, "a"), (REMOVED, "a")]
    assert watch.ask(1000) is None


def test_what_the_filter_leaves_out_is_no_news(watch: Watch) -> None:
    watch.changed(MODIFIED, "a", SIZE, None)
    assert watch.ask(1000) is None
    Watch(0, 1000, tree=True).changed(ADDED, "a", NAME, None)


def test_one_change_answers_one_request_in_the_order_they_came(watch: Watch) -> None:
    first, second = waiting(watch), waiting(watch)
    watch.changed(ADDED, "a", NAME, None)
    assert told(first.answer) == [(ADDED, "a")]
    assert first.event.is_set()
    assert not second.event.is_set()
    watch.changed(ADDED, "b", NAME, None)
    assert told(second.answer) == [(ADDED, "b")]


def test_both_names_of_a_rename_are_one_answer(watch: Watch) -> None:
    pending = waiting(watch)
    watch.changed(OLD, "a", NAME, None)
    assert not pending.event.is_set()
    watch.changed(NEW, "b", NAME, None)
    assert told(pending.answer) == [(OLD, "a"), (NEW, "b")]


def test_an_old_name_alone_is_no_news(watch: Watch) -> None:
    watch.changed(OLD, "a", NAME, None)
    assert watch.ask(1000) is None
    watch.changed(NEW, "b", NAME, None)
    assert told(watch.ask(1000)) == [(OLD, "a"), (NEW, "b")]


def test_the_same_change_again_is_kept_once() -> None:
    watch = Watch(SIZE, 1000, tree=False)
    for name in ("a", "a", "b", "a"):
        watch.changed(MODIFIED, name, SIZE, None)
    assert told(watch.ask(1000)) == [(MODIFIED, "a"), (MODIFIED, "b"), (MODIFIED, "a")]


@pytest.mark.parametrize("room", [0, 13, 14])
def test_what_does_not_fit_into_the_buffer_is_lost(watch: Watch, room: int) -> None:
    """One character takes 14 bytes.  The loss is told once."""
    watch.changed(ADDED, "a", NAME, None)
    answer = watch.ask(room)
    assert (answer == LOOK) == (room < 14)
    assert watch.ask(1000) is None


@pytest.mark.parametrize(("capacity", "kept"), [(13, 0), (14, 1), (29, 1), (30, 2), (45, 2), (46, 3)])
def test_what_is_kept_is_bounded(capacity: int, kept: int) -> None:
    """Entries begin at multiples of 4.  One too many is lost with all before it, whatever the later buffer."""
    for count in range(1, 5):
        watch = Watch(NAME, capacity, tree=False)
        for name in "abcd"[:count]:
            watch.changed(ADDED, name, NAME, None)
        answer = watch.ask(1 << 20)
        if count <= kept:
            assert len(told(answer)) == count
        else:
            assert answer == LOOK
        assert watch.ask(1 << 20) is None


def test_a_loss_answers_who_waits(watch: Watch) -> None:
    first, second = waiting(watch), waiting(watch)
    watch.lost()
    assert first.answer == LOOK
    assert second.answer is None
    watch.changed(ADDED, "a", NAME, None)
    assert told(second.answer) == [(ADDED, "a")]


def test_a_loss_is_kept_and_ends_half_a_rename(watch: Watch) -> None:
    watch.changed(OLD, "a", NAME, None)
    watch.lost()
    watch.changed(ADDED, "b", NAME, None)
    assert watch.ask(1000) == LOOK
    assert watch.ask(1000) is None


def test_who_leaves_is_not_told(watch: Watch) -> None:
    first, second = waiting(watch), waiting(watch)
    watch.leave(first)
    watch.leave(first)
    watch.changed(ADDED, "a", NAME, None)
    assert first.answer is None
    assert told(second.answer) == [(ADDED, "a")]


def test_the_end_is_told_to_all(watch: Watch) -> None:
    pending = [waiting(watch), waiting(watch)]
    watch.end(Status.NOTIFY_CLEANUP)
    assert [each.answer for each in pending] == [Answer(Status.NOTIFY_CLEANUP)] * 2
    watch.end(Status.NOTIFY_CLEANUP)


def test_names_are_told_as_listings_show_them() -> None:
    watch = Watch(NAME, 1000, tree=True)
    watch.changed(ADDED, "a:b/c\udcff/d.", NAME, None)
    assert told(watch.ask(1000)) == [(ADDED, "a\uf022b\\c\uefff\\d\uf029")]


# Against a model ----------------------------------------------------------------------------------------------------


def test_streams_are_told_behind_their_file() -> None:
    """The name of a stream is the same on both sides, whatever is in it."""
    watch = Watch(CompletionFilter.STREAM_NAME, 1000, tree=True)
    watch.changed(NotifyAction.ADDED_STREAM, 'd/a:b.:s*"?:$DATA', CompletionFilter.STREAM_NAME, None)
    watch.changed(NotifyAction.REMOVED_STREAM, ":s:$DATA", CompletionFilter.STREAM_NAME, None)
    assert told(watch.ask(1000)) == [
        (NotifyAction.ADDED_STREAM, 'd\\a\uf022b\uf029:s*"?:$DATA'),
        (NotifyAction.REMOVED_STREAM, ":s:$DATA"),
    ]


class WatchMachine(RuleBasedStateMachine):
    """A watch of 60 bytes, and lists of what it should have heard and of who should wait."""

    def __init__(self) -> None:
        super().__init__()
        self.watch = Watch(NAME, 60, tree=True)
        self.news: list[tuple[int, str]] | None = []  # None: lost
        self.half = False
        self.waiting: list[Waiter] = []
        self.over: list[tuple[Waiter, Answer | None]] = []

    def expect(self, room: int) -> Answer:
        """What a request must be told now."""
        data = None if self.news is None else pack_notify_information(self.news)
        self.news = []
        return LOOK if data is None or len(data) > room else Answer(Status.SUCCESS, data)

    def go_on(self) -> None:
        if self.waiting and not self.half:
            first = self.waiting.pop(0)
            self.over.append((first, self.expect(first.room)))

    @rule(
        action=st.sampled_from([ADDED, REMOVED, MODIFIED, OLD, NEW]),
        name=st.sampled_from(["a", "bc", "d/e", "f" * 24]),
        what=st.sampled_from([NAME, SIZE, NAME | SIZE]),
    )
    def change(self, action: int, name: str, what: int) -> None:
        self.watch.changed(action, name, what, None)
        if not what & NAME:
            return
        entry = (action, name.replace("/", "\\"))
        if self.news is not None and entry not in self.news[-1:]:
            self.news.append(entry)
            if len(pack_notify_information(self.news)) > 60:
                self.news = None
        self.half = action == OLD
        self.go_on()

    @rule()
    def lose(self) -> None:
        self.watch.lost()
        self.news, self.half = None, False
        self.go_on()

    @rule(room=st.sampled_from([0, 20, 40, 1000]))
    def ask(self, room: int) -> None:
        answer = self.watch.ask(room)
        if self.news != [] and not self.half:
            assert not self.waiting
            assert answer == self.expect(room)
        else:
            assert answer is None
            self.waiting.append(waiter(room))
            self.watch.wait(self.waiting[-1])

    @rule(number=st.integers(min_value=0))
    def cancel(self, number: int) -> None:
        if self.waiting:
            gone = self.waiting.pop(number % len(self.waiting))
            self.watch.leave(gone)
            self.over.append((gone, None))

    @rule(number=st.integers(min_value=0))
    def cancel_what_is_over(self, number: int) -> None:
        if self.over:
            self.watch.leave(self.over[number % len(self.over)][0])

    @rule()
    def end(self) -> None:
        self.watch.end(Status.NOTIFY_CLEANUP)
        self.over += [(each, Answer(Status.NOTIFY_CLEANUP)) for each in self.waiting]
        self.waiting.clear()

    @invariant()
    def each_is_told_once_and_right(self) -> None:
        assert not any(each.event.is_set() or each.answer for each in self.waiting)
        for each, answer in self.over:
            assert each.answer == answer
            assert each.event.is_set() == (answer is not None)


TestWatch: Any = WatchMachine.TestCase
