"""T2: how the port finds, opens and changes names by FreeBSD's calls."""

import errno
import os
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from smbport.platform import ACCESS_NONE, ACCESS_READ, Kind
from smbport.posix.walk import Walker
from smbport_freebsd.beneath import Opener
from smbport_freebsd.calls import (
    O_DIRECTORY,
    O_RESOLVE_BENEATH,
    Calls,
)
from smbport_freebsd.platform import FreeBSDPlatform
from smbport_freebsd.volume import FreeBSDVolume
from tests.platforms.freebsd.volumes import create, failure_of

SOME_NS = 1_000_000_000 * 10**9


def test_a_kernel_that_stays_beneath_is_trusted(volume: FreeBSDVolume):
    assert isinstance(volume.walker, Opener)


def test_a_kernel_that_ignores_the_flag_is_not(newest: FreeBSDPlatform, share: Path, monkeypatch):
    """As Linux would: the bit means nothing there."""
    real = type(newest.calls).open_at

    def ignoring(self: Calls, directory: int, path: bytes, flags: int, mode: int = 0) -> int:
        return real(self, directory, path, flags & ~O_RESOLVE_BENEATH, mode)

    monkeypatch.setattr(type(newest.calls), "open_at", ignoring)
    with closing(newest.open_volume(str(share))) as volume:
        assert type(volume.walker) is Walker
        (share / "up").symlink_to("../..")
        assert failure_of(lambda: volume.stat("up", wait=True)) == errno.EXDEV


def test_links_out_and_back_are_walked_by_hand(volume: FreeBSDVolume, share: Path):
    (share / "file").write_text("inside")
    (share / "absolute").symlink_to(share)
    (share / "detour").symlink_to(f"../{share.name}")
    with closing(volume.open("absolute/file", ACCESS_READ, wait=True)) as file:
        assert file.read_at(0, 9, wait=True) == b"inside"
    # "..", even if it comes back, leaves: as everywhere
    assert failure_of(lambda: volume.open("detour/file", ACCESS_READ, wait=True)) == errno.EXDEV


def test_a_name_that_stands_for_another_file_by_now_is_not_removed(volume: FreeBSDVolume, share: Path, monkeypatch):
    """The swap happens between the comparison and the removal."""
    create(volume).close()
    key = volume.stat("file", wait=True).key
    real = type(volume.calls).unlink_this

    def swapping(self: Calls, directory: int, name: bytes, fd: int, flags: int) -> None:
        (share / "other").write_text("precious")
        (share / "other").rename(share / "file")
        real(self, directory, name, fd, flags)

    monkeypatch.setattr(type(volume.calls), "unlink_this", swapping)
    with pytest.raises(FileNotFoundError):
        volume.remove("file", key, wait=True)
    assert (share / "file").read_text() == "precious"


def test_a_handle_without_access_names_its_file_after_a_rename(volume: FreeBSDVolume, share: Path):
    create(volume).close()
    with closing(volume.open("file", ACCESS_NONE, wait=True)) as node:
        (share / "file").rename(share / "elsewhere")
        (share / "file").write_text("another")
        node.set_mode(0o600, wait=True)
        node.set_owner(None, None, wait=True)
        node.set_times(SOME_NS, SOME_NS, wait=True)
        node.set_marks(0x22, None, wait=True)
        node.sync(wait=True)
    found = volume.stat("elsewhere", wait=True)
    assert (found.mode, found.write_ns, found.dos_attributes) == (0o600, SOME_NS, 0x22)
    assert volume.stat("file", wait=True).dos_attributes is None


def test_links_and_fifos_are_named_but_never_opened(volume: FreeBSDVolume, share: Path):
    (share / "link").symlink_to("nowhere")
    os.mkfifo(share / "fifo")
    for name, kind in (("link", Kind.SYMLINK), ("fifo", Kind.FIFO)):
        with closing(volume.open(name, ACCESS_NONE, follow=False, wait=True)) as node:
            assert node.stat().kind == kind
            node.sync(wait=True)
            with pytest.raises(PermissionError):
                node.set_marks(0x22, None, wait=True)
            assert node.fileno() == -1


def test_nothing_is_named_from_outside_of_the_root(volume: FreeBSDVolume, monkeypatch):
    """What Capsicum would demand: every call by name is relative to a descriptor."""
    for name in ("open", "stat", "mkdir", "unlink", "rmdir", "readlink", "access", "symlink"):
        real = getattr(os, name)

        def relative(path, *args, real=real, dir_fd=None, **keywords):
            assert isinstance(path, int) or (dir_fd is not None and not os.fsencode(path).startswith(b"/")), path
            return real(path, *args, dir_fd=dir_fd, **keywords) if dir_fd is not None else real(path, *args, **keywords)

        monkeypatch.setattr(os, name, relative)
    for name in ("rename", "link"):
        real = getattr(os, name)

        def both(old, new, *, real=real, src_dir_fd, dst_dir_fd, **keywords):
            real(old, new, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd, **keywords)

        monkeypatch.setattr(os, name, both)
    seen = []
    real_call = Calls._call

    def call(self: Calls, name: str, *arguments: object) -> int:
        if name.endswith("at"):
            seen.append(arguments[:2])
        return real_call(self, name, *arguments)

    monkeypatch.setattr(Calls, "_call", call)
    volume.make_directory("directory", 0o755, wait=True).close()
    create(volume, "directory/file", b"data").close()
    volume.symlink("link", "directory/file", wait=True)
    volume.rename("directory/file", "file", replace=False, wait=True)
    volume.rename("file", "directory/file", replace=True, wait=True)
    volume.link("directory/file", "second", wait=True)
    with closing(volume.open("", ACCESS_READ, wait=True)) as root:
        assert {entry.name for entry in root.entries(9, wait=True)} == {"directory", "link", "second"}
    volume.may_remove("second", wait=True)
    volume.sync_directory_of("second", wait=True)
    volume.space(wait=True)
    volume.remove("second", volume.stat("second", wait=True).key, wait=True)
    assert seen
    assert all(directory >= 0 and not path.startswith(b"/") for directory, path in seen)


def test_a_directory_that_may_not_be_listed(volume: FreeBSDVolume, share: Path, monkeypatch):
    """As for anybody but root."""
    real = Calls.open_at

    def open_at(self: Calls, directory: int, path: bytes, flags: int, mode: int = 0) -> int:
        if not path and flags & O_DIRECTORY:
            raise OSError(errno.EACCES, "Permission denied")
        return real(self, directory, path, flags, mode)

    (share / "closed").mkdir()
    monkeypatch.setattr(Calls, "open_at", open_at)
    with closing(volume.open("closed", ACCESS_NONE, wait=True)) as node:
        assert node.stat().kind == Kind.DIRECTORY
        with pytest.raises(PermissionError):
            node.entries(9, wait=True)
    with pytest.raises(PermissionError):
        volume.open("closed", ACCESS_READ, wait=True)


def test_errors_have_the_numbers_of_this_system(volume: FreeBSDVolume, share: Path):
    (share / "link").symlink_to("link")
    for function, arguments, number in (
        (volume.stat, ("none",), errno.ENOENT),
        (volume.stat, ("link",), errno.ELOOP),
        (volume.stat, ("n" * 300,), errno.ENAMETOOLONG),
        (volume.open, ("link", ACCESS_READ), errno.ELOOP),
    ):
        assert failure_of(partial(function, *arguments, wait=True)) == number
