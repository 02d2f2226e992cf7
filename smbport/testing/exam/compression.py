"""The exam for compression by the file system."""

import errno
from typing import Final

from smbport.platform import ACCESS_READ, Compression, Directory, File, Platform
from smbport.testing.exam.bench import BOTH, Bench, check_refused, open_bench, require
from smbport.testing.exam.powers import find_power

__all__ = ["check_compression"]

DATA: Final = b"the same again. " * 8192  # 128 KiB, which any file system finds worth it
LATER: Final = bytes(range(256)) * 16


def check_compression(platform: Platform, path: str) -> str:
    """What is stored compressed, where something can be."""
    find_power(platform, "compression", platform.compression)
    with open_bench(platform, path) as bench:
        compression = bench.platform.compression
        assert compression is not None
        bench.make("file", DATA)
        bench.make_directory("directory")
        if not bench.volume.features.compression:
            for name in ("file", "directory"):
                _check_refusal(bench, compression, name)
            return "nothing can be compressed on this volume"
        for name in ("file", "directory"):
            _check_states(bench, compression, name)
        _check_data(bench, compression)
        _check_what_is_made(bench, compression)
    return ""


def _node(bench: Bench, name: str) -> File | Directory:
    return bench.volume.open(bench.at(name), ACCESS_READ if name == "directory" else BOTH)


def _check_refusal(bench: Bench, compression: Compression, name: str) -> None:
    node = _node(bench, name)
    demand = "set on a volume without Features.compression is OSError(EOPNOTSUPP)"
    check_refused(demand, (errno.EOPNOTSUPP,), compression.set, node, True)
    require(not node.stat().compressed, "set that is refused changes nothing")
    node.close()


def _check_states(bench: Bench, compression: Compression, name: str) -> None:
    """There and back, as everybody sees it who asks for the state."""
    node = _node(bench, name)
    for compressed in (True, True, False, False, True):
        compression.set(node, compressed)
        require(node.stat().compressed is compressed, "stat of the node says what set has chosen")
        require(bench.stat(name).compressed is compressed, "Volume.stat says what set has chosen")
        require(_listed(bench, name) is compressed, "a listing says what set has chosen")
    node.close()


def _listed(bench: Bench, name: str) -> bool:
    directory = bench.volume.open(bench.base, ACCESS_READ)
    assert directory.is_directory
    try:
        states = {entry.name: entry.stat for entry in directory.entries(100)}
    finally:
        directory.close()
    stat = states[name]
    return stat is not None and stat.compressed


def _check_data(bench: Bench, compression: Compression) -> None:
    """Whatever is stored how: `file` was written before it was compressed."""
    demand = "what is read is what was written, compressed or not"
    file = bench.open("file")
    expected = DATA
    for compressed in (True, False):
        compression.set(file, compressed)
        file.write_at(len(expected), DATA)
        file.write_at(1000, LATER)
        file.sync()
        expected = expected[:1000] + LATER + expected[1000 + len(LATER) :] + DATA
        require(file.read_at(0, 2 * len(expected)) == expected, demand)
        require(file.stat().size == len(expected), "the size of a file is that of its data, compressed or not")
    file.close()
    require(bench.read("file") == expected, demand)


def _check_what_is_made(bench: Bench, compression: Compression) -> None:
    directory = bench.volume.open(bench.at("directory"), ACCESS_READ)
    for number, compressed in enumerate((True, False)):
        compression.set(directory, compressed)
        file = bench.make(f"directory/file{number}")
        bench.make_directory(f"directory/below{number}")
        below = bench.stat(f"directory/below{number}")
        for stat in (file, below):
            require(stat.compressed is compressed, "what is made in a directory begins as the directory is")
    require(bench.stat("directory/file0").compressed, "what is there already stays as it is when its directory changes")
    directory.close()
