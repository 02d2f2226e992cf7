"""The exam for named streams."""

import errno
from collections.abc import Sequence
from typing import Final

from smbport.platform import ACCESS_READ, Directory, File, Kind, Platform, Streams
from smbport.testing.exam.bench import BOTH, Bench, check_refused, demanding, list_names, open_bench, require
from smbport.testing.exam.powers import find_power

__all__ = ["check_streams"]

SIZES: Final = (0, 1, 100, 3000, 5000, 70_000, 1 << 20)
"""Bytes: no file system keeps the longest in an attribute, and there are some that do not keep the fourth."""

BAD_NAME: Final = (errno.ENAMETOOLONG, errno.EINVAL)
SOME_NS: Final = 1_000_000_000 * 10**9


def check_streams(platform: Platform, path: str) -> str:
    """Named streams of files and directories."""
    find_power(platform, "streams", platform.streams)
    with open_bench(platform, path) as bench:
        if not bench.volume.features.streams:
            return "this volume has no streams"
        streams = bench.platform.streams
        assert streams is not None
        before = _names_at_root(bench)
        bench.make("file", b"data of the file")
        bench.make_directory("directory")
        for name in ("file", "directory"):
            _check_making(bench, streams, name)
            _check_growing(bench, streams, name)
            _check_renaming(bench, streams, name)
        _check_file_itself(bench, streams)
        _check_two_handles(bench, streams)
        _check_end(bench, streams)
        require(_names_at_root(bench) == before, "what keeps streams is not seen in a listing")
    return ""


def _names_at_root(bench: Bench) -> set[str]:
    root = bench.volume.open("", ACCESS_READ)
    assert root.is_directory
    try:
        return set(list_names(root))
    finally:
        root.close()


def _node(bench: Bench, name: str) -> File | Directory:
    return bench.volume.open(bench.at(name), ACCESS_READ if name == "directory" else BOTH)


def _sizes(bench: Bench, streams: Streams, name: str) -> dict[str, int]:
    node = _node(bench, name)
    try:
        return {entry.name: entry.size for entry in streams.entries(node)}
    finally:
        node.close()


def _remove(bench: Bench, streams: Streams, name: str, *names: str) -> None:
    node = _node(bench, name)
    for stream in names:
        streams.remove(node, stream)
    node.close()


def _check_making(bench: Bench, streams: Streams, name: str) -> None:
    node = _node(bench, name)
    require(list(streams.entries(node)) == [], "entries() of a file without streams is empty")
    demand = "open of a stream that is not there is FileNotFoundError"
    check_refused(demand, (errno.ENOENT,), streams.open, node, "one")
    demand = "remove of a stream that is not there is FileNotFoundError"
    check_refused(demand, (errno.ENOENT,), streams.remove, node, "one")
    for bad in ("x" * 5000, "with\0zero", ""):
        demand = "create of a stream with an impossible name is OSError(ENAMETOOLONG) or OSError(EINVAL)"
        check_refused(demand, BAD_NAME, streams.create, node, bad)
    node.close()
    for stream in ("one", "Zwei & drei", '*?<>"|', "\u00fc"):
        made = streams.create(_node(bench, name), stream)
        require(made.stat().size == 0 and made.read_at(0, 10) == b"", "a new stream is empty")
        made.close()
        require(_sizes(bench, streams, name).get(stream) == 0, "entries() tells of an empty stream")
        node = _node(bench, name)
        demand = "create of a stream that is there is FileExistsError"
        check_refused(demand, (errno.EEXIST,), streams.create, node, stream)
        node.close()
    _remove(bench, streams, name, "one", "Zwei & drei", '*?<>"|', "\u00fc")
    require(not _sizes(bench, streams, name), "remove takes a stream away")


def _check_growing(bench: Bench, streams: Streams, name: str) -> None:
    stream = streams.create(_node(bench, name), "grows")
    expected = b""
    for number, size in enumerate(SIZES):
        more = bytes([65 + number]) * (size - len(expected))
        if more:
            require(stream.write_at(len(expected), more) == len(more), "write_at returns len(data)")
        expected += more
        require(stream.read_at(0, 2 * size + 1) == expected, "a stream that grows keeps its data")
        require(stream.stat().size == size, "Stat.size of a stream is the stream's")
        require(_sizes(bench, streams, name) == {"grows": size}, "entries() tells the size")
    stream.write_at(10, b"\0middle\0")
    expected = expected[:10] + b"\0middle\0" + expected[18:]
    stream.sync()
    stream.close()
    stream = streams.open(_node(bench, name), "grows")
    require(stream.read_at(0, len(expected)) == expected, "a stream that is opened again has its data")
    for size in (60_000, 2000, 5, 9, 0):
        stream.resize(size)
        expected = expected[:size].ljust(size, b"\0")
        require(stream.read_at(0, 100_000) == expected, "resize cuts, or extends with zeroes")
    stream.write_at(4, b"behind\0")
    require(stream.read_at(0, 99) == b"\0\0\0\0behind\0", "between the end and a write behind it are zeroes")
    stream.close()
    _remove(bench, streams, name, "grows")


def _check_renaming(bench: Bench, streams: Streams, name: str) -> None:
    for content in (b"short", b"long" * 50_000):
        stream = streams.create(_node(bench, name), "old")
        stream.write_at(0, content)
        streams.create(_node(bench, name), "other").close()
        node = _node(bench, name)
        demand = "rename of a stream to a name that is taken is FileExistsError"
        check_refused(demand, (errno.EEXIST,), streams.rename, node, "old", "other")
        demand = "rename of a stream that is not there is FileNotFoundError"
        check_refused(demand, (errno.ENOENT,), streams.rename, node, "gone", "new")
        streams.rename(node, "old", "new")
        require(_sizes(bench, streams, name) == {"new": len(content), "other": 0}, "rename gives a stream another name")
        stream.write_at(0, b"S")
        require(stream.read_at(0, len(content)) == b"S" + content[1:], "a stream that is renamed stays open")
        stream.close()
        stream = streams.open(node, "new")
        require(stream.read_at(0, len(content)) == b"S" + content[1:], "rename keeps the data")
        stream.close()
        _remove(bench, streams, name, "new", "other")


def _check_file_itself(bench: Bench, streams: Streams) -> None:
    """All but the data is one."""
    stream = streams.create(_node(bench, "file"), "one")
    stream.write_at(0, b"data of the stream")
    file = _node(bench, "file")
    assert not file.is_directory
    require(file.read_at(0, 99) == b"data of the file", "the data of the file is another than that of its streams")
    require(stream.stat().key == file.stat().key, "a stream has the key of its file")
    require(stream.stat().kind == Kind.FILE, "a stream is a file")
    stream.set_times(SOME_NS, SOME_NS)
    stream.set_mode(0o600)
    state = file.stat()
    require((state.write_ns, state.mode) == (SOME_NS, 0o600), "what is set through a stream is set of the file")
    attributes = bench.platform.attributes
    if attributes is not None:
        names: Sequence[str] = attributes.names(file)
        require(not any("one" in name for name in names), "streams are not seen as attributes")
    stream.close()
    file.close()
    _remove(bench, streams, "file", "one")


def _check_two_handles(bench: Bench, streams: Streams) -> None:
    one = streams.create(_node(bench, "file"), "shared")
    other = streams.open(_node(bench, "file"), "shared")
    for content in (b"first", b"second" * 20_000, b"third"):
        one.resize(0)
        one.write_at(0, content)
        require(other.read_at(0, 200_000) == content, "what is written through one handle is read through the other")
        require(other.stat().size == len(content), "and so is the size")
    one.close()
    with demanding("a handle stays good when another is closed"):
        require(other.read_at(0, 9) == b"third", "a handle stays good when another is closed")
    other.close()
    _remove(bench, streams, "file", "shared")


def _check_end(bench: Bench, streams: Streams) -> None:
    """A file takes its streams along, and a new one of its name has none."""
    for content in (b"short", b"long" * 50_000):
        for replaces in (False, True):
            bench.make("mortal", b"")
            stream = streams.create(_node(bench, "mortal"), "one")
            stream.write_at(0, content)
            stream.close()
            bench.volume.rename(bench.at("mortal"), bench.at("moved"), replace=False)
            require(_sizes(bench, streams, "moved") == {"one": len(content)}, "a renamed file keeps its streams")
            bench.make("mortal", b"")
            require(not _sizes(bench, streams, "mortal"), "a new file has no streams")
            if replaces:
                bench.volume.rename(bench.at("mortal"), bench.at("moved"), replace=True)
                require(not _sizes(bench, streams, "moved"), "a file that is replaced takes its streams along")
                bench.remove("moved")
            else:
                bench.remove("moved")
                bench.remove("mortal")
