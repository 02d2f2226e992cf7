"""Persistent opens: the server is killed in the middle of writes, and its clients go on with the next one."""

import hashlib
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from smbport.state.ranges import HeldLock
from smbport.testing.client import Client, FileId, SocketLink
from smbport.wire.constants import (
    Access,
    Capability,
    Command,
    ContextTag,
    CreateDisposition,
    CreateOption,
    FileInfo,
    LockFlag,
    OplockLevel,
    ShareAccess,
)
from smbport.wire.create import CreateRequest, pack_create_request
from smbport.wire.create_contexts import (
    DurableFlag,
    DurableHandleReconnectV2,
    DurableHandleRequestV2,
    LeaseContextV2,
    LeaseState,
)
from smbport.wire.lock import LockElement, LockRequest, pack_lock_request
from smbport.wire.status import Status, StatusError

pytestmark = pytest.mark.interop

RWH = LeaseState.READ_CACHING | LeaseState.WRITE_CACHING | LeaseState.HANDLE_CACHING
RH = LeaseState.READ_CACHING | LeaseState.HANDLE_CACHING
BLOCK = 4096
Contexts = Sequence[tuple[bytes, bytes]]


class Cluster:
    """One server after the other, with the same files and the same store."""

    def __init__(self, starter_type, directory: Path) -> None:
        self.starter_type = starter_type
        self.directory = directory
        self.lives = 0
        self.share = directory / "files"
        self.share.mkdir()
        self.settings = {"path": str(self.share), "continuous_availability": True}
        self.store = directory / "handles.db"
        self.links: list[SocketLink] = []
        self.start()

    def start(self) -> None:
        self.lives += 1
        self.starter = self.starter_type(self.directory / f"life-{self.lives}")
        self.server = self.starter(server={"handle_store": str(self.store)}, shares={"data": self.settings})

    def kill(self) -> None:
        """SIGKILL: nothing is written, closed or said any more."""
        process = self.server.process
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        process.stdin.close()
        process.stdout.close()

    def connect(self, client_guid: bytes | None = None) -> "Peer":
        self.links.append(SocketLink.connect(self.server.host, self.server.port))
        peer = Peer(self.links[-1], client_guid=client_guid)
        peer.capabilities |= Capability.PERSISTENT_HANDLES
        assert peer.negotiate().capabilities & Capability.PERSISTENT_HANDLES
        peer.log_on(self.server.user, self.server.password)
        peer.tree = peer.tree_connect("data")
        return peer


class Peer(Client):
    """A client that knows how to come back."""

    tree: int

    def open_persistently(self, name: str, create_guid: bytes, lease: bytes = b"", **how) -> FileId:
        asked = DurableHandleRequestV2(timeout=0, flags=DurableFlag.PERSISTENT, create_guid=create_guid)
        return self._open(name, lease, (ContextTag.DURABLE_REQUEST_V2, asked.pack()), **how)

    def reopen(self, name: str, file: FileId, create_guid: bytes, lease: bytes = b"") -> FileId:
        asked = DurableHandleReconnectV2(
            file_id_persistent=file.persistent,
            file_id_volatile=file.volatile,
            create_guid=create_guid,
            flags=DurableFlag.PERSISTENT,
        )
        return self._open(name, lease, (ContextTag.DURABLE_RECONNECT_V2, asked.pack()))

    def _open(self, name: str, lease: bytes, *contexts: tuple[bytes, bytes], **how) -> FileId:
        if lease:
            asked = LeaseContextV2(lease_key=lease, lease_state=RWH, parent_lease_key=bytes(16), epoch=7)
            contexts = (*contexts, (ContextTag.LEASE, asked.pack()))
        how.setdefault("access", Access.GENERIC_ALL)
        how.setdefault("disposition", CreateDisposition.OPEN_IF)
        level = OplockLevel.LEASE if lease else OplockLevel.NONE
        return self.create(self.tree, name, contexts=contexts, oplock=level, **how)

    def lock(self, file: FileId, lock: HeldLock, *, unlock: bool = False) -> int:
        """The status."""
        kind = LockFlag.EXCLUSIVE if lock.exclusive else LockFlag.SHARED
        flags = LockFlag.UNLOCK if unlock else kind | LockFlag.FAIL_IMMEDIATELY
        request = LockRequest(file_id_persistent=file.persistent, file_id_volatile=file.volatile)
        element = LockElement(offset=lock.offset, length=lock.length, flags=flags)
        header, _ = self.ask(Command.LOCK, pack_lock_request(request, [element]), tree_id=file.tree_id)
        return header.status


@pytest.fixture
def cluster(serve, tmp_path: Path) -> Iterator[Cluster]:
    cluster = Cluster(type(serve), tmp_path)
    yield cluster
    for link in cluster.links:
        link.close()
    cluster.starter.stop()


def block(number: int) -> bytes:
    return hashlib.sha256(number.to_bytes(4)).digest() * (BLOCK // 32)


class Writer(threading.Thread):
    """Writes block after block and remembers what was acknowledged, until the server is gone."""

    def __init__(self, peer: Peer, file: FileId) -> None:
        super().__init__()
        self.peer = peer
        self.file = file
        self.acknowledged = 0
        self.well_under_way = threading.Event()

    def run(self) -> None:
        try:
            while True:
                self.peer.write(self.file, self.acknowledged * BLOCK, block(self.acknowledged))
                self.acknowledged += 1
                if self.acknowledged == 40:
                    self.well_under_way.set()
        except OSError:
            return


def test_killed_in_the_middle_of_writes(cluster: Cluster) -> None:
    client_guid, create_guid, key = os.urandom(16), os.urandom(16), os.urandom(16)
    peer = cluster.connect(client_guid)
    file = peer.open_persistently("log", create_guid, key)
    assert file.lease is not None
    assert file.lease.lease_state == RWH
    held = [HeldLock(1 << 40, 10, True), HeldLock(1 << 41, 5, False), HeldLock((1 << 64) - 1, 1, True)]
    for lock in [*held, HeldLock(0, 1, True)]:
        assert peer.lock(file, lock) == Status.SUCCESS
    assert peer.lock(file, HeldLock(0, 1, True), unlock=True) == Status.SUCCESS
    writer = Writer(peer, file)
    writer.start()
    assert writer.well_under_way.wait(60)
    cluster.kill()
    writer.join()

    cluster.start()
    stranger = cluster.connect()
    with pytest.raises(StatusError) as refusal:
        stranger.reopen("log", file, create_guid, key)
    assert refusal.value.status == Status.OBJECT_NAME_NOT_FOUND
    again = cluster.connect(client_guid)
    back = again.reopen("log", file, create_guid, key)
    assert back.persistent == file.persistent
    assert back.lease is not None
    assert (back.lease.lease_state, back.lease.epoch) == (RWH, file.lease.epoch)
    for number in range(writer.acknowledged):
        assert again.read(back, number * BLOCK, BLOCK) == block(number)
    again.write(back, 0, b"and on")

    for number, lock in enumerate(held):
        assert again.lock(back, HeldLock(lock.offset, lock.length, True)) == Status.LOCK_NOT_GRANTED
        assert again.lock(back, lock, unlock=True) == Status.SUCCESS
        assert again.lock(back, lock, unlock=True) == Status.RANGE_NOT_LOCKED, number
    assert again.lock(back, HeldLock(0, 1, True)) == Status.SUCCESS  # was unlocked before the end
    again.close(back)


def test_nobody_takes_the_place_of_who_is_away(cluster: Cluster) -> None:
    guids = [os.urandom(16) for _ in range(3)]
    peer = cluster.connect(guids[0])
    exclusive = peer.open_persistently("mine", guids[1], share=0)
    shared = peer.open_persistently("ours", guids[2], os.urandom(16), share=ShareAccess.READ)
    peer.close(shared)
    cluster.kill()
    cluster.start()
    other = cluster.connect()
    with pytest.raises(StatusError) as refusal:
        other.create(other.tree, "mine")
    assert refusal.value.status == Status.FILE_NOT_AVAILABLE
    other.close(other.create(other.tree, "ours"))  # it was closed, and stays so
    again = cluster.connect(guids[0])
    again.close(again.reopen("mine", exclusive, guids[1]))
    other.close(other.create(other.tree, "mine"))


def test_what_was_changed_before_the_end(cluster: Cluster) -> None:
    """The name, the mark to delete it, and the end of a lease's caching."""
    client_guid, guids, key = os.urandom(16), [os.urandom(16) for _ in range(3)], os.urandom(16)
    peer, other = cluster.connect(client_guid), cluster.connect()
    renamed = peer.open_persistently("before", guids[0])
    target = "after".encode("utf-16-le")
    peer.set_info(renamed, FileInfo.RENAME, bytes(16) + len(target).to_bytes(4, "little") + target)
    doomed = peer.open_persistently("doomed", guids[1], options=CreateOption.DELETE_ON_CLOSE)
    leased = peer.open_persistently("leased", guids[2], key)
    reading = CreateRequest(
        requested_oplock_level=0, impersonation_level=2, desired_access=Access.GENERIC_READ, file_attributes=0,
        share_access=7, create_disposition=CreateDisposition.OPEN, create_options=0,
    )  # fmt: skip
    asked = other.start(Command.CREATE, pack_create_request(reading, "leased"), tree_id=other.tree)
    told = peer.wait_for_break()
    assert (told.lease_key, told.new_lease_state) == (key, RH)
    assert peer.acknowledge_lease_break(peer.tree, key, RH) == RH
    assert other.finish(asked)[0].status == Status.SUCCESS
    cluster.kill()
    cluster.start()
    again = cluster.connect(client_guid)
    again.close(again.reopen("after", renamed, guids[0]))
    assert (cluster.share / "after").exists()
    assert (cluster.share / "doomed").exists()
    again.close(again.reopen("doomed", doomed, guids[1]))
    assert not (cluster.share / "doomed").exists()
    back = again.reopen("leased", leased, guids[2], key)
    assert back.lease is not None
    assert back.lease.lease_state == RH


def test_the_wrong_file_is_not_taken_for_the_right_one(cluster: Cluster) -> None:
    client_guid, create_guid = os.urandom(16), os.urandom(16)
    peer = cluster.connect(client_guid)
    file = peer.open_persistently("f", create_guid)
    cluster.kill()
    (cluster.share / "other").write_bytes(b"not what it was")
    (cluster.share / "other").rename(cluster.share / "f")
    cluster.start()
    again = cluster.connect(client_guid)
    with pytest.raises(StatusError) as refusal:
        again.reopen("f", file, create_guid)
    assert refusal.value.status == Status.OBJECT_NAME_NOT_FOUND
    assert "is not open any more" in cluster.server.log()
