"""Breaks of leases: what each command takes away, who waits for it, and what clients may answer."""

import pytest

from smbport.commands.call import NO_FILE_ID
from smbport.wire.break_ import LeaseBreakAcknowledgment, LeaseBreakNotification
from smbport.wire.constants import Access, Command, CreateDisposition, CreateOption, FileInfo, HeaderFlag, OplockLevel
from smbport.wire.create import CreateRequest, pack_create_request
from smbport.wire.create_contexts import LeaseFlag
from smbport.wire.file import WriteRequest, pack_write_request
from smbport.wire.fscc import (
    FileAllocationInformation,
    FileEndOfFileInformation,
    FileRenameInformation,
    pack_with_name,
)
from smbport.wire.header import HEADER_SIZE, TRANSFORM_MAGIC, Header
from smbport.wire.session import LogoffRequest
from smbport.wire.status import Status
from smbport.wire.tree import TreeDisconnectRequest

OPEN, OVERWRITE = CreateDisposition.OPEN, CreateDisposition.OVERWRITE
READ = Access.FILE_GENERIC_READ
BITS = {"R": 1, "H": 2, "W": 4}


def state_of(file):
    return {letter for letter, bit in BITS.items() if file.lease.lease_state & bit}


def is_breaking(file):
    return bool(file.lease.lease_flags & LeaseFlag.BREAK_IN_PROGRESS)


@pytest.fixture
def held(world):
    """Two clients; the first one has the file "f" open, with a lease."""

    def held(wanted, **keywords):
        one, other = world.peer(), world.peer()
        one.write(one.open(), 0, b"data")
        for opened in list(world.server.sessions[one.session_id].opens.values()):
            world.server.close_open(opened)
        file = one.lease(1, wanted, **keywords)
        assert state_of(file) == set(wanted)
        return one, other, file

    return held


# Opens ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wanted", ["R", "RH", "RW", "RWH"])
@pytest.mark.parametrize(("had", "left"), [("R", "R"), ("RH", "RH"), ("RW", "R"), ("RWH", "RH")])
def test_an_open_takes_what_was_not_written_back(held, had, left, wanted):
    one, other, _ = held(had)
    granted = {"R", "H"} & set(wanted)
    if had == left:
        assert state_of(other.lease(2, wanted)) == granted
    else:
        waiting = other.start_lease(2, wanted)
        one.hears_of_lease(1, had, left)
        assert one.acknowledge(1, left) == left
        assert state_of(other.opens(waiting)[0]) == granted
    assert state_of(one.lease(1, "RWH")) == set(left)
    assert one.heard() == other.heard() == []


@pytest.mark.parametrize(
    ("access", "disturbs"),
    [
        (Access.READ_ATTRIBUTES, False),
        (Access.WRITE_ATTRIBUTES | Access.SYNCHRONIZE, False),
        (Access.READ_CONTROL, False),
        (Access.READ_EA, True),
        (Access.WRITE_DAC, True),
        (Access.DELETE, True),
        (Access.EXECUTE, True),
    ],
)
def test_opens_that_do_little_break_nothing(held, access, disturbs):
    one, other, _ = held("RWH")
    if disturbs:
        other.start_open(access=access)
        one.hears_of_lease(1, "RWH", "RH")
    else:
        other.open(access=access)
        assert one.heard() == []


@pytest.mark.parametrize(("had", "waits"), [("R", False), ("RH", False), ("RW", True), ("RWH", True)])
def test_an_overwrite_takes_all_and_waits_for_what_was_written(held, had, waits):
    one, other, _ = held(had)
    if waits:
        waiting = other.start_open(disposition=OVERWRITE)
        one.hears_of_lease(1, had, "")
        assert one.acknowledge(1, "") == ""
        other.opens(waiting)
    else:
        other.open(disposition=OVERWRITE)
        one.hears_of_lease(1, had, "")
        other.open(disposition=OVERWRITE)  # not even while the break is pending
    assert one.heard() == []


def test_under_the_same_key_nobody_waits_and_nothing_breaks(world, held):
    one, other, file = held("RWH")
    again = world.peer(like=one)
    other.start_open()
    one.hears_of_lease(1, "RWH", "RH")
    later = again.lease(1, "RWH", disposition=OVERWRITE)
    assert is_breaking(later)
    assert state_of(later) == {"R", "W", "H"}
    again.write(later, 0, b"data")
    one.rename(file, "g")
    assert one.heard() == again.heard() == []


def test_a_lease_is_broken_in_steps(held):
    one, other, _ = held("RWH", epoch=7)
    opening, overwriting = other.start_open(), other.start_open(disposition=OVERWRITE)
    first = one.wait_for_break()
    assert (first.new_epoch, first.new_lease_state) == (9, 3)
    assert one.acknowledge(1, "RH") == "RH"
    second = one.wait_for_break()
    assert (second.new_epoch, second.current_lease_state, second.new_lease_state) == (9, 3, 1)
    assert is_breaking(one.lease(1, "RWH"))
    other.look()
    assert other.link.replies == []
    assert one.acknowledge(1, "R") == "R"
    one.hears_of_lease(1, "R", "")
    other.opens(opening)
    other.opens(overwriting)


@pytest.mark.parametrize("kept", ["", "R"])
def test_a_client_may_keep_less_than_it_was_told(held, kept):
    one, other, _ = held("RWH")
    waiting = other.start_open()
    assert one.acknowledge(1, kept) == kept
    other.opens(waiting)
    assert state_of(one.lease(1, "")) == set(kept)


def test_share_modes_that_forbid_it_take_handles_first(held, refused):
    one, other, _ = held("RWH", share=0)
    waiting = other.start_lease(2, "RWH", disposition=OVERWRITE)
    one.hears_of_lease(1, "RWH", "RW")
    assert one.acknowledge(1, "RW") == "RW"
    other.ends(waiting, Status.SHARING_VIOLATION)
    with refused(Status.SHARING_VIOLATION):
        other.open()
    assert one.heard() == []


def test_two_leases_lose_their_handles_at_once(world):
    one, other = world.peer(), world.peer()
    one.close(one.open())
    files = [one.lease(key, "RH", access=READ, share=1) for key in (1, 2)]
    waiting = other.start_lease(3, "RH", access=READ, share=0)
    assert one.heard() == [(1, "RH", "R"), (2, "RH", "R")]
    one.close(files[0])
    assert one.heard() == []
    other.look()
    assert other.link.replies == []
    one.close(files[1])
    assert state_of(other.opens(waiting)[0]) == {"R", "H"}


def test_ones_own_lease_keeps_nobody_from_a_sharing_violation(held, refused):
    one, _, _ = held("RWH", share=0)
    with refused(Status.SHARING_VIOLATION):
        one.lease(1, "RWH")
    assert one.heard() == []


# Contents -------------------------------------------------------------------------------------------------------


def write(peer, file):
    peer.write(file, 0, b"x")


def change_size(peer, file):
    peer.set_info(file, FileInfo.END_OF_FILE, FileEndOfFileInformation(end_of_file=5).pack())


def reserve(peer, file):
    peer.set_info(file, FileInfo.ALLOCATION, FileAllocationInformation(allocation_size=1 << 20).pack())


def lock(peer, file):
    peer.lock(file)


@pytest.mark.parametrize("change", [write, change_size, reserve, lock])
@pytest.mark.parametrize("had", ["R", "RH"])
def test_a_change_takes_all_from_the_others_and_waits_for_nobody(held, had, change):
    one, other, file = held(had)
    theirs = other.lease(2, "RH")
    change(other, theirs)
    one.hears_of_lease(1, had, "")
    assert other.heard() == []
    one.write(file, 1, b"x")
    other.hears_of_lease(2, "RH", "")
    assert one.heard() == []


@pytest.mark.parametrize("change", [write, change_size, reserve, lock])
@pytest.mark.parametrize("had", ["R", "RH", "RW", "RWH"])
def test_ones_own_change_takes_nothing_from_a_lease(held, had, change):
    one, _, file = held(had)
    change(one, file)
    assert one.heard() == []
    assert state_of(one.lease(1, "")) == set(had)


# Names ----------------------------------------------------------------------------------------------------------


def renaming(peer, file, name="g", *, replace=False):
    information = FileRenameInformation(replace_if_exists=replace, root_directory=0)
    return peer.start_set(file, FileInfo.RENAME, pack_with_name(information, name))


@pytest.mark.parametrize("end", ["acknowledgment", "close", "time"])
def test_a_rename_waits_until_the_other_handles_may_be_gone(held, refused, end):
    one, other, file = held("RH")
    waiting = renaming(other, other.lease(2, "RH"))
    one.hears_of_lease(1, "RH", "R")
    with refused(Status.OBJECT_NAME_NOT_FOUND):
        one.open("g", disposition=OPEN)
    if end == "acknowledgment":
        one.acknowledge(1, "R")
    elif end == "close":
        one.close(file)
    other.ends(waiting, Status.SUCCESS)
    one.open("g", disposition=OPEN)
    assert other.heard() == []


def test_an_open_that_is_closed_while_its_rename_waits(held):
    one, other, _ = held("RH")
    mine = other.open()
    waiting = renaming(other, mine)
    other.close(mine)
    one.acknowledge(1, "R")
    other.ends(waiting, Status.FILE_CLOSED)


@pytest.mark.parametrize(("end", "status"), [("close", Status.SUCCESS), ("acknowledgment", Status.ACCESS_DENIED)])
def test_what_is_replaced_must_be_closed(held, end, status):
    one, other, file = held("RWH")
    waiting = renaming(other, other.open("g"), "f", replace=True)
    one.hears_of_lease(1, "RWH", "RW")
    if end == "close":
        one.close(file)
    else:
        one.acknowledge(1, "RW")
    other.ends(waiting, status)


def test_each_one_inside_a_directory_that_moves_is_asked_once(world):
    one, other = world.peer(), world.peer()
    directory = other.open("d", options=CreateOption.DIRECTORY_FILE)
    files = [one.lease(key, "RH", f"d\\{key}") for key in (1, 2)]
    waiting = renaming(other, directory, "e")
    one.hears_of_lease(1, "RH", "R")
    one.close(files[0])
    other.look()
    late = one.lease(3, "RH", "d\\3")
    one.hears_of_lease(2, "RH", "R")
    one.close(files[1])
    other.ends(waiting, Status.ACCESS_DENIED)
    assert one.heard() == []
    one.close(late)
    other.rename(directory, "e")


@pytest.mark.parametrize("closes", [True, False])
def test_a_file_is_doomed_when_the_other_handles_may_be_gone(held, refused, closes):
    one, other, file = held("RH")
    waiting = other.start_set(other.lease(2, "RH"), FileInfo.DISPOSITION, b"\x01")
    one.hears_of_lease(1, "RH", "R")
    if closes:
        one.close(file)
    else:
        one.acknowledge(1, "R")
    other.ends(waiting, Status.SUCCESS)
    with refused(Status.DELETE_PENDING):
        one.open()
    assert other.heard() == []


def test_sparing_a_file_asks_nobody(held):
    one, other, _ = held("RH")
    other.set_info(other.open(), FileInfo.DISPOSITION, b"\x00")
    assert one.heard() == []


@pytest.mark.parametrize("end", ["close", "tree disconnect", "logoff", "hang up"])
def test_who_deletes_on_close_asks_the_others_then(held, refused, end):
    one, other, file = held("RH")
    mine = other.open(options=CreateOption.DELETE_ON_CLOSE)
    assert one.heard() == []
    if end == "close":
        other.close(mine)
    elif end == "tree disconnect":
        other.call(Command.TREE_DISCONNECT, TreeDisconnectRequest().pack(), tree_id=other.tree)
    elif end == "logoff":
        other.call(Command.LOGOFF, LogoffRequest().pack())
    else:
        other.link.close()
    one.hears_of_lease(1, "RH", "R")
    one.close(file)
    with refused(Status.OBJECT_NAME_NOT_FOUND):
        one.open(disposition=OPEN)


# Notifications --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("version", "epoch"), [(1, 0), (2, 0x0102)])
def test_what_a_notification_looks_like(held, version, epoch):
    one, other, _ = held("RWH", version=version, epoch=0x0100)
    other.start_open()
    [frame] = one.link.connection.resume()
    assert Header.unpack_from(frame) == Header(
        protocol_id=b"\xfeSMB", structure_size=64, credit_charge=0, status=0, command=Command.OPLOCK_BREAK, credits=0,
        flags=HeaderFlag.SERVER_TO_REDIR, next_command=0, message_id=(1 << 64) - 1, process_id=0, tree_id=0,
        session_id=0, signature=bytes(16),
    )  # fmt: skip
    assert (
        frame[HEADER_SIZE:]
        == LeaseBreakNotification(
            new_epoch=epoch, flags=1, lease_key=bytes([1]) * 16, current_lease_state=7, new_lease_state=3
        ).pack()
    )


@pytest.mark.parametrize("settings", [{"encryption": "required"}, {"share_encryption": "required"}])
def test_a_notification_is_sealed_where_everything_must_be(new_world, settings):
    world = new_world(**settings)
    one, other = world.peer(seal=True), world.peer(seal=True)
    one.lease(1, "RWH")
    other.start_open()
    [frame] = one.link.connection.resume()
    assert frame[:4] == TRANSFORM_MAGIC
    one.link.replies.append(frame)
    one.hears_of_lease(1, "RWH", "RH")


def test_who_has_leases_for_longest_hears_of_all_of_its_client(world):
    one, other = world.peer(), world.peer()
    again, stranger = world.peer(like=one), world.peer(like=one, user="v")
    stranger.lease(9, "R", "h")
    one.lease(2, "R", "g")
    again.lease(1, "RWH")
    other.start_open()
    assert stranger.heard() == again.heard() == []
    one.hears_of_lease(1, "RWH", "RH")
    again.acknowledge(1, "RH")


def test_when_that_one_is_gone_the_next_hears(world):
    one, other = world.peer(), world.peer()
    again = world.peer(like=one)
    one.lease(1, "RWH")
    again.lease(1, "RWH")
    one.link.close()
    waiting = other.start_open()
    again.hears_of_lease(1, "RWH", "RH")
    again.acknowledge(1, "RH")
    other.opens(waiting)


def test_a_client_that_is_gone_is_not_waited_for(held):
    one, other, _ = held("RWH")
    [session] = one.link.connection.state.sessions_lost()  # its opens are about to be closed
    assert state_of(other.lease(2, "RH")) == {"R", "H"}
    session.close()


# Time -----------------------------------------------------------------------------------------------------------


def test_after_its_time_a_lease_allows_nothing(held, refused, caplog):
    one, other, file = held("RWH")
    waiting = other.start_lease(2, "RWH")
    assert state_of(other.opens(waiting)[0]) == {"R", "H"}
    assert "u did not give up f within 35 s" in caplog.text
    one.hears_of_lease(1, "RWH", "RH")
    with refused(Status.UNSUCCESSFUL):
        one.acknowledge(1, "RH")
    assert state_of(one.lease(1, "")) == set()
    one.write(file, 0, b"x")
    other.hears_of_lease(2, "RH", "")
    assert one.heard() == []


def test_a_break_that_nobody_waits_for_is_over_after_its_time_too(held, world, refused):
    one, other, _ = held("RH")
    write(other, other.open())
    one.hears_of_lease(1, "RH", "")
    assert is_breaking(one.lease(1, ""))
    world.skip(36)
    again = one.lease(1, "RH")
    assert (is_breaking(again), state_of(again)) == (False, {"R", "H"})
    with refused(Status.UNSUCCESSFUL):
        one.acknowledge(1, "")


def test_an_acknowledgment_may_come_too_late(held, world, refused):
    one, other, _ = held("RH")
    write(other, other.open())
    world.skip(36)
    with refused(Status.UNSUCCESSFUL):
        one.acknowledge(1, "")


def test_a_late_wait_is_a_short_one(held, world):
    one, other, _ = held("RWH")
    third = world.peer()
    first = other.start_open()
    world.skip(30)
    third.start_open()
    [waiter] = third.link.connection.waiting
    assert 0 < waiter.step.timeout_s < 5.1
    one.acknowledge(1, "RH")
    other.opens(first)


# Acknowledgments ------------------------------------------------------------------------------------------------


def test_nobody_keeps_more_than_he_was_told(held, refused):
    one, other, _ = held("RWH")
    waiting = other.start_open(disposition=OVERWRITE)
    for state in ("RWH", "RW", "WH", "RH", "W", "H", "R"):
        with refused(Status.REQUEST_NOT_ACCEPTED):
            one.acknowledge(1, state)
    later = one.lease(1, "")
    assert (is_breaking(later), state_of(later)) == (True, {"R", "W", "H"})
    one.acknowledge(1, "")
    other.opens(waiting)


@pytest.mark.parametrize("had", ["", "R", "RWH"])
def test_acknowledging_what_nobody_asked_for(held, refused, had):
    one, _, _ = held(had)
    with refused(Status.UNSUCCESSFUL):
        one.acknowledge(1, "")
    assert state_of(one.lease(1, "")) == set(had)


def test_acknowledging_twice(held, refused):
    one, other, _ = held("RWH")
    other.start_open()
    one.acknowledge(1, "RH")
    with refused(Status.UNSUCCESSFUL):
        one.acknowledge(1, "RH")


def test_acknowledging_another_clients_lease(held, refused):
    one, other, _ = held("RWH")
    waiting = other.start_open()
    with refused(Status.OBJECT_NAME_NOT_FOUND):
        other.acknowledge(1, "RH")
    one.acknowledge(1, "RH")
    other.opens(waiting)


def test_acknowledging_a_key_that_stands_for_nothing(held, refused):
    one, _, file = held("RWH")
    with refused(Status.OBJECT_NAME_NOT_FOUND):
        one.acknowledge(2, "")
    one.close(file)
    with refused(Status.OBJECT_NAME_NOT_FOUND):
        one.acknowledge(1, "")


def test_bits_that_nobody_knows(held, refused):
    one, other, _ = held("RWH")
    other.start_open()
    body = LeaseBreakAcknowledgment(lease_key=bytes([1]) * 16, lease_state=0x80000001).pack()
    with refused(Status.REQUEST_NOT_ACCEPTED):
        one.call(Command.OPLOCK_BREAK, body, tree_id=one.tree)


def test_an_open_with_a_lease_has_no_oplock_to_acknowledge(held, refused):
    one, other, file = held("RWH")
    other.start_open()
    with refused(Status.INVALID_OPLOCK_PROTOCOL):
        one.acknowledge_break(file, OplockLevel.NONE)


# Early breaks ---------------------------------------------------------------------------------------------------


def compound(peer, create, write):
    """CREATE and a WRITE to what it opened, in one frame."""
    messages = [
        peer.message(Command.CREATE, create, tree_id=peer.tree),
        peer.message(Command.WRITE, write, tree_id=peer.tree, flags=HeaderFlag.RELATED_OPERATIONS),
    ]
    messages[0] += bytes(-len(messages[0]) % 8)
    messages[0][20:24] = len(messages[0]).to_bytes(4, "little")
    return b"".join(peer.protect(message) for message in messages)


def test_a_client_hears_of_no_break_before_it_knows_what_it_has(world):
    one, other = world.peer(), world.peer()
    early = []

    def contend():
        other.start_open(access=READ, disposition=OPEN)
        early.extend(one.link.connection.resume())

    context = one.lease_context(1, "RWH")
    create = CreateRequest(
        requested_oplock_level=OplockLevel.LEASE, impersonation_level=2, desired_access=Access.FILE_ALL_ACCESS,
        file_attributes=0, share_access=7, create_disposition=CreateDisposition.CREATE, create_options=0,
    )  # fmt: skip
    write = WriteRequest(length=1, offset=0, file_id_persistent=NO_FILE_ID, file_id_volatile=NO_FILE_ID)
    frame = compound(one, pack_create_request(create, "f", [context]), pack_write_request(write, b"x"))
    world.faults.do_before("write_at", contend)
    one.link.send(frame)
    assert early == []
    assert len(one.link.replies) == 2  # both answers, then the break
    one.receive()
    one.hears_of_lease(1, "RWH", "RH")
