"""T2: calls of FreeBSD that fail half-way, at every place where they can: nothing is lost, and nothing twice."""

import errno
import os
import socket
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from smbport.platform import ACCESS_READ, ACCESS_WRITE
from smbport.posix import files
from smbport_freebsd.attributes import replace_attribute
from smbport_freebsd.calls import EINTEGRITY, EXTATTR_NAMESPACE_USER, Calls
from smbport_freebsd.platform import FreeBSDPlatform
from smbport_freebsd.volume import FreeBSDVolume

BOTH = ACCESS_READ | ACCESS_WRITE
NAME = b"name"
DATA = bytes(range(100))
EVERYWHERE = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
zeroes_and_ones = st.lists(st.sampled_from((0, 1)), min_size=1, max_size=60).map(bytes)
some_bytes = st.binary(max_size=40)


@pytest.fixture
def file(volume: FreeBSDVolume):
    with closing(volume.create("file", BOTH, 0o644, wait=True)) as opened:
        yield opened


@pytest.fixture
def other(volume: FreeBSDVolume):
    with closing(volume.create("other", BOTH, 0o644, wait=True)) as opened:
        yield opened


@EVERYWHERE
@given(
    head=st.binary(max_size=40), offset=st.integers(0, 99), length=st.integers(1, 100), split=st.integers(0, 50),
    interrupted=st.booleans(),
)  # fmt: skip
def test_sending_what_is_not_in_memory(newest: FreeBSDPlatform, file, head, offset, length, split, interrupted):
    """EBUSY comes when nothing is out any more that would have to be told: what went before counts."""
    file.write_at(0, DATA, wait=True)
    ours, theirs = socket.socketpair()
    length = min(length, len(DATA) - offset)
    with ours, theirs, newest.calls.cold():
        ours.setblocking(False)
        taken = 0
        with newest.calls.splitting(split, interrupted=interrupted):
            while taken < len(head):
                taken += newest.zero_copy.send(ours, head[taken:], file, offset, length)
            with pytest.raises(OSError, match=os.strerror(errno.EBUSY)):
                newest.zero_copy.send(ours, b"", file, offset, length)
        ours.shutdown(socket.SHUT_WR)
        assert theirs.makefile("rb").read() == head


@EVERYWHERE
@given(offset=st.integers(0, 120), length=st.integers(0, 120), split=st.integers(1, 120), interrupted=st.booleans())
def test_punching(newest: FreeBSDPlatform, file, offset, length, split, interrupted):
    file.write_at(0, DATA, wait=True)
    with newest.calls.splitting(split, interrupted=interrupted):
        newest.sparse.punch(file, offset, length, wait=True)
    hole = DATA[offset : offset + length]
    assert file.read_at(0, 999, wait=True) == DATA[:offset] + bytes(len(hole)) + DATA[offset + length :]


@EVERYWHERE
@given(offset=st.integers(0, 120), length=st.integers(1, 120), split=st.integers(1, 120))
def test_copying(newest: FreeBSDPlatform, file, other, offset, length, split):
    """It says how far it came."""
    file.write_at(0, DATA, wait=True)
    other.resize(0, wait=True)
    done = 0
    with newest.calls.splitting(split):
        while copied := newest.clone.copy(file, offset + done, other, done, length - done, wait=True):
            done += copied
    assert other.read_at(0, 999, wait=True) == DATA[offset : offset + length]


@pytest.fixture
def named(newest: FreeBSDPlatform, tmp_path: Path):
    """Attributes are files, of which ZFS forgets the errors."""
    (tmp_path / "named").mkdir()
    with newest.calls.naming_attributes(tmp_path / "named"):
        yield newest.calls


@EVERYWHERE
@given(old=st.none() | some_bytes, new=some_bytes, room=st.integers(1, 40))
def test_a_full_disk_in_an_attribute(named: Calls, file, old, new, room):
    """The old value is there, or the new; where it was before there is room again."""
    assume(old is None or len(old) <= room)
    fd = file.fileno()
    if old is None:
        if named.get_attribute(fd, EXTATTR_NAMESPACE_USER, NAME) is not None:
            named.remove_attribute(fd, EXTATTR_NAMESPACE_USER, NAME)
    else:
        named.set_attribute(fd, EXTATTR_NAMESPACE_USER, NAME, old)
    with named.splitting(room):
        if len(new) <= room:
            replace_attribute(named, fd, EXTATTR_NAMESPACE_USER, NAME, new)
        else:
            with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
                replace_attribute(named, fd, EXTATTR_NAMESPACE_USER, NAME, new)
    assert named.get_attribute(fd, EXTATTR_NAMESPACE_USER, NAME) == (new if len(new) <= room else old)


@pytest.mark.parametrize(("number", "told"), [(errno.EIO, errno.EIO), (EINTEGRITY, errno.EBADMSG)])
@pytest.mark.parametrize("good", range(4))
def test_a_bad_disk(file, monkeypatch, number: int, told: int, good: int):
    """What was read before it is not given out as if it were all."""
    file.write_at(0, DATA, wait=True)
    real, parts = os.pread, []

    def read(fd: int, length: int, offset: int) -> bytes:
        if len(parts) == good:
            raise OSError(number, "bad")
        parts.append(offset)
        return real(fd, min(length, 7), offset)

    monkeypatch.setattr(os, "pread", read)
    with pytest.raises(OSError, match=r"(?i)bad") as caught:
        file.read_at(0, 50, wait=True)
    assert caught.value.errno == told


@pytest.fixture
def stream(newest: FreeBSDPlatform, tmp_path: Path, share: Path):
    """In an attribute that is a file."""
    (tmp_path / "named").mkdir()
    with newest.calls.naming_attributes(tmp_path / "named"), closing(newest.open_volume(str(share))) as volume:
        node = volume.create("file", BOTH, 0o644, wait=True)
        with closing(newest.streams.create(node, "one", wait=True)) as opened:
            yield opened


@EVERYWHERE
@given(offset=st.integers(30, 50), data=zeroes_and_ones, room=st.integers(40, 80))
@example(offset=38, data=b"\0\0", room=40)
def test_a_full_disk_in_a_stream(stream, offset, data, room):
    """What a write says it wrote is there, and so is what was there before, also if it ends with zeroes."""
    old = bytes(range(1, 40))
    stream.resize(0, wait=True)
    stream.write_at(0, old, wait=True)
    written = write_with_room(stream, offset, data, room)
    kept = old[:offset].ljust(offset if written else 0, b"\0") + data[:written] + old[offset + written :]
    assert stream.read_at(0, 999, wait=True) == kept
    assert written == len(data) or offset + len(data) + 1 > room


@EVERYWHERE
@given(offset=st.integers(0, 120), data=some_bytes, room=st.integers(100, 150))
def test_a_full_disk_in_a_file(file, offset, data, room):
    file.resize(0, wait=True)
    file.write_at(0, DATA, wait=True)
    written = write_with_room(file, offset, data, room)
    assert written == min(len(data), max(room - offset, 0))
    kept = DATA[:offset].ljust(offset if written else 0, b"\0") + data[:written] + DATA[offset + written :]
    assert file.read_at(0, 999, wait=True) == kept


def write_with_room(file, offset: int, data: bytes, room: int) -> int:
    """Write on a disk that has no room behind the first `room` bytes of any file; how much is written."""
    real = files.write_all

    def limited(fd: int, part: bytes, at: int) -> int:
        fits = part[: max(room - at, 0)]
        if not fits:
            raise OSError(errno.ENOSPC, "full")
        return os.pwrite(fd, fits[:7], at)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "write_all", lambda fd, at, whole: real(fd, at, whole, limited))
        try:
            return file.write_at(offset, data, wait=True)
        except OSError as reason:
            if reason.errno != errno.ENOSPC:
                raise
            return 0
