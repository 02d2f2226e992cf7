"""smbport.posix.zerocopy"""

import os
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from smbport.platform import ACCESS_READ
from smbport.posix.port import PosixPlatform
from smbport.posix.zerocopy import PosixZeroCopy

DATA = os.urandom(3 << 20)
HEAD = b"head" * 20
MSG_MORE = getattr(socket, "MSG_MORE", 0)
power = PosixZeroCopy(MSG_MORE)


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two ends of a TCP connection; the first does not block."""
    with socket.create_server(("127.0.0.1", 0)) as listening, socket.create_connection(listening.getsockname()) as ours:
        theirs, _ = listening.accept()
        with theirs:
            ours.setblocking(False)
            theirs.settimeout(60)
            yield ours, theirs


@pytest.fixture
def file(tmp_path: Path):
    (tmp_path / "file").write_bytes(DATA)
    with (
        closing(PosixPlatform().open_volume(str(tmp_path))) as volume,
        closing(volume.open("file", ACCESS_READ, wait=True)) as opened,
    ):
        yield opened


def send_all(power, pair, file, head: bytes, offset: int, length: int) -> bytes:
    """Send as the server does, piece by piece, and receive in between."""
    ours, theirs = pair
    received = bytearray()
    while head or length:
        try:
            taken = power.send(ours, head, file, offset, length)
        except BlockingIOError:
            received += theirs.recv(1 << 20)
            continue
        of_head = min(taken, len(head))
        head = head[of_head:]
        offset += taken - of_head
        length -= taken - of_head
    ours.shutdown(socket.SHUT_WR)
    while piece := theirs.recv(1 << 20):
        received += piece
    return bytes(received)


@pytest.mark.parametrize(("offset", "length"), [(0, len(DATA)), (12345, 2 << 20), (0, 1), (len(DATA) - 5, 5), (0, 0)])
@pytest.mark.parametrize("head", [b"", HEAD, bytes(16 << 20)], ids=["no head", "head", "large head"])
@pytest.mark.parametrize("more", [MSG_MORE, 0], ids=["together", "one by one"])
def test_head_and_data_arrive(pair, file, more: int, head: bytes, offset: int, length: int):
    assert send_all(PosixZeroCopy(more), pair, file, head, offset, length) == head + DATA[offset : offset + length]


def test_at_the_end_of_the_file_only_the_head_is_taken(pair, file):
    assert power.send(pair[0], HEAD, file, len(DATA), 100) == len(HEAD)
    assert power.send(pair[0], memoryview(HEAD), file, len(DATA) + 5, 100) == len(HEAD)
    assert power.send(pair[0], b"", file, len(DATA), 100) == 0
    pair[0].shutdown(socket.SHUT_WR)
    assert pair[1].recv(1000, socket.MSG_WAITALL) == HEAD * 2


def test_a_full_socket(pair, file):
    ours, _ = pair
    while True:
        try:
            assert power.send(ours, HEAD, file, 0, len(DATA)) > 0
        except BlockingIOError:
            break
    with pytest.raises(BlockingIOError):
        power.send(ours, b"", file, 0, 100)


def test_a_socket_that_is_full_behind_the_head(pair, file, monkeypatch):
    def full(*_):
        raise BlockingIOError

    monkeypatch.setattr(os, "sendfile", full)
    assert power.send(pair[0], HEAD, file, 0, 100) == len(HEAD)


def test_a_lost_connection_is_an_oserror(pair, file):
    ours, theirs = pair
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    theirs.close()  # which resets it, so that the first of these knows
    with pytest.raises(ConnectionError):
        power.send(ours, HEAD, file, 0, len(DATA))


def test_a_socket_that_takes_a_part_of_the_head(file):
    class Short:
        def send(self, data: bytes, flags: int) -> int:
            assert flags == MSG_MORE
            return len(data) - 1

    assert power.send(Short(), HEAD, file, 0, 5) == len(HEAD) - 1
