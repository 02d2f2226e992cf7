"""smbport.state.durable: the refusals one by one, and all of it against a list of what was promised."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from smbport.state.durable import (
    Durability,
    DurableOpens,
    Promise,
    Reconnect,
    durable_v2_timeout_ns,
    resilient_timeout_ns,
)
from smbport.state.leases import Lease
from smbport.state.oplocks import HANDLE, READ, WRITE
from smbport.wire.constants import Access, OplockLevel
from smbport.wire.status import Status, StatusError

SECOND = 1_000_000_000
CLIENT, OTHER_CLIENT = bytes([1]) * 16, bytes([2]) * 16
GUID, OTHER_GUID = bytes([3]) * 16, bytes([4]) * 16
KEY, OTHER_KEY = bytes([5]) * 16, bytes([6]) * 16


def durability(promise, **fields):
    values = {"owner": "ann", "client_guid": CLIENT, "create_guid": GUID, "timeout_ns": 10 * SECOND}
    return Durability(promise=promise, **{**values, **fields})


@pytest.fixture
def durable(world):
    return world.server.durable


@pytest.fixture
def disconnected(world, durable):
    """Makes an open that waits for its client."""

    def disconnected(promise=Promise.DURABLE_V2, *, path="File", now_ns=0, **fields):
        opened = world.open(world.tree(world.session()), path)
        opened.durability = durability(promise, **fields)
        durable.add(opened)
        assert durable.try_disconnect(opened, now_ns, keeps=True)
        return opened

    return disconnected


def wish(opened, **other):
    found = opened.durability
    values = {
        "persistent_id": opened.persistent_id,
        "create_guid": found.create_guid,
        "persistent": found.promise == Promise.PERSISTENT,
        "owner": found.owner,
        "client_guid": found.client_guid,
        "lease_key": found.lease_key,
        "share": opened.tree.share,
        "path": opened.path,
    }
    return Reconnect(**{**values, **other})


# Time-outs ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked_ms", "seconds"), [(0, 60), (1, 0.001), (300_000, 300), (300_001, 300), (2**32 - 1, 300)]
)
def test_the_time_out_of_the_second_version(asked_ms, seconds):
    assert durable_v2_timeout_ns(asked_ms) == seconds * SECOND


@pytest.mark.parametrize(("asked_ms", "seconds"), [(0, 120), (1, 0.001), (300_000, 300)])
def test_the_time_out_of_resilience(asked_ms, seconds):
    assert resilient_timeout_ns(asked_ms) == seconds * SECOND


def test_resilience_for_too_long():
    with pytest.raises(StatusError) as refusal:
        resilient_timeout_ns(300_001)
    assert refusal.value.status == Status.INVALID_PARAMETER


# Losing -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("promise", "with_cache", "without"),
    [
        (Promise.NONE, False, False),
        (Promise.DURABLE, True, False),
        (Promise.DURABLE_V2, True, False),
        (Promise.RESILIENT, True, True),
        (Promise.PERSISTENT, True, True),
    ],
)
def test_what_is_kept(world, durable, promise, with_cache, without):
    for keeps, kept in ((True, with_cache), (False, without)):
        opened = world.open(world.tree(world.session()))
        opened.durability = durability(promise)
        assert durable.try_disconnect(opened, 0, keeps=keeps) is kept
        assert opened.is_disconnected is kept
        assert durable.knows(opened.persistent_id) is kept


def test_who_was_promised_nothing(world, durable):
    assert not durable.try_disconnect(world.open(world.tree(world.session())), 0, keeps=True)


@pytest.mark.parametrize(
    ("level", "pending", "locked", "kept"),
    [
        (OplockLevel.BATCH, False, False, True),
        (OplockLevel.BATCH, False, True, True),
        (OplockLevel.BATCH, True, False, False),
        (OplockLevel.EXCLUSIVE, False, False, False),
        (OplockLevel.NONE, False, False, False),
    ],
)
def test_an_oplock_when_the_session_is_lost(world, level, pending, locked, kept):
    session = world.session()
    opened = world.open(world.tree(session))
    opened.oplock = opened.shared.oplocks.grant_oplock(opened, level, sole=True, locked=False)
    opened.durability = durability(Promise.DURABLE)
    if pending:
        opened.oplock.over = world.Event()
    if locked:
        assert opened.shared.locks.try_lock(opened, 0, 1, exclusive=True)
    session.lose()
    assert opened.closed is not kept
    assert opened.shared.locks.count(opened) == (locked and kept)
    assert not session.opens


@pytest.mark.parametrize(
    ("state", "locked", "kept"),
    [
        (READ | HANDLE, False, True),
        (READ | HANDLE, True, False),
        (READ | WRITE | HANDLE, True, True),
        (READ | WRITE, False, False),
    ],
)
def test_a_lease_when_the_session_is_lost(world, state, locked, kept):
    session = world.session()
    opened = world.open(world.tree(session))
    lease = Lease(opened.shared, CLIENT, KEY, version=2, epoch=1, parent_key=None)
    world.server.leases.join(lease, opened)
    opened.shared.oplocks.grant_lease(lease, state, first=True, sole=True, locked=False)
    opened.durability = durability(Promise.DURABLE_V2, lease_key=KEY)
    if locked:
        assert opened.shared.locks.try_lock(opened, 0, 1, exclusive=True)
    session.lose()
    assert opened.closed is not kept


@pytest.mark.parametrize("end", ["close", "close_tree"])
def test_nothing_survives_an_end_that_was_asked_for(world, end):
    session = world.session()
    tree = world.tree(session)
    opened = world.open(tree)
    opened.durability = durability(Promise.PERSISTENT)
    if end == "close":
        session.close()
    else:
        session.close_tree(tree)
    assert opened.closed


def test_a_pipe_is_not_durable(world):
    session = world.session()
    pipe = world.open_pipe(world.tree(session, "data"))
    session.lose()
    assert pipe.closed


def test_there_is_room_for_so_many(new_world):
    world = new_world(disconnected_opens=3, disconnected_opens_per_user=2)
    durable = world.server.durable

    def lose(owner):
        opened = world.open(world.tree(world.session(owner)))
        opened.durability = durability(Promise.RESILIENT, owner=owner)
        opened.tree.session.lose()
        return None if opened.closed else opened

    first = lose("ann")
    assert lose("ann") is not None
    assert lose("ann") is None
    assert lose("bob") is not None
    assert lose("bob") is None
    assert len(durable) == 3
    world.server.close_open(first)
    assert lose("bob") is not None
    assert lose("ann") is None


def test_it_still_counts_as_an_open(new_world):
    world = new_world(opens=1)
    session = world.session()
    opened = world.open(world.tree(session))
    opened.durability = durability(Promise.RESILIENT)
    session.lose()
    with pytest.raises(StatusError):
        world.server.check_room_for_open(world.session())
    world.server.close_open(opened)
    world.server.check_room_for_open(world.session())


# Finding again ------------------------------------------------------------------------------------------------------


def test_it_is_found_and_back(world, durable, disconnected):
    opened = disconnected()
    old_id = opened.volatile_id
    assert durable.find(wish(opened)) is opened
    tree = world.tree(world.session())
    world.server.regain_open(opened, tree)
    assert opened.volatile_id != old_id
    assert tree.session.opens == {opened.volatile_id: opened}
    assert opened.tree is tree
    assert not opened.is_disconnected
    assert len(durable) == 0


def test_the_first_version_takes_what_the_second_made(durable, disconnected):
    opened = disconnected()
    assert durable.find(wish(opened, create_guid=None)) is opened


def test_the_second_version_takes_what_the_first_made_by_a_guid_of_zeroes(durable, disconnected):
    opened = disconnected(Promise.DURABLE, create_guid=None)
    assert durable.find(wish(opened, create_guid=bytes(16))) is opened


LEASED = {"lease_key": KEY}
PERSISTENT = {"promise": Promise.PERSISTENT}
REFUSALS = {
    "another id": ({}, {"persistent_id": 9}, Status.OBJECT_NAME_NOT_FOUND),
    "another create guid": ({}, {"create_guid": OTHER_GUID}, Status.OBJECT_NAME_NOT_FOUND),
    "another user": ({}, {"owner": "bob"}, Status.ACCESS_DENIED),
    "a lease where there is none": ({}, {"lease_key": KEY}, Status.OBJECT_NAME_NOT_FOUND),
    "no lease where there is one": (LEASED, {"lease_key": None}, Status.OBJECT_NAME_NOT_FOUND),
    "another lease": (LEASED, {"lease_key": OTHER_KEY}, Status.OBJECT_NAME_NOT_FOUND),
    "another client's lease": (LEASED, {"client_guid": OTHER_CLIENT}, Status.OBJECT_NAME_NOT_FOUND),
    "another name with a lease": (LEASED, {"path": "other"}, Status.INVALID_PARAMETER),
    "persistent, which it is not": ({}, {"persistent": True}, Status.INVALID_PARAMETER),
    "not persistent, which it is": (
        {"promise": Promise.PERSISTENT},
        {"persistent": False},
        Status.OBJECT_NAME_NOT_FOUND,
    ),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_refusals(durable, disconnected, name):
    """And nothing has changed: who asks rightly has it back."""
    made, asked, status = REFUSALS[name]
    opened = disconnected(**made)
    with pytest.raises(StatusError) as refusal:
        durable.find(wish(opened, **asked))
    assert refusal.value.status == status
    assert durable.find(wish(opened)) is opened


def test_another_share(world, durable, disconnected):
    opened = disconnected()
    with pytest.raises(StatusError) as refusal:
        durable.find(wish(opened, share=world.server.find_share("more")))
    assert refusal.value.status == Status.OBJECT_NAME_NOT_FOUND


@pytest.mark.parametrize("asked", [{"client_guid": OTHER_CLIENT}, {"path": "anything"}])
def test_without_a_lease_neither_client_nor_name_count(durable, disconnected, asked):
    opened = disconnected()
    assert durable.find(wish(opened, **asked)) is opened


def test_case_does_not_matter(durable, disconnected):
    opened = disconnected(**LEASED)
    assert durable.find(wish(opened, path="fILE")) is opened


def test_nobody_gets_what_is_connected_or_closed(world, durable, disconnected):
    back, closed = disconnected(), disconnected()
    world.server.regain_open(back, world.tree(world.session()))
    world.server.close_open(closed)
    for opened in (back, closed):
        with pytest.raises(StatusError) as refusal:
            durable.find(wish(opened))
        assert refusal.value.status == Status.OBJECT_NAME_NOT_FOUND


# Others, while the client is away -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "locked", "free"),
    [
        (READ | HANDLE, False, True),
        (READ | HANDLE, True, False),
        (READ | WRITE | HANDLE, True, True),
        (READ | WRITE, False, False),
        (None, False, False),
    ],
)
def test_what_a_lease_does_not_cover_is_not_available(world, durable, state, locked, free):
    opened = world.open(world.tree(world.session()))
    if state is not None:
        lease = Lease(opened.shared, CLIENT, KEY, version=2, epoch=1, parent_key=None)
        world.server.leases.join(lease, opened)
        opened.shared.oplocks.grant_lease(lease, state, first=True, sole=True, locked=False)
    opened.durability = durability(Promise.PERSISTENT)
    if locked:
        assert opened.shared.locks.try_lock(opened, 0, 1, exclusive=True)
    durable.check_available(opened.shared, Access.READ_DATA)
    assert durable.of_file(opened.shared) == ()
    opened.tree.session.lose()
    assert durable.of_file(opened.shared) == (opened,)
    durable.check_available(opened.shared, Access.READ_ATTRIBUTES)
    if free:
        durable.check_available(opened.shared, Access.READ_DATA)
    else:
        with pytest.raises(StatusError, match="file waits for ann") as refusal:
            durable.check_available(opened.shared, Access.READ_DATA)
        assert refusal.value.status == Status.FILE_NOT_AVAILABLE


def test_only_what_is_persistent_is_so_well_kept(durable, disconnected):
    opened = disconnected(Promise.RESILIENT)
    durable.check_available(opened.shared, Access.READ_DATA)


# Time ---------------------------------------------------------------------------------------------------------------


def test_time_runs_out(world, durable, disconnected):
    late = disconnected(timeout_ns=20)
    soon = disconnected(timeout_ns=10)
    assert durable.expired(9) == []
    assert durable.expired(10) == [soon]
    world.server.close_open(soon)
    assert durable.expired(19) == []
    assert durable.expired(20) == [late]
    world.server.close_open(late)
    assert durable.expired(10**9) == []
    assert durable.disconnected() == []


def test_an_id_from_another_life_is_not_given_again(world, durable):
    server = world.server
    opened = world.open(world.tree(world.session()))
    opened.persistent_id = server.next_volatile_id
    opened.durability = durability(Promise.PERSISTENT)
    durable.restore(opened, 5)
    assert opened.durability.deadline_ns == 5 + 10 * SECOND
    assert durable.find_created(CLIENT, GUID) is opened
    assert server.new_file_id() == (opened.persistent_id + 1, opened.persistent_id + 1)


# Replay -------------------------------------------------------------------------------------------------------------


def test_a_create_that_runs(durable):
    assert durable.find_created(CLIENT, GUID) is None
    durable.reserve(CLIENT, GUID)
    with pytest.raises(StatusError) as refusal:
        durable.find_created(CLIENT, GUID)
    assert refusal.value.status == Status.FILE_NOT_AVAILABLE
    assert durable.find_created(OTHER_CLIENT, GUID) is None
    durable.abandon(CLIENT, GUID)
    durable.abandon(CLIENT, GUID)
    assert durable.find_created(CLIENT, GUID) is None


def test_a_create_can_be_replayed_until_its_open_is_used(world, durable):
    opened = world.open(world.tree(world.session()))
    opened.durability = durability(Promise.NONE)
    durable.reserve(CLIENT, GUID)
    durable.add(opened)
    durable.abandon(CLIENT, GUID)
    assert durable.find_created(CLIENT, GUID) is opened
    assert opened.replayable
    durable.note_use(opened)
    assert durable.find_created(CLIENT, GUID) is None
    assert not opened.replayable


def test_the_guid_of_another_open_is_left_alone(world, durable):
    tree = world.tree(world.session())
    first, second = world.open(tree), world.open(tree)
    for opened in (first, second):
        opened.durability = durability(Promise.NONE)
        durable.add(opened)
    world.server.close_open(first)
    assert durable.find_created(CLIENT, GUID) is second


def test_without_a_guid_there_is_no_replay(world, durable):
    opened = world.open(world.tree(world.session()))
    durable.add(opened)
    durable.note_use(opened)
    opened.durability = durability(Promise.DURABLE, create_guid=None)
    durable.add(opened)
    assert not opened.replayable
    durable.note_use(opened)


# All together -------------------------------------------------------------------------------------------------------


class Opens(RuleBasedStateMachine):
    """The model: what was promised to each open, and when it ends; looked through from end to end."""

    world_type = None
    LIMIT, PER_OWNER = 6, 3

    @initialize()
    def begin(self):
        self.world = self.world_type()
        self.durable = DurableOpens(self.LIMIT, self.PER_OWNER)
        self.world.server.durable = self.durable
        self.now = 0
        self.connected = []
        self.waiting = []

    @rule(
        promise=st.sampled_from(Promise),
        owner=st.sampled_from(["ann", "bob"]),
        timeout=st.integers(1, 5),
        guid=st.integers(0, 4),
    )
    def open(self, promise, owner, timeout, guid):
        opened = self.world.open(self.world.tree(self.world.session(owner)))
        guid = bytes([guid]) * 16
        self.forget_guid(guid)
        opened.durability = durability(promise, owner=owner, timeout_ns=timeout, create_guid=guid)
        self.durable.add(opened)
        self.connected.append(opened)

    def forget_guid(self, guid):
        for other in self.connected + self.waiting:
            if other.durability.create_guid == guid and other.replayable:
                self.durable.note_use(other)

    @precondition(lambda self: self.connected)
    @rule(data=st.data(), keeps=st.booleans())
    def lose(self, data, keeps):
        opened = data.draw(st.sampled_from(self.connected))
        self.connected.remove(opened)
        found = opened.durability
        kept = found.promise in (Promise.RESILIENT, Promise.PERSISTENT) or (keeps and found.promise != Promise.NONE)
        own = [other for other in self.waiting if other.durability.owner == found.owner]
        kept = kept and len(self.waiting) < self.LIMIT and len(own) < self.PER_OWNER
        assert self.durable.try_disconnect(opened, self.now, keeps=keeps) is kept
        if kept:
            assert found.deadline_ns == self.now + found.timeout_ns
            self.waiting.append(opened)
        else:
            self.world.server.close_open(opened)

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def come_back(self, data):
        opened = data.draw(st.sampled_from(self.waiting))
        assert self.durable.find(wish(opened)) is opened
        self.world.server.regain_open(opened, self.world.tree(self.world.session(opened.durability.owner)))
        self.waiting.remove(opened)
        self.connected.append(opened)

    @precondition(lambda self: self.connected + self.waiting)
    @rule(data=st.data())
    def close(self, data):
        opened = data.draw(st.sampled_from(self.connected + self.waiting))
        self.world.server.close_open(opened)
        (self.connected if opened in self.connected else self.waiting).remove(opened)

    @precondition(lambda self: self.connected + self.waiting)
    @rule(data=st.data())
    def use(self, data):
        self.durable.note_use(data.draw(st.sampled_from(self.connected + self.waiting)))

    @rule(seconds=st.integers(1, 4))
    def time_passes(self, seconds):
        self.now += seconds
        over = [opened for opened in self.waiting if opened.durability.deadline_ns <= self.now]
        assert self.durable.expired(self.now) == over
        for opened in over:
            self.world.server.close_open(opened)
            self.waiting.remove(opened)

    @invariant()
    def as_the_model_has_it(self):
        assert self.durable.disconnected() == self.waiting
        assert all(opened.is_disconnected for opened in self.waiting)
        assert not any(opened.is_disconnected for opened in self.connected)
        assert self.world.server.open_count == len(self.connected) + len(self.waiting)
        everything = self.connected + self.waiting
        for guid in (bytes([number]) * 16 for number in range(5)):
            found = [opened for opened in everything if opened.replayable and opened.durability.create_guid == guid]
            assert ([self.durable.find_created(CLIENT, guid)] if found else []) == found


def test_against_a_model(new_world):
    Opens.world_type = new_world
    case = Opens.TestCase
    case.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
    case().runTest()
