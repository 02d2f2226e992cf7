"""The structures of the FSCTLs of file systems: sparse files, sharing blocks, offloaded copies.  [MS-FSCC] 2.3

Those of reparse points are in reparse.py, those that belong to SMB2 itself in ioctl.py.
"""

from collections.abc import Sequence
from typing import ClassVar, Final, NamedTuple

from smbport.wire.record import (
    I64,
    U16,
    U32,
    U64,
    Buffer,
    Pad2,
    Pad4,
    Record,
    field,
    record,
)

__all__ = [
    "ChecksumAlgorithm", "CompressionFormat", "CompressionState", "DuplicateExtentsData", "DuplicateExtentsDataEx",
    "FileAllocatedRange", "FileLevelTrimHeader", "FileLevelTrimOutput", "FileRegionInfo", "FileRegionInput",
    "FileRegionOutput", "FileZeroDataInformation", "IntegrityInformation", "OffloadReadInput", "OffloadReadOutput",
    "OffloadWriteInput", "OffloadWriteOutput", "RegionUsage", "SnapshotArray", "TOKEN_SIZE", "Token", "TokenType",
    "Range", "pack_allocated_ranges", "pack_file_level_trim", "parse_allocated_ranges", "parse_file_level_trim",
]  # fmt: skip


class Range(NamedTuple):
    """A part of a file."""

    offset: int
    length: int


# Sparse files ---------------------------------------------------------------------------------------------------


@record()
class FileZeroDataInformation(Record):
    """FILE_ZERO_DATA_INFORMATION.  [MS-FSCC] 2.3.77"""

    file_offset: I64
    beyond_final_zero: I64


@record()
class FileAllocatedRange(Record):
    """FILE_ALLOCATED_RANGE_BUFFER.  [MS-FSCC] 2.3.57"""

    file_offset: I64
    length: I64


def pack_allocated_ranges(ranges: Sequence[tuple[int, int]]) -> bytes:
    """The output of FSCTL_QUERY_ALLOCATED_RANGES."""
    return b"".join(FileAllocatedRange(file_offset=offset, length=length).pack() for offset, length in ranges)


def parse_allocated_ranges(data: Buffer) -> list[Range]:
    """The reverse of `pack_allocated_ranges`."""
    found = (FileAllocatedRange.unpack_from(data, at) for at in range(0, len(data), FileAllocatedRange.SIZE))
    return [Range(one.file_offset, one.length) for one in found]


@record()
class FileLevelTrimHeader(Record):
    """FILE_LEVEL_TRIM; the ranges follow.  [MS-FSCC] 2.3.14"""

    key: U32 = 0
    num_ranges: U32


@record()
class FileLevelTrimRange(Record):
    """FILE_LEVEL_TRIM_RANGE.  [MS-FSCC] 2.3.14.1"""

    offset: U64
    length: U64


@record()
class FileLevelTrimOutput(Record):
    """FILE_LEVEL_TRIM_OUTPUT.  [MS-FSCC] 2.3.15"""

    num_ranges_processed: U32


def parse_file_level_trim(data: Buffer) -> list[Range]:
    """The ranges that hold nothing of value any more."""
    header = FileLevelTrimHeader.unpack_from(data)
    size = FileLevelTrimRange.SIZE
    ranges = field(data, header.SIZE, header.num_ranges * size, after=header.SIZE)
    found = (FileLevelTrimRange.unpack_from(ranges, at) for at in range(0, len(ranges), size))
    return [Range(one.offset, one.length) for one in found]


def pack_file_level_trim(ranges: Sequence[tuple[int, int]]) -> bytes:
    """The reverse of `parse_file_level_trim`."""
    packed = [FileLevelTrimRange(offset=offset, length=length).pack() for offset, length in ranges]
    return FileLevelTrimHeader(num_ranges=len(ranges)).pack() + b"".join(packed)


class RegionUsage:
    """[MS-FSCC] 2.3.51.1"""

    VALID_CACHED_DATA: Final = 0x00000001


@record()
class FileRegionInput(Record):
    """FILE_REGION_INPUT.  [MS-FSCC] 2.3.51"""

    file_offset: I64
    length: I64
    desired_usage: U32 = RegionUsage.VALID_CACHED_DATA
    reserved: ClassVar[Pad4]


@record()
class FileRegionOutput(Record):
    """FILE_REGION_OUTPUT; the regions follow.  [MS-FSCC] 2.3.52.1"""

    flags: U32 = 0
    total_region_entry_count: U32
    region_entry_count: U32
    reserved: ClassVar[Pad4]


@record()
class FileRegionInfo(Record):
    """FILE_REGION_INFO.  [MS-FSCC] 2.3.52.2"""

    file_offset: I64
    length: I64
    desired_usage: U32 = RegionUsage.VALID_CACHED_DATA
    reserved: ClassVar[Pad4]


# Sharing blocks -------------------------------------------------------------------------------------------------


@record()
class DuplicateExtentsData(Record):
    """SMB2_DUPLICATE_EXTENTS_DATA.  [MS-FSCC] 2.3.8.2"""

    source_persistent: U64
    source_volatile: U64
    source_file_offset: I64
    target_file_offset: I64
    byte_count: I64


@record()
class DuplicateExtentsDataEx(Record):
    """SMB2_DUPLICATE_EXTENTS_DATA_EX.  [MS-FSCC] 2.3.10.2

    Its first field is the length of the structure that local programs use, whose handle is half as long.
    """

    size: U64 = 0x30
    source_persistent: U64
    source_volatile: U64
    source_file_offset: I64
    target_file_offset: I64
    byte_count: I64
    flags: U32 = 0
    reserved: ClassVar[Pad4]


# Compression and integrity --------------------------------------------------------------------------------------


class CompressionFormat:
    """[MS-FSCC] 2.3.18, 2.3.67"""

    NONE: Final = 0x0000
    DEFAULT: Final = 0x0001
    LZNT1: Final = 0x0002


@record()
class CompressionState(Record):
    """CompressionState.  [MS-FSCC] 2.3.18"""

    compression_format: U16


class ChecksumAlgorithm:
    """[MS-FSCC] 2.3.20, 2.3.73"""

    NONE: Final = 0x0000
    CRC32: Final = 0x0001
    CRC64: Final = 0x0002
    UNCHANGED: Final = 0xFFFF


@record()
class IntegrityInformation(Record):
    """FSCTL_GET_INTEGRITY_INFORMATION_BUFFER.  [MS-FSCC] 2.3.20"""

    checksum_algorithm: U16
    reserved: ClassVar[Pad2]
    flags: U32 = 0
    checksum_chunk_size_in_bytes: U32
    cluster_size_in_bytes: U32


# Snapshots ------------------------------------------------------------------------------------------------------


@record()
class SnapshotArray(Record):
    """SRV_SNAPSHOT_ARRAY; the names follow.  [MS-SMB2] 2.2.32.2"""

    number_of_snapshots: U32
    number_of_snapshots_returned: U32
    snapshot_array_size: U32


# Offloaded copies -----------------------------------------------------------------------------------------------

TOKEN_SIZE: Final = 512


class TokenType:
    """[MS-FSCC] 2.1.11.  Unlike everything else, the fields of a token are big endian."""

    WELL_KNOWN: Final = 0xFFFFFFFF
    OURS: Final = 0x53504F54  # any number below WELL_KNOWN is the storage's own
    ZERO_PATTERN: Final = 0x0001  # the first two bytes behind the header of a well-known token


@record()
class Token(Record):
    """What our tokens hold behind the header of a STORAGE_OFFLOAD_TOKEN; zeroes follow.  [MS-FSCC] 2.1.11"""

    session_id: U64
    persistent_id: U64
    volatile_id: U64
    offset: U64
    length: U64
    write_ns: I64  # of the file, when the token was made
    expires_ns: I64


@record()
class OffloadReadInput(Record):
    """FSCTL_OFFLOAD_READ_INPUT.  [MS-FSCC] 2.3.41"""

    size: U32 = 0x20
    flags: U32 = 0
    token_time_to_live: U32 = 0  # milliseconds; 0: as the server likes
    reserved: ClassVar[Pad4]
    file_offset: U64
    copy_length: U64


@record()
class OffloadReadOutput(Record):
    """FSCTL_OFFLOAD_READ_OUTPUT; the token follows.  [MS-FSCC] 2.3.42"""

    size: U32 = 0x210
    flags: U32 = 0
    transfer_length: U64


@record()
class OffloadWriteInput(Record):
    """FSCTL_OFFLOAD_WRITE_INPUT; the token follows.  [MS-FSCC] 2.3.43"""

    size: U32 = 0x220
    flags: U32 = 0
    file_offset: U64
    copy_length: U64
    transfer_offset: U64


@record()
class OffloadWriteOutput(Record):
    """FSCTL_OFFLOAD_WRITE_OUTPUT.  [MS-FSCC] 2.3.44"""

    size: U32 = 0x10
    flags: U32 = 0
    length_written: U64
