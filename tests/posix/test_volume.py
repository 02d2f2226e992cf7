"""smbport.posix.volume: what is its own.  What the interface promises is tested with all volumes of a port."""

import errno
import os
from contextlib import closing
from pathlib import Path

import pytest

from smbport.platform import ACCESS_READ, Account
from smbport.posix.port import PosixPlatform
from smbport.posix.volume import find_case_sensitivity, find_features, find_umask, may_pass_sticky, open_regular
from smbport.posix.walk import MAX_RACES, Root, Walker


@pytest.fixture
def volume(tmp_path: Path):
    with closing(PosixPlatform().open_volume(str(tmp_path))) as opened:
        yield opened


def test_it_acts_as_nobody_else(volume):
    with pytest.raises(OSError, match=f"Errno {errno.ENOTSUP}]"):
        volume.acting_as(Account("x", 1, 1))


def test_features(volume, tmp_path: Path):
    features = volume.features
    assert features.file_system == "POSIX"
    claims = (features.inline_io, features.stores_marks, features.rename_exclusive, features.birth_time)
    assert not any(claims)
    root = Root(str(tmp_path))
    assert find_features(root) == features
    root.close()


def test_features_of_a_system_that_does_not_number_file_systems(tmp_path: Path, monkeypatch):
    unnumbered = os.statvfs_result((*(0,) * 8, os.ST_RDONLY, 14, 0))
    monkeypatch.setattr(os, "fstatvfs", lambda _: unnumbered)
    root = Root(str(tmp_path))
    features = find_features(root)
    root.close()
    assert features.read_only
    assert features.max_name_bytes == 14
    assert 0 < features.serial < 1 << 64


@pytest.mark.parametrize(
    ("names", "sensitive"),
    [([], True), (["123"], True), (["a"], True), (["a", "A"], True), (["A", "a", "B"], True)],
)
def test_case_sensitivity(tmp_path: Path, names: list[str], sensitive: bool):
    for name in names:
        (tmp_path / name).touch()
    root = Root(str(tmp_path))
    assert find_case_sensitivity(root) is sensitive
    root.close()


def test_case_insensitivity(tmp_path: Path, monkeypatch):
    (tmp_path / "Name").touch()
    root = Root(str(tmp_path))
    real = os.stat
    monkeypatch.setattr(os, "stat", lambda path, **keywords: real("Name" if path == b"nAME" else path, **keywords))
    assert find_case_sensitivity(root) is False
    (tmp_path / "nAME").touch()  # two names, so it cannot be
    assert find_case_sensitivity(root) is True
    (tmp_path / "nAME").unlink()
    monkeypatch.setattr(os, "stat", lambda path, **keywords: real("Other" if path == b"nAME" else path, **keywords))
    (tmp_path / "Other").touch()
    assert find_case_sensitivity(root) is True

    def refuse(_):
        raise PermissionError

    monkeypatch.setattr(os, "scandir", refuse)
    assert find_case_sensitivity(root) is True
    root.close()


def test_umask():
    old = os.umask(0o031)
    try:
        assert find_umask() == 0o031
        assert find_umask() == 0o031
    finally:
        os.umask(old)


def test_the_umask_of_the_platform_is_that_of_the_process(tmp_path: Path):
    old = os.umask(0o077)
    try:
        with (
            closing(PosixPlatform().open_volume(str(tmp_path))) as volume,
            closing(volume.create("file", 3, 0o644, wait=True)) as file,
        ):
            assert file.stat().mode == 0o644
    finally:
        os.umask(old)


@pytest.mark.parametrize("call", ["create", "make_directory"])
def test_when_the_mode_cannot_be_completed_nothing_stays_open(volume, monkeypatch, call: str):
    def refuse(*_):
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr(os, "fchmod", refuse)
    volume.umask = 0o022
    before = os.listdir("/dev/fd")
    with pytest.raises(OSError, match="broken"):
        getattr(volume, call)("new", *((3,) if call == "create" else ()), 0o666, wait=True)
    assert os.listdir("/dev/fd") == before


def test_a_device_is_refused_before_it_is_opened(tmp_path: Path, monkeypatch):
    os.mkfifo(tmp_path / "fifo")
    monkeypatch.setattr(os, "open", None)
    with pytest.raises(OSError, match=f"Errno {errno.ENXIO}]"):
        open_regular(-1, b"fifo", os.stat(tmp_path / "fifo"), os.O_RDONLY)


def test_what_becomes_a_device_is_refused_too(tmp_path: Path):
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "fifo")
    directory = os.open(tmp_path, os.O_RDONLY)
    before = os.listdir("/dev/fd")
    with pytest.raises(OSError, match=f"Errno {errno.ENXIO}]"):
        open_regular(directory, b"fifo", os.stat(tmp_path / "file"), os.O_RDONLY | os.O_NONBLOCK)
    assert os.listdir("/dev/fd") == before
    os.close(directory)


def test_a_lease_is_an_error_and_not_a_wish_to_be_called_again(tmp_path: Path, monkeypatch):
    (tmp_path / "file").touch()

    def leased(*_, **__):
        raise BlockingIOError

    monkeypatch.setattr(os, "open", leased)
    with pytest.raises(OSError, match=f"Errno {errno.EBUSY}]"):
        open_regular(-1, b"file", os.stat(tmp_path / "file"), os.O_RDONLY)


@pytest.mark.pure_only  # puts a method in the place of the walker's
def test_a_name_that_never_stands_still(volume, tmp_path: Path, monkeypatch):
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("file")
    real, swaps = Walker.find, []

    def find(self, path, *, follow):
        swaps.append(path)
        return real(self, path, follow=False)

    monkeypatch.setattr(Walker, "find", find)
    with pytest.raises(OSError, match=f"Errno {errno.ELOOP}]"):
        volume.stat("link", wait=True)
    assert len(swaps) == MAX_RACES


@pytest.mark.parametrize("uid", [0, 1, 2, 3])
def test_sticky(tmp_path: Path, monkeypatch, uid: int):
    """Root, the directory's owner and the file's may; others may not."""

    def found(mode: int, uid: int) -> os.stat_result:
        return os.stat_result((mode, 0, 0, 0, uid, *(0,) * 5))

    mode = 0o1777
    monkeypatch.setattr(os, "stat", lambda path, **_: found(mode, 1) if path == b"." else found(0o644, 2))
    assert may_pass_sticky(-1, b"file", uid) is (uid != 3)
    mode = 0o777
    assert may_pass_sticky(-1, b"file", uid)


def test_renaming_a_directory_looks_for_the_new_name(volume, tmp_path: Path):
    (tmp_path / "dir").mkdir()
    (tmp_path / "dangling").symlink_to("nothing")
    with pytest.raises(FileExistsError):
        volume.rename("dir", "dangling", replace=False, wait=True)
    volume.rename("dir", "new", replace=False, wait=True)
    assert volume.open("new", ACCESS_READ, wait=True).close() is None


@pytest.mark.parametrize("code", [errno.EPERM, errno.ENOSYS, errno.ENOTSUP, errno.EMLINK])
def test_renaming_where_no_file_has_two_names(volume, tmp_path: Path, monkeypatch, code):
    def refuse(*args, **keywords):
        raise OSError(code, "no second name")

    monkeypatch.setattr(os, "link", refuse)
    for name in ("old", "taken"):
        (tmp_path / name).write_text(name)
    with pytest.raises(FileExistsError):
        volume.rename("old", "taken", replace=False, wait=True)
    volume.rename("old", "new", replace=False, wait=True)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"new": "old", "taken": "taken"}


def test_renaming_where_the_second_name_fails_otherwise(volume, tmp_path: Path, monkeypatch):
    def refuse(*args, **keywords):
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "link", refuse)
    (tmp_path / "old").touch()
    with pytest.raises(OSError, match="full"):
        volume.rename("old", "new", replace=False, wait=True)
    assert os.listdir(tmp_path) == ["old"]


@pytest.mark.parametrize("code", [errno.EEXIST, errno.ENOTEMPTY])
def test_a_directory_that_is_not_empty(volume, tmp_path: Path, monkeypatch, code):
    def refuse(*args, **keywords):
        raise OSError(code, "not empty")

    (tmp_path / "dir").mkdir()
    key = volume.stat("dir", wait=True).key
    monkeypatch.setattr(os, "rmdir", refuse)
    with pytest.raises(OSError, match=f"Errno {errno.ENOTEMPTY}]"):
        volume.remove("dir", key, directory=True, wait=True)
