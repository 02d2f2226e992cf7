"""Snapshots that are directories: those of snapper, ZFS and btrfs, and whatever else keeps its copies in that way.

They are looked for anew for each request: an administrator takes and removes them while the server runs, and an open
file keeps a snapshot from being unmounted, so nothing of it is kept open longer than a client wants it.
"""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from errno import ENOENT
from typing import Final

from smbport.platform import SnapshotLayout, Volume
from smbport.posix.frozen import FrozenVolume
from smbport.posix.nodes import check_wait
from smbport.posix.walk import PASS_THROUGH, PLAIN, Root, Walker, error

__all__ = ["PosixSnapshots"]

SECOND: Final = 10**9
LIST: Final = os.O_RDONLY | os.O_DIRECTORY | PLAIN
ENTER: Final = PASS_THROUGH & ~os.O_NOFOLLOW
NOT_THERE: Final = (FileNotFoundError, NotADirectoryError)
MAX_INFO: Final = 65536  # bytes of an info.xml that are looked at
DATE: Final = re.compile(rb"<date>\s*([0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2})\s*</date>")


class PosixSnapshots:
    """The power `snapshots`.  `new_volume` makes a volume of a root, which it takes over unless it raises."""

    def __init__(self, new_volume: Callable[[Root], Volume], new_walker: Callable[[Root], Walker] = Walker) -> None:
        self._new_volume = new_volume
        self._new_walker = new_walker

    def times(self, path: str, layout: SnapshotLayout, *, wait: bool = False) -> list[int]:
        check_wait(wait)
        with suppress(*NOT_THERE), self._entered(path, layout) as walker:
            return sorted({taken for _, taken in find_snapshots(walker, layout)}, reverse=True)
        return []

    def open(self, path: str, layout: SnapshotLayout, time_ns: int, *, wait: bool = False) -> Volume:
        check_wait(wait)
        with self._entered(path, layout) as walker:
            names = [name for name, taken in find_snapshots(walker, layout) if taken == time_ns]
            if not names:
                raise error(ENOENT)
            inside = f"{max(names)}/{layout.below}" if layout.below else max(names)
            # Absolute links of the volume mean what was in it then, so the root keeps its path.
            root = Root(path, walker.open(os.fsencode(inside), ENTER))
        try:
            return FrozenVolume(self._new_volume(root))
        except OSError:
            root.close()
            raise

    @contextmanager
    def _entered(self, path: str, layout: SnapshotLayout) -> Iterator[Walker]:
        """In the directory of the snapshots.  One inside the volume is found without leaving that."""
        if layout.directory.startswith("/"):
            root = Root(layout.directory)
        else:
            volume = Root(path)
            try:
                beneath = os.fsencode(layout.directory) or b"."
                root = Root(layout.directory, self._new_walker(volume).open(beneath, ENTER))
            finally:
                volume.close()
        try:
            yield self._new_walker(root)
        finally:
            root.close()


def find_snapshots(walker: Walker, layout: SnapshotLayout) -> Iterator[tuple[str, int]]:
    """(name, time) of each."""
    fd = walker.open(b".", LIST)
    try:
        with os.scandir(fd) as scan:
            names = [entry.name for entry in scan if layout.pattern.fullmatch(entry.name) and is_directory(entry)]
        for name in names:
            with suppress(OSError):  # it is being removed
                taken = find_time(walker, layout, name)
                if taken is not None:
                    yield name, taken // SECOND * SECOND
    finally:
        os.close(fd)


def is_directory(entry: os.DirEntry[str]) -> bool:
    """A link is no snapshot: the newest one often has a second name."""
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:
        return False


def find_time(walker: Walker, layout: SnapshotLayout, name: str) -> int | None:
    """When the snapshot was taken; None if that is not to be known."""
    if layout.times == "modified":
        return os.stat(name, dir_fd=walker.root.fd, follow_symlinks=False).st_mtime_ns
    if layout.times != "snapper":
        return layout.time_in(name)
    fd = walker.open(os.fsencode(name) + b"/info.xml", os.O_RDONLY | PLAIN)
    try:
        found = DATE.search(os.pread(fd, MAX_INFO, 0))
    finally:
        os.close(fd)
    if found is None:
        return None
    try:
        taken = datetime.strptime(found[1].decode(), "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    except ValueError:  # the thirtieth of February
        return None
    return int(taken.timestamp()) * SECOND
