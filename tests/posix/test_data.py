"""smbport.posix.data."""

import errno
import os
from contextlib import closing
from pathlib import Path

import pytest

from smbport.platform import ACCESS_NONE, ACCESS_READ, ACCESS_WRITE
from smbport.posix import data
from smbport.posix.data import descriptor, find_data_ranges
from smbport.posix.port import PosixPlatform

MIB = 1 << 20


@pytest.fixture
def sparse(tmp_path: Path) -> int:
    """Data in the second and the fourth MiB of six, if the file system has holes."""
    fd = os.open(tmp_path / "sparse", os.O_RDWR | os.O_CREAT)
    for start in (MIB, 3 * MIB):
        os.pwrite(fd, b"x" * MIB, start)
    os.ftruncate(fd, 6 * MIB)
    if os.fstat(fd).st_blocks * 512 >= 6 * MIB:
        pytest.skip("this file system has no holes")
    yield fd
    os.close(fd)


def test_data_ranges(sparse: int):
    assert find_data_ranges(sparse, 0, 6 * MIB, 9) == [(MIB, MIB), (3 * MIB, MIB)]
    assert find_data_ranges(sparse, 0, 6 * MIB, 1) == [(MIB, MIB)]
    assert find_data_ranges(sparse, MIB + 5, 2 * MIB, 9) == [(MIB + 5, MIB - 5), (3 * MIB, 5)]
    assert find_data_ranges(sparse, 0, MIB, 9) == []
    assert find_data_ranges(sparse, 5 * MIB, 9 * MIB, 9) == []
    assert find_data_ranges(sparse, 0, 0, 9) == []


def test_a_system_that_cannot_tell(sparse: int, monkeypatch):
    monkeypatch.setattr(data, "SEEK_DATA", -1)
    with pytest.raises(OSError, match="Invalid"):
        find_data_ranges(sparse, 0, MIB, 9)


def test_a_handle_without_a_descriptor(tmp_path: Path):
    os.mkfifo(tmp_path / "fifo")
    with closing(PosixPlatform().open_volume(str(tmp_path))) as volume:
        with closing(volume.create("file", ACCESS_READ | ACCESS_WRITE, 0o600, wait=True)) as file:
            assert descriptor(file) == file.fileno()
        with closing(volume.open("fifo", ACCESS_NONE, wait=True)) as node:
            try:
                descriptor(node)
            except OSError as reason:
                number = reason.errno
    assert number == errno.EBADF
