"""T2: what the port makes of FreeBSD's calls, beyond what the exam asks."""

import errno
import os
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from struct import pack

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smbport import registry
from smbport.platform import ACCESS_NONE, ACCESS_READ, ACCESS_WRITE, POWERS, Kind, SnapshotLayout
from smbport.posix.inotify import InotifyWatcher
from smbport.posix.walk import Walker
from smbport_freebsd import PORT, calls
from smbport_freebsd.beneath import Opener
from smbport_freebsd.calls import (
    EXTATTR_NAMESPACE_USER,
    O_DIRECTORY,
    O_RESOLVE_BENEATH,
    UF_ARCHIVE,
    UF_HIDDEN,
    UF_SYSTEM,
    Calls,
    StatStruct,
    split_names,
)
from smbport_freebsd.platform import FreeBSDPlatform, probe
from smbport_freebsd.stats import add_flags, make_stat, with_flags
from smbport_freebsd.vnodes import VnodeWatcher
from smbport_freebsd.volume import FreeBSDVolume

BOTH = ACCESS_READ | ACCESS_WRITE
UF_NODUMP = 1
SOME_NS = 1_000_000_000 * 10**9


@pytest.fixture
def volume(newest: FreeBSDPlatform, share: Path) -> Iterator[FreeBSDVolume]:
    opened = newest.open_volume(str(share))
    assert isinstance(opened, FreeBSDVolume)
    yield opened
    opened.close()


def create(volume: FreeBSDVolume, name: str = "file", data: bytes = b""):
    file = volume.create(name, BOTH, 0o644, wait=True)
    file.write_at(0, data, wait=True)
    return file


def failure_of(function: Callable[[], object]) -> int | None:
    """The errno of what must fail."""
    try:
        function()
    except OSError as reason:
        return reason.errno
    return None


# The port -----------------------------------------------------------------------------------------------------------


def test_the_port_is_for_freebsd(monkeypatch):
    assert PORT.name == "freebsd"
    for name, matches in (("freebsd13", True), ("freebsd", True), ("linux", False), ("netbsd10", False)):
        monkeypatch.setattr(sys, "platform", name)
        assert PORT.matches() is matches


@pytest.mark.skipif(sys.platform.startswith("freebsd"), reason="this is FreeBSD")
def test_elsewhere_it_says_what_to_do():
    with pytest.raises(RuntimeError, match="--platform posix"):
        PORT.probe()


def test_on_freebsd_it_is_probed(newest: FreeBSDPlatform, library, monkeypatch):
    monkeypatch.setattr(sys, "platform", "freebsd15")
    monkeypatch.setattr(calls, "load_libc", lambda: library(15))
    assert isinstance(PORT.probe(), FreeBSDPlatform)
    monkeypatch.setitem(calls.PROTOTYPES, "function_of_the_future", calls.PROTOTYPES["openat"])
    with pytest.raises(RuntimeError, match=r"older than.*function_of_the_future"):
        PORT.probe()


def test_every_power_is_there_or_its_absence_explained(platform: FreeBSDPlatform):
    for power in POWERS:
        assert (getattr(platform, power) is None) is (power in platform.absent), power
    assert all(reason.endswith(".") for reason in platform.absent.values())
    assert len(registry.describe(platform)) == len(POWERS)


def test_what_the_releases_have(platform: FreeBSDPlatform, request: pytest.FixtureRequest):
    release = request.node.callspec.params["platform"]
    assert (platform.sparse is not None) is (release >= 14)
    with closing(platform.watch.start()) as watcher:
        assert isinstance(watcher, InotifyWatcher if release >= 15 else VnodeWatcher)


def test_a_freebsd_without_path_descriptors_is_refused(newest: FreeBSDPlatform, monkeypatch):
    def refused(self: Calls, directory: int, path: bytes, flags: int, mode: int = 0) -> int:
        raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(type(newest.calls), "open_at", refused)
    with pytest.raises(RuntimeError, match=r"older than 13\.1"):
        probe(newest.calls)


# Names --------------------------------------------------------------------------------------------------------------


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


# States and marks ---------------------------------------------------------------------------------------------------


def test_the_time_of_birth_stays_when_an_earlier_write_time_is_set(volume: FreeBSDVolume, share: Path):
    with closing(create(volume)) as file:
        born_ns = file.stat().birth_ns
        file.set_times(None, SOME_NS, wait=True)
        assert file.stat().birth_ns // 100 == born_ns // 100  # stored as a FILETIME
        assert volume.calls.state(file.fileno()).st_birthtim.tv_sec == SOME_NS // 10**9  # FreeBSD's own
        file.set_marks(None, SOME_NS + 100, wait=True)
        assert file.stat().birth_ns == SOME_NS + 100


def test_dos_attributes_are_flags(volume: FreeBSDVolume):
    with closing(create(volume)) as file:
        calls, fd = volume.calls, file.fileno()
        calls.set_flags(fd, UF_NODUMP)
        assert file.stat().dos_attributes is None
        file.set_marks(0x2003, None, wait=True)
        assert calls.state(fd).st_flags == UF_NODUMP | UF_HIDDEN
        calls.set_flags(fd, UF_SYSTEM)  # as `chflags usystem` does
        assert file.stat().dos_attributes == 0x2005
        assert volume.stat("file", wait=True).dos_attributes == 0x2005


def test_flags_alone_say_something(volume: FreeBSDVolume):
    with closing(create(volume)) as file:
        volume.calls.set_flags(file.fileno(), UF_ARCHIVE)  # as ZFS does with all that is new
        assert file.stat().dos_attributes is None
        volume.calls.set_flags(file.fileno(), UF_ARCHIVE | UF_HIDDEN)
        assert file.stat().dos_attributes == 0x22


@given(st.integers(0, 0xFFFFFFFF), st.integers(0, 0xFFFF))
def test_flags_say_what_they_were_told(flags: int, dos_attributes: int):
    stat = make_stat(StatStruct())
    stat.dos_attributes = dos_attributes
    changed = with_flags(flags, dos_attributes)
    add_flags(stat, changed)
    assert stat.dos_attributes == dos_attributes
    assert (changed ^ flags) & ~(UF_HIDDEN | UF_SYSTEM | UF_ARCHIVE | 0x200) == 0


def test_flags_say_nothing_of_what_samba_stored(volume: FreeBSDVolume):
    """It does not set them; the next change of ours does."""
    by_samba = b"\0\0" + pack("<HIIIQ", 5, 5, 0x11, 0x22, 130_000_000_000_000_000)
    with closing(create(volume)) as file:
        volume.calls.set_attribute(file.fileno(), EXTATTR_NAMESPACE_USER, b"DOSATTRIB", by_samba)
        assert file.stat().dos_attributes == 0x22
        file.set_marks(None, SOME_NS, wait=True)
        assert (file.stat().dos_attributes, file.stat().birth_ns) == (0x22, SOME_NS)
        volume.calls.set_flags(file.fileno(), UF_ARCHIVE)
        assert file.stat().dos_attributes == 0x20


def test_where_flags_are_not_kept_marks_are_enough(newest: FreeBSDPlatform, share: Path):
    with newest.calls.on(b"fusefs"), closing(newest.open_volume(str(share))) as volume:
        assert volume.features.file_system == "fusefs"
        with closing(create(volume)) as file:
            file.set_marks(0x22, None, wait=True)
            assert file.stat().dos_attributes == 0x22
            assert volume.calls.state(file.fileno()).st_flags == 0


def test_where_attributes_are_not_kept_nothing_is_stored(newest: FreeBSDPlatform, share: Path, monkeypatch):
    def unsupported(self: Calls, fd: int, namespace: int, name: bytes) -> bytes | None:
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    monkeypatch.setattr(Calls, "get_attribute", unsupported)
    with closing(newest.open_volume(str(share))) as volume:
        assert not volume.features.stores_marks
        assert not volume.features.birth_time  # it would move
        with closing(create(volume)) as file, pytest.raises(OSError, match="supported"):
            file.set_marks(0x22, None, wait=True)


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


# Attributes ---------------------------------------------------------------------------------------------------------


def test_attributes_without_what_servers_keep(newest: FreeBSDPlatform, volume: FreeBSDVolume, share: Path):
    attributes = newest.attributes
    with closing(create(volume)) as file:
        file.set_marks(0x22, None, wait=True)
        attributes.set(file, "comment", b"x" * 2000, wait=True)  # more than is read in one call
        for number in range(20):
            attributes.set(file, f"{number:020}", b"", wait=True)
        os.setxattr(share / "file", "user.DosStream.s:$DATA", b"stream")
        assert sorted(attributes.names(file, wait=True)) == [*(f"{number:020}" for number in range(20)), "comment"]
        assert attributes.get(file, "comment", wait=True) == b"x" * 2000
        assert attributes.get(file, "DOSATTRIB", wait=True) is None
        for function, arguments in (("set", (b"",)), ("remove", ())):
            change = partial(getattr(attributes, function), file, "DOSATTRIB", *arguments, wait=True)
            assert failure_of(change) in (errno.EPERM, errno.ENOENT)
        for name in ("nul\0", "\ud800"):
            with pytest.raises(OSError, match="Invalid"):
                attributes.get(file, name, wait=True)
    with closing(volume.open("file", ACCESS_NONE, wait=True)) as node:
        assert attributes.get(node, "comment", wait=True) == b"x" * 2000


@given(st.lists(st.binary(max_size=255)))
def test_listed_names(names: list[bytes]):
    assert split_names(b"".join(bytes([len(name)]) + name for name in names)) == names


# Data ---------------------------------------------------------------------------------------------------------------

SOCKETS = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


@SOCKETS
@given(
    head=st.binary(max_size=40),
    offset=st.integers(0, 120),
    length=st.integers(0, 120),
    split=st.integers(0, 50),
    interrupted=st.booleans(),
)
def test_sending_loses_and_repeats_nothing(
    newest: FreeBSDPlatform, volume: FreeBSDVolume, head: bytes, offset: int, length: int, split: int, interrupted: bool
):
    """For every split, ended by EAGAIN or by a signal."""
    data = bytes(range(100))
    if not (os.path.lexists(os.path.join(os.fsdecode(volume.root.path), "file"))):
        create(volume, data=data).close()
    ours, theirs = socket.socketpair()
    with ours, theirs, closing(volume.open("file", ACCESS_READ, wait=True)) as file:
        ours.setblocking(False)
        expected = head + data[offset : offset + length]
        taken = 0
        with newest.calls.splitting(split, interrupted=interrupted):
            while taken < len(expected):
                done = max(taken - len(head), 0)
                taken += newest.zero_copy.send(ours, head[taken:], file, offset + done, length - done)
        ours.shutdown(socket.SHUT_WR)
        assert theirs.makefile("rb").read() == expected


def test_sending_at_the_end_sends_the_head(newest: FreeBSDPlatform, volume: FreeBSDVolume):
    ours, theirs = socket.socketpair()
    with ours, theirs, closing(create(volume, data=b"data")) as file:
        ours.setblocking(False)
        assert newest.zero_copy.send(ours, memoryview(b"head"), file, 4, 9) == 4
        assert newest.zero_copy.send(ours, b"", file, 4, 9) == 0
        assert newest.zero_copy.send(ours, b"more", file, 0, 0) == 4
        assert theirs.recv(99) == b"headmore"


def test_sending_takes_a_socket_that_does_not_block(newest: FreeBSDPlatform, volume: FreeBSDVolume):
    ours, theirs = socket.socketpair()
    with ours, theirs, closing(create(volume, data=b"data")) as file:
        with pytest.raises(OSError, match="Invalid"):
            newest.zero_copy.send(ours, b"", file, 0, 4)
        ours.setblocking(False)
        with closing(volume.open("file", ACCESS_NONE, wait=True)) as node, pytest.raises(OSError, match="descriptor"):
            newest.zero_copy.send(ours, b"", node, 0, 4)


@pytest.mark.parametrize("interrupted", [False, True])
def test_a_hole_is_made_part_by_part(newest: FreeBSDPlatform, volume: FreeBSDVolume, interrupted: bool):
    with closing(create(volume, data=b"x" * 1000)) as file, newest.calls.splitting(7, interrupted=interrupted):
        newest.sparse.punch(file, 100, 800, wait=True)
        assert file.read_at(0, 2000, wait=True) == b"x" * 100 + bytes(800) + b"x" * 100
        newest.sparse.punch(file, 950, 1000, wait=True)
        newest.sparse.punch(file, 2000, 10, wait=True)
        newest.sparse.punch(file, 0, 0, wait=True)
        assert file.read_at(0, 2000, wait=True) == b"x" * 100 + bytes(800) + b"x" * 50 + bytes(50)


def test_where_copying_cannot_be_done(newest: FreeBSDPlatform, volume: FreeBSDVolume, monkeypatch):
    with closing(create(volume, data=b"data")) as file, closing(create(volume, "other")) as other:
        with newest.calls.splitting(3):
            assert newest.clone.copy(file, 0, other, 0, 4, wait=True) == 3

        def unsupported(self: Calls, *arguments: int) -> int:
            raise OSError(errno.EOPNOTSUPP, "")

        monkeypatch.setattr(Calls, "copy_range", unsupported)
        assert failure_of(lambda: newest.clone.copy(file, 0, other, 0, 4, wait=True)) == errno.EXDEV


@pytest.mark.parametrize("interrupted", [False, True])
def test_room_is_taken_inside_of_a_file_only(newest: FreeBSDPlatform, volume: FreeBSDVolume, interrupted: bool):
    """Behind its end it is looked for: posix_fallocate would change the size, and give back what is cut off again."""
    with newest.calls.splitting(0, interrupted=interrupted), closing(create(volume)) as file:
        file.resize(1 << 20, wait=True)
        assert file.stat().allocated == 0
        file.allocate(1 << 21, wait=True)
        assert (file.stat().size, file.stat().allocated) == (1 << 20, 1 << 20)
        assert failure_of(lambda: file.allocate(1 << 60, wait=True)) == errno.ENOSPC


def test_where_no_room_can_be_taken_it_is_looked_for(platform: FreeBSDPlatform, share: Path):
    """The errno depends on release and file system."""
    for file_system in (b"ufs", b"zfs"):
        with (
            platform.calls.on(file_system),
            platform.calls.reserving_nothing(),
            closing(platform.open_volume(str(share))) as volume,
            closing(create(volume, file_system.decode())) as file,
        ):
            file.resize(1 << 20, wait=True)
            with pytest.raises(OSError, match=r"Invalid|supported"):
                platform.calls.reserve(file.fileno(), 0, 1)
            file.allocate(1 << 20, wait=True)
            assert file.stat().allocated == 0


# Watching -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("file_system", "local"), [(b"nfs", False), (b"nullfs", True), (b"zfs", False)])
def test_where_others_change_things_nothing_is_watched(
    newest: FreeBSDPlatform, volume: FreeBSDVolume, file_system: bytes, local: bool
):
    with (
        newest.calls.on(file_system, local=local),
        closing(volume.open("", ACCESS_READ, wait=True)) as root,
        closing(newest.watch.start()) as watcher,
    ):
        assert failure_of(lambda: watcher.add(root)) == errno.ENOTSUP


def test_a_system_that_allows_no_inotify_says_so(newest: FreeBSDPlatform, monkeypatch):
    def full(self: Calls) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(Calls, "inotify_init", full)
    platform = probe(newest.calls)
    assert platform.watch is None
    assert "Too many open files" in platform.absent["watch"]


# Errors -------------------------------------------------------------------------------------------------------------


def test_errors_have_the_numbers_of_this_system(volume: FreeBSDVolume, share: Path):
    (share / "link").symlink_to("link")
    for function, arguments, number in (
        (volume.stat, ("none",), errno.ENOENT),
        (volume.stat, ("link",), errno.ELOOP),
        (volume.stat, ("n" * 300,), errno.ENAMETOOLONG),
        (volume.open, ("link", ACCESS_READ), errno.ELOOP),
    ):
        assert failure_of(partial(function, *arguments, wait=True)) == number


def test_a_snapshot_of_zfs_is_a_volume_of_its_own(newest: FreeBSDPlatform, share: Path):
    then = share / ".zfs/snapshot/daily-2026-01-01"
    then.mkdir(parents=True)
    (then / "file").write_text("then")
    layout = SnapshotLayout.parse(".zfs/snapshot/daily-%Y-%m-%d", "utc")
    assert newest.snapshots is not None
    (taken,) = newest.snapshots.times(str(share), layout, wait=True)
    with closing(newest.snapshots.open(str(share), layout, taken, wait=True)) as volume:
        assert volume.features.read_only
        assert volume.stat("file", wait=True).size == 4
        assert failure_of(partial(volume.create, "new", BOTH, 0o644, wait=True)) == errno.EROFS
