"""What `smbport.platform` promises of volumes, files and directories, on real directories."""

import errno
import os
import stat
from contextlib import closing
from pathlib import Path

import pytest

from smbport.platform import ACCESS_NONE, ACCESS_READ, ACCESS_WRITE, Entry, FileKey, Kind
from smbport.posix.volume import PosixVolume
from smbport_linux.volume import LinuxVolume

READ_WRITE = ACCESS_READ | ACCESS_WRITE


def fails(number: int, function, *args, **keywords) -> None:
    with pytest.raises(OSError, match=f"Errno {number}]"):
        function(*args, **keywords)


def list_all(volume: PosixVolume, path: str = "", limit: int = 100, *, stat: bool = True) -> dict[str, Entry]:
    found: dict[str, Entry] = {}
    with closing(volume.open(path, ACCESS_READ, wait=True)) as directory:
        assert directory.is_directory
        while batch := directory.entries(limit, stat=stat, wait=True):
            assert len(batch) <= limit
            found |= {entry.name: entry for entry in batch}
    return found


# Names


@pytest.mark.parametrize(
    "path", ["/", "/etc/passwd", "..", "../secret", "a/../../secret", ".", "a//b", "a/", "a\0b", "\ud800"]
)
def test_bad_paths(any_volume: PosixVolume, share: Path, path: str):
    (share / "a").mkdir()
    key = FileKey(0, 0)
    volume = any_volume
    for call, args in (
        (volume.stat, (path,)), (volume.open, (path, 1)), (volume.create, (path, 3, 0o600)),
        (volume.make_directory, (path, 0o700)), (volume.link, (path, "x")), (volume.link, ("a", path)),
        (volume.remove, (path, key)), (volume.may_remove, (path,)), (volume.sync_directory_of, (path,)),
    ):  # fmt: skip
        fails(errno.EINVAL, call, *args, wait=True)
    fails(errno.EINVAL, volume.rename, path, "x", replace=True, wait=True)
    fails(errno.EINVAL, volume.rename, "a", path, replace=True, wait=True)


@pytest.mark.parametrize("name", ["a b", "ünï", "\udcff\udc80", "-", "*?", "a\\b", "a:b", "\x01", "n" * 255])
def test_names_of_all_kinds(any_volume: PosixVolume, share: Path, name: str):
    any_volume.create(name, READ_WRITE, 0o600, wait=True).close()
    any_volume.make_directory("d", 0o700, wait=True).close()
    any_volume.link(name, f"d/{name}", wait=True)
    assert os.listdir(os.fsencode(share / "d")) == [os.fsencode(name)]
    key = any_volume.stat(f"d/{name}", wait=True).key
    assert list_all(any_volume)[name].stat.key == key
    any_volume.remove(f"d/{name}", key, wait=True)
    any_volume.rename(name, "other", replace=False, wait=True)
    assert set(list_all(any_volume)) == {"other", "d"}


def test_a_name_too_long(any_volume: PosixVolume):
    fails(errno.ENAMETOOLONG, any_volume.create, "n" * 256, 3, 0o600, wait=True)
    assert any_volume.features.max_name_bytes == 255


# States


def test_states(any_volume: PosixVolume, share: Path):
    (share / "file").write_bytes(b"12345")
    os.utime(share / "file", ns=(10**18 + 1, 10**18 + 2))
    (share / "file").chmod(0o4640)
    (share / "dir").mkdir()
    (share / "link").symlink_to("file")
    os.link(share / "file", share / "second")
    expected = (share / "file").stat()
    for path in ("file", "link", "second"):
        for access in (None, ACCESS_NONE, READ_WRITE):
            if access is None:
                found = any_volume.stat(path, wait=True)
            else:
                with closing(any_volume.open(path, access, wait=True)) as file:
                    found = file.stat()
            assert found.key == (expected.st_dev, expected.st_ino)
            assert found.kind == Kind.FILE
            assert (found.size, found.allocated, found.links) == (5, expected.st_blocks * 512, 2)
            assert (found.mode, found.uid, found.gid) == (0o4640, expected.st_uid, expected.st_gid)
            assert (found.access_ns, found.write_ns) == (10**18 + 1, 10**18 + 2)
            assert found.change_ns == expected.st_ctime_ns
            assert found.birth_ns <= found.change_ns
            assert found.dos_attributes is None
    assert any_volume.stat("link", follow=False, wait=True).kind == Kind.SYMLINK
    assert any_volume.stat("dir", wait=True).kind == Kind.DIRECTORY
    assert any_volume.stat("", wait=True).key == FileKey(share.stat().st_dev, share.stat().st_ino)
    fails(errno.ENOENT, any_volume.stat, "none", wait=True)
    fails(errno.ENOTDIR, any_volume.stat, "file/x", wait=True)


def test_a_handle_outlives_its_name(any_volume: PosixVolume, share: Path):
    file = any_volume.create("file", READ_WRITE, 0o600, wait=True)
    (share / "file").unlink()
    assert file.write_at(0, b"still here", wait=True) == 10
    assert file.read_at(0, 100, wait=True) == b"still here"
    assert (file.stat().links, file.stat().size) == (0, 10)
    file.close()
    file.close()


# Opening


def test_a_directory_opens_with_any_access(any_volume: PosixVolume, share: Path):
    (share / "dir").mkdir()
    (share / "dir/x").touch()
    for path, names in (("dir", ["x"]), ("", ["dir"])):
        for access in (ACCESS_NONE, ACCESS_READ, ACCESS_WRITE, READ_WRITE):
            with closing(any_volume.open(path, access, wait=True)) as directory:
                assert directory.is_directory
                assert [entry.name for entry in directory.entries(10, wait=True)] == names


def test_what_is_neither_file_nor_directory(any_volume: PosixVolume, share: Path):
    os.mkfifo(share / "other")
    if not os.geteuid():
        os.mknod(share / "device", 0o600 | stat.S_IFCHR, os.makedev(1, 3))  # as /dev/null
    for name in ("other", "device")[: 1 + (not os.geteuid())]:
        for access in (ACCESS_READ, ACCESS_WRITE, READ_WRITE):
            fails(errno.ENXIO, any_volume.open, name, access, wait=True)
        with closing(any_volume.open(name, ACCESS_NONE, wait=True)) as other:
            assert other.stat().kind == (Kind.FIFO if name == "other" else Kind.CHARACTER_DEVICE)
            assert not other.is_directory
            assert other.fileno() == -1
            other.set_times(10**18, None, wait=True)
            assert any_volume.stat(name, wait=True).access_ns == 10**18


def test_links(any_volume: PosixVolume, share: Path):
    (share / "dir").mkdir()
    (share / "dir/file").write_text("text")
    for name, target in (
        ("link", "dir/file"),
        ("chain", "link"),
        ("todir", "dir"),
        ("dir/up", "../dir/file"),
        ("absolute", str(share / "dir/file")),
    ):
        (share / name).symlink_to(target)
    for path in ("link", "chain", "todir/file", "dir/up", "absolute"):
        with closing(any_volume.open(path, ACCESS_READ, wait=True)) as file:
            assert file.read_at(0, 10, wait=True) == b"text"
    with closing(any_volume.open("todir", ACCESS_READ, wait=True)) as directory:
        assert directory.is_directory
    fails(errno.ELOOP, any_volume.open, "link", ACCESS_READ, follow=False, wait=True)
    with closing(any_volume.open("link", ACCESS_NONE, follow=False, wait=True)) as link:
        assert link.stat().kind == Kind.SYMLINK
    (share / "round").symlink_to("round")
    fails(errno.ELOOP, any_volume.open, "round", ACCESS_READ, wait=True)


def test_links_as_clients_make_them(any_volume: PosixVolume, share: Path):
    (share / "file").write_text("content")
    (share / "dir").mkdir()
    any_volume.symlink("dir/link", "../file", wait=True)
    assert (share / "dir/link").read_text() == "content"
    any_volume.symlink("out", "/etc/\udcff", wait=True)
    assert os.readlink(share / "out") == any_volume.read_link("out", wait=True) == "/etc/\udcff"
    fails(errno.EEXIST, any_volume.symlink, "out", "x", wait=True)
    fails(errno.EXDEV, any_volume.symlink, "out/x", "x", wait=True)
    fails(errno.EINVAL, any_volume.symlink, "new", "", wait=True)
    fails(errno.EINVAL, any_volume.symlink, "new", "a\0b", wait=True)
    fails(errno.EILSEQ, any_volume.symlink, "new", "\ud800", wait=True)
    fails(errno.EINVAL, any_volume.read_link, "file", wait=True)
    fails(errno.ENOENT, any_volume.read_link, "new", wait=True)
    for call in (lambda: any_volume.symlink("new", "x"), lambda: any_volume.read_link("out")):
        with pytest.raises(BlockingIOError):
            call()


@pytest.mark.parametrize(
    "target", ["/etc/passwd", "/", "..", "../secret", "../outside", "../share/../secret", "/proc/self/root"]
)
def test_links_out(any_volume: PosixVolume, share: Path, target: str):
    (share / "link").symlink_to(target)
    (share / "chain").symlink_to("link")
    volume = any_volume
    for path in ("link", "chain", "link/secret", "chain/secret"):
        fails(errno.EXDEV, volume.stat, path, wait=True)
        for access in (ACCESS_NONE, ACCESS_READ, ACCESS_WRITE):
            fails(errno.EXDEV, volume.open, path, access, wait=True)
    for call, args in (
        (volume.create, ("link/new", 3, 0o600)), (volume.make_directory, ("link/new", 0o700)),
        (volume.remove, ("link/secret", FileKey(0, 0))), (volume.link, ("link/secret", "new")),
        (volume.may_remove, ("link/secret",)), (volume.sync_directory_of, ("link/secret",)),
    ):  # fmt: skip
        fails(errno.EXDEV, call, *args, wait=True)
    fails(errno.EXDEV, volume.rename, "link/secret", "new", replace=True, wait=True)
    fails(errno.EXDEV, volume.rename, "chain", "link/new", replace=True, wait=True)
    fails(errno.EEXIST, volume.create, "link", 3, 0o600, wait=True)
    entry = list_all(volume)["link"]
    assert entry.stat.kind == Kind.SYMLINK  # the link itself, since what it names is not inside


def test_changing_a_link_out_changes_the_link(any_volume: PosixVolume, share: Path):
    """Handles of links are made without following; nothing done to them may reach what they point to."""
    secret = share.parent / "secret"
    (share / "link").symlink_to("../secret")
    before = secret.stat()
    with closing(any_volume.open("link", ACCESS_NONE, follow=False, wait=True)) as link:
        link.set_times(10**18, 10**18, wait=True)
        fails(errno.EOPNOTSUPP, link.set_mode, 0o777, wait=True)
        if not os.geteuid():
            link.set_owner(1, 1, wait=True)
            assert os.lstat(share / "link").st_uid == 1
        with pytest.raises(OSError):  # noqa: PT011  (EPERM or ENOTSUP: links have no attributes)
            link.set_marks(2, None, wait=True)
        assert link.stat().write_ns == 10**18
    assert secret.stat() == before


# Creating, removing, renaming


def test_create(any_volume: PosixVolume, share: Path):
    for access in (ACCESS_NONE, ACCESS_READ, ACCESS_WRITE, READ_WRITE):
        with closing(any_volume.create(f"new{access}", access, 0o640, wait=True)) as file:
            assert not file.is_directory
            assert file.stat().mode == 0o640
    (share / "dangling").symlink_to("nothing")
    (share / "dir").mkdir()
    for taken in ("new1", "dangling", "dir", ""):
        fails(errno.EEXIST, any_volume.create, taken, 3, 0o600, wait=True)
        fails(errno.EEXIST, any_volume.make_directory, taken, 0o700, wait=True)
    for call, last in ((any_volume.create, (3, 0o600)), (any_volume.make_directory, (0o700,))):
        fails(errno.ENOENT, call, "none/new", *last, wait=True)
        fails(errno.ENOTDIR, call, "new1/new", *last, wait=True)
    assert not (share / "nothing").exists()


def test_the_umask_takes_no_bits(any_volume: PosixVolume, share: Path):
    any_volume.umask = old = os.umask(0o027)  # what the process has now; the volume learns it below
    try:
        any_volume.umask = 0o027
        with closing(any_volume.create("file", 3, 0o666, wait=True)) as file:
            assert file.stat().mode == 0o666
        with closing(any_volume.make_directory("dir", 0o777, wait=True)) as directory:
            assert directory.stat().mode == 0o777
        (share / "dir").chmod(0o2775)
        with closing(any_volume.make_directory("dir/sub", 0o775, wait=True)) as directory:
            assert directory.stat().mode == 0o2775  # inherited, and not to be lost
    finally:
        os.umask(old)


def test_when_a_mode_cannot_be_completed_nothing_stays_open(linux_volume: LinuxVolume, monkeypatch):
    def refuse(*_, **__):
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr(os, "chmod", refuse)
    linux_volume.umask = 0o022
    before = os.listdir("/dev/fd")
    with pytest.raises(OSError, match="broken"):
        linux_volume.create("file", 3, 0o666, wait=True)
    with pytest.raises(OSError, match="broken"):
        linux_volume.make_directory("dir", 0o777, wait=True)
    assert os.listdir("/dev/fd") == before


def test_make_directory(any_volume: PosixVolume, share: Path):
    with closing(any_volume.make_directory("dir", 0o750, wait=True)) as directory:
        assert directory.is_directory
        assert directory.stat().mode == 0o750
        (share / "dir/x").touch()
        assert [entry.name for entry in directory.entries(10, wait=True)] == ["x"]


def test_rename(any_volume: PosixVolume, share: Path):
    for name in ("a", "b"):
        (share / name).write_text(name)
    (share / "dir").mkdir()
    (share / "other").mkdir()
    rename = any_volume.rename
    for taken in ("b", "dir"):
        fails(errno.EEXIST, rename, "a", taken, replace=False, wait=True)
        fails(errno.EEXIST, rename, "other", taken, replace=False, wait=True)
    rename("a", "dir/c", replace=False, wait=True)
    rename("b", "dir/c", replace=True, wait=True)
    rename("other", "dir/other", replace=False, wait=True)
    assert (share / "dir/c").read_text() == "b"
    assert sorted(os.listdir(share / "dir")) == ["c", "other"]
    assert os.listdir(share) == ["dir"]
    fails(errno.ENOENT, rename, "none", "x", replace=False, wait=True)
    fails(errno.ENOENT, rename, "dir", "none/x", replace=False, wait=True)
    fails(errno.EINVAL, rename, "dir", "dir/other/x", replace=False, wait=True)
    fails(errno.EBUSY, rename, "", "x", replace=True, wait=True)
    fails(errno.EBUSY, rename, "dir", "", replace=True, wait=True)


def test_rename_moves_a_link_itself(any_volume: PosixVolume, share: Path):
    (share / "link").symlink_to("../secret")
    any_volume.rename("link", "moved", replace=False, wait=True)
    assert os.readlink(share / "moved") == "../secret"


def test_link(any_volume: PosixVolume, share: Path):
    (share / "a").write_text("a")
    any_volume.link("a", "b", wait=True)
    assert (share / "a").samefile(share / "b")
    fails(errno.EEXIST, any_volume.link, "a", "b", wait=True)
    fails(errno.ENOENT, any_volume.link, "none", "c", wait=True)


def test_remove(any_volume: PosixVolume, share: Path):
    (share / "file").touch()
    (share / "dir").mkdir()
    (share / "dir/x").touch()
    remove, key = any_volume.remove, any_volume.stat("file", wait=True).key
    fails(errno.ENOENT, remove, "none", key, wait=True)
    fails(errno.ENOENT, remove, "dir/x", key, wait=True)  # another file
    fails(errno.ENOTEMPTY, remove, "dir", any_volume.stat("dir", wait=True).key, directory=True, wait=True)
    fails(errno.EISDIR, remove, "dir", any_volume.stat("dir", wait=True).key, wait=True)
    fails(errno.ENOTDIR, remove, "file", key, directory=True, wait=True)
    remove("file", key, wait=True)
    remove("dir/x", any_volume.stat("dir/x", wait=True).key, wait=True)
    remove("dir", any_volume.stat("dir", wait=True).key, directory=True, wait=True)
    assert os.listdir(share) == []
    fails(errno.EBUSY, remove, "", any_volume.stat("", wait=True).key, directory=True, wait=True)


def test_removing_what_was_opened_by_a_link_removes_the_link(any_volume: PosixVolume, share: Path):
    (share / "file").touch()
    (share / "dir").mkdir()
    (share / "link").symlink_to("file")
    (share / "todir").symlink_to("dir")
    (share / "itself").symlink_to("nothing")
    any_volume.remove("link", any_volume.stat("link", wait=True).key, wait=True)
    any_volume.remove("todir", any_volume.stat("todir", wait=True).key, directory=True, wait=True)
    any_volume.remove("itself", any_volume.stat("itself", follow=False, wait=True).key, wait=True)
    assert sorted(os.listdir(share)) == ["dir", "file"]


def test_may_remove(any_volume: PosixVolume, share: Path):
    (share / "file").touch()
    assert any_volume.may_remove("file", wait=True)
    assert not any_volume.may_remove("", wait=True)
    fails(errno.ENOENT, any_volume.may_remove, "none/file", wait=True)


# Data


def test_reading_and_writing(any_volume: PosixVolume, share: Path):
    with closing(any_volume.create("file", READ_WRITE, 0o600, wait=True)) as file:
        assert file.read_at(0, 10, wait=True) == b""
        assert file.write_at(5, b"world", wait=True) == 5
        assert file.write_at(0, memoryview(b"-hello-")[1:6], through=True, wait=True) == 5
        assert file.read_at(0, 5, wait=True) == b"hello"
        assert file.read_at(5, 100000, wait=True) == b"world"
        assert file.read_at(10, 1, wait=True) == b""
        assert file.read_at(0, 0, wait=True) == b""
        file.resize(2, wait=True)
        file.resize(6, wait=True)
        assert file.read_at(0, 100, wait=True) == b"he\0\0\0\0"
        file.sync(wait=True)
        any_volume.sync_directory_of("file", wait=True)
        any_volume.sync_directory_of("", wait=True)
        file.allocate(1 << 20, wait=True)
        file.allocate(0, wait=True)
        assert file.stat().size == 6
        assert os.fstat(file.fileno()).st_ino == (share / "file").stat().st_ino


def test_a_handle_has_no_more_access_than_asked_for(any_volume: PosixVolume, share: Path):
    (share / "file").write_text("text")
    with closing(any_volume.open("file", ACCESS_READ, wait=True)) as file:
        fails(errno.EBADF, file.write_at, 0, b"x", wait=True)
        with pytest.raises(OSError):  # noqa: PT011  (EINVAL or EBADF)
            file.resize(0, wait=True)
    with closing(any_volume.open("file", ACCESS_WRITE, wait=True)) as file:
        fails(errno.EBADF, file.read_at, 0, 1, wait=True)
    assert (share / "file").read_text() == "text"


def test_changing_times_mode_and_owner(any_volume: PosixVolume, share: Path):
    (share / "file").touch()
    (share / "dir").mkdir()
    for path in ("file", "dir"):
        for access in (ACCESS_NONE, ACCESS_READ):
            with closing(any_volume.open(path, access, wait=True)) as node:
                node.set_times(10**18, 2 * 10**18, wait=True)
                node.set_times(None, 3 * 10**18 + 100, wait=True)
                node.set_times(-(10**15), None, wait=True)
                node.set_times(None, None, wait=True)
                node.set_mode(0o711, wait=True)
                node.set_owner(None, None, wait=True)
                found = any_volume.stat(path, wait=True)
                assert (found.access_ns, found.write_ns) == (-(10**15), 3 * 10**18 + 100)
                assert found.mode == 0o711
                if not os.geteuid():
                    node.set_owner(1, None, wait=True)
                    node.set_owner(None, 2, wait=True)
                    assert (node.stat().uid, node.stat().gid) == (1, 2)
                node.sync(wait=True)


# The volume


def test_space(any_volume: PosixVolume, share: Path):
    found, expected = any_volume.space(wait=True), os.statvfs(share)
    assert found.total == expected.f_blocks * expected.f_frsize
    assert 0 < found.available <= found.free <= found.total
    assert found.block_size == expected.f_frsize


def test_features(any_volume: PosixVolume):
    assert any_volume.features.case_sensitive
    assert not any_volume.features.read_only
    assert 0 < any_volume.features.serial < 1 << 64


def test_open_handles_outlive_the_volume(any_volume: PosixVolume, share: Path):
    (share / "a").write_text("text")
    (share / "link").symlink_to("a")
    with (
        closing(any_volume.open("a", READ_WRITE, wait=True)) as file,
        closing(any_volume.open("", 1, wait=True)) as top,
    ):
        any_volume.close()
        assert file.read_at(0, 4, wait=True) == b"text"
        assert file.stat().size == 4
        assert {entry.name: entry.stat.kind for entry in top.entries(5, wait=True)} == {
            "a": Kind.FILE,
            "link": Kind.SYMLINK,
        }
    fails(errno.EBADF, any_volume.open, "a", ACCESS_READ, wait=True)


def test_no_descriptor_is_lost(any_volume: PosixVolume, share: Path):
    (share / "dir").mkdir()
    (share / "out").symlink_to("..")
    os.mkfifo(share / "fifo")
    before = os.listdir("/dev/fd")
    list_all(any_volume)
    any_volume.create("file", 3, 0o600, wait=True).close()
    any_volume.rename("file", "dir/file", replace=True, wait=True)
    any_volume.remove("dir/file", any_volume.stat("dir/file", wait=True).key, wait=True)
    for path in ("none", "out", "out/x", "fifo", "dir/none/x"):
        with pytest.raises(OSError):  # noqa: PT011
            any_volume.open(path, READ_WRITE, wait=True)
        with pytest.raises(OSError):  # noqa: PT011
            any_volume.create(path + "/x", 3, 0o600, wait=True)
        with pytest.raises(OSError):  # noqa: PT011
            any_volume.rename("dir", path + "/x", replace=False, wait=True)
    assert os.listdir("/dev/fd") == before
