"""Compression, where there is any, and checksums: none, and no pretence."""

import errno
from typing import Any

import pytest

from smbport.wire.change import CompletionFilter
from smbport.wire.constants import Access, CreateDisposition, FileAttribute, FileInfo, FsControl
from smbport.wire.fscc import FileBasicInformation
from smbport.wire.fsctl import IntegrityInformation

GET, SET = FsControl.GET_COMPRESSION, FsControl.SET_COMPRESSION
GET_INTEGRITY, SET_INTEGRITY = FsControl.GET_INTEGRITY_INFORMATION, FsControl.SET_INTEGRITY_INFORMATION


@pytest.fixture(params=["f", "d"])
def opened(request: pytest.FixtureRequest, wire: Any, peer: Any) -> Any:
    """A file, a directory."""
    wire.make("f")
    wire.make_directory("d")
    return peer.open(request.param)


# Compression ------------------------------------------------------------------------------------------------------


def attributes(peer: Any, opened: Any) -> int:
    return int(FileBasicInformation.unpack_from(peer.query_info(opened, FileInfo.BASIC)).file_attributes)


@pytest.mark.parametrize("wanted", [b"\1\0", b"\2\0"])
def test_compression_there_and_back(peer: Any, opened: Any, wanted: bytes) -> None:
    before = attributes(peer, opened)
    assert peer.fsctl(GET, file=opened) == ("SUCCESS", b"\0\0")
    assert peer.fsctl(SET, wanted, file=opened) == ("SUCCESS", b"")
    assert peer.fsctl(GET, file=opened) == ("SUCCESS", b"\2\0")
    plain = before & ~FileAttribute.NORMAL
    assert attributes(peer, opened) == plain | FileAttribute.COMPRESSED
    assert peer.fsctl(SET, b"\0\0", file=opened) == ("SUCCESS", b"")
    assert (peer.fsctl(GET, file=opened), attributes(peer, opened)) == (("SUCCESS", b"\0\0"), before)


def test_what_there_is_no_room_for(peer: Any, opened: Any) -> None:
    assert peer.fsctl(GET, file=opened, room=1)[0] == "0xC00000E8"


@pytest.mark.parametrize("data", [b"\x42\0", b"\3\0", b"\1\1", b"\1", b""])
def test_what_is_no_compression(wire: Any, peer: Any, opened: Any, data: bytes) -> None:
    assert peer.fsctl(SET, data, file=opened) == ("INVALID_PARAMETER", b"")
    assert wire.faults.counts["Compression.set"] == 0


def test_what_is_so_already_is_left_alone(wire: Any, peer: Any, opened: Any) -> None:
    for data, calls in ((b"\0\0", 0), (b"\1\0", 1), (b"\2\0", 1), (b"\0\0", 2)):
        assert peer.fsctl(SET, data, file=opened)[0] == "SUCCESS"
        assert wire.faults.counts["Compression.set"] == calls


@pytest.mark.parametrize(
    ("data", "status"),
    [(b"\0\0", "SUCCESS"), (b"\1\0", "NOT_SUPPORTED"), (b"\2\0", "NOT_SUPPORTED"), (b"\3\0", "INVALID_PARAMETER")],
)
def test_where_nothing_is_compressed(wire: Any, peer: Any, opened: Any, data: bytes, status: str) -> None:
    wire.memory.compression = None
    assert peer.fsctl(SET, data, file=opened) == (status, b"")
    assert peer.fsctl(GET, file=opened) == ("SUCCESS", b"\0\0")


def test_a_file_that_cannot_be_compressed(wire: Any, peer: Any, opened: Any) -> None:
    wire.faults.fail("Compression.set", errno.EOPNOTSUPP)
    assert peer.fsctl(SET, b"\1\0", file=opened)[0] == "NOT_SUPPORTED"
    wire.faults.force_threads("Compression.set")
    assert peer.fsctl(SET, b"\1\0", file=opened)[0] == "SUCCESS"


def test_a_stream_is_not_compressed_with_its_file(peer: Any, opened: Any) -> None:
    assert peer.fsctl(SET, b"\1\0", file=opened)[0] == "SUCCESS"
    for name in ("f:stream", "d:stream"):
        stream = peer.open(name, disposition=CreateDisposition.OPEN_IF)
        assert peer.fsctl(GET, file=stream) == ("SUCCESS", b"\0\0")
        assert peer.fsctl(SET, b"\1\0", file=stream)[0] == "NOT_SUPPORTED"
        assert peer.fsctl(SET, b"\0\0", file=stream)[0] == "SUCCESS"
    assert peer.fsctl(GET, file=opened) == ("SUCCESS", b"\2\0")


class Listener:
    def __init__(self) -> None:
        self.heard: list[int] = []

    def changed(self, action: int, name: str, what: int, by: object) -> None:
        self.heard.append(what)


def test_who_watches_hears_of_it(wire: Any, peer: Any, opened: Any) -> None:
    listener = Listener()
    wire.server.find_share("s").changes.add("", listener, tree=False)
    for data in (b"\1\0", b"\2\0", b"\0\0"):
        assert peer.fsctl(SET, data, file=opened)[0] == "SUCCESS"
    assert listener.heard == [CompletionFilter.ATTRIBUTES] * 2


# Checksums --------------------------------------------------------------------------------------------------------


def test_no_checksums(peer: Any, opened: Any) -> None:
    status, output = peer.fsctl(GET_INTEGRITY, file=opened)
    assert status == "SUCCESS"
    assert IntegrityInformation.unpack_from(output) == IntegrityInformation(
        checksum_algorithm=0, checksum_chunk_size_in_bytes=4096, cluster_size_in_bytes=4096
    )
    assert peer.fsctl(GET_INTEGRITY, file=opened, room=15)[0] == "INVALID_PARAMETER"


@pytest.mark.parametrize(
    ("algorithm", "status"), [(0, "SUCCESS"), (0xFFFF, "SUCCESS"), (1, "NOT_SUPPORTED"), (2, "NOT_SUPPORTED")]
)
def test_nor_any_to_be_had(peer: Any, opened: Any, algorithm: int, status: str) -> None:
    data = algorithm.to_bytes(2, "little") + bytes(6)
    assert peer.fsctl(SET_INTEGRITY, data, file=opened) == (status, b"")
    assert peer.fsctl(SET_INTEGRITY, data[:7], file=opened)[0] == "INVALID_PARAMETER"


def test_rights(wire: Any, peer: Any) -> None:
    wire.make("f")
    file = peer.open("f", Access.READ_DATA)
    for code in (SET, SET_INTEGRITY):
        assert peer.fsctl(code, bytes(8), file=file)[0] == "ACCESS_DENIED"
