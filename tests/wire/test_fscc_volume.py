from dataclasses import fields
from typing import get_args, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smbport.wire import fscc_volume
from smbport.wire.constants import FsInfo
from smbport.wire.fscc import pack_with_name, parse_with_name
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
    FileFsVolumeInformation,
    FileSystemAttribute,
    FileSystemControlFlag,
    SectorSizeFlag,
    pack_volume_information,
    parse_volume_information,
)
from smbport.wire.record import BadStructure, Record

EXAMPLES = [
    (
        FileFsAttributeInformation(
            file_system_attributes=FileSystemAttribute.CASE_SENSITIVE_SEARCH
            | FileSystemAttribute.CASE_PRESERVED_NAMES
            | FileSystemAttribute.UNICODE_ON_DISK
            | FileSystemAttribute.PERSISTENT_ACLS
            | FileSystemAttribute.NAMED_STREAMS,
            maximum_component_name_length=255,
        ),
        "0f000400 ff000000",
    ),
    (
        FileFsControlInformation(
            free_space_start_filtering=0,
            free_space_threshold=0,
            free_space_stop_filtering=0,
            default_quota_threshold=0xFFFFFFFFFFFFFFFF,
            default_quota_limit=0xFFFFFFFFFFFFFFFF,
            file_system_control_flags=FileSystemControlFlag.QUOTA_TRACK | FileSystemControlFlag.CONTENT_INDEX_DISABLED,
        ),
        "00" * 24 + "ff" * 16 + "09000000 00000000",
    ),
    (
        FileFsDeviceInformation(
            device_type=DeviceType.DISK,
            characteristics=DeviceCharacteristic.REMOTE_DEVICE | DeviceCharacteristic.DEVICE_IS_MOUNTED,
        ),
        "07000000 30000000",
    ),
    (
        FileFsFullSizeInformation(
            total_allocation_units=1000,
            caller_available_allocation_units=500,
            actual_available_allocation_units=600,
            sectors_per_allocation_unit=8,
            bytes_per_sector=512,
        ),
        "e803000000000000 f401000000000000 5802000000000000 08000000 00020000",
    ),
    (
        FileFsObjectIdInformation(object_id=b"o" * 16, extended_info=b"x" * 48),
        "6f" * 16 + "78" * 48,
    ),
    (
        FileFsSectorSizeInformation(
            logical_bytes_per_sector=512,
            physical_bytes_per_sector_for_atomicity=4096,
            physical_bytes_per_sector_for_performance=4096,
            effective_physical_bytes_per_sector_for_atomicity=4096,
            flags=SectorSizeFlag.ALIGNED_DEVICE | SectorSizeFlag.PARTITION_ALIGNED_ON_DEVICE,
            byte_offset_for_sector_alignment=0,
            byte_offset_for_partition_alignment=0,
        ),
        "00020000 00100000 00100000 00100000 03000000 00000000 00000000",
    ),
    (
        FileFsSizeInformation(
            total_allocation_units=1000,
            available_allocation_units=500,
            sectors_per_allocation_unit=8,
            bytes_per_sector=512,
        ),
        "e803000000000000 f401000000000000 08000000 00020000",
    ),
    (
        FileFsVolumeInformation(
            volume_creation_time=0x01D87BD605F5E100,
            volume_serial_number=0xC0FFEE11,
            volume_label_length=8,
            supports_objects=1,
        ),
        "00e1f505d67bd801 11eeffc0 08000000 01 00",
    ),
]

RECORDS = [
    value
    for value in (getattr(fscc_volume, name) for name in fscc_volume.__all__)
    if isinstance(value, type) and issubclass(value, Record)
]

FIELD_STRATEGIES = {
    "B": st.integers(0, 0xFF),
    "I": st.integers(0, 0xFFFFFFFF),
    "Q": st.integers(0, 0xFFFFFFFFFFFFFFFF),
    "16s": st.binary(min_size=16, max_size=16),
    "48s": st.binary(min_size=48, max_size=48),
}


def records(kind):
    """A strategy for records of one class, from the struct codes of its fields."""
    hints = get_type_hints(kind, include_extras=True)
    return st.builds(kind, **{field.name: FIELD_STRATEGIES[get_args(hints[field.name])[1]] for field in fields(kind)})


NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)

VOLUME = bytes.fromhex("00e1f505d67bd801 11eeffc0 08000000 00 00 6400610074006100")
ATTRIBUTE = bytes.fromhex("0f000400 ff000000 08000000 4e00540046005300")


@pytest.mark.parametrize(("example", "hexadecimal"), EXAMPLES, ids=lambda value: type(value).__name__)
def test_example(example, hexadecimal):
    packed = bytes.fromhex(hexadecimal)
    assert example.pack() == packed
    assert type(example).unpack_from(packed) == example


def test_every_record_has_an_example():
    assert {type(example) for example, _ in EXAMPLES} == set(RECORDS)


@pytest.mark.parametrize("kind", RECORDS, ids=lambda kind: kind.__name__)
@given(data=st.data())
def test_round_trip_and_set_buffer_lengths(kind, data):
    example = data.draw(records(kind))
    packed = example.pack()
    assert kind.unpack_from(memoryview(packed + b"behind")) == example
    for length in range(len(packed)):
        with pytest.raises(BadStructure):
            kind.unpack_from(memoryview(packed)[:length])


@pytest.mark.parametrize(
    ("info_class", "kind"),
    [
        (FsInfo.SIZE, FileFsSizeInformation),
        (FsInfo.DEVICE, FileFsDeviceInformation),
        (FsInfo.CONTROL, FileFsControlInformation),
        (FsInfo.FULL_SIZE, FileFsFullSizeInformation),
        (FsInfo.OBJECT_ID, FileFsObjectIdInformation),
        (FsInfo.SECTOR_SIZE, FileFsSectorSizeInformation),
    ],
)
def test_minimum_output_length_of_fixed_classes_is_their_size(info_class, kind):
    assert fscc_volume.MINIMUM_OUTPUT_LENGTH[info_class] == kind.SIZE


def test_volume_example():
    packed = pack_volume_information("data", volume_creation_time=0x01D87BD605F5E100, volume_serial_number=0xC0FFEE11)
    assert packed == VOLUME
    fixed, label = parse_volume_information(VOLUME)
    assert (fixed.volume_serial_number, fixed.supports_objects, label) == (0xC0FFEE11, 0, "data")


@given(NAMES, st.integers(0, (1 << 64) - 1), st.integers(0, 0xFFFFFFFF), st.booleans())
def test_volume_round_trip(label, time, serial, supports_objects):
    packed = pack_volume_information(
        label, volume_creation_time=time, volume_serial_number=serial, supports_objects=supports_objects
    )
    fixed, parsed_label = parse_volume_information(packed)
    assert parsed_label == label
    assert (fixed.volume_creation_time, fixed.volume_serial_number) == (time, serial)
    assert fixed.supports_objects == supports_objects


@pytest.mark.parametrize("length", range(len(VOLUME)))
def test_short_volume(length):
    with pytest.raises(BadStructure):
        parse_volume_information(VOLUME[:length])


def test_attribute_example():
    fixed, name = parse_with_name(FileFsAttributeInformation, ATTRIBUTE)
    assert (fixed.maximum_component_name_length, name) == (255, "NTFS")
    assert pack_with_name(fixed, "NTFS") == ATTRIBUTE


@pytest.mark.parametrize("length", range(len(ATTRIBUTE)))
def test_short_attribute(length):
    with pytest.raises(BadStructure):
        parse_with_name(FileFsAttributeInformation, ATTRIBUTE[:length])
