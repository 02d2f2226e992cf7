"""smbport.testing.links: frames over TCP.  What goes to a server in this process is in test_client.py."""

import socket

import pytest

from smbport.testing.links import SocketLink


def test_frames_over_a_socket() -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        link = SocketLink(ours)
        link.send(b"request")
        assert theirs.recv(100) == b"\0\0\0\x07request"
        theirs.sendall(b"\0\0\0\x05reply\0\0\0\x00\0\0\0\x04mo")
        assert link.receive() == b"reply"
        assert link.receive() == b""
        theirs.sendall(b"re")
        assert link.receive() == b"more"
        link.close()
        assert theirs.recv(100) == b""


@pytest.mark.parametrize("last_words", [b"", b"\0\0", b"\0\0\0\x05", b"\0\0\0\x05rep"])
def test_a_server_that_hangs_up(last_words: bytes) -> None:
    ours, theirs = socket.socketpair()
    link = SocketLink(ours)
    theirs.sendall(last_words)
    theirs.close()
    with pytest.raises(ConnectionResetError):
        link.receive()
    link.close()


def test_connecting() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        link = SocketLink.connect("127.0.0.1", listener.getsockname()[1])
        accepted, _ = listener.accept()
        with accepted:
            link.send(b"x")
            assert accepted.recv(10) == b"\0\0\0\x01x"
            link.close()
