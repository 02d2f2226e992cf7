"""smbport.posix.files"""

import errno
import os
from contextlib import closing
from pathlib import Path

import pytest

from smbport.platform import ACCESS_READ, ACCESS_WRITE
from smbport.posix.port import PosixPlatform


@pytest.fixture
def volume(tmp_path: Path):
    with closing(PosixPlatform().open_volume(str(tmp_path))) as opened:
        yield opened


def waits(function, *args, **keywords) -> None:
    with pytest.raises(BlockingIOError):
        function(*args, **keywords)


def test_nothing_that_touches_a_file_system_is_done_inline(volume, tmp_path: Path):
    file = volume.create("file", ACCESS_READ | ACCESS_WRITE, 0o600, wait=True)
    top = volume.open("", ACCESS_READ, wait=True)
    for node in (file, top):
        waits(node.set_times, 0, 0)
        waits(node.set_mode, 0o700)
        waits(node.set_owner, None, None)
        waits(node.set_marks, 0, 0)
        waits(node.sync)
    waits(top.entries, 5)
    waits(file.read_at, 0, 1)
    waits(file.write_at, 0, b"x")
    waits(file.resize, 5)
    waits(file.allocate, 5)
    for call, args in (
        (volume.stat, ("file",)), (volume.open, ("file", 1)), (volume.create, ("new", 3, 0o600)), (volume.space, ()),
        (volume.make_directory, ("new", 0o700)), (volume.link, ("file", "new")), (volume.may_remove, ("file",)),
        (volume.remove, ("file", file.stat().key)), (volume.sync_directory_of, ("file",)),
    ):  # fmt: skip
        waits(call, *args)
    waits(volume.rename, "file", "new", replace=True)
    assert os.listdir(tmp_path) == ["file"]
    assert file.stat().size == 0
    file.close()
    top.close()


def test_marks_are_not_stored(volume):
    assert not volume.features.stores_marks
    top = volume.open("", ACCESS_READ, wait=True)
    with closing(top), pytest.raises(OSError, match=f"Errno {errno.ENOTSUP}]"):
        top.set_marks(2, None, wait=True)


def test_writing_through_is_synced(volume, monkeypatch):
    synced: list[int] = []
    monkeypatch.setattr("smbport.posix.files.fdatasync", synced.append)
    with closing(volume.create("file", 3, 0o600, wait=True)) as file:
        file.write_at(0, b"x", wait=True)
        assert synced == []
        file.write_at(0, b"x", through=True, wait=True)
        assert synced == [file.fileno()]


# Handles of what cannot be opened, by name


def test_a_named_handle_ends_with_its_name(volume, tmp_path: Path):
    os.mkfifo(tmp_path / "fifo")
    with closing(volume.open("fifo", 0, wait=True)) as fifo:
        before = fifo.stat()
        assert before.links == 1
        fifo.sync(wait=True)
        (tmp_path / "fifo").rename(tmp_path / "aside")
        assert (fifo.stat().key, fifo.stat().links) == (before.key, 0)
        (tmp_path / "fifo").touch(0o600)
        assert (fifo.stat().key, fifo.stat().links) == (before.key, 0)  # another file of the same name
        for call, args in ((fifo.set_times, (0, 0)), (fifo.set_owner, (None, None))):
            with pytest.raises(FileNotFoundError):
                call(*args, wait=True)
        (tmp_path / "aside").rename(tmp_path / "fifo")
        assert fifo.stat().links == 1


def test_a_named_handle_gives_no_data(volume, tmp_path: Path):
    (tmp_path / "link").symlink_to("/etc/passwd")
    with closing(volume.open("link", 0, follow=False, wait=True)) as link:
        with pytest.raises(OSError):  # noqa: PT011
            link.read_at(0, 10, wait=True)
        with pytest.raises(OSError):  # noqa: PT011
            link.write_at(0, b"x", wait=True)
        with pytest.raises(OSError):  # noqa: PT011
            link.resize(0, wait=True)
        assert link.fileno() == -1
        with pytest.raises(OSError, match=f"Errno {errno.EOPNOTSUPP}]"):
            link.set_mode(0o600, wait=True)


def test_a_named_directory_lists_nothing(volume, tmp_path: Path, monkeypatch):
    """Least of all the directory that it is in."""
    (tmp_path / "dir").mkdir()
    real = os.open

    def refuse(path, flags, mode=0o777, *, dir_fd=None):
        if path == b"dir" and not flags & os.O_PATH:
            raise PermissionError(errno.EACCES, "no")
        return real(path, flags, mode, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", refuse)
    with closing(volume.open("dir", 0, wait=True)) as directory:
        assert directory.is_directory
        assert directory.stat().key == volume.stat("dir", wait=True).key
        with pytest.raises(PermissionError):
            directory.entries(5, wait=True)
    with pytest.raises(PermissionError):
        volume.open("dir", ACCESS_READ, wait=True)
    with closing(volume.make_directory("new", 0o700, wait=True)) as made:
        assert made.is_directory


@pytest.mark.parametrize(("allowed", "outlives"), [((os.O_WRONLY,), True), ((), False)])
def test_a_file_that_may_only_be_written_is_held_open_even_so(
    volume, tmp_path: Path, monkeypatch, allowed: tuple[int, ...], outlives: bool
):
    (tmp_path / "file").touch()
    real = os.open

    def refuse(path, flags, mode=0o777, *, dir_fd=None):
        if path == b"file" and flags & os.O_ACCMODE not in allowed:
            raise PermissionError(errno.EACCES, "no")
        return real(path, flags, mode, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", refuse)
    with closing(volume.open("file", 0, wait=True)) as file:
        file.set_times(10**18, None, wait=True)
        assert file.stat().access_ns == 10**18
        (tmp_path / "file").rename(tmp_path / "other")
        assert file.stat().links == outlives
