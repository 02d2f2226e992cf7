"""smbport.posix.data."""

import errno
import os
from contextlib import closing
from pathlib import Path

import pytest

from smbport.platform import ACCESS_NONE, ACCESS_READ, ACCESS_WRITE
from smbport.posix import data
from smbport.posix.data import PosixClone, PosixSparse, descriptor, find_data_ranges
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


# The powers


@pytest.fixture
def files(tmp_path: Path):
    """Two files."""
    with closing(PosixPlatform().open_volume(str(tmp_path))) as volume:
        opened = [volume.create(name, ACCESS_READ | ACCESS_WRITE, 0o600, wait=True) for name in ("source", "target")]
        yield opened
        for file in opened:
            file.close()


class Calls:
    """Those of a system, which fail if that is asked for."""

    def __init__(self, failing: int = 0) -> None:
        self.made: list[tuple[int, ...]] = []
        self.failing = failing

    def __call__(self, *arguments: int) -> int:
        self.made.append(arguments)
        if self.failing:
            raise OSError(self.failing, os.strerror(self.failing))
        return 5


def error_of(function, *arguments, **keywords) -> int | None:
    try:
        function(*arguments, **keywords)
    except OSError as reason:
        return reason.errno
    return None


def test_copies_and_shared_blocks(files):
    source, target = files
    copy, share = Calls(), Calls()
    clone = PosixClone(copy, share)
    assert clone.copy(source, 1, target, 2, 3, wait=True) == 5
    clone.reflink(source, 4, target, 5, 6, wait=True)
    clone.reflink(source, 4, target, 5, 0, wait=True)  # nothing, which to the call means all
    assert copy.made == [(source.fileno(), 1, target.fileno(), 2, 3)]
    assert share.made == [(source.fileno(), 4, target.fileno(), 5, 6)]
    for call in (clone.copy, clone.reflink, PosixClone(copy).reflink):
        assert error_of(call, source, 0, target, 0, 1) == errno.EAGAIN


@pytest.mark.parametrize(
    ("number", "copying", "sharing"),
    [
        (errno.ENOSYS, errno.EXDEV, errno.ENOSYS),
        (errno.EOPNOTSUPP, errno.EXDEV, errno.EOPNOTSUPP),
        (errno.ENODEV, errno.EXDEV, errno.ENODEV),
        (errno.EPERM, errno.EXDEV, errno.EPERM),
        (errno.ETXTBSY, errno.ETXTBSY, errno.EOPNOTSUPP),
        (errno.ENOTTY, errno.ENOTTY, errno.EOPNOTSUPP),
        (errno.EINVAL, errno.EINVAL, errno.EINVAL),
    ],
)
def test_why_not(files, number: int, copying: int, sharing: int):
    source, target = files
    clone = PosixClone(Calls(number), Calls(number))
    assert error_of(clone.copy, source, 0, target, 0, 1, wait=True) == copying
    assert error_of(clone.reflink, source, 0, target, 0, 1, wait=True) == sharing


def test_a_system_that_cannot_be_asked_to_share(files):
    assert error_of(PosixClone(Calls()).reflink, files[0], 0, files[1], 0, 1, wait=True) == errno.EOPNOTSUPP


def test_holes_and_zeroes(files):
    file, punch, zero = files[0], Calls(), Calls()
    sparse = PosixSparse(punch, zero)
    for call in (sparse.punch, sparse.zero):
        call(file, 4, 0, wait=True)
        call(file, 4, 2, wait=True)
        assert error_of(call, file, 4, 2) == errno.EAGAIN
    assert punch.made == zero.made == [(file.fileno(), 4, 2)]
    assert error_of(PosixSparse(punch).zero, file, 4, 2, wait=True) == errno.EOPNOTSUPP
    assert error_of(sparse.data_ranges, file, 0, 9, limit=1) == errno.EAGAIN
    file.write_at(0, b"data", wait=True)
    assert sparse.data_ranges(file, 1, 9, limit=1, wait=True) == [(1, 3)]
