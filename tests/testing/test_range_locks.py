"""smbport.testing.range_locks"""

import pytest

from smbport.platform import ACCESS_READ, ACCESS_WRITE
from smbport.testing.memory import MemoryPlatform


@pytest.fixture
def platform():
    return MemoryPlatform()


@pytest.fixture
def files(platform):
    """Two handles of one file, and one of another."""
    volume = platform.open_volume("v")
    volume.create("f", ACCESS_WRITE, 0o644).close()
    return [volume.open("f", ACCESS_READ | ACCESS_WRITE) for _ in range(2)] + [volume.create("g", ACCESS_WRITE, 0o644)]


def test_handles_of_one_file_stand_in_each_others_way(platform, files):
    one, two, other = files
    locks = platform.range_locks
    assert locks.lock(one, 10, 10, exclusive=True)
    assert not locks.lock(two, 19, 1, exclusive=False)
    assert locks.lock(other, 19, 1, exclusive=True)
    assert locks.lock(one, 15, 10, exclusive=False)
    assert locks.lock(two, 15, 10, exclusive=False)
    assert not locks.lock(two, 14, 2, exclusive=False)


def test_unlock_cuts(platform, files):
    one, two, _ = files
    locks = platform.range_locks
    assert locks.lock(one, 0, 30, exclusive=True)
    locks.unlock(one, 10, 10)
    assert [locks.lock(two, offset, 1, exclusive=True) for offset in (9, 10, 19, 20)] == [False, True, True, False]


def test_a_handle_that_is_closed_holds_nothing(platform, files):
    one, two, _ = files
    assert platform.range_locks.lock(one, 0, 30, exclusive=True)
    one.close()
    assert platform.range_locks.lock(two, 0, 30, exclusive=True)
    with pytest.raises(OSError, match="Bad file descriptor"):
        platform.range_locks.unlock(one, 0, 1)
