"""The watch of a MemoryPlatform, where the exam does not look."""

import select

import pytest

from smbport.platform import ACCESS_READ, WatchChange, WatchEvent
from smbport.testing.memory import MemoryPlatform
from smbport.testing.watches import MemoryWatch


def scene(**limits):
    platform = MemoryPlatform(watch=MemoryWatch(**limits))
    volume = platform.open_volume("v")
    watcher = platform.watch.start()
    return volume, watcher, watcher.add(volume.open("", ACCESS_READ))


def is_readable(watcher):
    return bool(select.select([watcher.fileno()], [], [], 0)[0])


def make(volume, name):
    volume.create(name, ACCESS_READ, 0o644).close()


def test_equal_events_in_a_row_are_one():
    volume, watcher, number = scene()
    make(volume, "a")
    node = volume.open("a", 0)
    node.set_mode(0o600)
    node.set_mode(0o640)
    assert watcher.take() == [WatchEvent(number, WatchChange.ADDED, "a"), WatchEvent(number, 6, "a")]


def test_too_many_events_are_lost():
    volume, watcher, number = scene(max_events=2)
    for name in "abcde":
        make(volume, name)
    assert watcher.take() == [
        WatchEvent(number, WatchChange.ADDED, "a"),
        WatchEvent(number, WatchChange.ADDED, "b"),
        WatchEvent(0, WatchChange.LOST),
    ]
    make(volume, "f")
    assert len(watcher.take()) == 1


def test_too_many_watches_are_refused():
    volume, watcher, number = scene(max_watches=1)
    below = volume.make_directory("d", 0o755)
    with pytest.raises(OSError, match="space"):
        watcher.add(below)
    watcher.remove(number)
    assert watcher.add(below) != number


def test_what_is_no_directory_is_refused():
    volume, watcher, _ = scene()
    with pytest.raises(NotADirectoryError):
        watcher.add(volume.create("f", ACCESS_READ, 0o644))


def test_the_descriptor_says_whether_something_waits():
    volume, watcher, number = scene()
    make(volume, "before it was asked for")
    assert is_readable(watcher)
    watcher.remove(number)
    assert not is_readable(watcher)
    assert watcher.take() == []
    again = watcher.add(volume.open("", ACCESS_READ))
    make(volume, "a")
    make(volume, "b")
    assert is_readable(watcher)
    assert len(watcher.take()) == 2
    assert not is_readable(watcher)
    watcher.remove(again)
    watcher.close()


def test_watchers_do_not_take_from_each_other():
    platform = MemoryPlatform()
    volume, other = platform.open_volume("v"), platform.open_volume("w")
    watchers = [platform.watch.start() for _ in range(3)]
    for watcher in watchers:
        watcher.add(volume.open("", ACCESS_READ))
    watchers.pop().close()
    make(volume, "a")
    make(other, "b")
    assert [[event.name for event in watcher.take()] for watcher in watchers] == [["a"], ["a"]]
