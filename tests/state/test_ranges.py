"""smbport.state.ranges against a list of locks that is searched from end to end."""

from itertools import product

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from smbport.state.ranges import HeldLock, RangeLocks

END = 1 << 64


def overlap(offset, length, other_offset, other_length):
    """Common bytes; a range without bytes counts where it is strictly inside, and never against its like."""
    if length and other_length:
        return offset < other_offset + other_length and other_offset < offset + length
    if length:
        return offset < other_offset < offset + length
    return bool(other_length) and other_offset < offset < other_offset + other_length


class Event:
    """Something that happens once."""

    def __init__(self):
        self.times = 0

    def set(self):
        self.times += 1


class Model:
    """(owner, offset, length, exclusive) in the order of granting, and of those who wait in the order they came."""

    def __init__(self):
        self.held = []
        self.waiting = []

    def grant_waiting(self):
        waiting, self.waiting = self.waiting, []
        for waiter, wanted in waiting:
            if self.may_lock(*wanted):
                self.held.append(wanted)
                assert (waiter.granted, waiter.event.times) == (True, 1)
            else:
                self.waiting.append((waiter, wanted))
                assert (waiter.granted, waiter.event.times) == (False, 0)

    def over(self, offset, length):
        return [held for held in self.held if overlap(offset, length, held[1], held[2])]

    def may_lock(self, owner, offset, length, exclusive):
        for holder, _, _, held_exclusively in self.over(offset, length):
            if exclusive or (held_exclusively and holder != owner):
                return False
        return True

    def may_read(self, owner, offset, length):
        return not length or all(holder == owner or not held for holder, _, _, held in self.over(offset, length))

    def may_write(self, owner, offset, length):
        return not length or all(holder == owner and held for holder, _, _, held in self.over(offset, length))

    def unlock(self, owner, offset, length):
        matching = [index for index, held in enumerate(self.held) if held[:3] == (owner, offset, length)]
        if not matching:
            return None
        return self.held.pop(max(matching, key=lambda index: (self.held[index][3], index)))[1:]

    def unlock_newest(self, owner, offset, length):
        del self.held[max(index for index, held in enumerate(self.held) if held[:3] == (owner, offset, length))]


owners = st.sampled_from("ABC")
ranges = st.tuples(st.integers(0, 12), st.integers(0, 6)) | st.sampled_from(
    [(0, END), (0, END - 1), (END - 1, 0), (END - 1, 1), (END - 3, 2), (END - 3, 3), (1, END - 1), (3, 0), (1 << 63, 0)]
)


class Locks(RuleBasedStateMachine):
    @initialize()
    def begin(self):
        self.locks = RangeLocks()
        self.model = Model()

    @rule(owner=owners, wanted=ranges, exclusive=st.booleans())
    def lock(self, owner, wanted, exclusive):
        expected = self.model.may_lock(owner, *wanted, exclusive)
        assert self.locks.try_lock(owner, *wanted, exclusive=exclusive) is expected
        if expected:
            self.model.held.append((owner, *wanted, exclusive))
        elif len(self.model.waiting) < 5:
            waiter = self.locks.wait(owner, HeldLock(*wanted, exclusive), Event())
            self.model.waiting.append((waiter, (owner, *wanted, exclusive)))

    @rule()
    def grant_waiting(self):
        self.locks.grant_waiting()
        self.model.grant_waiting()

    @rule(data=st.data())
    def stop_waiting(self, data):
        if self.model.waiting:
            waiter, wanted = data.draw(st.sampled_from(self.model.waiting))
            self.model.waiting.remove((waiter, wanted))
            self.locks.stop_waiting(waiter)
            self.locks.stop_waiting(waiter)

    @rule(owner=owners, offset=st.integers(0, 12), length=st.integers(0, 9))
    def look_at_parts(self, owner, offset, length):
        """Byte by byte they say what the locks say, and neighbours that say the same are split only at edges."""
        parts = self.locks.parts(owner, offset, length)
        said = {byte: part.exclusive for part in parts for byte in range(part.start, part.end)}
        own = [held for held in self.model.held if held[0] == owner]
        covering = {byte: [held[3] for held in own if held[1] <= byte < held[1] + held[2]] for byte in said}
        assert said == {byte: any(kinds) if kinds else None for byte, kinds in covering.items()}
        assert sorted(said) == list(range(offset, offset + length))
        edges = {edge for held in own for edge in (held[1], held[1] + held[2])}
        assert {part.start for part in parts[1:]} <= edges

    @rule(owner=owners, wanted=ranges)
    def unlock(self, owner, wanted):
        assert self.locks.unlock(owner, *wanted) == self.model.unlock(owner, *wanted)

    @rule(data=st.data())
    def unlock_one_that_is_held(self, data):
        if self.model.held:
            owner, offset, length, _ = data.draw(st.sampled_from(self.model.held))
            assert self.model.unlock(owner, offset, length)
            assert self.locks.unlock(owner, offset, length)

    @rule(data=st.data())
    def take_back(self, data):
        if self.model.held:
            owner, offset, length, _ = data.draw(st.sampled_from(self.model.held))
            self.locks.unlock_newest(owner, offset, length)
            self.model.unlock_newest(owner, offset, length)

    @rule(owner=owners)
    def release(self, owner):
        kept = [held for held in self.model.held if held[0] != owner]
        assert self.locks.release(owner) is (len(kept) != len(self.model.held))
        self.model.held = kept
        for waiter, wanted in self.model.waiting:
            assert waiter.event.times == (wanted[0] == owner)
            assert not waiter.granted
        self.model.waiting = [pair for pair in self.model.waiting if pair[1][0] != owner]

    @rule(owner=owners | st.just("D"), wanted=ranges)
    def read_and_write(self, owner, wanted):
        assert self.locks.may_read(owner, *wanted) is self.model.may_read(owner, *wanted)
        assert self.locks.may_write(owner, *wanted) is self.model.may_write(owner, *wanted)

    @invariant()
    def as_many(self):
        assert len(self.locks) == len(self.model.held)
        assert self.locks.queue == [waiter for waiter, _ in self.model.waiting]
        for owner in "ABC":
            assert self.locks.count(owner) == sum(held[0] == owner for held in self.model.held)
        for offset in (0, 1, 7, END):
            assert self.locks.begin_before(offset) is any(held[1] < offset for held in self.model.held)


Locks.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestLocks = Locks.TestCase


@pytest.fixture
def locks():
    return RangeLocks()


SHARED, EXCLUSIVE = False, True


@pytest.mark.parametrize(
    ("held", "owner", "shared", "exclusive", "read", "write"),
    [
        (SHARED, "holder", True, False, True, False),
        (SHARED, "other", True, False, True, False),
        (EXCLUSIVE, "holder", True, False, True, True),
        (EXCLUSIVE, "other", False, False, False, False),
    ],
)
def test_the_table_of_rules(held, owner, shared, exclusive, read, write):
    def answer(question):
        locks = RangeLocks()
        assert locks.try_lock("holder", 10, 10, exclusive=held)
        return question(locks)

    assert answer(lambda locks: locks.try_lock(owner, 15, 10, exclusive=SHARED)) is shared
    assert answer(lambda locks: locks.try_lock(owner, 15, 10, exclusive=EXCLUSIVE)) is exclusive
    assert answer(lambda locks: locks.may_read(owner, 15, 10)) is read
    assert answer(lambda locks: locks.may_write(owner, 15, 10)) is write
    assert answer(lambda locks: locks.may_read(owner, 20, 10))
    assert answer(lambda locks: locks.may_write(owner, 0, 10))


def test_shared_locks_of_ones_own_on_top_of_an_exclusive_one_forbid_writing(locks):
    assert locks.try_lock("A", 0, 10, exclusive=True)
    assert locks.may_write("A", 0, 10)
    assert locks.try_lock("A", 5, 1, exclusive=False)
    assert not locks.may_write("A", 0, 10)
    assert locks.may_write("A", 0, 5)


# Windows' answers for ranges without bytes, the same for one open and for two.
ZERO_LENGTH = [
    ((10, 0), (10, 0), True),
    ((10, 0), (9, 1), True),
    ((10, 0), (10, 1), True),
    ((10, 0), (11, 1), True),
    ((10, 0), (9, 2), False),
    ((10, 0), (10, 2), True),
    ((10, 0), (9, 3), False),
    ((0, 0), (0, 0), True),
    ((0, 0), (0, 1), True),
    ((0, 0), (0, END), True),
    ((1, 0), (0, END), False),
    ((END - 1, 0), (0, END), False),
]


@pytest.mark.parametrize(("one", "other", "granted"), ZERO_LENGTH)
@pytest.mark.parametrize("owners", ["AA", "AB"])
def test_ranges_without_bytes(one, other, granted, owners):
    for first, second in ((one, other), (other, one)):
        locks = RangeLocks()
        assert locks.try_lock(owners[0], *first, exclusive=True)
        assert locks.try_lock(owners[1], *second, exclusive=True) is granted


def test_reading_and_writing_nothing_is_always_possible(locks):
    assert locks.try_lock("A", 0, 10, exclusive=True)
    assert locks.may_read("B", 5, 0)
    assert locks.may_write("B", 5, 0)


@pytest.mark.parametrize(
    ("held", "wanted", "granted"),
    [
        ((END - 1, 1), (END - 1, 1), False),
        ((END - 1, 1), (END - 2, 1), True),
        ((END - 1, 1), (0, END), False),
        ((END - 1, 1), (0, END - 1), True),
        ((0, END), (END - 1, 1), False),
        ((1 << 63, 1 << 63), ((1 << 63) - 1, 1), True),
        ((1 << 63, 1 << 63), ((1 << 63) - 1, 2), False),
    ],
)
def test_the_end_of_the_64_bit_space(locks, held, wanted, granted):
    assert locks.try_lock("A", *held, exclusive=True)
    assert locks.try_lock("B", *wanted, exclusive=True) is granted


@pytest.mark.parametrize("span", [(10, 10), (10, 0)])
def test_an_exclusive_lock_is_unlocked_before_shared_ones_of_its_range(locks, span):
    assert locks.try_lock("A", *span, exclusive=True)
    assert locks.try_lock("A", *span, exclusive=False)
    assert not locks.try_lock("B", 5, 10, exclusive=False)
    assert locks.unlock("A", *span)
    assert locks.try_lock("B", 5, 10, exclusive=False)
    assert locks.unlock("A", *span)
    assert not locks.unlock("A", *span)


def test_taking_back_undoes_the_last_grant_whatever_lies_below(locks):
    """A request for several ranges fails at the last: what it was given before must go, and nothing else."""
    assert locks.try_lock("A", 10, 0, exclusive=False)
    assert locks.try_lock("A", 10, 0, exclusive=True)
    locks.unlock_newest("A", 10, 0)
    assert locks.try_lock("B", 5, 10, exclusive=False)
    assert len(locks) == 2


@pytest.mark.parametrize("span", [(0, 9), (0, 11), (1, 9), (1, 10), (0, 0)])
def test_an_unlock_needs_exactly_the_range_and_the_owner(locks, span):
    assert locks.try_lock("A", 0, 10, exclusive=True)
    assert not locks.unlock("A", *span)
    assert not locks.unlock("B", 0, 10)
    assert len(locks) == 1
    assert locks.unlock("A", 0, 10)


def test_neighbours_do_not_merge(locks):
    assert locks.try_lock("A", 0, 10, exclusive=True)
    assert locks.try_lock("A", 10, 10, exclusive=True)
    assert not locks.unlock("A", 0, 20)


def test_nothing_is_remembered_of_what_went(locks):
    for owner, exclusive, length in product("AB", (True, False), (0, 4)):
        offset = 100 * ord(owner) + 10 * exclusive
        assert locks.try_lock(owner, offset, length, exclusive=exclusive)
    for exclusive, length in product((True, False), (0, 4)):
        assert locks.unlock("A", 100 * ord("A") + 10 * exclusive, length)
    assert locks.release("B")
    assert not locks.release("B")
    assert (len(locks), locks._owners) == (0, {})
    assert locks.may_write("C", 0, END)


def many(order):
    """100,000 locks of one open and one shared lock of another over all of them; every answer is looked up then."""
    locks = RangeLocks()
    for index in order:
        assert locks.try_lock("A", 4 * index, 2, exclusive=False)
    assert locks.try_lock("B", 0, END, exclusive=False)
    return locks


@pytest.mark.parametrize("step", [1, -1, 61_803])
def test_a_hundred_thousand_locks(step):
    count = 100_000
    locks = many(step * index % count for index in range(count))
    assert len(locks) == count + 1
    for index in range(count):
        assert locks.may_read("C", 4 * index, 4)
        assert not locks.may_write("A", 4 * index, 2)
    for index in range(0, count, 2):
        assert locks.unlock("A", 4 * index, 2)
    assert locks.release("B")
    assert locks.try_lock("C", 0, 4, exclusive=True)
    assert not locks.try_lock("C", 4, 4, exclusive=True)
    assert locks.release("A")
    assert len(locks) == 1


def test_a_hundred_thousand_locks_on_one_range(locks):
    for _ in range(100_000):
        assert locks.try_lock("A", 0, 8, exclusive=False)
    assert not locks.try_lock("A", 7, 1, exclusive=True)
    for _ in range(100_000):
        assert locks.unlock("A", 0, 8)
    assert locks.try_lock("A", 7, 1, exclusive=True)
