"""The POSIX extensions of 3.1.1: information level 100 of files, listings and volumes.  [SMB3-POSIX] 2.2

The document is a draft; where it leaves room, this is what cifs.ko and Samba send.
"""

from codecs import utf_16_le_encode
from typing import ClassVar, Final, NamedTuple

from smbport.wire.constants import FileInfo
from smbport.wire.fscc_directory import DirectoryPacker
from smbport.wire.record import U32, U64, Buffer, Pad4, Record, field, record, split_chain
from smbport.wire.security import Sid
from smbport.wire.text import decode_utf16

__all__ = [
    "ENTRY_FIXED_SIZE", "NO_COUNT", "FileFsPosixInformation", "FilePosixInformation", "PosixDirectoryPacker",
    "PosixEntry", "PosixType", "pack_posix_information", "parse_posix_entries", "parse_posix_information",
]  # fmt: skip

NO_COUNT: Final = 0xFFFFFFFFFFFFFFFF  # "not known" in FileFsPosixInformation


class PosixType:
    """The type of a file, in the bits of a mode above the permissions.  They are not those of any stat()."""

    FILE: Final = 0 << 12
    DIRECTORY: Final = 1 << 12
    SYMLINK: Final = 2 << 12
    CHARACTER_DEVICE: Final = 3 << 12
    BLOCK_DEVICE: Final = 4 << 12
    FIFO: Final = 5 << 12
    SOCKET: Final = 6 << 12
    MASK: Final = 7 << 12


@record()
class FilePosixInformation(Record):
    """FILE_POSIX_INFORMATION; the SIDs of owner and group follow.  [SMB3-POSIX] 2.2.1.1"""

    creation_time: U64
    last_access_time: U64
    last_write_time: U64
    change_time: U64
    end_of_file: U64
    allocation_size: U64
    file_attributes: U32
    inode: U64
    device: U32
    reserved: ClassVar[Pad4]
    number_of_links: U32
    reparse_tag: U32
    mode: U32


@record()
class FileFsPosixInformation(Record):
    """FILE_FS_POSIX_INFORMATION; what is not known is NO_COUNT.  [SMB3-POSIX] 2.2.2"""

    optimal_transfer_size: U32
    block_size: U32
    total_blocks: U64
    blocks_available: U64
    user_blocks_available: U64
    total_file_nodes: U64
    free_file_nodes: U64
    file_system_identifier: U64


class PosixEntry(NamedTuple):
    """One file, as listings and QUERY_INFO show it."""

    name: str  # "" in QUERY_INFO
    information: FilePosixInformation
    owner: Sid
    group: Sid


ENTRY_FIXED_SIZE: Final = 8 + FilePosixInformation.SIZE + 2 * Sid.MIN_SIZE + 4
"""Bytes of an entry of a listing with the shortest SIDs and without its name."""


def pack_posix_information(information: FilePosixInformation, owner: Sid, group: Sid) -> bytes:
    """Level 100 of QUERY_INFO.  [SMB3-POSIX] 2.2.1.1"""
    return information.pack() + owner.pack() + group.pack()


def parse_posix_information(buffer: Buffer) -> PosixEntry:
    """The reverse of `pack_posix_information`."""
    return _parse(memoryview(buffer))[0]


def _parse(data: memoryview) -> tuple[PosixEntry, int]:
    """And where it ends."""
    information = FilePosixInformation.unpack_from(data)
    owner = Sid.parse(data, information.SIZE)
    group = Sid.parse(data, information.SIZE + owner.size)
    return PosixEntry("", information, owner, group), information.SIZE + owner.size + group.size


class PosixDirectoryPacker(DirectoryPacker):
    """Level 100 of QUERY_DIRECTORY: NextEntryOffset, FileIndex, the information, FileNameLength, FileName."""

    __slots__ = ()

    def __init__(self, output_length: int) -> None:
        super().__init__(FileInfo.NAMES, output_length)

    def add_posix(self, name: str, information: bytes) -> bool:
        """Append an entry; False if it does not fit, then nothing has changed."""
        encoded, _ = utf_16_le_encode(name)
        start = self._next
        end = start + 8 + len(information) + 4 + len(encoded)
        if end > self._output_length:
            return False
        following = end + 7 & ~7
        head = (following - start).to_bytes(4, "little") + bytes(4)
        length = len(encoded).to_bytes(4, "little")
        self._entries.append(b"".join((head, information, length, encoded, bytes(following - end))))
        self._end = end
        self._next = following
        return True


def parse_posix_entries(buffer: Buffer) -> list[PosixEntry]:
    """The reverse of `PosixDirectoryPacker`, for clients."""
    return [_parse_entry(entry) for entry in split_chain(buffer, alignment=8)]


def _parse_entry(entry: memoryview) -> PosixEntry:
    data = field(entry, 8, len(entry) - 8, after=8)
    parsed, end = _parse(data)
    length = int.from_bytes(field(data, end, 4, after=end), "little")
    return parsed._replace(name=decode_utf16(field(data, end + 4, length, after=end)))
