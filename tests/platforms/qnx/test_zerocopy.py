"""smbport_qnx.zerocopy: used if there is a sendfile that does what it should, which a QNX has yet to show."""

import os
import socket
from contextlib import closing, suppress

import pytest

from smbport.platform import ACCESS_READ
from smbport.posix.port import PosixPlatform
from smbport_qnx.zerocopy import TEST_OFFSET, QnxZeroCopy, why_no_zero_copy

real_sendfile = os.sendfile


def test_a_good_one(monkeypatch):
    assert why_no_zero_copy() == ""
    monkeypatch.setattr(
        os, "sendfile", lambda out, source, offset, count: real_sendfile(out, source, offset, min(count, 999))
    )
    assert why_no_zero_copy() == ""


def test_none(monkeypatch):
    monkeypatch.delattr(os, "sendfile")
    assert why_no_zero_copy() == "QNX has no sendfile()."


def from_the_start(out, source, offset, count):
    return real_sendfile(out, source, offset - TEST_OFFSET, count)


def sends_nothing(out, source, offset, count):
    return 0


def says_too_much(out, source, offset, count):
    return count + 1


@pytest.mark.parametrize("sendfile", [from_the_start, sends_nothing, says_too_much])
def test_a_wrong_one(monkeypatch, sendfile):
    monkeypatch.setattr(os, "sendfile", sendfile)
    assert why_no_zero_copy() == "The sendfile() of this system sends something else than the file."


def test_one_that_moves_the_file(monkeypatch):
    def moves(out, source, offset, count):
        sent = real_sendfile(out, source, offset, count)
        os.lseek(source, offset + sent, os.SEEK_SET)
        return sent

    monkeypatch.setattr(os, "sendfile", moves)
    assert "something else" in why_no_zero_copy()


def test_one_that_fails(monkeypatch):
    def fails(out, source, offset, count):
        raise OSError(89, "not today")

    monkeypatch.setattr(os, "sendfile", fails)
    assert why_no_zero_copy() == "The sendfile() of this system does not work: not today."


# The power ------------------------------------------------------------------------------------------------------


@pytest.fixture
def pair():
    here, there = socket.socketpair()
    with here, there:
        here.setblocking(False)
        yield here, there


@pytest.fixture
def file(tmp_path):
    (tmp_path / "file").write_bytes(b"0123456789")
    with (
        closing(PosixPlatform().open_volume(str(tmp_path))) as volume,
        closing(volume.open("file", ACCESS_READ, wait=True)) as opened,
    ):
        yield opened


def test_head_and_data(pair, file):
    here, there = pair
    assert QnxZeroCopy().send(here, b"head", file, 2, 5) == 9
    assert there.recv(99) == b"head23456"
    assert QnxZeroCopy().send(here, b"", file, 8, 5) == 2
    assert QnxZeroCopy().send(here, b"head", file, 10, 5) == 4
    assert there.recv(99) == b"89head"


def fill(sock):
    with suppress(BlockingIOError):
        while True:
            sock.send(bytes(65536))


def test_a_socket_that_takes_nothing(pair, file):
    here, _ = pair
    fill(here)
    for head in (b"head", b""):
        with pytest.raises(BlockingIOError):
            QnxZeroCopy().send(here, head, file, 0, 5)


def test_a_socket_that_takes_the_head_only(pair, file, monkeypatch):
    def full(*arguments):
        raise BlockingIOError

    monkeypatch.setattr(os, "sendfile", full)
    assert QnxZeroCopy().send(pair[0], b"head", file, 0, 5) == 4


def test_a_socket_that_takes_a_part_of_the_head(file):
    class Short:
        def send(self, data):
            return len(data) - 1

    assert QnxZeroCopy().send(Short(), b"head", file, 0, 5) == 3
