"""How the frames of a client travel: over TCP, or to a server in the same process."""

import socket
from typing import Protocol

from smbport.testing.direct import DirectConnection

__all__ = ["DirectLink", "Link", "SocketLink"]


class Link(Protocol):
    """How frames travel, without their prefixes."""

    def send(self, frame: bytes) -> None: ...

    def receive(self) -> bytes:
        """The next frame.  Raises ConnectionError when the server hangs up."""

    def close(self) -> None: ...


class SocketLink:
    """Over TCP."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._file = sock.makefile("rb")

    @classmethod
    def connect(cls, host: str, port: int, timeout_s: float = 60) -> "SocketLink":
        """Open a connection."""
        sock = socket.create_connection((host, port), timeout_s)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return cls(sock)

    def send(self, frame: bytes) -> None:
        self.sock.sendall(len(frame).to_bytes(4, "big") + frame)

    def receive(self) -> bytes:
        prefix = self._file.read(4)
        length = int.from_bytes(prefix, "big")
        frame = self._file.read(length)
        if len(prefix) < 4 or len(frame) < length:
            raise ConnectionResetError("the server hung up")
        return frame

    def close(self) -> None:
        self._file.close()
        self.sock.close()


class DirectLink:
    """To a server in this process, without sockets."""

    def __init__(self, connection: DirectConnection) -> None:
        self.connection = connection
        self.replies: list[bytes] = []

    def send(self, frame: bytes) -> None:
        self.replies += self.connection.receive(frame)

    def receive(self) -> bytes:
        if not self.replies:
            self.replies += self.connection.resume(expire=True)
        if not self.replies:
            raise ConnectionResetError("no reply is to be expected")
        return self.replies.pop(0)

    def close(self) -> None:
        self.connection.close()
