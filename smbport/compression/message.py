"""Whole messages, and the data behind their headers.  [MS-SMB2] 3.1.4.4, 3.1.5.3"""

import zlib
from collections.abc import Container, Sequence
from typing import Final

from smbport.compression import ALGORITHMS, compress, decompress
from smbport.wire.compression import (
    Segment,
    chained_head,
    pack_pattern,
    pack_segment,
    parse_pattern,
    split_segments,
    unchained_head,
)
from smbport.wire.constants import CompressionAlgorithm
from smbport.wire.header import HEADER_SIZE
from smbport.wire.record import BadStructure

__all__ = ["SMALLEST", "compress_message", "expand", "squeeze"]

SMALLEST: Final = 4096  # bytes of data that are worth it
RUN: Final = 32  # bytes that are the same at an end of the data and become a pattern; guessed
SAMPLE: Final = 4096
WORTH: Final = 0.9  # of a sample, as zlib leaves it; beyond, nothing is tried: guessed


def expand(message: memoryview, algorithms: Container[int], *, chained: bool, limit: int) -> bytearray:
    """A compressed message as it was, which may have `limit` bytes at most.

    Raises BadStructure, also for algorithms that were not agreed on.
    """
    is_chain, segments = split_segments(message, limit=limit)
    if is_chain and not chained:
        raise BadStructure("a chain, which was not agreed on")
    out = bytearray()
    for algorithm, data, size in segments:
        if algorithm == CompressionAlgorithm.NONE:
            if len(data) != size:
                raise BadStructure(f"{len(data)} bytes that should be {size}")
            out += data
        elif algorithm not in algorithms:
            raise BadStructure(f"compression algorithm {algorithm}, which was not agreed on")
        elif algorithm == CompressionAlgorithm.PATTERN_V1:
            if not is_chain:
                raise BadStructure("a pattern that is not in a chain")
            out += parse_pattern(data, size)
        else:
            out += decompress(algorithm, data, size)
    return out


def compress_message(message: bytes, algorithms: Sequence[int], *, chained: bool) -> bytes:
    """A message with what is behind its header compressed by the first of `algorithms`, or as it is.  For clients."""
    algorithm = next((found for found in algorithms if found in ALGORITHMS), None)
    if algorithm is None:
        return message
    head, data = message[:HEADER_SIZE], message[HEADER_SIZE:]
    patterns = CompressionAlgorithm.PATTERN_V1 in algorithms if chained else None
    packed = squeeze(data, algorithm, patterns=patterns)
    if packed is None:
        return message
    return (chained_head(head, len(data)) if chained else unchained_head(head, algorithm, len(data))) + packed


def squeeze(data: bytes, algorithm: int, *, patterns: bool | None) -> bytes | None:
    """What to send for `data`: payloads of a chain with or without patterns, or unchained with None.

    None if it is not worth it.
    """
    if len(data) < SMALLEST:
        return None
    if patterns is None:
        packed = compress(algorithm, data) if _looks_compressible(data) else data
        return packed if len(packed) < len(data) else None
    segments = _segments(data, algorithm, patterns)
    packed = b"".join(map(pack_segment, segments))
    return packed if len(packed) < len(data) else None


def _segments(data: bytes, algorithm: int, patterns: bool) -> list[Segment]:
    """Runs of one byte in front and at the end, and what is between them."""
    front = _run(data, len(data) - len(data.lstrip(data[:1]))) if patterns else 0
    rest = data[front:]
    back = _run(rest, len(rest) - len(rest.rstrip(rest[-1:]))) if patterns else 0
    middle = rest[: len(rest) - back]
    segments = [Segment(CompressionAlgorithm.PATTERN_V1, pack_pattern(data[0], front), front)] if front else []
    if middle:
        packed = compress(algorithm, middle) if _looks_compressible(middle) else middle
        if len(packed) < len(middle):
            segments.append(Segment(algorithm, packed, len(middle)))
        else:
            segments.append(Segment(CompressionAlgorithm.NONE, middle, len(middle)))
    if back:
        segments.append(Segment(CompressionAlgorithm.PATTERN_V1, pack_pattern(data[-1], back), back))
    return segments


def _run(data: bytes, length: int) -> int:
    return length if data and length >= RUN else 0


def _looks_compressible(data: bytes) -> bool:
    """By a sample from the middle, which takes a thousandth of the time."""
    start = max(len(data) - SAMPLE, 0) // 2
    sample = data[start : start + SAMPLE]
    return len(zlib.compress(sample, 1)) < WORTH * len(sample)
