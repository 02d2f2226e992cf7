"""smbport.state.persistent: what is to be saved, and what a record says."""

import pytest

from smbport.state.durable import Durability, Promise
from smbport.state.leases import Lease
from smbport.state.lock_sequences import LockSequences
from smbport.state.oplocks import HANDLE, READ
from smbport.state.persistent import LeaseRecord, LockChange, Unsaved, record_of
from smbport.state.ranges import HeldLock
from smbport.wire.constants import CreateOption, OplockLevel

CLIENT, GUID, KEY = bytes([1]) * 16, bytes([2]) * 16, bytes([3]) * 16


def make(world, promise=Promise.PERSISTENT, **how):
    opened = world.open(world.tree(world.session()), **how)
    opened.durability = Durability(
        promise=promise, owner="ann", client_guid=CLIENT, create_guid=GUID, timeout_ns=7, action=2
    )
    return opened


@pytest.fixture
def opened(world):
    return make(world)


@pytest.fixture
def unsaved():
    return Unsaved()


@pytest.mark.parametrize("promise", [promise for promise in Promise if promise != Promise.PERSISTENT])
def test_only_what_is_persistent_counts(world, unsaved, promise):
    for opened in (make(world, promise), world.open(world.tree(world.session()))):
        unsaved.note(opened)
        unsaved.note_lock(opened, HeldLock(0, 1, True), 1)
    assert (len(unsaved), unsaved.count) == (0, 0)


def test_a_batch(world, opened, unsaved):
    closed = make(world)
    world.server.close_open(closed)
    lock = HeldLock(0, 1, True)
    unsaved.note(opened)
    unsaved.note(opened)
    unsaved.note(closed)
    unsaved.note_lock(opened, lock, 1)
    unsaved.forget(99)
    assert unsaved.count == 5
    batch = unsaved.take()
    assert batch.records == [record_of(opened)]
    assert batch.gone == [closed.persistent_id, 99]
    assert batch.locks == [LockChange(opened.persistent_id, lock, 1)]
    assert len(unsaved) == 0
    unsaved.settle(saved=True)
    assert unsaved.take() == ([], [], [])


def test_what_could_not_be_saved_comes_again_with_what_came_meanwhile(world, opened, unsaved):
    other = make(world, path="other")
    early, late = HeldLock(0, 1, True), HeldLock(5, 1, False)
    unsaved.note_lock(opened, early, 1)
    unsaved.forget(98)
    unsaved.take()
    unsaved.note_lock(other, late, -1)
    unsaved.forget(99)
    opened.path = "renamed"
    unsaved.settle(saved=False)
    batch = unsaved.take()
    assert [record.path for record in batch.records] == ["renamed", "other"]
    assert batch.gone == [98, 99]
    assert [change.lock for change in batch.locks] == [early, late]


def test_the_server_notes_a_close(world, opened):
    unsaved = world.server.unsaved
    world.server.close_open(opened)
    assert unsaved.take().gone == [opened.persistent_id]


def test_a_record(world):
    opened = make(world, path="a/b", options=CreateOption.DELETE_ON_CLOSE, inode=5)
    record = record_of(opened)
    assert (record.share, record.path, record.key) == ("data", "a/b", opened.shared.key)
    assert (record.owner, record.client_guid, record.create_guid) == ("ann", CLIENT, GUID)
    assert (record.delete_on_close, record.doomed, record.governed) == (True, False, False)
    assert (record.lease, record.oplock_level, record.lock_sequences) == (None, 0, b"")
    opened.shared.doom(opened)
    opened.lock_sequences = LockSequences()
    opened.lock_sequences.note(1 << 4 | 3)
    record = record_of(opened)
    assert record.doomed
    assert record.lock_sequences == bytes([3]) + bytes([0xFF]) * 63


def test_a_record_of_what_is_cached(world, opened):
    opened.oplock = opened.shared.oplocks.grant_oplock(opened, OplockLevel.LEVEL_II, sole=True, locked=False)
    assert record_of(opened).oplock_level == OplockLevel.LEVEL_II
    leased = make(world, path="leased", inode=9)
    lease = Lease(leased.shared, CLIENT, KEY, version=2, epoch=4, parent_key=GUID)
    world.server.leases.join(lease, leased)
    leased.shared.oplocks.grant_lease(lease, READ | HANDLE, first=True, sole=True, locked=False)
    expected = LeaseRecord(key=KEY, state=READ | HANDLE, version=2, epoch=5, parent_key=GUID)
    assert record_of(leased).lease == expected
