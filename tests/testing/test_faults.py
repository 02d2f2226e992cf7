"""Faults strike where they were ordered, and nowhere else."""

import errno

import pytest

from smbport.platform import ACCESS_READ, ACCESS_WRITE
from smbport.testing.faults import Faults
from smbport.testing.memory import MemoryPlatform

BOTH = ACCESS_READ + ACCESS_WRITE


@pytest.fixture
def faults():
    return Faults()


@pytest.fixture
def platform(faults):
    return faults.wrap(MemoryPlatform())


@pytest.fixture
def volume(platform):
    return platform.open_volume("v")


def outcomes(call, times):
    """What the calls answer: a result, or an errno."""
    found = []
    for _ in range(times):
        try:
            found.append(call())
        except OSError as error:
            found.append(error.errno)
    return found


def test_the_nth_call_fails(faults, volume):
    file = volume.create("f", BOTH, 0o644)
    faults.fail("File.write_at", errno.EIO, nth=3)
    faults.fail("write_at", errno.ENOSPC, nth=4, times=2)
    assert outcomes(lambda: file.write_at(0, b"x"), 7) == [1, 1, errno.EIO, errno.ENOSPC, errno.ENOSPC, 1, 1]
    assert faults.counts["File.write_at"] == 7


def test_a_failed_call_changes_nothing(faults, volume):
    faults.fail("Volume.create", errno.EACCES, times=None)
    assert outcomes(lambda: volume.create("f", BOTH, 0o644), 2) == [errno.EACCES] * 2
    with pytest.raises(FileNotFoundError):
        volume.stat("f")
    faults.clear()
    volume.create("f", BOTH, 0o644).close()


def test_any_call_but_close(faults, volume):
    file = volume.create("f", BOTH, 0o644)
    faults.fail("*", errno.EIO, nth=2, times=None)
    file.stat()
    file.close()
    with pytest.raises(OSError, match="Input/output"):
        volume.stat("f")


def test_a_name_of_one_role_leaves_the_others_alone(faults, volume):
    file = volume.create("f", BOTH, 0o644)
    faults.fail("Volume.stat", errno.EIO, times=None)
    file.stat()
    with pytest.raises(OSError, match="Input/output"):
        volume.stat("f")


def test_less_than_was_asked(faults, platform, volume):
    file = volume.create("f", BOTH, 0o644)
    file.write_at(0, b"0123456789")
    faults.shorten("File.write_at", 3)
    faults.shorten("Directory.entries", 1, times=1)
    faults.shorten("Clone.copy", 4)
    assert file.write_at(0, b"abcdef") == 3
    assert file.write_at(0, memoryview(b"ABCDEF")) == 3
    assert file.write_at(0, b"x") == 1
    assert file.read_at(0, 10) == b"xBC3456789"
    volume.create("g", BOTH, 0o644).close()
    directory = volume.open("", ACCESS_READ)
    assert [len(directory.entries(10)) for _ in range(3)] == [1, 1, 0]
    assert platform.clone.copy(file, 0, file, 20, 10) == 4


def test_the_thread_path(faults, volume):
    file = volume.create("f", BOTH, 0o644)
    faults.force_threads("File.read_at")
    faults.fail("read_at", errno.EIO, nth=2)
    assert outcomes(lambda: file.read_at(0, 1), 3) == [errno.EAGAIN] * 3
    assert outcomes(lambda: file.read_at(0, 1, wait=True), 3) == [b"", errno.EIO, b""]
    assert faults.counts["File.read_at"] == 3  # those sent to a thread are not counted twice
    assert file.write_at(0, b"x") == 1
    faults.force_threads()
    with pytest.raises(BlockingIOError):
        file.write_at(0, b"x")
    file.stat()  # has no `wait`: never blocks
    assert not volume.features.inline_io
    faults.clear()
    assert volume.features.inline_io


def test_the_world_changes_before_a_call(faults, volume):
    volume.create("f", BOTH, 0o644).close()
    seen = []
    faults.do_before("Volume.open", lambda: seen.append(volume.remove("f", volume.stat("f").key)))
    with pytest.raises(FileNotFoundError):
        volume.open("f", BOTH)
    assert seen == [None]


def test_names_are_checked(faults):
    for name in ("File.raed_at", "Volume.read_at", "nothing"):
        with pytest.raises(ValueError, match=name):
            faults.fail(name, errno.EIO)
        with pytest.raises(ValueError, match=name):
            faults.force_threads(name)
    with pytest.raises(ValueError, match="never raises"):
        faults.fail("File.close", errno.EIO)
    with pytest.raises(KeyError):
        faults.shorten("File.read_at", 1)  # the contract allows it at the end of the file only


def test_single_objects_can_be_wrapped(faults):
    volume = MemoryPlatform().open_volume("v")
    file = faults.wrap(volume.create("f", BOTH, 0o644))
    faults.fail("File.sync", errno.EIO)
    with pytest.raises(OSError, match="Input/output"):
        file.sync()
    directory = faults.wrap(volume).open("", ACCESS_READ)
    faults.fail("Directory.sync", errno.EIO)
    with pytest.raises(OSError, match="Input/output"):
        directory.sync()
