"""Being told what happens in directories, before FreeBSD 15: kqueue(2) with EVFILT_VNODE, and listing again.

kqueue says of an open file or directory that it was written, changed, renamed or removed; of a directory it says no
names, and nothing of the data of the files in it.  So each entry is held open by O_PATH, which keeps nobody from
anything, and a directory that changed is listed and compared with what it was.  That takes a descriptor for each entry.

What came and went between two calls of `take` is not told, nor in which order things happened in one directory.
"""

import os
from collections.abc import Callable
from contextlib import suppress
from errno import EINVAL, ENOSPC
from itertools import count
from threading import RLock
from typing import Final

from smbport.platform import Directory, FileKey, Stat, WatchChange, WatchEvent
from smbport.posix.differences import Difference, Held, News, Watched
from smbport.posix.walk import error
from smbport_freebsd.calls import (
    NOTE_ATTRIB,
    NOTE_DELETE,
    NOTE_EXTEND,
    NOTE_LINK,
    NOTE_RENAME,
    NOTE_REVOKE,
    NOTE_WRITE,
    Calls,
)
from smbport_freebsd.files import FreeBSDDirectory, reopened
from smbport_freebsd.stats import make_stat

__all__ = ["MAX_NODES", "VnodeWatcher"]

MAX_NODES: Final = 16384  # directories and entries of one watcher; guessed: a small part of kern.maxfilesperproc

MAX_DEPARTED: Final = 1024  # guessed

WRITTEN: Final = NOTE_WRITE | NOTE_EXTEND
ALL: Final = WRITTEN | NOTE_ATTRIB | NOTE_LINK | NOTE_RENAME | NOTE_DELETE | NOTE_REVOKE


class VnodeWatcher:
    """A `Watcher` over a kqueue."""

    __slots__ = (
        "_by_key", "_calls", "_check", "_departed", "_kqueue", "_lock", "_numbers", "_owners", "_pairs", "_watched",
    )  # fmt: skip

    def __init__(self, calls: Calls, check: Callable[[int], None]) -> None:
        self._calls = calls
        self._check = check  # raises OSError for an open directory that must not be watched
        self._kqueue = calls.kqueue()
        self._lock = RLock()  # of all below
        self._numbers = count(1)
        self._pairs = count(1)
        self._watched: dict[int, Watched] = {}
        self._by_key: dict[FileKey, Watched] = {}
        self._departed: dict[tuple[FileKey, int], None] = {}  # what went by a rename, and may come back
        self._owners: dict[int, tuple[Watched, Held | None]] = {}  # by descriptor

    def fileno(self) -> int:
        return self._kqueue

    def add(self, directory: Directory) -> int:
        if not isinstance(directory, FreeBSDDirectory):
            raise error(EINVAL)
        key = directory.stat().key
        with self._lock:
            if key not in self._by_key:
                self._by_key[key] = self._add(directory, key)
            return self._by_key[key].number

    def _add(self, directory: FreeBSDDirectory, key: FileKey) -> Watched:
        with reopened(self._calls, directory.descriptor) as fd:  # PermissionError if it may not be listed
            self._check(fd)
            watched = Watched(next(self._numbers), os.dup(fd), key)
        try:
            self._hold(watched.fd, watched, None)
            self._list(watched)
        except OSError:
            self._drop(watched)
            raise
        self._watched[watched.number] = watched
        return watched

    def remove(self, watch: int) -> None:
        with self._lock:
            watched = self._watched.pop(watch, None)
            if watched is not None:
                del self._by_key[watched.key]
                self._drop(watched)

    def close(self) -> None:
        for number in list(self._watched):
            self.remove(number)
        os.close(self._kqueue)

    def take(self) -> list[WatchEvent]:
        with self._lock:
            return self._take()

    def _take(self) -> list[WatchEvent]:
        looks: dict[int, int] = {}  # number of a watch -> what happened to the directory itself
        for fd, notes in self._calls.take_vnode_events(self._kqueue).items():
            watched, entry = self._owners[fd]
            looks[watched.number] = looks.get(watched.number, 0) | (notes if entry is None else 0)
            if entry is not None:
                entry.notes |= notes
        news = News()
        for number, notes in looks.items():
            self._look(self._watched[number], notes, news)
        events = news.told(self._pairs)
        for gone in news.gone:
            if gone.by_rename:
                self._departed[gone.entry.identity] = None
            self._release(gone.entry.fd)
        for identity in list(self._departed)[:-MAX_DEPARTED]:
            del self._departed[identity]
        for event in news.over:
            if event.what == WatchChange.GONE:
                self.remove(event.watch)
        return events

    def _look(self, watched: Watched, notes: int, news: News) -> None:
        before, since_ns = watched.entries, watched.listed_ns
        if notes & NOTE_RENAME:
            news.over.append(WatchEvent(watched.number, WatchChange.MOVED))
        if notes & (WRITTEN | NOTE_LINK):
            try:
                self._list(watched)
            except OSError:  # no descriptors left, for example: from here on changes would be missed
                notes |= NOTE_REVOKE
        for name, entry in before.items():
            is_gone = watched.entries.get(name) is not entry
            if entry.notes or is_gone:
                kept = self._suffered(watched, name, entry, news)
                if is_gone:
                    news.gone.append(Difference(watched, name, entry, kept))
        for name, entry in watched.entries.items():
            if before.get(name) is not entry:
                news.come.append(Difference(watched, name, entry, self._was_elsewhere(entry, since_ns)))
        if notes & (NOTE_DELETE | NOTE_REVOKE):
            news.over.append(WatchEvent(watched.number, WatchChange.GONE))

    def _was_elsewhere(self, entry: Held, since_ns: int) -> bool:
        """Whether what has come must have had another name before; if in doubt, it is new."""
        has_one_name = entry.is_directory or entry.state.links == 1
        return has_one_name and (entry.identity in self._departed or entry.state.birth_ns < since_ns)

    def _suffered(self, watched: Watched, name: str, entry: Held, news: News) -> bool:
        """Say what happened to an entry itself; whether it has as many names as before."""
        now = self._state(entry.fd)
        notes, before = entry.notes, entry.state
        entry.notes, entry.state = 0, now
        # To cut a file is said to be a change of attributes only.
        is_written = notes & WRITTEN or (now.size, now.write_ns) != (before.size, before.write_ns)
        if is_written and not entry.is_directory:
            news.suffered.append(WatchEvent(watched.number, WatchChange.MODIFIED, name))
        # NOTE_LINK, another name or subdirectory, is no change of attributes: inotify does not tell of it either.
        if notes & NOTE_ATTRIB and now.links:
            news.suffered.append(WatchEvent(watched.number, WatchChange.ATTRIBUTES, name, entry.is_directory))
        return 0 < now.links >= before.links or (entry.is_directory and now.links > 0)

    def _list(self, watched: Watched) -> None:
        """Look which names there are now, keeping the entries that are what they were; all, or OSError."""
        listed_ns = self._state(watched.fd).change_ns
        with os.scandir(watched.fd) as scan:
            found = {name.name: name.inode() for name in scan}
        entries: dict[str, Held] = {}
        try:
            for name, inode in found.items():
                entry = watched.entries.get(name)
                if entry is not None and entry.state.key.inode == inode and self._state(entry.fd).links:
                    entries[name] = entry
                else:
                    with suppress(FileNotFoundError):
                        entries[name] = self._open(watched, name)
        except OSError:
            for name, entry in entries.items():
                if watched.entries.get(name) is not entry:
                    self._release(entry.fd)
            raise
        watched.entries, watched.listed_ns = entries, listed_ns

    def _open(self, watched: Watched, name: str) -> Held:
        fd = self._calls.open_path(watched.fd, os.fsencode(name))
        try:
            entry = Held(fd, self._state(fd))
            self._hold(fd, watched, entry)
            entry.state = self._state(fd)  # what happens from now on is told
        except OSError:
            self._release(fd)
            raise
        return entry

    def _state(self, fd: int) -> Stat:
        return make_stat(self._calls.state(fd))

    def _hold(self, fd: int, watched: Watched, entry: Held | None) -> None:
        if len(self._owners) >= MAX_NODES:
            raise error(ENOSPC)
        self._calls.watch_vnode(self._kqueue, fd, ALL)
        self._owners[fd] = watched, entry

    def _drop(self, watched: Watched) -> None:
        for entry in watched.entries.values():
            self._release(entry.fd)
        self._release(watched.fd)

    def _release(self, fd: int) -> None:
        if self._owners.pop(fd, None) is not None:
            with suppress(OSError):  # what was unmounted may be forgotten already
                self._calls.unwatch_vnode(self._kqueue, fd)
        os.close(fd)
