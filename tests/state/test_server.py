"""smbport.state.server: shares, ids, limits, and the life of an open."""

import errno
from itertools import count
from types import SimpleNamespace

import pytest
from hypothesis import settings as profile
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from smbport.platform import FileKey
from smbport.state.app_instances import AppInstance
from smbport.state.durable import Durability, Promise
from smbport.state.leases import Lease
from smbport.state.ranges import HeldLock
from smbport.state.server import Runtime, Server
from smbport.state.settings import Settings, ShareSettings
from smbport.state.watches import Waiter, Watch
from smbport.wire.change import CompletionFilter, NotifyAction
from smbport.wire.constants import CreateOption, OplockLevel
from smbport.wire.create_contexts import LeaseState
from smbport.wire.status import Status, StatusError

# Shares ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "found"), [("data", "data"), ("DaTa", "data"), ("More", "more"), ("ipc$", "IPC$")])
def test_shares_are_found_without_case(world, name, found):
    assert world.server.find_share(name).name == found


@pytest.mark.parametrize("name", ["", "dat", "data ", "data$", "C$", "ADMIN$"])
def test_other_shares_are_not_there(world, name):
    assert world.server.find_share(name) is None


def test_the_pipes_are_there_without_a_volume(world):
    assert world.server.find_share("IPC$") is world.server.ipc
    assert world.server.ipc.volume is None
    assert "IPC$" not in world.server.shares


def test_a_share_that_cannot_be_served_takes_the_others_along(authenticator):
    """What was opened before it is closed again: there is no server to own it."""
    closed = []

    def open_volume(path):
        if path == "/bad":
            raise FileNotFoundError(errno.ENOENT, "gone")
        features = SimpleNamespace(case_sensitive=True, case_preserving=True, read_only=False)
        return SimpleNamespace(close=lambda: closed.append(path), features=features)

    runtime = Runtime(now_ns=lambda: 0, random_bytes=bytes, new_event=object)
    shares = tuple(ShareSettings(name=path[1:], path=path, case_sensitive=True) for path in ("/a", "/b", "/bad", "/c"))
    with pytest.raises(FileNotFoundError):
        Server(Settings(shares=shares), SimpleNamespace(open_volume=open_volume), authenticator, runtime)
    assert closed == ["/a", "/b"]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (FileNotFoundError(errno.ENOENT, "No such file or directory", "/srv/x"), "No such file or directory"),
        (OSError("the tape is rewinding"), "the tape is rewinding"),
    ],
)
def test_a_share_that_cannot_be_served_is_named(authenticator, error, said):
    def open_volume(path):
        assert path == "/srv/x"
        raise error

    runtime = Runtime(now_ns=lambda: 0, random_bytes=bytes, new_event=object)
    settings = Settings(shares=(ShareSettings(name="photos", path="/srv/x"),))
    with pytest.raises(type(error)) as caught:
        Server(settings, SimpleNamespace(open_volume=open_volume), authenticator, runtime)
    assert caught.value.errno == error.errno
    for part in ("photos", "/srv/x", said):
        assert part in str(caught.value)
    assert caught.value.__context__ is error  # __cause__ too, but mypyc does not keep that


# Ids ------------------------------------------------------------------------------------------------------------


def test_session_ids_are_random_and_free(new_world):
    def draw(*values):
        left = iter(values)
        return lambda length: next(left).to_bytes(length, "little")

    world = new_world(random_bytes=draw(0, 0, 0xFFFFFFFF, 7, 7, 8))
    assert world.session().session_id == 7
    assert world.server.new_session_id() == 8


def test_file_ids_are_never_used_twice(world):
    ids = [world.server.new_file_id() for _ in range(1000)]
    for values in zip(*ids, strict=True):
        assert len(set(values)) == 1000
        assert not {0, (1 << 64) - 1} & set(values)


def test_file_ids_of_two_runs_differ(new_world):
    seeds = count(1000)
    worlds = [new_world(random_bytes=lambda length: next(seeds).to_bytes(length, "little")) for _ in range(2)]
    one, other = ({world.server.new_file_id() for _ in range(1000)} for world in worlds)
    assert not one & other


@pytest.mark.parametrize("seed", [b"\0\0\0\0", b"\xff\xff\xff\xff"])
def test_no_seed_makes_a_reserved_id(new_world, seed):
    world = new_world(random_bytes=lambda length: seed[:length])
    for _ in range(10):
        assert not {0, (1 << 64) - 1} & set(world.server.new_file_id())


def test_the_start_is_remembered(world):
    assert world.server.start_ns == 17
    assert world.server.bugs == 0


# Limits ---------------------------------------------------------------------------------------------------------


def refused(world, session):
    with pytest.raises(StatusError) as caught:
        world.server.check_room_for_open(session)
    return caught.value.status == Status.TOO_MANY_OPENED_FILES


def test_a_session_has_room_for_so_many_opens(new_world):
    world = new_world(opens_per_session=2)
    ann, bob = world.session("ann"), world.session("bob")
    tree = world.tree(ann)
    first = world.open(tree)
    world.server.check_room_for_open(ann)
    world.open_pipe(tree)
    assert refused(world, ann)
    world.server.check_room_for_open(bob)
    world.server.close_open(first)
    world.server.check_room_for_open(ann)


def test_the_server_has_room_for_so_many_opens(new_world):
    world = new_world(opens=2)
    ann, bob = world.session("ann"), world.session("bob")
    first = world.open(world.tree(ann))
    world.open(world.tree(bob))
    assert refused(world, ann)
    assert refused(world, bob)
    world.server.close_open(first)
    world.server.check_room_for_open(bob)


def test_the_throttle_has_its_limit_from_the_settings(new_world):
    throttle = new_world(failed_logons_pending_per_address=2).server.throttle
    assert [throttle.enter("192.0.2.1") for _ in range(3)] == [True, True, False]


# The life of an open --------------------------------------------------------------------------------------------


def test_a_pinned_open_keeps_its_handle_until_the_last_request_ends(world):
    opened = world.open(world.tree(world.session()))
    opened.pins = 2
    assert world.server.close_open(opened) is None
    assert opened.closed
    assert world.server.files.find(FileKey(1, 1)) is None
    world.server.unpin(opened)
    assert opened.node.closed == 0
    world.server.unpin(opened)
    assert opened.node.closed == 1


def test_a_request_that_ends_before_the_close_keeps_nothing(world):
    opened = world.open(world.tree(world.session()))
    opened.pins = 1
    world.server.unpin(opened)
    assert opened.node.closed == 0
    world.server.close_open(opened)
    assert opened.node.closed == 1


def test_requests_that_wait_for_a_lock_end_with_either_open(world):
    tree = world.tree(world.session())
    holder, loser, winner = world.open(tree), world.open(tree), world.open(tree)
    locks = holder.shared.locks
    assert locks.try_lock(holder, 0, 1, exclusive=True)
    lost, won = (locks.wait(opened, HeldLock(0, 1, True), world.Event()) for opened in (loser, winner))
    world.server.close_open(loser)
    assert (lost.event.is_set(), lost.granted, won.event.is_set()) == (True, False, False)
    world.server.close_open(holder)
    assert (won.event.is_set(), won.granted) == (True, True)
    world.server.close_open(winner)
    assert (len(locks), locks.queue) == (0, [])


def test_a_mark_on_the_file_counts_when_the_last_open_goes(world):
    tree = world.tree(world.session())
    one, other = world.open(tree, "one"), world.open(tree, "other")
    one.shared.doomed_by = other
    assert world.server.close_open(other) is None
    assert world.server.close_open(one) is other


class Opens(RuleBasedStateMachine):
    """The model is a list of opens, each with what should be true of it."""

    def __init__(self, world):
        super().__init__()
        self.world = world
        self.server = world.server
        self.trees = [world.tree(world.session(name)) for name in ("ann", "bob")]
        self.alive = []
        self.pinned = []  # closed, and still in use
        self.released = []
        self.marked = {}  # inode -> who marked it last

    @rule(tree=st.sampled_from([0, 1]), inode=st.integers(1, 3), delete=st.booleans())
    def open(self, tree, inode, delete):
        options = CreateOption.DELETE_ON_CLOSE if delete else 0
        if inode not in self.marked:
            self.alive.append(self.world.open(self.trees[tree], f"file{inode}", inode=inode, options=options))

    @rule(tree=st.sampled_from([0, 1]))
    def open_pipe(self, tree):
        self.alive.append(self.world.open_pipe(self.trees[tree]))

    @precondition(lambda self: self.alive)
    @rule(data=st.data())
    def pin(self, data):
        data.draw(st.sampled_from(self.alive)).pins += 1

    @precondition(lambda self: self.alive or self.pinned)
    @rule(data=st.data())
    def unpin(self, data):
        opened = data.draw(st.sampled_from(self.alive + self.pinned))
        if opened.pins:
            self.server.unpin(opened)
            if opened in self.pinned and not opened.pins:
                self.pinned.remove(opened)
                self.released.append(opened)

    @precondition(lambda self: self.alive)
    @rule(data=st.data())
    def close(self, data):
        opened = data.draw(st.sampled_from(self.alive))
        self.alive.remove(opened)
        (self.pinned if opened.pins else self.released).append(opened)
        expected = None
        if hasattr(opened, "shared"):
            inode = opened.shared.key.inode
            if opened.delete_on_close:
                self.marked[inode] = opened
            if not any(getattr(other, "shared", None) is opened.shared for other in self.alive):
                expected = self.marked.pop(inode, None)
        doomed = self.server.close_open(opened)
        assert doomed is expected
        if doomed is not None:
            self.server.files.forget(doomed.shared)

    @precondition(lambda self: self.pinned + self.released)
    @rule(data=st.data())
    def close_again(self, data):
        assert self.server.close_open(data.draw(st.sampled_from(self.pinned + self.released))) is None

    @invariant()
    def opens_are_counted(self):
        assert self.server.open_count == len(self.alive)
        for tree in self.trees:
            mine = {opened.volatile_id: opened for opened in self.alive if opened.tree is tree}
            assert tree.session.opens == mine

    @invariant()
    def handles_are_released_once_and_in_time(self):
        for opened in self.alive + self.pinned + self.released:
            assert opened.closed is (opened not in self.alive)
            if hasattr(opened, "node"):
                assert opened.node.closed == (opened in self.released)

    @invariant()
    def files_are_those_with_opens(self):
        keys = {opened.shared.key for opened in self.alive if hasattr(opened, "shared")}
        assert len(self.server.files) == len(keys)
        assert all(self.server.files.find(key) for key in keys)


def test_the_life_of_opens(new_world):
    run_state_machine_as_test(
        lambda: Opens(new_world()), settings=profile(max_examples=50, stateful_step_count=40, deadline=None)
    )


class Ear:
    """Who listens to a directory."""

    def __init__(self):
        self.heard = []

    def changed(self, action, name, what, by):
        self.heard.append((action, name, what))


@pytest.mark.parametrize("doomed", [False, True])
def test_what_was_written_is_told_when_the_handle_goes(world, doomed):
    """Not before, and not of a file that goes too."""
    tree, ear = world.tree(world.session()), Ear()
    tree.share.changes.add("", ear, tree=False)
    opened = world.open(tree)
    opened.delete_on_close = doomed
    opened.unreported = CompletionFilter.SIZE
    opened.pins = 1
    world.server.close_open(opened)
    assert ear.heard == []
    world.server.unpin(opened)
    assert ear.heard == ([] if doomed else [(NotifyAction.MODIFIED, "file", CompletionFilter.SIZE)])


def test_a_close_ends_the_watch(world):
    opened = world.open(world.tree(world.session()), "d", directory=True)
    watch, waiter = Watch(0xFFF, 1000, tree=False), Waiter(world.Event(), 1000)
    opened.start_watch(watch)
    watch.wait(waiter)
    world.server.close_open(opened)
    assert waiter.answer.status == Status.NOTIFY_CLEANUP
    assert not opened.tree.share.changes


# Opens that outlive their session ---------------------------------------------------------------------------------


def test_async_ids_are_never_used_twice(world):
    ids = [world.server.new_async_id() for _ in range(3)]
    assert len(set(ids)) == 3
    assert 0 not in ids


@pytest.fixture
def durable(world):
    """An open with a batch oplock that was promised to survive its connection."""
    opened = world.open(world.tree(world.session()))
    opened.oplock = opened.shared.oplocks.grant_oplock(opened, OplockLevel.BATCH, sole=True, locked=False)
    opened.durability = Durability(promise=Promise.DURABLE, owner="ann", client_guid=bytes(16), timeout_ns=10**9)
    world.server.durable.add(opened)
    return opened


def test_a_durable_open_is_kept_and_found_again(world, durable):
    server, session, old_id = world.server, durable.tree.session, durable.volatile_id
    assert server.lose_open(durable) is None
    assert durable.is_disconnected
    assert (session.opens, server.open_count, durable.node.closed) == ({}, 1, 0)
    assert server.new_file_id()[0] != durable.persistent_id
    tree = world.tree(world.session())
    server.regain_open(durable, tree)
    assert not durable.is_disconnected
    assert durable.volatile_id != old_id
    assert tree.session.opens == {durable.volatile_id: durable}


def test_ids_of_opens_that_came_back_are_passed_over(world, durable):
    server = world.server
    server.lose_open(durable)
    server.next_volatile_id = durable.persistent_id
    assert server.new_file_id()[0] == durable.persistent_id + 1


def test_what_was_not_promised_is_closed_when_it_is_lost(world):
    opened = world.open(world.tree(world.session()))
    assert world.server.lose_open(opened) is None
    assert (opened.closed, opened.node.closed, world.server.open_count) == (True, 1, 0)
    assert world.server.lose_open(opened) is None
    pipe = world.open_pipe(world.tree(world.session(), "IPC$"))
    world.server.lose_open(pipe)
    assert pipe.closed


def test_a_durable_open_with_locks_needs_to_cache_writes(world, durable):
    """As on Windows: what was locked and not cached could have changed meanwhile."""
    durable.shared.locks.try_lock(durable, 0, 1, exclusive=True)
    durable.oplock.state = LeaseState.READ_CACHING | LeaseState.HANDLE_CACHING
    world.server.lose_open(durable)
    assert durable.closed


def test_a_close_forgets_what_was_promised(world, durable):
    server = world.server
    server.app_instances.add(durable, AppInstance(b"i" * 16, (0, 0), bytes(16)))
    server.lose_open(durable)
    assert len(server.durable) == 1
    server.close_open(durable)
    assert len(server.durable) == 0
    assert not server.app_instances.find_displaced(
        AppInstance(b"i" * 16, (1, 0), b"x" * 16), durable.tree.share, durable.path
    )


def test_a_close_gives_the_cache_back(world, durable):
    tree = world.tree(world.session())
    leased = world.open(tree, "other", inode=2)
    lease = Lease(leased.shared, bytes(16), b"k" * 16, version=1, epoch=0, parent_key=None)
    world.server.leases.join(lease, leased)
    leased.shared.oplocks.grant_lease(lease, LeaseState.READ_CACHING, first=True, sole=True, locked=False)
    shared, oplocks = durable.shared, leased.shared.oplocks
    world.server.close_open(durable)
    world.server.close_open(leased)
    assert (len(shared.oplocks), len(oplocks), len(world.server.leases)) == (0, 0, 0)


# Where descriptors are kept ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("acl", "attribute", "said"),
    [
        (None, None, "acl = .nt. is not possible: too simple"),
        (SimpleNamespace(names=("user.NTACL",)), "security.NTACL", "cannot be stored as 'security.NTACL' here"),
    ],
)
def test_descriptors_that_cannot_be_stored(authenticator, acl, attribute, said):
    features = SimpleNamespace(case_sensitive=True, case_preserving=True, read_only=False)
    volume = SimpleNamespace(close=lambda: None, features=features)
    platform = SimpleNamespace(open_volume=lambda path: volume, acl=acl, absent={"acl": "too simple"})
    share = ShareSettings(name="a", path="/a", case_sensitive=True, acl="nt", acl_attribute=attribute)
    runtime = Runtime(now_ns=lambda: 0, random_bytes=bytes, new_event=object)
    with pytest.raises(OSError, match=said):
        Server(Settings(shares=(share,)), platform, authenticator, runtime)
