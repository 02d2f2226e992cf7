"""Locks of open file descriptions on Linux: what smbport.posix.range_locks is made with."""

import fcntl
import os
from struct import Struct
from typing import Final

from smbport.posix.range_locks import PosixRangeLocks

__all__ = ["new_range_locks", "why_no_range_locks"]

FLOCK: Final = Struct("hhqqi0q")
"""struct flock: type, whence, start, length (0: whatever comes), pid (must be 0)."""


def new_range_locks() -> PosixRangeLocks:
    """The power `range_locks`."""
    return PosixRangeLocks(fcntl.F_OFD_SETLK, pack_flock)


def pack_flock(kind: int, start: int, length: int) -> bytes:
    return FLOCK.pack(kind, os.SEEK_SET, start, length, 0)


def why_no_range_locks() -> str | None:
    """None if a file in memory can be locked, else the sentence that says why not."""
    fd = os.memfd_create("smbport")
    try:
        fcntl.fcntl(fd, fcntl.F_OFD_SETLK, pack_flock(fcntl.F_WRLCK, 0, 1))
    except OSError as reason:
        return f"This kernel refuses locks of open file descriptions: {reason.strerror}."
    finally:
        os.close(fd)
    return None
