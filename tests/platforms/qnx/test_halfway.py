"""T2: calls of QNX that fail half-way, at every place where they can: nothing is lost, and nothing twice."""

import errno
import os
import socket
from contextlib import closing

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smbport.platform import ACCESS_READ, ACCESS_WRITE
from smbport.posix import files
from smbport.posix.walk import HIDDEN
from smbport_qnx.platform import probe

BOTH = ACCESS_READ | ACCESS_WRITE
DATA = bytes(range(100))
LONG = bytes(range(251)) * 80  # longer than a row of the database takes
EVERYWHERE = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def platform(calls):
    return probe(calls)


@pytest.fixture
def volume(platform, tmp_path):
    with closing(platform.open_volume(str(tmp_path))) as opened:
        yield opened


@pytest.fixture
def file(volume):
    with closing(volume.create("file", BOTH, 0o644, wait=True)) as opened:
        yield opened


@pytest.fixture
def stream(platform, volume, file):
    with closing(platform.streams.create(volume.open("file", BOTH, wait=True), "one", wait=True)) as opened:
        yield opened


def with_room(write, room: int) -> int:
    """Write on a disk that has no room behind the first `room` bytes of any file; how much is written."""
    real = files.write_all

    def limited(fd: int, part: bytes, at: int) -> int:
        fits = part[: max(room - at, 0)]
        if not fits:
            raise OSError(errno.ENOSPC, "full")
        return os.pwrite(fd, fits[: len(fits) // 2 + 1], at)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "write_all", lambda fd, at, whole: real(fd, at, whole, limited))
        try:
            return write()
        except OSError as reason:
            if reason.errno != errno.ENOSPC:
                raise
            return 0


@EVERYWHERE
@given(
    head=st.binary(max_size=40), offset=st.integers(0, 120), length=st.integers(0, 120),
    parts=st.lists(st.integers(0, 20), max_size=20),
)  # fmt: skip
def test_sending(platform, file, monkeypatch, head, offset, length, parts):
    """Where nothing goes, the socket is full; a QNX with sendfile() has yet to be seen."""
    file.write_at(0, DATA, wait=True)
    real, left = os.sendfile, iter(parts)

    def sendfile(out: int, source: int, offset: int, count: int) -> int:
        part = next(left, count)
        if not part and count:
            raise BlockingIOError(errno.EAGAIN, "full")
        return real(out, source, offset, min(part, count))

    monkeypatch.setattr(os, "sendfile", sendfile)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        expected = head + DATA[offset : offset + length]
        taken = 0
        while taken < len(expected):
            done = max(taken - len(head), 0)
            try:
                taken += platform.zero_copy.send(ours, head[taken:], file, offset + done, length - done)
            except BlockingIOError:
                continue
        ours.shutdown(socket.SHUT_WR)
        assert theirs.makefile("rb").read() == expected


@EVERYWHERE
@given(offset=st.integers(0, 120), data=st.binary(max_size=40), room=st.integers(100, 150))
def test_a_full_disk_in_a_file(file, offset, data, room):
    file.resize(0, wait=True)
    file.write_at(0, DATA, wait=True)
    written = with_room(lambda: file.write_at(offset, data, wait=True), room)
    assert written == min(len(data), max(room - offset, 0))
    kept = DATA[:offset].ljust(offset if written else 0, b"\0") + data[:written] + DATA[offset + written :]
    assert file.read_at(0, 999, wait=True) == kept


@EVERYWHERE
@given(room=st.integers(0, len(LONG) + 50))
def test_a_full_disk_while_a_stream_leaves_the_database(stream, tmp_path, room):
    """It is in one place or in the other, and what was copied in vain is gone."""
    stream.resize(0, wait=True)
    stream.write_at(0, DATA, wait=True)
    written = with_room(lambda: stream.write_at(50, LONG, wait=True), room)
    assert stream.read_at(0, 1 << 20, wait=True) == DATA[:50] + LONG[:written] + DATA[50 + written :]
    assert len(list((tmp_path / HIDDEN).glob("*/*"))) == (room >= len(DATA))
    assert written == min(len(LONG), max(room - 50, 0)) or room < len(DATA)


@EVERYWHERE
@given(st.data())
def test_a_full_disk_in_the_database(platform, volume, file, data):
    """What was refused did not happen, and what was not, did."""
    name, value = st.sampled_from(("a", "b", "c")), st.integers(0, 20_000).map(bytes)
    attributes, kept = platform.attributes, {}
    for old in attributes.names(file, wait=True):
        attributes.remove(file, old, wait=True)
    attributes.set(file, "a", b"", wait=True)
    kept["a"] = 0
    with volume.store._file.reading() as database:
        [pages] = database.execute("PRAGMA page_count").fetchone()
        database.execute(f"PRAGMA max_page_count = {pages + data.draw(st.integers(0, 8))}")
    for key, new in data.draw(st.lists(st.tuples(name, value), max_size=8)):
        try:
            attributes.set(file, key, new, wait=True)
        except OSError as reason:
            if reason.errno != errno.ENOSPC:
                raise
        else:
            kept[key] = len(new)
        found = {key: len(attributes.get(file, key, wait=True)) for key in attributes.names(file, wait=True)}
        assert found == kept
    with volume.store._file.reading() as database:
        database.execute("PRAGMA max_page_count = 1000000")


@pytest.mark.parametrize("good", range(4))
def test_a_bad_disk(file, monkeypatch, good: int):
    """What was read before it is not given out as if it were all."""
    file.write_at(0, DATA, wait=True)
    real, parts = os.pread, []

    def read(fd: int, length: int, offset: int) -> bytes:
        if len(parts) == good:
            raise OSError(errno.EIO, "bad")
        parts.append(offset)
        return real(fd, min(length, 7), offset)

    monkeypatch.setattr(os, "pread", read)
    with pytest.raises(OSError, match="bad"):
        file.read_at(0, 50, wait=True)
