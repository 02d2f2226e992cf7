"""T2: smbport_freebsd.vnodes, as on FreeBSD 13 and 14, over a kqueue made of inotify."""

import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from smbport.platform import ACCESS_READ, WatchChange, Watcher, WatchEvent
from smbport_freebsd import vnodes
from smbport_freebsd.calls import Calls
from smbport_freebsd.platform import FreeBSDPlatform
from smbport_freebsd.vnodes import VnodeWatcher

C = WatchChange
NAMES = (C.ADDED, C.REMOVED, C.RENAMED_FROM, C.RENAMED_TO)


@pytest.fixture
def watcher(older: FreeBSDPlatform) -> Iterator[Watcher]:
    started = older.watch.start()
    assert isinstance(started, VnodeWatcher)
    yield started
    started.close()


@pytest.fixture
def watch(older: FreeBSDPlatform, share: Path, watcher: Watcher) -> Callable[[str], int]:
    def add(path: str) -> int:
        with (
            closing(older.open_volume(str(share))) as volume,
            closing(volume.open(path, ACCESS_READ, wait=True)) as found,
        ):
            return watcher.add(found)

    return add


def names(events: list[WatchEvent]) -> list[tuple[int, str]]:
    return [(event.what, event.name) for event in events if event.what in NAMES]


def test_what_is_written_cut_and_changed(share: Path, watcher: Watcher, watch):
    (share / "file").write_text("data")
    number = watch("")
    (share / "file").write_bytes(b"more")
    assert WatchEvent(number, C.MODIFIED, "file") in watcher.take()
    os.truncate(share / "file", 1)
    assert WatchEvent(number, C.MODIFIED, "file") in watcher.take()
    (share / "file").chmod(0o600)
    assert watcher.take() == [WatchEvent(number, C.ATTRIBUTES, "file")]


def test_what_is_written_before_it_goes(share: Path, watcher: Watcher, watch):
    (share / "file").touch()
    watch("")
    (share / "file").write_text("data")
    (share / "file").rename(share / "other")
    assert [(event.what, event.name) for event in watcher.take()] == [
        (C.MODIFIED, "file"), (C.RENAMED_FROM, "file"), (C.RENAMED_TO, "other"),
    ]  # fmt: skip


def test_names_that_move_up(share: Path, watcher: Watcher, watch):
    """All that goes is told before all that comes, so that no name is taken away from its new owner."""
    for name in "ab":
        (share / name).touch()
    watch("")
    (share / "b").rename(share / "c")
    (share / "a").rename(share / "b")
    events = watcher.take()
    told = names(events)
    assert set(told[:2]) == {(C.RENAMED_FROM, "a"), (C.RENAMED_FROM, "b")}
    assert set(told[2:]) == {(C.RENAMED_TO, "b"), (C.RENAMED_TO, "c")}
    pairs = {(event.what, event.name): event.pair for event in events}
    assert pairs[C.RENAMED_FROM, "a"] == pairs[C.RENAMED_TO, "b"] != pairs[C.RENAMED_FROM, "b"]
    assert pairs[C.RENAMED_FROM, "b"] == pairs[C.RENAMED_TO, "c"]


def test_a_name_that_was_removed_and_made_again(share: Path, watcher: Watcher, watch):
    (share / "file").touch()
    watch("")
    (share / "file").unlink()
    (share / "file").touch()
    assert names(watcher.take()) == [(C.REMOVED, "file"), (C.ADDED, "file")]


def test_a_second_name_and_the_loss_of_it(share: Path, watcher: Watcher, watch):
    """Which is no change of its attributes: a client that makes a link hears of the link only."""
    (share / "file").touch()
    number = watch("")
    os.link(share / "file", share / "second")
    assert watcher.take() == [WatchEvent(number, C.ADDED, "second")]
    (share / "file").unlink()
    assert names(watcher.take()) == [(C.REMOVED, "file")]


def test_several_threads_add(share: Path, watcher: Watcher, watch):
    """While another one takes."""
    folders = [f"folder-{number}" for number in range(20)]
    for name in folders:
        (share / name).mkdir()
        for number in range(20):
            (share / name / f"{number}").touch()
    with ThreadPoolExecutor(4) as pool:
        found = [pool.submit(watch, name) for name in folders for _ in range(4)]
        while not all(each.done() for each in found):
            (share / folders[0] / "0").touch()
            watcher.take()
    numbers = [each.result() for each in found]
    assert numbers == [number for number in numbers[::4] for _ in range(4)]
    assert len(set(numbers)) == 20


def test_what_comes_from_elsewhere(share: Path, watcher: Watcher, watch):
    (share / "elsewhere").mkdir()
    (share / "elsewhere/old").touch()
    os.setxattr(share / "elsewhere/old", "user.standin.birth", (10**18).to_bytes(8, sys.byteorder))
    (share / "watched").mkdir()
    (share / "watched/first").touch()
    watch("watched")
    (share / "elsewhere/old").rename(share / "watched/old")
    assert names(watcher.take()) == [(C.RENAMED_TO, "old")]
    (share / "watched/old").rename(share / "elsewhere/gone")
    assert names(watcher.take()) == [(C.RENAMED_FROM, "old")]
    (share / "elsewhere/gone").rename(share / "watched/back")
    assert names(watcher.take()) == [(C.RENAMED_TO, "back")]
    (share / "elsewhere/young").touch()
    (share / "elsewhere/young").rename(share / "watched/young")
    assert names(watcher.take()) == [(C.ADDED, "young")]  # it cannot be told from what was made there


def test_what_came_and_went_unseen(share: Path, watcher: Watcher, watch):
    watch("")
    (share / "brief").touch()
    (share / "brief").unlink()
    assert names(watcher.take()) == []


def test_a_directory_within(share: Path, watcher: Watcher, watch):
    (share / "directory").mkdir()
    number = watch("")
    (share / "directory/file").touch()
    (share / "directory/below").mkdir()
    assert watcher.take() == []
    (share / "directory").chmod(0o700)
    assert watcher.take() == [WatchEvent(number, C.ATTRIBUTES, "directory", is_directory=True)]
    (share / "directory").rename(share / "moved")
    events = watcher.take()
    assert names(events) == [(C.RENAMED_FROM, "directory"), (C.RENAMED_TO, "moved")]
    assert all(event.is_directory and event.watch == number for event in events if event.what in NAMES)


def test_too_many_entries(share: Path, watcher: Watcher, watch, monkeypatch):
    """Refused at first; later on, the watch ends rather than miss something."""
    monkeypatch.setattr(vnodes, "MAX_NODES", 3)
    for name in "abc":
        (share / name).touch()
    open_before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(OSError, match="No space"):
        watch("")
    assert len(os.listdir("/proc/self/fd")) == open_before
    (share / "c").unlink()
    number = watch("")
    (share / "d").touch()
    assert watcher.take() == [WatchEvent(number, C.GONE)]
    assert len(os.listdir("/proc/self/fd")) == open_before
    watcher.remove(number)


def test_what_vanishes_while_it_is_listed(share: Path, watcher: Watcher, watch, monkeypatch):
    real = Calls.open_at

    def late(self: Calls, directory: int, path: bytes, flags: int, mode: int = 0) -> int:
        if path == b"fleeting":
            (share / "fleeting").unlink()
        return real(self, directory, path, flags, mode)

    monkeypatch.setattr(Calls, "open_at", late)
    (share / "fleeting").touch()
    watch("")
    assert names(watcher.take()) == []
    (share / "file").touch()
    assert names(watcher.take()) == [(C.ADDED, "file")]


def test_a_network_file_system_is_refused(older: FreeBSDPlatform, watch):
    with older.calls.on(b"nfs", local=False), pytest.raises(OSError, match="supported"):
        watch("")
