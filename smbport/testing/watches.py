"""The power `watch` of a MemoryPlatform.  As with inotify, every change is told of, whoever makes it.

Equal events in a row are told once, and when too many wait to be taken, what waits is LOST.
"""

import errno
import socket
from threading import Lock
from typing import TYPE_CHECKING, Final

from smbport.platform import Directory, WatchChange, WatchEvent
from smbport.testing.handles import own_node
from smbport.testing.inodes import DirectoryInode, Inode, failure

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["MemoryWatch", "MemoryWatcher"]

MAX_WATCHES: Final = 65536
MAX_EVENTS: Final = 16384  # Linux' fs.inotify.max_queued_events


class MemoryWatcher:
    """Directories by number, and events that wait.  Told of changes on any thread, used on one."""

    def __init__(self, max_watches: int, max_events: int, closed: "Callable[[MemoryWatcher], None]") -> None:
        self._max_watches = max_watches
        self._max_events = max_events
        self._closed = closed
        self._watched: dict[int, DirectoryInode] = {}
        self._last_number = 0
        self._events: list[WatchEvent] = []
        self._lock = Lock()
        self._bell: tuple[socket.socket, socket.socket] | None = None  # its two ends, once somebody asks for one

    def fileno(self) -> int:
        with self._lock:
            if self._bell is None:
                self._bell = socket.socketpair()
                self._bell[0].setblocking(False)
                if self._events:
                    self._ring()
            return self._bell[0].fileno()

    def _ring(self) -> None:
        if self._bell is not None:
            self._bell[1].send(b"!")

    def add(self, directory: Directory) -> int:
        with own_node(directory).reading() as inode, self._lock:
            if not isinstance(inode, DirectoryInode):
                raise failure(errno.ENOTDIR)
            for number, watched in self._watched.items():
                if watched is inode:
                    return number
            if len(self._watched) >= self._max_watches:
                raise failure(errno.ENOSPC)
            self._last_number += 1
            self._watched[self._last_number] = inode
            return self._last_number

    def remove(self, watch: int) -> None:
        with self._lock:
            self._watched.pop(watch, None)
            kept = [event for event in self._events if event.watch != watch]
            if self._events and not kept and self._bell is not None:
                self._bell[0].recv(1)
            self._events = kept

    def take(self) -> list[WatchEvent]:
        with self._lock:
            events, self._events = self._events, []
            if events and self._bell is not None:
                self._bell[0].recv(1)
        return events

    def close(self) -> None:
        self._closed(self)
        for end in self._bell or ():
            end.close()

    def tell_of_entry(self, directory: DirectoryInode, what: int, name: str, inode: Inode, pair: int) -> None:
        """A name came or went."""
        is_directory = isinstance(inode, DirectoryInode)
        with self._lock:
            for number, watched in self._watched.items():
                if watched is directory:
                    self._append(WatchEvent(number, what, name, is_directory, pair))

    def tell_of_node(self, inode: Inode, what: int) -> None:
        """What some names stand for has changed."""
        is_directory = isinstance(inode, DirectoryInode)
        with self._lock:
            for number, watched in self._watched.items():
                for name, child in watched.children.items():
                    if child is inode:
                        self._append(WatchEvent(number, what, name, is_directory))

    def tell_of_itself(self, inode: Inode, what: int) -> None:
        """A directory was moved or is gone."""
        with self._lock:
            for number in [number for number, watched in self._watched.items() if watched is inode]:
                self._append(WatchEvent(number, what))
                if what == WatchChange.GONE:
                    del self._watched[number]

    def _append(self, event: WatchEvent) -> None:
        if self._events and self._events[-1] == event:
            return
        if not self._events:
            self._ring()
        if len(self._events) >= self._max_events:
            event = WatchEvent(0, WatchChange.LOST)
            if self._events[-1] == event:
                return
        self._events.append(event)


class MemoryWatch:
    """The power itself; all volumes of a platform tell it of changes."""

    def __init__(self, *, max_watches: int = MAX_WATCHES, max_events: int = MAX_EVENTS) -> None:
        self._max_watches = max_watches
        self._max_events = max_events
        self._watchers: tuple[MemoryWatcher, ...] = ()
        self._pairs = 0

    def start(self) -> MemoryWatcher:
        watcher = MemoryWatcher(self._max_watches, self._max_events, self._forget)
        self._watchers = (*self._watchers, watcher)
        return watcher

    def _forget(self, watcher: MemoryWatcher) -> None:
        self._watchers = tuple(other for other in self._watchers if other is not watcher)

    def entered(self, directory: DirectoryInode, name: str, inode: Inode) -> None:
        """A name was made."""
        for watcher in self._watchers:
            watcher.tell_of_entry(directory, WatchChange.ADDED, name, inode, 0)

    def left(self, directory: DirectoryInode, name: str, inode: Inode) -> None:
        """A name was removed."""
        for watcher in self._watchers:
            watcher.tell_of_entry(directory, WatchChange.REMOVED, name, inode, 0)
        self.ended(inode)

    def moved(self, source: DirectoryInode, old_name: str, target: DirectoryInode, new_name: str, inode: Inode) -> None:
        """A name was changed."""
        self._pairs += 1
        for watcher in self._watchers:
            watcher.tell_of_entry(source, WatchChange.RENAMED_FROM, old_name, inode, self._pairs)
            watcher.tell_of_entry(target, WatchChange.RENAMED_TO, new_name, inode, self._pairs)
            watcher.tell_of_itself(inode, WatchChange.MOVED)

    def ended(self, inode: Inode) -> None:
        """If it was a directory, it has no name any more."""
        if isinstance(inode, DirectoryInode):
            for watcher in self._watchers:
                watcher.tell_of_itself(inode, WatchChange.GONE)

    def changed(self, inode: Inode, what: int) -> None:
        """Data (WatchChange.MODIFIED) or ATTRIBUTES of an inode."""
        for watcher in self._watchers:
            watcher.tell_of_node(inode, what)
