"""Locks of open file descriptions, against a local program that uses fcntl."""

import errno
import fcntl
import os
import struct
import subprocess
import sys

import pytest

from smbport.platform import ACCESS_READ, ACCESS_WRITE
from smbport_linux.range_locks import new_range_locks, why_no_range_locks

TRY = """
import fcntl, sys
with open(sys.argv[1], "r+b") as file:
    try:
        fcntl.lockf(file, fcntl.LOCK_NB | int(sys.argv[4]), int(sys.argv[3]), int(sys.argv[2]))
    except OSError:
        print("taken")
"""


@pytest.fixture
def volume(platform, tmp_path):
    (tmp_path / "f").write_bytes(bytes(100))
    volume = platform.open_volume(str(tmp_path))
    yield volume
    volume.close()


@pytest.fixture
def is_free(tmp_path):
    """Whether another process could lock the range."""

    def ask(offset, length, kind=fcntl.LOCK_EX):
        words = [sys.executable, "-c", TRY, str(tmp_path / "f"), str(offset), str(length), str(kind)]
        return not subprocess.run(words, check=True, capture_output=True).stdout

    return ask


def test_a_local_program_sees_them(volume, is_free):
    power, file = new_range_locks(), volume.open("f", ACCESS_READ | ACCESS_WRITE, wait=True)
    assert power.lock(file, 10, 10, exclusive=True, wait=True)
    assert power.lock(file, 30, 10, exclusive=False, wait=True)
    assert not is_free(19, 1)
    assert not is_free(30, 1)
    assert is_free(30, 1, fcntl.LOCK_SH)
    assert is_free(0, 10)
    power.unlock(file, 10, 5, wait=True)
    assert is_free(10, 5)
    assert not is_free(15, 1)
    file.close()
    assert is_free(0, 100)


def test_and_they_see_those_of_a_local_program(volume, tmp_path):
    power, file = new_range_locks(), volume.open("f", ACCESS_READ | ACCESS_WRITE, wait=True)
    with (tmp_path / "f").open("r+b") as local:
        flock = struct.pack("hhqqi0q", fcntl.F_WRLCK, os.SEEK_SET, 5, 5, 0)
        fcntl.fcntl(local, fcntl.F_OFD_SETLK, flock)
        assert not power.lock(file, 0, 6, exclusive=False, wait=True)
        assert power.lock(file, 0, 5, exclusive=False, wait=True)
    assert power.lock(file, 0, 6, exclusive=True, wait=True)
    file.close()


def test_as_far_as_the_access_of_a_handle_allows(volume, is_free):
    power = new_range_locks()
    reader, writer = (volume.open("f", access, wait=True) for access in (ACCESS_READ, ACCESS_WRITE))
    assert power.lock(reader, 0, 1, exclusive=True, wait=True)
    assert not is_free(0, 1)
    assert is_free(0, 1, fcntl.LOCK_SH)
    assert power.lock(writer, 5, 1, exclusive=False, wait=True)
    assert is_free(5, 1)
    reader.close()
    writer.close()


def test_ranges_that_only_smb_can_name(volume, is_free):
    power, file = new_range_locks(), volume.open("f", ACCESS_READ | ACCESS_WRITE, wait=True)
    for offset, length in ((1 << 63, 1), ((1 << 64) - 1, 1), (7, 0)):
        assert power.lock(file, offset, length, exclusive=True, wait=True)
        power.unlock(file, offset, length, wait=True)
    assert power.lock(file, 50, (1 << 64) - 50, exclusive=True, wait=True)
    assert not is_free(1 << 62, 1)
    assert is_free(0, 50)
    file.close()


def test_other_errors_are_told(volume, monkeypatch):
    file = volume.open("f", ACCESS_READ | ACCESS_WRITE, wait=True)
    real = fcntl.fcntl

    def fail(fd, call, *rest):
        if call == fcntl.F_OFD_SETLK:
            raise OSError(errno.ENOLCK, "no locks available")
        return real(fd, call, *rest)

    monkeypatch.setattr(fcntl, "fcntl", fail)
    with pytest.raises(OSError, match="no locks available"):
        new_range_locks().lock(file, 0, 1, exclusive=True, wait=True)
    assert why_no_range_locks() == "This kernel refuses locks of open file descriptions: no locks available."
    file.close()


def test_this_kernel():
    assert why_no_range_locks() is None
