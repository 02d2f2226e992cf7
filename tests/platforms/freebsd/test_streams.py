"""T2: named streams in FreeBSD's attributes, where they are values and where they can be opened."""

import errno
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from smbport.platform import ACCESS_NONE, ACCESS_READ, ACCESS_WRITE
from smbport.posix import marks
from smbport.posix.walk import HIDDEN
from smbport_freebsd.calls import EXTATTR_NAMESPACE_USER, O_NAMEDATTR, O_RDWR, Calls
from smbport_freebsd.platform import FreeBSDPlatform
from smbport_freebsd.volume import FreeBSDVolume

BOTH = ACCESS_READ | ACCESS_WRITE
ATTRIBUTE = b"DosStream.one:$DATA"  # as Samba's vfs_streams_xattr has it
LONG = b"long" * 20_000


class Bench:
    """A file with streams, and its attributes as other programs find them."""

    def __init__(self, platform: FreeBSDPlatform, share: Path) -> None:
        self.platform = platform
        assert platform.streams is not None
        self.streams = platform.streams
        self.volume = platform.open_volume(str(share))
        self.volume.create("file", BOTH, 0o644, wait=True).close()
        self.hidden = share / HIDDEN

    def node(self, access: int = BOTH):
        return self.volume.open("file", access, wait=True)

    @contextmanager
    def opened(self, *, make: bool = False):
        method = self.streams.create if make else self.streams.open
        with closing(method(self.node(), "one", wait=True)) as stream:
            yield stream

    def sizes(self, access: int = BOTH) -> dict[str, int]:
        with closing(self.node(access)) as node:
            return {name: size for name, size, _ in self.streams.entries(node, wait=True)}

    def value(self) -> bytes | None:
        with closing(self.node()) as node:
            return self.platform.calls.get_attribute(node.fileno(), EXTATTR_NAMESPACE_USER, ATTRIBUTE)

    def set_value(self, value: bytes) -> None:
        with closing(self.node()) as node:
            self.platform.calls.set_attribute(node.fileno(), EXTATTR_NAMESPACE_USER, ATTRIBUTE, value)


@pytest.fixture
def bench(platform: FreeBSDPlatform, share: Path) -> Iterator[Bench]:
    bench = Bench(platform, share)
    yield bench
    bench.volume.close()


@pytest.fixture
def named(newest: FreeBSDPlatform, share: Path, tmp_path: Path) -> Iterator[Bench]:
    """On FreeBSD 15 and ZFS with xattr=dir."""
    (tmp_path / "named").mkdir()
    with newest.calls.naming_attributes(tmp_path / "named"):
        bench = Bench(newest, share)
        yield bench
        bench.volume.close()


@pytest.fixture(params=["values", "files"])
def either(newest: FreeBSDPlatform, share: Path, request: pytest.FixtureRequest) -> Iterator[Bench]:
    if request.param == "files":
        yield request.getfixturevalue("named")
        return
    bench = Bench(newest, share)
    yield bench
    bench.volume.close()


def test_volumes_say_that_there_are_streams(platform: FreeBSDPlatform, bench: Bench, monkeypatch, share: Path):
    assert bench.volume.features.streams

    def unsupported(self: Calls, fd: int, namespace: int, name: bytes) -> bytes | None:
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    monkeypatch.setattr(Calls, "get_attribute", unsupported)
    with closing(platform.open_volume(str(share))) as volume:
        assert not volume.features.streams


def test_attributes_are_opened_where_that_can_be(bench: Bench, share: Path):
    assert isinstance(bench.volume, FreeBSDVolume)
    assert not bench.volume.names_attributes


def test_what_we_write_samba_reads(either: Bench):
    with either.opened(make=True) as stream:
        assert either.value() == b"\0"
        stream.write_at(0, b"data", wait=True)
    assert either.value() == b"data\0"


@pytest.mark.parametrize("data", [b"", b"data", b"\0\0"])
def test_what_samba_writes_we_read(either: Bench, data: bytes):
    either.set_value(data + b"\0")
    assert either.sizes() == either.sizes(ACCESS_NONE) == {"one": len(data)}
    with either.opened() as stream:
        assert stream.read_at(0, 99, wait=True) == data


def test_what_is_too_long_for_a_value_is_in_the_side_store(bench: Bench):
    with bench.opened(make=True) as stream:
        stream.write_at(0, LONG, wait=True)
    assert bench.hidden.is_dir()
    assert bench.sizes() == {"one": len(LONG)}
    found = bench.volume.stat("file", wait=True)
    bench.volume.remove("file", found.key, wait=True)
    assert not bench.hidden.exists()


def test_what_can_be_opened_is_never_too_long(named: Bench):
    with named.opened(make=True) as stream:
        stream.write_at(0, LONG, wait=True)
        stream.write_at(4, b"LONG", wait=True)
    assert named.sizes() == {"one": len(LONG)}
    assert named.value() == LONG[:4] + b"LONG" + LONG[8:] + b"\0"
    assert not named.hidden.exists()


def test_what_went_to_the_side_store_before_is_found(newest: FreeBSDPlatform, share: Path, tmp_path: Path):
    bench = Bench(newest, share)
    with bench.opened(make=True) as stream:
        stream.write_at(0, LONG, wait=True)
    value = bench.value()
    bench.volume.close()
    (share / "file").rename(share / "kept")
    (tmp_path / "named").mkdir()
    assert value is not None
    with newest.calls.naming_attributes(tmp_path / "named"):
        other = Bench(newest, share)
        (share / "file").unlink()
        (share / "kept").rename(share / "file")  # the same inode
        other.set_value(value)
        with other.opened() as stream:
            assert stream.read_at(0, 1 << 20, wait=True) == LONG
        other.volume.close()


def test_what_one_may_only_read_opens_so(named: Bench, monkeypatch):
    named.set_value(b"data\0")
    real = Calls.open_at

    def read_only(self: Calls, directory: int, path: bytes, flags: int, mode: int = 0) -> int:
        if flags & O_NAMEDATTR and flags & O_RDWR:
            raise OSError(errno.EROFS, "Read-only file system")
        return real(self, directory, path, flags, mode)

    monkeypatch.setattr(Calls, "open_at", read_only)
    with named.opened() as stream:
        assert stream.read_at(0, 99, wait=True) == b"data"
        with pytest.raises(OSError, match="descriptor"):
            stream.write_at(0, b"x", wait=True)


def test_a_disk_that_is_full_is_no_secret(named: Bench):
    """ZFS forgets the error, and tells only how much it took."""
    with named.platform.calls.splitting(3), pytest.raises(OSError, match="space"):
        named.set_value(b"data\0")


@pytest.mark.parametrize("broken", [errno.EIO, errno.EMFILE])
def test_errors_come_out(named: Bench, monkeypatch, broken: int):
    named.set_value(b"data\0")
    real = Calls.open_at

    def failing(self: Calls, directory: int, path: bytes, flags: int, mode: int = 0) -> int:
        if flags & O_NAMEDATTR:
            raise OSError(broken, os.strerror(broken))
        return real(self, directory, path, flags, mode)

    monkeypatch.setattr(Calls, "open_at", failing)
    with pytest.raises(OSError, match=os.strerror(broken)), named.opened():
        pass


def test_streams_are_no_attributes(either: Bench):
    with either.opened(make=True), closing(either.node()) as node:
        assert either.platform.attributes is not None
        assert either.platform.attributes.names(node, wait=True) == []


def test_marks_are_read_anew(named: Bench, monkeypatch):
    """There, setting an attribute does not move the time of change; flags do, so none changes here."""
    monkeypatch.setattr(marks, "SETTLED_NS", -1 << 62)
    with closing(named.node()) as one, closing(named.node()) as other:
        one.set_marks(0x20, None, wait=True)
        assert other.stat().dos_attributes == 0x20
        one.set_marks(0x21, None, wait=True)
        assert other.stat().dos_attributes == 0x21
