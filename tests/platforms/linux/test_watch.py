"""inotify as Linux has it."""

import errno
import os
import subprocess

import pytest

from smbport.platform import ACCESS_NONE, ACCESS_READ, WatchChange
from smbport_linux import calls, watch
from smbport_linux.watch import LinuxWatch, why_no_watch


@pytest.fixture
def watcher():
    watcher = LinuxWatch().start()
    yield watcher
    watcher.close()


@pytest.fixture
def number(watcher, volume):
    directory = volume.open("", ACCESS_READ)
    number = watcher.add(directory)
    directory.close()
    return number


def told(watcher):
    return [(event.what, event.name) for event in watcher.take()]


def test_a_local_program_is_seen(watcher, number, share):
    subprocess.run(["sh", "-c", "echo data > a; mv a b; chmod 600 b; mkdir d; rm b; rmdir d"], cwd=share, check=True)
    assert told(watcher) == [
        (WatchChange.ADDED, "a"),
        (WatchChange.MODIFIED, "a"),
        (WatchChange.RENAMED_FROM, "a"),
        (WatchChange.RENAMED_TO, "b"),
        (WatchChange.ATTRIBUTES, "b"),
        (WatchChange.ADDED, "d"),
        (WatchChange.REMOVED, "b"),
        (WatchChange.REMOVED, "d"),
    ]


def test_names_of_any_bytes(watcher, number, share):
    name = os.fsencode(share) + b"/" + b"\xff\n" * 127
    os.close(os.open(name, os.O_CREAT, 0o600))
    assert told(watcher) == [(WatchChange.ADDED, "\udcff\n" * 127)]


def test_a_handle_without_access_will_do(watcher, number, volume):
    directory = volume.open("", ACCESS_NONE)
    assert watcher.add(directory) == number
    directory.close()


def test_writing_to_what_has_no_name_any_more_is_not_told(watcher, number, share):
    with open(share / "file", "w") as file:
        os.unlink(share / "file")
        watcher.take()
        file.write("data")
    assert told(watcher) == []


def test_overflow(watcher, number, share):
    with open("/proc/sys/fs/inotify/max_queued_events") as file:
        count = int(file.read())
    if count > 100_000:
        pytest.skip("the queue is too long to fill")
    for _ in range(count // 2 + 1):
        os.mkdir(share / "d")
        os.rmdir(share / "d")
    assert told(watcher)[-1] == (WatchChange.LOST, "")


def test_only_what_nobody_else_changes_is_watched(watcher, volume, monkeypatch):
    monkeypatch.setattr(calls, "FILE_SYSTEM_TYPES", {})
    directory = volume.open("", ACCESS_READ)
    with pytest.raises(OSError, match="supported") as caught:
        watcher.add(directory)
    assert caught.value.errno == errno.ENOTSUP
    directory.close()


def test_what_is_no_directory(watcher, volume, share):
    (share / "file").touch()
    file = volume.open("file", ACCESS_READ)
    with pytest.raises(NotADirectoryError):
        watcher.add(file)
    file.close()


def test_nothing_is_left_open():
    before = os.listdir("/dev/fd")
    assert why_no_watch() == ""
    assert os.listdir("/dev/fd") == before


def test_why_not(monkeypatch):
    def refuse():
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(watch, "inotify_init", refuse)
    assert why_no_watch() == "inotify cannot be used: Too many open files."
