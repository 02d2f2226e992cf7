"""LZNT1: pieces of 4 KiB, each for itself.  [MS-XCA] 2.5"""

from typing import Final

from smbport.compression.matches import append_match, find_matches
from smbport.wire.record import BadStructure

__all__ = ["compress", "decompress"]

PIECE: Final = 4096
SHORTEST: Final = 3
COMPRESSED: Final = 0xB000
PLAIN: Final = 0x3000


def _length_bits(position: int) -> int:
    """Of the 16 bits of a match; the others are for its distance, and more the more there can be."""
    return 16 - max((position - 1).bit_length(), 4)


def compress(data: bytes) -> bytes:
    """[MS-XCA] 2.5.1"""
    out = bytearray()
    for start in range(0, len(data), PIECE):
        piece = data[start : start + PIECE]
        packed = _compress_piece(piece)
        header = COMPRESSED if len(packed) < len(piece) else PLAIN
        content = packed if header == COMPRESSED else piece
        out += (header | len(content) - 1).to_bytes(2, "little")
        out += content
    return bytes(out)


def _compress_piece(piece: bytes) -> bytes:
    items: list[bytes] = []
    flags: list[int] = []
    done = 0
    for position, distance, length in find_matches(piece, 0, len(piece), farthest=PIECE, longest=PIECE):
        items += [piece[i : i + 1] for i in range(done, position)]
        flags += [0] * (position - done)
        done = position
        while length >= SHORTEST:  # a match can be too long for the bits that it has here
            bits = _length_bits(done)
            part = min(length, (1 << bits) - 1 + SHORTEST)
            items.append((distance - 1 << bits | part - SHORTEST).to_bytes(2, "little"))
            flags.append(1)
            done += part
            length -= part
    items += [piece[i : i + 1] for i in range(done, len(piece))]
    flags += [0] * (len(piece) - done)
    out = bytearray()
    for first in range(0, len(items), 8):
        out.append(sum(flag << bit for bit, flag in enumerate(flags[first : first + 8])))
        out += b"".join(items[first : first + 8])
    return bytes(out)


def decompress(data: bytes, size: int) -> bytes:
    """[MS-XCA] 2.5.2"""
    out = bytearray()
    position = 0
    while len(out) < size:
        header = int.from_bytes(data[position : position + 2], "little")
        length = (header & 0xFFF) + 1
        piece = data[position + 2 : position + 2 + length]
        if not header or len(piece) < length:
            raise BadStructure(f"LZNT1 ends after {len(out)} of {size} bytes")
        position += 2 + length
        if not header & 0x8000:
            if len(out) + length > size:
                raise BadStructure(f"LZNT1 with more than {size} bytes")
            out += piece
        else:
            _decompress_piece(piece, out, size)
        if len(out) < size and len(out) % PIECE:
            raise BadStructure(f"LZNT1 with a piece that ends at {len(out)}")
    return bytes(out)


def _decompress_piece(piece: bytes, out: bytearray, size: int) -> None:
    start, position, end = len(out), 0, len(piece)
    size = min(size, start + PIECE)
    while position < end:
        flags = piece[position]
        position += 1
        for bit in range(8):
            if position >= end:
                return
            if not flags >> bit & 1:
                if len(out) >= size:
                    raise BadStructure("LZNT1 with a piece that is too long")
                out.append(piece[position])
                position += 1
                continue
            if position + 2 > end or len(out) == start:
                raise BadStructure("LZNT1 with half a match, or one with nothing")
            bits = _length_bits(len(out) - start)
            word = piece[position] | piece[position + 1] << 8
            position += 2
            distance = (word >> bits) + 1
            if distance > len(out) - start:
                raise BadStructure(f"LZNT1 with a match {distance} back in a piece")
            append_match(out, distance, (word & (1 << bits) - 1) + SHORTEST, size)
