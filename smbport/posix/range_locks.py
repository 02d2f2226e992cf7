"""Byte-range locks that local programs see: those of fcntl(2) that belong to an open file description.

The classic ones belong to the process: closing any handle of a file would drop the locks of all its other handles,
and two clients would never stand in each other's way.  POSIX has had the others since 2024.
"""

import fcntl
import os
from collections.abc import Callable
from typing import Final

from smbport.platform import File
from smbport.posix.data import descriptor
from smbport.posix.nodes import PosixNode, check_wait

__all__ = ["PosixRangeLocks"]

END: Final = (1 << 63) - 1  # the last byte that the system can lock


class PosixRangeLocks:
    """The power `range_locks`.

    `command` is F_OFD_SETLK, and `pack(type, start, length)` makes its struct flock, in which a length of 0 means
    whatever comes.
    """

    __slots__ = ("_command", "_pack")

    def __init__(self, command: int, pack: Callable[[int, int, int], bytes]) -> None:
        self._command = command
        self._pack = pack

    def lock(self, file: File, offset: int, length: int, *, exclusive: bool, wait: bool = False) -> bool:
        fd = ready(file, wait)
        may = fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE
        if exclusive and may == os.O_RDONLY:
            exclusive = False
        elif not exclusive and may == os.O_WRONLY:
            return True
        return self._set(fd, fcntl.F_WRLCK if exclusive else fcntl.F_RDLCK, offset, length)

    def unlock(self, file: File, offset: int, length: int, *, wait: bool = False) -> None:
        self._set(ready(file, wait), fcntl.F_UNLCK, offset, length)

    def _set(self, fd: int, kind: int, offset: int, length: int) -> bool:
        if offset > END or not length:
            return True  # nobody here can ask for that range
        if offset + length > END:
            length = 0
        try:
            fcntl.fcntl(fd, self._command, self._pack(kind, offset, length))
        except (BlockingIOError, PermissionError):  # POSIX allows both
            return False
        return True


def ready(file: File, wait: bool) -> int:
    """The descriptor; BlockingIOError if the file system may have to ask another machine."""
    if not (isinstance(file, PosixNode) and file.inline):
        check_wait(wait)
    return descriptor(file)
