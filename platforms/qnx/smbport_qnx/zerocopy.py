"""Whether sendfile() can be used, should a QNX have it: none that is documented does."""

import os
import socket
from tempfile import TemporaryFile
from typing import Final

__all__ = ["why_no_zero_copy"]

TEST_DATA: Final = bytes(range(251)) * 1045  # 256 KiB, in which no two places look alike to a wrong offset
TEST_OFFSET: Final = 4097
PATIENCE_S: Final = 10.0  # guessed; over loopback it takes no time


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
