"""Plain LZ77: 32 flags, then for each a byte or a match.  [MS-XCA] 2.3, 2.4"""

from typing import Final

from smbport.compression.matches import append_match, find_matches
from smbport.wire.record import BadStructure

__all__ = ["compress", "decompress"]

FARTHEST: Final = 1 << 13
LONGEST: Final = 1 << 24  # more than any message
SHORTEST: Final = 3
FLAGS: Final = 32


def compress(data: bytes) -> bytes:
    """[MS-XCA] 2.3"""
    writer = _Writer()
    done = 0
    for position, distance, length in find_matches(data, 0, len(data), farthest=FARTHEST, longest=LONGEST):
        writer.add_literals(data[done:position])
        writer.add_match(distance, length - SHORTEST)
        done = position + length
    writer.add_literals(data[done:])
    return writer.finish()


class _Writer:
    def __init__(self) -> None:
        self._out = bytearray(4)
        self._flags_at = 0
        self._flags = 0
        self._count = 0
        self._nibble_at = 0  # of a byte whose upper half is free

    def _add_flags(self, bits: int, count: int) -> None:
        self._flags = self._flags << count | bits
        self._count += count
        if self._count == FLAGS:
            self._put_flags()
            self._flags_at = len(self._out)
            self._out += bytes(4)
            self._flags = self._count = 0

    def _put_flags(self) -> None:
        self._out[self._flags_at : self._flags_at + 4] = self._flags.to_bytes(4, "little")

    def add_literals(self, data: bytes) -> None:
        done = 0
        while done < len(data):
            count = min(len(data) - done, FLAGS - self._count)
            self._out += data[done : done + count]
            self._add_flags(0, count)
            done += count

    def add_match(self, distance: int, length: int) -> None:
        """`length` is less by SHORTEST."""
        out = self._out
        out += (distance - 1 << 3 | min(length, 7)).to_bytes(2, "little")
        if length >= 7:
            self._add_length(length - 7)
        self._add_flags(1, 1)

    def _add_length(self, length: int) -> None:
        out, nibble = self._out, min(length, 15)
        if self._nibble_at:
            out[self._nibble_at] |= nibble << 4
            self._nibble_at = 0
        else:
            self._nibble_at = len(out)
            out.append(nibble)
        if length < 15:
            return
        out.append(min(length - 15, 255))
        if length - 15 < 255:
            return
        whole = length + 7
        if whole < 1 << 16:
            out += whole.to_bytes(2, "little")
        else:
            out += bytes(2) + whole.to_bytes(4, "little")

    def finish(self) -> bytes:
        """Flags that stand for nothing are set."""
        rest = FLAGS - self._count
        self._flags = self._flags << rest | (1 << rest) - 1
        self._put_flags()
        return bytes(self._out)


def decompress(data: bytes, size: int) -> bytes:
    """[MS-XCA] 2.4"""
    out = bytearray()
    try:
        _Reader(data, size).read(out)
    except IndexError:
        raise BadStructure(f"LZ77 ends after {len(out)} of {size} bytes") from None
    return bytes(out)


class _Reader:
    def __init__(self, data: bytes, size: int) -> None:
        self._data = data
        self._size = size
        self._position = 0
        self._nibble_at = 0

    def _number(self, length: int) -> int:
        position = self._position
        if position + length > len(self._data):
            raise IndexError
        self._position = position + length
        return int.from_bytes(self._data[position : position + length], "little")

    def read(self, out: bytearray) -> None:
        """All of it.  IndexError where the input ends too soon."""
        size = self._size
        while len(out) < size:
            flags, count = self._number(4), FLAGS
            while count and len(out) < size:
                literals = min(count - flags.bit_length(), size - len(out))
                if literals:
                    self._copy(out, literals)
                    count -= literals
                    continue
                count -= 1
                flags &= (1 << count) - 1
                word = self._number(2)
                length = word & 7
                if length == 7:
                    length += self._length()
                append_match(out, (word >> 3) + 1, length + SHORTEST, size)

    def _copy(self, out: bytearray, count: int) -> None:
        position = self._position
        if position + count > len(self._data):
            raise IndexError
        out += self._data[position : position + count]
        self._position = position + count

    def _length(self) -> int:
        """What is beyond the 7 of the match itself."""
        if self._nibble_at:
            length = self._data[self._nibble_at] >> 4
            self._nibble_at = 0
        else:
            self._nibble_at = self._position
            length = self._number(1) & 15
        if length < 15:
            return length
        length = self._number(1)
        if length < 255:
            return length + 15
        whole = self._number(2) or self._number(4)
        if whole < 15 + 7:
            raise BadStructure(f"LZ77 match with a length of {whole}")
        return whole - 7
