"""Reparse points: symbolic links, and the special files of POSIX systems.  [MS-FSCC] 2.1.2"""

from typing import ClassVar, Final, NamedTuple

from smbport.wire.record import U16, U32, BadStructure, Buffer, Pad2, Record, field, record
from smbport.wire.text import decode_utf16, encode_utf16

__all__ = [
    "NfsType", "ReparseDataHeader", "ReparseTag", "SymbolicLink", "SymlinkFlag", "SymlinkReparseData",
    "pack_special_file", "pack_symbolic_link", "parse_reparse_data", "parse_special_file", "parse_symbolic_link",
]  # fmt: skip


class ReparseTag:
    """[MS-FSCC] 2.1.2.1"""

    RESERVED_ZERO: Final = 0x00000000
    RESERVED_ONE: Final = 0x00000001
    SYMLINK: Final = 0xA000000C
    NFS: Final = 0x80000014


class NfsType:
    """The kinds of a Network File System reparse point: their names in ASCII, read backwards.  [MS-FSCC] 2.1.2.6"""

    SYMLINK: Final = 0x00000000014B4E4C
    CHARACTER_DEVICE: Final = 0x0000000000524843
    BLOCK_DEVICE: Final = 0x00000000004B4C42
    FIFO: Final = 0x000000004F464946
    SOCKET: Final = 0x000000004B434F53


class SymlinkFlag:
    """[MS-FSCC] 2.1.2.4"""

    RELATIVE: Final = 0x00000001


@record()
class ReparseDataHeader(Record):
    """REPARSE_DATA_BUFFER without its data.  [MS-FSCC] 2.1.2.2"""

    reparse_tag: U32
    reparse_data_length: U16
    reserved: ClassVar[Pad2]


@record()
class SymlinkReparseData(Record):
    """What a Symbolic Link Reparse Data Buffer holds between its header and PathBuffer.  [MS-FSCC] 2.1.2.4"""

    substitute_name_offset: U16
    substitute_name_length: U16
    print_name_offset: U16
    print_name_length: U16
    flags: U32


class SymbolicLink(NamedTuple):
    """Where a link leads, in the client's spelling, and the same to be shown to people."""

    substitute_name: str
    print_name: str
    flags: int


def parse_reparse_data(data: Buffer) -> tuple[int, memoryview]:
    """The tag and its data, which must fill the buffer."""
    header = ReparseDataHeader.unpack_from(data)
    if header.SIZE + header.reparse_data_length != len(data):
        raise BadStructure(f"ReparseDataLength {header.reparse_data_length} in {len(data)} bytes")
    return header.reparse_tag, memoryview(data)[header.SIZE :]


def parse_symbolic_link(data: Buffer) -> SymbolicLink:
    """The data of a reparse point with the tag SYMLINK."""
    fixed = SymlinkReparseData.unpack_from(data)
    paths = memoryview(data)[fixed.SIZE :]
    return SymbolicLink(
        decode_utf16(field(paths, fixed.substitute_name_offset, fixed.substitute_name_length, after=0)),
        decode_utf16(field(paths, fixed.print_name_offset, fixed.print_name_length, after=0)),
        fixed.flags,
    )


def pack_symbolic_link(link: SymbolicLink) -> bytes:
    """A whole reparse point.  The printed name comes first, as Windows has it."""
    substitute, printed = encode_utf16(link.substitute_name), encode_utf16(link.print_name)
    fixed = SymlinkReparseData(
        substitute_name_offset=len(printed),
        substitute_name_length=len(substitute),
        print_name_offset=0,
        print_name_length=len(printed),
        flags=link.flags,
    )
    data = fixed.pack() + printed + substitute
    return ReparseDataHeader(reparse_tag=ReparseTag.SYMLINK, reparse_data_length=len(data)).pack() + data


def pack_special_file(kind: int) -> bytes:
    """A whole reparse point with the tag NFS: a FIFO or a socket, which have no further data.  [MS-FSCC] 2.1.2.6"""
    header = ReparseDataHeader(reparse_tag=ReparseTag.NFS, reparse_data_length=8)
    return header.pack() + kind.to_bytes(8, "little")


def parse_special_file(data: Buffer) -> int:
    """The NfsType in the data of a reparse point with the tag NFS; what devices and links have behind it is left."""
    return int.from_bytes(field(data, 0, 8, after=0), "little")
