"""inotify's records, with numbers of no system at all: what is made of them is the port's, not Linux'."""

import os
import struct

import pytest

from smbport.platform import WatchChange, WatchEvent
from smbport.posix import inotify
from smbport.posix.inotify import InotifyMasks, InotifyWatcher

MASKS = InotifyMasks(
    modify=1 << 10, attrib=1 << 11, moved_from=1 << 12, moved_to=1 << 13, create=1 << 14, delete=1 << 15,
    move_self=1 << 16, ignored=1 << 17, overflow=1 << 18, is_directory=1 << 19, options=1 << 20,
)  # fmt: skip


class System:
    """Calls that are made, and records that are to be read."""

    def __init__(self):
        self.reader, self.writer = os.pipe()
        os.set_blocking(self.reader, False)
        self.calls = []
        self.next_watch = 6

    def add(self, directory, mask):
        self.calls.append(("add", directory, mask))
        self.next_watch += 1
        return self.next_watch

    def remove(self, watch):
        self.calls.append(("remove", watch))

    def tell(self, watch, mask, name=b"", cookie=0, padding=1):
        name += bytes(padding) if name else b""
        os.write(self.writer, struct.pack("=iIII", watch, mask, cookie, len(name)) + name)


@pytest.fixture
def system():
    system = System()
    yield system
    os.close(system.writer)


@pytest.fixture
def watcher(system):
    watcher = InotifyWatcher(system.reader, MASKS, system.add, system.remove)
    yield watcher
    watcher.close()


@pytest.fixture
def watch(watcher):
    return watcher.add("a directory")


def test_what_is_asked_for(system, watcher, watch):
    assert watch == 7
    entries = MASKS.modify | MASKS.attrib | MASKS.moved_from | MASKS.moved_to | MASKS.create | MASKS.delete
    assert system.calls == [("add", "a directory", entries | MASKS.move_self | MASKS.options)]
    assert watcher.fileno() == system.reader
    assert watcher.take() == []


@pytest.mark.parametrize(
    ("mask", "what", "pair"),
    [
        (MASKS.modify, WatchChange.MODIFIED, 0),
        (MASKS.attrib, WatchChange.ATTRIBUTES, 0),
        (MASKS.create, WatchChange.ADDED, 0),
        (MASKS.delete, WatchChange.REMOVED, 0),
        (MASKS.moved_from, WatchChange.RENAMED_FROM, 99),
        (MASKS.moved_to, WatchChange.RENAMED_TO, 99),
    ],
)
def test_entries(system, watcher, watch, mask, what, pair):
    system.tell(watch, mask, b"name", cookie=99)
    system.tell(watch, mask | MASKS.is_directory, b"\xff long", cookie=99, padding=30)
    assert watcher.take() == [
        WatchEvent(watch, what, "name", False, pair),
        WatchEvent(watch, what, "\udcff long", True, pair),
    ]
    assert watcher.take() == []


def test_the_directory_itself(system, watcher, watch):
    system.tell(watch, MASKS.attrib | MASKS.is_directory)
    system.tell(watch, MASKS.move_self)
    system.tell(watch, MASKS.ignored)
    system.tell(watch, MASKS.create, b"what cannot be")
    assert watcher.take() == [WatchEvent(watch, WatchChange.MOVED), WatchEvent(watch, WatchChange.GONE)]
    watcher.remove(watch)
    assert len(system.calls) == 1


def test_what_is_removed_is_not_told_of(system, watcher, watch):
    system.tell(watch, MASKS.create, b"before")
    watcher.remove(watch)
    watcher.remove(watch)
    system.tell(watch, MASKS.ignored)
    assert watcher.take() == []
    assert system.calls[1:] == [("remove", watch)]


def test_overflow(system, watcher, watch):
    system.tell(-1, MASKS.overflow)
    assert watcher.take() == [WatchEvent(0, WatchChange.LOST)]


def test_more_than_one_read_takes(system, watcher, watch):
    for number in range(240):
        system.tell(watch, MASKS.create, b"%0200d" % number)
    assert [int(event.name) for event in watcher.take()] == list(range(240))


def test_more_than_one_take_reads(system, watcher, watch, monkeypatch):
    """Whoever makes changes faster than they can be read does not keep the event loop for ever."""
    monkeypatch.setattr(inotify, "MAX_READS", 1)
    monkeypatch.setattr(inotify, "READ_SIZE", 4 * 216)
    monkeypatch.setattr(inotify, "MAX_EVENT", 216)
    for number in range(10):
        system.tell(watch, MASKS.create, b"%0199d" % number)
    assert [len(watcher.take()) for _ in range(4)] == [4, 4, 2, 0]


def test_errors_come_out(system, watcher):
    def refuse(directory, mask):
        raise OSError(28, "full")

    watcher = InotifyWatcher(system.reader, MASKS, refuse, system.remove)
    with pytest.raises(OSError, match="full"):
        watcher.add("a directory")


def test_a_read_may_give_less_than_there_is(system, monkeypatch):
    """On a system that gives one event at a time, `take` still gives all that happened."""
    watcher = InotifyWatcher(system.reader, MASKS, system.add, system.remove, fills=False)
    watch = watcher.add("a directory")
    for name in (b"first", b"second"):
        system.tell(watch, MASKS.create, name, padding=8 - len(name))
    read, one_event = os.read, struct.calcsize("=iIII") + 8
    monkeypatch.setattr(inotify.os, "read", lambda fd, size: read(fd, one_event))
    assert [event.name for event in watcher.take()] == ["first", "second"]
    monkeypatch.undo()
    watcher.close()
