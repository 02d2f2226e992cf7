"""One line for each call."""

import pytest

from smbport.platform import ACCESS_READ, ACCESS_WRITE
from smbport.testing.faults import Faults
from smbport.testing.memory import MemoryPlatform
from smbport.testing.trace import MAX_TEXT, trace

BOTH = ACCESS_READ + ACCESS_WRITE


def test_lines():
    lines = []
    platform = trace(MemoryPlatform(), lines.append)
    volume = platform.open_volume("v")
    file = volume.create("f", BOTH, 0o644)
    file.write_at(0, b"secret", through=True)
    file.read_at(0, 100)
    file.fileno()
    platform.attributes.set(file, "a", b"secret")
    platform.clone.copy(file, 0, file, 9, 3)
    volume.open("", ACCESS_READ).entries(10)
    with pytest.raises(FileNotFoundError):
        volume.stat("gone")
    file.close()
    volume.open("f", BOTH)
    assert lines == [
        "Platform.open_volume('v') -> Volume#1",
        "Volume#1.create('f', 3, 420) -> File#2",
        "File#2.write_at(0, <6 bytes>, through=True) -> 6",
        "File#2.read_at(0, 100) -> <6 bytes>",
        "File#2.fileno() -> -1",
        "Attributes.set(File#2, 'a', <6 bytes>)",
        "Clone.copy(File#2, 0, File#2, 9, 3) -> 3",
        "Volume#1.open('', 1) -> Directory#3",
        "Directory#3.entries(10) -> <1 items>",
        "Volume#1.stat('gone') -> ENOENT",
        "File#2.close()",
        "Volume#1.open('f', 3) -> File#4",
    ]


def test_long_values_are_cut():
    lines = []
    volume = trace(MemoryPlatform().open_volume("v"), lines.append)
    with pytest.raises(OSError, match="name"):
        volume.stat("n" * 1000)
    assert lines == [f"Volume.stat('{'n' * (MAX_TEXT - 1)}...) -> ENAMETOOLONG"]


def test_layers_can_be_combined():
    lines, faults = [], Faults()
    volume = trace(faults.wrap(MemoryPlatform()), lines.append).open_volume("v")
    faults.force_threads()
    with pytest.raises(BlockingIOError):
        volume.stat("")
    volume.open("", ACCESS_READ, wait=True)
    assert lines == [
        "Platform.open_volume('v') -> Volume#1",
        "Volume#1.stat('') -> EAGAIN",
        "Volume#1.open('', 1, wait=True) -> Directory#2",
    ]


def test_an_error_without_a_number():
    def fail():
        raise OSError("no number")

    lines, faults = [], Faults()
    volume = trace(faults.wrap(MemoryPlatform().open_volume("v")), lines.append)
    faults.do_before("Volume.space", fail)
    with pytest.raises(OSError, match="no number"):
        volume.space()
    assert lines == ["Volume.space() -> no number"]
