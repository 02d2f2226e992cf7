"""smbport_qnx.zerocopy: used if there is a sendfile that does what it should, which a QNX has yet to show."""

import os

import pytest

from smbport_qnx.zerocopy import TEST_OFFSET, why_no_zero_copy

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
