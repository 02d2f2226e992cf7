"""The compression of SMB 3.1.1: [MS-XCA]'s three algorithms, LZ4, and the pattern scan of [MS-SMB2] 2.2.42.2.2.

All but LZ4 is pure Python, so it is slow: long runs are copied by slices, but single letters cost a turn of a loop.
Whatever is decompressed says before how long it will be, and nothing beyond that is made.
"""

from collections.abc import Callable
from typing import Final

from smbport.compression import huffman, lz4_block, lz77, lznt1
from smbport.wire.constants import CompressionAlgorithm
from smbport.wire.record import BadStructure, Buffer

__all__ = ["ALGORITHMS", "compress", "decompress"]

_CODECS: Final[dict[int, tuple[Callable[[bytes], bytes], Callable[[bytes, int], bytes]]]] = {
    CompressionAlgorithm.LZNT1: (lznt1.compress, lznt1.decompress),
    CompressionAlgorithm.LZ77: (lz77.compress, lz77.decompress),
    CompressionAlgorithm.LZ77_HUFFMAN: (huffman.compress, huffman.decompress),
}
if lz4_block.IS_HERE:
    _CODECS[CompressionAlgorithm.LZ4] = (lz4_block.compress, lz4_block.decompress)

ALGORITHMS: Final = tuple(_CODECS)
"""What data can be compressed by; patterns are not among them."""


def compress(algorithm: int, data: bytes) -> bytes:
    """`algorithm` is one of ALGORITHMS.  What comes out may be longer than `data`."""
    return _CODECS[algorithm][0](data)


def decompress(algorithm: int, data: Buffer, size: int) -> bytes:
    """Exactly `size` bytes.  Raises BadStructure for what does not yield them, or is by another algorithm."""
    codec = _CODECS.get(algorithm)
    if codec is None:
        raise BadStructure(f"compression algorithm {algorithm}")
    return codec[1](bytes(data), size)
