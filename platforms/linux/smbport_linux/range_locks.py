"""Byte-range locks that local programs see: those of fcntl(2) that belong to an open file description.

The classic ones belong to the process: closing any handle of a file would drop the locks of all its other handles,
and two clients would never stand in each other's way.
"""

import fcntl
import os
import struct
from typing import Final

from smbport.platform import File
from smbport.posix.data import descriptor
from smbport.posix.files import check_wait
from smbport_linux.files import LinuxFile

__all__ = ["LinuxRangeLocks", "why_no_range_locks"]

FLOCK: Final = struct.Struct("hhqqi0q")
"""struct flock: type, whence, start, length (0: whatever comes), pid (must be 0)."""

END: Final = (1 << 63) - 1  # the last byte that the system can lock


class LinuxRangeLocks:
    """The power `range_locks`."""

    __slots__ = ()

    def lock(self, file: File, offset: int, length: int, *, exclusive: bool, wait: bool = False) -> bool:
        fd = _ready(file, wait)
        may = fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE
        if exclusive and may == os.O_RDONLY:
            exclusive = False
        elif not exclusive and may == os.O_WRONLY:
            return True
        return _set(fd, fcntl.F_WRLCK if exclusive else fcntl.F_RDLCK, offset, length)

    def unlock(self, file: File, offset: int, length: int, *, wait: bool = False) -> None:
        _set(_ready(file, wait), fcntl.F_UNLCK, offset, length)


def _ready(file: File, wait: bool) -> int:
    """The descriptor; BlockingIOError if the file system may have to ask another machine."""
    if not (isinstance(file, LinuxFile) and file.inline):
        check_wait(wait)
    return descriptor(file)


def _set(fd: int, kind: int, offset: int, length: int) -> bool:
    if offset > END or not length:
        return True  # nobody here can ask for that range
    if offset + length > END:
        length = 0
    try:
        fcntl.fcntl(fd, fcntl.F_OFD_SETLK, FLOCK.pack(kind, os.SEEK_SET, offset, length, 0))
    except (BlockingIOError, PermissionError):  # POSIX allows both
        return False
    return True


def why_no_range_locks() -> str | None:
    """None if a file in memory can be locked, else the sentence that says why not."""
    fd = os.memfd_create("smbport")
    try:
        fcntl.fcntl(fd, fcntl.F_OFD_SETLK, FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 1, 0))
    except OSError as reason:
        return f"This kernel refuses locks of open file descriptions: {reason.strerror}."
    finally:
        os.close(fd)
    return None
