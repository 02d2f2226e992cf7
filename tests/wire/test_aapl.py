"""Apple's extensions: the create context, Finder info, and entries of listings."""

import struct

import pytest

from smbport.wire.aapl import (
    AFP_INFO_SIZE,
    EMPTY_AFP_INFO,
    MacDirectoryPacker,
    finder_info_of,
    pack_finder_info,
    pack_server_answer,
    parse_server_query,
)
from smbport.wire.constants import FileInfo
from smbport.wire.fscc_directory import parse_directory_entries
from smbport.wire.record import BadStructure

FINDER_INFO = bytes(range(1, 33))
Y2K_NS = 946_684_800 * 10**9


def test_query() -> None:
    query = parse_server_query(struct.pack("<IIQQ", 1, 0, 7, 5))
    assert (query.command, query.wanted, query.capabilities) == (1, 7, 5)


@pytest.mark.parametrize("data", [b"", struct.pack("<IIQ", 1, 0, 7), bytes(24), struct.pack("<IIQQB", 1, 0, 7, 5, 0)])
def test_what_is_no_query(data: bytes) -> None:
    with pytest.raises(BadStructure):
        parse_server_query(data)


def test_answer_has_what_is_wanted_and_known() -> None:
    assert pack_server_answer(7, 5, 6, "Mac") == struct.pack("<IIQQQII6s", 1, 0, 7, 5, 6, 0, 6, b"M\0a\0c\0")
    assert pack_server_answer(2 | 8, 5, 6, "Mac") == struct.pack("<IIQQ", 1, 0, 2, 6)
    assert pack_server_answer(0, 5, 6, "Mac") == struct.pack("<IIQ", 1, 0, 0)


def test_finder_info_is_empty_at_first() -> None:
    assert len(EMPTY_AFP_INFO) == AFP_INFO_SIZE
    assert EMPTY_AFP_INFO[:16] == b"AFP\0" + bytes.fromhex("00000100 00000000 80000000")
    assert finder_info_of(EMPTY_AFP_INFO) == bytes(32)
    assert finder_info_of(bytes(16) + FINDER_INFO + bytes(12)) == FINDER_INFO


@pytest.mark.parametrize(("is_file", "kind"), [(True, FINDER_INFO[:8]), (False, bytes(8))], ids=["file", "directory"])
def test_finder_info_in_a_listing(is_file: bool, kind: bytes) -> None:
    packed = pack_finder_info(FINDER_INFO, 77, Y2K_NS + 5 * 10**9, is_file=is_file)
    assert packed == struct.pack("<Q", 77) + kind + b"\x09\x0a" + b"\x19\x1a" + struct.pack(">i", 5)


@pytest.mark.parametrize("birth_ns", [Y2K_NS + (1 << 31) * 10**9, -(1 << 62)])
def test_a_time_that_the_finder_cannot_tell(birth_ns: int) -> None:
    assert pack_finder_info(FINDER_INFO, 0, birth_ns, is_file=True)[-4:] == b"\x80\0\0\0"


def test_entry() -> None:
    packer = MacDirectoryPacker(1000)
    info = pack_finder_info(FINDER_INFO, 3, Y2K_NS, is_file=True)
    assert packer.add("name", 1, 2, 3, 4, 5, 6, 0x20, 0x1F01FF, 0, info, 0o100644)
    data = packer.take()
    (entry,) = parse_directory_entries(FileInfo.ID_BOTH_DIRECTORY, data)
    assert (entry.name, entry.end_of_file, entry.ea_size, entry.file_id) == ("name", 5, 0x1F01FF, 0)
    assert entry.short_name == info
    assert struct.unpack_from("<H", data, 94) == (0o100644,)
