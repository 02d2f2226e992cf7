"""smbport.wire.all_information: says the same as the records that read it."""

from smbport.wire import fscc
from smbport.wire.all_information import pack_all_information

BASIC = fscc.FileBasicInformation(
    creation_time=(1 << 64) - 1, last_access_time=2, last_write_time=3, change_time=4, file_attributes=0xFFFFFFFF
)
STANDARD = fscc.FileStandardInformation(
    allocation_size=(1 << 40) + 5, end_of_file=(1 << 40) + 4, number_of_links=6, delete_pending=1, directory=1
)


def test_it_says_the_same_as_the_records():
    expected = fscc.FileAllInformation(
        basic=BASIC,
        standard=STANDARD,
        internal=fscc.FileInternalInformation(index_number=7),
        ea=fscc.FileEaInformation(ea_size=8),
        access=fscc.FileAccessInformation(access_flags=9),
        position=fscc.FilePositionInformation(current_byte_offset=(1 << 63) - 1),
        mode=fscc.FileModeInformation(mode=11),
        alignment=fscc.FileAlignmentInformation(alignment_requirement=12),
        name="\\ä\\b",
    )
    packed = pack_all_information(
        (1 << 64) - 1, 2, 3, 4, 0xFFFFFFFF, (1 << 40) + 5, (1 << 40) + 4, 6, True, True, 7, 8, 9, (1 << 63) - 1, 11,
        12, "\\ä\\b",
    )  # fmt: skip
    assert packed == expected.pack()
    assert fscc.FileAllInformation.parse(packed) == expected
