"""smbport.commands.oplock_break: notifications, acknowledgments, and what commands other than CREATE break."""

import errno

import pytest

from smbport.wire.break_ import LeaseBreakAcknowledgment
from smbport.wire.constants import (
    Access,
    Command,
    CreateDisposition,
    CreateOption,
    FileInfo,
    HeaderFlag,
    LockFlag,
    OplockLevel,
)
from smbport.wire.fscc import (
    FileAllocationInformation,
    FileEndOfFileInformation,
    FileLinkInformation,
    FileRenameInformation,
    pack_with_name,
)
from smbport.wire.header import HEADER_SIZE, TRANSFORM_MAGIC, Header
from smbport.wire.status import Status, StatusError

NONE, II, EXCLUSIVE, BATCH = OplockLevel.NONE, OplockLevel.LEVEL_II, OplockLevel.EXCLUSIVE, OplockLevel.BATCH
OVERWRITE = CreateDisposition.OVERWRITE


# Contents -------------------------------------------------------------------------------------------------------


def write(peer, file):
    peer.write(file, 0, b"x")


def change_size(peer, file):
    peer.set_info(file, FileInfo.END_OF_FILE, FileEndOfFileInformation(end_of_file=5).pack())


def cut(peer, file):
    peer.set_info(file, FileInfo.ALLOCATION, FileAllocationInformation(allocation_size=0).pack())


def reserve(peer, file):
    peer.set_info(file, FileInfo.ALLOCATION, FileAllocationInformation(allocation_size=1 << 20).pack())


def lock(peer, file):
    peer.lock(file)


CHANGES = [write, change_size, cut, reserve, lock]


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_breaks_every_level_ii(world, change):
    one, other = world.peer(), world.peer()
    one.write(one.open(), 0, b"data")
    first, second = one.open(oplock=II), other.open(oplock=II)
    assert first.oplock_level == second.oplock_level == II
    change(other, second)
    one.hears(first, NONE)
    other.hears(second, NONE)
    assert one.open(oplock=II).oplock_level == (NONE if change is lock else II)


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("level", [EXCLUSIVE, BATCH])
def test_a_change_breaks_no_oplock_of_its_own_that_is_alone(world, change, level):
    one, _, file = world.held(level)
    one.write(file, 0, b"data")
    change(one, file)
    assert one.heard() == []


def test_writing_nothing_changes_nothing(world):
    one, other, _ = world.held(II)
    other.write(other.open(), 0, b"")
    assert one.heard() == []


@pytest.mark.parametrize(("call", "change"), [("write_at", write), ("resize", change_size)])
def test_a_change_that_fails_breaks_too_because_it_may_have_begun(world, call, change):
    one, other, file = world.held(II)
    world.faults.fail(call, errno.EIO)
    with pytest.raises(StatusError):
        change(other, other.open())
    one.hears(file, NONE)


def test_a_range_that_is_granted_late_breaks_what_was_granted_meanwhile(world):
    one, other = world.peer(), world.peer()
    locked, wanted = one.open(), other.open()
    one.lock(locked)
    with pytest.raises(StatusError):
        other.lock(wanted)
    one.lock(locked, LockFlag.UNLOCK)
    file = one.open(oplock=II)
    other.lock(wanted)
    one.hears(file, NONE)


# Names ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "information"), [(FileInfo.RENAME, FileRenameInformation), (FileInfo.LINK, FileLinkInformation)]
)
@pytest.mark.parametrize(
    ("end", "status"),
    [("close", Status.SUCCESS), ("acknowledgment", Status.ACCESS_DENIED), ("time", Status.ACCESS_DENIED)],
)
def test_replacing_a_name_asks_who_only_caches_that_it_is_open(world, kind, information, end, status):
    one, other, file = world.held(BATCH)
    name = pack_with_name(information(replace_if_exists=True, root_directory=0), "f")
    waiting = other.start_set(other.open("g"), kind, name)
    one.hears(file, II)
    if end == "close":
        one.close(file)
    elif end == "acknowledgment":
        one.acknowledge_break(file, II)
    other.ends(waiting, status)


def test_the_names_are_looked_at_again_after_a_wait(world):
    one, other, file = world.held(BATCH)
    third, source = world.peer(), other.open("g")
    name = pack_with_name(FileRenameInformation(replace_if_exists=True, root_directory=0), "f")
    waiting = other.start_set(source, FileInfo.RENAME, name)
    third.rename(third.open("g"), "h")
    one.close(file)
    other.ends(waiting, Status.OBJECT_NAME_NOT_FOUND)


def test_a_file_that_is_closed_while_its_rename_waits(world):
    one, other, file = world.held(BATCH)
    source = other.open("g")
    name = pack_with_name(FileRenameInformation(replace_if_exists=True, root_directory=0), "f")
    waiting = other.start_set(source, FileInfo.RENAME, name)
    other.close(source)
    one.close(file)
    other.ends(waiting, Status.FILE_CLOSED)


def test_a_name_that_may_not_be_replaced_breaks_nothing(world, refused):
    one, other, _ = world.held(BATCH)
    with refused(Status.OBJECT_NAME_COLLISION):
        other.rename(other.open("g"), "f", replace=False)
    assert one.heard() == []


def test_renaming_what_one_has_an_oplock_on_breaks_nothing(world):
    one, _, file = world.held(BATCH)
    name = pack_with_name(FileLinkInformation(replace_if_exists=False, root_directory=0), "g")
    one.set_info(file, FileInfo.LINK, name)
    one.rename(file, "g")
    one.rename(file, "h")
    assert one.heard() == []


@pytest.mark.parametrize("closes", [True, False])
def test_moving_a_directory_asks_those_inside(world, closes):
    one, other = world.peer(), world.peer()
    directory = other.open("d", options=CreateOption.DIRECTORY_FILE)
    files = [one.open(f"d\\{name}", oplock=BATCH) for name in "ab"]
    name = pack_with_name(FileRenameInformation(replace_if_exists=False, root_directory=0), "e")
    waiting = other.start_set(directory, FileInfo.RENAME, name)
    for file in files if closes else files[:1]:
        one.hears(file, II)
        if closes:
            one.close(file)
        else:
            one.acknowledge_break(file, II)
        other.look()
    assert one.heard() == []
    other.ends(waiting, Status.SUCCESS if closes else Status.ACCESS_DENIED)


# Notifications --------------------------------------------------------------------------------------------------


def test_what_a_notification_looks_like(world):
    one, other, file = world.held(BATCH)
    other.start_open()
    [frame] = one.link.connection.resume()
    assert Header.unpack_from(frame) == Header(
        protocol_id=b"\xfeSMB", structure_size=64, credit_charge=0, status=0, command=Command.OPLOCK_BREAK, credits=0,
        flags=HeaderFlag.SERVER_TO_REDIR, next_command=0, message_id=(1 << 64) - 1, process_id=0, tree_id=0,
        session_id=0, signature=bytes(16),
    )  # fmt: skip
    ids = file.persistent.to_bytes(8, "little") + file.volatile.to_bytes(8, "little")
    assert frame[HEADER_SIZE:] == bytes.fromhex("1800 01 00 00000000") + ids


@pytest.mark.parametrize("settings", [{"encryption": "required"}, {"share_encryption": "required"}])
def test_a_notification_is_sealed_where_everything_must_be(new_world, settings):
    world = new_world(**settings)
    one, other = world.peer(seal=True), world.peer(seal=True)
    file = one.open(oplock=BATCH)
    other.start_open()
    [frame] = one.link.connection.resume()
    assert frame[:4] == TRANSFORM_MAGIC
    one.link.replies.append(frame)
    one.hears(file, II)


def test_a_client_that_is_gone_is_not_waited_for(world, caplog):
    one, other, _ = world.held(BATCH)
    [session] = one.link.connection.state.sessions_lost()  # its opens are about to be closed
    assert other.open(oplock=BATCH).oplock_level == II
    assert "did not give up" not in caplog.text
    session.close()


def test_a_client_that_lets_its_time_pass_is_in_the_log(world, caplog):
    _, other, _ = world.held(BATCH)
    other.opens(other.start_open())
    assert "u did not give up f within 35 s" in caplog.text


def test_breaks_can_be_waited_for_while_other_answers_come(world):
    one, other, file = world.held(BATCH)
    message_id = one.start(Command.ECHO, bytes.fromhex("04000000"))
    other.start_open()
    notification = one.wait_for_break()
    assert (notification.file_id_volatile, notification.oplock_level) == (file.volatile, II)
    one.ends(message_id, Status.SUCCESS)


# Acknowledgments ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", [NONE, II])
def test_who_was_told_none_is_left_none(world, level):
    one, other, file = world.held(BATCH)
    waiting = other.start_open(disposition=OVERWRITE)
    assert one.acknowledge_break(file, level) == NONE
    other.opens(waiting)


@pytest.mark.parametrize("level", [EXCLUSIVE, BATCH, OplockLevel.LEASE, 7])
def test_a_level_that_no_break_ends_with_ends_the_oplock(world, refused, level):
    one, other, file = world.held(BATCH)
    waiting = other.start_open()
    with refused(Status.INVALID_PARAMETER):
        one.acknowledge_break(file, level)
    other.opens(waiting)
    with refused(Status.INVALID_OPLOCK_PROTOCOL):
        one.acknowledge_break(file, NONE)


@pytest.mark.parametrize("level", [NONE, II, BATCH])
def test_acknowledging_what_nobody_asked_for(world, refused, level):
    one, _, file = world.held(level)
    with refused(Status.INVALID_OPLOCK_PROTOCOL):
        one.acknowledge_break(file, NONE)


def test_another_session_cannot_acknowledge(world, refused):
    one, other, file = world.held(BATCH)
    waiting = other.start_open()
    with refused(Status.FILE_CLOSED):
        world.peer().acknowledge_break(file, NONE)
    other.look()
    assert other.link.replies == []
    one.acknowledge_break(file, NONE)
    other.opens(waiting)


def test_pipes_have_no_oplocks(world, refused):
    peer = world.peer()
    pipe = peer.create(peer.tree_connect("IPC$"), "srvsvc", access=Access.FILE_GENERIC_READ)
    with refused(Status.INVALID_OPLOCK_PROTOCOL):
        peer.acknowledge_break(pipe, NONE)


def test_there_are_no_leases_to_acknowledge(world, refused):
    peer = world.peer()
    body = LeaseBreakAcknowledgment(lease_key=bytes(range(16)), lease_state=1).pack()
    with refused(Status.OBJECT_NAME_NOT_FOUND):
        peer.call(Command.OPLOCK_BREAK, body, tree_id=peer.tree)


@pytest.mark.parametrize("body", [b"", b"\x18", b"\x18\x00", b"\x17\x00" + bytes(22), b"\x24\x00" + bytes(22)])
def test_acknowledgments_that_lie(world, refused, body):
    peer = world.peer()
    with refused(Status.INVALID_PARAMETER):
        peer.call(Command.OPLOCK_BREAK, body, tree_id=peer.tree)
