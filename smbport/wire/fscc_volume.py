"""File system information classes, in both directions.  [MS-FSCC] 2.5

FileFsLabelInformation is a name alone, `pack_name` and `parse_name` of fscc.py; the name of the file system goes
behind FileFsAttributeInformation by `pack_with_name`.
"""

from typing import Annotated, ClassVar, Final

from smbport.wire.constants import FsInfo
from smbport.wire.record import U8, U32, U64, Buffer, Guid, Pad1, Pad4, Record, field, record
from smbport.wire.text import decode_utf16, encode_utf16

__all__ = [
    "MINIMUM_OUTPUT_LENGTH", "DeviceCharacteristic", "DeviceType", "FileFsAttributeInformation",
    "FileFsControlInformation", "FileFsDeviceInformation", "FileFsFullSizeInformation", "FileFsObjectIdInformation",
    "FileFsSectorSizeInformation", "FileFsSizeInformation", "FileFsVolumeInformation", "FileSystemAttribute",
    "FileSystemControlFlag", "SectorSizeFlag", "pack_volume_information", "parse_volume_information",
]  # fmt: skip

Bytes48 = Annotated[bytes, "48s"]

MINIMUM_OUTPUT_LENGTH: Final = {
    FsInfo.VOLUME: 24,
    FsInfo.SIZE: 24,
    FsInfo.DEVICE: 8,
    FsInfo.ATTRIBUTE: 16,
    FsInfo.CONTROL: 48,
    FsInfo.FULL_SIZE: 32,
    FsInfo.OBJECT_ID: 64,
    FsInfo.SECTOR_SIZE: 28,
    FsInfo.POSIX: 56,
}
"""The shortest output buffer a query may offer, as in fscc.py; all but OBJECT_ID by the tests of smbtorture."""


class FileSystemAttribute:
    """[MS-FSCC] 2.5.1"""

    CASE_SENSITIVE_SEARCH: Final = 0x00000001
    CASE_PRESERVED_NAMES: Final = 0x00000002
    UNICODE_ON_DISK: Final = 0x00000004
    PERSISTENT_ACLS: Final = 0x00000008
    FILE_COMPRESSION: Final = 0x00000010
    VOLUME_QUOTAS: Final = 0x00000020
    SUPPORTS_SPARSE_FILES: Final = 0x00000040
    SUPPORTS_REPARSE_POINTS: Final = 0x00000080
    SUPPORTS_REMOTE_STORAGE: Final = 0x00000100
    RETURNS_CLEANUP_RESULT_INFO: Final = 0x00000200
    SUPPORTS_POSIX_UNLINK_RENAME: Final = 0x00000400
    VOLUME_IS_COMPRESSED: Final = 0x00008000
    SUPPORTS_OBJECT_IDS: Final = 0x00010000
    SUPPORTS_ENCRYPTION: Final = 0x00020000
    NAMED_STREAMS: Final = 0x00040000
    READ_ONLY_VOLUME: Final = 0x00080000
    SEQUENTIAL_WRITE_ONCE: Final = 0x00100000
    SUPPORTS_TRANSACTIONS: Final = 0x00200000
    SUPPORTS_HARD_LINKS: Final = 0x00400000
    SUPPORTS_EXTENDED_ATTRIBUTES: Final = 0x00800000
    SUPPORTS_OPEN_BY_FILE_ID: Final = 0x01000000
    SUPPORTS_USN_JOURNAL: Final = 0x02000000
    SUPPORTS_INTEGRITY_STREAMS: Final = 0x04000000
    SUPPORTS_BLOCK_REFCOUNTING: Final = 0x08000000
    SUPPORTS_SPARSE_VDL: Final = 0x10000000


class FileSystemControlFlag:
    """[MS-FSCC] 2.5.2"""

    QUOTA_TRACK: Final = 0x00000001
    QUOTA_ENFORCE: Final = 0x00000002
    CONTENT_INDEX_DISABLED: Final = 0x00000008
    LOG_QUOTA_THRESHOLD: Final = 0x00000010
    LOG_QUOTA_LIMIT: Final = 0x00000020
    LOG_VOLUME_THRESHOLD: Final = 0x00000040
    LOG_VOLUME_LIMIT: Final = 0x00000080
    QUOTAS_INCOMPLETE: Final = 0x00000100
    QUOTAS_REBUILDING: Final = 0x00000200


class SectorSizeFlag:
    """[MS-FSCC] 2.5.7"""

    ALIGNED_DEVICE: Final = 0x00000001
    PARTITION_ALIGNED_ON_DEVICE: Final = 0x00000002
    NO_SEEK_PENALTY: Final = 0x00000004
    TRIM_ENABLED: Final = 0x00000008


class DeviceType:
    """[MS-FSCC] 2.5.10"""

    CD_ROM: Final = 0x00000002
    DISK: Final = 0x00000007
    NAMED_PIPE: Final = 0x00000011  # Windows' wdm.h


class DeviceCharacteristic:
    """[MS-FSCC] 2.5.10"""

    REMOVABLE_MEDIA: Final = 0x00000001
    READ_ONLY_DEVICE: Final = 0x00000002
    FLOPPY_DISKETTE: Final = 0x00000004
    WRITE_ONCE_MEDIA: Final = 0x00000008
    REMOTE_DEVICE: Final = 0x00000010
    DEVICE_IS_MOUNTED: Final = 0x00000020
    VIRTUAL_VOLUME: Final = 0x00000040


@record()
class FileFsAttributeInformation(Record):
    """FILE_FS_ATTRIBUTE_INFORMATION; the name of the file system follows.  [MS-FSCC] 2.5.1"""

    file_system_attributes: U32
    maximum_component_name_length: U32  # characters


@record()
class FileFsControlInformation(Record):
    """FILE_FS_CONTROL_INFORMATION; flags as in FileSystemControlFlag.  [MS-FSCC] 2.5.2"""

    free_space_start_filtering: U64
    free_space_threshold: U64
    free_space_stop_filtering: U64
    default_quota_threshold: U64
    default_quota_limit: U64
    file_system_control_flags: U32
    padding: ClassVar[Pad4]


@record()
class FileFsFullSizeInformation(Record):
    """FILE_FS_FULL_SIZE_INFORMATION.  [MS-FSCC] 2.5.4"""

    total_allocation_units: U64
    caller_available_allocation_units: U64
    actual_available_allocation_units: U64
    sectors_per_allocation_unit: U32
    bytes_per_sector: U32


@record()
class FileFsObjectIdInformation(Record):
    """FILE_FS_OBJECTID_INFORMATION.  [MS-FSCC] 2.5.6"""

    object_id: Guid
    extended_info: Bytes48


@record()
class FileFsSectorSizeInformation(Record):
    """FILE_FS_SECTOR_SIZE_INFORMATION; flags as in SectorSizeFlag.  [MS-FSCC] 2.5.7"""

    logical_bytes_per_sector: U32
    physical_bytes_per_sector_for_atomicity: U32
    physical_bytes_per_sector_for_performance: U32
    effective_physical_bytes_per_sector_for_atomicity: U32
    flags: U32
    byte_offset_for_sector_alignment: U32
    byte_offset_for_partition_alignment: U32


@record()
class FileFsSizeInformation(Record):
    """FILE_FS_SIZE_INFORMATION.  [MS-FSCC] 2.5.8"""

    total_allocation_units: U64
    available_allocation_units: U64
    sectors_per_allocation_unit: U32
    bytes_per_sector: U32


@record()
class FileFsVolumeInformation(Record):
    """FILE_FS_VOLUME_INFORMATION; the label follows.  [MS-FSCC] 2.5.9"""

    volume_creation_time: U64
    volume_serial_number: U32
    volume_label_length: U32
    supports_objects: U8
    reserved: ClassVar[Pad1]


@record()
class FileFsDeviceInformation(Record):
    """FILE_FS_DEVICE_INFORMATION, of DeviceType and DeviceCharacteristic.  [MS-FSCC] 2.5.10"""

    device_type: U32
    characteristics: U32


def pack_volume_information(
    label: str, *, volume_creation_time: int, volume_serial_number: int, supports_objects: bool = False
) -> bytes:
    """FileFsVolumeInformation with its label."""
    encoded = encode_utf16(label)
    fixed = FileFsVolumeInformation(
        volume_creation_time=volume_creation_time,
        volume_serial_number=volume_serial_number,
        volume_label_length=len(encoded),
        supports_objects=supports_objects,
    )
    return fixed.pack() + encoded


def parse_volume_information(buffer: Buffer) -> tuple[FileFsVolumeInformation, str]:
    """The reverse of `pack_volume_information`."""
    fixed = FileFsVolumeInformation.unpack_from(buffer)
    return fixed, decode_utf16(field(buffer, fixed.SIZE, fixed.volume_label_length, after=fixed.SIZE))
