"""Compression by the file system: on a btrfs where root can mount one, and the kernel's refusals anywhere."""

import errno
import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from smbport.platform import ACCESS_NONE, ACCESS_READ, ACCESS_WRITE, Account
from smbport.testing.kit import examine
from smbport_linux import compression
from smbport_linux.calls import FS_COMPR_FL, FS_NOCOMP_FL, inode_flags, set_inode_flags
from smbport_linux.compression import LinuxCompression
from smbport_linux.platform import LinuxPlatform
from smbport_linux.volume import LinuxVolume
from tests.btrfs import BtrfsMissing, mounted_btrfs

NO_COW = 0x00800000
USER = Account("user", 12345, 12346, (12346,))


@pytest.fixture(scope="module")
def mountpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    try:
        with mounted_btrfs(tmp_path_factory.mktemp("compressing")) as mounted:
            yield mounted
    except BtrfsMissing as missing:
        pytest.skip(str(missing))


@pytest.fixture
def btrfs(platform: LinuxPlatform, mountpoint: Path, request: pytest.FixtureRequest) -> Iterator[LinuxVolume]:
    folder = mountpoint / request.node.name
    folder.mkdir()
    with closing(platform.open_volume(str(folder))) as volume:
        assert isinstance(volume, LinuxVolume)
        yield volume


def flags(path: Path) -> int:
    fd = os.open(path, os.O_RDONLY)
    try:
        return inode_flags(fd)
    finally:
        os.close(fd)


def test_the_exam(platform: LinuxPlatform, mountpoint: Path):
    report = examine(platform, str(mountpoint), ["compression"])
    assert report.lines == ["compression  passed"], str(report)


def test_the_flags_are_those_of_chattr(btrfs: LinuxVolume):
    path = Path(os.fsdecode(btrfs.root.path)) / "file"
    with closing(btrfs.create("file", ACCESS_WRITE, 0o600, wait=True)) as file:
        for compressed, flag in ((True, FS_COMPR_FL), (False, FS_NOCOMP_FL), (True, FS_COMPR_FL)):
            LinuxCompression().set(file, compressed, wait=True)
            assert flags(path) & (FS_COMPR_FL | FS_NOCOMP_FL) == flag


def test_a_node_without_access(btrfs: LinuxVolume):
    btrfs.create("file", ACCESS_READ, 0o600, wait=True).close()
    for name in ("file", ""):
        with closing(btrfs.open(name, ACCESS_NONE, wait=True)) as node:
            LinuxCompression().set(node, True, wait=True)
            assert node.stat().compressed


def test_it_is_never_done_inline(btrfs: LinuxVolume):
    with closing(btrfs.create("file", ACCESS_READ, 0o600, wait=True)) as file:
        with pytest.raises(BlockingIOError):
            LinuxCompression().set(file, True)
        assert not file.stat().compressed


def test_a_file_without_copy_on_write(btrfs: LinuxVolume):
    with closing(btrfs.create("file", ACCESS_READ, 0o600, wait=True)) as file:
        set_inode_flags(file.fileno(), NO_COW)
        with pytest.raises(OSError, match=r"not supported") as caught:
            LinuxCompression().set(file, True, wait=True)
        assert caught.value.errno == errno.EOPNOTSUPP
        assert inode_flags(file.fileno()) & (NO_COW | FS_COMPR_FL) == NO_COW


def test_it_is_for_the_owner(btrfs: LinuxVolume):
    os.chmod(btrfs.root.path, 0o755)
    btrfs.create("file", ACCESS_READ, 0o666, wait=True).close()
    theirs = btrfs.acting_as(USER)
    with closing(theirs.open("", ACCESS_READ, wait=True)) as node, pytest.raises(PermissionError):
        LinuxCompression().set(node, True, wait=True)


def test_a_link_is_left_alone(btrfs: LinuxVolume):
    btrfs.symlink("link", "nowhere", wait=True)
    link = btrfs.open("link", ACCESS_NONE, follow=False, wait=True)
    with closing(link), pytest.raises(OSError, match=r"not supported"):
        LinuxCompression().set(link, True, wait=True)


def test_flags_that_mean_nothing_are_not_believed(volume: LinuxVolume, share: Path):
    """ext4 takes them, and says by statx that the file is compressed."""
    if volume.features.compression:
        pytest.skip("this file system compresses")
    with closing(volume.create("file", ACCESS_WRITE, 0o600, wait=True)) as file:
        with pytest.raises(OSError, match=r"not supported") as caught:
            LinuxCompression().set(file, True, wait=True)
        assert caught.value.errno == errno.EOPNOTSUPP
        try:
            set_inode_flags(file.fileno(), inode_flags(file.fileno()) | FS_COMPR_FL)
        except OSError as reason:
            pytest.skip(f"{volume.features.file_system} has no such flags: {reason.strerror}")
        assert not file.stat().compressed
    with closing(volume.open("", ACCESS_READ, wait=True)) as top:
        assert [entry.stat and entry.stat.compressed for entry in top.entries(9, wait=True)] == [False]


@pytest.mark.parametrize(
    ("code", "expected"),
    [(errno.ENOTTY, errno.EOPNOTSUPP), (errno.ETXTBSY, errno.EOPNOTSUPP), (errno.EROFS, errno.EROFS)],
)
def test_why_it_is_refused(volume: LinuxVolume, monkeypatch: pytest.MonkeyPatch, code: int, expected: int):
    def refuse(*_: int) -> int:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(compression, "file_system_type", lambda path: "btrfs")
    monkeypatch.setattr(compression, "inode_flags", refuse)
    with closing(volume.create("file", ACCESS_READ, 0o600, wait=True)) as file:
        before = os.listdir("/proc/self/fd")
        with pytest.raises(OSError, match=os.strerror(expected)) as caught:
            LinuxCompression().set(file, True, wait=True)
        assert caught.value.errno == expected
        assert len(os.listdir("/proc/self/fd")) == len(before)
