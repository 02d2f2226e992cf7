"""Contents in the side store whose files are gone, removed by others than the server: found and given up at start.

    .smbport-streams/2a41f/owner      what the system calls the file with inode 0x2a41f; that name dies with the file
    .smbport-streams/2a41f/missed     a sweep has not found the file
    .smbport-streams/2a41f.gone/...   given up, and being removed

A port whose system has such names (`Handles`) notes them where contents are made.  What has none is never touched:
whether a file exists cannot be found out by looking for it, while others move it about and parts of the tree may not
be mounted.  And since a failing disk may deny a file for a moment, a file must be missed by the sweeps of two starts.

Whoever removes is alone: the directory gets another name first, and who makes a content sees that and begins again.
Every step can be the last one; the next sweep goes on from there.
"""

import logging
import os
import re
from collections.abc import Callable
from contextlib import suppress
from threading import Event, Thread
from typing import Final, Protocol

from smbport.posix.walk import HIDDEN, PLAIN, Root

__all__ = ["MISSED", "OWNER", "Handles", "Sweeper", "note_owner", "sweep"]

OWNER: Final = "owner"
MISSED: Final = "missed"
NEW: Final = "owner.new"
GONE: Final = ".gone"
MAX_RECORD: Final = 1024  # bytes; Linux' names have 140

LIST: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | PLAIN
WRITE: Final = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | PLAIN
READ: Final = os.O_RDONLY | os.O_NOFOLLOW | PLAIN

log = logging.getLogger("smbport")
is_inode = re.compile("[0-9a-f]+").fullmatch


class Handles(Protocol):
    """Names of files that no other file ever gets."""

    def name(self, target: int | str | bytes) -> bytes:
        """Of the file that is open, or has this path.  OSError if it has none, or lies in another file system."""

    def lives(self, name: bytes) -> bool:
        """Whether the file may exist.  OSError if that cannot be told now."""


class Sweeper:
    """A sweep in a thread of its own."""

    __slots__ = ("_stopping", "_thread")

    def __init__(self, root: Root, handles: Handles) -> None:
        self._stopping = Event()
        arguments = {"stopping": self._stopping.is_set}
        self._thread = Thread(target=sweep, args=(root, handles), kwargs=arguments, name="sweep", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Return when it is over; what is left is for the next one.  Twice does no harm."""
        self._stopping.set()
        self._thread.join()


def note_owner(place: int, name: bytes) -> None:
    """Note in the directory `place` whose contents it holds: it may hold those of a file that had the same inode."""
    if read_owner(place) == name:
        return
    fd = os.open(NEW, WRITE, 0o600, dir_fd=place)
    try:
        os.write(fd, name)
        os.fsync(fd)
    finally:
        os.close(fd)
    os.rename(NEW, OWNER, src_dir_fd=place, dst_dir_fd=place)
    with suppress(FileNotFoundError):
        os.unlink(MISSED, dir_fd=place)


def read_owner(place: int) -> bytes:
    """What was noted; b"" if nothing."""
    try:
        fd = os.open(OWNER, READ, dir_fd=place)
    except FileNotFoundError:
        return b""
    try:
        return os.read(fd, MAX_RECORD)
    finally:
        os.close(fd)


def sweep(root: Root, handles: Handles, *, stopping: Callable[[], bool] = lambda: False) -> int:
    """Remove what belongs to no file, in a thread; how many contents went."""
    removed = missed = 0
    with suppress(FileNotFoundError):
        store = os.open(HIDDEN, LIST, dir_fd=root.fd)
        try:
            with os.scandir(store) as entries:
                for entry in entries:
                    if stopping():
                        break
                    with suppress(OSError):  # it has gone, or it cannot be told: next time
                        went = judge(store, entry.name, handles)
                        removed += went or 0
                        missed += went is None
        finally:
            os.close(store)
    if removed or missed:
        text = "%s: %d streams of files that others have removed are given up; %d more files will be, if still missed"
        log.info(text, os.fsdecode(root.path), removed, missed)
    return removed


def judge(store: int, name: str, handles: Handles) -> int | None:
    """How many contents were removed; None if the file was missed for the first time."""
    inode = name.removesuffix(GONE)
    if not is_inode(inode):
        return 0  # not one of these directories
    place = os.open(name, LIST, dir_fd=store)
    try:
        owner = read_owner(place)
        if not owner:
            if name != inode:
                os.rmdir(name, dir_fd=store)  # the last step of an earlier sweep
            return 0
        if handles.lives(owner):
            keep(store, name, inode, place)
            return 0
        if name == inode:
            if MISSED not in os.listdir(place):
                os.close(os.open(MISSED, WRITE, 0o600, dir_fd=place))
                return None
            name = inode + GONE
            os.rename(inode, name, src_dir_fd=store, dst_dir_fd=store)
            if read_owner(place) != owner:  # a new file has got the inode, and a content, in this moment
                keep(store, name, inode, place)
                return 0
        return remove(store, name, place)
    finally:
        os.close(place)


def keep(store: int, name: str, inode: str, place: int) -> None:
    """The file is there: its directory has its name, and was not missed."""
    with suppress(FileNotFoundError):
        os.unlink(MISSED, dir_fd=place)
    if name == inode:
        return
    try:
        os.rename(name, inode, src_dir_fd=store, dst_dir_fd=store)
    except OSError:  # another one has been made meanwhile
        for content in os.listdir(place):
            os.rename(content, f"{inode}/{content}", src_dir_fd=place, dst_dir_fd=store)
        os.rmdir(name, dir_fd=store)


def remove(store: int, name: str, place: int) -> int:
    """All of a directory that has no other name any more; the note that says why goes last."""
    contents = [content for content in os.listdir(place) if content not in (OWNER, MISSED, NEW)]
    for content in (*contents, NEW, MISSED, OWNER):
        with suppress(FileNotFoundError):
            os.unlink(content, dir_fd=place)
    os.rmdir(name, dir_fd=store)
    return len(contents)
