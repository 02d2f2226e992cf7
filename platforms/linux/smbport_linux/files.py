"""Open files and directories of Linux, with what is cheap done inline."""

import os
from errno import EACCES, EAGAIN, EOPNOTSUPP
from typing import Final, Protocol

from smbport.platform import Stat
from smbport.posix.files import Home, PosixDirectory, PosixFile, PosixNode, check_free_space, check_wait
from smbport.posix.gate import ChangeGate
from smbport.posix.marks import Unchanged
from smbport.posix.walk import PLAIN, error
from smbport_linux.calls import keep_size_allocate, read_nowait, set_times
from smbport_linux.inline import INLINE_WRITE

__all__ = ["READS_NOWAIT", "READS_PLAIN", "READS_WAIT", "LinuxDirectory", "LinuxFile", "LinuxHome"]

# How a file is read inline.
READS_WAIT: Final = 0  # not at all
READS_NOWAIT: Final = 1  # what is in the page cache
READS_PLAIN: Final = 2  # all is in memory


class LinuxHome(Home, Protocol):
    """What an open file asks of the volume that it came from."""

    gate: ChangeGate
    bare: Unchanged[bool]  # of files that have no attributes which clients see: True
    page_size: int  # what the page cache reads at least, in bytes

    def state(self, fd: int, *, path_only: bool) -> Stat:
        """The state of what is open as `fd`, with marks."""


class LinuxNode(PosixNode):
    """What the handles add: a descriptor may be O_PATH, good for naming a file but not for using it."""

    __slots__ = ()
    _home: LinuxHome
    _inline: bool  # changes may be made inline: the file system is known and local
    _path_only: bool

    @property
    def home(self) -> LinuxHome:
        return self._home

    @property
    def inline(self) -> bool:
        return self._inline

    def check_change(self, wait: bool) -> None:
        if not wait:
            if not self._inline:
                raise error(EAGAIN)
            self._home.gate.enter()

    def where(self) -> tuple[int | str | bytes, int | None]:
        return (f"/proc/self/fd/{self._fd}" if self._path_only else self._fd), None

    def stat(self) -> Stat:
        return self._home.state(self._fd, path_only=self._path_only)

    def set_times(self, access_ns: int | None, write_ns: int | None, *, wait: bool = False) -> None:
        self.check_change(wait)
        with self._home.rights:
            set_times(b"/proc/self/fd/%d" % self._fd if self._path_only else self._fd, access_ns, write_ns)

    def sync(self, *, wait: bool = False) -> None:
        if not self._path_only:
            super().sync(wait=wait)
            return
        check_wait(wait)
        fd = os.open(f"/proc/self/fd/{self._fd}", os.O_RDONLY | PLAIN)  # as the server: it takes no right to wait
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


class LinuxFile(LinuxNode, PosixFile):
    """An open file; with `path_only`, also a link, FIFO, socket or device."""

    __slots__ = ("_inline", "_path_only", "_reads")

    def __init__(self, fd: int, home: LinuxHome, reads: int, *, inline: bool, path_only: bool) -> None:
        super().__init__(fd, home)
        self._reads = reads
        self._inline = inline
        self._path_only = path_only

    def fileno(self) -> int:
        return -1 if self._path_only else self._fd

    def read_at(self, offset: int, length: int, *, wait: bool = False) -> bytes:
        if wait or self._reads == READS_PLAIN:
            return super().read_at(offset, length, wait=True)
        if self._reads == READS_WAIT:
            raise error(EAGAIN)
        try:
            data = read_nowait(self._fd, offset, length)
            # Short is either the end of the file, where there is nothing to read, or of what is cached.
            if 0 < len(data) < length and read_nowait(self._fd, offset + len(data), 1):
                raise error(EAGAIN)
        except OSError as reason:
            if reason.errno != EOPNOTSUPP:
                raise
            self._reads = READS_WAIT
            raise error(EAGAIN) from None
        return data

    def write_at(self, offset: int, data: bytes | memoryview, *, through: bool = False, wait: bool = False) -> int:
        if wait:
            return self.write_all(offset, data, write_through if through else os.pwrite)
        if through or len(data) > INLINE_WRITE or not self._inline:
            raise error(EAGAIN)
        entered_ns = self._home.gate.enter()
        if self._reads != READS_PLAIN and self.needs_a_read(offset, offset + len(data)):
            raise error(EAGAIN)
        written = self.write_all(offset, data)
        self._home.gate.leave(entered_ns, written)
        return written

    def needs_a_read(self, start: int, end: int) -> bool:
        """Whether a write changes only a part of a page that is not cached."""
        page_size = self._home.page_size
        first, last = start - start % page_size, end - end % page_size
        if start == first and end == last:
            return False
        size = os.fstat(self._fd).st_size
        try:
            if start > first and first < size:
                os.preadv(self._fd, (bytearray(1),), first, os.RWF_NOWAIT)
            if end > last and last < size:
                os.preadv(self._fd, (bytearray(1),), last, os.RWF_NOWAIT)
        except OSError:  # not cached; or the descriptor is for writing only and cannot tell
            return True
        return False

    def allocate(self, size: int, *, wait: bool = False) -> None:
        check_wait(wait)
        if not size:
            return
        try:
            keep_size_allocate(self._fd, size)
        except OSError as reason:
            if reason.errno != EOPNOTSUPP:
                raise
            check_free_space(self._fd, size)


class LinuxDirectory(LinuxNode, PosixDirectory):
    """An open directory; with `path_only`, one that the identity may not list."""

    __slots__ = ("_inline", "_path_only")

    def __init__(self, fd: int, home: LinuxHome, path: str, *, inline: bool, path_only: bool) -> None:
        super().__init__(fd, home, path)
        self._inline = inline
        self._path_only = path_only

    def _listable(self) -> int:
        if self._path_only:
            raise error(EACCES)
        return self._fd


def write_through(fd: int, data: bytes | memoryview, offset: int) -> int:
    """Write, and wait until it is on stable storage; only this, not what others have written to the file."""
    return os.pwritev(fd, (data,), offset, os.RWF_DSYNC)
