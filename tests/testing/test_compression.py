"""Compression of a MemoryPlatform."""

import errno

import pytest

from smbport.platform import ACCESS_NONE, ACCESS_READ, Account, Kind
from smbport.testing.memory import MemoryPlatform

OWNER, OTHER = Account("owner", 1000, 1000), Account("other", 1001, 1001)


@pytest.fixture
def platform():
    return MemoryPlatform(accounts=[OWNER, OTHER])


@pytest.fixture
def volume(platform):
    return platform.open_volume("v")


def test_files_begin_as_their_directory_is(platform, volume):
    assert volume.features.compression
    directory = volume.make_directory("d", 0o755)
    platform.compression.set(directory, True)
    assert directory.stat().compressed
    assert volume.create("d/file", ACCESS_READ, 0o644).stat().compressed
    assert volume.make_directory("d/below", 0o755).stat().compressed
    assert [entry.stat.compressed for entry in directory.entries(9)] == [True, True]
    platform.compression.set(directory, False)
    assert volume.stat("d/file").compressed
    assert not volume.create("d/later", ACCESS_READ, 0o644).stat().compressed


def test_a_snapshot_remembers(platform, volume):
    file = volume.create("file", ACCESS_READ, 0o644)
    platform.compression.set(file, True)
    platform.take_snapshot("v", 10**18)
    platform.compression.set(file, False)
    (taken,) = platform.snapshots.times("v", None)
    assert platform.snapshots.open("v", None, taken).stat("file").compressed
    assert not file.stat().compressed


def test_only_files_and_directories(platform, volume):
    volume.make_special("fifo", Kind.FIFO, 0o600)
    with pytest.raises(OSError, match=r"not supported") as caught:
        platform.compression.set(volume.open("fifo", ACCESS_NONE), True)
    assert caught.value.errno == errno.EOPNOTSUPP


def test_only_for_the_owner(platform, volume):
    volume.make_directory("d", 0o777)
    volume.open("d", ACCESS_READ).set_owner(OWNER.uid, OWNER.gid)
    theirs = volume.acting_as(OTHER).open("d", ACCESS_READ)
    with pytest.raises(PermissionError):
        platform.compression.set(theirs, True)
    platform.compression.set(volume.acting_as(OWNER).open("d", ACCESS_READ), True)
    assert theirs.stat().compressed
