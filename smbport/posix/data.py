"""Copies inside the kernel, and holes: what is alike wherever a system has calls for them."""

import os
from collections.abc import Callable
from errno import EBADF, EIO, ENODEV, ENOSYS, ENOTTY, ENXIO, EOPNOTSUPP, EPERM, ETXTBSY, EXDEV
from typing import Final

from smbport.platform import File
from smbport.posix.nodes import check_wait
from smbport.posix.walk import error

__all__ = ["PosixClone", "PosixSparse", "descriptor", "find_data_ranges"]

# The kernels' words for "not between these two": two file systems, one without such a call, a filter of calls.
UNABLE_TO_COPY: Final = (EXDEV, EOPNOTSUPP, ENODEV, ENOSYS, EPERM)
# The same of sharing blocks: a file system that has never heard of it, swap files.
UNABLE_TO_SHARE: Final = (ENOTTY, ETXTBSY)

# Not every system has them; where they are missing, lseek says OSError(EINVAL).
SEEK_DATA: Final[int] = getattr(os, "SEEK_DATA", -1)
SEEK_HOLE: Final[int] = getattr(os, "SEEK_HOLE", -1)


def descriptor(file: File) -> int:
    """The descriptor of a file that is open for data."""
    fd = file.fileno()
    if fd < 0:
        raise error(EBADF)
    return fd


class PosixClone:
    """The power `clone`.

    Its two calls take (source, offset, target, offset, length).  `copy_range` returns how many bytes it has copied;
    `share_range` takes a length of 0 for "to the end", and is left out where there is no such call.
    """

    __slots__ = ("_copy_range", "_share_range")

    def __init__(
        self,
        copy_range: Callable[[int, int, int, int, int], int],
        share_range: Callable[[int, int, int, int, int], None] | None = None,
    ) -> None:
        self._copy_range = copy_range
        self._share_range = share_range

    def copy(
        self, source: File, source_offset: int, target: File, target_offset: int, length: int, *, wait: bool = False
    ) -> int:
        check_wait(wait)
        try:
            return self._copy_range(descriptor(source), source_offset, descriptor(target), target_offset, length)
        except OSError as reason:
            raise error(EXDEV if reason.errno in UNABLE_TO_COPY else reason.errno or EIO) from None

    def reflink(
        self, source: File, source_offset: int, target: File, target_offset: int, length: int, *, wait: bool = False
    ) -> None:
        check_wait(wait)
        if self._share_range is None:
            raise error(EOPNOTSUPP)
        if length <= 0:
            return
        try:
            self._share_range(descriptor(source), source_offset, descriptor(target), target_offset, length)
        except OSError as reason:
            raise error(EOPNOTSUPP if reason.errno in UNABLE_TO_SHARE else reason.errno or EIO) from None


class PosixSparse:
    """The power `sparse`, on a system with SEEK_DATA and SEEK_HOLE.

    Its two calls take (descriptor, offset, length).  `zero` keeps the blocks; it is left out where no call does.
    """

    __slots__ = ("_punch", "_zero")

    def __init__(
        self, punch: Callable[[int, int, int], None], zero: Callable[[int, int, int], None] | None = None
    ) -> None:
        self._punch = punch
        self._zero = zero

    def punch(self, file: File, offset: int, length: int, *, wait: bool = False) -> None:
        check_wait(wait)
        if length:
            self._punch(descriptor(file), offset, length)

    def zero(self, file: File, offset: int, length: int, *, wait: bool = False) -> None:
        check_wait(wait)
        if self._zero is None:
            raise error(EOPNOTSUPP)
        if length:
            self._zero(descriptor(file), offset, length)

    def data_ranges(
        self, file: File, offset: int, length: int, *, limit: int, wait: bool = False
    ) -> list[tuple[int, int]]:
        check_wait(wait)
        return find_data_ranges(descriptor(file), offset, length, limit)


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
