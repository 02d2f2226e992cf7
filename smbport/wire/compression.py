"""Compressed messages: headers and segments, chained or not.  [MS-SMB2] 2.2.42"""

from typing import ClassVar, Final, NamedTuple

from smbport.wire.constants import CompressionAlgorithm
from smbport.wire.header import COMPRESSION_MAGIC, CompressionTransformHeader
from smbport.wire.record import U8, U16, U32, BadStructure, Buffer, Pad1, Pad2, Record, field, record

__all__ = [
    "MAX_PAYLOADS", "CompressionFlag", "PatternV1", "PayloadHeader", "Segment", "chained_head", "pack_pattern",
    "pack_segment", "parse_pattern", "split_segments", "unchained_head",
]  # fmt: skip


class CompressionFlag:
    """[MS-SMB2] 2.2.3.1.3, 2.2.42"""

    NONE: Final = 0x0000
    CHAINED: Final = 0x0001


@record()
class ChainedHeader(Record):
    """SMB2 COMPRESSION_TRANSFORM_HEADER_CHAINED; payloads follow.  [MS-SMB2] 2.2.42.2"""

    protocol_id: U32 = int.from_bytes(COMPRESSION_MAGIC, "little")
    original_compressed_segment_size: U32


@record()
class PayloadHeader(Record):
    """SMB2_COMPRESSION_CHAINED_PAYLOAD_HEADER without OriginalPayloadSize.  [MS-SMB2] 2.2.42.2.1"""

    compression_algorithm: U16
    flags: U16
    length: U32


@record()
class PatternV1(Record):
    """SMB2_COMPRESSION_PATTERN_PAYLOAD_V1.  [MS-SMB2] 2.2.42.2.2"""

    pattern: U8
    reserved1: ClassVar[Pad1]
    reserved2: ClassVar[Pad2]
    repetitions: U32


class Segment(NamedTuple):
    """A part of a message: what is sent for it, and how long it is itself."""

    algorithm: int
    data: Buffer
    size: int


MAX_PAYLOADS: Final = 4096  # of a chain, which need 16 bytes on the wire and some 300 here: guessed
_SIZED: Final = (
    CompressionAlgorithm.LZNT1, CompressionAlgorithm.LZ77, CompressionAlgorithm.LZ77_HUFFMAN, CompressionAlgorithm.LZ4,
)  # fmt: skip
"""Algorithms whose payloads begin with OriginalPayloadSize."""


def split_segments(message: memoryview, *, limit: int) -> tuple[bool, list[Segment]]:
    """Whether a compressed message is chained, and its segments in order, which make `limit` bytes at most.

    Raises BadStructure for lengths that contradict each other, leave the message, or promise more.
    """
    header = CompressionTransformHeader.unpack_from(message)
    chained = header.flags == CompressionFlag.CHAINED
    if header.protocol_id != COMPRESSION_MAGIC or not (chained or header.flags == CompressionFlag.NONE):
        raise BadStructure(f"flags 0x{header.flags:04x} of a compressed message")
    size = header.original_compressed_segment_size
    segments = _split_chain(message) if chained else _split_plain(message, header)
    total = sum(segment.size for segment in segments)
    if total > limit or (chained and total != size):
        raise BadStructure(f"a compressed message of {total} bytes, {size} and at most {limit}")
    return chained, segments


def _split_plain(message: memoryview, header: CompressionTransformHeader) -> list[Segment]:
    """[MS-SMB2] 2.2.42.1"""
    head = field(message, header.SIZE, header.offset, after=header.SIZE)
    data = message[header.SIZE + header.offset :]
    return [
        Segment(CompressionAlgorithm.NONE, head, len(head)),
        Segment(header.compression_algorithm, data, header.original_compressed_segment_size),
    ]


def _split_chain(message: memoryview) -> list[Segment]:
    """[MS-SMB2] 2.2.42.2"""
    segments: list[Segment] = []
    position = ChainedHeader.SIZE
    while position < len(message):
        if len(segments) == MAX_PAYLOADS:
            raise BadStructure("a chain of too many payloads")
        header = PayloadHeader.unpack_from(message, position)
        position += header.SIZE
        data = field(message, position, header.length, after=position)
        if header.flags != (CompressionFlag.NONE if segments else CompressionFlag.CHAINED):
            raise BadStructure(f"flags 0x{header.flags:04x} of a payload")
        segments.append(_segment(header.compression_algorithm, data))
        position += header.length
    return segments


def _segment(algorithm: int, data: memoryview) -> Segment:
    if algorithm == CompressionAlgorithm.PATTERN_V1:
        if len(data) != PatternV1.SIZE:
            raise BadStructure(f"pattern of {len(data)} bytes")
        return Segment(algorithm, data, PatternV1.unpack_from(data).repetitions)
    if algorithm in _SIZED:
        return Segment(algorithm, data[4:], int.from_bytes(field(data, 0, 4, after=0), "little"))
    return Segment(algorithm, data, len(data))


def parse_pattern(data: Buffer, size: int) -> bytes:
    """What a segment of PATTERN_V1 stands for."""
    return bytes((PatternV1.unpack_from(data).pattern,)) * size


def pack_pattern(byte: int, size: int) -> bytes:
    """The data of a segment for `size` times the same byte."""
    return PatternV1(pattern=byte, repetitions=size).pack()


def unchained_head(message: Buffer, algorithm: int, size: int) -> bytes:
    """What comes before the compressed data: the header, and `message` up to there, as it is."""
    header = CompressionTransformHeader(
        protocol_id=COMPRESSION_MAGIC,
        original_compressed_segment_size=size,
        compression_algorithm=algorithm,
        flags=CompressionFlag.NONE,
        offset=len(message),
    )
    return header.pack() + message


def chained_head(message: Buffer, size: int) -> bytes:
    """What comes before further payloads, which stand for `size` bytes: the headers, and `message` as it is."""
    whole = ChainedHeader(original_compressed_segment_size=len(message) + size)
    first = PayloadHeader(
        compression_algorithm=CompressionAlgorithm.NONE, flags=CompressionFlag.CHAINED, length=len(message)
    )
    return whole.pack() + first.pack() + message


def pack_segment(segment: Segment) -> bytes:
    """A payload that is not the first."""
    data = segment.data
    if segment.algorithm in _SIZED:
        data = segment.size.to_bytes(4, "little") + data
    header = PayloadHeader(compression_algorithm=segment.algorithm, flags=CompressionFlag.NONE, length=len(data))
    return header.pack() + data
