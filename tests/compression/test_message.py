"""Whole compressed messages, both kinds, both ways."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smbport.compression import ALGORITHMS, compress
from smbport.compression.message import SMALLEST, compress_message, expand, squeeze
from smbport.wire.compression import Segment, chained_head, pack_pattern, pack_segment, unchained_head
from smbport.wire.constants import CompressionAlgorithm
from smbport.wire.header import COMPRESSION_MAGIC, HEADER_SIZE
from smbport.wire.record import BadStructure

NONE, LZ77, PATTERN = CompressionAlgorithm.NONE, CompressionAlgorithm.LZ77, CompressionAlgorithm.PATTERN_V1
EVERY = (*ALGORITHMS, PATTERN)
HEAD = b"\xfeSMB" + bytes(range(60))
NOISE = random.Random(1).randbytes(20_000)
LIMIT = 1 << 20


def back(message: bytes, *, chained: bool = True, limit: int = LIMIT, algorithms: tuple[int, ...] = EVERY) -> bytes:
    return bytes(expand(memoryview(message), algorithms, chained=chained, limit=limit))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("chained", [False, True])
@given(
    front=st.integers(0, 5000), back_run=st.integers(0, 5000), middle=st.sampled_from([b"", b"some text " * 900, NOISE])
)
@settings(deadline=None, max_examples=25)
def test_there_and_back(algorithm: int, chained: bool, front: int, back_run: int, middle: bytes):
    message = HEAD + bytes(front) + middle + b"z" * back_run
    packed = compress_message(message, (PATTERN, algorithm), chained=chained)
    if packed != message:
        assert packed[:4] == COMPRESSION_MAGIC
        assert len(packed) < len(message) + 24
        assert back(packed, chained=chained, limit=len(message)) == message
        with pytest.raises(BadStructure):
            back(packed, chained=chained, limit=len(message) - 1)
        with pytest.raises(BadStructure):
            back(packed, algorithms=())


def test_what_is_not_worth_it():
    assert squeeze(bytes(SMALLEST - 1), LZ77, patterns=True) is None
    assert squeeze(bytes(SMALLEST), LZ77, patterns=None) is not None
    for patterns in (None, False, True):
        assert squeeze(NOISE, LZ77, patterns=patterns) is None
    assert compress_message(HEAD + bytes(9999), (PATTERN,), chained=True) == HEAD + bytes(9999)


def test_a_sample_can_deceive():
    """The middle looks as if it were worth it, and nothing else is."""
    data = NOISE[:9000] + bytes(4096) + NOISE[9000:18000]
    assert squeeze(data, LZ77, patterns=True) is None or len(squeeze(data, LZ77, patterns=True) or b"") < len(data)
    only = NOISE[:9000] + b"ab" * 700 + NOISE[9000:18000]
    for patterns in (None, True):
        packed = squeeze(only, LZ77, patterns=patterns)
        assert packed is None or len(packed) < len(only)


def test_patterns_are_found_at_both_ends():
    data = bytes(5000) + NOISE[:100] + b"\xff" * 5000
    packed = squeeze(data, LZ77, patterns=True)
    assert packed is not None
    assert len(packed) == 2 * 16 + 8 + 100
    assert back(chained_head(HEAD, len(data)) + packed) == HEAD + data
    assert squeeze(bytes(9000), LZ77, patterns=True) == pack_segment(Segment(PATTERN, pack_pattern(0, 9000), 9000))


def test_a_chain_needs_an_agreement():
    packed = compress_message(HEAD + bytes(9000), (LZ77,), chained=True)
    assert packed[:4] == COMPRESSION_MAGIC
    with pytest.raises(BadStructure):
        back(packed, chained=False)


def chain(*segments: Segment, size: int) -> bytes:
    return chained_head(HEAD, size) + b"".join(map(pack_segment, segments))


TEXT = b"text " * 2000
PACKED = compress(LZ77, TEXT)

LIES = {
    "a bomb of one pattern": chain(Segment(PATTERN, pack_pattern(0, 0xFFFFFFFF), 0), size=0xFFFFFFFF - 64),
    "patterns that make too much together": chain(*[Segment(PATTERN, pack_pattern(0, LIMIT // 2), 0)] * 3, size=LIMIT),
    "more than the sum": chain(Segment(PATTERN, pack_pattern(0, 100), 0), size=99),
    "less than the sum": chain(Segment(PATTERN, pack_pattern(0, 100), 0), size=101),
    "a size that is not reached": chain(Segment(LZ77, PACKED, 10_001), size=10_001),
    "a size that is passed": chain(Segment(LZ77, PACKED, 9_999), size=9_999),
    "a payload that is too short for its size": chain(Segment(LZ77, b"", 0), size=0)[:-1],
    "a pattern that is too long": chain(Segment(PATTERN, pack_pattern(0, 9) + b"x", 9), size=9),
    "a pattern outside of a chain": unchained_head(HEAD, PATTERN, 9) + pack_pattern(0, 9),
    "nothing outside of a chain, with another size": unchained_head(HEAD, NONE, 9) + b"12345678",
    "an algorithm that nobody knows": unchained_head(HEAD, 77, 9) + b"12345678",
    "a bomb": unchained_head(HEAD, LZ77, 0xFFFFFFFF) + PACKED,
    "an offset behind the end": unchained_head(HEAD, LZ77, 9)[: 16 + HEADER_SIZE - 1],
    "a header that ends": unchained_head(HEAD, LZ77, 9)[:15],
    "an unknown flag": COMPRESSION_MAGIC + bytes([9, 0, 0, 0, 2, 0, 2, 0, 0, 0, 0, 0]) + b"x",
    "another magic": b"\xfeSMB" + bytes(20),
    "a second first payload": chained_head(HEAD, 64) + chained_head(HEAD, 0)[8:],
    "a payload that leaves the message": chained_head(HEAD, 0)[:-1],
    "half a payload header": chained_head(HEAD, 1) + b"1234567",
}


@pytest.mark.parametrize("lie", LIES)
def test_lies(lie: str):
    with pytest.raises(BadStructure):
        back(LIES[lie])


def test_lengths_that_are_true():
    assert back(chain(Segment(LZ77, PACKED, len(TEXT)), size=len(TEXT))) == HEAD + TEXT
    assert back(chain(Segment(NONE, b"123", 3), Segment(PATTERN, pack_pattern(7, 2), 2), size=5)) == HEAD + b"123\7\7"
    assert back(unchained_head(HEAD, NONE, 3) + b"123") == HEAD + b"123"
    assert back(unchained_head(b"", LZ77, len(TEXT)) + PACKED) == TEXT


@given(message=st.binary(max_size=300).map(lambda data: COMPRESSION_MAGIC + data))
@settings(deadline=None)
def test_anything(message: bytes):
    try:
        assert len(back(message, limit=10_000)) <= 10_000
    except BadStructure:
        return
