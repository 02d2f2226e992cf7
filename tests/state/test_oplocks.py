"""smbport.state.oplocks: the table of breaks, and a state machine against a model that thinks in letters.

To the model, a holder has a set of letters: R, what was read; W, what was written; H, that the file is open.  Each
contention takes some of them away.  What is left of an oplock must be one of the four things an oplock can be.
"""

from functools import cache
from types import SimpleNamespace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from smbport.platform import FileKey
from smbport.state.leases import Lease
from smbport.state.open import FileOpen
from smbport.state.oplocks import (
    CHANGE,
    HANDLE,
    NEED_CLOSED,
    OPEN,
    READ,
    READ_SECURITY,
    WRITE,
    Break,
    Oplock,
    Oplocks,
    is_stat_open,
)
from smbport.state.session import Session
from smbport.state.settings import Settings, ShareSettings
from smbport.state.sharing import SharedFile
from smbport.state.tree import TreeConnect
from smbport.testing.direct import new_server
from smbport.testing.memory import MemoryPlatform
from smbport.users import MemoryUsers
from smbport.wire.constants import Access, OplockLevel

II, EXCLUSIVE, BATCH = OplockLevel.LEVEL_II, OplockLevel.EXCLUSIVE, OplockLevel.BATCH
LEVELS = {"": OplockLevel.NONE, "R": II, "RW": EXCLUSIVE, "RWH": BATCH}
BITS = {"R": READ, "W": WRITE, "H": HANDLE}
# name -> contention, letters it takes, letters whose loss it waits for
CONTENTIONS = {
    "open": (OPEN, "W", "W"),
    "read security": (READ_SECURITY, "W", "W"),
    "need closed": (NEED_CLOSED, "H", "H"),
    "change": (CHANGE, "RWH", "W"),
}
STATES = ["", "R", "W", "H", "RW", "RH", "WH", "RWH"]


def bits(letters):
    return sum(BITS[letter] for letter in letters)


def letters(state):
    return "".join(letter for letter in "RWH" if state & BITS[letter])


def without(held, taken):
    return "".join(letter for letter in held if letter not in taken)


class Event:
    def __init__(self):
        self.happened = False

    def is_set(self):
        return self.happened

    def set(self):
        assert not self.happened
        self.happened = True


class Held:
    """What the model knows of a cache."""

    def __init__(self, cache):
        self.cache = cache
        self.has = ""
        self.told = None  # while a break is pending: what it was told to keep,
        self.must = None  # and what it may keep in the end
        self.until = 0
        self.waiting = []  # the events of those who wait for it

    @property
    def is_lease(self):
        return isinstance(self.cache, Lease)

    def left(self, name):
        _, taken, _ = CONTENTIONS[name]
        if self.is_lease:
            return self.has if name == "read security" else without(self.has, taken)
        rest = without(self.has, taken)
        return rest if rest == self.has or rest in ("", "R") else "R"

    def minds(self, name, by):
        """Whether this contention is any of its business."""
        if self.is_lease:
            return self.cache is not by and name != "read security"
        return self.cache is not by or self.has == "R"

    def end(self, has):
        self.has, self.told, self.must = has, None, None
        assert all(event.is_set() for event in self.waiting)
        self.waiting.clear()


oplock_names = st.sampled_from(["A", "B"])
lease_names = st.sampled_from(["X", "Y", "Z"])
everybody = st.sampled_from(["A", "B", "X", "Y", "Z"])


class Machine(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.oplocks = Oplocks()
        self.model = {name: Held(new_lease(name)) for name in "XYZ"}
        self.new = set("XYZ")  # leases that nobody asked for
        self.now = 0

    def cache(self, name):
        return self.model[name].cache if name in self.model else None

    def others(self, held):
        return [other for other in self.model.values() if other is not held and other.has]

    @rule(name=oplock_names, wanted=st.sampled_from(list(LEVELS)), sole=st.booleans(), locked=st.booleans())
    def ask_for_an_oplock(self, name, wanted, sole, locked):
        if name in self.model:
            return
        others = self.others(None)
        expected = wanted if sole and not others else wanted[:1]
        if locked or any(other.has != "R" for other in others):
            expected = ""
        oplock = self.oplocks.grant_oplock(new_open(name), LEVELS[wanted], sole=sole, locked=locked)
        assert (oplock is None) is (expected == "")
        if oplock is not None:
            assert (oplock.opened, oplock.level) == (new_open(name), LEVELS[expected])
            self.model[name] = Held(oplock)
            self.model[name].has = expected

    @rule(name=lease_names, wanted=st.sampled_from(STATES), sole=st.booleans(), locked=st.booleans())
    def ask_for_a_lease(self, name, wanted, sole, locked):
        held = self.model[name]
        first = name in self.new
        self.new.discard(name)
        others = self.others(held)
        possible = wanted
        if others or not sole:
            possible = without(possible, "W")
        if not all(other.is_lease for other in others):
            possible = without(possible, "H")
        if locked or "R" not in possible or any("W" in other.has for other in others):
            possible = ""
        epoch = held.cache.epoch
        self.oplocks.grant_lease(held.cache, bits(wanted), first=first, sole=sole, locked=locked)
        more = held.told is None and set(possible) > set(held.has) and (first or possible == wanted)
        if more:
            held.has = possible
        assert held.cache.epoch == (epoch + 1 if more else epoch) & 0xFFFF

    @rule(name=st.sampled_from(list(CONTENTIONS)), by=st.none() | everybody)
    def contend(self, name, by):
        contention, _, waits = CONTENTIONS[name]
        by = self.cache(by)
        expected, may_block, epochs = [], [], {}
        minds = [held for held in self.model.values() if held.minds(name, by) and held.left(name) != held.has]
        assert self.oplocks.mind(contention, by) is bool(minds)
        for held in self.model.values():
            left = held.left(name)
            if held.minds(name, by) and left != held.has:
                if held.told is not None:
                    held.must = without(held.must, without(held.has, left))
                else:
                    expected.append(Break(held.cache, bits(held.has), bits(left)))
                    if held.is_lease:
                        epochs[held.cache] = held.cache.epoch + 1 & 0xFFFF
                    if held.has == "R":
                        held.has = ""
                    else:
                        held.told = held.must = left
                        held.until = self.now + 35
            if held.told is not None and held.minds(name, by) and set(held.has) & set(waits):
                may_block.append(held)
        told = self.oplocks.start_breaks(contention, Event, self.now + 35, by)
        assert sorted(told, key=id_of) == sorted(expected, key=id_of)
        assert all(one.must_acknowledge is (one.held != READ) for one in told)
        assert all(cache.epoch == epoch for cache, epoch in epochs.items())
        blocker = self.oplocks.find_blocker(contention, by)
        assert (blocker is not None) is bool(may_block)
        if blocker is not None:
            assert not blocker.over.is_set()
            [held] = [held for held in may_block if held.cache is blocker.cache]
            held.waiting.append(blocker.over)
        self.forget_what_is_nothing()

    def forget_what_is_nothing(self):
        for name in "AB":
            if name in self.model and not self.model[name].has:
                del self.model[name]

    @precondition(lambda self: any(held.told is not None for held in self.model.values()))
    @rule(data=st.data())
    def acknowledge(self, data):
        held = data.draw(st.sampled_from([held for held in self.model.values() if held.told is not None]))
        subsets = [state for state in STATES if set(state) <= set(held.told)]
        state = data.draw(st.sampled_from(subsets if held.is_lease else sorted({"", held.told})))
        told = self.oplocks.acknowledge(held.cache, bits(state))
        if set(state) <= set(held.must):
            assert told is None
            held.end(state)
        elif state == "R":
            assert told == Break(held.cache, READ, 0)
            held.end("")
        else:
            step = "".join(letter for letter in "RWH" if letter in held.must or letter == "R")
            assert told == Break(held.cache, bits(state), bits(step))
            assert told.must_acknowledge
            held.has, held.told = state, step
        self.forget_what_is_nothing()

    @rule(name=everybody)
    def release(self, name):
        held = self.model.get(name)
        if held is not None:
            self.oplocks.release(held.cache)
            held.end("")
        self.forget_what_is_nothing()

    @rule(seconds=st.sampled_from([1, 20, 35]))
    def time_passes(self, seconds):
        self.now += seconds
        self.oplocks.expire(self.now)
        for held in self.model.values():
            if held.told is not None and held.until <= self.now:
                held.end("")
        self.forget_what_is_nothing()

    @invariant()
    def same_states(self):
        assert len(self.oplocks) == sum(bool(held.has) for held in self.model.values())
        assert bool(self.oplocks) is any(held.has for held in self.model.values())
        for held in self.model.values():
            assert letters(held.cache.state) == held.has
            assert (held.cache.over is None) is (held.told is None)
            if held.told is not None:
                assert (letters(held.cache.told), letters(held.cache.required)) == (held.told, held.must)

    @invariant()
    def whoever_caches_writes_caches_alone(self):
        having = [held for held in self.model.values() if held.has]
        assert len(having) <= 1 or not any("W" in held.has for held in having)

    @invariant()
    def handles_are_cached_by_one_kind_only(self):
        having = [held for held in self.model.values() if held.has]
        assert len({held.is_lease for held in having}) < 2 or not any("H" in held.has for held in having)

    @invariant()
    def nobody_is_woken_early(self):
        assert not any(event.is_set() for held in self.model.values() for event in held.waiting)


Machine.TestCase.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
TestOplocks = Machine.TestCase


def id_of(told):
    return id(told.cache)


@cache
def new_open(name):
    server = new_server(Settings(shares=(ShareSettings(name="data", path="data"),)), MemoryPlatform(), MemoryUsers({}))
    share, account = server.find_share("data"), server.platform.account
    tree = TreeConnect(Session(server, 1), 1, share, account, share.volume)
    node = SimpleNamespace(is_directory=False)
    return FileOpen(tree, 1, 1, granted_access=0, share_access=7, create_options=0, node=node, path=name)


def new_lease(name, *, epoch=0xFFFD):
    return Lease(SharedFile(FileKey(1, 1)), bytes(16), name.encode() * 16, version=2, epoch=epoch, parent_key=None)


@pytest.fixture
def oplocks():
    return Oplocks()


@pytest.fixture
def new_holder(oplocks):
    """Grants an oplock by level, or a lease by letters."""

    def new_holder(wanted, name="A"):
        if isinstance(wanted, int):
            oplock = oplocks.grant_oplock(new_open(name), wanted, sole=True, locked=False)
            assert oplock.level == wanted
            return oplock
        lease = new_lease(name)
        oplocks.grant_lease(lease, bits(wanted), first=True, sole=True, locked=False)
        assert letters(lease.state) == wanted
        return lease

    return new_holder


# The table of breaks --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("held", "opened", "secured", "closed", "changed"),
    [
        (II, "R", "R", "R", ""),
        (EXCLUSIVE, "R", "R", "RW", ""),
        (BATCH, "R", "R", "R", ""),
        ("R", "R", "R", "R", ""),
        ("RH", "RH", "RH", "R", ""),
        ("RW", "R", "RW", "RW", ""),
        ("RWH", "RH", "RWH", "RW", ""),
    ],
)
def test_what_is_left_of_what(new_holder, held, opened, secured, closed, changed):
    holder = new_holder(held)
    contentions = {OPEN: opened, READ_SECURITY: secured, NEED_CLOSED: closed, CHANGE: changed}
    assert {contention: letters(holder.left_by(contention)) for contention in contentions} == contentions


# Breaks that go on ----------------------------------------------------------------------------------------------


def test_a_lease_is_broken_in_steps(oplocks, new_holder):
    lease = new_holder("RWH")
    [told] = oplocks.start_breaks(OPEN, Event, 35)
    assert told == Break(lease, bits("RWH"), bits("RH"))
    assert oplocks.start_breaks(CHANGE, Event, 35) == []  # it was told something already
    first, second = oplocks.find_blocker(OPEN), oplocks.find_blocker(CHANGE)
    assert first == second
    assert oplocks.acknowledge(lease, bits("RH")) == Break(lease, bits("RH"), READ)
    assert not first.over.is_set()
    assert oplocks.acknowledge(lease, READ) == Break(lease, READ, 0)
    assert first.over.is_set()
    assert not oplocks


def test_the_steps_of_a_break_are_one_epoch(oplocks, new_holder):
    lease = new_holder("RWH")
    epoch = lease.epoch
    oplocks.start_breaks(OPEN, Event, 35)
    oplocks.start_breaks(CHANGE, Event, 35)
    oplocks.acknowledge(lease, bits("RH"))
    oplocks.acknowledge(lease, READ)
    assert lease.epoch == epoch + 1


def test_an_oplock_that_came_down_to_level_ii_can_be_taken_altogether(oplocks, new_holder):
    oplock = new_holder(BATCH)
    oplocks.start_breaks(OPEN, Event, 35)
    oplocks.start_breaks(CHANGE, Event, 35)
    assert oplocks.acknowledge(oplock, READ) == Break(oplock, READ, 0)
    assert (oplock.level, len(oplocks)) == (OplockLevel.NONE, 0)


def test_a_writer_goes_on_during_its_own_break_and_breaks_its_own_level_ii(oplocks, new_holder):
    oplock = new_holder(BATCH)
    oplocks.start_breaks(OPEN, Event, 35)
    assert oplocks.start_breaks(CHANGE, Event, 35, oplock) == []  # it writes back what it cached
    assert oplocks.find_blocker(CHANGE, oplock) is None
    oplocks.acknowledge(oplock, READ)
    assert oplocks.start_breaks(CHANGE, Event, 35, oplock) == [Break(oplock, READ, 0)]


@pytest.mark.parametrize("wanted", ["R", "RH", "RW", "RWH"])
def test_nothing_under_the_same_key_breaks_a_lease(oplocks, new_holder, wanted):
    lease = new_holder(wanted)
    for contention in (OPEN, NEED_CLOSED, CHANGE):
        assert oplocks.start_breaks(contention, Event, 35, lease) == []
    assert letters(lease.state) == wanted


def test_more_may_be_taken_from_one_alone(oplocks):
    one, other = new_lease("X"), new_lease("Y")
    for lease in (one, other):
        oplocks.grant_lease(lease, bits("RH"), first=True, sole=False, locked=False)
    assert oplocks.start_break(other, CHANGE, Event, 35) == Break(other, bits("RH"), 0)
    assert one.over is None
    assert oplocks.find_blocker(CHANGE) is None  # nobody waits for what was only read


@pytest.mark.parametrize("level", [OplockLevel.LEASE, 7])
def test_other_levels_are_none(oplocks, level):
    assert oplocks.grant_oplock(new_open("A"), level, sole=True, locked=False) is None


def test_what_became_of_a_cache_is_seen_when_time_has_passed(oplocks, new_holder):
    early, late = new_holder("RWH"), Oplock(new_open("B"))
    oplocks.start_breaks(NEED_CLOSED, Event, 35)
    over = early.over
    oplocks.expire(34)
    assert letters(early.state) == "RWH"
    oplocks.expire(35)
    assert (early.state, early.over, over.is_set(), late.level) == (0, None, True, 0)


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
