"""smbport_qnx.watch: a path must stand for what is open, and what cannot be relied on is not used."""

import ctypes
import errno
import os
import select
from contextlib import closing

import pytest

from smbport.platform import ACCESS_NONE, ACCESS_READ, WatchChange
from smbport.posix.files import NamedDirectory
from smbport_qnx import watch as module
from smbport_qnx.calls import Calls
from smbport_qnx.platform import probe
from smbport_qnx.watch import QnxWatch, why_no_watch


@pytest.fixture
def share(tmp_path):
    (tmp_path / "share/d").mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    return tmp_path / "share"


@pytest.fixture
def volume(calls, share):
    with closing(probe(calls).open_volume(str(share))) as opened:
        yield opened


@pytest.fixture
def watcher(calls):
    with closing(QnxWatch(calls).start()) as started:
        yield started


@pytest.fixture
def directory(volume):
    with closing(volume.open("d", ACCESS_READ, wait=True)) as opened:
        yield opened


def test_what_is_told(watcher, directory, share):
    watch = watcher.add(directory)
    (share / "d/file").touch()
    assert (watch, WatchChange.ADDED, "file") in [(event.watch, event.what, event.name) for event in watcher.take()]


def test_the_root_and_what_links_lead_to(watcher, volume, share):
    (share / "link").symlink_to("d")
    numbers = []
    for path in ("", "d", "link"):
        with closing(volume.open(path, ACCESS_NONE, wait=True)) as opened:
            numbers.append(watcher.add(opened))
    assert numbers[0] != numbers[1] == numbers[2]


@pytest.mark.parametrize("name", ["nfs", "cifs", "tmpfs", ""])
def test_file_systems_that_others_change(library, watcher, directory, name):
    (ctypes.c_char * 16).in_dll(library, "base_type").value = name.encode()
    with pytest.raises(OSError, match=f"Errno {errno.ENOTSUP}]"):
        watcher.add(directory)


def test_a_directory_that_has_moved(watcher, directory, share):
    (share / "d").rename(share / "elsewhere")
    with pytest.raises(FileNotFoundError):
        watcher.add(directory)
    (share / "d").mkdir()
    with pytest.raises(FileNotFoundError):
        watcher.add(directory)
    assert watcher.take() == []


def test_a_directory_behind_a_link_out_of_the_volume(watcher, directory, share):
    (share / "d").rename(share / "../outside/d")
    (share / "d").symlink_to("../outside/d")
    with pytest.raises(FileNotFoundError):
        watcher.add(directory)


def test_a_directory_that_is_swapped_meanwhile(calls, watcher, directory, share, monkeypatch):
    real = calls.inotify_add_watch

    def swapped(fd, path, mask):
        (share / "d").rename(share / "elsewhere")
        (share / "d").mkdir()
        return real(fd, path, mask)

    monkeypatch.setattr(calls, "inotify_add_watch", swapped)
    with pytest.raises(FileNotFoundError):
        watcher.add(directory)
    (share / "d/secret").touch()
    assert watcher.take() == []


def test_a_directory_that_may_not_be_listed(watcher, volume, share):
    fd = os.open(share, os.O_RDONLY)
    unlisted = NamedDirectory(fd, b"d", volume.stat("d", wait=True), volume, "d")
    with closing(unlisted), pytest.raises(PermissionError):
        watcher.add(unlisted)


def test_foreign_handles(watcher):
    with pytest.raises(OSError, match=f"Errno {errno.EINVAL}]"):
        watcher.add("a directory")


# Whether it can be relied on ------------------------------------------------------------------------------------


def test_it_can(calls, tmp_path):
    before = os.listdir("/dev/fd")
    assert why_no_watch(calls, [str(tmp_path)]) == ""
    assert os.listdir("/dev/fd") == before
    assert list(tmp_path.iterdir()) == []


def test_there_is_none():
    assert "cannot be used: Function not implemented" in why_no_watch(Calls([]))


def test_there_is_no_place_to_try(library, calls, tmp_path):
    (ctypes.c_char * 16).in_dll(library, "base_type").value = b"shmem"
    assert "set TMPDIR" in why_no_watch(calls, [str(tmp_path), str(tmp_path / "none")])


def test_the_second_place_is_tried(calls, tmp_path):
    assert why_no_watch(calls, [str(tmp_path / "none"), str(tmp_path)]) == ""


def test_its_descriptor_is_not_readable(calls, tmp_path, monkeypatch):
    monkeypatch.setattr(module.select, "select", lambda *descriptors: ([], [], []))
    assert "not readable" in why_no_watch(calls, [str(tmp_path)])


def test_it_tells_of_something_else(calls, tmp_path, monkeypatch):
    monkeypatch.setattr(module.InotifyWatcher, "take", lambda self: [])
    monkeypatch.setattr(select, "select", lambda *descriptors: ([0], [], []))
    assert "does not tell" in why_no_watch(calls, [str(tmp_path)])
