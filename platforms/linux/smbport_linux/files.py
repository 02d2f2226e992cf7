"""Open files of Linux, with what is cheap done inline, and what handles of directories do in the same way.

That is in functions and not in a common base: mypyc knows one base, and a directory's is `PosixDirectory`.
"""

import os
from errno import EAGAIN, EOPNOTSUPP
from typing import Final, Literal, Protocol, cast

from smbport.platform import Stat
from smbport.posix.dosattrib import Marks
from smbport.posix.gate import ChangeGate
from smbport.posix.marks import Unchanged, add_marks
from smbport.posix.nodes import Home, PosixNode, check_free_space, check_wait, read_all, write_all
from smbport.posix.walk import PLAIN, error
from smbport_linux.calls import keep_size_allocate, read_nowait, set_times
from smbport_linux.inline import INLINE_WRITE

__all__ = [
    "READS_NOWAIT", "READS_PLAIN", "READS_WAIT", "LinuxFile", "LinuxHome", "change_times", "enter_change", "home_of",
    "path_of", "sync_node",
]  # fmt: skip

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

    def stat_unmarked(self, fd: int) -> Stat:
        """The same without."""


def home_of(node: PosixNode) -> LinuxHome:
    """The volume that a handle of this port came from."""
    return cast("LinuxHome", node.home)


def path_of(node: PosixNode, fd: int) -> int | str | bytes:
    """How calls name it that do not take a descriptor which is O_PATH."""
    return f"/proc/self/fd/{fd}" if node.path_only else fd


def enter_change(node: PosixNode, wait: bool) -> None:
    """BlockingIOError if it must not be changed inline now.  `inline` is where the file system is known and local."""
    if not wait:
        if not node.inline:
            raise error(EAGAIN)
        home_of(node).gate.enter()
    node.first = None


def change_times(node: PosixNode, fd: int, access_ns: int | None, write_ns: int | None) -> None:
    with node.home.rights:
        set_times(b"/proc/self/fd/%d" % fd if node.path_only else fd, access_ns, write_ns)


def sync_node(node: PosixNode, fd: int) -> None:
    if not node.path_only:
        os.fsync(fd)
        return
    opened = os.open(f"/proc/self/fd/{fd}", os.O_RDONLY | PLAIN)  # as the server: it takes no right to wait
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


class LinuxFile(PosixNode):
    """An open file; with `path_only`, also a link, FIFO, socket or device."""

    __slots__ = ("_reads", "made_with")
    is_directory: Literal[False] = False

    def __init__(
        self, fd: int, home: LinuxHome, reads: int, *, inline: bool, path_only: bool = False, first: Stat | None = None
    ) -> None:
        super().__init__(fd, home, inline=inline, path_only=path_only, first=first)
        self._reads = reads
        self.made_with: Marks | None = None  # what is stored with a file that was just made, for `first_stat`

    def check_change(self, wait: bool) -> None:
        enter_change(self, wait)

    def where(self) -> tuple[int | str | bytes, int | None]:
        return path_of(self, self._fd), None

    def stat(self) -> Stat:
        return home_of(self).state(self._fd, path_only=self.path_only)

    def first_stat(self) -> Stat:
        marks, self.made_with = self.made_with, None
        if marks is None:
            return super().first_stat()
        stat = home_of(self).stat_unmarked(self._fd)
        add_marks(stat, marks)
        return stat

    def set_times(self, access_ns: int | None, write_ns: int | None, *, wait: bool = False) -> None:
        enter_change(self, wait)
        change_times(self, self._fd, access_ns, write_ns)

    def sync(self, *, wait: bool = False) -> None:
        check_wait(wait)
        sync_node(self, self._fd)

    def fileno(self) -> int:
        return -1 if self.path_only else self._fd

    def read_at(self, offset: int, length: int, *, wait: bool = False) -> bytes:
        if wait or self._reads == READS_PLAIN:
            return read_all(self._fd, offset, length)
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
        self.first = None
        if wait:
            return write_all(self._fd, offset, data, write_through if through else os.pwrite)
        if through or len(data) > INLINE_WRITE or not self.inline:
            raise error(EAGAIN)
        gate = home_of(self).gate
        entered_ns = gate.enter()
        if self._reads != READS_PLAIN and self.needs_a_read(offset, offset + len(data)):
            raise error(EAGAIN)
        written = write_all(self._fd, offset, data)
        gate.leave(entered_ns, written)
        return written

    def needs_a_read(self, start: int, end: int) -> bool:
        """Whether a write changes only a part of a page that is not cached."""
        page_size = home_of(self).page_size
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

    def resize(self, size: int, *, wait: bool = False) -> None:
        check_wait(wait)
        self.first = None
        os.ftruncate(self._fd, size)

    def allocate(self, size: int, *, wait: bool = False) -> None:
        check_wait(wait)
        self.first = None
        if not size:
            return
        try:
            keep_size_allocate(self._fd, size)
        except OSError as reason:
            if reason.errno != EOPNOTSUPP:
                raise
            check_free_space(self._fd, size)


def write_through(fd: int, data: bytes | memoryview, offset: int) -> int:
    """Write, and wait until it is on stable storage; only this, not what others have written to the file."""
    return os.pwritev(fd, (data,), offset, os.RWF_DSYNC)
