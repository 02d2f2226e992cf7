"""smbport_linux.files: what is done inline, and what is not."""

import errno
import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from smbport.platform import ACCESS_NONE, ACCESS_READ, ACCESS_WRITE, FileKey
from smbport.posix import gate
from smbport_linux import files, inline
from smbport_linux.files import READS_WAIT
from smbport_linux.inline import INLINE_WRITE
from smbport_linux.volume import LinuxVolume

MIB = 1 << 20


def fails(number: int, function, *args, **keywords) -> None:
    with pytest.raises(OSError, match=f"Errno {number}]"):
        function(*args, **keywords)


def waits(function, *args, **keywords) -> None:
    with pytest.raises(BlockingIOError):
        function(*args, **keywords)


@pytest.fixture(autouse=True)
def local(volume: LinuxVolume, monkeypatch) -> None:
    if not volume.features.inline_io:
        pytest.skip(f"nothing is done inline on {volume.features.file_system}")
    monkeypatch.setattr(gate, "SLOW_NS", 1 << 62)  # a busy disk is no reason for a test to fail


def drop_cache(path: Path) -> None:
    """Leave nothing of a file in the page cache."""
    fd = os.open(path, os.O_RDWR)
    os.fsync(fd)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(fd)


@pytest.mark.parametrize("length", [1, 4096, 20000, MIB])
def test_cached_data_is_read_inline(volume: LinuxVolume, share: Path, length: int):
    data = os.urandom(length)
    (share / "file").write_bytes(data)
    with closing(volume.open("file", ACCESS_READ, wait=True)) as file:
        assert file.read_at(0, length) == data
        assert file.read_at(0, length + 1) == data
        assert file.read_at(length // 2, length) == data[length // 2 :]
        assert file.read_at(length, length) == b""
        assert file.read_at(length + 5, 1) == b""
        assert file.read_at(0, 0) == b""
        assert type(file.read_at(0, length)) is bytes


@pytest.mark.parametrize("length", [4096, 5000, MIB])
@pytest.mark.parametrize("cached", [0, 4096])
def test_data_on_disk_is_not_read_inline(volume: LinuxVolume, share: Path, length: int, cached: int):
    """Nor is the part returned that is cached: that would look like the end of the file."""
    if volume.features.file_system in inline.MEMORY_FILE_SYSTEMS:
        pytest.skip("there is no disk below")
    data = os.urandom(MIB)
    (share / "file").write_bytes(data)
    drop_cache(share / "file")
    with closing(volume.open("file", ACCESS_READ, wait=True)) as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_RANDOM)  # no read-ahead
        assert file.read_at(0, cached, wait=True) == data[:cached]
        assert file.read_at(0, cached) == data[:cached]
        if length > cached:
            waits(file.read_at, 0, length)
        assert file.read_at(0, length, wait=True) == data[:length]


def test_a_file_system_without_nowait_is_not_asked_again(volume: LinuxVolume, share: Path, monkeypatch):
    (share / "file").write_bytes(b"text")
    with closing(volume.open("file", ACCESS_READ, wait=True)) as file:

        def read_nowait(*_):
            raise OSError(errno.EOPNOTSUPP, "no")

        monkeypatch.setattr(files, "read_nowait", read_nowait)
        file._reads = files.READS_NOWAIT
        waits(file.read_at, 0, 4)
        assert file._reads == READS_WAIT
        waits(file.read_at, 0, 4)
        assert file.read_at(0, 4, wait=True) == b"text"


def test_other_errors_of_reading_are_told(volume: LinuxVolume, share: Path):
    (share / "file").touch()
    file = volume.open("file", ACCESS_WRITE, wait=True)
    with closing(file), pytest.raises(OSError, match=f"Errno {errno.EBADF}]"):
        file.read_at(0, 1)


def test_small_writes_are_made_inline(volume: LinuxVolume, share: Path):
    with closing(volume.create("file", ACCESS_WRITE, 0o600, wait=True)) as file:
        assert file.write_at(0, bytes(INLINE_WRITE)) == INLINE_WRITE
        assert file.write_at(INLINE_WRITE, b"behind the end, and not aligned") == 31
        waits(file.write_at, 0, bytes(INLINE_WRITE + 1))
        waits(file.write_at, 0, b"x", through=True)
        assert file.stat().size == INLINE_WRITE + 31


@pytest.mark.parametrize(("offset", "length"), [(10, 20), (0, 20), (4000, 96), (4000, 4192), (4096, 4200)])
def test_a_write_that_must_read_first_is_not_made_inline(volume: LinuxVolume, share: Path, offset: int, length: int):
    if volume.features.file_system in inline.MEMORY_FILE_SYSTEMS:
        pytest.skip("there is nothing to be read")
    data = bytearray(os.urandom(MIB))
    (share / "file").write_bytes(data)
    drop_cache(share / "file")
    new = b"x" * length
    with closing(volume.open("file", ACCESS_READ | ACCESS_WRITE, wait=True)) as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_RANDOM)
        waits(file.write_at, offset, new)
        assert file.write_at(offset, new, wait=True) == length
        data[offset : offset + length] = new
        assert file.write_at(offset, new) == length  # cached now
        assert file.write_at(8192 * 4, new[:0] + bytes(8192)) == 8192  # whole pages need no reading
        data[8192 * 4 : 8192 * 5] = bytes(8192)
    assert (share / "file").read_bytes() == data


def test_a_handle_for_writing_only_cannot_tell_what_is_cached(volume: LinuxVolume, share: Path):
    if volume.features.file_system in inline.MEMORY_FILE_SYSTEMS:
        pytest.skip("there it does not matter")
    (share / "file").write_bytes(bytes(8192))
    with closing(volume.open("file", ACCESS_WRITE, wait=True)) as file:
        waits(file.write_at, 5, b"x")
        assert file.write_at(4096, bytes(4096)) == 4096
        assert file.write_at(8192, b"appended") == 8


@pytest.mark.pure_only  # puts functions in the place of the gate's
def test_after_a_slow_change_others_wait_their_turn_elsewhere(volume: LinuxVolume, share: Path, monkeypatch):
    now_ns, waits_of_thread = 10**9, 0
    monkeypatch.setattr(gate, "SLOW_NS", 1000)
    monkeypatch.setattr(gate, "monotonic_ns", lambda: now_ns)
    monkeypatch.setattr(gate, "count_waits", lambda: waits_of_thread)
    real = os.pwrite

    def slow_write(*args):
        nonlocal now_ns, waits_of_thread
        now_ns += gate.SLOW_NS + 10  # more than the bytes may take
        waits_of_thread += 1
        return real(*args)

    with closing(volume.create("file", 3, 0o600, wait=True)) as file, closing(volume.open("", 1, wait=True)) as top:
        assert file.write_at(0, b"fast") == 4
        slow_write(file.fileno(), b"x", 0)
        assert file.write_at(0, b"fast") == 4  # that one was not inline
        monkeypatch.setattr("smbport_linux.files.write_all", lambda fd, offset, data: slow_write(fd, data, offset))
        assert file.write_at(0, b"slow") == 4
        for node in (file, top):
            waits(node.set_times, 0, 0)
            waits(node.set_mode, 0o700)
            waits(node.set_owner, None, None)
            waits(node.set_marks, 1, None)
        waits(file.write_at, 0, b"x")
        assert file.read_at(0, 4) == b"slow"
        now_ns += gate.PAUSE_NS
        assert file.write_at(0, b"fast") == 4


def test_the_first_state(volume: LinuxVolume, share: Path):
    """It may be that of the open as long as only others change the file, and it is told once."""
    (share / "file").write_bytes(b"data")
    handles = [volume.open("file", ACCESS_READ | ACCESS_WRITE, wait=True) for _ in range(4)]
    handles[0].write_at(0, b"longer data")
    handles[1].resize(20, wait=True)
    handles[2].set_times(10**18, None)
    for file in handles[:3]:
        assert file.first_stat() == file.stat()
    last = handles[-1]
    assert last.stat().size == 20
    assert (last.first_stat().size, last.first_stat().size) == (4, 20)
    for file in handles:
        file.close()


def test_the_first_state_of_something_new(volume: LinuxVolume, share: Path):
    if not volume.features.stores_marks:
        pytest.skip("there are no marks")
    for wait in (True, False):
        with closing(volume.create(f"file {wait}", ACCESS_WRITE, 0o600, wait=wait)) as file:
            file.set_marks(0x22, None)
            file.set_marks(None, 10**18)
            assert (file.first_stat().dos_attributes, file.stat().birth_ns) == (0x22, 10**18)
            assert file.first_stat() == file.stat()


def test_what_somebody_has_stored_with_a_new_file_stays(volume: LinuxVolume, share: Path):
    if not volume.features.stores_marks:
        pytest.skip("there are no marks")
    with closing(volume.create("file", ACCESS_WRITE, 0o600, wait=True)) as file:
        with closing(volume.open("file", ACCESS_NONE, wait=True)) as other:
            other.set_marks(None, 10**18)
        file.set_marks(0x22, None)
        assert (file.first_stat().dos_attributes, file.first_stat().birth_ns) == (0x22, 10**18)


def test_changes_are_made_inline(volume: LinuxVolume, share: Path):
    (share / "file").touch()
    (share / "dir").mkdir()
    for path in ("file", "dir"):
        for access in (ACCESS_NONE, ACCESS_READ):
            with closing(volume.open(path, access)) as node:
                node.set_times(10**18, None)
                node.set_mode(0o700)
                node.set_owner(None, None)
                if volume.features.stores_marks:
                    node.set_marks(2, 10**18)
                assert (node.stat().access_ns, node.stat().mode) == (10**18, 0o700)


def test_what_always_waits(volume: LinuxVolume, share: Path):
    with closing(volume.create("file", 3, 0o600, wait=True)) as file, closing(volume.open("", 1, wait=True)) as top:
        waits(file.resize, 5)
        waits(file.allocate, 5)
        waits(file.sync)
        waits(top.sync)
        waits(top.entries, 5)
        waits(volume.make_directory, "new", 0o700)
        waits(volume.rename, "file", "new", replace=True)
        waits(volume.link, "file", "new")
        waits(volume.sync_directory_of, "file")
    assert os.listdir(share) == ["file"]
    assert (share / "file").stat().st_size == 0


def test_small_files_come_and_go_inline(volume: LinuxVolume, share: Path):
    (share / "dir").mkdir()
    for path in ("file", "dir/file"):
        with closing(volume.create(path, 3, 0o640)) as file:
            assert file.write_at(0, b"data") == 4
            fails(errno.EEXIST, volume.create, path, 3, 0o600)
            fails(errno.EAGAIN, volume.remove, path, FileKey(1, 1))  # another file has the name: not for here
            volume.remove(path, file.stat().key)
        assert os.listdir(share / path.rpartition("/")[0]) == (["dir"] if path == "file" else [])
    fails(errno.EEXIST, volume.create, "", 3, 0o600)
    fails(errno.EBUSY, volume.remove, "", volume.stat("").key)


@pytest.mark.pure_only  # puts functions in the place of the gate's
def test_names_change_in_a_thread_where_it_may_take_long(volume: LinuxVolume, share: Path, monkeypatch):
    (share / "large").write_bytes(bytes(INLINE_WRITE + 1))
    (share / "dir").mkdir()
    (share / "link").symlink_to("large")
    for path in ("large", "dir", "link"):
        waits(volume.remove, path, volume.stat(path, follow=False).key)
    monkeypatch.setattr(gate, "SLOW_NS", 0)
    monkeypatch.setattr(gate, "count_waits", lambda: -1)
    volume.gate.leave(0, 0)  # a change took long
    waits(volume.create, "new", 3, 0o600)
    waits(volume.remove, "large", volume.stat("large").key)
    assert sorted(os.listdir(share)) == ["dir", "large", "link"]


def test_handles_in_another_file_system_below(volume: LinuxVolume, share: Path, mounted):
    """What is known of the volume's own file system is not believed of one mounted in it."""
    mounted(share / "mnt", "size=1m")
    (share / "mnt/file").write_text("text")
    waits(volume.open, "mnt/file", ACCESS_READ)
    with closing(volume.open("mnt/file", 3, wait=True)) as file:
        waits(file.write_at, 0, b"x")
        waits(file.set_times, 0, 0)
        waits(file.read_at, 0, 4)  # tmpfs does not know RWF_NOWAIT
        assert file.read_at(0, 4, wait=True) == b"text"


def test_memory_file_systems(platform, share: Path, mounted):
    mounted(share, "size=1m")
    with closing(platform.open_volume(str(share))) as volume:
        assert volume.features.file_system == "tmpfs"
        with closing(volume.create("file", 3, 0o600, wait=True)) as file:
            assert file.write_at(3, b"text") == 4
            assert file.write_at(5, b"xt") == 2
            assert file.read_at(0, 100) == b"\0\0\0text"


def test_a_full_volume(platform, share: Path, mounted):
    mounted(share, "size=256k")
    with closing(platform.open_volume(str(share))) as volume, closing(volume.create("f", 3, 0o600, wait=True)) as file:
        for through in (False, True):
            file.resize(0, wait=True)
            written = file.write_at(0, bytes(MIB), through=through, wait=True)
            assert 0 < written < MIB
            assert file.stat().size == written
            with pytest.raises(OSError, match=f"Errno {errno.ENOSPC}]"):
                file.write_at(written, bytes(MIB), through=through, wait=True)
        with pytest.raises(OSError, match=f"Errno {errno.ENOSPC}]"):
            file.allocate(2 * MIB, wait=True)
        assert file.stat().size == written


def test_a_file_system_without_reservation_checks_the_free_space(volume: LinuxVolume, share: Path, monkeypatch):
    def cannot(*_):
        raise OSError(errno.EOPNOTSUPP, "no")

    monkeypatch.setattr(files, "keep_size_allocate", cannot)
    with closing(volume.create("file", 3, 0o600, wait=True)) as file:
        file.allocate(4096, wait=True)
        with pytest.raises(OSError, match=f"Errno {errno.ENOSPC}]"):
            file.allocate(1 << 60, wait=True)
        monkeypatch.undo()
        file.allocate(65536, wait=True)
        assert (file.stat().size, file.stat().allocated >= 65536) == (0, True)
        monkeypatch.setattr(files, "keep_size_allocate", lambda *_: os.read(-1, 1))
        with pytest.raises(OSError, match=f"Errno {errno.EBADF}]"):
            file.allocate(1, wait=True)


@pytest.mark.pure_only  # puts a method in the place of the volume's
def test_a_lease_of_a_local_program_is_waited_for_in_a_thread_only(volume: LinuxVolume, share: Path, monkeypatch):
    (share / "file").write_text("text")
    real = LinuxVolume._open_leased

    def open_leased(*args, **keywords):
        holder.stdin.write(b"give it back\n")  # not before it is known that there is something to wait for
        holder.stdin.flush()
        return real(*args, **keywords)

    monkeypatch.setattr(LinuxVolume, "_open_leased", open_leased)
    holder = subprocess.Popen(
        [sys.executable, "-c", LEASE_HOLDER, share / "file"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert holder.stdout.readline() == b"held\n"
        waits(volume.open, "file", ACCESS_READ)
        with closing(volume.open("file", ACCESS_READ, wait=True)) as file:
            assert file.read_at(0, 4) == b"text"
    finally:
        holder.communicate()
    assert holder.returncode == 0


LEASE_HOLDER = """
import fcntl, os, signal, sys
fd = os.open(sys.argv[1], os.O_RDWR)
signal.signal(signal.SIGIO, signal.SIG_IGN)
fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_WRLCK)
print("held", flush=True)
assert sys.stdin.readline() == "give it back\\n"
fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
"""
