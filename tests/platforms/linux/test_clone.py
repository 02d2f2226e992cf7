"""Copying and sharing inside the kernel."""

import errno
import fcntl
import os

import pytest

from smbport.platform import ACCESS_NONE, ACCESS_READ, ACCESS_WRITE
from smbport_linux import clone
from smbport_linux.clone import new_clone, why_no_clone

BOTH = ACCESS_READ | ACCESS_WRITE


@pytest.fixture
def files(platform, tmp_path):
    volume = platform.open_volume(str(tmp_path))
    opened = [volume.create(name, BOTH, 0o600, wait=True) for name in ("source", "target")]
    opened[0].write_at(0, b"0123456789", wait=True)
    yield opened
    for file in opened:
        file.close()
    volume.close()


def test_copying(files):
    source, target = files
    power = new_clone()
    with pytest.raises(BlockingIOError):
        power.copy(source, 0, target, 0, 10)
    assert power.copy(source, 2, target, 5, 100, wait=True) == 8
    assert target.read_at(0, 99, wait=True) == bytes(5) + b"23456789"
    assert power.copy(source, 10, target, 0, 1, wait=True) == 0
    with pytest.raises(OSError, match="nvalid") as caught:
        power.copy(source, 0, source, 5, 6, wait=True)
    assert caught.value.errno == errno.EINVAL


@pytest.mark.parametrize("code", [errno.EXDEV, errno.EOPNOTSUPP, errno.ENOSYS])
def test_two_files_that_the_kernel_does_not_copy_between(files, monkeypatch, code):
    def refuse(*_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "copy_file_range", refuse)
    with pytest.raises(OSError, match=os.strerror(errno.EXDEV)):
        new_clone().copy(*files[:1], 0, files[1], 0, 10, wait=True)
    assert why_no_clone() == f"This kernel refuses copy_file_range: {os.strerror(code)}."


def test_a_kernel_that_copies_nothing(monkeypatch):
    assert why_no_clone() is None
    monkeypatch.setattr(os, "copy_file_range", lambda *_: 0)
    assert why_no_clone() == "This kernel copies nothing by copy_file_range."


def test_sharing_blocks(files, monkeypatch):
    asked = []
    monkeypatch.setattr(fcntl, "ioctl", lambda *args: asked.append(args))
    source, target = files
    power = new_clone()
    with pytest.raises(BlockingIOError):
        power.reflink(source, 0, target, 0, 4096)
    power.reflink(source, 0, target, 0, 0, wait=True)
    assert asked == []
    power.reflink(source, 4096, target, 8192, 12288, wait=True)
    (fd, number, argument) = asked[0]
    assert (fd, number) == (target.fileno(), 0x4020940D)
    assert argument == b"".join(n.to_bytes(8, "little") for n in (source.fileno(), 4096, 12288, 8192))


@pytest.mark.parametrize(
    ("code", "expected"),
    [(errno.ENOTTY, errno.EOPNOTSUPP), (errno.ETXTBSY, errno.EOPNOTSUPP), (errno.EINVAL, errno.EINVAL)],
)
def test_why_blocks_are_not_shared(files, monkeypatch, code, expected):
    def refuse(*_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(clone, "clone_range", refuse)
    with pytest.raises(OSError, match=os.strerror(expected)):
        new_clone().reflink(*files[:1], 0, files[1], 0, 4096, wait=True)


def test_a_handle_without_access_is_no_source(platform, tmp_path, files):
    volume = platform.open_volume(str(tmp_path))
    handle = volume.open("source", ACCESS_NONE, wait=True)
    with pytest.raises(OSError, match=os.strerror(errno.EBADF)):
        new_clone().copy(handle, 0, files[1], 0, 1, wait=True)
    handle.close()
    volume.close()
