"""Sending without copying: FreeBSD's sendfile(2), which takes what goes before the data as well."""

from errno import EINVAL
from socket import socket
from typing import Final

from smbport.platform import File
from smbport.posix.data import descriptor
from smbport.posix.walk import error
from smbport_freebsd.calls import Calls

__all__ = ["FreeBSDZeroCopy"]

MAX_SENDFILE: Final = 1 << 30  # bytes in one call; guessed: more than a socket ever takes at once


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
