import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smbport.wire.constants import FileAttribute, FileInfo
from smbport.wire.fscc_directory import (
    FIXED_SIZE,
    DirectoryEntry,
    DirectoryPacker,
    EntryNames,
    parse_directory_entries,
)
from smbport.wire.record import BadStructure

ENTRY = DirectoryEntry(
    name="résumé.txt",
    creation_time=0x0102030405060708,
    last_access_time=0x1112131415161718,
    last_write_time=0x2122232425262728,
    change_time=0x3132333435363738,
    end_of_file=0x123,
    allocation_size=0x1000,
    file_attributes=FileAttribute.ARCHIVE,
    ea_size=0x45,
    file_id=0x0005000000000027,
    short_name="RSUM~1.TXT".encode("utf-16-le"),
)

HEAD = (
    "00000000 00000000 0807060504030201 1817161514131211 2827262524232221 3837363534333231"
    "2301000000000000 0010000000000000 20000000 14000000"
)
SHORT = "14 00 5200530055004d007e0031002e00540058005400 00000000"
FILE_ID = "2700000000000500"
NAME = "7200e900730075006d00e9002e00740078007400"

# What each class has between the head and the name.
TAILS = {
    FileInfo.DIRECTORY: "",
    FileInfo.FULL_DIRECTORY: "45000000",
    FileInfo.BOTH_DIRECTORY: "45000000" + SHORT,
    FileInfo.ID_FULL_DIRECTORY: "45000000 00000000" + FILE_ID,
    FileInfo.ID_BOTH_DIRECTORY: "45000000" + SHORT + "0000" + FILE_ID,
    FileInfo.ID_EXTD_DIRECTORY: "45000000 00000000" + FILE_ID + "0000000000000000",
    FileInfo.ID_64_EXTD_DIRECTORY: "45000000 00000000" + FILE_ID,
    79: "45000000 00000000" + FILE_ID + SHORT,
    80: "45000000 00000000" + FILE_ID * 2 + "0000000000000000",
    81: "45000000 00000000" + FILE_ID * 2 + "0000000000000000" + SHORT,
}

# [MS-FSCC] 2.4.8, .10, .15, .18-.24, .33
SIZES = {
    FileInfo.DIRECTORY: 64,
    FileInfo.FULL_DIRECTORY: 68,
    FileInfo.BOTH_DIRECTORY: 94,
    FileInfo.ID_FULL_DIRECTORY: 80,
    FileInfo.ID_BOTH_DIRECTORY: 104,
    FileInfo.NAMES: 12,
    FileInfo.ID_EXTD_DIRECTORY: 88,
    FileInfo.ID_64_EXTD_DIRECTORY: 80,
    79: 106,
    80: 96,
    81: 122,
}

CLASSES = sorted(SIZES)

ENTRIES = st.builds(
    DirectoryEntry,
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    *[st.integers(0, (1 << 64) - 1)] * 6,
    st.integers(0, 0xFFFFFFFF).map(lambda attributes: attributes & ~FileAttribute.REPARSE_POINT),
    st.integers(0, 0xFFFFFFFF),
    st.integers(0, (1 << 64) - 1),
    st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=12).map(
        lambda text: text.encode("utf-16-le")
    ),
    st.just(0),
)


def pack(info_class, entries, output_length=1 << 20):
    packer = DirectoryPacker(info_class, output_length)
    for entry in entries:
        assert packer.add(*entry)
    return packer.take()


def as_class(info_class, entry):
    """What is left of an entry in a class that has not all fields."""
    if info_class == FileInfo.NAMES:
        return DirectoryEntry(entry.name)
    has_short_name = info_class in (FileInfo.BOTH_DIRECTORY, FileInfo.ID_BOTH_DIRECTORY, 79, 81)
    has_file_id = info_class not in (FileInfo.DIRECTORY, FileInfo.FULL_DIRECTORY, FileInfo.BOTH_DIRECTORY)
    return entry._replace(
        ea_size=0 if info_class == FileInfo.DIRECTORY else entry.ea_size,
        short_name=entry.short_name if has_short_name else b"",
        file_id=entry.file_id if has_file_id else 0,
    )


def test_fixed_sizes():
    assert FIXED_SIZE == SIZES


@pytest.mark.parametrize("info_class", TAILS)
def test_example(info_class):
    packed = bytes.fromhex(HEAD + TAILS[info_class] + NAME)
    assert pack(info_class, [ENTRY]) == packed
    assert parse_directory_entries(info_class, packed) == [as_class(info_class, ENTRY)]


def test_names_example():
    packed = bytes.fromhex(
        "10000000 00000000 02000000 2e00 0000"  # ".", padded to 16
        "10000000 00000000 04000000 2e002e00"  # "..", nothing to pad
        "00000000 00000000 06000000 610062006300"
    )
    assert pack(FileInfo.NAMES, [(EntryNames.SELF,), (EntryNames.PARENT,), ("abc",)]) == packed
    assert [entry.name for entry in parse_directory_entries(FileInfo.NAMES, packed)] == [".", "..", "abc"]


@pytest.mark.parametrize("info_class", CLASSES)
@settings(max_examples=25)
@given(entries=st.lists(ENTRIES, min_size=1, max_size=5))
def test_round_trip(info_class, entries):
    packed = pack(info_class, entries)
    assert parse_directory_entries(info_class, memoryview(packed)) == [as_class(info_class, entry) for entry in entries]


@pytest.mark.parametrize("info_class", CLASSES)
@settings(max_examples=25)
@given(entries=st.lists(ENTRIES, min_size=1, max_size=5))
def test_entries_are_aligned_and_the_last_ends_with_its_name(info_class, entries):
    packed = pack(info_class, entries)
    start = 0
    for entry in entries[:-1]:
        following = int.from_bytes(packed[start : start + 4], "little")
        end = FIXED_SIZE[info_class] + len(entry.name.encode("utf-16-le"))
        assert following % 8 == 0
        assert 0 <= following - end < 8
        assert not any(packed[start + end : start + following])
        start += following
    assert packed[start : start + 4] == bytes(4)
    assert len(packed) == start + FIXED_SIZE[info_class] + len(entries[-1].name.encode("utf-16-le"))


@pytest.mark.parametrize("info_class", sorted(TAILS))
def test_reparse_tag(info_class):
    entry = ENTRY._replace(
        file_attributes=FileAttribute.REPARSE_POINT, ea_size=0, reparse_tag=0xA000000C, short_name=b"", file_id=0
    )
    expected = entry if info_class != FileInfo.DIRECTORY else entry._replace(reparse_tag=0)
    assert parse_directory_entries(info_class, pack(info_class, [entry])) == [expected]


# The client's buffer


@pytest.mark.parametrize("info_class", CLASSES)
def test_first_entry_that_does_not_fit(info_class):
    needed = FIXED_SIZE[info_class] + 2 * len(ENTRY.name)
    packer = DirectoryPacker(info_class, needed - 1)
    assert packer.is_empty
    assert not packer.add(*ENTRY)
    assert packer.is_empty
    assert packer.take() == b""
    assert DirectoryPacker(info_class, needed).add(*ENTRY)


def test_entry_that_does_not_fit_changes_nothing():
    packer = DirectoryPacker(FileInfo.NAMES, 40)
    assert packer.add("a")
    assert not packer.add("a name that is too long")
    assert packer.add("b")  # the caller would stop at the first; a shorter one still fits
    assert not packer.is_empty
    assert packer.take() == pack(FileInfo.NAMES, [("a",), ("b",)])


def test_room_is_what_further_entries_may_take():
    packer = DirectoryPacker(FileInfo.NAMES, 33)
    assert packer.room == 33
    packer.add("a")  # 14 bytes, and 2 to the next multiple of 8
    assert packer.room == 17
    packer.add("b2")  # up to the 32nd byte
    assert packer.room == 1
    full = DirectoryPacker(FileInfo.NAMES, 14)
    full.add("a")
    assert full.room == 0


@given(st.lists(ENTRIES, min_size=1, max_size=8), st.integers(0, 1000))
def test_the_buffer_is_never_overrun(entries, output_length):
    packer = DirectoryPacker(FileInfo.ID_BOTH_DIRECTORY, output_length)
    taken = [entry for entry in entries if packer.add(*entry)]
    packed = packer.take()
    assert len(packed) <= output_length
    assert packer.is_empty
    assert (parse_directory_entries(FileInfo.ID_BOTH_DIRECTORY, packed) if packed else []) == taken


def test_packer_can_be_used_again():
    packer = DirectoryPacker(FileInfo.ID_BOTH_DIRECTORY, 4096)
    for _ in range(2):
        assert packer.add(*ENTRY)
        assert packer.take() == pack(FileInfo.ID_BOTH_DIRECTORY, [ENTRY])


# Hostile lists


@pytest.mark.parametrize("info_class", CLASSES)
def test_short(info_class):
    packed = pack(info_class, [ENTRY, ENTRY])
    for length in range(len(packed)):
        with pytest.raises(BadStructure):
            parse_directory_entries(info_class, packed[:length])


def test_name_longer_than_its_entry():
    packed = bytearray(pack(FileInfo.NAMES, [("a",), ("b",)]))
    packed[8] = 6
    with pytest.raises(BadStructure):
        parse_directory_entries(FileInfo.NAMES, packed)


def test_short_name_longer_than_its_field():
    packed = bytearray(pack(FileInfo.BOTH_DIRECTORY, [ENTRY]))
    packed[68] = 26
    with pytest.raises(BadStructure, match="26"):
        parse_directory_entries(FileInfo.BOTH_DIRECTORY, packed)


@pytest.mark.parametrize("info_class", [FileInfo.NAMES, FileInfo.ID_BOTH_DIRECTORY])
@given(data=st.binary(max_size=240))
def test_any_bytes(info_class, data):
    try:
        assert parse_directory_entries(info_class, data)
    except (BadStructure, UnicodeDecodeError):
        return
