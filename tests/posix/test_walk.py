"""smbport.posix.walk"""

import errno
import os
from pathlib import Path

import pytest

from smbport.posix.walk import MAX_LINKS, PLAIN, Root, Walker, check_path

READ = os.O_RDONLY | PLAIN


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A volume beside a directory that must not be reached."""
    for name in ("share/dir/sub", "share2", "outside"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "share/file").write_text("in the root")
    (tmp_path / "share/dir/file").write_text("in dir")
    (tmp_path / "share/dir/sub/file").write_text("in sub")
    for name in ("outside/secret", "share2/secret", "secret"):
        (tmp_path / name).write_text("secret")
    return tmp_path


@pytest.fixture
def walker(tree: Path):
    root = Root(str(tree / "share"))
    yield Walker(root)
    root.close()


def read(walker: Walker, path: str, *, follow: bool = True) -> str:
    fd = walker.open(check_path(path), READ, follow=follow)
    with os.fdopen(fd) as file:
        return file.read()


@pytest.mark.parametrize(
    ("path", "encoded"),
    [("", b"."), ("a", b"a"), ("a/.b", b"a/.b"), ("..a/b..", b"..a/b.."), ("...", b"..."), ("\udcff", b"\xff")],
)
def test_paths_of_the_interface(path: str, encoded: bytes):
    assert check_path(path) == encoded


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/a",
        "a/",
        ".",
        "..",
        "a/..",
        "../a",
        "a/../b",
        "a//b",
        "a/./b",
        "./a",
        "a\0b",
        "\0",
        "\ud800",
        "a/\ud800",
        "//",
    ],
)
def test_what_is_no_path_of_the_interface(path: str):
    with pytest.raises(OSError, match=f"Errno {errno.EINVAL}]"):
        check_path(path)


def test_plain_names(walker: Walker):
    assert read(walker, "file") == "in the root"
    assert read(walker, "dir/sub/file") == "in sub"


@pytest.mark.parametrize(
    ("target", "text"),
    [
        ("file", "in the root"),
        ("dir/file", "in dir"),
        ("./dir//sub/../file", "in dir"),
        ("dir/sub/../../file", "in the root"),
        ("{share}/dir/file", "in dir"),
    ],
)
def test_links_inside(tree: Path, walker: Walker, target: str, text: str):
    (tree / "share/link").symlink_to(target.format(share=tree / "share"))
    assert read(walker, "link") == text


def test_links_to_directories_and_to_the_root(tree: Path, walker: Walker):
    (tree / "share/dir/up").symlink_to("..")
    (tree / "share/dir/absolute").symlink_to(tree / "share")
    (tree / "share/sub").symlink_to("dir/sub/")
    assert read(walker, "dir/up/file") == "in the root"
    assert read(walker, "dir/absolute/dir/file") == "in dir"
    assert read(walker, "sub/file") == "in sub"
    for name in ("dir/up", "dir/absolute"):
        fd = walker.open(check_path(name), READ | os.O_DIRECTORY)
        assert os.fstat(fd).st_ino == (tree / "share").stat().st_ino
        os.close(fd)


@pytest.mark.parametrize(
    "target",
    [
        "..",
        "../secret",
        "../outside/secret",
        "dir/../../secret",
        "/",
        "/etc/passwd",
        "{share}2/secret",
        "{share}/../secret",
        "/proc/self/root/etc/passwd",
    ],
)
@pytest.mark.parametrize("path", ["link", "link/x", "chain", "chain/x", "dir/link/x"])
def test_links_that_leave(tree: Path, walker: Walker, target: str, path: str):
    target = target.format(share=tree / "share")
    (tree / "share/link").symlink_to(target)
    (tree / "share/chain").symlink_to("dir/../link")
    (tree / "share/dir/link").symlink_to(target if target.startswith("/") else "../" + target)
    with pytest.raises(OSError, match=f"Errno {errno.EXDEV}]"):
        walker.open(check_path(path), READ)


def test_links_that_go_round_or_are_too_many(tree: Path, walker: Walker):
    (tree / "share/a").symlink_to("b")
    (tree / "share/b").symlink_to("a")
    (tree / "share/link0").symlink_to("file")
    for i in range(MAX_LINKS + 1):
        (tree / f"share/link{i + 1}").symlink_to(f"link{i}")
    assert read(walker, f"link{MAX_LINKS - 1}") == "in the root"
    for path in ("a", "a/x", f"link{MAX_LINKS}"):
        with pytest.raises(OSError, match=f"Errno {errno.ELOOP}]"):
            walker.open(check_path(path), READ)


def test_a_link_itself(tree: Path, walker: Walker):
    (tree / "share/link").symlink_to("file")
    with pytest.raises(OSError, match=f"Errno ({errno.ELOOP}|{errno.EMLINK})]"):
        walker.open(b"link", READ, follow=False)
    fd = walker.open(b"link", os.O_PATH | os.O_CLOEXEC, follow=False)
    assert os.readlink("", dir_fd=fd) == "file"
    os.close(fd)


def test_what_is_in_the_way(tree: Path, walker: Walker):
    with pytest.raises(NotADirectoryError):
        walker.open(b"file/x", READ)
    with pytest.raises(FileNotFoundError):
        walker.open(b"none/x", READ)
    with pytest.raises(FileNotFoundError):
        walker.open(b"none", READ)
    (tree / "share/dangling").symlink_to("nothing")
    with pytest.raises(FileNotFoundError):
        walker.open(b"dangling", READ)
    with pytest.raises(FileExistsError):
        walker.open(b"dangling", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    assert not (tree / "share/nothing").exists()


def test_parent(tree: Path, walker: Walker):
    fd, name = walker.parent(b"dir/sub/new")
    assert (os.fstat(fd).st_ino, name) == ((tree / "share/dir/sub").stat().st_ino, b"new")
    os.close(fd)
    with pytest.raises(OSError, match=f"Errno {errno.EBUSY}]"):
        walker.parent(b".")


def test_no_descriptor_is_lost(tree: Path, walker: Walker):
    (tree / "share/out").symlink_to("dir/sub/../../../secret")
    before = os.listdir("/dev/fd")
    assert read(walker, "dir/sub/file")
    for path in (b"out", b"none/x", b"file/x", b"dir/sub/none"):
        with pytest.raises(OSError):  # noqa: PT011
            walker.open(path, READ)
    assert os.listdir("/dev/fd") == before


def test_a_closed_root_opens_nothing(tree: Path):
    root = Root(str(tree / "share"))
    walker = Walker(root)
    root.close()
    root.close()
    with pytest.raises(OSError, match=f"Errno {errno.EBADF}]"):
        walker.open(b"file", READ)


def test_a_root_must_be_a_directory(tree: Path):
    with pytest.raises(NotADirectoryError):
        Root(str(tree / "secret"))
    with pytest.raises(FileNotFoundError):
        Root(str(tree / "none"))
    (tree / "to_share").symlink_to("share")
    root = Root(str(tree / "to_share"))
    assert root.path == os.fsencode(tree / "share")
    root.close()


def test_a_directory_moved_out_is_left_by_the_way_it_was_entered(tree: Path, walker: Walker, monkeypatch):
    """Somebody moves the directory that the walk is in: ".." must not become the new place's parent."""
    (tree / "share/dir/link").symlink_to("sub/../../file")
    real = os.open

    def move_then_open(path, flags, mode=0o777, *, dir_fd=None):
        fd = real(path, flags, mode, dir_fd=dir_fd)
        if path == b"sub":
            os.rename(tree / "share/dir", tree / "outside/dir")
        return fd

    monkeypatch.setattr(os, "open", move_then_open)
    (tree / "file").write_text("secret")
    (tree / "outside/file").write_text("secret")
    assert read(walker, "dir/link") == "in the root"


@pytest.mark.pure_only  # puts a method in the place of the walker's
@pytest.mark.parametrize("flags", [READ, os.O_PATH | os.O_CLOEXEC], ids=["read", "path"])
@pytest.mark.parametrize(("target", "inode_of"), [("dir/file", "share/dir/file"), ("../secret", None)])
def test_a_name_that_becomes_a_link_is_walked_again(
    tree: Path, walker: Walker, monkeypatch, flags: int, target: str, inode_of: str | None
):
    """Plain when found, a link when opened."""
    real = Walker.find

    def find_then_swap(self, path, *, follow):
        found = real(self, path, follow=follow)
        if not (tree / "share/file").is_symlink():
            (tree / "share/file").unlink()
            (tree / "share/file").symlink_to(target)
        return found

    monkeypatch.setattr(Walker, "find", find_then_swap)
    if inode_of is None:
        with pytest.raises(OSError, match=f"Errno {errno.EXDEV}]"):
            walker.open(b"file", flags)
    else:
        fd = walker.open(b"file", flags)
        assert os.fstat(fd).st_ino == (tree / inode_of).stat().st_ino
        os.close(fd)


@pytest.mark.pure_only  # puts a method in the place of the walker's
def test_a_name_that_never_stands_still(tree: Path, walker: Walker, monkeypatch):
    (tree / "share/link").symlink_to("file")
    real = Walker.find
    monkeypatch.setattr(Walker, "find", lambda self, path, *, follow: real(self, path, follow=False))
    for flags in (READ, os.O_PATH | os.O_CLOEXEC):
        with pytest.raises(OSError, match=f"Errno {errno.ELOOP}]"):
            walker.open(b"link", flags)
