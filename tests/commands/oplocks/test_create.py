"""smbport.commands.create with oplocks: what is granted, what an open breaks and waits for, what is left of it."""

import errno

import pytest

from smbport.wire.constants import (
    Access,
    Command,
    CreateAction,
    CreateDisposition,
    CreateOption,
    FileInfo,
    LockFlag,
    OplockLevel,
)
from smbport.wire.echo import CancelRequest
from smbport.wire.session import LogoffRequest
from smbport.wire.status import Status, StatusError

NONE, II, EXCLUSIVE, BATCH = OplockLevel.NONE, OplockLevel.LEVEL_II, OplockLevel.EXCLUSIVE, OplockLevel.BATCH
OPEN, OPEN_IF, CREATE = CreateDisposition.OPEN, CreateDisposition.OPEN_IF, CreateDisposition.CREATE
OVERWRITE, SUPERSEDE = CreateDisposition.OVERWRITE, CreateDisposition.SUPERSEDE
STAT = Access.READ_ATTRIBUTES | Access.WRITE_ATTRIBUTES | Access.SYNCHRONIZE
ALL, READ = Access.FILE_ALL_ACCESS, Access.FILE_GENERIC_READ


# Granting -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wanted", [NONE, II, EXCLUSIVE, BATCH])
def test_the_only_open_gets_what_it_wants(world, wanted):
    assert world.peer().open(oplock=wanted).oplock_level == wanted


@pytest.mark.parametrize("wanted", [OplockLevel.LEASE, 7])
def test_other_levels_are_none(world, wanted):
    assert world.peer().open(oplock=wanted).oplock_level == NONE


@pytest.mark.parametrize("wanted", [II, EXCLUSIVE, BATCH])
@pytest.mark.parametrize("access", [Access.READ_DATA, Access.READ_CONTROL, Access.READ_EA, Access.DELETE])
def test_beside_another_open_there_is_level_ii_only(world, access, wanted):
    peer = world.peer()
    peer.close(peer.open())
    peer.open(access=access)
    assert peer.open(oplock=wanted).oplock_level == II
    assert peer.open(oplock=wanted).oplock_level == II
    assert peer.heard() == []


def test_stat_opens_do_not_count_and_get_none_of_what_exists(world):
    peer = world.peer()
    peer.open(access=STAT)
    assert peer.open(oplock=BATCH).oplock_level == BATCH
    assert peer.open(access=STAT, oplock=BATCH).oplock_level == NONE
    assert peer.heard() == []


def test_a_stat_open_of_what_it_makes_itself_gets_one(world):
    one, other, file = world.held(BATCH, access=STAT)
    waiting = other.start_open(oplock=BATCH)
    one.hears(file, II)
    assert one.acknowledge_break(file, II) == II
    assert other.opens(waiting)[0].oplock_level == II


def test_a_directory_gets_none(world):
    assert world.peer().open("d", options=CreateOption.DIRECTORY_FILE, oplock=BATCH).oplock_level == NONE


def test_a_pipe_gets_none(world):
    peer = world.peer()
    assert peer.create(peer.tree_connect("IPC$"), "srvsvc", access=READ, oplock=BATCH).oplock_level == NONE


def test_while_bytes_are_locked_there_is_none(world):
    peer = world.peer()
    file = peer.open()
    peer.lock(file)
    assert peer.open(oplock=II).oplock_level == II  # there is nothing to cache yet
    peer.write(file, 0, b"data")
    assert peer.open(oplock=II).oplock_level == NONE
    peer.lock(file, LockFlag.UNLOCK)
    assert peer.open(oplock=II).oplock_level == II


# Breaking and waiting -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", [EXCLUSIVE, BATCH])
@pytest.mark.parametrize(
    ("access", "disposition", "left"),
    [
        (READ, OPEN, II),
        (ALL, OPEN_IF, II),
        (Access.READ_CONTROL, OPEN, II),
        (ALL, OVERWRITE, NONE),
        (STAT, OVERWRITE, NONE),
        (ALL, SUPERSEDE, NONE),
    ],
)
def test_an_open_waits_for_the_acknowledgment(world, level, access, disposition, left):
    one, other, file = world.held(level)
    waiting = other.start_open(access=access, disposition=disposition, oplock=BATCH)
    one.hears(file, left)
    one.write(file, 0, b"what was cached")  # the holder does not wait for itself
    assert one.acknowledge_break(file, left) == left
    assert other.opens(waiting)[0].oplock_level == II
    assert one.heard() == []


@pytest.mark.parametrize("level", [EXCLUSIVE, BATCH])
@pytest.mark.parametrize(("end", "granted"), [("close", BATCH), ("hang up", BATCH), ("time", II)])
def test_a_wait_ends_without_an_acknowledgment_too(world, level, end, granted):
    one, other, file = world.held(level)
    waiting = other.start_open(oplock=BATCH)
    one.hears(file, II)
    [waiter] = other.link.connection.waiting
    assert 34 < waiter.step.timeout_s <= world.server.settings.limits.oplock_break_timeout_s == 35
    if end == "close":
        one.close(file)
    elif end == "hang up":
        one.link.close()
    assert other.opens(waiting)[0].oplock_level == granted


def test_after_its_time_an_oplock_is_gone(world, refused):
    one, other, file = world.held(BATCH)
    other.opens(other.start_open())
    one.hears(file, II)
    with refused(Status.INVALID_OPLOCK_PROTOCOL):
        one.acknowledge_break(file, II)
    other.open(disposition=OVERWRITE)
    assert one.heard() == []


@pytest.mark.parametrize("level", [II, EXCLUSIVE, BATCH])
def test_a_stat_open_breaks_nothing(world, level):
    one, other, _ = world.held(level)
    other.open(access=STAT)
    assert one.heard() == []


def test_ones_own_open_breaks_as_any_other(world):
    one, _, file = world.held(BATCH)
    waiting = one.start_open()
    one.hears(file, II)
    one.acknowledge_break(file, NONE)
    one.opens(waiting)


def test_overwriting_breaks_level_ii_without_a_wait(world):
    one, other, file = world.held(II)
    assert other.open(disposition=OVERWRITE, oplock=BATCH).oplock_level == II
    one.hears(file, NONE)


def test_share_modes_that_forbid_it_let_a_batch_oplock_break_first(world, refused):
    one, other, file = world.held(BATCH, share=0)
    waiting = other.start_open(disposition=OVERWRITE)
    one.hears(file, II)
    one.acknowledge_break(file, II)
    other.ends(waiting, Status.SHARING_VIOLATION)
    with refused(Status.SHARING_VIOLATION):
        other.open()
    assert one.heard() == []


def test_a_close_may_be_all_that_share_modes_were_waiting_for(world):
    one, other, file = world.held(BATCH, share=0)
    waiting = other.start_open(oplock=BATCH)
    one.close(file)
    assert other.opens(waiting)[0].oplock_level == BATCH


@pytest.mark.parametrize("level", [II, EXCLUSIVE])
def test_share_modes_that_forbid_it_break_nothing_else(world, level, refused):
    one, other, _ = world.held(level, share=0)
    with refused(Status.SHARING_VIOLATION):
        other.open(disposition=OVERWRITE)
    assert one.heard() == []


def test_a_file_about_to_be_deleted_is_not_asked_for(world, refused):
    one, other, file = world.held(BATCH)
    one.set_info(file, FileInfo.DISPOSITION, b"\x01")
    with refused(Status.DELETE_PENDING):
        other.open()
    assert one.heard() == []


def test_everything_is_looked_at_again_after_a_wait(world):
    one, other, file = world.held(BATCH)
    third = world.peer()
    opening, making = other.start_open(disposition=OPEN), third.start_open()
    one.hears(file, II)  # once, for both
    one.rename(file, "g")
    one.acknowledge_break(file, II)
    other.ends(opening, Status.OBJECT_NAME_NOT_FOUND)
    assert third.opens(making)[1] == CreateAction.CREATED


def test_of_two_that_wait_the_second_may_have_to_wait_for_the_first(world):
    one, other, file = world.held(BATCH)
    third = world.peer()
    first, second = other.start_open(oplock=BATCH), third.start_open(oplock=BATCH)
    one.close(file)
    opened, _ = other.opens(first)
    assert opened.oplock_level == BATCH
    third.look()
    other.hears(opened, II)
    other.acknowledge_break(opened, II)
    assert third.opens(second)[0].oplock_level == II


def test_who_waits_can_cancel_or_go_and_leaves_nothing(world):
    one, other, file = world.held(BATCH)
    gone = world.peer()
    waiting = other.start_open()
    gone.start_open()
    assert (world.memory.open_handles, world.server.open_count) == (1, 1)
    other.link.send(other.protect(other.message(Command.CANCEL, CancelRequest().pack(), message_id=waiting)))
    other.ends(waiting, Status.CANCELLED)
    gone.link.close()
    assert one.acknowledge_break(file, II) == II
    assert (world.memory.open_handles, world.server.open_count) == (1, 1)


def test_who_logs_off_while_waiting_makes_nothing(world, refused):
    one, other, file = world.held(BATCH)
    waiting = other.start_open()
    other.call(Command.LOGOFF, LogoffRequest().pack())
    one.rename(file, "g")
    one.acknowledge_break(file, NONE)
    other.ends(waiting, Status.CANCELLED)
    with refused(Status.OBJECT_NAME_NOT_FOUND):
        one.open(disposition=OPEN)


def test_the_limit_of_opens_holds_after_a_wait(world):
    one, other, file = world.held(BATCH)
    waiting = other.start_open()
    world.server.open_count += 1 << 16
    one.acknowledge_break(file, NONE)
    other.ends(waiting, Status.TOO_MANY_OPENED_FILES)
    world.server.open_count -= 1 << 16


# Between two steps ----------------------------------------------------------------------------------------------


def test_a_file_that_somebody_else_was_quicker_to_open_was_made_all_the_same(world):
    one, other = world.peer(), world.peer()
    quick = []
    world.faults.do_before("File.first_stat", lambda: quick.append(other.open(disposition=OPEN, oplock=BATCH)))
    waiting = one.start_open(disposition=CREATE)
    [file] = quick
    assert file.oplock_level == BATCH
    other.hears(file, II)
    other.acknowledge_break(file, II)
    assert one.opens(waiting)[1] == CreateAction.CREATED


def test_whoever_opens_a_file_while_it_is_cut_hears_of_it(world):
    one, other = world.peer(), world.peer()
    one.close(one.open())
    early = []
    world.faults.do_before("resize", lambda: early.append(other.open(oplock=BATCH)))
    assert one.open(disposition=OVERWRITE, oplock=BATCH).oplock_level == II
    assert early[0].oplock_level == II
    other.hears(early[0], NONE)


def test_an_overwrite_that_fails_leaves_the_file_and_no_trace(world):
    peer = world.peer()
    file = peer.open("g")
    peer.write(file, 0, b"kept")
    peer.close(file)
    world.faults.fail("resize", errno.EIO)
    with pytest.raises(StatusError):
        peer.open("g", disposition=OVERWRITE, options=CreateOption.DELETE_ON_CLOSE)
    assert peer.read(peer.open("g"), 0, 4) == b"kept"


def test_a_file_that_is_doomed_while_its_overwrite_fails_goes(world, refused):
    one, other = world.peer(), world.peer()
    one.close(one.open())

    def doom() -> None:
        file = other.open()
        other.set_info(file, FileInfo.DISPOSITION, b"\x01")
        other.close(file)

    world.faults.do_before("resize", doom)
    world.faults.fail("resize", errno.EIO)
    with pytest.raises(StatusError):
        one.open(disposition=OVERWRITE)
    with refused(Status.OBJECT_NAME_NOT_FOUND):
        one.open(disposition=OPEN)


def test_an_open_whose_tree_goes_while_it_cuts_gets_no_oplock(world, refused):
    one, other = world.peer(), world.peer()
    one.close(one.open())
    session = world.server.sessions[one.session_id]
    world.faults.do_before("resize", lambda: session.close_tree(session.trees[one.tree]))
    other.open(access=STAT)
    with refused(Status.FILE_CLOSED):
        one.open(disposition=OVERWRITE, oplock=BATCH)
    assert other.open(oplock=BATCH).oplock_level == BATCH
