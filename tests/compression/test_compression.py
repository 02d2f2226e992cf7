"""[MS-XCA]'s algorithms: its own examples, there and back, and what is no compressed data."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smbport.compression import ALGORITHMS, compress, decompress
from smbport.wire.constants import CompressionAlgorithm
from smbport.wire.record import BadStructure

LZNT1, LZ77, HUFFMAN = CompressionAlgorithm.LZNT1, CompressionAlgorithm.LZ77, CompressionAlgorithm.LZ77_HUFFMAN
LETTERS = bytes(range(ord("a"), ord("z") + 1))
TUNE = (
    b"F# F# G A A G F# E D D E F# F# E E F# F# G A A G F# E D D E F# E D D E E F# D E F# G F# D E F# G F# E D E A "
    b"F# F# G A A G F# E D D E F# E D D\0"
)


def huffman(lengths: dict[int, str], codes: str) -> bytes:
    """A block from bytes of its table, by their places, and the codes."""
    table = bytearray(256)
    for place, part in lengths.items():
        table[place : place + len(part) // 2] = bytes.fromhex(part)
    return bytes(table) + bytes.fromhex(codes)


# [MS-XCA] 3.1 to 3.3
EXAMPLES = [
    (LZ77, LETTERS, bytes.fromhex("3f000000") + LETTERS),
    (LZ77, b"abc" * 100, bytes.fromhex("ffffff1f61626317000fff2601")),
    (
        HUFFMAN, LETTERS,
        huffman({48: "50" + "55" * 10 + "454404", 128: "04"}, "d8523ed794115be9195ff9d67cdf8d0400000000"),
    ),
    (HUFFMAN, b"abc" * 100, huffman({48: "3023", 128: "02", 143: "20"}, "a8dc0000ff2601")),
]  # fmt: skip
TUNE_LZNT1 = bytes.fromhex(
    "38b08846232000204720410010a24701a045204400084501507900c045200524138805b4024a44ef0358028c091601484500be009e000401"
    "189000"
)


@pytest.mark.parametrize(("algorithm", "data", "packed"), EXAMPLES)
def test_examples_of_the_specification(algorithm: int, data: bytes, packed: bytes):
    assert decompress(algorithm, packed, len(data)) == data
    assert compress(algorithm, data) == packed


def test_the_example_of_lznt1():
    """It finds matches of three bytes, we do not."""
    assert decompress(LZNT1, TUNE_LZNT1, len(TUNE)) == TUNE
    assert decompress(LZNT1, compress(LZNT1, TUNE), len(TUNE)) == TUNE


def test_a_piece_of_lznt1_that_is_not_compressed():
    assert decompress(LZNT1, bytes.fromhex("0230 616263"), 3) == b"abc"
    assert decompress(LZNT1, bytes.fromhex("0230 616263 0000"), 3) == b"abc"


REPEATING = st.lists(
    st.tuples(st.binary(min_size=1, max_size=40), st.integers(1, 3000)), min_size=1, max_size=8
).map(lambda parts: b"".join(part * count for part, count in parts))  # fmt: skip


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@given(data=st.one_of(st.binary(max_size=3000), REPEATING))
@settings(deadline=None, max_examples=60)
def test_there_and_back(algorithm: int, data: bytes):
    packed = compress(algorithm, data)
    assert decompress(algorithm, packed, len(data)) == data
    for size in (len(data) - 1, len(data) + 1):
        if size >= 0:
            try:
                found = decompress(algorithm, packed, size)
            except BadStructure:
                continue
            assert len(found) == size


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("size", [4095, 4096, 4097, 65535, 65536, 65537, 200_000])
def test_long_ones(algorithm: int, size: int):
    generator = random.Random(size)
    words = [generator.randbytes(generator.randrange(3, 30)) for _ in range(200)]
    data = b"".join(generator.choice(words) for _ in range(size // 3))[:size]
    packed = compress(algorithm, data)
    assert len(packed) < len(data)
    assert decompress(algorithm, packed, size) == data


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("length", [5, 24, 25, 26, 40, 278, 279, 280, 281, 282, 65536 + 30, 150_000])
def test_every_way_to_write_a_length(algorithm: int, length: int):
    data = b"xyzw" + b"a" * length + b"xyzw" + b"b" * length
    assert decompress(algorithm, compress(algorithm, data), len(data)) == data


def test_a_length_in_four_bytes():
    """As the specification has it for LZ77+Huffman too, where nobody needs it."""
    data = b"a" * 70_003
    packed = compress(LZ77, data)
    assert packed.hex() == "ffffff7f" + "61" + "0700" + "0f" + "ff" + "0000" + "6f110100"
    assert decompress(LZ77, packed, len(data)) == data
    block = compress(HUFFMAN, b"a" * 1000)
    at = block.index(b"\xff", 256)
    longer = block[: at + 1] + bytes(2) + (996).to_bytes(4, "little") + block[at + 3 :]
    assert decompress(HUFFMAN, longer, 1000) == decompress(HUFFMAN, block, 1000)


def test_a_code_that_would_be_too_long(monkeypatch: pytest.MonkeyPatch):
    """Counts like Fibonacci's numbers make codes as long as there are symbols, if there are no matches."""
    monkeypatch.setattr("smbport.compression.huffman.find_matches", lambda *_, **__: iter(()))
    counts = [1, 1]
    while len(counts) < 20:
        counts.append(counts[-1] + counts[-2])
    data = b"".join(bytes((symbol,)) * count for symbol, count in enumerate(counts))
    packed = compress(HUFFMAN, data)
    assert len(packed) < len(data) // 2
    assert decompress(HUFFMAN, packed, len(data)) == data


LIES = [
    (LZ77, "", 1),
    (LZ77, "0000", 1),
    (LZ77, "00000000", 1),
    (LZ77, "00000000 61", 2),
    (LZ77, "00000080", 3),  # a match without bytes
    (LZ77, "00000080 0000", 3),  # before the beginning
    (LZ77, "00000040 61 0800", 9),  # likewise
    (LZ77, "00000040 61 0700", 99),  # without the rest of its length
    (LZ77, "00000040 61 0700 0f", 99),
    (LZ77, "00000040 61 0700 0f ff 0100", 99),  # a long length that is short
    (LZ77, "00000040 61 0700 0f ff 0000 01000000", 99),
    (LZ77, "00000040 61 0700 0f ff 0000 ffffffff", 99),  # more than there may be
    (LZ77, "00000040 61 0700 0f ff ffff", 99),
    (LZNT1, "", 1),
    (LZNT1, "00", 1),
    (LZNT1, "0000", 1),
    (LZNT1, "0230 6162", 3),
    (LZNT1, "0230 616263", 2),
    (LZNT1, "0230 616263 0230 646566", 6),  # a short piece that is not the last
    (LZNT1, "00b0 00", 1),
    (LZNT1, "02b0 01 0000", 3),  # a match with nothing before it
    (LZNT1, "02b0 02 61 00", 9),  # half a match
    (LZNT1, "03b0 02 61 0010", 9),  # before the beginning
    (LZNT1, "03b0 02 61 ff0f", 9),  # more than there may be
    (LZNT1, "03b0 00 616263", 2),
    (HUFFMAN, "", 1),
    (HUFFMAN, "11" * 255, 1),
    (HUFFMAN, "00" * 256, 1),
    (HUFFMAN, "11" * 256 + "00000000", 1),  # a code with too many symbols
    (HUFFMAN, "01" + "00" * 255 + "00000000", 1),  # and one with half of them
    (HUFFMAN, "11" + "00" * 255, 1),
    (HUFFMAN, "11" + "00" * 255 + "0000", 99),
    (HUFFMAN, "01" + "00" * 127 + "01" + "00" * 127 + "00800000", 3),  # a match with nothing before it
    (CompressionAlgorithm.LZ4, "00", 1),
    (CompressionAlgorithm.PATTERN_V1, "61000000 01000000", 1),
    (99, "", 0),
]


@pytest.mark.parametrize(("algorithm", "data", "size"), LIES)
def test_lies(algorithm: int, data: str, size: int):
    with pytest.raises(BadStructure):
        decompress(algorithm, bytes.fromhex(data), size)


def test_long_lengths_of_huffman_that_are_short():
    block = compress(HUFFMAN, b"a" * 1000)
    at = block.index(b"\xff", 256)
    for bad in (b"\x01\x00", bytes(2) + b"\x01\0\0\0", bytes(2) + b"\xff\xff\xff\xff"):
        with pytest.raises(BadStructure):
            decompress(HUFFMAN, block[: at + 1] + bad + block[at + 3 :], 1000)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@given(data=st.binary(max_size=400), size=st.integers(0, 5000))
@settings(deadline=None)
def test_anything(algorithm: int, data: bytes, size: int):
    """It is refused, or it has the size that was promised."""
    try:
        assert len(decompress(algorithm, data, size)) == size
    except BadStructure:
        return


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@given(position=st.integers(0, 10_000), byte=st.integers(0, 255))
@settings(deadline=None, max_examples=60)
def test_changed_ones(algorithm: int, position: int, byte: int):
    data = TUNE * 20
    packed = bytearray(compress(algorithm, data))
    packed[position % len(packed)] ^= byte
    try:
        assert len(decompress(algorithm, bytes(packed), len(data))) == len(data)
    except BadStructure:
        return
