"""smbport.state.oplocks: the table of breaks, and a state machine against a model that thinks in caches.

The model knows nothing of levels that fall to levels.  To it, an oplock is a set of things that are cached: R, what
was read; W, what was written; H, that the file is open.  Each contention takes some of them away, and what is left
must be something that can be held at all.
"""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from smbport.state.oplocks import CHANGE, NEED_CLOSED, OPEN, Oplocks, is_stat_open
from smbport.wire.constants import Access, OplockLevel
from smbport.wire.status import Status, StatusError

NONE, II, EXCLUSIVE, BATCH = OplockLevel.NONE, OplockLevel.LEVEL_II, OplockLevel.EXCLUSIVE, OplockLevel.BATCH
CACHES = {NONE: "", II: "R", EXCLUSIVE: "RW", BATCH: "RWH"}
TAKES = {"open": "W", "need closed": "H", "change": "RWH"}
CONTENTIONS = {"open": OPEN, "need closed": NEED_CLOSED, "change": CHANGE}


class Event:
    def __init__(self):
        self.happened = False

    def is_set(self):
        return self.happened

    def set(self):
        assert not self.happened
        self.happened = True


class Held:
    def __init__(self, caches):
        self.caches = caches
        self.promised = None  # while a break is pending: what will be left
        self.waiting = []  # the events of those who wait for it

    def end(self):
        assert all(event.is_set() for event in self.waiting)


def left_of(caches, contention):
    """What cannot stay goes, and with W or H goes all but R."""
    taken = set(caches) & set(TAKES[contention])
    if not taken:
        return caches
    return "R" if "R" not in taken else ""


owners = st.sampled_from("ABCD")
names = st.sampled_from(list(CONTENTIONS))


class Machine(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.oplocks = Oplocks()
        self.model = {}

    @rule(owner=owners, wanted=st.sampled_from([NONE, II, EXCLUSIVE, BATCH, OplockLevel.LEASE, 7]), sole=st.booleans(),
          locked=st.booleans())  # fmt: skip
    def grant(self, owner, wanted, sole, locked):
        if owner in self.model:
            return
        caches = CACHES.get(wanted, "")
        if locked or any(len(held.caches) > 1 for held in self.model.values()):
            caches = ""
        if not sole or self.model:
            caches = caches[:1]
        level = self.oplocks.grant(owner, wanted, sole=sole, locked=locked)
        assert CACHES[level] == caches
        if caches:
            self.model[owner] = Held(caches)

    @rule(name=names, by=st.none() | owners)
    def contend(self, name, by):
        expected, waits = [], False
        for owner, held in list(self.model.items()):
            left = left_of(held.caches, name)
            if left == held.caches or (owner == by and held.caches != "R"):
                continue
            if held.caches == "R":
                expected.append((owner, left))
                del self.model[owner]
                continue
            waits = True
            if held.promised is None:
                held.promised = left
                expected.append((owner, left))
        told = self.oplocks.start_breaks(CONTENTIONS[name], Event, by)
        assert [(owner, CACHES[level]) for owner, level in told] == expected
        blocker = self.oplocks.find_blocker(CONTENTIONS[name], by)
        assert (blocker is not None) is waits
        if blocker is not None:
            assert not blocker.over.is_set()
            self.model[blocker.owner].waiting.append(blocker.over)

    @rule(owner=owners, level=st.sampled_from([NONE, II, II, EXCLUSIVE, BATCH, OplockLevel.LEASE, 7]))
    def acknowledge(self, owner, level):
        held = self.model.get(owner)
        if held is None or held.promised is None:
            expect(Status.INVALID_OPLOCK_PROTOCOL, self.oplocks.acknowledge, owner, level)
            return
        del self.model[owner]
        if level not in (NONE, II):
            expect(Status.INVALID_PARAMETER, self.oplocks.acknowledge, owner, level)
        else:
            left = "R" if level == II and held.promised == "R" else ""
            assert CACHES[self.oplocks.acknowledge(owner, level)] == left
            if left:
                self.model[owner] = Held(left)
        held.end()

    @precondition(lambda self: self.model)
    @rule(data=st.data(), level=st.sampled_from([NONE, II]))
    def acknowledge_what_is_pending(self, data, level):
        self.acknowledge(data.draw(st.sampled_from(list(self.model))), level)

    @rule(owner=owners)
    def release(self, owner):
        self.oplocks.release(owner)
        held = self.model.pop(owner, None)
        if held is not None:
            held.end()

    @invariant()
    def same_levels(self):
        assert len(self.oplocks) == len(self.model)
        assert bool(self.oplocks) is bool(self.model)
        for owner in "ABCD":
            held = self.model.get(owner)
            assert CACHES[self.oplocks.level(owner)] == ("" if held is None else held.caches)

    @invariant()
    def whoever_caches_writes_is_alone(self):
        levels = [self.oplocks.level(owner) for owner in "ABCD"]
        assert levels.count(NONE) == 3 or not {EXCLUSIVE, BATCH} & set(levels)

    @invariant()
    def nobody_is_woken_early(self):
        assert not any(event.is_set() for held in self.model.values() for event in held.waiting)


Machine.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestOplocks = Machine.TestCase


def expect(status, function, *arguments):
    with pytest.raises(StatusError) as caught:
        function(*arguments)
    assert caught.value.status == status


@pytest.mark.parametrize("name", CONTENTIONS)
@pytest.mark.parametrize("level", [II, EXCLUSIVE, BATCH])
def test_the_table_takes_what_each_contention_takes(name, level):
    assert CACHES[CONTENTIONS[name][level]] == left_of(CACHES[level], name)


def test_a_break_to_level_ii_that_is_acknowledged_lets_the_next_break_it_to_none():
    oplocks = Oplocks()
    assert oplocks.grant("A", BATCH, sole=True, locked=False) == BATCH
    assert oplocks.start_breaks(OPEN, Event) == [("A", II)]
    assert oplocks.start_breaks(CHANGE, Event) == []  # it was told something already
    first, second = oplocks.find_blocker(OPEN), oplocks.find_blocker(CHANGE)
    assert first is not None
    assert first == second
    assert oplocks.acknowledge("A", II) == II
    assert first.over.is_set()
    assert oplocks.find_blocker(CHANGE) is None
    assert oplocks.start_breaks(CHANGE, Event) == [("A", NONE)]
    assert not oplocks


def test_who_was_told_none_cannot_keep_level_ii():
    oplocks = Oplocks()
    oplocks.grant("A", EXCLUSIVE, sole=True, locked=False)
    oplocks.start_breaks(CHANGE, Event)
    assert oplocks.acknowledge("A", II) == NONE
    assert not oplocks


def test_a_writer_goes_on_during_its_own_break_and_breaks_its_own_level_ii():
    oplocks = Oplocks()
    oplocks.grant("A", BATCH, sole=True, locked=False)
    oplocks.start_breaks(OPEN, Event)
    assert oplocks.start_breaks(CHANGE, Event, "A") == []  # it writes back what it cached
    assert oplocks.find_blocker(CHANGE, "A") is None
    oplocks.acknowledge("A", II)
    assert oplocks.start_breaks(CHANGE, Event, "A") == [("A", NONE)]


@pytest.mark.parametrize(
    ("access", "stat_open"),
    [
        (Access.READ_ATTRIBUTES, True),
        (Access.READ_ATTRIBUTES | Access.WRITE_ATTRIBUTES | Access.SYNCHRONIZE, True),
        (Access.READ_ATTRIBUTES | Access.READ_CONTROL, False),
        (Access.READ_ATTRIBUTES | Access.READ_EA, False),
        (Access.READ_ATTRIBUTES | Access.DELETE, False),
        (Access.READ_ATTRIBUTES | Access.EXECUTE, False),
        (Access.FILE_GENERIC_READ, False),
    ],
)
def test_stat_opens(access, stat_open):
    assert is_stat_open(access) is stat_open
