"""smbport.state.credits against a set of ids."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from smbport.state.credits import SequenceWindow


class Credits(RuleBasedStateMachine):
    """The model is the set of ids that may still be used; ids are named from the lowest of them."""

    def __init__(self):
        super().__init__()
        self.window = SequenceWindow()
        self.usable = {0}
        self.used = set()
        self.high = 1
        self.limit = 1

    @rule(distance=st.integers(-3, 20), charge=st.integers(1, 6))
    def use(self, distance, charge):
        first = max(min(self.usable, default=self.high) + distance, 0)
        ids = set(range(first, first + charge))
        expected = ids <= self.usable
        assert self.window.use(first, charge) is expected
        if expected:
            assert not ids & self.used, "an id was usable twice"
            self.used |= ids
            self.usable -= ids

    @rule()
    def use_the_lowest(self):
        if self.usable:
            lowest = min(self.usable)
            assert self.window.use(lowest, 1)
            self.used.add(lowest)
            self.usable.remove(lowest)

    @rule()
    def use_all_but_the_lowest(self):
        for message_id in sorted(self.usable)[1:]:
            assert self.window.use(message_id, 1)
            self.used.add(message_id)
            self.usable.remove(message_id)

    @rule(data=st.data())
    def use_twice(self, data):
        if self.used:
            assert not self.window.use(data.draw(st.sampled_from(sorted(self.used))), 1)

    @rule(requested=st.integers(0, 40), limit=st.integers(1, 16))
    def grant(self, requested, limit):
        before = len(self.usable)
        granted = self.window.grant(requested, limit)
        assert 0 <= granted <= max(requested, 1)
        assert before + granted <= max(limit, before)
        if self.high - min(self.usable, default=self.high) <= limit:
            assert granted == max(0, min(max(requested, 1), limit - before)), "an orderly client got less than it may"
        self.usable |= set(range(self.high, self.high + granted))
        self.high += granted
        self.limit = max(self.limit, limit)
        assert self.usable, "the client cannot speak any more"

    @invariant()
    def outstanding_is_what_is_usable(self):
        assert self.window.outstanding == len(self.usable) <= self.limit

    @invariant()
    def the_span_is_bounded(self):
        assert self.window.high == self.high
        assert self.window.low == min(self.usable, default=self.high)
        assert self.window.high - self.window.low <= 2 * self.limit


Credits.TestCase.settings = settings(max_examples=60, stateful_step_count=60, deadline=None)
TestCredits = Credits.TestCase


@pytest.fixture
def window():
    made = SequenceWindow()
    assert made.use(0, 1)
    assert made.grant(10, 512) == 10  # ids 1..10
    return made


def test_a_connection_starts_with_one_credit():
    window = SequenceWindow()
    assert window.outstanding == 1
    assert not window.use(1, 1)
    assert window.use(0, 1)
    assert window.outstanding == 0


def test_a_charge_consumes_as_many_ids(window):
    assert window.use(1, 4)
    assert window.outstanding == 6
    assert not any(window.use(message_id, 1) for message_id in range(5))
    assert window.use(5, 1)


@pytest.mark.parametrize(("first", "charge"), [(0, 1), (0, 2), (10, 2), (11, 1), (1, 11), (1 << 64, 1), (1, 65535)])
def test_ids_outside_the_window_consume_nothing(window, first, charge):
    assert not window.use(first, charge)
    assert window.outstanding == 10


def test_a_range_with_one_used_id_in_it_consumes_nothing(window):
    assert window.use(3, 1)
    assert not window.use(1, 3)
    assert not window.use(3, 2)
    assert window.outstanding == 9
    assert window.use(1, 2)
    assert window.low == 4


def test_asking_for_nothing_still_brings_one(window):
    assert window.use(1, 1)
    assert window.grant(0, 512) == 1


def test_a_limit_that_became_lower_takes_nothing_back(window):
    assert window.grant(100, 5) == 0
    assert window.outstanding == 10


def test_whoever_spent_all_gets_one_whatever_the_limit(window):
    assert window.use(1, 10)
    assert window.grant(0, 0) == 1


def test_an_id_that_is_never_used_stops_the_grants_and_not_the_client():
    window = SequenceWindow()
    total = 0
    while granted := window.grant(8, 8):
        total += granted
        for message_id in range(1, window.high):
            window.use(message_id, 1)
    assert total == 2 * 8 - 1
    assert window.outstanding == 1
    assert window.use(0, 1)
    assert window.low == window.high
    assert window.grant(8, 8) == 8


def test_a_long_life():
    window = SequenceWindow()
    for message_id in range(100_000):
        assert window.use(message_id, 1)
        assert window.grant(1, 512) == 1
    assert (window.low, window.outstanding) == (100_000, 1)
