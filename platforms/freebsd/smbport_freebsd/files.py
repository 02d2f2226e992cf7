"""Open files and directories of FreeBSD.  A handle without access is an O_PATH descriptor, good for naming the file."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from errno import EACCES, EBADMSG, EINVAL, ENODEV, EOPNOTSUPP, EPERM
from typing import Final, Protocol

from smbport.posix.files import PosixDirectory, PosixFile
from smbport.posix.marks import MARKED_KINDS
from smbport.posix.nodes import Home, PosixNode, check_free_space, check_wait
from smbport.posix.walk import error
from smbport_freebsd.calls import EINTEGRITY, O_RDONLY, Calls

__all__ = ["FreeBSDDirectory", "FreeBSDFile", "FreeBSDHome", "FreeBSDNode", "reopened"]

NO_RESERVATION: Final = (EINVAL, EOPNOTSUPP, ENODEV)  # the first before 15.0 on ZFS, before 15.1 elsewhere


class FreeBSDHome(Home, Protocol):
    """What an open file asks of the volume that it came from."""

    calls: Calls
    acl_type: int  # which family of access control lists there is, one of ACL_TYPE_..., or 0
    names_attributes: bool  # attributes can be opened as files

    def keep_birth(self, node: PosixNode, write_ns: int) -> None:
        """Store the creation time, if setting this write time would move it."""


class FreeBSDNode(PosixNode):
    """What the handles add: all that names a file works on O_PATH as well, by AT_EMPTY_PATH."""

    __slots__ = ()
    _home: FreeBSDHome

    @property
    def calls(self) -> Calls:
        return self._home.calls

    @property
    def acl_type(self) -> int:
        return self._home.acl_type

    @property
    def names_attributes(self) -> bool:
        return self._home.names_attributes

    @property
    def descriptor(self) -> int:
        """For naming the file, whatever it is open for."""
        return self._fd

    @contextmanager
    def usable(self) -> Iterator[int]:
        """A descriptor for what O_PATH is not good for: attributes and waiting for the disk."""
        if not self.path_only:
            yield self._fd
            return
        if not self._is_plain():
            raise error(EPERM)  # to open a device can have effects
        with reopened(self.calls, self._fd) as fd:
            yield fd

    def _is_plain(self) -> bool:
        """Whether it is a file or a directory."""
        return self._home.stat_open(self._fd).kind in MARKED_KINDS

    def set_times(self, access_ns: int | None, write_ns: int | None, *, wait: bool = False) -> None:
        check_wait(wait)
        if write_ns is not None:
            self._home.keep_birth(self, write_ns)
        self.calls.set_times(self._fd, access_ns, write_ns)

    def set_mode(self, mode: int, *, wait: bool = False) -> None:
        check_wait(wait)
        self.calls.set_mode(self._fd, mode)

    def set_owner(self, uid: int | None, gid: int | None, *, wait: bool = False) -> None:
        check_wait(wait)
        self.calls.set_owner(self._fd, -1 if uid is None else uid, -1 if gid is None else gid)

    def sync(self, *, wait: bool = False) -> None:
        check_wait(wait)
        if self.path_only and not self._is_plain():
            return
        with self.usable() as fd:
            os.fsync(fd)


class FreeBSDFile(FreeBSDNode, PosixFile):
    """An open file; with `path_only`, one that is not open for data, or a link, FIFO, socket or device."""

    __slots__ = ()

    def fileno(self) -> int:
        return -1 if self.path_only else self._fd

    def read_at(self, offset: int, length: int, *, wait: bool = False) -> bytes:
        try:
            return super().read_at(offset, length, wait=wait)
        except OSError as reason:
            if reason.errno == EINTEGRITY:
                raise error(EBADMSG) from None  # as other systems say it
            raise

    def allocate(self, size: int, *, wait: bool = False) -> None:
        """Room inside the file is taken; none can be behind its end, where it is only looked for."""
        check_wait(wait)
        check_free_space(self._fd, size)
        stat = self._home.stat_open(self._fd)
        inside = min(size, stat.size)
        if stat.allocated < inside:
            try:
                self.calls.reserve(self._fd, 0, inside)
            except OSError as reason:
                if reason.errno not in NO_RESERVATION:
                    raise


class FreeBSDDirectory(FreeBSDNode, PosixDirectory):
    """An open directory; with `path_only`, one that this process may not list."""

    __slots__ = ()

    def _listable(self) -> int:
        if self.path_only:
            raise error(EACCES)
        return self._fd


@contextmanager
def reopened(calls: Calls, fd: int) -> Iterator[int]:
    """A descriptor for reading of what is open as `fd`, a file or a directory."""
    again = calls.reopen(fd, O_RDONLY)
    try:
        yield again
    finally:
        os.close(again)
