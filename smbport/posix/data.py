"""Where the data of a sparse file is, by lseek(2), and the descriptors that such calls need."""

import os
from errno import EBADF, ENXIO
from typing import Final

from smbport.platform import File
from smbport.posix.walk import error

__all__ = ["descriptor", "find_data_ranges"]

# Not every system has them; where they are missing, lseek says OSError(EINVAL).
SEEK_DATA: Final[int] = getattr(os, "SEEK_DATA", -1)
SEEK_HOLE: Final[int] = getattr(os, "SEEK_HOLE", -1)


def descriptor(file: File) -> int:
    """The descriptor of a file that is open for data."""
    fd = file.fileno()
    if fd < 0:
        raise error(EBADF)
    return fd


def find_data_ranges(fd: int, offset: int, length: int, limit: int) -> list[tuple[int, int]]:
    """What `Sparse.data_ranges` promises, on a system with SEEK_DATA and SEEK_HOLE."""
    found: list[tuple[int, int]] = []
    end = offset + length
    while offset < end and len(found) < limit:
        try:
            start = os.lseek(fd, offset, SEEK_DATA)
            if start >= end:
                break
            offset = os.lseek(fd, start, SEEK_HOLE)
        except OSError as reason:
            if reason.errno != ENXIO:
                raise
            break  # no data behind `offset`, or the file was cut in this moment
        found.append((start, min(offset, end) - start))
    return found
