"""Sending file data by sendfile(), should a QNX have it: none that is documented does."""

import os
import socket
from tempfile import TemporaryFile
from typing import Final

from smbport.platform import File

__all__ = ["QnxZeroCopy", "why_no_zero_copy"]

MAX_SENDFILE: Final = 0x40000000  # guessed: below what any system takes at most
TEST_DATA: Final = bytes(range(251)) * 1045  # 256 KiB, in which no two places look alike to a wrong offset
TEST_OFFSET: Final = 4097
PATIENCE_S: Final = 10.0  # guessed; over loopback it takes no time


class QnxZeroCopy:
    """The power `zero_copy`."""

    __slots__ = ()
    needs_cached = True
    min_length = 262144  # as on Linux; not measured

    def send(self, sock: socket.socket, head: bytes | memoryview, file: File, offset: int, length: int) -> int:
        taken = 0
        if head:
            taken = sock.send(head)
            if taken < len(head):
                return taken
        try:
            return taken + os.sendfile(sock.fileno(), file.fileno(), offset, min(length, MAX_SENDFILE))
        except BlockingIOError:
            if not taken:
                raise
            return taken


def why_no_zero_copy() -> str:
    """Why sendfile cannot be used; "" if it is there and does what it should over TCP."""
    if not hasattr(os, "sendfile"):
        return "QNX has no sendfile()."
    try:
        return "" if try_sendfile() else "The sendfile() of this system sends something else than the file."
    except OSError as reason:
        return f"The sendfile() of this system does not work: {reason.strerror or reason}."


def try_sendfile() -> bool:
    """Send a file, piece by piece as the socket takes it, and look at what arrives and where the file stands."""
    with TemporaryFile() as file, socket.create_server(("127.0.0.1", 0)) as listener:
        file.write(TEST_DATA)
        file.seek(0)
        with socket.create_connection(listener.getsockname(), PATIENCE_S) as receiver, listener.accept()[0] as sender:
            sender.setblocking(False)
            offset, arrived = TEST_OFFSET, bytearray()
            while offset < len(TEST_DATA):
                sent = os.sendfile(sender.fileno(), file.fileno(), offset, len(TEST_DATA) - offset)
                if not 0 < sent <= len(TEST_DATA) - offset:
                    return False
                offset += sent
                while len(arrived) < offset - TEST_OFFSET:  # so the socket has room again
                    arrived += receiver.recv(65536)  # TimeoutError if it said more than it sent
            at_end = os.sendfile(sender.fileno(), file.fileno(), len(TEST_DATA), 1)
            return arrived == TEST_DATA[TEST_OFFSET:] and at_end == 0 and os.lseek(file.fileno(), 0, os.SEEK_CUR) == 0
