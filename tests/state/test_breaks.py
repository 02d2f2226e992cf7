"""smbport.state.breaks: who is told of a break, over which session, and what becomes of those nobody can reach."""

import pytest

from smbport.security.sealing import Sealer
from smbport.state.breaks import DirectoryEar, break_caches, tell, tell_postponed
from smbport.state.durable import Durability, Promise
from smbport.state.leases import Lease
from smbport.state.oplocks import CHANGE, HANDLE, NEED_CLOSED, OPEN, READ, WRITE
from smbport.wire.break_ import LeaseBreakNotification, OplockBreakNotification, parse_break_notification
from smbport.wire.change import CompletionFilter, NotifyAction
from smbport.wire.constants import Cipher, OplockLevel
from smbport.wire.header import SMB2_MAGIC, TRANSFORM_MAGIC

GUID, OTHER_GUID = bytes([1]) * 16, bytes([2]) * 16
KEY, PARENT = bytes([7]) * 16, bytes([8]) * 16
SECOND = 1_000_000_000


def new_sealer():
    return Sealer(Cipher.AES_128_GCM, bytes(16), bytes(16))


class Client:
    """A session with a connection, and what arrives there."""

    def __init__(self, world, *, name="ann", encrypt=False, sealer=None):
        self.world = world
        self.session = world.session(name)
        self.session.encrypt, self.session.sealer = encrypt, sealer
        self.tree = world.tree(self.session)
        self.connection = world.connection()
        self.connection.send = lambda parts, lost: self.frames.append(b"".join(parts))
        self.channel = world.channel(self.session, self.connection)
        self.frames = []

    def heard(self):
        frames, self.frames = self.frames, []
        assert all(frame[:4] == (len(frame) - 4).to_bytes(4, "big") for frame in frames)
        return [parse_break_notification(frame[4:]) for frame in frames]

    def oplock(self, level=OplockLevel.BATCH, **keywords):
        opened = self.world.open(self.tree, **keywords)
        opened.oplock = opened.shared.oplocks.grant_oplock(opened, level, sole=True, locked=False)
        return opened

    def lease(self, state, *, guid=GUID, key=KEY, version=2, path="file", inode=1, parent_key=None, **keywords):
        opened = self.world.open(self.tree, path, inode=inode, **keywords)
        leases = self.world.server.leases
        lease = leases.find(guid, key)
        first = lease is None
        if first:
            lease = Lease(opened.shared, guid, key, version=version, epoch=4, parent_key=parent_key)
        leases.join(lease, opened)
        opened.shared.oplocks.grant_lease(lease, state, first=first, sole=True, locked=False)
        return opened


@pytest.fixture
def new_client(world):
    def new_client(**keywords):
        return Client(world, **keywords)

    return new_client


def contend(world, opened, contention, by=None):
    return break_caches(world.server, opened.shared, contention, by)


# Who is told ----------------------------------------------------------------------------------------------------


def test_the_holder_of_an_oplock_is_told_what_is_left(world, new_client):
    client = new_client()
    opened = client.oplock()
    blocker = contend(world, opened, OPEN)
    assert (blocker.cache, blocker.over.is_set()) == (opened.oplock, False)
    assert opened.oplock.deadline_ns == 17 + 35 * SECOND
    ids = {"file_id_persistent": opened.persistent_id, "file_id_volatile": opened.volatile_id}
    assert client.heard() == [OplockBreakNotification(oplock_level=OplockLevel.LEVEL_II, **ids)]
    contend(world, opened, CHANGE)
    tell(world.server, opened.shared.oplocks.acknowledge(opened.oplock, READ))
    assert client.heard() == [OplockBreakNotification(oplock_level=OplockLevel.NONE, **ids)]


@pytest.mark.parametrize(("version", "epoch"), [(1, 0), (2, 6)])
def test_the_holder_of_a_lease_is_told_its_epoch_from_the_second_version_on(world, new_client, version, epoch):
    client = new_client()
    opened = client.lease(READ | WRITE, version=version)
    assert contend(world, opened, OPEN, opened.lease) is None
    assert client.heard() == []
    assert contend(world, opened, OPEN) is not None
    assert client.heard() == [
        LeaseBreakNotification(new_epoch=epoch, flags=1, lease_key=KEY, current_lease_state=5, new_lease_state=1)
    ]


def test_what_takes_no_answer_says_so(world, new_client):
    client = new_client()
    opened = client.lease(READ)
    assert contend(world, opened, CHANGE) is None
    [notification] = client.heard()
    assert notification.flags == 0


def test_whose_time_is_over_blocks_nobody(world, new_client):
    opened = new_client().lease(READ | HANDLE)
    assert contend(world, opened, NEED_CLOSED) is not None
    opened.lease.deadline_ns = 17
    assert contend(world, opened, NEED_CLOSED) is None
    assert opened.caching == 0


# Over which session ---------------------------------------------------------------------------------------------


def test_a_lease_is_its_clients(world, new_client):
    elder, holder, stranger, neighbour = new_client(), new_client(), new_client(name="bob"), new_client()
    stranger.lease(READ, key=bytes([1]) * 16, inode=2)
    elder.lease(READ, key=bytes([2]) * 16, inode=3)
    neighbour.lease(READ, key=bytes([3]) * 16, inode=4, guid=OTHER_GUID)
    opened = holder.lease(READ)
    contend(world, opened, CHANGE)
    assert [len(client.heard()) for client in (elder, holder, stranger, neighbour)] == [1, 0, 0, 0]
    elder.channel.leave()
    again = holder.lease(READ)
    contend(world, again, CHANGE)
    assert [len(client.heard()) for client in (elder, holder)] == [0, 1]


@pytest.mark.parametrize("grant", ["oplock", "lease"])
def test_whom_nobody_can_reach_caches_nothing(world, new_client, grant):
    client = new_client()
    opened = client.oplock() if grant == "oplock" else client.lease(READ | WRITE)
    client.channel.leave()
    assert contend(world, opened, OPEN) is None
    assert opened.caching == 0


@pytest.mark.parametrize("what", ["session", "share"])
def test_what_must_be_sealed_is(world, new_client, what):
    client = new_client(sealer=new_sealer(), encrypt=what == "session")
    client.tree.encrypt = what == "share"
    contend(world, client.lease(READ), CHANGE)
    [frame] = client.frames
    assert frame[4:8] == TRANSFORM_MAGIC
    assert new_sealer().unseal(memoryview(bytearray(frame[4:])))[:4] == SMB2_MAGIC


def test_what_must_be_sealed_goes_over_no_session_that_cannot(world, new_client):
    plain, sealing = new_client(), new_client(sealer=new_sealer())
    plain.lease(READ, key=PARENT, inode=2)
    opened = sealing.lease(READ)
    sealing.tree.encrypt = True
    contend(world, opened, CHANGE)
    assert (len(plain.frames), len(sealing.frames)) == (0, 1)


# When -----------------------------------------------------------------------------------------------------------


def test_a_client_is_not_told_before_it_knows_what_it_has(world, new_client):
    client = new_client()
    opened = client.lease(READ | WRITE)
    opened.early_breaks = []
    assert contend(world, opened, OPEN) is not None
    assert client.heard() == []
    opened.is_announced()
    [notification] = client.heard()
    assert notification.new_lease_state == READ
    opened.is_announced()
    assert client.heard() == []


def test_it_knows_if_it_has_the_same_lease_by_another_open(world, new_client):
    client = new_client()
    client.lease(READ | WRITE)
    opened = client.lease(READ | WRITE)
    opened.early_breaks = []
    contend(world, opened, OPEN)
    assert len(client.heard()) == 1


# Directories ----------------------------------------------------------------------------------------------------


@pytest.fixture
def directory(world, new_client):
    client = new_client()
    opened = client.lease(READ | HANDLE, key=PARENT, path="d", inode=9, directory=True)
    client.tree.share.changes.add("d", DirectoryEar(world.server, opened.lease), tree=False)
    return client


@pytest.mark.parametrize(
    ("parent_key", "hears"), [(None, True), (KEY, True), (PARENT, False)], ids=["none", "another", "this one"]
)
def test_what_is_done_through_a_lease_that_names_it_does_not_break_it(directory, parent_key, hears):
    by = directory.lease(READ, path="d/f", parent_key=parent_key)
    directory.tree.share.changes.report(NotifyAction.MODIFIED, "d/f", CompletionFilter.SIZE, by)
    assert bool(directory.heard()) is hears


@pytest.mark.parametrize("loss", [True, False])
def test_nobody_or_nobody_knows_who_breaks_it_once(world, directory, loss):
    changes = directory.tree.share.changes
    for _ in range(2):
        if loss:
            DirectoryEar(world.server, world.server.leases.find(GUID, PARENT)).lost()
        else:
            changes.report(NotifyAction.ADDED, "d/f", CompletionFilter.FILE_NAME, None)
    [notification] = directory.heard()
    assert (notification.lease_key, notification.current_lease_state, notification.new_lease_state) == (PARENT, 3, 0)


# Clients that are away ------------------------------------------------------------------------------------------


def lose(opened, promise, now_ns=0):
    """Its client loses its connection."""
    opened.durability = Durability(promise=promise, owner="ann", client_guid=GUID, timeout_ns=60 * SECOND)
    durable = opened.tree.session.server.durable
    durable.add(opened)
    assert durable.try_disconnect(opened, now_ns, keeps=True)
    for channel in list(opened.tree.session.channels):
        channel.leave()


@pytest.mark.parametrize("grant", ["oplock", "lease"])
def test_a_durable_open_without_a_connection_ends_when_it_has_to_give_something_up(world, new_client, grant):
    client = new_client()
    opened = client.oplock() if grant == "oplock" else client.lease(READ | HANDLE)
    lose(opened, Promise.DURABLE)
    assert contend(world, opened, NEED_CLOSED, opened.cache) is None
    assert not opened.closed
    assert contend(world, opened, NEED_CLOSED) is None
    assert opened.closed


def test_the_name_of_one_that_was_to_be_deleted_goes_with_it(world, new_client):
    opened = new_client().lease(READ | HANDLE)
    opened.delete_on_close = True
    lose(opened, Promise.DURABLE)
    contend(world, opened, CHANGE)
    assert list(world.server.doomed) == [opened]


def test_a_lease_that_has_a_connection_by_another_open_is_told_as_always(world, new_client):
    away, here = new_client(), new_client()
    opened = away.lease(READ | HANDLE)
    here.lease(READ | HANDLE)
    lose(opened, Promise.DURABLE)
    assert contend(world, opened, NEED_CLOSED) is not None
    assert not opened.closed
    assert len(here.heard()) == 1


def test_a_persistent_open_is_told_when_its_client_is_back(world, new_client):
    client = new_client()
    opened = client.lease(READ | HANDLE)
    lose(opened, Promise.PERSISTENT, now_ns=100)
    blocker = contend(world, opened, NEED_CLOSED)
    assert (blocker.cache, opened.lease.deadline_ns) == (opened.lease, 100 + 60 * SECOND)
    assert client.heard() == []
    world.channel(client.session, client.connection)
    tell_postponed(world.server, opened.lease)
    assert opened.lease.deadline_ns == 17 + 35 * SECOND
    assert len(client.heard()) == 1
    tell_postponed(world.server, opened.lease)
    assert client.heard() == []


def test_a_persistent_open_that_has_only_read_is_not_waited_for(world, new_client):
    opened = new_client().lease(READ)
    lose(opened, Promise.PERSISTENT)
    assert contend(world, opened, CHANGE) is None
    assert opened.caching == 0
