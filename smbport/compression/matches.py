"""Finding what was there before, and writing it again: common to all algorithms.  [MS-XCA] 2.1.1"""

from collections.abc import Iterator
from typing import Final, NamedTuple

from smbport.wire.record import BadStructure

__all__ = ["Match", "append_match", "find_matches"]

KEY: Final = 4  # bytes that must be the same before it is looked for more; the formats could say three
PATIENCE: Final = 5  # after 2**5 misses every second position is tried, after as many again every third ...
STRIDE: Final = 32  # bytes compared at a time


class Match(NamedTuple):
    """Bytes from `position` on were there before."""

    position: int
    distance: int
    length: int


def find_matches(data: bytes, start: int, end: int, *, farthest: int, longest: int) -> Iterator[Match]:
    """Matches of data[start:end] with what is before them, in order and without overlap; greedy, by the last place."""
    places: dict[bytes, int] = {}
    position, misses, last = start, 0, end - KEY
    while position <= last:
        key = data[position : position + KEY]
        before = places.get(key, -1)
        places[key] = position
        distance = position - before
        if before < 0 or distance > farthest:
            misses += 1
            position += 1 + (misses >> PATIENCE)
            continue
        length = _common(data, before, position, min(end, position + longest))
        yield Match(position, distance, length)
        misses = 0
        position += length
        places[data[position - 1 : position - 1 + KEY]] = position - 1


def _common(data: bytes, before: int, position: int, end: int) -> int:
    """How long both are the same; the first KEY bytes are."""
    length, most = KEY, end - position
    while length + STRIDE <= most:
        if data[before + length : before + length + STRIDE] != data[position + length : position + length + STRIDE]:
            break
        length += STRIDE
    while length < most and data[before + length] == data[position + length]:
        length += 1
    return length


def append_match(out: bytearray, distance: int, length: int, size: int) -> None:
    """Write again what is `distance` bytes before the end of `out`, which may become `size` bytes at most."""
    have = len(out)
    if distance > have or have + length > size:
        raise BadStructure(f"{length} bytes from {distance} back at {have} of {size}")
    start = have - distance
    if distance >= length:
        out += out[start : start + length]
    else:  # it goes on with what it has written itself
        out += (out[start:] * (length // distance + 1))[:length]
