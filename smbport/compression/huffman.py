"""LZ77+Huffman: blocks of 64 KiB, each with a code of its own for bytes and for what matches begin with.

[MS-XCA] 2.1, 2.2.  A code has 512 symbols: 256 bytes, then 16 lengths for each of 16 magnitudes of the distance.
Bits stand in 16-bit words, upper bits first; the bytes of long lengths stand between the words, where the reader, who
is always two words ahead, has come to.
"""

import heapq
from typing import Final

from smbport.compression.matches import append_match, find_matches
from smbport.wire.record import BadStructure

__all__ = ["compress", "decompress"]

BLOCK: Final = 1 << 16
SYMBOLS: Final = 512
TABLE: Final = SYMBOLS // 2  # bytes, of two lengths each
LONGEST_CODE: Final = 15
END: Final = 256
SHORTEST: Final = 3
FARTHEST: Final = (1 << 16) - 1

Token = tuple[int, int, int, int]  # symbol, what follows it in bits: how many and which, and the length in bytes


# Compressing ----------------------------------------------------------------------------------------------------


def compress(data: bytes) -> bytes:
    """[MS-XCA] 2.1"""
    out = bytearray()
    for start in range(0, max(len(data), 1), BLOCK):
        end = min(start + BLOCK, len(data))
        tokens = _tokens(data, start, end)
        if end == len(data):
            tokens.append((END, 0, 0, 0))
        _write_block(out, tokens)
    return bytes(out)


def _tokens(data: bytes, start: int, end: int) -> list[Token]:
    tokens: list[Token] = []
    done = start
    for position, distance, length in find_matches(data, start, end, farthest=FARTHEST, longest=BLOCK):
        tokens += [(byte, 0, 0, 0) for byte in data[done:position]]
        bits, rest = distance.bit_length() - 1, length - SHORTEST
        tokens.append((END | bits << 4 | min(rest, 15), bits, distance - (1 << bits), rest))
        done = position + length
    tokens += [(byte, 0, 0, 0) for byte in data[done:end]]
    return tokens


def _write_block(out: bytearray, tokens: list[Token]) -> None:
    counts = [0] * SYMBOLS
    for symbol, _, _, _ in tokens:
        counts[symbol] += 1
    lengths = _code_lengths(counts)
    codes = _codes(lengths)
    out += bytes(low | high << 4 for low, high in zip(lengths[::2], lengths[1::2], strict=True))
    writer = _BitWriter(out)
    for symbol, count, bits, length in tokens:
        writer.add(codes[symbol], lengths[symbol])
        if symbol > END and symbol & 15 == 15:
            _add_length(out, length - 15)
        if count:
            writer.add(bits, count)
    writer.finish()


def _add_length(out: bytearray, length: int) -> None:
    """What is beyond the 15 of the symbol."""
    if length < 255:
        out.append(length)
    else:
        out.append(255)
        out += (length + 15).to_bytes(2, "little")


def _code_lengths(counts: list[int]) -> list[int]:
    """Of a full code in which none is longer than LONGEST_CODE: rare symbols count more until that is so."""
    while True:
        lengths = _huffman(counts)
        if max(lengths) <= LONGEST_CODE:
            return lengths
        counts = [count + 1 >> 1 for count in counts]


def _huffman(counts: list[int]) -> list[int]:
    heap: list[tuple[int, int, tuple[int, ...]]] = [
        (count, symbol, (symbol,)) for symbol, count in enumerate(counts) if count
    ]
    if len(heap) == 1:  # a code must be full, so another symbol gets the other half
        other = 0 if heap[0][1] else 1
        heap.append((0, other, (other,)))
    lengths = [0] * SYMBOLS
    heapq.heapify(heap)
    while len(heap) > 1:
        one, _, left = heapq.heappop(heap)
        two, order, right = heapq.heappop(heap)
        for symbol in left + right:
            lengths[symbol] += 1
        heapq.heappush(heap, (one + two, order, left + right))
    return lengths


def _codes(lengths: list[int]) -> list[int]:
    """Codes in order of length, then of symbol."""
    codes = [0] * SYMBOLS
    code = previous = 0
    for length, symbol in sorted((length, symbol) for symbol, length in enumerate(lengths) if length):
        code <<= length - previous
        codes[symbol] = code
        code += 1
        previous = length
    return codes


class _BitWriter:
    """Keeps two words free ahead of itself."""

    def __init__(self, out: bytearray) -> None:
        self._out = out
        self._places = [len(out), len(out) + 2]
        self._bits = 0
        self._count = 0
        out += bytes(4)

    def add(self, bits: int, count: int) -> None:
        self._bits = self._bits << count | bits
        self._count += count
        if self._count > 16:  # with 16 the word is full, but the reader has not moved on yet
            self._count -= 16
            self._put(self._bits >> self._count)
            self._bits &= (1 << self._count) - 1
            self._places.append(len(self._out))
            self._out += bytes(2)

    def _put(self, word: int) -> None:
        place = self._places.pop(0)
        self._out[place : place + 2] = word.to_bytes(2, "little")

    def finish(self) -> None:
        self._put(self._bits << 16 - self._count)


# Decompressing --------------------------------------------------------------------------------------------------


def decompress(data: bytes, size: int) -> bytes:
    """[MS-XCA] 2.2"""
    out = bytearray()
    position = 0
    while len(out) < size:
        table = _decoding_table(data[position : position + TABLE])
        end = min(len(out) + BLOCK, size)
        try:
            reader = _BitReader(data, position + TABLE)
            reader.read_block(table, out, end, size)
        except IndexError:
            raise BadStructure(f"LZ77+Huffman ends after {len(out)} of {size} bytes") from None
        position = reader.position
    return bytes(out)


def _decoding_table(packed: bytes) -> list[int]:
    """For every 15 bits the symbol that they begin with, shifted by 4, and its length."""
    if len(packed) < TABLE:
        raise BadStructure("LZ77+Huffman without a whole table")
    lengths = [half for byte in packed for half in (byte & 15, byte >> 4)]
    table: list[int] = []
    for length, symbol in sorted((length, symbol) for symbol, length in enumerate(lengths) if length):
        table += [symbol << 4 | length] * (1 << LONGEST_CODE - length)
        if len(table) > 1 << LONGEST_CODE:
            break
    if len(table) != 1 << LONGEST_CODE:
        raise BadStructure("LZ77+Huffman with a code that is not full")
    return table


class _BitReader:
    """Has the next 32 bits, of which the lower `_extra` and 16 more are surely there."""

    def __init__(self, data: bytes, position: int) -> None:
        self._data = data
        self.position = position
        self._bits = self._number(2) << 16 | self._number(2)
        self._extra = 16

    def _number(self, length: int) -> int:
        position = self.position
        if position + length > len(self._data):
            raise IndexError
        self.position = position + length
        return int.from_bytes(self._data[position : position + length], "little")

    def read_block(self, table: list[int], out: bytearray, end: int, size: int) -> None:
        """Until `out` has `end` bytes, or a match has led beyond.  IndexError where the input ends too soon."""
        data, append = self._data, out.append
        bits, extra = self._bits, self._extra
        have = len(out)
        while have < end:
            entry = table[bits >> 17]
            length = entry & 15
            bits = bits << length & 0xFFFFFFFF
            extra -= length
            if extra < 0:
                position = self.position
                bits |= (data[position] | data[position + 1] << 8) << -extra
                extra += 16
                self.position = position + 2
            symbol = entry >> 4
            if symbol < 256:
                append(symbol)
                have += 1
                continue
            count, run = symbol >> 4 & 15, symbol & 15
            if run == 15:
                run += self._length()
            distance = 1 << count | bits >> 32 - count
            bits = bits << count & 0xFFFFFFFF
            extra -= count
            if extra < 0:
                bits |= self._number(2) << -extra
                extra += 16
            append_match(out, distance, run + SHORTEST, size)
            have += run + SHORTEST

    def _length(self) -> int:
        """What is beyond the 15 of the symbol."""
        length = self._number(1)
        if length < 255:
            return length
        whole = self._number(2) or self._number(4)
        if whole < 15:
            raise BadStructure(f"LZ77+Huffman match with a length of {whole}")
        return whole - 15
