"""smbport_linux.stats, and marks as volumes keep them."""

import os
import time
from contextlib import closing
from pathlib import Path

import pytest

from smbport.platform import ACCESS_NONE, ACCESS_READ, Kind
from smbport.posix import marks as posix_marks
from smbport.posix.dosattrib import ATTRIBUTE_NAME, NO_MARKS, Marks, pack_marks, parse_marks
from smbport_linux import stats
from smbport_linux.stats import read_entry_marks, read_open_state
from smbport_linux.volume import LinuxVolume

VERSION_5 = bytes.fromhex("000005000500000011000000220000000000c0b9b5cfda01")


@pytest.fixture(autouse=True)
def marks(volume: LinuxVolume) -> None:
    if not volume.features.stores_marks:
        pytest.skip(f"{volume.features.file_system} keeps no user attributes")


def test_a_state_is_what_python_says(share: Path):
    (share / "file").write_text("text")
    fd = os.open(share / "file", os.O_RDONLY)
    expected, found = os.fstat(fd), read_open_state(fd)
    os.close(fd)
    assert found.key == (expected.st_dev, expected.st_ino)
    assert (found.size, found.allocated, found.links) == (4, expected.st_blocks * 512, 1)
    assert (found.access_ns, found.write_ns) == (expected.st_atime_ns, expected.st_mtime_ns)
    assert (found.change_ns, found.mode) == (expected.st_ctime_ns, expected.st_mode & 0o7777)
    assert (found.uid, found.gid, found.kind) == (expected.st_uid, expected.st_gid, Kind.FILE)


def test_devices_of_all_sizes(volume: LinuxVolume):
    for path in ("/dev/null", "/proc/self/fd", "/dev/shm", "/sys"):
        if os.path.exists(path):
            fd = os.open(path, os.O_PATH)
            assert read_open_state(fd).key.device == os.fstat(fd).st_dev
            os.close(fd)


def test_birth_time(volume: LinuxVolume, share: Path):
    if not volume.features.birth_time:
        pytest.skip(f"{volume.features.file_system} records no time of birth")
    before = time.time_ns()
    (share / "file").touch()
    os.utime(share / "file", ns=(10**18, 10**18))
    found = volume.stat("file", wait=True)
    assert before - posix_marks.SETTLED_NS < found.birth_ns <= found.change_ns
    with closing(volume.open("", ACCESS_READ, wait=True)) as top, closing(volume.open("file", 0, wait=True)) as file:
        assert top.entries(5, wait=True)[0].stat == file.stat() == found


def test_marks_are_kept_one_by_one(volume: LinuxVolume, share: Path):
    with closing(volume.create("file", 3, 0o600, wait=True)) as file:
        born = file.stat().birth_ns
        file.set_marks(None, None, wait=True)
        assert not os.listxattr(share / "file")
        file.set_marks(0x22, None, wait=True)
        assert (file.stat().dos_attributes, file.stat().birth_ns) == (0x22, born)
        file.set_marks(None, 10**18 + 150, wait=True)
        assert (file.stat().dos_attributes, file.stat().birth_ns) == (0x22, 10**18 + 100)  # FILETIME counts 100 ns
        file.set_marks(0x20, None, wait=True)
        assert (file.stat().dos_attributes, file.stat().birth_ns) == (0x20, 10**18 + 100)
        assert parse_marks(os.getxattr(share / "file", ATTRIBUTE_NAME)) == Marks(0x20, 10**18 + 100)


def test_marks_are_seen_every_way(volume: LinuxVolume, share: Path):
    (share / "dir").mkdir()
    (share / "link").symlink_to("dir")
    os.setxattr(share / "dir", ATTRIBUTE_NAME, VERSION_5)
    birth_ns = parse_marks(VERSION_5).birth_ns
    with closing(volume.open("", ACCESS_READ, wait=True)) as top:
        found = [entry.stat for entry in top.entries(5, wait=True)]
    found += [volume.stat(path, wait=True) for path in ("dir", "link")]
    for access in (ACCESS_NONE, ACCESS_READ):
        with closing(volume.open("dir", access, wait=True)) as node:
            found.append(node.stat())
    assert [(each.dos_attributes, each.birth_ns) for each in found] == [(0x22, birth_ns)] * 6


def test_marks_that_others_change_are_seen(volume: LinuxVolume, share: Path):
    with closing(volume.create("file", 3, 0o600, wait=True)) as file:
        for attributes in range(200):  # as fast as it goes, so that several fall into one tick of the clock
            os.setxattr(share / "file", ATTRIBUTE_NAME, pack_marks(Marks(attributes, None)))
            assert file.stat().dos_attributes == attributes
        os.removexattr(share / "file", ATTRIBUTE_NAME)
        assert file.stat().dos_attributes is None


@pytest.mark.pure_only  # changes a constant, and takes a function away
def test_settled_marks_are_not_read_again(volume: LinuxVolume, share: Path, monkeypatch):
    monkeypatch.setattr(posix_marks, "SETTLED_NS", -(1 << 62))
    (share / "file").touch()
    os.setxattr(share / "file", ATTRIBUTE_NAME, VERSION_5)
    with closing(volume.open("file", ACCESS_READ, wait=True)) as file, closing(volume.open("", 1, wait=True)) as top:
        assert file.stat().dos_attributes == 0x22
        monkeypatch.setattr(stats, "parse_marks", None)
        assert file.stat().dos_attributes == 0x22
        assert top.entries(5, wait=True)[0].stat.dos_attributes == 0x22


def test_rubbish_is_no_marks_and_is_replaced(volume: LinuxVolume, share: Path):
    (share / "file").touch()
    os.setxattr(share / "file", ATTRIBUTE_NAME, b"rubbish" * 50)
    with closing(volume.open("file", 3, wait=True)) as file, closing(volume.open("", 1, wait=True)) as top:
        assert file.stat().dos_attributes is None
        assert top.entries(5, wait=True)[0].stat.dos_attributes is None
        file.set_marks(2, None, wait=True)
        assert file.stat().dos_attributes == 2


@pytest.mark.parametrize("by_name", [True, False], ids=["getxattrat", "/proc"])
def test_marks_of_entries(share: Path, monkeypatch, by_name: bool):
    if by_name and not stats.has_getxattrat():
        pytest.skip("this kernel has no getxattrat")
    monkeypatch.setattr(stats, "has_getxattrat", lambda: by_name)
    (share / "marked \udcff").touch()
    os.setxattr(share / "marked \udcff", ATTRIBUTE_NAME, VERSION_5)
    (share / "plain").touch()
    (share / "link").symlink_to("marked \udcff")
    fd = os.open(share, os.O_RDONLY)
    try:
        found = read_entry_marks(fd, [b"marked \xff", b"plain", b"link", b"none"])
    finally:
        os.close(fd)
    assert found == [parse_marks(VERSION_5), NO_MARKS, NO_MARKS, NO_MARKS]


def test_two_who_mark_one_file_do_not_undo_each_other(volume: LinuxVolume, share: Path, monkeypatch):
    """Reading what is stored and writing it back is one step: an inline call does not wait for its turn."""
    with closing(volume.create("file", 3, 0o600, wait=True)) as file:
        with volume._marks_lock, pytest.raises(BlockingIOError):
            file.set_marks(2, None)
        assert file.stat().dos_attributes is None
