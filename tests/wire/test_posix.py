"""Information level 100 of the POSIX extensions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smbport.wire.posix import (
    ENTRY_FIXED_SIZE,
    NO_COUNT,
    FileFsPosixInformation,
    FilePosixInformation,
    PosixDirectoryPacker,
    PosixEntry,
    PosixType,
    pack_posix_information,
    parse_posix_entries,
    parse_posix_information,
)
from smbport.wire.record import BadStructure
from smbport.wire.security import Sid, unix_group_sid, unix_user_sid

OWNER, GROUP = unix_user_sid(1000), unix_group_sid(100)


def information(inode: int = 7) -> FilePosixInformation:
    return FilePosixInformation(
        creation_time=1, last_access_time=2, last_write_time=3, change_time=4, end_of_file=5, allocation_size=6,
        file_attributes=0x20, inode=inode, device=8, number_of_links=9, reparse_tag=10,
        mode=0o644 | PosixType.FIFO,
    )  # fmt: skip


def test_the_layout_is_that_of_the_kernel():
    """struct smb311_posix_qinfo of Linux' fs/smb/client/smb2pdu.h."""
    packed = pack_posix_information(information(), OWNER, GROUP)
    numbers = [int.from_bytes(packed[start : start + 8], "little") for start in range(0, 48, 8)]
    assert numbers == [1, 2, 3, 4, 5, 6]
    assert packed[48:80].hex(" ", 4) == "20000000 07000000 00000000 08000000 00000000 09000000 0a000000 a4510000"
    assert packed[80:] == OWNER.pack() + GROUP.pack()
    assert parse_posix_information(packed) == PosixEntry("", information(), OWNER, GROUP)


def test_the_layout_of_a_volume():
    """FILE_SYSTEM_POSIX_INFO of Linux' fs/smb/common/smb2pdu.h."""
    volume = FileFsPosixInformation(
        optimal_transfer_size=1, block_size=2, total_blocks=3, blocks_available=4, user_blocks_available=5,
        total_file_nodes=NO_COUNT, free_file_nodes=6, file_system_identifier=7,
    )  # fmt: skip
    packed = volume.pack()
    assert packed.hex(" ", 8) == (
        "0100000002000000 0300000000000000 0400000000000000 0500000000000000 ffffffffffffffff 0600000000000000 "
        "0700000000000000"
    )
    assert FileFsPosixInformation.unpack_from(packed) == volume


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=20)), st.integers(0, 2000))
def test_entries_there_and_back(names: list[str], room: int):
    packer = PosixDirectoryPacker(room)
    packed = pack_posix_information(information(), OWNER, GROUP)
    taken = []
    for name in names:
        if not packer.add_posix(name, packed):
            break
        taken.append(name)
    assert packer.is_empty == (not taken)
    buffer = packer.take()
    assert len(buffer) <= room
    if not taken:
        assert buffer == b""
        return
    assert parse_posix_entries(buffer) == [PosixEntry(name, information(), OWNER, GROUP) for name in taken]


def test_the_shortest_entry():
    shortest = Sid(0, ())
    packer = PosixDirectoryPacker(ENTRY_FIXED_SIZE)
    assert packer.add_posix("", pack_posix_information(information(), shortest, shortest))
    assert len(packer.take()) == ENTRY_FIXED_SIZE


def test_an_entry_that_does_not_fit_changes_nothing():
    packed = pack_posix_information(information(), OWNER, GROUP)
    packer = PosixDirectoryPacker(len(packed) + 12 + 2)
    assert not packer.add_posix("ab", packed)
    assert packer.add_posix("a", packed)
    assert [entry.name for entry in parse_posix_entries(packer.take())] == ["a"]


@pytest.mark.parametrize("cut", [0, 4, 40, 80, 90, 100, 113])
def test_cut_entries(cut: int):
    packer = PosixDirectoryPacker(1000)
    packer.add_posix("name", pack_posix_information(information(), OWNER, GROUP))
    buffer = packer.take()
    with pytest.raises(BadStructure):
        parse_posix_entries(buffer[:cut])


def test_lying_lengths():
    packed = bytearray(pack_posix_information(information(), OWNER, GROUP))
    packer = PosixDirectoryPacker(1000)
    packer.add_posix("name", bytes(packed))
    buffer = bytearray(packer.take())
    buffer[8 + len(packed) : 12 + len(packed)] = b"\xff\xff\xff\x7f"
    with pytest.raises(BadStructure):
        parse_posix_entries(bytes(buffer))
    packed[81] = 200
    with pytest.raises(BadStructure):
        parse_posix_information(bytes(packed))
