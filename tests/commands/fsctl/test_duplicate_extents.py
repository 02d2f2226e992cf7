"""Sharing blocks: what can be shared, and what Windows says of the rest."""

import errno
from collections.abc import Callable
from typing import Any

import pytest

from smbport.state.settings import ShareSettings
from smbport.wire.constants import Access, Command, FsControl
from smbport.wire.fsctl import DuplicateExtentsData, DuplicateExtentsDataEx
from smbport.wire.header import Header

SHARE, SHARE_EX = FsControl.DUPLICATE_EXTENTS_TO_FILE, FsControl.DUPLICATE_EXTENTS_TO_FILE_EX
BLOCK = 4096
DATA = bytes(range(256)) * 64  # four blocks
BLANK = bytes(len(DATA))


@pytest.fixture
def source(wire: Any, peer: Any) -> Any:
    wire.make("source", DATA)
    return peer.open("source")


@pytest.fixture
def target(wire: Any, peer: Any) -> Any:
    wire.make("target", BLANK)
    return peer.open("target")


def share(peer: Any, source: Any, target: Any, start: int, to: int, count: int, *, code: int = SHARE) -> str:
    fields = {
        "source_persistent": source.persistent, "source_volatile": source.volatile, "source_file_offset": start,
        "target_file_offset": to, "byte_count": count,
    }  # fmt: skip
    data = (DuplicateExtentsData if code == SHARE else DuplicateExtentsDataEx)(**fields).pack()
    status, output = peer.fsctl(code, data, file=target)
    assert output == b""
    return str(status)


@pytest.mark.parametrize("code", [SHARE, SHARE_EX])
def test_blocks(wire: Any, peer: Any, source: Any, target: Any, code: int) -> None:
    assert share(peer, source, target, BLOCK, 2 * BLOCK, BLOCK, code=code) == "SUCCESS"
    assert wire.content("target") == BLANK[: 2 * BLOCK] + DATA[BLOCK : 2 * BLOCK] + BLANK[3 * BLOCK :]
    assert wire.faults.counts["Clone.reflink"] == 1
    assert wire.faults.counts["Clone.copy"] == wire.faults.counts["File.write_at"] == 0


def test_flags(peer: Any, source: Any, target: Any) -> None:
    fields = {
        "source_persistent": source.persistent, "source_volatile": source.volatile, "source_file_offset": 0,
        "target_file_offset": 0, "byte_count": BLOCK,
    }  # fmt: skip
    for flags, expected in ((1, "SUCCESS"), (2, "INVALID_PARAMETER")):
        data = DuplicateExtentsDataEx(flags=flags, **fields).pack()
        assert peer.fsctl(SHARE_EX, data, file=target)[0] == expected
    assert peer.fsctl(SHARE, data[:39], file=target)[0] == "INVALID_PARAMETER"


def test_nothing_is_a_success(wire: Any, peer: Any, source: Any, target: Any) -> None:
    assert share(peer, source, target, 0, 0, 0) == "SUCCESS"
    assert wire.faults.counts["Clone.reflink"] == 0


@pytest.mark.parametrize("name", ["source", "target"])
def test_one_is_compressed(wire: Any, peer: Any, source: Any, target: Any, name: str) -> None:
    compressed = {"source": source, "target": target}[name]
    assert peer.fsctl(FsControl.SET_COMPRESSION, b"\1\0", file=compressed)[0] == "SUCCESS"
    assert share(peer, source, target, 0, 0, 4 * BLOCK) == "SUCCESS"
    assert wire.content("target") == DATA
    assert (wire.stat("source").compressed, wire.stat("target").compressed) == (name == "source", name == "target")


def test_the_target_does_not_grow(wire: Any, peer: Any, source: Any, target: Any) -> None:
    assert share(peer, source, target, 0, 3 * BLOCK, 2 * BLOCK) == "SUCCESS"
    assert wire.content("target") == BLANK[: 3 * BLOCK] + DATA[:BLOCK]
    assert share(peer, source, target, 0, 5 * BLOCK, BLOCK) == "INVALID_PARAMETER"


@pytest.mark.parametrize(
    ("start", "to", "count", "status"),
    [
        (3 * BLOCK, 0, 2 * BLOCK, "NOT_SUPPORTED"),  # behind the end of the source
        (1, 0, BLOCK, "NOT_SUPPORTED"),
        (0, 1, BLOCK, "NOT_SUPPORTED"),
        (0, 0, 100, "NOT_SUPPORTED"),
        (-BLOCK, 0, BLOCK, "INVALID_PARAMETER"),
        (0, -BLOCK, BLOCK, "INVALID_PARAMETER"),
        (0, 0, -BLOCK, "INVALID_PARAMETER"),
    ],
)
def test_what_cannot_be_shared(
    wire: Any, peer: Any, source: Any, target: Any, start: int, to: int, count: int, status: str
) -> None:
    assert share(peer, source, target, start, to, count) == status
    assert wire.content("target") == BLANK


def test_within_one_file(wire: Any, peer: Any, source: Any) -> None:
    assert share(peer, source, source, 0, 2 * BLOCK, 2 * BLOCK) == "SUCCESS"
    assert share(peer, source, source, 0, BLOCK, 2 * BLOCK) == "NOT_SUPPORTED"
    assert wire.content("source") == DATA[: 2 * BLOCK] * 2


@pytest.mark.parametrize(("of_source", "of_target"), [(True, True), (True, False), (False, True)])
def test_sparse_files(peer: Any, source: Any, target: Any, of_source: bool, of_target: bool) -> None:
    """A file that is not sparse gets no holes."""
    for file, sparse in ((source, of_source), (target, of_target)):
        peer.fsctl(FsControl.SET_SPARSE, bytes([sparse]), file=file)
    expected = "NOT_SUPPORTED" if of_source and not of_target else "SUCCESS"
    assert share(peer, source, target, 0, 0, BLOCK) == expected


def test_sources_that_are_none(wire: Any, peer: Any, source: Any, target: Any) -> None:
    wire.make_directory("d")
    closed, other = peer.open("source"), wire.connect()
    peer.close(closed)
    foreign = other.open("source")
    for bad in (closed, foreign, peer.open("d")):
        assert share(peer, bad, target, 0, 0, BLOCK) == "INVALID_HANDLE"
    assert share(peer, peer.open("source", Access.READ_ATTRIBUTES), target, 0, 0, BLOCK) == "ACCESS_DENIED"
    assert share(peer, source, peer.open("target", Access.READ_DATA), 0, 0, BLOCK) == "ACCESS_DENIED"


def test_a_source_on_another_volume(new_wire: Callable[..., Any]) -> None:
    wire = new_wire(shares=tuple(ShareSettings(name=name, path=name, run_as="server") for name in ("s", "t")))
    peer = wire.connect()
    source = peer.make("f")
    peer.write(source, 0, DATA)
    peer.tree = peer.tree_connect("t")
    target = peer.make("g")
    peer.write(target, 0, BLANK)
    assert share(peer, source, target, 0, 0, BLOCK) == "INVALID_HANDLE"


def test_a_platform_that_shares_nothing(new_wire: Callable[..., Any]) -> None:
    wire = new_wire()
    wire.memory.clone = None
    wire.make("f", DATA)
    peer = wire.connect()
    file = peer.open("f")
    assert share(peer, file, file, 0, BLOCK, BLOCK) == "INVALID_DEVICE_REQUEST"


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (errno.EOPNOTSUPP, "NOT_SUPPORTED"),
        (errno.EXDEV, "NOT_SUPPORTED"),
        (errno.ENOSPC, "DISK_FULL"),
        (errno.EIO, "UNEXPECTED_IO_ERROR"),
    ],
)
def test_what_the_system_says(wire: Any, peer: Any, source: Any, target: Any, code: int, status: str) -> None:
    wire.faults.fail("Clone.reflink", code)
    assert share(peer, source, target, 0, 0, BLOCK) == status
    [opened] = [o for o in next(iter(wire.server.sessions.values())).opens.values() if o.path == "source"]
    assert opened.pins == 0


def test_who_has_read_it_hears_of_it(wire: Any, peer: Any, source: Any, target: Any) -> None:
    reader = wire.connect(dialect=0x0210)
    assert reader.try_create("target", Access.GENERIC_READ, requested_oplock_level=1)[0] == "SUCCESS"
    assert share(peer, source, target, 0, 0, BLOCK) == "SUCCESS"
    [frame] = reader.connection.resume()
    assert Header.unpack_from(frame).command == Command.OPLOCK_BREAK
