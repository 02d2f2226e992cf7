"""Headers of compressed messages."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smbport.wire.compression import (
    MAX_PAYLOADS,
    Segment,
    chained_head,
    pack_pattern,
    pack_segment,
    parse_pattern,
    split_segments,
    unchained_head,
)
from smbport.wire.constants import CompressionAlgorithm
from smbport.wire.record import BadStructure

NONE, LZ77, LZNT1 = CompressionAlgorithm.NONE, CompressionAlgorithm.LZ77, CompressionAlgorithm.LZNT1
PATTERN = CompressionAlgorithm.PATTERN_V1

UNCHAINED = bytes.fromhex("fc534d42 00100000 0200 0000 04000000 68656164 7061636b6564")
CHAINED = bytes.fromhex(
    "fc534d42 0d000000"  # 13 bytes in all
    "0000 0100 04000000 68656164"
    "0400 0000 08000000 61 00 0000 05000000"
    "0200 0000 07000000 04000000 787878"
)


def split(message: bytes, limit: int = 1 << 20) -> tuple[bool, list[Segment]]:
    chained, segments = split_segments(memoryview(message), limit=limit)
    return chained, [segment._replace(data=bytes(segment.data)) for segment in segments]


def test_unchained():
    assert unchained_head(b"head", LZ77, 4096) + b"packed" == UNCHAINED
    assert split(UNCHAINED) == (False, [Segment(NONE, b"head", 4), Segment(LZ77, b"packed", 4096)])
    assert split(UNCHAINED, 4100)
    with pytest.raises(BadStructure):
        split(UNCHAINED, 4099)


def test_chained():
    pattern, packed = Segment(PATTERN, pack_pattern(97, 5), 5), Segment(LZ77, b"xxx", 4)
    assert chained_head(b"head", 9) + pack_segment(pattern) + pack_segment(packed) == CHAINED
    assert split(CHAINED) == (True, [Segment(NONE, b"head", 4), pattern, packed])
    assert parse_pattern(pattern.data, 5) == b"aaaaa"
    with pytest.raises(BadStructure):
        split(CHAINED, 12)


@given(st.data())
def test_every_cut_is_noticed(data: st.DataObject):
    """But those that leave whole payloads, whose sum is then too small."""
    with pytest.raises(BadStructure):
        split(CHAINED[: data.draw(st.integers(0, len(CHAINED) - 1))])
    with pytest.raises(BadStructure):
        split(UNCHAINED[: data.draw(st.integers(0, 19))])


@pytest.mark.parametrize(
    "message",
    [
        UNCHAINED.replace(b"\xfc", b"\xfd", 1),
        UNCHAINED[:10] + b"\x02\x00" + UNCHAINED[12:],
        CHAINED[:22] + b"\x01" + CHAINED[23:],
        CHAINED[:4] + b"\x0e" + CHAINED[5:],
        bytes.fromhex("fc534d42 04000000 0100 0100 03000000 040000 00"),
        bytes.fromhex("fc534d42 05000000 0400 0100 07000000 61 00 0000 050000 00"),
    ],
)
def test_lies(message: bytes):
    with pytest.raises(BadStructure):
        split(message)


def test_no_room_is_no_size():
    header = bytes.fromhex("fc534d42 00000000 0100 0100 04000000 00000000")
    assert split(header) == (True, [Segment(LZNT1, b"", 0)])


def test_many_payloads_but_not_any_number():
    payload = pack_segment(Segment(PATTERN, pack_pattern(97, 1), 1))
    most = MAX_PAYLOADS - 1  # one is the head
    assert len(split(chained_head(b"head", most) + most * payload)[1]) == MAX_PAYLOADS
    with pytest.raises(BadStructure, match="too many"):
        split(chained_head(b"head", most + 1) + (most + 1) * payload)
