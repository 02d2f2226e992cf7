"""UTF-16 names and FILETIME.  [MS-DTYP] 2.3.3, [MS-SMB2] 2.2 (all strings are UTF-16LE without a terminator)"""

from codecs import utf_16_le_decode, utf_16_le_encode  # a codec found by its name costs an interpreted call more
from typing import Final

from smbport.wire.record import BadStructure, Buffer

__all__ = ["FILETIME_EPOCH", "decode_utf16", "encode_utf16", "filetime_from_ns", "ns_from_filetime"]

FILETIME_EPOCH: Final = 116444736000000000  # 1970-01-01 in units of 100 ns since 1601-01-01


def decode_utf16(data: Buffer) -> str:
    """A name from the wire.  Raises BadStructure on an odd length, UnicodeDecodeError on a lone surrogate."""
    if len(data) % 2:
        raise BadStructure(f"UTF-16 of {len(data)} bytes")
    return utf_16_le_decode(data, "strict", True)[0]


def encode_utf16(text: str) -> bytes:
    """A name for the wire.  A lone surrogate is our bug: names from disk are mapped first (state/names.py)."""
    return utf_16_le_encode(text)[0]


def filetime_from_ns(ns: int) -> int:
    """Nanoseconds since 1970 as FILETIME, never negative."""
    filetime = ns // 100 + FILETIME_EPOCH
    return filetime if filetime > 0 else 0


def ns_from_filetime(filetime: int) -> int:
    """FILETIME as nanoseconds since 1970; negative before 1970."""
    return (filetime - FILETIME_EPOCH) * 100
