"""Blocks of LZ4, by the package lz4 where it is installed (`pip install smbport[lz4]`).  [MS-SMB2] 3.1.4.4"""

from importlib.util import find_spec

from smbport.wire.record import BadStructure

__all__ = ["IS_HERE", "compress", "decompress"]

IS_HERE: bool = find_spec("lz4") is not None

if IS_HERE:
    import lz4.block


def compress(data: bytes) -> bytes:
    """A block without the size in front that the package would put there."""
    return bytes(lz4.block.compress(data, store_size=False))


def decompress(data: bytes, size: int) -> bytes:
    """Exactly `size` bytes.  Raises BadStructure for what does not yield them."""
    try:
        plain = bytes(lz4.block.decompress(data, uncompressed_size=size))
    except lz4.block.LZ4BlockError as error:
        raise BadStructure(str(error)) from None
    if len(plain) != size:
        raise BadStructure(f"{len(plain)} bytes that should be {size}")
    return plain
