"""Sending file data from the page cache to a socket: sendfile(2)."""

import os
from socket import MSG_MORE, socket
from typing import Final

from smbport.platform import File

__all__ = ["LinuxZeroCopy"]

MAX_SENDFILE: Final = 0x7FFFF000  # what one call takes at most


class LinuxZeroCopy:
    """The power `zero_copy`."""

    __slots__ = ()
    needs_cached = True
    min_length = 262144  # there it takes as long as reading and sending; half as long from 512 KiB on

    def send(self, sock: socket, head: bytes | memoryview, file: File, offset: int, length: int) -> int:
        taken = 0
        if head:
            taken = sock.send(head, MSG_MORE)  # held back until the data is there to fill the packet
            if taken < len(head):
                return taken
        try:
            return taken + os.sendfile(sock.fileno(), file.fileno(), offset, min(length, MAX_SENDFILE))
        except BlockingIOError:
            if not taken:
                raise
            return taken
