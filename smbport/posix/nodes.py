"""What open files and open directories have in common: a descriptor, and the volume that they came from.

Every open passes through here, so this is among what can be compiled; `smbport.posix.files`, where classes have two
bases, is not.
"""

import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from errno import EAGAIN, EDQUOT, ENOSPC
from stat import S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFMT, S_IFREG, S_IFSOCK, S_IMODE
from typing import TYPE_CHECKING, Final, Protocol

from smbport.platform import File, FileKey, Kind, Stat
from smbport.posix.walk import error

if TYPE_CHECKING:
    from smbport.posix.sidestore import SideStore

__all__ = ["KINDS", "Home", "PosixNode", "check_free_space", "check_wait", "make_stat", "read_all", "write_all"]

KINDS: Final = {
    S_IFREG: Kind.FILE, S_IFDIR: Kind.DIRECTORY, S_IFLNK: Kind.SYMLINK, S_IFIFO: Kind.FIFO, S_IFSOCK: Kind.SOCKET,
    S_IFCHR: Kind.CHARACTER_DEVICE, S_IFBLK: Kind.BLOCK_DEVICE,
}  # fmt: skip
"""The type bits of a mode -> what it is; anything else is Kind.OTHER."""

FULL: Final = frozenset((ENOSPC, EDQUOT))


class Home(Protocol):
    """What an open file asks of the volume that it came from."""

    rights: AbstractContextManager[None]  # of the volume's identity; may be entered by several threads at a time
    side: "SideStore"

    def adopt(self, fd: int) -> File:
        """A handle of a regular file that the server has opened for itself."""

    def stat(self, path: str, *, follow: bool = True, wait: bool = False) -> Stat:
        """As in `smbport.platform.Volume`."""

    def stat_open(self, fd: int) -> Stat:
        """The state of what is open as `fd`."""

    def stat_names(self, directory: int, names: Sequence[str]) -> list[Stat | None]:
        """The state of each name in a directory, links not followed; None where it cannot be had."""

    def store_marks(self, node: "PosixNode", dos_attributes: int | None, birth_ns: int | None, *, wait: bool) -> None:
        """Do what `set_marks` promises; `check_change` has been asked."""


def make_stat(found: os.stat_result, birth_ns: int | None = None, dos_attributes: int | None = None) -> Stat:
    """A Stat from what the system says; without a time of birth, the earliest of the others stands for it."""
    access_ns, write_ns, change_ns = found.st_atime_ns, found.st_mtime_ns, found.st_ctime_ns
    return Stat(
        FileKey(found.st_dev, found.st_ino),
        KINDS.get(S_IFMT(found.st_mode), Kind.OTHER),
        found.st_size,
        found.st_blocks * 512,
        found.st_nlink,
        S_IMODE(found.st_mode),
        found.st_uid,
        found.st_gid,
        access_ns,
        write_ns,
        change_ns,
        min(access_ns, write_ns, change_ns) if birth_ns is None else birth_ns,
        dos_attributes,
    )


def check_wait(wait: bool) -> None:
    """BlockingIOError on the event loop's thread, for what can only be done in a worker thread."""
    if not wait:
        raise error(EAGAIN)


def check_free_space(fd: int, size: int) -> None:
    """OSError(ENOSPC) if the first `size` bytes of a file would not fit any more."""
    volume = os.fstatvfs(fd)
    if size - os.fstat(fd).st_blocks * 512 > volume.f_bavail * volume.f_frsize:
        raise error(ENOSPC)


def read_all(fd: int, offset: int, length: int) -> bytes:
    """Read until there is no more: nothing is behind a short read at the end, more if a signal came in between."""
    data = os.pread(fd, length, offset)
    if not 0 < len(data) < length:
        return data
    parts = [data]
    while data and len(data) < length:
        offset += len(data)
        length -= len(data)
        data = os.pread(fd, length, offset)
        parts.append(data)
    return b"".join(parts)


def write_all(
    fd: int, offset: int, data: bytes | memoryview, write: Callable[[int, bytes | memoryview, int], int] = os.pwrite
) -> int:
    """Write until all is out or the volume is full; how much is out."""
    written = 0
    try:
        written = write(fd, data, offset)
        while written < len(data):
            written += write(fd, memoryview(data)[written:], offset + written)
    except OSError as reason:
        if reason.errno not in FULL or not written:
            raise
    return written


class PosixNode:
    """What open files and open directories have in common."""

    __slots__ = ("_fd", "_home", "first", "inline", "path_only")

    def __init__(
        self, fd: int, home: Home, *, inline: bool = False, path_only: bool = False, first: Stat | None = None
    ) -> None:
        self._fd = fd
        self._home = home
        self.inline = inline  # what is small is read without waiting
        self.path_only = path_only  # the descriptor is O_PATH, good for naming a file but not for using it
        self.first = first  # its state when it was opened, unless it was changed through this since

    @property
    def home(self) -> Home:
        return self._home

    def check_change(self, wait: bool) -> None:
        """BlockingIOError if times, mode, owner and marks must not be changed inline now."""
        check_wait(wait)

    def where(self) -> tuple[int | str | bytes, int | None]:
        """How calls that change the node name it: (path or descriptor, dir_fd)."""
        return self._fd, None

    def stat(self) -> Stat:
        return self._home.stat_open(self._fd)

    def first_stat(self) -> Stat:
        first, self.first = self.first, None
        return self.stat() if first is None else first

    def set_times(self, access_ns: int | None, write_ns: int | None, *, wait: bool = False) -> None:
        self.check_change(wait)
        if access_ns is None or write_ns is None:
            # os.utime cannot leave one time alone; a change of it in this moment is lost.
            now = self.stat()
            access_ns = now.access_ns if access_ns is None else access_ns
            write_ns = now.write_ns if write_ns is None else write_ns
        path, directory = self.where()
        with self._home.rights:
            os.utime(path, ns=(access_ns, write_ns), dir_fd=directory, follow_symlinks=directory is None)

    def set_mode(self, mode: int, *, wait: bool = False) -> None:
        self.check_change(wait)
        path, directory = self.where()
        with self._home.rights:
            os.chmod(path, mode, dir_fd=directory)

    def set_owner(self, uid: int | None, gid: int | None, *, wait: bool = False) -> None:
        self.check_change(wait)
        path, directory = self.where()
        with self._home.rights:
            os.chown(
                path,
                -1 if uid is None else uid,
                -1 if gid is None else gid,
                dir_fd=directory,
                follow_symlinks=directory is None,
            )

    def set_marks(self, dos_attributes: int | None, birth_ns: int | None, *, wait: bool = False) -> None:
        self.check_change(wait)
        self._home.store_marks(self, dos_attributes, birth_ns, wait=wait)

    def sync(self, *, wait: bool = False) -> None:
        check_wait(wait)
        os.fsync(self._fd)

    def close(self) -> None:
        fd, self._fd = self._fd, -1
        try:  # noqa: SIM105 - `suppress` takes 0.4 us, which each open would pay
            os.close(fd)
        except OSError:
            pass
