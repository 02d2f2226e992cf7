"""Sending file data from the page cache to a socket: sendfile(2), as Python's `os` has it."""

import os
from socket import socket
from typing import Final

from smbport.platform import File

__all__ = ["PosixZeroCopy"]

MAX_SENDFILE: Final = 1 << 30  # bytes in one call; less than any system takes at most, more than any socket at once


class PosixZeroCopy:
    """The power `zero_copy`.  `more` is the flag, if there is one, with which a head waits for the data behind it."""

    __slots__ = ("_more",)
    needs_cached = True
    min_length = 262144  # on Linux it takes as long as reading and sending there; half as long from 512 KiB on

    def __init__(self, more: int = 0) -> None:
        self._more = more

    def send(self, sock: socket, head: bytes | memoryview, file: File, offset: int, length: int) -> int:
        taken = 0
        if head:
            taken = sock.send(head, self._more)
            if taken < len(head):
                return taken
        try:
            return taken + os.sendfile(sock.fileno(), file.fileno(), offset, min(length, MAX_SENDFILE))
        except BlockingIOError:
            if not taken:
                raise
            return taken
