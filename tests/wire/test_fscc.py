from dataclasses import fields, replace
from typing import get_args, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smbport.wire import fscc
from smbport.wire.constants import FileInfo
from smbport.wire.record import BadStructure, Record

TIME = "00e1f505d67bd801"  # 2022-06-09
OTHER_TIME = "80b1cd5bd77bd801"
TIME_VALUE = int.from_bytes(bytes.fromhex(TIME), "little")
OTHER_VALUE = int.from_bytes(bytes.fromhex(OTHER_TIME), "little")

# (record, its bytes field by field)
EXAMPLES = [
    (fscc.FileAccessInformation(access_flags=0x1F01FF), "ff011f00"),
    (fscc.FileAlignmentInformation(alignment_requirement=7), "07000000"),
    (fscc.FileAllocationInformation(allocation_size=1 << 20), "0000100000000000"),
    (fscc.FileAllocationInformation(allocation_size=-1), "ffffffffffffffff"),
    (fscc.FileAttributeTagInformation(file_attributes=0x420, reparse_tag=0xA000000C), "20040000 0c0000a0"),
    (
        fscc.FileBasicInformation(
            creation_time=TIME_VALUE,
            last_access_time=fscc.SetTime.UNCHANGED,
            last_write_time=fscc.SetTime.FREEZE,
            change_time=fscc.SetTime.THAW,
            file_attributes=0x20,
        ),
        f"{TIME} 0000000000000000 ffffffffffffffff feffffffffffffff 20000000 00000000",
    ),
    (
        fscc.FileCompressionInformation(
            compressed_file_size=4096, compression_format=2, compression_unit_shift=16, chunk_shift=12, cluster_shift=9
        ),
        "0010000000000000 0200 10 0c 09 000000",
    ),
    (fscc.FileDispositionInformation(delete_pending=1), "01"),
    (
        fscc.FileDispositionInformationEx(
            flags=fscc.DispositionFlag.DELETE | fscc.DispositionFlag.IGNORE_READONLY_ATTRIBUTE
        ),
        "11000000",
    ),
    (fscc.FileEaInformation(ea_size=0x55), "55000000"),
    (fscc.FileEndOfFileInformation(end_of_file=0x1234), "3412000000000000"),
    (
        fscc.FileIdInformation(volume_serial_number=0x1122334455667788, file_id=bytes(range(16))),
        "8877665544332211 000102030405060708090a0b0c0d0e0f",
    ),
    (fscc.FileInternalInformation(index_number=0x0005000000000027), "2700000000000500"),
    (fscc.FileLinkInformation(replace_if_exists=1, root_directory=0), "01 00000000000000 0000000000000000"),
    (fscc.FileModeInformation(mode=0x20), "20000000"),
    (fscc.FileNameInformation(file_name_length=6), "06000000"),
    (
        fscc.FileNetworkOpenInformation(
            creation_time=TIME_VALUE,
            last_access_time=OTHER_VALUE,
            last_write_time=TIME_VALUE,
            change_time=OTHER_VALUE,
            allocation_size=4096,
            end_of_file=17,
            file_attributes=0x80,
        ),
        f"{TIME} {OTHER_TIME} {TIME} {OTHER_TIME} 0010000000000000 1100000000000000 80000000 00000000",
    ),
    (
        fscc.FileObjectIdInformation(
            file_reference_number=9,
            object_id=b"o" * 16,
            birth_volume_id=b"v" * 16,
            birth_object_id=b"b" * 16,
            domain_id=bytes(16),
        ),
        "0900000000000000" + "6f" * 16 + "76" * 16 + "62" * 16 + "00" * 16,
    ),
    (
        fscc.FilePipeInformation(read_mode=fscc.NamedPipe.MESSAGE, completion_mode=fscc.NamedPipe.COMPLETE_OPERATION),
        "01000000 01000000",
    ),
    (
        fscc.FilePipeLocalInformation(
            named_pipe_type=fscc.NamedPipe.MESSAGE,
            named_pipe_configuration=fscc.NamedPipe.FULL_DUPLEX,
            maximum_instances=0xFFFFFFFF,
            current_instances=1,
            inbound_quota=4096,
            read_data_available=5,
            outbound_quota=4096,
            write_quota_available=4091,
            named_pipe_state=fscc.NamedPipe.CONNECTED,
            named_pipe_end=fscc.NamedPipe.CLIENT_END,
        ),
        "01000000 02000000 ffffffff 01000000 00100000 05000000 00100000 fb0f0000 03000000 00000000",
    ),
    (
        fscc.FilePipeRemoteInformation(collect_data_time=500000, maximum_collection_count=16),
        "20a1070000000000 10000000",
    ),
    (fscc.FilePositionInformation(current_byte_offset=1), "0100000000000000"),
    (fscc.FileRenameInformation(replace_if_exists=1, root_directory=0), "01 00000000000000 0000000000000000"),
    (
        fscc.FileRenameInformationEx(
            flags=fscc.RenameFlag.REPLACE_IF_EXISTS | fscc.RenameFlag.POSIX_SEMANTICS, root_directory=0
        ),
        "03000000 00000000 0000000000000000",
    ),
    (
        fscc.FileStandardInformation(
            allocation_size=8192, end_of_file=5000, number_of_links=2, delete_pending=1, directory=0
        ),
        "0020000000000000 8813000000000000 02000000 01 00 0000",
    ),
    (
        fscc.FileStandardLinkInformation(
            number_of_accessible_links=1, total_number_of_links=2, delete_pending=0, directory=1
        ),
        "01000000 02000000 00 01 0000",
    ),
    (
        fscc.FileStatInformation(
            file_id=3,
            creation_time=TIME_VALUE,
            last_access_time=OTHER_VALUE,
            last_write_time=TIME_VALUE,
            change_time=OTHER_VALUE,
            allocation_size=4096,
            end_of_file=17,
            file_attributes=0x20,
            reparse_tag=0,
            number_of_links=1,
            effective_access=0x1F01FF,
        ),
        f"0300000000000000 {TIME} {OTHER_TIME} {TIME} {OTHER_TIME} 0010000000000000 1100000000000000"
        "20000000 00000000 01000000 ff011f00",
    ),
    (fscc.FileValidDataLengthInformation(valid_data_length=-2), "feffffffffffffff"),
]

RECORDS = [
    value
    for value in (getattr(fscc, name) for name in fscc.__all__)
    if isinstance(value, type) and issubclass(value, Record)
]

FIELD_STRATEGIES = {
    "B": st.integers(0, 0xFF),
    "H": st.integers(0, 0xFFFF),
    "I": st.integers(0, 0xFFFFFFFF),
    "Q": st.integers(0, 0xFFFFFFFFFFFFFFFF),
    "q": st.integers(-(1 << 63), (1 << 63) - 1),
    "16s": st.binary(min_size=16, max_size=16),
}


def records(kind):
    """A strategy for records of one class, from the struct codes of its fields."""
    hints = get_type_hints(kind, include_extras=True)
    return st.builds(kind, **{field.name: FIELD_STRATEGIES[get_args(hints[field.name])[1]] for field in fields(kind)})


NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)

RENAME = bytes.fromhex("01 00000000000000 0000000000000000 0a000000 64005c0062002e006300")  # d\b.c, replacing


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


@pytest.mark.parametrize("info_class", [FileInfo.BASIC, FileInfo.STANDARD, FileInfo.NETWORK_OPEN, FileInfo.STAT])
def test_minimum_output_length_of_fixed_classes_is_their_size(info_class):
    kind = {
        FileInfo.BASIC: fscc.FileBasicInformation,
        FileInfo.STANDARD: fscc.FileStandardInformation,
        FileInfo.NETWORK_OPEN: fscc.FileNetworkOpenInformation,
        FileInfo.STAT: fscc.FileStatInformation,
    }[info_class]
    assert fscc.MINIMUM_OUTPUT_LENGTH[info_class] == kind.SIZE


# Names


def test_name_example():
    packed = bytes.fromhex("0c000000 5c0061002e00740078007400")
    assert fscc.pack_name("\\a.txt") == packed
    assert fscc.parse_name(packed) == "\\a.txt"
    assert fscc.parse_name(b"skip" + packed, 4) == "\\a.txt"


def test_empty_name():
    assert fscc.parse_name(fscc.pack_name("")) == ""


@pytest.mark.parametrize(
    "hexadecimal",
    [
        pytest.param("0e000000 5c0061002e00740078007400", id="longer than the buffer"),
        pytest.param("ffffffff 5c006100", id="4 GiB"),
        pytest.param("03000000 5c006100", id="odd"),
    ],
)
def test_lying_name(hexadecimal):
    with pytest.raises(BadStructure):
        fscc.parse_name(bytes.fromhex(hexadecimal))


def test_name_with_half_a_surrogate_pair():
    with pytest.raises(UnicodeDecodeError):
        fscc.parse_name(bytes.fromhex("04000000 5c0000d8"))


def test_rename_example():
    fixed, name = fscc.parse_with_name(fscc.FileRenameInformation, memoryview(RENAME))
    assert (fixed.replace_if_exists, fixed.root_directory, name) == (1, 0, "d\\b.c")
    assert fscc.pack_with_name(fixed, name) == RENAME


def test_rename_padded_as_windows_does():
    """Windows fills the buffer up to its sizeof, 24 bytes, when the name is short."""
    packed = bytes.fromhex("00 00000000000000 0000000000000000 02000000 6100 0000")
    assert fscc.parse_with_name(fscc.FileRenameInformation, packed)[1] == "a"


@pytest.mark.parametrize("length", range(len(RENAME)))
def test_short_rename(length):
    with pytest.raises(BadStructure):
        fscc.parse_with_name(fscc.FileRenameInformation, memoryview(RENAME)[:length])


@pytest.mark.parametrize("kind", [fscc.FileRenameInformation, fscc.FileRenameInformationEx, fscc.FileLinkInformation])
@given(data=st.data(), name=NAMES)
def test_with_name_round_trip(kind, data, name):
    fixed = data.draw(records(kind))
    assert fscc.parse_with_name(kind, fscc.pack_with_name(fixed, name)) == (fixed, name)


@given(st.binary(max_size=64))
def test_any_bytes_as_a_name(data):
    try:
        name = fscc.parse_name(data)
    except (BadStructure, UnicodeDecodeError):
        return
    assert data.startswith(fscc.pack_name(name))


# FileAllInformation

ALL = fscc.FileAllInformation(
    basic=fscc.FileBasicInformation(
        creation_time=1, last_access_time=2, last_write_time=3, change_time=4, file_attributes=0x20
    ),
    standard=fscc.FileStandardInformation(
        allocation_size=4096, end_of_file=5, number_of_links=1, delete_pending=0, directory=0
    ),
    internal=fscc.FileInternalInformation(index_number=6),
    ea=fscc.FileEaInformation(ea_size=7),
    access=fscc.FileAccessInformation(access_flags=8),
    position=fscc.FilePositionInformation(current_byte_offset=9),
    mode=fscc.FileModeInformation(mode=10),
    alignment=fscc.FileAlignmentInformation(alignment_requirement=11),
    name="\\ä",
)
ALL_BYTES = bytes.fromhex(
    "0100000000000000 0200000000000000 0300000000000000 0400000000000000 20000000 00000000"
    "0010000000000000 0500000000000000 01000000 00 00 0000"
    "0600000000000000 07000000 08000000 0900000000000000 0a000000 0b000000"
    "04000000 5c00e400"
)


def test_all_information_example():
    assert ALL.pack() == ALL_BYTES
    assert fscc.FileAllInformation.parse(ALL_BYTES) == ALL
    assert len(ALL_BYTES) == fscc.MINIMUM_OUTPUT_LENGTH[FileInfo.ALL]


@pytest.mark.parametrize("length", range(len(ALL_BYTES)))
def test_short_all_information(length):
    with pytest.raises(BadStructure):
        fscc.FileAllInformation.parse(ALL_BYTES[:length])


@given(name=NAMES, size=st.integers(0, (1 << 64) - 1))
def test_all_information_round_trip(name, size):
    example = replace(ALL, name=name, standard=replace(ALL.standard, end_of_file=size))
    assert fscc.FileAllInformation.parse(example.pack()) == example
