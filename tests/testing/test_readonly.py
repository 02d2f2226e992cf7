"""Nothing can be changed, everything can be read."""

import errno

import pytest

from smbport.platform import ACCESS_NONE, ACCESS_READ, ACCESS_WRITE, Account, Kind
from smbport.testing.calls import METHODS
from smbport.testing.memory import MemoryPlatform
from smbport.testing.readonly import read_only

BOTH = ACCESS_READ + ACCESS_WRITE


@pytest.fixture
def inner():
    platform = MemoryPlatform(accounts=[Account("alice", 1, 1)])
    volume = platform.open_volume("v")
    volume.make_directory("d", 0o755).close()
    file = volume.create("f", BOTH, 0o644)
    file.write_at(0, b"data")
    platform.attributes.set(file, "a", b"1")
    file.close()
    return platform


@pytest.fixture
def platform(inner):
    return read_only(inner)


def test_reading_goes_on(inner, platform):
    volume = platform.open_volume("v").acting_as(platform.account)
    assert volume.features.read_only
    assert volume.stat("f").size == 4
    file = volume.open("f", ACCESS_READ)
    assert (file.read_at(0, 9), file.fileno(), file.stat().size) == (b"data", -1, 4)
    file.sync()
    assert platform.attributes.names(file) == ["a"]
    assert platform.attributes.get(file, "a") == b"1"
    assert platform.sparse.data_ranges(file, 0, 9, limit=1) == [(0, 4)]
    assert platform.identity.find_account("alice").uid == 1
    file.close()
    directory = volume.open("", ACCESS_READ)
    assert [entry.name for entry in directory.entries(9)] == ["d", "f"]
    directory.rewind()
    directory.sync()
    directory.close()
    volume.sync_directory_of("f")
    assert volume.space().total
    volume.close()
    assert inner.open_handles == 0


CHANGES = {
    "Volume.create": lambda platform, volume, file: volume.create("g", ACCESS_READ, 0o644),
    "Volume.make_directory": lambda platform, volume, file: volume.make_directory("g", 0o755),
    "Volume.rename": lambda platform, volume, file: volume.rename("f", "g", replace=True),
    "Volume.link": lambda platform, volume, file: volume.link("f", "g"),
    "Volume.remove": lambda platform, volume, file: volume.remove("f", file.stat().key),
    "Volume.open": lambda platform, volume, file: volume.open("f", BOTH),
    "File.write_at": lambda platform, volume, file: file.write_at(0, b"x"),
    "File.resize": lambda platform, volume, file: file.resize(0),
    "File.allocate": lambda platform, volume, file: file.allocate(0),
    "File.set_times": lambda platform, volume, file: file.set_times(1, 1),
    "File.set_mode": lambda platform, volume, file: file.set_mode(0),
    "File.set_owner": lambda platform, volume, file: file.set_owner(1, 1),
    "File.set_marks": lambda platform, volume, file: file.set_marks(1, 1),
    "Directory.set_mode": lambda platform, volume, file: volume.open("d", ACCESS_READ).set_mode(0),
    "Attributes.set": lambda platform, volume, file: platform.attributes.set(file, "a", b"2"),
    "Attributes.remove": lambda platform, volume, file: platform.attributes.remove(file, "a"),
    "Clone.copy": lambda platform, volume, file: platform.clone.copy(file, 0, file, 1, 1),
    "Volume.make_special": lambda platform, volume, file: volume.make_special("new", Kind.FIFO, 0o600),
    "Volume.symlink": lambda platform, volume, file: volume.symlink("new", "f"),
    "Clone.reflink": lambda platform, volume, file: platform.clone.reflink(file, 0, file, 4096, 4),
    "Compression.set": lambda platform, volume, file: platform.compression.set(file, True),
    "Sparse.zero": lambda platform, volume, file: platform.sparse.zero(file, 0, 1),
    "Sparse.punch": lambda platform, volume, file: platform.sparse.punch(file, 0, 1),
}


@pytest.mark.parametrize("name", CHANGES)
def test_changing_is_refused(inner, platform, name):
    volume = platform.open_volume("v")
    file = volume.open("f", ACCESS_READ)
    before = inner.open_volume("v").stat("f"), inner.open_volume("v").stat("")
    with pytest.raises(OSError, match=r"[Rr]ead-only") as caught:
        CHANGES[name](platform, volume, file)
    assert caught.value.errno == errno.EROFS
    assert (inner.open_volume("v").stat("f"), inner.open_volume("v").stat("")) == before
    role, _, method = name.partition(".")
    assert method in METHODS[role]


def test_opening_for_writing_says_what_is_wrong_first(inner, platform):
    volume = platform.open_volume("v")
    with pytest.raises(FileNotFoundError):
        volume.open("gone", BOTH)
    assert volume.open("d", BOTH).is_directory
    assert volume.open("f", ACCESS_NONE).stat().size == 4
    handles = inner.open_handles
    with pytest.raises(OSError, match=r"[Rr]ead-only"):
        volume.open("f", ACCESS_WRITE)
    assert inner.open_handles == handles


def test_nothing_may_be_removed(platform):
    volume = platform.open_volume("v")
    assert volume.may_remove("f") is False
    with pytest.raises(FileNotFoundError):
        volume.may_remove("gone")
