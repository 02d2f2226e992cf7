"""QUERY_INFO of the volume that an open lies on: one function for each class.  [MS-FSA] 2.1.5.13"""

from collections.abc import Callable
from typing import Final

from smbport.commands.call import Call
from smbport.commands.extended_attributes import keeps_eas
from smbport.commands.fsctl.storage import compression_power
from smbport.commands.posix import query_posix_volume
from smbport.commands.steps import blocking
from smbport.commands.streams import streams_of
from smbport.commands.time_machine import space_for_backups
from smbport.platform import Space
from smbport.state.open import FileOpen
from smbport.state.tree import TreeConnect
from smbport.wire.constants import FsInfo
from smbport.wire.fscc import pack_with_name
from smbport.wire.fscc_volume import (
    DeviceCharacteristic,
    DeviceType,
    FileFsAttributeInformation,
    FileFsControlInformation,
    FileFsDeviceInformation,
    FileFsFullSizeInformation,
    FileFsObjectIdInformation,
    FileFsSectorSizeInformation,
    FileFsSizeInformation,
    FileSystemAttribute,
    SectorSizeFlag,
    pack_volume_information,
)
from smbport.wire.record import Record
from smbport.wire.status import Status, StatusError
from smbport.wire.text import filetime_from_ns

__all__ = ["query_volume"]

SECTOR: Final = 512  # bytes of the sectors that allocation units are counted in
NO_LIMIT: Final = 0xFFFFFFFFFFFFFFFF


async def query_volume(call: Call, opened: FileOpen, info_class: int) -> bytes:
    """The whole answer for a class that the rights table has."""
    tree = opened.tree
    volume = tree.volume
    assert volume is not None
    if info_class == FsInfo.POSIX and not opened.posix:
        raise StatusError(Status.INVALID_INFO_CLASS, "not a POSIX open")
    if info_class in _OF_SPACE:
        settings = tree.share.settings
        if settings.time_machine and settings.time_machine_size and tree.share.volume is not None:
            space = await blocking(space_for_backups, tree.share.volume, settings.time_machine_size)
        else:
            space = await blocking(volume.space)
        return _OF_SPACE[info_class](space, tree).pack()
    answer = _OF_VOLUME[info_class](tree, call.server.start_ns)
    return answer if isinstance(answer, bytes) else answer.pack()


# Space ----------------------------------------------------------------------------------------------------------


def _size(space: Space, tree: TreeConnect) -> FileFsSizeInformation:
    sectors, sector, unit = _units(space)
    return FileFsSizeInformation(
        total_allocation_units=space.total // unit,
        available_allocation_units=space.available // unit,
        sectors_per_allocation_unit=sectors,
        bytes_per_sector=sector,
    )


def _full_size(space: Space, tree: TreeConnect) -> FileFsFullSizeInformation:
    sectors, sector, unit = _units(space)
    return FileFsFullSizeInformation(
        total_allocation_units=space.total // unit,
        caller_available_allocation_units=space.available // unit,
        actual_available_allocation_units=space.free // unit,
        sectors_per_allocation_unit=sectors,
        bytes_per_sector=sector,
    )


def _sector_size(space: Space, tree: TreeConnect) -> FileFsSectorSizeInformation:
    """A write of one block is what a file system can be trusted not to tear."""
    _, sector, unit = _units(space)
    trims = SectorSizeFlag.TRIM_ENABLED if _has_holes(tree) else 0
    return FileFsSectorSizeInformation(
        logical_bytes_per_sector=sector,
        physical_bytes_per_sector_for_atomicity=unit,
        physical_bytes_per_sector_for_performance=unit,
        effective_physical_bytes_per_sector_for_atomicity=unit,
        flags=SectorSizeFlag.ALIGNED_DEVICE | SectorSizeFlag.PARTITION_ALIGNED_ON_DEVICE | trims,
        byte_offset_for_sector_alignment=0,
        byte_offset_for_partition_alignment=0,
    )


def _units(space: Space) -> tuple[int, int, int]:
    """Sectors per allocation unit, bytes per sector, and their product: the block size of the file system."""
    unit = space.block_size
    sector = SECTOR if unit % SECTOR == 0 else unit
    return unit // sector, sector, unit


_OF_SPACE: Final[dict[int, Callable[[Space, TreeConnect], Record]]] = {
    FsInfo.FULL_SIZE: _full_size,
    FsInfo.POSIX: query_posix_volume,
    FsInfo.SECTOR_SIZE: _sector_size,
    FsInfo.SIZE: _size,
}


# Everything else ------------------------------------------------------------------------------------------------


def _attribute(tree: TreeConnect, start_ns: int) -> bytes:
    """Only what is true of this share: clients decide by these flags what they try at all."""
    volume = tree.volume
    assert volume is not None
    features = volume.features
    flags = (
        FileSystemAttribute.CASE_PRESERVED_NAMES
        | FileSystemAttribute.UNICODE_ON_DISK
        | FileSystemAttribute.SUPPORTS_HARD_LINKS
        | FileSystemAttribute.SUPPORTS_REPARSE_POINTS
    )
    if tree.descriptors is not None:
        flags |= FileSystemAttribute.PERSISTENT_ACLS
    if keeps_eas(tree.session.server.platform.attributes, volume):
        flags |= FileSystemAttribute.SUPPORTS_EXTENDED_ATTRIBUTES
    if streams_of(tree) is not None:
        flags |= FileSystemAttribute.NAMED_STREAMS
    if _has_holes(tree) and features.stores_marks:
        flags |= FileSystemAttribute.SUPPORTS_SPARSE_FILES
    if features.reflink and tree.session.server.platform.clone is not None:
        flags |= FileSystemAttribute.SUPPORTS_BLOCK_REFCOUNTING
    if compression_power(tree) is not None:
        flags |= FileSystemAttribute.FILE_COMPRESSION
    if tree.share.settings.case_sensitive and features.case_sensitive:
        flags |= FileSystemAttribute.CASE_SENSITIVE_SEARCH
    if not tree.writable:
        flags |= FileSystemAttribute.READ_ONLY_VOLUME
    fixed = FileFsAttributeInformation(
        file_system_attributes=flags, maximum_component_name_length=features.max_name_bytes
    )
    return pack_with_name(fixed, features.file_system)


def _control(tree: TreeConnect, start_ns: int) -> FileFsControlInformation:
    """No quotas, no content index."""
    return FileFsControlInformation(
        free_space_start_filtering=0,
        free_space_threshold=0,
        free_space_stop_filtering=0,
        default_quota_threshold=NO_LIMIT,
        default_quota_limit=NO_LIMIT,
        file_system_control_flags=0,
    )


def _device(tree: TreeConnect, start_ns: int) -> FileFsDeviceInformation:
    characteristics = DeviceCharacteristic.DEVICE_IS_MOUNTED
    if not tree.writable:
        characteristics |= DeviceCharacteristic.READ_ONLY_DEVICE
    return FileFsDeviceInformation(device_type=DeviceType.DISK, characteristics=characteristics)


def _object_id(tree: TreeConnect, start_ns: int) -> FileFsObjectIdInformation:
    """The same as long as the volume is: its serial number and our name."""
    return FileFsObjectIdInformation(object_id=_serial(tree).to_bytes(8, "little") + b"smbport\0", extended_info=b"")


def _volume(tree: TreeConnect, start_ns: int) -> bytes:
    """POSIX does not tell when a file system was made; the start of the server stands for it."""
    return pack_volume_information(
        tree.share.name,
        volume_creation_time=filetime_from_ns(start_ns),
        volume_serial_number=_serial(tree) & 0xFFFFFFFF,
    )


def _has_holes(tree: TreeConnect) -> bool:
    volume = tree.volume
    return volume is not None and volume.features.holes and tree.session.server.platform.sparse is not None


def _serial(tree: TreeConnect) -> int:
    volume = tree.volume
    assert volume is not None
    return volume.features.serial


_OF_VOLUME: Final[dict[int, Callable[[TreeConnect, int], bytes | Record]]] = {
    FsInfo.ATTRIBUTE: _attribute,
    FsInfo.CONTROL: _control,
    FsInfo.DEVICE: _device,
    FsInfo.OBJECT_ID: _object_id,
    FsInfo.VOLUME: _volume,
}
