"""smbport.commands.grant: who gets which lease, and what an open beside another one gets."""

import pytest

from smbport.state.settings import Settings
from smbport.wire.constants import (
    Access,
    Capability,
    ContextTag,
    CreateDisposition,
    CreateOption,
    Dialect,
    FileInfo,
    LockFlag,
    OplockLevel,
)
from smbport.wire.create_contexts import LeaseContext, LeaseContextV2, LeaseFlag
from smbport.wire.fscc import FileLinkInformation, pack_with_name
from smbport.wire.status import Status

NONE, II, EXCLUSIVE, BATCH = OplockLevel.NONE, OplockLevel.LEVEL_II, OplockLevel.EXCLUSIVE, OplockLevel.BATCH
LEASE = OplockLevel.LEASE
LEASING = Capability.LEASING | Capability.DIRECTORY_LEASING
LEVELS = {"": NONE, "s": II, "x": EXCLUSIVE, "b": BATCH}
OPEN, OPEN_IF, CREATE = CreateDisposition.OPEN, CreateDisposition.OPEN_IF, CreateDisposition.CREATE
STAT = Access.READ_ATTRIBUTES | Access.SYNCHRONIZE
STATES = ["", "R", "RH", "RW", "RWH"]


def state_of(file):
    """What a lease allows, as letters."""
    assert file.oplock_level == LEASE
    return "".join(letter for letter, bit in zip("RHW", (1, 2, 4), strict=True) if file.lease.lease_state & bit)


def is_state(file, state):
    return set(state_of(file)) == set(state)


# What a lease is asked for with ---------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize(
    ("wanted", "granted"),
    [("", ""), ("R", "R"), ("H", ""), ("W", ""), ("RH", "RH"), ("RW", "RW"), ("WH", ""), ("RWH", "RWH")],
)
def test_what_of_a_state_is_granted(world, version, wanted, granted):
    file = world.peer().lease(1, wanted, version=version)
    assert is_state(file, granted)
    assert file.lease.lease_key == bytes([1]) * 16


def test_bits_that_nobody_knows_are_ignored(world):
    context = LeaseContext(lease_key=bytes(16), lease_state=0xFFFFFFFF, lease_flags=0xFFFFFFFF)
    file = world.peer().open(oplock=LEASE, contexts=[(ContextTag.LEASE, context.pack())])
    assert file.lease == LeaseContext(lease_key=bytes(16), lease_state=7)


def test_the_epoch_counts_what_is_granted_and_the_parent_comes_back(world):
    peer = world.peer()
    file = peer.lease(1, "RWH", epoch=0x4711, parent=2, flags=LeaseFlag.BREAK_IN_PROGRESS)
    flags = LeaseFlag.PARENT_LEASE_KEY_SET
    assert file.lease == LeaseContextV2(
        lease_key=bytes([1]) * 16, lease_state=7, lease_flags=flags, parent_lease_key=bytes([2]) * 16, epoch=0x4712
    )
    assert peer.lease(3, "", "g", epoch=100).lease.epoch == 100


def test_a_parent_that_is_not_said_to_be_one_is_none(world):
    context = LeaseContextV2(lease_key=bytes([1]) * 16, lease_state=1, parent_lease_key=bytes([2]) * 16, epoch=1)
    file = world.peer().open(oplock=LEASE, contexts=[(ContextTag.LEASE, context.pack())])
    assert (file.lease.lease_flags, file.lease.parent_lease_key) == (0, bytes(16))


def test_the_form_of_the_answer_is_that_of_the_first_request(world):
    peer = world.peer()
    assert isinstance(peer.lease(1, "R", version=1).lease, LeaseContext)
    assert isinstance(peer.lease(1, "RH", version=2, epoch=9).lease, LeaseContext)
    assert isinstance(peer.lease(2, "R", "g", version=2).lease, LeaseContextV2)
    later = peer.lease(2, "RH", "g", version=1)
    assert later.lease.epoch == 2


@pytest.mark.parametrize(
    ("dialect", "version", "granted"),
    [
        (Dialect.SMB_2_0_2, 1, False),
        (Dialect.SMB_2_0_2, 2, False),
        (Dialect.SMB_2_1, 1, True),
        (Dialect.SMB_2_1, 2, False),
        (Dialect.SMB_3_0, 1, True),
        (Dialect.SMB_3_0, 2, True),
        (Dialect.SMB_3_1_1, 2, True),
    ],
)
def test_who_can_have_which_version(world, dialect, version, granted):
    file = world.peer(dialects=[dialect]).lease(1, "RWH", version=version)
    assert file.oplock_level == (LEASE if granted else NONE)
    assert (file.lease is not None) is granted


def test_only_who_asks_for_that_level_gets_one(world):
    context = LeaseContext(lease_key=bytes(16), lease_state=7)
    file = world.peer().open(oplock=BATCH, contexts=[(ContextTag.LEASE, context.pack())])
    assert (file.oplock_level, file.lease) == (BATCH, None)


@pytest.mark.parametrize(
    ("settings", "oplock", "old_oplock", "lease"),
    [
        ({}, BATCH, BATCH, LEASE),
        ({"oplocks": False}, NONE, NONE, LEASE),
        ({"leases": False}, NONE, BATCH, NONE),
        ({"leases": False, "oplocks": False}, NONE, NONE, NONE),
    ],
)
def test_settings(new_world, settings, oplock, old_oplock, lease):
    world = new_world(**settings)
    new, old = world.peer(), world.peer(dialects=[Dialect.SMB_2_1])
    assert new.open("a", oplock=BATCH).oplock_level == oplock
    assert old.open("b", oplock=BATCH).oplock_level == old_oplock
    assert new.lease(1, "RWH", "c").oplock_level == lease
    assert old.lease(1, "RWH", "d", version=1).oplock_level == lease


@pytest.mark.parametrize(
    ("dialect", "asked", "leases", "capabilities"),
    [
        (Dialect.SMB_2_0_2, LEASING, True, 0),
        (Dialect.SMB_2_1, 0, True, Capability.LEASING),
        (Dialect.SMB_3_0, LEASING, True, LEASING),
        (Dialect.SMB_3_1_1, LEASING, True, LEASING),
        (Dialect.SMB_3_1_1, 0, True, Capability.LEASING),
        (Dialect.SMB_3_1_1, LEASING, False, 0),
    ],
)
def test_what_is_announced(new_world, dialect, asked, leases, capabilities):
    peer = new_world(leases=leases).peer(dialects=[dialect], capabilities=asked)
    announced = peer.link.connection.state.capabilities
    assert announced & (Capability.LEASING | Capability.DIRECTORY_LEASING) == capabilities


def test_leases_are_on_by_default():
    assert (Settings().oplocks, Settings().leases) == (True, True)


# One key, one file ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("disposition", [CREATE, OPEN_IF, CreateDisposition.OVERWRITE_IF, CreateDisposition.SUPERSEDE])
def test_a_key_in_use_makes_no_other_file(world, refused, disposition):
    peer = world.peer()
    peer.lease(1, "RWH")
    with refused(Status.INVALID_PARAMETER):
        peer.lease(1, "RWH", "g", disposition=disposition)
    with refused(Status.OBJECT_NAME_NOT_FOUND):
        peer.open("g", disposition=OPEN)


@pytest.mark.parametrize("disposition", [OPEN, OPEN_IF, CreateDisposition.OVERWRITE])
def test_a_key_in_use_opens_no_other_file_and_breaks_nothing(world, refused, disposition):
    peer, other = world.peer(), world.peer()
    other.write(other.lease(1, "R", "g"), 0, b"data")
    peer.lease(1, "RWH")
    with refused(Status.INVALID_PARAMETER):
        peer.lease(1, "RWH", "g", disposition=disposition)
    assert other.heard() == []
    assert world.memory.open_handles == 2


def test_a_key_that_is_taken_meanwhile_is_not_shared(world):
    one = world.peer()
    again = world.peer(like=one)
    one.close(one.open())
    world.faults.do_before("resize", lambda: again.lease(1, "RH", "g"))
    file = one.lease(1, "RWH", disposition=CreateDisposition.OVERWRITE)
    assert (file.oplock_level, file.lease) == (NONE, None)
    assert is_state(again.lease(1, "", "g"), "RH")


def test_a_key_is_free_again_after_the_last_close(world):
    peer = world.peer()
    files = [peer.lease(1, "R"), peer.lease(1, "")]
    for file in files:
        peer.close(file)
    assert is_state(peer.lease(1, "R", "g"), "R")


def test_keys_of_other_clients_are_other_keys(world):
    one, other = world.peer(), world.peer()
    one.lease(1, "R")
    assert is_state(other.lease(1, "RH", "g"), "RH")
    again = world.peer(like=one)
    assert is_state(again.lease(1, "RWH"), "RWH")


def test_a_key_goes_with_a_new_name_and_to_the_other_name_of_the_file(world):
    peer = world.peer()
    file = peer.lease(1, "RWH")
    peer.set_info(file, FileInfo.LINK, pack_with_name(FileLinkInformation(replace_if_exists=0, root_directory=0), "g"))
    assert is_state(peer.lease(1, "", "g", disposition=OPEN), "RWH")
    peer.rename(file, "h")
    assert is_state(peer.lease(1, "", "H"), "RWH")
    assert peer.heard() == []


# More of a lease ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wanted", STATES)
@pytest.mark.parametrize("held", STATES)
def test_alone_a_lease_grows_to_what_contains_it(world, held, wanted):
    peer = world.peer()
    epoch = peer.lease(1, held).lease.epoch
    file = peer.lease(1, wanted)
    grown = set(wanted) > set(held)
    assert is_state(file, wanted if grown else held)
    assert file.lease.epoch == epoch + grown


@pytest.mark.parametrize("wanted", STATES)
@pytest.mark.parametrize("beside", ["R", "RH"])
@pytest.mark.parametrize("held", ["R", "RH"])
def test_beside_another_one_it_grows_if_it_can_have_it_all(world, held, beside, wanted):
    peer = world.peer()
    peer.lease(1, held)
    peer.lease(2, beside)
    file = peer.lease(1, wanted)
    assert is_state(file, "RH" if held == "RH" or wanted == "RH" else "R")
    assert peer.heard() == []


def test_opens_that_share_it_do_not_keep_it_from_writing(world):
    one = world.peer()
    again = world.peer(like=one)
    one.lease(1, "RH")
    again.lease(1, "RH")
    assert is_state(one.lease(1, "RWH"), "RWH")


# Beside others --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("access", [Access.READ_DATA, Access.READ_CONTROL, Access.DELETE])
def test_beside_another_open_nobody_caches_what_he_writes(world, access):
    peer = world.peer()
    peer.close(peer.open())
    peer.open(access=access)
    assert is_state(peer.lease(1, "RWH"), "RH")


def test_stat_opens_do_not_count_but_get_a_lease(world):
    peer = world.peer()
    peer.close(peer.open())
    peer.open(access=STAT)
    assert is_state(peer.lease(1, "RWH", access=STAT), "RWH")
    assert is_state(peer.lease(2, "RWH", access=STAT), "")
    assert peer.heard() == []


@pytest.mark.parametrize(("held", "level"), [("R", "s"), ("RH", "")])
@pytest.mark.parametrize("wanted", ["s", "x", "b"])
def test_an_oplock_beside_a_lease(world, held, wanted, level):
    peer = world.peer()
    peer.lease(1, held)
    assert peer.open(oplock=LEVELS[wanted]).oplock_level == LEVELS[level]
    assert peer.heard() == []


@pytest.mark.parametrize("wanted", ["R", "RH", "RW", "RWH"])
def test_a_lease_beside_an_oplock_has_no_handles(world, wanted):
    peer = world.peer()
    assert peer.open(oplock=II).oplock_level == II
    assert is_state(peer.lease(1, wanted), "R")
    assert peer.heard() == []


def test_while_bytes_are_locked_there_is_none(world):
    peer = world.peer()
    file = peer.open()
    peer.lock(file)
    assert is_state(peer.lease(1, "RH"), "RH")  # there is nothing to cache yet
    peer.write(file, 0, b"data")
    peer.hears_of_lease(1, "RH", "")
    assert peer.acknowledge(1, "") == ""
    locked = peer.lease(2, "R", epoch=100)
    assert (state_of(locked), locked.lease.epoch) == ("", 100)
    assert is_state(peer.lease(3, "RH", disposition=CreateDisposition.OVERWRITE), "RH")
    peer.lock(file, LockFlag.UNLOCK)
    assert is_state(peer.lease(2, "RH"), "RH")


# Directories ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("wanted", "granted"), [("R", "R"), ("RW", "R"), ("RH", "RH"), ("RWH", "RH"), ("H", "")])
def test_of_a_directory_nothing_is_written_late(world, wanted, granted):
    file = world.peer().lease(1, wanted, "d", options=CreateOption.DIRECTORY_FILE)
    assert is_state(file, granted)


def test_directories_have_leases_of_the_second_version_only(world):
    file = world.peer().lease(1, "RH", "d", options=CreateOption.DIRECTORY_FILE, version=1)
    assert (file.oplock_level, file.lease) == (NONE, None)


def test_a_directory_lease_is_never_refused_for_readers(world):
    one, other = world.peer(), world.peer()
    assert is_state(one.lease(1, "RH", "d", options=CreateOption.DIRECTORY_FILE), "RH")
    assert is_state(other.lease(2, "RH", "d", options=CreateOption.DIRECTORY_FILE), "RH")
    assert one.heard() == []
