"""File information classes, in both directions.  [MS-FSCC] 2.4, numbered as in the revision of 2025-11-21

Each class is a record.  Where a name follows the fixed part, `pack_with_name` and `parse_with_name` join and split
the two.  A set buffer may be longer than its record, as with Windows; a shorter one is BadStructure.  A name with
half a surrogate pair is UnicodeDecodeError, as in text.py.

Lists of variable entries are in fscc_entries.py, directory listings in fscc_directory.py, volumes in fscc_volume.py.
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Final, Self, TypeVar

from smbport.wire.constants import FileInfo
from smbport.wire.record import (
    I64,
    U8,
    U16,
    U32,
    U64,
    Buffer,
    Bytes16,
    Guid,
    Pad2,
    Pad3,
    Pad4,
    Record,
    field,
    record,
)
from smbport.wire.text import decode_utf16, encode_utf16

__all__ = [
    "MINIMUM_OUTPUT_LENGTH", "DispositionFlag", "FileAccessInformation", "FileAlignmentInformation",
    "FileAllInformation", "FileAllocationInformation", "FileAttributeTagInformation", "FileBasicInformation",
    "FileCompressionInformation", "FileDispositionInformation", "FileDispositionInformationEx", "FileEaInformation",
    "FileEndOfFileInformation", "FileIdInformation", "FileInternalInformation", "FileLinkInformation",
    "FileModeInformation", "FileNameInformation", "FileNetworkOpenInformation", "FileObjectIdInformation",
    "FilePipeInformation", "FilePipeLocalInformation", "FilePipeRemoteInformation", "FilePositionInformation",
    "FileRenameInformation", "FileRenameInformationEx", "FileStandardInformation", "FileStandardLinkInformation",
    "FileStatInformation", "FileValidDataLengthInformation", "NamedPipe", "RenameFlag", "SetTime", "pack_name",
    "pack_with_name", "parse_name", "parse_with_name",
]  # fmt: skip

Pad7 = Annotated[None, "7x"]

R = TypeVar("R", bound=Record)

MINIMUM_OUTPUT_LENGTH: Final = {
    FileInfo.BASIC: 40,
    FileInfo.STANDARD: 24,
    FileInfo.INTERNAL: 8,
    FileInfo.EA: 4,
    FileInfo.ACCESS: 4,
    FileInfo.NAME: 8,
    FileInfo.POSITION: 8,
    FileInfo.MODE: 4,
    FileInfo.ALIGNMENT: 4,
    FileInfo.ALL: 104,
    FileInfo.ALTERNATE_NAME: 8,
    FileInfo.STREAM: 32,
    FileInfo.PIPE: 8,
    FileInfo.PIPE_LOCAL: 40,
    FileInfo.PIPE_REMOTE: 16,
    FileInfo.COMPRESSION: 16,
    FileInfo.OBJECT_ID: 72,
    FileInfo.NETWORK_OPEN: 56,
    FileInfo.ATTRIBUTE_TAG: 8,
    FileInfo.HARD_LINK: 32,
    FileInfo.NORMALIZED_NAME: 8,
    FileInfo.STANDARD_LINK: 12,
    FileInfo.ID: 24,
    FileInfo.STAT: 72,
}
"""The shortest output buffer a query may offer: `sizeof` the structure in Windows' headers, the first characters of
a name and padding included.  Below it Windows answers INFO_LENGTH_MISMATCH, between it and the whole answer
BUFFER_OVERFLOW.  Each value up to ATTRIBUTE_TAG is what the smb2.getinfo tests of smbtorture expect."""


class SetTime:
    """Times in FileBasicInformation that are none.  [MS-FSCC] 2.4.7"""

    UNCHANGED: Final = 0
    FREEZE: Final = 0xFFFFFFFFFFFFFFFF  # -1: operations on this open no longer change this time
    THAW: Final = 0xFFFFFFFFFFFFFFFE  # -2: they do again


class DispositionFlag:
    """[MS-FSCC] 2.4.12"""

    DELETE: Final = 0x00000001
    POSIX_SEMANTICS: Final = 0x00000002
    FORCE_IMAGE_SECTION_CHECK: Final = 0x00000004
    ON_CLOSE: Final = 0x00000008
    IGNORE_READONLY_ATTRIBUTE: Final = 0x00000010


class RenameFlag:
    """[MS-FSCC] 2.4.43"""

    REPLACE_IF_EXISTS: Final = 0x00000001
    POSIX_SEMANTICS: Final = 0x00000002
    SUPPRESS_PIN_STATE_INHERITANCE: Final = 0x00000004
    SUPPRESS_STORAGE_RESERVE_INHERITANCE: Final = 0x00000008
    NO_INCREASE_AVAILABLE_SPACE: Final = 0x00000010
    NO_DECREASE_AVAILABLE_SPACE: Final = 0x00000020
    IGNORE_READONLY_ATTRIBUTE: Final = 0x00000040


class NamedPipe:
    """Values of the fields of FilePipeInformation and FilePipeLocalInformation.  [MS-FSCC] 2.4.37, 2.4.38"""

    BYTE_STREAM: Final = 0  # read_mode, named_pipe_type
    MESSAGE: Final = 1
    QUEUE_OPERATION: Final = 0  # completion_mode
    COMPLETE_OPERATION: Final = 1
    INBOUND: Final = 0  # named_pipe_configuration
    OUTBOUND: Final = 1
    FULL_DUPLEX: Final = 2
    DISCONNECTED: Final = 1  # named_pipe_state
    LISTENING: Final = 2
    CONNECTED: Final = 3
    CLOSING: Final = 4
    CLIENT_END: Final = 0  # named_pipe_end
    SERVER_END: Final = 1


@record()
class FileAccessInformation(Record):
    """FILE_ACCESS_INFORMATION.  [MS-FSCC] 2.4.1"""

    access_flags: U32


@record()
class FileAlignmentInformation(Record):
    """FILE_ALIGNMENT_INFORMATION, the requirement less one: 0 is any byte.  [MS-FSCC] 2.4.3"""

    alignment_requirement: U32


@record()
class FileAllocationInformation(Record):
    """FILE_ALLOCATION_INFORMATION, set only; negative is invalid.  [MS-FSCC] 2.4.4"""

    allocation_size: I64


@record()
class FileAttributeTagInformation(Record):
    """FILE_ATTRIBUTE_TAG_INFORMATION.  [MS-FSCC] 2.4.6"""

    file_attributes: U32
    reparse_tag: U32


@record()
class FileBasicInformation(Record):
    """FILE_BASIC_INFORMATION; when set, times as in SetTime and file_attributes 0 for "as it is".  [MS-FSCC] 2.4.7"""

    creation_time: U64
    last_access_time: U64
    last_write_time: U64
    change_time: U64
    file_attributes: U32
    reserved: ClassVar[Pad4]


@record()
class FileCompressionInformation(Record):
    """FILE_COMPRESSION_INFORMATION.  [MS-FSCC] 2.4.9"""

    compressed_file_size: U64
    compression_format: U16
    compression_unit_shift: U8
    chunk_shift: U8
    cluster_shift: U8
    reserved: ClassVar[Pad3]


@record()
class FileDispositionInformation(Record):
    """FILE_DISPOSITION_INFORMATION, set only.  [MS-FSCC] 2.4.11"""

    delete_pending: U8


@record()
class FileDispositionInformationEx(Record):
    """FILE_DISPOSITION_INFORMATION_EX, set only; flags as in DispositionFlag.  [MS-FSCC] 2.4.12"""

    flags: U32


@record()
class FileEaInformation(Record):
    """FILE_EA_INFORMATION.  [MS-FSCC] 2.4.13"""

    ea_size: U32


@record()
class FileEndOfFileInformation(Record):
    """FILE_END_OF_FILE_INFORMATION, set only; negative is invalid.  [MS-FSCC] 2.4.14"""

    end_of_file: I64


@record()
class FileIdInformation(Record):
    """FILE_ID_INFORMATION.  [MS-FSCC] 2.4.26"""

    volume_serial_number: U64
    file_id: Bytes16


@record()
class FileInternalInformation(Record):
    """FILE_INTERNAL_INFORMATION.  [MS-FSCC] 2.4.27"""

    index_number: U64


@record()
class FileLinkInformation(Record):
    """FILE_LINK_INFORMATION_TYPE_2, set only; the new name follows.  [MS-FSCC] 2.4.28.2"""

    replace_if_exists: U8
    reserved: ClassVar[Pad7]
    root_directory: U64  # must be 0 over the network


@record()
class FileModeInformation(Record):
    """FILE_MODE_INFORMATION, bits of CreateOption.  [MS-FSCC] 2.4.31"""

    mode: U32


@record()
class FileNameInformation(Record):
    """FILE_NAME_INFORMATION, also of alternate, normalized and short names.  [MS-FSCC] 2.1.7, 2.4.5, .32, .35, .46"""

    file_name_length: U32


@record()
class FileNetworkOpenInformation(Record):
    """FILE_NETWORK_OPEN_INFORMATION.  [MS-FSCC] 2.4.34"""

    creation_time: U64
    last_access_time: U64
    last_write_time: U64
    change_time: U64
    allocation_size: U64
    end_of_file: U64
    file_attributes: U32
    reserved: ClassVar[Pad4]


@record()
class FileObjectIdInformation(Record):
    """FILE_OBJECTID_INFORMATION_TYPE_1.  [MS-FSCC] 2.4.36.1"""

    file_reference_number: U64
    object_id: Guid
    birth_volume_id: Guid
    birth_object_id: Guid
    domain_id: Guid


@record()
class FilePipeInformation(Record):
    """FILE_PIPE_INFORMATION.  [MS-FSCC] 2.4.37"""

    read_mode: U32
    completion_mode: U32


@record()
class FilePipeLocalInformation(Record):
    """FILE_PIPE_LOCAL_INFORMATION.  [MS-FSCC] 2.4.38"""

    named_pipe_type: U32
    named_pipe_configuration: U32
    maximum_instances: U32
    current_instances: U32
    inbound_quota: U32
    read_data_available: U32
    outbound_quota: U32
    write_quota_available: U32
    named_pipe_state: U32
    named_pipe_end: U32


@record()
class FilePipeRemoteInformation(Record):
    """FILE_PIPE_REMOTE_INFORMATION.  [MS-FSCC] 2.4.39"""

    collect_data_time: U64
    maximum_collection_count: U32


@record()
class FilePositionInformation(Record):
    """FILE_POSITION_INFORMATION; negative is invalid.  [MS-FSCC] 2.4.40"""

    current_byte_offset: I64


@record()
class FileRenameInformation(Record):
    """FILE_RENAME_INFORMATION_TYPE_2, set only; the new name follows.  [MS-FSCC] 2.4.42.2"""

    replace_if_exists: U8
    reserved: ClassVar[Pad7]
    root_directory: U64  # must be 0 over the network


@record()
class FileRenameInformationEx(Record):
    """FILE_RENAME_INFORMATION_EX, set only; flags as in RenameFlag, the new name follows.  [MS-FSCC] 2.4.43"""

    flags: U32
    reserved: ClassVar[Pad4]
    root_directory: U64  # must be 0 over the network


@record()
class FileStandardInformation(Record):
    """FILE_STANDARD_INFORMATION.  [MS-FSCC] 2.4.47"""

    allocation_size: U64
    end_of_file: U64
    number_of_links: U32
    delete_pending: U8
    directory: U8
    reserved: ClassVar[Pad2]


@record()
class FileStandardLinkInformation(Record):
    """FILE_STANDARD_LINK_INFORMATION.  [MS-FSCC] 2.4.48"""

    number_of_accessible_links: U32
    total_number_of_links: U32
    delete_pending: U8
    directory: U8
    reserved: ClassVar[Pad2]


@record()
class FileStatInformation(Record):
    """FILE_STAT_INFORMATION of Windows' ntifs.h; [MS-FSCC] 2.4 leaves it out."""

    file_id: U64
    creation_time: U64
    last_access_time: U64
    last_write_time: U64
    change_time: U64
    allocation_size: U64
    end_of_file: U64
    file_attributes: U32
    reparse_tag: U32
    number_of_links: U32
    effective_access: U32


@record()
class FileValidDataLengthInformation(Record):
    """FILE_VALID_DATA_LENGTH_INFORMATION, set only; negative is invalid.  [MS-FSCC] 2.4.50"""

    valid_data_length: I64


def pack_name(name: str) -> bytes:
    """The length in bytes, and the name.  [MS-FSCC] 2.1.7"""
    encoded = encode_utf16(name)
    return len(encoded).to_bytes(4, "little") + encoded


def parse_name(buffer: Buffer, offset: int = 0) -> str:
    """The reverse of `pack_name` at `offset`, which must be behind all that was parsed before."""
    length = FileNameInformation.unpack_from(buffer, offset).file_name_length
    start = offset + FileNameInformation.SIZE
    return decode_utf16(field(buffer, start, length, after=start))


def pack_with_name(fixed: Record, name: str) -> bytes:
    """A record with a name behind it: rename, link, volume attributes."""
    return fixed.pack() + pack_name(name)


def parse_with_name(kind: type[R], buffer: Buffer) -> tuple[R, str]:
    """A whole buffer as a record and the name behind it.  Raises BadStructure when short or lying."""
    return kind.unpack_from(buffer), parse_name(buffer, kind.SIZE)


@dataclass(slots=True, kw_only=True)
class FileAllInformation:
    """FILE_ALL_INFORMATION: eight classes one behind the other, then the name.  [MS-FSCC] 2.4.2"""

    basic: FileBasicInformation
    standard: FileStandardInformation
    internal: FileInternalInformation
    ea: FileEaInformation
    access: FileAccessInformation
    position: FilePositionInformation
    mode: FileModeInformation
    alignment: FileAlignmentInformation
    name: str

    def pack(self) -> bytes:
        """All of it; the caller cuts it for a shorter output buffer, the lengths inside stay."""
        parts: tuple[Record, ...] = (
            self.basic, self.standard, self.internal, self.ea, self.access, self.position, self.mode, self.alignment,
        )  # fmt: skip
        return b"".join(part.pack() for part in parts) + pack_name(self.name)

    @classmethod
    def parse(cls, buffer: Buffer) -> Self:
        return cls(
            basic=FileBasicInformation.unpack_from(buffer, 0),
            standard=FileStandardInformation.unpack_from(buffer, 40),
            internal=FileInternalInformation.unpack_from(buffer, 64),
            ea=FileEaInformation.unpack_from(buffer, 72),
            access=FileAccessInformation.unpack_from(buffer, 76),
            position=FilePositionInformation.unpack_from(buffer, 80),
            mode=FileModeInformation.unpack_from(buffer, 88),
            alignment=FileAlignmentInformation.unpack_from(buffer, 92),
            name=parse_name(buffer, 96),
        )
