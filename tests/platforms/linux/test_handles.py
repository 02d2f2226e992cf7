"""smbport_linux.handles, and what a volume does with them: streams of files that local programs remove."""

import errno
import os
import shutil
from contextlib import closing
from pathlib import Path

import pytest

from smbport.platform import ACCESS_READ, ACCESS_WRITE
from smbport.posix.walk import HIDDEN, Root
from smbport_linux import handles
from smbport_linux.handles import LinuxHandles, find_handles
from smbport_linux.platform import LinuxPlatform
from smbport_linux.volume import LinuxVolume, find_linux_features

LONG = b"long" * 20_000  # what no attribute holds


@pytest.fixture
def names(share: Path):
    root = Root(str(share))
    found = find_handles(root, find_linux_features(root))
    if found is None:
        root.close()
        pytest.skip("files cannot be found by handles here")
    yield found
    found.close()
    found.close()
    root.close()


@pytest.mark.parametrize("kind", ["file", "directory"])
def test_a_name_is_good_as_long_as_the_file_exists(names: LinuxHandles, share: Path, kind: str):
    path, other = share / "a", share / "b"
    (share / "elsewhere").mkdir()
    path.touch() if kind == "file" else path.mkdir()
    name = names.name(str(path))
    fd = os.open(path, os.O_RDONLY)
    assert names.name(fd) == names.name(b"/proc/self/fd/%d" % fd) == name
    os.close(fd)
    path.rename(share / "elsewhere" / "a")
    other.touch()
    assert names.lives(name)
    assert names.name(str(other)) != name
    path = share / "elsewhere" / "a"
    path.unlink() if kind == "file" else path.rmdir()
    assert not names.lives(name)
    for _ in range(20):  # some of which get its inode
        os.close(os.open(path, os.O_CREAT | os.O_RDWR))
        assert not names.lives(name)
        path.unlink()


def test_what_is_no_name_of_here_is_not_given_up(names: LinuxHandles, share: Path):
    name = names.name(str(share))
    for other in (b"", name[:12], bytes(8) + name[8:], name + bytes(200)):
        assert names.lives(other)
    with pytest.raises(OSError, match=f"Errno {errno.EINVAL}]"):
        names.name("/proc/self/status")


def test_other_errors_tell_nothing(names: LinuxHandles, share: Path, monkeypatch: pytest.MonkeyPatch):
    name = names.name(str(share))
    os.close(names._fd)
    with pytest.raises(OSError, match=f"Errno {errno.EBADF}]"):
        names.lives(name)
    names._fd = -1
    monkeypatch.setattr(handles, "name_to_handle_at", lambda *_: -1)
    with pytest.raises(OSError, match="Errno"):
        names.name(str(share))


def test_where_there_are_none(share: Path, monkeypatch: pytest.MonkeyPatch):
    root = Root(str(share))
    features = find_linux_features(root)
    assert find_handles(root, type(features)(file_system="fuse")) is None
    monkeypatch.setattr(handles, "open_by_handle_at", lambda *_: -1)
    assert find_handles(root, features) is None
    root.close()


def beside(share: Path) -> int:
    """How many contents lie in the side store."""
    return len(list((share / HIDDEN).glob("*/????????????????????????????????")))


def store(platform: LinuxPlatform, volume: LinuxVolume, name: str) -> None:
    node = volume.create(name, ACCESS_READ | ACCESS_WRITE, 0o644, wait=True)
    assert platform.streams is not None
    stream = platform.streams.create(node, "s", wait=True)
    stream.write_at(0, LONG, wait=True)
    stream.close()


def start(platform: LinuxPlatform, share: Path) -> None:
    """A server that begins and ends; two shares have the same root."""
    platform.swept.clear()
    with closing(platform.open_volume(str(share))) as volume, closing(platform.open_volume(str(share))) as other:
        assert isinstance(volume, LinuxVolume)
        assert isinstance(other, LinuxVolume)
        assert other._sweeper is None
        if volume._sweeper is not None:
            volume._sweeper._thread.join()


def test_streams_of_files_that_local_programs_remove(names: LinuxHandles, platform: LinuxPlatform, share: Path):
    if platform.streams is None:
        pytest.skip("no streams here")
    with closing(platform.open_volume(str(share))) as volume:
        assert isinstance(volume, LinuxVolume)
        assert volume._sweeper is None  # there is nothing yet
        for name in ("stays", "goes", "moves"):
            store(platform, volume, name)
    (share / "goes").unlink()
    (share / "d").mkdir()
    (share / "moves").rename(share / "d" / "moved")
    start(platform, share)
    assert beside(share) == 3
    start(platform, share)
    assert beside(share) == 2
    with closing(platform.open_volume(str(share))) as volume:
        for path in ("stays", "d/moved"):
            with closing(platform.streams.open(volume.open(path, ACCESS_READ, wait=True), "s", wait=True)) as stream:
                assert stream.read_at(0, len(LONG), wait=True) == LONG


def test_a_copy_of_the_tree_loses_nothing(
    names: LinuxHandles, platform: LinuxPlatform, share: Path, monkeypatch: pytest.MonkeyPatch
):
    """On another file system, which the notes do not speak of."""
    if platform.streams is None:
        pytest.skip("no streams here")
    with closing(platform.open_volume(str(share))) as volume:
        assert isinstance(volume, LinuxVolume)
        store(platform, volume, "a")
    shutil.copytree(share, share.parent / "copy")
    found = os.fstatvfs

    def other(fd: int) -> os.statvfs_result:
        values = found(fd)
        return os.statvfs_result((*values[:10], values.f_fsid ^ 1))

    monkeypatch.setattr(handles.os, "fstatvfs", other)
    (share.parent / "copy" / "a").unlink()
    for _ in range(3):
        start(platform, share.parent / "copy")
    assert beside(share.parent / "copy") == 1
