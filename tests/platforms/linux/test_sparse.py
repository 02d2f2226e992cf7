"""Holes: made by fallocate, found by lseek."""

import errno
import os

import pytest

from smbport.platform import ACCESS_READ, ACCESS_WRITE
from smbport_linux import sparse
from smbport_linux.sparse import new_sparse, why_no_sparse

PAGE = 4096


@pytest.fixture
def file(platform, tmp_path):
    volume = platform.open_volume(str(tmp_path))
    file = volume.create("f", ACCESS_READ | ACCESS_WRITE, 0o600, wait=True)
    file.write_at(0, b"x" * 8 * PAGE, wait=True)
    yield file
    file.close()
    volume.close()


def test_holes(file):
    power = new_sparse()
    for call in (power.punch, power.zero):
        with pytest.raises(BlockingIOError):
            call(file, 0, 1)
        call(file, 0, 0, wait=True)
    power.punch(file, PAGE, 2 * PAGE, wait=True)
    power.punch(file, 5 * PAGE, PAGE, wait=True)
    assert file.read_at(0, 2 * PAGE, wait=True) == b"x" * PAGE + bytes(PAGE)
    with pytest.raises(BlockingIOError):
        power.data_ranges(file, 0, 8 * PAGE, limit=1)
    ranges = [(0, PAGE), (3 * PAGE, 2 * PAGE), (6 * PAGE, 2 * PAGE)]
    assert power.data_ranges(file, 0, 100 * PAGE, limit=9, wait=True) == ranges
    assert power.data_ranges(file, 0, 100 * PAGE, limit=2, wait=True) == ranges[:2]
    assert power.data_ranges(file, PAGE, PAGE, limit=9, wait=True) == []
    assert power.data_ranges(file, 10, 10, limit=9, wait=True) == [(10, 10)]
    assert power.data_ranges(file, 8 * PAGE, PAGE, limit=9, wait=True) == []
    assert file.stat().size == 8 * PAGE


def test_zeroes_that_keep_their_room(file):
    before = file.stat().allocated
    new_sparse().zero(file, 10, 6 * PAGE, wait=True)
    assert file.read_at(0, 8 * PAGE, wait=True) == b"x" * 10 + bytes(6 * PAGE) + b"x" * (2 * PAGE - 10)
    assert file.stat().allocated >= before


def test_other_errors_are_told(file, monkeypatch):
    def fail(*_):
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr(os, "lseek", fail)
    with pytest.raises(OSError, match="broken"):
        new_sparse().data_ranges(file, 0, 1, limit=1, wait=True)


def test_probing(monkeypatch):
    assert why_no_sparse() is None
    monkeypatch.setattr(sparse, "punch_hole", lambda *_: None)
    assert why_no_sparse() == "This kernel does not find the holes that it makes."

    def refuse(*_):
        raise OSError(errno.EOPNOTSUPP, "not supported")

    monkeypatch.setattr(sparse, "punch_hole", refuse)
    assert why_no_sparse() == "This kernel refuses holes: not supported."
