"""smbport.commands.persistent: what is written down, when, and what comes of it in the next life."""

from typing import Any

import pytest

from smbport.platform import ACCESS_READ, ACCESS_WRITE
from smbport.state.ranges import HeldLock
from smbport.testing.calls import unwrap
from smbport.wire.constants import (
    Access,
    Capability,
    ContextTag,
    CreateAction,
    CreateOption,
    Dialect,
    FileInfo,
    LockFlag,
    OplockLevel,
    ShareAccess,
)

CLIENT, OTHER_CLIENT = bytes([1]) * 16, bytes([2]) * 16
GUID, OTHER_GUID = bytes([3]) * 16, bytes([5]) * 16
OTHER_KEY = bytes([6]) * 16
NOW = LockFlag.EXCLUSIVE | LockFlag.FAIL_IMMEDIATELY
PLAIN = {"requested_oplock_level": OplockLevel.NONE}


def open_persistently(world: Any, peer: Any, name: str = "f", *contexts: Any, guid: bytes = GUID, **fields: Any) -> Any:
    fields = fields if contexts else {**PLAIN, **fields}
    return world.create(peer, name, world.durable_v2(guid, persistent=True), *contexts, **fields)


def reopen(world: Any, peer: Any, file: Any, *contexts: Any, guid: bytes = GUID, name: str = "f") -> Any:
    return world.create(peer, name, world.again_v2(file, guid, persistent=True), *contexts)


# Promises -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", [OplockLevel.NONE, OplockLevel.LEVEL_II, OplockLevel.EXCLUSIVE, OplockLevel.BATCH])
def test_without_condition(available: Any, level: int) -> None:
    made = open_persistently(available, available.come(), requested_oplock_level=level)
    assert (made.v2.timeout, made.v2.flags) == (60_000, 2)
    assert available.store.records[made.file.persistent].oplock_level == level


def test_directories_too(available: Any) -> None:
    peer = available.come()
    made = open_persistently(available, peer, "d", create_options=CreateOption.DIRECTORY_FILE)
    assert made.v2.flags == 2
    available.die_and_live_again()
    assert reopen(available, available.come(), made.file, name="d").status == "SUCCESS"


def test_not_on_other_shares(world: Any) -> None:
    peer = world.come()
    assert not world.server.settings.shares[0].continuous_availability
    assert open_persistently(world, peer).v2 is None
    assert open_persistently(world, peer, "g", guid=OTHER_GUID, requested_oplock_level=OplockLevel.BATCH).v2.flags == 0
    assert world.store.saves == 0


@pytest.mark.parametrize(
    ("dialect", "offers", "granted"),
    [(Dialect.SMB_3_1_1, True, True), (Dialect.SMB_3_0, True, True), (Dialect.SMB_3_0, False, False)],
)
def test_it_must_be_negotiated(available: Any, dialect: int, offers: bool, granted: bool) -> None:
    peer = available.wire.client()
    peer.client_guid = CLIENT
    if offers:
        peer.capabilities |= Capability.PERSISTENT_HANDLES
    response = peer.negotiate([dialect])
    assert bool(response.capabilities & Capability.PERSISTENT_HANDLES) is granted
    peer.log_on("u", "p")
    peer.tree = peer.tree_connect("s")
    assert (open_persistently(available, peer).v2 is not None) is granted


def test_without_a_store_nothing_persists(available: Any) -> None:
    available.server.handle_store = None
    assert open_persistently(available, available.come()).v2 is None


def test_writes_are_on_the_disk_before_they_are_answered(available: Any) -> None:
    peer = available.come()
    file = open_persistently(available, peer).file
    [opened] = available.server.sessions[peer.session_id].opens.values()
    assert opened.create_options & CreateOption.WRITE_THROUGH
    peer.write(file, 0, b"x")


def test_it_is_no_open_unless_it_is_written_down(available: Any) -> None:
    peer = available.come()
    available.store.failing = True
    refused = open_persistently(available, peer, create_options=CreateOption.DELETE_ON_CLOSE)
    assert refused.status == "DISK_FULL"
    available.wire.check_nothing_is_open()
    assert available.wire.names() == ["f"]
    available.store.failing = False
    assert open_persistently(available, peer).status == "SUCCESS"
    assert len(available.store.records) == 1


# What is written down -----------------------------------------------------------------------------------------------


def test_a_close(available: Any) -> None:
    peer = available.come()
    file = open_persistently(available, peer).file
    assert available.store.records
    peer.close(file)
    assert not available.store.records
    assert not available.store.locks


def test_locks(available: Any) -> None:
    peer = available.come()
    file = open_persistently(available, peer).file
    assert available.lock(peer, file, (0, 5, NOW), (10, 5, LockFlag.SHARED | LockFlag.FAIL_IMMEDIATELY)) == "SUCCESS"
    held = available.store.locks[file.persistent]
    assert held == [HeldLock(0, 5, True), HeldLock(10, 5, False)]
    assert available.lock(peer, file, (0, 5, NOW)) == "LOCK_NOT_GRANTED"
    assert available.lock(peer, file, (0, 5, LockFlag.UNLOCK), (99, 1, LockFlag.UNLOCK)) == "RANGE_NOT_LOCKED"
    assert available.store.locks[file.persistent] == [HeldLock(10, 5, False)]


def test_a_lock_that_cannot_be_written_down_is_not_acknowledged(available: Any) -> None:
    peer = available.come()
    file = open_persistently(available, peer).file
    available.store.failing = True
    assert available.lock(peer, file, (0, 5, NOW)) == "DISK_FULL"
    available.sweep()
    available.store.failing = False
    available.sweep()
    assert available.store.locks[file.persistent] == [HeldLock(0, 5, True)]


def test_a_rename(available: Any) -> None:
    peer = available.come()
    available.wire.make_directory("d")
    file = open_persistently(available, peer).file
    name = "d\\g".encode("utf-16-le")
    peer.set_info(file, FileInfo.RENAME, bytes(16) + len(name).to_bytes(4, "little") + name)
    assert available.store.records[file.persistent].path == "d/g"


def test_a_mark_for_deletion(available: Any) -> None:
    peer = available.come()
    file = open_persistently(available, peer).file
    for mark in (1, 0):
        peer.set_info(file, FileInfo.DISPOSITION, bytes([mark]))
        assert available.store.records[file.persistent].doomed is bool(mark)


def test_a_lease_that_was_given_up(available: Any) -> None:
    peer, other = available.come(), available.come(OTHER_CLIENT)
    file = open_persistently(available, peer, "f", available.lease()).file
    assert available.store.records[file.persistent].lease.state == 7
    pending = available.start(other, "f", **PLAIN)
    told = peer.wait_for_break()
    peer.acknowledge_lease_break(peer.tree, told.lease_key, told.new_lease_state)
    assert available.store.records[file.persistent].lease.state == 3
    assert available.finish(other, pending).status == "SUCCESS"


def test_a_lease_that_was_not_given_up_in_time(available: Any) -> None:
    peer, other = available.come(), available.come(OTHER_CLIENT)
    file = open_persistently(available, peer, "f", available.lease()).file
    pending = available.start(other, "f", **PLAIN)
    assert available.finish(other, pending).status == "SUCCESS"  # the wait of a client without an event loop is over
    assert available.store.records[file.persistent].lease.state == 0


def test_requests_that_change_nothing_save_nothing(available: Any) -> None:
    peer = available.come()
    file = open_persistently(available, peer).file
    saves = available.store.saves
    peer.write(file, 0, b"x")
    peer.read(file, 0, 1)
    available.create(peer, "g")
    assert available.store.saves == saves


# The next life ------------------------------------------------------------------------------------------------------


def test_everything_is_as_it_was(available: Any) -> None:
    peer = available.come()
    made = open_persistently(available, peer, "f", available.lease(), share_access=0)
    peer.write(made.file, 0, b"data")
    assert available.lock(peer, made.file, (1, 2, NOW), sequence=1 << 4 | 7) == "SUCCESS"
    available.die_and_live_again()
    assert available.server.open_count == 1
    again = available.come()
    back = reopen(available, again, made.file, available.lease())
    assert (back.status, back.lease, back.action) == ("SUCCESS", "RWH", CreateAction.OPENED)
    assert back.file.lease.epoch == made.file.lease.epoch
    assert again.read(back.file, 0, 10) == b"data"
    assert available.lock(again, back.file, (1, 2, NOW), sequence=1 << 4 | 7) == "SUCCESS"  # a replay
    assert available.lock(again, back.file, (1, 2, NOW), sequence=1 << 4 | 8) == "LOCK_NOT_GRANTED"
    again.close(back.file)
    assert not available.store.records
    assert len(available.server.files) == 0


def test_an_open_with_the_posix_extensions(available: Any) -> None:
    """It has a name that no other could have, and goes on to be theirs."""
    posix = (ContextTag.POSIX, (0o600).to_bytes(4, "little"))
    peer = available.come()
    peer.connection.state.posix = True
    made = open_persistently(available, peer, "a:b", posix, **PLAIN)
    assert made.v2.flags == 2
    available.die_and_live_again()
    again = available.come()
    again.connection.state.posix = True
    back = reopen(available, again, made.file, posix, name="a:b")
    assert back.status == "SUCCESS"
    (opened,) = again.connection.state.channels[again.session_id].session.opens.values()
    assert (opened.posix, opened.path) == (True, "a:b")


@pytest.mark.parametrize("meanwhile", [False, True])
def test_local_programs_see_its_locks_again(new_world: Any, meanwhile: bool, caplog: pytest.LogCaptureFixture) -> None:
    """Unless one of them was faster: then clients are still kept apart."""
    world = new_world(available=True, local_locks=True)
    peer = world.come()
    made = open_persistently(world, peer)
    assert world.lock(peer, made.file, (1, 2, NOW)) == "SUCCESS"
    local, locks = world.wire.volume.open("f", ACCESS_READ | ACCESS_WRITE), world.wire.memory.range_locks
    assert not locks.lock(local, 2, 1, exclusive=True)
    [opened] = world.server.files.find(local.stat().key).opens
    locks.unlock(unwrap(opened.node), 0, 10)  # as the system does when a process dies
    if meanwhile:
        assert locks.lock(local, 2, 1, exclusive=True)
    world.die_and_live_again()
    assert locks.lock(local, 2, 1, exclusive=True) is meanwhile
    assert ("f: a local program has locked what u had locked there before" in caplog.text) is meanwhile
    again = world.come()
    back = reopen(world, again, made.file)
    assert world.lock(again, back.file, (1, 2, NOW)) == "LOCK_NOT_GRANTED"
    local.close()


def test_an_oplock(available: Any) -> None:
    made = open_persistently(available, available.come(), requested_oplock_level=OplockLevel.BATCH)
    available.die_and_live_again()
    assert reopen(available, available.come(), made.file).level == OplockLevel.BATCH


def test_two_opens_with_one_lease_and_one_with_another(available: Any) -> None:
    peer = available.come()
    guids = [bytes([number]) * 16 for number in (11, 12, 13)]
    leases = [available.lease("RH"), available.lease("RH"), available.lease("RH", OTHER_KEY)]
    files = [
        open_persistently(available, peer, "f", lease, guid=guid).file
        for guid, lease in zip(guids, leases, strict=True)
    ]
    available.die_and_live_again()
    again = available.come()
    for file, guid, lease in zip(files, guids, leases, strict=True):
        assert reopen(available, again, file, lease, guid=guid).lease == "RH"
    assert len(available.server.leases) == 2


def test_a_create_whose_answer_died_with_the_server(available: Any) -> None:
    made = open_persistently(available, available.come())
    available.die_and_live_again()
    again = available.come()
    back = available.create(again, "f", available.durable_v2(persistent=True), replay=True, **PLAIN)
    assert (back.file.persistent, back.action, back.v2.flags) == (made.file.persistent, CreateAction.CREATED, 2)


def test_a_replay_of_what_nobody_knows(available: Any) -> None:
    """It may be on its way back to life.  [MS-SMB2] 3.3.5.9.10"""
    asked = available.durable_v2(persistent=True)
    assert available.create(available.come(), "f", asked, replay=True).status == "FILE_NOT_AVAILABLE"


def test_a_replay_that_does_not_ask_for_the_same(available: Any) -> None:
    peer = available.come()
    open_persistently(available, peer)
    assert available.create(peer, "f", available.durable_v2(), replay=True, **PLAIN).status == "INVALID_PARAMETER"


def test_marks_for_deletion(available: Any) -> None:
    peer = available.come()
    files = [
        open_persistently(available, peer, "f", create_options=CreateOption.DELETE_ON_CLOSE).file,
        open_persistently(available, peer, "g", guid=OTHER_GUID).file,
    ]
    peer.set_info(files[1], FileInfo.DISPOSITION, b"\1")
    available.die_and_live_again()
    again = available.come()
    assert available.create(again, "g", desired_access=Access.READ_ATTRIBUTES, **PLAIN).status == "DELETE_PENDING"
    again.close(reopen(available, again, files[0]).file)
    again.close(reopen(available, again, files[1], guid=OTHER_GUID, name="g").file)
    assert available.wire.names() == []


@pytest.mark.parametrize("damage", ["removed", "replaced", "no user", "no share"])
def test_what_is_not_there_any_more(available: Any, damage: str, caplog: pytest.LogCaptureFixture) -> None:
    made = open_persistently(available, available.come())
    if damage in ("removed", "replaced"):
        available.wire.volume.remove("f", available.wire.stat("f").key)
    if damage == "replaced":
        available.wire.make("f")
    if damage == "no user":
        record = available.store.records[made.file.persistent]
        object.__setattr__(record, "owner", "nobody")
    if damage == "no share":
        record = available.store.records[made.file.persistent]
        object.__setattr__(record, "share", "nothing")
    available.die_and_live_again()
    assert "is not open any more" in caplog.text
    assert not available.store.records
    assert available.server.open_count == 0
    assert reopen(available, available.come(), made.file).status == "OBJECT_NAME_NOT_FOUND"


def test_time_runs_in_the_next_life_too(available: Any) -> None:
    made = open_persistently(available, available.come())
    available.die_and_live_again()
    available.pass_time(59)
    assert len(available.server.durable) == 1
    available.pass_time(2)
    assert not available.store.records
    assert reopen(available, available.come(), made.file).status == "OBJECT_NAME_NOT_FOUND"


def test_an_orderly_end_keeps_it(available: Any) -> None:
    peer = available.come()
    made = open_persistently(available, peer)
    peer.connection.close()
    available.stop()
    assert available.wire.memory.open_handles == 0
    available.die_and_live_again()
    assert reopen(available, available.come(), made.file).status == "SUCCESS"


def test_refusals_in_the_next_life(available: Any) -> None:
    made = open_persistently(available, available.come(), "f", available.lease())
    available.die_and_live_again()
    lease = available.lease()
    assert reopen(available, available.come(user="other"), made.file, lease).status == "ACCESS_DENIED"
    assert reopen(available, available.come(OTHER_CLIENT), made.file, lease).status == "OBJECT_NAME_NOT_FOUND"
    assert reopen(available, available.come(), made.file).status == "OBJECT_NAME_NOT_FOUND"
    plain = available.again_v2(made.file)
    assert available.create(available.come(), "f", plain, lease).status == "OBJECT_NAME_NOT_FOUND"
    assert reopen(available, available.come(), made.file, lease).status == "SUCCESS"


# While the client is away -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lease", "locked", "share_access", "status"),
    [
        ("", False, 7, "FILE_NOT_AVAILABLE"),
        ("R", False, 7, "FILE_NOT_AVAILABLE"),
        ("RW", False, 7, "FILE_NOT_AVAILABLE"),
        ("RH", False, 7, "SUCCESS"),
        ("RWH", False, 7, "waits"),
        ("RH", False, 0, "waits"),
        ("RWH", True, 7, "waits"),
    ],
)
def test_others_are_kept_from_it(available: Any, lease: str, locked: bool, share_access: int, status: str) -> None:
    """What the lease cannot hold up is refused; the rest waits until the client is back and has been told."""
    peer, other = available.come(), available.come(OTHER_CLIENT)
    leases = [available.lease(lease)] if lease else []
    file = open_persistently(available, peer, "f", *leases, share_access=share_access).file
    if locked:
        assert available.lock(peer, file, (0, 1, NOW)) == "SUCCESS"
    peer.connection.close()
    pending = available.start(other, "f", **PLAIN)
    if status != "waits":
        assert available.finish(other, pending).status == status
        return
    assert len(other.connection.waiting) == 1
    again = available.come()
    back = reopen(available, again, file, *leases)
    assert back.lease == lease
    told = again.wait_for_break()
    assert told.new_epoch == back.file.lease.epoch
    again.acknowledge_lease_break(again.tree, told.lease_key, told.new_lease_state)
    expected = "SUCCESS" if share_access else "SHARING_VIOLATION"
    assert available.finish(other, pending).status == expected


def test_a_lock_that_the_lease_does_not_cover(available: Any) -> None:
    peer = available.come()
    file = open_persistently(available, peer, "f", available.lease("RH")).file
    assert available.lock(peer, file, (0, 1, NOW)) == "SUCCESS"
    peer.connection.close()
    assert available.create(available.come(OTHER_CLIENT), "f", **PLAIN).status == "FILE_NOT_AVAILABLE"


def test_who_only_looks_disturbs_nothing(available: Any) -> None:
    peer = available.come()
    open_persistently(available, peer, share_access=0)
    peer.connection.close()
    looking = {"desired_access": Access.READ_ATTRIBUTES, "share_access": ShareAccess.READ, **PLAIN}
    assert available.create(available.come(OTHER_CLIENT), "f", **looking).status == "SUCCESS"


def test_who_waits_goes_on_when_nobody_comes_back(available: Any) -> None:
    peer, other = available.come(), available.come(OTHER_CLIENT)
    open_persistently(available, peer, "f", available.lease())
    peer.connection.close()
    pending = available.start(other, "f", **PLAIN)
    available.pass_time(61)
    assert available.finish(other, pending).status == "SUCCESS"
    assert not available.store.records
