"""smbport.posix.sight"""

import os

import pytest

from smbport.posix.sight import Sight, is_same

PARENT = 7
THEN = Sight(PARENT, b"name", b"folder/name", False, None, 100, 5000, 4000, 6000)
DIRECTORY = THEN._replace(is_directory=True)


@pytest.fixture
def parent(tmp_path):
    """An open directory in which a name came or went just now."""
    fd = os.open(tmp_path, os.O_RDONLY)
    yield fd
    os.close(fd)


@pytest.fixture
def old_parent(tmp_path, parent):
    """One in which none came or went since."""
    os.utime(tmp_path, ns=(0, 5500))
    return parent


def test_of_what_the_system_says(tmp_path):
    (tmp_path / "file").write_bytes(b"data")
    found = (tmp_path / "file").stat()
    sight = Sight.of(found, PARENT, b"file", b"file")
    assert sight[:6] == (PARENT, b"file", b"file", False, None, 4)
    assert sight[6:] == (found.st_mtime_ns, found.st_atime_ns, found.st_ctime_ns)
    assert sight.at(found) == sight == Sight.make(tuple(sight))
    assert Sight.of(tmp_path.stat(), PARENT, b"", b"").is_directory


def test_a_time_of_birth():
    class Found:
        """What macOS says."""

        st_mode, st_size, st_mtime_ns, st_atime_ns, st_ctime_ns = 0o100644, 1, 2, 3, 4
        st_birthtime = 1.5

    assert Sight.of(Found(), PARENT, b"", b"").birth_ns == 1_500_000_000


CHANGES = {
    "nothing": ({}, True),
    "renamed, or its mode changed": ({"parent": 8, "name": b"other", "change_ns": 9000}, True),
    "written to": ({"size": 120, "write_ns": 9000, "change_ns": 9000}, True),
    "written to, having been read before": ({"write_ns": 9000, "access_ns": 6000, "change_ns": 9000}, True),
    "written to and renamed": ({"name": b"other", "write_ns": 9000, "change_ns": 9000}, False),
    "written to and moved": ({"parent": 8, "write_ns": 9000, "change_ns": 9000}, False),
    "another one": ({"size": 3, "write_ns": 9000, "access_ns": 9000, "change_ns": 9000}, False),
    "another one with the old name": ({"write_ns": 9000, "access_ns": 9000, "change_ns": 9000}, False),
    "a copy with old times": ({"size": 3, "name": b"other", "write_ns": 10, "access_ns": 10}, False),
    "a directory": ({"is_directory": True}, False),
}


@pytest.mark.parametrize("change", CHANGES)
def test_without_a_time_of_birth(parent, change):
    what, same = CHANGES[change]
    assert is_same(THEN, THEN._replace(**what), parent) is same


def test_where_no_name_came_or_went(old_parent):
    read_and_written = THEN._replace(write_ns=9000, access_ns=9000, change_ns=9000)
    assert is_same(THEN, read_and_written, old_parent)


def test_directories(parent):
    """Their times say less: whatever happens in them changes these."""
    used = DIRECTORY._replace(write_ns=9000, access_ns=9000, change_ns=9000)
    assert is_same(DIRECTORY, used, parent)
    assert not is_same(DIRECTORY, used._replace(name=b"other"), parent)
    by_a_link = used._replace(parent=99, name=b".", path=b".")
    assert is_same(DIRECTORY, by_a_link, parent)
    assert by_a_link.keep_place(DIRECTORY) == used
    assert used.keep_place(THEN) is used


def test_with_a_time_of_birth(parent):
    born = THEN._replace(birth_ns=1000)
    everything = {"size": 3, "write_ns": 9000, "access_ns": 9000, "change_ns": 9000, "name": b"other"}
    assert is_same(born, born._replace(**everything), parent)
    assert not is_same(born, born._replace(birth_ns=1001), parent)
    assert is_same(born, born._replace(birth_ns=999), parent)  # as when the write time was set to that
    assert not is_same(born, born._replace(birth_ns=999, **everything), parent)
    assert is_same(THEN, born, parent)  # the tree was served on another system before
