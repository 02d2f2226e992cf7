"""Attributes, times and sizes from what POSIX says."""

import pytest

from smbport.commands.attributes import (
    SETTABLE,
    allocation_size,
    end_of_file,
    file_attributes,
    file_times,
    is_dot_file,
)
from smbport.platform import FileKey, Kind, Stat
from smbport.wire.constants import FileAttribute
from smbport.wire.text import FILETIME_EPOCH


def stat_of(kind: int = Kind.FILE, *, mode: int = 0o644, stored: int | None = None) -> Stat:
    return Stat(
        key=FileKey(1, 2), kind=kind, size=5, allocated=4096, links=1, mode=mode, uid=1, gid=1, access_ns=200,
        write_ns=300, change_ns=400, birth_ns=100, dos_attributes=stored,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("stat", "path", "attributes"),
    [
        (stat_of(), "a", FileAttribute.NORMAL),
        (stat_of(mode=0o444), "a", FileAttribute.READONLY),
        (stat_of(mode=0o020), "a", FileAttribute.NORMAL),
        (stat_of(), ".a", FileAttribute.HIDDEN),
        (stat_of(), "d/.a", FileAttribute.HIDDEN),
        (stat_of(), ".d/a", FileAttribute.NORMAL),
        (stat_of(mode=0), ".a", FileAttribute.HIDDEN | FileAttribute.READONLY),
        (stat_of(Kind.DIRECTORY), "d", FileAttribute.DIRECTORY),
        (stat_of(Kind.DIRECTORY), "", FileAttribute.DIRECTORY),
        (stat_of(Kind.DIRECTORY), "..", FileAttribute.DIRECTORY),
        (stat_of(Kind.DIRECTORY, mode=0o555), ".d", 0x13),
        (stat_of(Kind.SYMLINK), "a", FileAttribute.REPARSE_POINT),
        (stat_of(Kind.SYMLINK, mode=0o777), ".a", FileAttribute.REPARSE_POINT | FileAttribute.HIDDEN),
    ],
)
def test_what_mode_and_name_say(stat: Stat, path: str, attributes: int) -> None:
    assert file_attributes(stat, path) == attributes


@pytest.mark.parametrize(
    ("stat", "attributes"),
    [
        (stat_of(), FileAttribute.COMPRESSED),
        (stat_of(stored=FileAttribute.HIDDEN), FileAttribute.COMPRESSED | FileAttribute.HIDDEN),
        (stat_of(Kind.DIRECTORY), FileAttribute.COMPRESSED | FileAttribute.DIRECTORY),
    ],
)
def test_what_is_compressed(stat: Stat, attributes: int) -> None:
    stat.compressed = True
    assert file_attributes(stat, "a") == attributes


def test_that_it_is_compressed_is_not_stored() -> None:
    assert file_attributes(stat_of(stored=FileAttribute.COMPRESSED), "a") == FileAttribute.NORMAL


@pytest.mark.parametrize(
    ("kind", "stored", "attributes"),
    [
        (Kind.FILE, 0, FileAttribute.NORMAL),
        (Kind.FILE, FileAttribute.ARCHIVE, FileAttribute.ARCHIVE),
        (Kind.FILE, FileAttribute.ARCHIVE | FileAttribute.DIRECTORY, FileAttribute.ARCHIVE),
        (Kind.FILE, 0xFFFFFFFF, SETTABLE | FileAttribute.SPARSE_FILE),
        (Kind.DIRECTORY, 0xFFFFFFFF, SETTABLE | FileAttribute.DIRECTORY),
        (Kind.DIRECTORY, 0, FileAttribute.DIRECTORY),
        (Kind.DIRECTORY, FileAttribute.SYSTEM, FileAttribute.SYSTEM | FileAttribute.DIRECTORY),
    ],
)
def test_stored_attributes_win_over_mode_and_name(kind: int, stored: int, attributes: int) -> None:
    assert file_attributes(stat_of(kind, mode=0o444, stored=stored), ".a") == attributes


def test_dot_files() -> None:
    assert is_dot_file(".profile")
    assert is_dot_file("home/.profile")
    assert is_dot_file("...")
    assert not is_dot_file("home.d/profile")
    assert not is_dot_file(".")
    assert not is_dot_file("..")
    assert not is_dot_file("")


def test_times_are_in_the_order_of_the_wire() -> None:
    assert file_times(stat_of()) == tuple(FILETIME_EPOCH + n for n in (1, 2, 3, 4))


def test_a_directory_has_no_size() -> None:
    assert (end_of_file(stat_of()), allocation_size(stat_of())) == (5, 4096)
    directory = stat_of(Kind.DIRECTORY)
    assert (end_of_file(directory), allocation_size(directory)) == (0, 0)
