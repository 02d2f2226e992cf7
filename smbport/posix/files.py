"""Open files and directories over descriptors of the operating system.

They are written for any POSIX system, so nothing here is done inline: without knowing the file system, every
call that touches one may wait.  Ports that know more override single methods.
"""

import os
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from errno import EACCES, EAGAIN, EDQUOT, ENOENT, ENOSPC, EOPNOTSUPP
from itertools import islice
from stat import S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFMT, S_IFREG, S_IFSOCK, S_IMODE
from typing import TYPE_CHECKING, Final, Literal, Protocol

from smbport.platform import Entry, File, FileKey, Kind, Stat
from smbport.posix.walk import HIDDEN, error

if TYPE_CHECKING:
    from smbport.posix.sidestore import SideStore

__all__ = [
    "KINDS", "Home", "NamedDirectory", "NamedFile", "PosixDirectory", "PosixFile", "PosixNode", "check_free_space",
    "check_wait", "make_stat",
]  # fmt: skip

KINDS: Final = {
    S_IFREG: Kind.FILE, S_IFDIR: Kind.DIRECTORY, S_IFLNK: Kind.SYMLINK, S_IFIFO: Kind.FIFO, S_IFSOCK: Kind.SOCKET,
    S_IFCHR: Kind.CHARACTER_DEVICE, S_IFBLK: Kind.BLOCK_DEVICE,
}  # fmt: skip
"""The type bits of a mode -> what it is; anything else is Kind.OTHER."""

FULL: Final = frozenset((ENOSPC, EDQUOT))

fdatasync: Final = getattr(os, "fdatasync", os.fsync)


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


class PosixNode:
    """What open files and open directories have in common."""

    __slots__ = ("_fd", "_home")

    def __init__(self, fd: int, home: Home) -> None:
        self._fd = fd
        self._home = home

    @property
    def home(self) -> Home:
        return self._home

    @property
    def inline(self) -> bool:
        """Whether what is small is read without waiting."""
        return False

    def check_change(self, wait: bool) -> None:
        """BlockingIOError if times, mode, owner and marks must not be changed inline now."""
        check_wait(wait)

    def where(self) -> tuple[int | str | bytes, int | None]:
        """How calls that change the node name it: (path or descriptor, dir_fd)."""
        return self._fd, None

    def stat(self) -> Stat:
        return self._home.stat_open(self._fd)

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


class PosixFile(PosixNode):
    """An open file."""

    __slots__ = ()
    is_directory: Literal[False] = False

    def fileno(self) -> int:
        return self._fd

    def read_at(self, offset: int, length: int, *, wait: bool = False) -> bytes:
        check_wait(wait)
        data = os.pread(self._fd, length, offset)
        if 0 < len(data) < length:
            data += self._read_rest(offset + len(data), length - len(data))
        return data

    def _read_rest(self, offset: int, length: int) -> bytes:
        """What is behind a short read: nothing at the end of the file, more if a signal came in between."""
        parts = []
        while length > 0 and (part := os.pread(self._fd, length, offset)):
            parts.append(part)
            offset += len(part)
            length -= len(part)
        return b"".join(parts)

    def write_at(self, offset: int, data: bytes | memoryview, *, through: bool = False, wait: bool = False) -> int:
        check_wait(wait)
        written = self.write_all(offset, data)
        if through:
            fdatasync(self._fd)
        return written

    def write_all(
        self, offset: int, data: bytes | memoryview, write: Callable[[int, bytes | memoryview, int], int] = os.pwrite
    ) -> int:
        """Write until all is out or the volume is full; how much is out."""
        written = 0
        try:
            written = write(self._fd, data, offset)
            while written < len(data):
                written += write(self._fd, memoryview(data)[written:], offset + written)
        except OSError as reason:
            if reason.errno not in FULL or not written:
                raise
        return written

    def resize(self, size: int, *, wait: bool = False) -> None:
        check_wait(wait)
        os.ftruncate(self._fd, size)

    def allocate(self, size: int, *, wait: bool = False) -> None:
        # posix_fallocate changes the size, so all that can be promised is what the contract asks for at least.
        check_wait(wait)
        check_free_space(self._fd, size)


class PosixDirectory(PosixNode):
    """An open directory, and how far it has been listed."""

    __slots__ = ("_at_end", "_path", "_scan", "links")
    is_directory: Literal[True] = True

    def __init__(self, fd: int, home: Home, path: str) -> None:
        super().__init__(fd, home)
        self._path = path
        self._scan: os._ScandirIterator[str] | None = None
        self._at_end = False
        self.links: Collection[str] = ()  # names that are symbolic links, of the entries last given with their state

    @property
    def path(self) -> str:
        """Where it was when it was opened, from the root of the volume; somebody may have moved it since."""
        return self._path

    def entries(self, limit: int, *, stat: bool = True, wait: bool = False) -> list[Entry]:
        if self._at_end:
            return []
        check_wait(wait)
        if self._scan is None:
            self._scan = os.scandir(self._listable())
        names = [entry.name for entry in islice(self._scan, limit)]
        self._at_end = len(names) < limit
        if HIDDEN in names:
            names.remove(HIDDEN)
            if not names:
                return self.entries(limit, stat=stat, wait=wait)
        if not stat:
            return [Entry(name, None) for name in names]
        found = self._home.stat_names(self._fd, names)
        self._follow_links(names, found)
        return list(map(Entry, names, found))

    def _listable(self) -> int:
        return self._fd

    def _follow_links(self, names: list[str], found: list[Stat | None]) -> None:
        """Put the target's state in the place of each link's, if there is one inside the volume."""
        links = [i for i, state in enumerate(found) if state is not None and state.kind == Kind.SYMLINK]
        self.links = {names[i] for i in links}
        if not links:
            return
        with suppress(OSError):
            if self._home.stat(self._path, wait=True).key != self.stat().key:
                return  # renamed since it was opened: what the links mean is not worth a search
            prefix = self._path + "/" if self._path else ""
            for i in links:
                with suppress(OSError):
                    found[i] = self._home.stat(prefix + names[i], wait=True)

    def rewind(self) -> None:
        if self._scan is not None:
            self._scan.close()  # which also moves the descriptor back to the first entry
            self._scan = None
        self._at_end = False

    def close(self) -> None:
        if self._scan is not None:
            self._scan.close()
        super().close()


class Named(PosixNode):
    """A handle of what may not or cannot be opened, on a system without O_PATH: its directory and its name.

    It is what it was for as long as the name stands for the same file; that is checked before every use.
    """

    __slots__ = ()
    _name: bytes
    _seen: Stat

    def stat(self) -> Stat:
        with suppress(OSError):
            now = make_stat(os.stat(self._name, dir_fd=self._fd, follow_symlinks=False))
            if now.key == self._seen.key:
                return now
        return replace(self._seen, links=0)

    def where(self) -> tuple[int | str | bytes, int | None]:
        if not self.stat().links:
            raise error(ENOENT)
        return self._name, self._fd

    def set_mode(self, mode: int, *, wait: bool = False) -> None:
        # chmod by name follows a link that somebody puts there in this moment, out of the volume if it likes.
        raise error(EOPNOTSUPP)

    def sync(self, *, wait: bool = False) -> None:
        check_wait(wait)  # there is nothing that a handle without access could have written


class NamedFile(Named, PosixFile):
    """An unopened file, link, FIFO, socket or device."""

    __slots__ = ("_name", "_seen")

    def __init__(self, parent: int, name: bytes, seen: Stat, home: Home) -> None:
        super().__init__(parent, home)
        self._name = name
        self._seen = seen

    def fileno(self) -> int:
        return -1


class NamedDirectory(Named, PosixDirectory):
    """A directory that the identity may not list."""

    __slots__ = ("_name", "_seen")

    def __init__(self, parent: int, name: bytes, seen: Stat, home: Home, path: str) -> None:
        super().__init__(parent, home, path)
        self._name = name
        self._seen = seen

    def _listable(self) -> int:
        raise error(EACCES)
