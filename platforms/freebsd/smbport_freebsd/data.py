"""Copying inside the kernel, holes, and sending without copying: copy_file_range, fspacectl, sendfile."""

from errno import EINVAL, EIO, ENODEV, ENOSYS, EOPNOTSUPP, EXDEV
from socket import socket
from typing import Final

from smbport.platform import File
from smbport.posix.data import descriptor, find_data_ranges
from smbport.posix.files import check_wait
from smbport.posix.walk import error
from smbport_freebsd.calls import Calls

__all__ = ["FreeBSDClone", "FreeBSDSparse", "FreeBSDZeroCopy"]

MAX_SENDFILE: Final = 1 << 30  # bytes in one call; guessed: more than a socket ever takes at once
UNABLE: Final = (EOPNOTSUPP, ENODEV, ENOSYS)


class FreeBSDClone:
    """The power `clone`."""

    __slots__ = ("_calls",)

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def copy(
        self, source: File, source_offset: int, target: File, target_offset: int, length: int, *, wait: bool = False
    ) -> int:
        # ZFS shares blocks by itself where it can, from FreeBSD 14 on.
        check_wait(wait)
        try:
            return self._calls.copy_range(descriptor(source), source_offset, descriptor(target), target_offset, length)
        except OSError as reason:
            raise error(EXDEV if reason.errno in UNABLE else reason.errno or EIO) from None

    def reflink(
        self, source: File, source_offset: int, target: File, target_offset: int, length: int, *, wait: bool = False
    ) -> None:
        """Refused: FreeBSD 15 can be asked to share blocks or fail, but may do a part, and older ones cannot."""
        check_wait(wait)
        raise error(EOPNOTSUPP)


class FreeBSDSparse:
    """The power `sparse`."""

    __slots__ = ("_calls",)

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def punch(self, file: File, offset: int, length: int, *, wait: bool = False) -> None:
        check_wait(wait)
        self._calls.punch_hole(descriptor(file), offset, length)

    def zero(self, file: File, offset: int, length: int, *, wait: bool = False) -> None:
        """There is no call that zeroes and keeps the blocks."""
        check_wait(wait)
        raise error(EOPNOTSUPP)

    def data_ranges(
        self, file: File, offset: int, length: int, *, limit: int, wait: bool = False
    ) -> list[tuple[int, int]]:
        check_wait(wait)
        return find_data_ranges(descriptor(file), offset, length, limit)


class FreeBSDZeroCopy:
    """The power `zero_copy`."""

    __slots__ = ("_calls",)
    needs_cached = False
    min_length = 262144  # measured on Linux; guessed here

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def send(self, sock: socket, head: bytes | memoryview, file: File, offset: int, length: int) -> int:
        if not length:  # to the call that would mean: to the end of the file
            return sock.send(head) if head else 0
        if sock.gettimeout() != 0:
            raise error(EINVAL)  # a blocking one waits for the peer
        taken = self._calls.send_file(sock.fileno(), bytes(head), descriptor(file), offset, min(length, MAX_SENDFILE))
        return taken or (sock.send(head) if head else 0)
