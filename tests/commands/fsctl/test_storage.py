"""Compression and checksums: none, and no pretence."""

from typing import Any

import pytest

from smbport.wire.constants import Access, FsControl
from smbport.wire.fsctl import IntegrityInformation

GET, SET = FsControl.GET_COMPRESSION, FsControl.SET_COMPRESSION
GET_INTEGRITY, SET_INTEGRITY = FsControl.GET_INTEGRITY_INFORMATION, FsControl.SET_INTEGRITY_INFORMATION


@pytest.fixture(params=["f", "d"])
def opened(request: pytest.FixtureRequest, wire: Any, peer: Any) -> Any:
    """A file, a directory."""
    wire.make("f")
    wire.make_directory("d")
    return peer.open(request.param)


def test_nothing_is_compressed(peer: Any, opened: Any) -> None:
    assert peer.fsctl(GET, file=opened) == ("SUCCESS", b"\0\0")
    assert peer.fsctl(GET, file=opened, room=1)[0] == "0xC00000E8"


@pytest.mark.parametrize(
    ("data", "status"),
    [(b"\0\0", "SUCCESS"), (b"\1\0", "NOT_SUPPORTED"), (b"\2\0", "NOT_SUPPORTED"), (b"\0", "INVALID_PARAMETER")],
)
def test_nor_will_be(peer: Any, opened: Any, data: bytes, status: str) -> None:
    assert peer.fsctl(SET, data, file=opened) == (status, b"")


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
