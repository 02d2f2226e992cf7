"""smbport.state.leases: which opens share a lease, and when it ends."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from smbport.state.leases import Lease
from smbport.state.oplocks import HANDLE, OPEN, READ, WRITE
from smbport.wire.change import CompletionFilter, NotifyAction
from smbport.wire.constants import Access, OplockLevel

GUIDS = [bytes([number]) * 16 for number in (1, 2)]
KEYS = [bytes([number]) * 16 for number in (7, 8)]
STAT = Access.READ_ATTRIBUTES | Access.SYNCHRONIZE


class Ear:
    def __init__(self):
        self.heard = []

    def changed(self, action, name, what, by):
        self.heard.append(name)


def new_lease(opened, *, guid=GUIDS[0], key=KEYS[0], epoch=0, parent_key=None):
    return Lease(opened.shared, guid, key, version=2, epoch=epoch, parent_key=parent_key)


class Machine(RuleBasedStateMachine):
    """The model is a list of (client, key, open), from the first open of a lease to its last close."""

    def __init__(self, world):
        super().__init__()
        self.server = world.server
        self.tree = world.tree(world.session())
        self.world = world
        self.held = []

    @rule(guid=st.sampled_from(GUIDS), key=st.sampled_from(KEYS), access=st.sampled_from([Access.READ_DATA, STAT]))
    def open(self, guid, key, access):
        number = 10 * GUIDS.index(guid) + KEYS.index(key)
        opened = self.world.open(self.tree, f"f{number}", inode=number, access=access)
        lease = self.server.leases.find(guid, key)
        assert (lease is not None) is any((guid, key) == (one, other) for one, other, _ in self.held)
        lease = lease or new_lease(opened, guid=guid, key=key)
        self.server.leases.join(lease, opened)
        self.held.append((guid, key, opened))

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def close(self, data):
        entry = data.draw(st.sampled_from(self.held))
        self.held.remove(entry)
        self.server.close_open(entry[2])

    @invariant()
    def the_same_opens(self):
        pairs = {(guid, key) for guid, key, _ in self.held}
        assert len(self.server.leases) == len(pairs)
        for guid, key in pairs:
            lease = self.server.leases.find(guid, key)
            opens = [opened for one, other, opened in self.held if (one, other) == (guid, key)]
            assert list(lease.opens) == opens
            assert lease.active == sum(opened.granted_access != STAT for opened in opens)
            assert lease.path == opens[0].path
            assert lease.is_at(self.tree.share, opens[0].path.upper())
            assert all(opened.lease is lease for opened in opens)
            assert all(opened.shared.is_sole(opened) for opened in opens)


def test_leases_live_as_long_as_their_opens(new_world):
    run_state_machine_as_test(
        lambda: Machine(new_world()), settings=settings(max_examples=50, stateful_step_count=30, deadline=None)
    )


def test_what_an_open_says_of_its_lease(world):
    opened = world.open(world.tree(world.session()))
    assert (opened.cache, opened.caching, opened.caches_handle) == (None, 0, False)
    assert opened.oplock_level == OplockLevel.NONE
    lease = new_lease(opened, parent_key=KEYS[1])
    world.server.leases.join(lease, opened)
    opened.shared.oplocks.grant_lease(lease, READ | HANDLE, first=True, sole=True, locked=False)
    assert (opened.cache, opened.caching) == (lease, READ | HANDLE)
    assert (opened.oplock_level, opened.caches_handle, opened.parent_lease_key) == (OplockLevel.LEASE, True, KEYS[1])


def test_what_an_open_says_of_its_oplock(world):
    opened = world.open(world.tree(world.session()))
    opened.oplock = oplock = opened.shared.oplocks.grant_oplock(opened, OplockLevel.BATCH, sole=True, locked=False)
    assert (opened.cache, opened.caching, opened.oplock_level) == (oplock, READ | WRITE | HANDLE, OplockLevel.BATCH)
    assert opened.parent_lease_key is None
    world.server.close_open(opened)
    assert opened.caching == 0


def test_the_last_close_lets_go_on_who_waits(world):
    tree = world.tree(world.session())
    opens = [world.open(tree), world.open(tree)]
    lease = new_lease(opens[0])
    for opened in opens:
        world.server.leases.join(lease, opened)
    oplocks = opens[0].shared.oplocks
    oplocks.grant_lease(lease, READ | WRITE, first=True, sole=True, locked=False)
    oplocks.start_breaks(OPEN, world.Event, 35)
    over = lease.over
    for opened in opens:
        assert not over.is_set()
        world.server.close_open(opened)
    assert over.is_set()
    assert not oplocks


def test_the_ear_of_a_directory_follows_it_and_ends_with_the_open(world):
    tree = world.tree(world.session())
    opened = world.open(tree, "d", directory=True)
    changes, ear = tree.share.changes, Ear()
    changes.add("d", ear, tree=False)
    world.server.leases.join(new_lease(opened), opened, ear)
    world.server.files.move(tree.share, "d", "e")
    changes.move("d", "e")
    changes.report(NotifyAction.ADDED, "e/f", CompletionFilter.FILE_NAME, None)
    world.server.close_open(opened)
    assert not changes
    assert ear.heard == ["f"]


@pytest.mark.parametrize(
    ("share", "case_sensitive", "path", "there"),
    [
        ("data", False, "Dir/File", True),
        ("data", False, "dir/FILE", True),
        ("data", True, "Dir/File", True),
        ("data", True, "dir/FILE", False),
        ("data", False, "dir", False),
        ("more", False, "Dir/File", False),
    ],
)
def test_where_a_lease_is(world, share, case_sensitive, path, there):
    tree = world.tree(world.session())
    opened = world.open(tree, "Dir/File")
    lease = new_lease(opened)
    world.server.leases.join(lease, opened)
    if case_sensitive:
        tree.share.spellings = None
    assert lease.is_at(world.server.find_share(share), path) is there


def test_the_epoch_goes_round(world):
    lease = new_lease(world.open(world.tree(world.session())), epoch=0xFFFF)
    lease.advance()
    assert lease.epoch == 0
