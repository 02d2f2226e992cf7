"""Leases on directories: whatever changes in one breaks them, unless it is done through a lease that names them."""

import pytest

from smbport.wire.constants import Access, CreateDisposition, CreateOption, FileInfo
from smbport.wire.create_contexts import LeaseFlag
from smbport.wire.fscc import (
    FileBasicInformation,
    FileEndOfFileInformation,
    FileLinkInformation,
    FileRenameInformation,
    pack_with_name,
)
from smbport.wire.status import Status

OPEN = CreateDisposition.OPEN
DIRECTORY = CreateOption.DIRECTORY_FILE
BELOW = Access.FILE_ALL_ACCESS & ~Access.DELETE
PARENT, OTHER, FILE = 1, 2, 3  # keys of leases


@pytest.fixture
def watched(world):
    """Two clients; the first one has a lease on the directory "d", in which there is a file "f"."""
    one, other = world.peer(), world.peer()
    one.close(one.open("d", options=DIRECTORY))
    one.close(one.open("d\\f"))
    one.lease(PARENT, "RH", "d", options=DIRECTORY, access=BELOW)
    return one, other


def lose(peer):
    """The lease on the directory is gone; it can be had again."""
    peer.hears_of_lease(PARENT, "RH", "")
    assert peer.acknowledge(PARENT, "") == ""
    file = peer.lease(PARENT, "RH", "d", options=DIRECTORY, access=BELOW)
    assert file.lease.lease_state == 3
    peer.close(file)


# What changes ---------------------------------------------------------------------------------------------------


def make(peer, **lease):
    peer.close(peer.lease(FILE, "R", "d\\new", **lease))


def make_directory(peer, **lease):
    peer.close(peer.lease(FILE, "R", "d\\new", options=DIRECTORY, **lease))


def overwrite(peer, **lease):
    peer.close(peer.lease(FILE, "R", "d\\f", disposition=CreateDisposition.OVERWRITE, **lease))


def delete(peer, **lease):
    peer.close(peer.lease(FILE, "R", "d\\f", options=CreateOption.DELETE_ON_CLOSE, **lease))


def rename(peer, **lease):
    peer.rename(peer.lease(FILE, "R", "d\\f", **lease), "d\\g")


def move_out(peer, **lease):
    peer.rename(peer.lease(FILE, "R", "d\\f", **lease), "g")


def move_in(peer, **lease):
    peer.rename(peer.lease(FILE, "R", "g", **lease), "d\\g")


def link(peer, **lease):
    name = pack_with_name(FileLinkInformation(replace_if_exists=False, root_directory=0), "d\\g")
    peer.set_info(peer.lease(FILE, "R", "d\\f", **lease), FileInfo.LINK, name)


def set_size(peer, **lease):
    size = FileEndOfFileInformation(end_of_file=7).pack()
    peer.set_info(peer.lease(FILE, "R", "d\\f", **lease), FileInfo.END_OF_FILE, size)


def set_times(peer, **lease):
    times = FileBasicInformation(
        creation_time=0, last_access_time=0, last_write_time=1 << 56, change_time=0, file_attributes=0
    )
    peer.set_info(peer.lease(FILE, "R", "d\\f", **lease), FileInfo.BASIC, times.pack())


def set_change_time(peer, **lease):
    """Not that it changes anything here."""
    times = FileBasicInformation(
        creation_time=0, last_access_time=0, last_write_time=0, change_time=1 << 56, file_attributes=0
    )
    peer.set_info(peer.lease(FILE, "R", "d\\f", **lease), FileInfo.BASIC, times.pack())


def write_and_close(peer, **lease):
    file = peer.lease(FILE, "R", "d\\f", **lease)
    peer.write(file, 0, b"data")
    peer.close(file)


CHANGES = [
    make, make_directory, overwrite, delete, rename, move_out, move_in, link, set_size, set_times, set_change_time,
    write_and_close,
]  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_by_another_client_breaks_it(watched, change):
    one, other = watched
    change(other)
    lose(one)


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_by_its_own_client_breaks_it_too(watched, change):
    one, _ = watched
    change(one)
    lose(one)


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_through_another_parent_breaks_it(watched, change):
    one, _ = watched
    change(one, parent=OTHER)
    lose(one)


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_through_a_lease_that_names_it_does_not(watched, change):
    one, _ = watched
    change(one, parent=PARENT)
    assert one.heard() == []


def test_writing_breaks_it_not_before_the_close(watched):
    one, other = watched
    file = other.open("d\\f")
    other.write(file, 0, b"data")
    assert one.heard() == []
    other.close(file)
    lose(one)


@pytest.mark.parametrize("look", ["open", "read", "list"])
def test_looking_changes_nothing(watched, look):
    one, other = watched
    if look == "list":
        other.query_directory(other.open("d", options=DIRECTORY, access=Access.FILE_GENERIC_READ))
    else:
        file = other.open("d\\f", disposition=OPEN)
        other.write(file, 0, b"")
        other.close(file)
    assert one.heard() == []


def test_what_happens_further_down_or_elsewhere_breaks_nothing(watched):
    one, other = watched
    other.close(other.open("d\\sub", options=DIRECTORY))
    lose(one)
    other.close(other.open("d\\sub\\f"))
    other.close(other.open("d2", options=DIRECTORY))
    assert one.heard() == []


def test_the_lease_follows_the_directory_to_its_new_name(watched):
    one, other = watched
    mine = one.open("d", options=DIRECTORY)
    name = pack_with_name(FileRenameInformation(replace_if_exists=False, root_directory=0), "e")
    waiting = one.start_set(mine, FileInfo.RENAME, name)
    one.hears_of_lease(PARENT, "RH", "R")
    one.acknowledge(PARENT, "R")
    one.ends(waiting, Status.SUCCESS)
    other.close(other.open("e\\new"))
    one.hears_of_lease(PARENT, "R", "")


# Who deletes a file ---------------------------------------------------------------------------------------------


@pytest.fixture
def twice(watched):
    """Two leases on the directory, and the file opened through each."""
    one, _ = watched
    one.lease(OTHER, "RH", "d", options=DIRECTORY, access=BELOW)
    return one, one.lease(FILE, "R", "d\\f", parent=PARENT), one.lease(FILE + 1, "R", "d\\f", parent=OTHER)


def test_who_deletes_and_closes_last_knows_of_it(twice):
    one, first, second = twice
    one.set_info(second, FileInfo.DISPOSITION, b"\x01")
    one.close(first)
    assert one.heard() == []
    one.close(second)
    one.hears_of_lease(PARENT, "RH", "")


def test_if_another_one_closes_last_nobody_is_sure_to_know(twice):
    one, first, second = twice
    one.set_info(first, FileInfo.DISPOSITION, b"\x01")
    one.close(first)
    assert one.heard() == []
    one.close(second)
    assert one.heard() == [(PARENT, "RH", ""), (OTHER, "RH", "")]


# The directory itself -------------------------------------------------------------------------------------------


def test_share_modes_that_forbid_it_take_its_handles_first(watched):
    one, other = watched
    waiting = other.start_open("d", options=DIRECTORY, share=0)
    one.hears_of_lease(PARENT, "RH", "R")
    one.acknowledge(PARENT, "R")
    other.ends(waiting, Status.SHARING_VIOLATION)


@pytest.mark.parametrize("closes", [True, False])
def test_to_move_something_in_who_holds_it_for_deletion_must_let_go(world, refused, closes):
    one, other = world.peer(), world.peer()
    one.close(one.open("d", options=DIRECTORY))
    directory = one.lease(PARENT, "RH", "d", options=DIRECTORY, access=Access.DELETE)
    name = pack_with_name(FileRenameInformation(replace_if_exists=False, root_directory=0), "d\\f")
    file = other.open("f")
    waiting = other.start_set(file, FileInfo.RENAME, name)
    one.hears_of_lease(PARENT, "RH", "R")
    if closes:
        one.close(directory)
        other.ends(waiting, Status.SUCCESS)
        return
    one.acknowledge(PARENT, "R")
    other.ends(waiting, Status.SHARING_VIOLATION)
    with refused(Status.SHARING_VIOLATION):
        other.set_info(file, FileInfo.RENAME, name)
    assert one.heard() == []


def test_a_directory_that_is_doomed_takes_the_handles_of_others(world):
    one, other = world.peer(), world.peer()
    directory = other.open("d", options=DIRECTORY)
    one.lease(PARENT, "RH", "d", options=DIRECTORY, access=BELOW)
    waiting = other.start_set(directory, FileInfo.DISPOSITION, b"\x01")
    one.hears_of_lease(PARENT, "RH", "R")
    one.acknowledge(PARENT, "R")
    other.ends(waiting, Status.SUCCESS)


def test_nothing_is_heard_after_the_last_close(world):
    one, other = world.peer(), world.peer()
    files = [one.lease(PARENT, "RH", "d", options=DIRECTORY) for _ in range(2)]
    one.close(files[0])
    other.close(other.open("d\\a"))
    one.hears_of_lease(PARENT, "RH", "")
    one.close(files[1])
    other.close(other.open("d\\b"))
    assert one.heard() == []
    assert not world.server.find_share("s").changes


def test_a_break_that_is_pending_is_not_told_again(watched):
    one, other = watched
    make(other)
    one.hears_of_lease(PARENT, "RH", "")
    delete(other)
    assert one.heard() == []
    later = one.lease(PARENT, "RH", "d", options=DIRECTORY, access=BELOW)
    assert later.lease.lease_flags & LeaseFlag.BREAK_IN_PROGRESS
