"""Being told what happens in directories: inotify of QNX, which io-blk's file systems serve.

It takes a path, while what is to be watched is open.  So the path is looked up before and after, and must stand for
the open directory both times.
"""

import os
import select
from collections.abc import Sequence
from errno import EACCES, EINVAL, ENOENT, ENOTSUP
from functools import partial
from tempfile import TemporaryDirectory
from typing import Final

from smbport.platform import ACCESS_READ, Directory, WatchChange, Watcher
from smbport.posix.files import NamedDirectory, PosixDirectory
from smbport.posix.inotify import InotifyMasks, InotifyWatcher
from smbport.posix.volume import PosixVolume, find_features
from smbport.posix.walk import Root, error
from smbport_qnx.calls import (
    IN_ATTRIB,
    IN_CREATE,
    IN_DELETE,
    IN_DONT_FOLLOW,
    IN_IGNORED,
    IN_ISDIR,
    IN_MODIFY,
    IN_MOVE_SELF,
    IN_MOVED_FROM,
    IN_MOVED_TO,
    IN_ONLYDIR,
    IN_Q_OVERFLOW,
    Calls,
)

__all__ = ["BLOCK_FILE_SYSTEMS", "QNX_MASKS", "QnxWatch", "why_no_watch"]

QNX_MASKS: Final = InotifyMasks(
    modify=IN_MODIFY,
    attrib=IN_ATTRIB,
    moved_from=IN_MOVED_FROM,
    moved_to=IN_MOVED_TO,
    create=IN_CREATE,
    delete=IN_DELETE,
    move_self=IN_MOVE_SELF,
    ignored=IN_IGNORED,
    overflow=IN_Q_OVERFLOW,
    is_directory=IN_ISDIR,
    options=IN_ONLYDIR | IN_DONT_FOLLOW,
)

BLOCK_FILE_SYSTEMS: Final = ("qnx6", "qnx4", "dos", "ext2")
"""What io-blk serves and can be written to; elsewhere, as on network file systems, changes are not seen."""

ATTEMPTS: Final = 16  # guessed: a notice that comes late does so at least once in as many


class QnxWatch:
    """The power `watch`."""

    __slots__ = ("_calls",)

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def start(self) -> InotifyWatcher:
        fd = self._calls.inotify_init()
        remove = partial(self._calls.inotify_remove_watch, fd)
        # How much one read gives is documented nowhere.
        return InotifyWatcher(fd, QNX_MASKS, partial(add, self._calls, fd), remove, fills=False)


def add(calls: Calls, fd: int, directory: Directory, mask: int) -> int:
    if not isinstance(directory, PosixDirectory) or not isinstance(directory.home, PosixVolume):
        raise error(EINVAL)
    if isinstance(directory, NamedDirectory):
        raise error(EACCES)
    target, _ = directory.where()
    if not isinstance(target, int) or calls.file_system(target) not in BLOCK_FILE_SYSTEMS:
        raise error(ENOTSUP)
    path = find_path(directory.home.root.path, directory)
    watch = calls.inotify_add_watch(fd, path, mask)
    # If it is another directory by now, the watch stays: somebody may have asked for it before.  Else nobody will
    # be told of what it sees.
    check_same(path, directory)
    return watch


def find_path(root: bytes, directory: PosixDirectory) -> bytes:
    """The absolute path of an open directory; FileNotFoundError if it has moved or left the volume."""
    path = os.path.realpath(os.path.join(root, os.fsencode(directory.path)))
    if path != root and not path.startswith(root.rstrip(b"/") + b"/"):
        raise error(ENOENT)
    check_same(path, directory)
    return path


def check_same(path: bytes, directory: PosixDirectory) -> None:
    found = os.stat(path, follow_symlinks=False)
    if (found.st_dev, found.st_ino) != directory.stat().key:
        raise error(ENOENT)


def why_no_watch(calls: Calls, parents: Sequence[str | None] = (None, "/var/tmp")) -> str:
    """Why inotify cannot be used here; "" if it can.  Tried in a new directory below one of `parents`.

    None is where temporary files go, which may be shared memory.  Neither is it documented whether poll() sees the
    descriptor, nor whether a notice is there when the change returns; caches of clients rest on both.
    """
    try:
        watcher = QnxWatch(calls).start()
    except OSError as reason:
        return f"inotify cannot be used: {reason.strerror}; on QNX 7.1, is fsevmgr running?"
    try:
        for parent in parents:
            try:
                with TemporaryDirectory(prefix="smbport-", dir=parent) as path:
                    return try_watcher(watcher, path)
            except OSError:
                continue
    finally:
        watcher.close()
    return "inotify could not be tried: set TMPDIR to a directory on a disk."


def try_watcher(watcher: Watcher, path: str) -> str:
    """What is wrong with a watcher; OSError if it cannot watch this directory."""
    root = Root(path)
    volume = PosixVolume(root, find_features(root), 0)
    try:
        directory = volume.open("", ACCESS_READ, wait=True)
        try:
            assert isinstance(directory, PosixDirectory)
            watch = watcher.add(directory)
        finally:
            directory.close()
    finally:
        volume.close()
    for number in range(ATTEMPTS):
        os.mkdir(f"{path}/{number}")
        if not select.select([watcher.fileno()], [], [], 0)[0]:
            return "inotify is of no use: its descriptor is not readable when a change is done."
        told = [(event.watch, event.what, event.name) for event in watcher.take()]
        if (watch, WatchChange.ADDED, str(number)) not in told:
            return "inotify is of no use: it does not tell of a new directory."
    return ""
