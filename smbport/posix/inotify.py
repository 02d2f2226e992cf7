"""Watching directories by inotify, the interface of Linux that FreeBSD and QNX have too.

Numbers and calls come from the port: they are alike everywhere, but not the same.
"""

import os
from collections.abc import Callable
from struct import Struct
from typing import Final, NamedTuple

from smbport.platform import Directory, WatchChange, WatchEvent

__all__ = ["InotifyMasks", "InotifyWatcher"]

EVENT: Final = Struct("=iIII")  # watch, mask, cookie, length of the name with its padding
READ_SIZE: Final = 65536
MAX_EVENT: Final = EVENT.size + 512  # names on QNX' Power-Safe file system have up to 510 bytes
MAX_READS: Final = 128  # more than a whole queue of Linux' default, 16384 events of the greatest length


class InotifyMasks(NamedTuple):
    """Bits of events; `options` are bits that only `add` knows."""

    modify: int
    attrib: int
    moved_from: int
    moved_to: int
    create: int
    delete: int
    move_self: int
    ignored: int
    overflow: int
    is_directory: int
    options: int = 0


class InotifyWatcher:
    """A `Watcher` over an inotify descriptor, which is non-blocking and from now on belongs to it.

    `add(directory, mask)` and `remove(watch)` make the system's calls; their OSErrors come out as they are.
    `fills`: one read gives as many events as there is room for, so one that leaves room was the last.
    """

    __slots__ = ("_add", "_fd", "_fills", "_mask", "_masks", "_meanings", "_pair_mask", "_remove", "_watches")

    def __init__(
        self,
        fd: int,
        masks: InotifyMasks,
        add: Callable[[Directory, int], int],
        remove: Callable[[int], None],
        *,
        fills: bool = True,
    ) -> None:
        self._fills = fills
        self._fd = fd
        self._masks = masks
        self._add = add
        self._remove = remove
        self._watches: set[int] = set()
        self._meanings = {
            masks.modify: WatchChange.MODIFIED,
            masks.attrib: WatchChange.ATTRIBUTES,
            masks.moved_from: WatchChange.RENAMED_FROM,
            masks.moved_to: WatchChange.RENAMED_TO,
            masks.create: WatchChange.ADDED,
            masks.delete: WatchChange.REMOVED,
        }
        self._mask = sum(self._meanings)
        self._pair_mask = masks.moved_from | masks.moved_to

    def fileno(self) -> int:
        return self._fd

    def add(self, directory: Directory) -> int:
        masks = self._masks
        watch = self._add(directory, self._mask | masks.move_self | masks.options)
        self._watches.add(watch)
        return watch

    def remove(self, watch: int) -> None:
        if watch in self._watches:
            self._watches.discard(watch)  # what is still queued for it is dropped
            self._remove(watch)

    def take(self) -> list[WatchEvent]:
        events: list[WatchEvent] = []
        for _ in range(MAX_READS):
            try:
                data = os.read(self._fd, READ_SIZE)
            except BlockingIOError:
                break
            self._parse(data, events)
            if self._fills and len(data) <= READ_SIZE - MAX_EVENT:
                break  # one more would have had room
        return events

    def _parse(self, data: bytes, events: list[WatchEvent]) -> None:
        position = 0
        while position < len(data):
            watch, mask, cookie, length = EVENT.unpack_from(data, position)
            start = position + EVENT.size
            position = start + length
            if watch in self._watches:
                name = data[start:position].rstrip(b"\0")
                event = self._translate(watch, mask, cookie, os.fsdecode(name))
                if event is not None:
                    events.append(event)
            elif mask & self._masks.overflow:
                events.append(WatchEvent(0, WatchChange.LOST))

    def _translate(self, watch: int, mask: int, cookie: int, name: str) -> WatchEvent | None:
        masks = self._masks
        what = self._meanings.get(mask & self._mask)
        if name and what is not None:
            pair = cookie if mask & self._pair_mask else 0
            return WatchEvent(watch, what, name, bool(mask & masks.is_directory), pair)
        if mask & masks.move_self:
            return WatchEvent(watch, WatchChange.MOVED)
        if mask & masks.ignored:
            self._watches.discard(watch)
            return WatchEvent(watch, WatchChange.GONE)
        return None  # an attribute of the directory itself, which its parent's watch tells of

    def close(self) -> None:
        os.close(self._fd)
