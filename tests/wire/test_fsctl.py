"""The structures of file systems' FSCTLs."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smbport.wire import fsctl
from smbport.wire.fsctl import (
    CompressionState,
    DuplicateExtentsData,
    DuplicateExtentsDataEx,
    FileAllocatedRange,
    FileLevelTrimOutput,
    FileRegionInfo,
    FileRegionInput,
    FileRegionOutput,
    FileZeroDataInformation,
    IntegrityInformation,
    OffloadReadInput,
    OffloadReadOutput,
    OffloadWriteInput,
    OffloadWriteOutput,
    Range,
    SnapshotArray,
    Token,
    pack_allocated_ranges,
    pack_file_level_trim,
    parse_allocated_ranges,
    parse_file_level_trim,
)
from smbport.wire.record import BadStructure, Record

# As [MS-FSCC] lays them out: the format in the struct module's words, and the fields in order.
LAYOUTS = {
    FileZeroDataInformation: ("<qq", (5, 10)),
    FileAllocatedRange: ("<qq", (-5, 10)),
    FileLevelTrimOutput: ("<I", (7,)),
    FileRegionInput: ("<qqIxxxx", (1, 2, 3)),
    FileRegionOutput: ("<IIIxxxx", (0, 2, 1)),
    FileRegionInfo: ("<qqIxxxx", (1, 2, 1)),
    DuplicateExtentsData: ("<QQqqq", (1, 2, 3, 4, 5)),
    DuplicateExtentsDataEx: ("<QQQqqqIxxxx", (0x30, 1, 2, 3, 4, 5, 1)),
    CompressionState: ("<H", (2,)),
    IntegrityInformation: ("<HxxIII", (2, 1, 65536, 4096)),
    SnapshotArray: ("<III", (2, 1, 100)),
    Token: ("<QQQQQqq", (1, 2, 3, 4, 5, 6, 7)),
    OffloadReadInput: ("<IIIxxxxQQ", (32, 0, 1000, 512, 1024)),
    OffloadReadOutput: ("<IIQ", (528, 1, 1024)),
    OffloadWriteInput: ("<IIQQQ", (544, 0, 512, 1024, 2048)),
    OffloadWriteOutput: ("<IIQ", (16, 0, 1024)),
}


@pytest.mark.parametrize("kind", LAYOUTS, ids=lambda kind: kind.__name__)
def test_layout(kind: type[Record]) -> None:
    layout, values = LAYOUTS[kind]
    packed = struct.pack(layout, *values)
    record = kind.unpack_from(packed)
    assert tuple(getattr(record, name) for name in kind.__match_args__ or record.__slots__) == values
    assert record.pack() == packed
    for end in range(len(packed)):
        with pytest.raises(BadStructure):
            kind.unpack_from(packed[:end])


def test_every_structure_is_laid_out_here() -> None:
    parts = {fsctl.FileLevelTrimHeader, fsctl.FileLevelTrimRange}  # below, with what they are part of
    records = {kind for kind in vars(fsctl).values() if isinstance(kind, type) and issubclass(kind, Record)}
    assert records - {Record} == set(LAYOUTS) | parts


U63 = st.integers(0, (1 << 63) - 1)
RANGES = st.lists(st.builds(Range, U63, U63), max_size=20)


@given(RANGES)
def test_allocated_ranges(ranges: list[Range]) -> None:
    assert parse_allocated_ranges(pack_allocated_ranges(ranges)) == ranges


def test_allocated_ranges_that_lie() -> None:
    with pytest.raises(BadStructure):
        parse_allocated_ranges(bytes(17))


@given(RANGES)
def test_trim(ranges: list[Range]) -> None:
    packed = pack_file_level_trim(ranges)
    assert parse_file_level_trim(packed) == ranges
    for end in range(len(packed)):
        with pytest.raises(BadStructure):
            parse_file_level_trim(packed[:end])


def test_trim_as_it_is_sent() -> None:
    """[MS-FSCC] 2.3.14: the key, the number, and so many pairs."""
    assert parse_file_level_trim(struct.pack("<IIQQ", 0, 1, 4096, 8192)) == [(4096, 8192)]
