"""smbport.posix.named_attributes: streams in attributes that can be opened, and in such as cannot."""

import errno
import os
from contextlib import closing, contextmanager

import pytest

from smbport.platform import ACCESS_READ, ACCESS_WRITE
from smbport.posix.named_attributes import FileContent
from smbport.posix.streams import AttributeStreams
from smbport.posix.volume import PosixVolume, find_features
from smbport.posix.walk import HIDDEN, Root

BOTH = ACCESS_READ | ACCESS_WRITE
ROOM = 100  # bytes of one value where attributes are no files
LONG = b"long" * 100
ENTRY = "one:$DATA"


class Values:
    """Attributes that are files of a directory, and some that are not."""

    max_value = ROOM
    max_name = 60

    def __init__(self, directory):
        self.directory = directory
        self.kept = {}  # what cannot be opened
        self.are_files = True

    def names(self, node):
        return [*os.listdir(self.directory), *self.kept]

    def get(self, node, name):
        path = self.directory / name
        return path.read_bytes() if path.exists() else self.kept.get(name)

    def create(self, node, name, value):
        self.set(node, name, value, replace=False)

    def set(self, node, name, value, *, replace=True):
        if not replace and self.get(node, name) is not None:
            raise FileExistsError(errno.EEXIST, name)
        if self.are_files:
            (self.directory / name).write_bytes(value)
            self.kept.pop(name, None)
        elif len(value) > ROOM:
            raise OSError(errno.ENOSPC, name)
        else:
            self.kept[name] = value

    def remove(self, node, name):
        if self.kept.pop(name, None) is None:
            (self.directory / name).unlink()

    def open(self, node, name):
        return os.open(self.directory / name, os.O_RDWR)

    def rename(self, node, old, new):
        if self.get(node, new) is not None:
            raise FileExistsError(errno.EEXIST, new)
        os.rename(self.directory / old, self.directory / new)


class Streams(AttributeStreams):
    def new_content(self, node, name):
        return FileContent(self._values, node.stat().key, name)


class Bench:
    """A file with streams."""

    def __init__(self, path):
        (path / "attributes").mkdir()
        (path / "volume").mkdir()
        root = Root(str(path / "volume"))
        self.hidden = path / "volume" / HIDDEN
        self.volume = PosixVolume(root, find_features(root), 0o022)
        self.values = Values(path / "attributes")
        self.streams = Streams(self.values)
        self.volume.create("file", BOTH, 0o644, wait=True).close()

    def node(self):
        return self.volume.open("file", BOTH, wait=True)

    @contextmanager
    def opened(self, name="one", *, make=False):
        with closing((self.streams.create if make else self.streams.open)(self.node(), name, wait=True)) as stream:
            yield stream

    def sizes(self):
        with closing(self.node()) as node:
            return {name: size for name, size, _ in self.streams.entries(node, wait=True)}

    def raw(self, entry=ENTRY):
        return (self.values.directory / entry).read_bytes()


@pytest.fixture
def bench(tmp_path):
    bench = Bench(tmp_path)
    yield bench
    bench.volume.close()


def test_what_is_written_is_a_file_with_a_zero_behind(bench):
    with bench.opened(make=True) as stream:
        assert bench.raw() == b"\0"
        assert stream.write_at(0, LONG, wait=True) == len(LONG)
        assert bench.raw() == LONG + b"\0"
        assert stream.write_at(2, b"__", through=True, wait=True) == 2
        assert bench.raw() == LONG[:2] + b"__" + LONG[4:] + b"\0"
        assert stream.write_at(len(LONG) + 3, b"end\0", wait=True) == 4
        assert stream.write_at(0, b"", wait=True) == 0
        assert bench.raw()[len(LONG) :] == b"\0\0\0end\0\0"
        assert stream.read_at(len(LONG), 99, wait=True) == b"\0\0\0end\0"
        assert stream.read_at(9999, 1, wait=True) == b""
        stream.sync(wait=True)
        stream.allocate(10, wait=True)
        assert bench.sizes() == {"one": len(LONG) + 7}
    assert not bench.hidden.exists()


@pytest.mark.parametrize("size", [0, 3, 5, 9])
def test_it_is_cut_and_extended(bench, size):
    with bench.opened(make=True) as stream:
        stream.write_at(0, b"12345", wait=True)
        stream.resize(size, wait=True)
        assert bench.raw() == b"12345"[:size].ljust(size, b"\0") + b"\0"
        assert stream.stat().size == size


def test_data_of_local_programs_need_not_end_with_zero(bench):
    (bench.values.directory / ENTRY).write_bytes(b"plain")
    assert bench.sizes() == {"one": 5}
    with bench.opened() as stream:
        assert stream.read_at(0, 99, wait=True) == b"plain"
        stream.write_at(1, b"LAIN", wait=True)
    assert bench.raw() == b"pLAIN\0"


def test_an_empty_file_is_an_empty_stream(bench):
    (bench.values.directory / ENTRY).touch()
    with bench.opened() as stream:
        assert stream.read_at(0, 9, wait=True) == b""


def test_two_handles_are_of_one_stream(bench):
    with bench.opened(make=True) as one, bench.opened() as other:
        one.write_at(0, LONG, wait=True)
        other.write_at(len(LONG), b"more", wait=True)
        assert one.read_at(0, 999, wait=True) == LONG + b"more"


def test_renaming_keeps_it_open(bench):
    with closing(bench.node()) as node, bench.opened(make=True) as stream:
        stream.write_at(0, b"data", wait=True)
        with bench.opened("two", make=True), pytest.raises(FileExistsError):
            bench.streams.rename(node, "one", "two", wait=True)
        bench.streams.rename(node, "one", "new", wait=True)
        stream.write_at(4, b"!", wait=True)
        assert bench.raw("new:$DATA") == b"data!\0"
        assert bench.sizes() == {"new": 5, "two": 0}
        for name in ("new", "two"):
            bench.streams.remove(node, name, wait=True)
        with pytest.raises(FileNotFoundError):
            bench.streams.remove(node, "new", wait=True)
    assert bench.sizes() == {}


# What was made when attributes were no files ------------------------------------------------------------------------


def test_it_is_read_where_it_is_and_becomes_a_file_when_it_is_written(bench):
    bench.values.kept[ENTRY] = b"old\0"
    assert bench.sizes() == {"one": 3}
    with bench.opened() as stream:
        assert stream.read_at(0, 99, wait=True) == b"old"
        assert bench.values.kept
        stream.resize(2, wait=True)
        assert (bench.values.kept, bench.raw()) == ({}, b"ol\0")
        stream.write_at(2, b"der", wait=True)
    assert bench.raw() == b"older\0"


@pytest.mark.parametrize("grow", ["write", "resize"])
def test_it_becomes_a_file_when_it_gets_too_long(bench, grow):
    bench.values.kept[ENTRY] = b"old\0"
    with bench.opened() as stream:
        if grow == "write":
            stream.write_at(3, LONG, wait=True)
        else:
            stream.resize(3 + len(LONG), wait=True)
        assert bench.sizes() == {"one": 3 + len(LONG)}
    assert bench.raw().startswith(b"old")
    assert not bench.hidden.exists()


def test_it_is_renamed_and_removed(bench):
    bench.values.kept[ENTRY] = b"old\0"
    with closing(bench.node()) as node:
        bench.streams.rename(node, "one", "two", wait=True)
        assert bench.sizes() == {"two": 3}
        bench.values.kept["two:$DATA"] = bench.raw("two:$DATA")
        (bench.values.directory / "two:$DATA").unlink()
        bench.streams.remove(node, "two", wait=True)
    assert bench.sizes() == {}


def test_what_is_in_the_side_store_stays_there(bench):
    bench.values.are_files = False
    with bench.opened(make=True) as stream:
        stream.write_at(0, LONG, wait=True)
    assert bench.hidden.exists()
    bench.values.are_files = True
    (bench.values.directory / ENTRY).write_bytes(bench.values.kept.pop(ENTRY))
    assert bench.sizes() == {"one": len(LONG)}
    with bench.opened() as stream:
        assert stream.read_at(0, 999, wait=True) == LONG
        stream.write_at(0, b"L", wait=True)
        stream.resize(10, wait=True)
    assert bench.raw().startswith(b"smbport-stream:")
    with closing(bench.node()) as node:
        bench.streams.rename(node, "one", "two", wait=True)
        assert bench.sizes() == {"two": 10}
        with bench.opened("two") as stream:
            assert stream.read_at(0, 99, wait=True) == b"L" + LONG[1:10]
        bench.streams.remove(node, "two", wait=True)
    assert bench.sizes() == {}
    assert not bench.hidden.exists()


def test_if_the_system_makes_no_file_of_it_the_side_store_has_it(bench):
    bench.values.are_files = False
    bench.values.kept[ENTRY] = b"old\0"
    bench.values.max_value = 50
    with bench.opened() as stream:
        stream.write_at(3, b"x" * 60, wait=True)
        assert stream.read_at(0, 99, wait=True) == b"old" + b"x" * 60
    assert bench.hidden.exists()
