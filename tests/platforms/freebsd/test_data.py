"""T2: sending, copying, holes and reserved room."""

import errno
import os
import socket
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smbport.platform import ACCESS_NONE, ACCESS_READ
from smbport_freebsd.calls import (
    Calls,
)
from smbport_freebsd.platform import FreeBSDPlatform, probe
from smbport_freebsd.volume import FreeBSDVolume
from tests.platforms.freebsd.volumes import create, failure_of

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
        clone = probe(newest.calls).clone
        assert failure_of(lambda: clone.copy(file, 0, other, 0, 4, wait=True)) == errno.EXDEV


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
