"""Reparse points: what Windows writes, and what lies."""

import pytest

from smbport.wire import reparse
from smbport.wire.record import BadStructure
from smbport.wire.reparse import (
    ReparseDataHeader,
    ReparseTag,
    SymbolicLink,
    SymlinkFlag,
    SymlinkReparseData,
    pack_symbolic_link,
    parse_reparse_data,
    parse_symbolic_link,
)

# A relative link to "a\b", the printed name first.
LINK = bytes.fromhex(
    "0c0000a0 1800 0000"  # tag, length, reserved
    "0600 0600 0000 0600 01000000"  # the two names, RELATIVE
    "61005c006200 61005c006200"
)

EXAMPLES = [
    (ReparseDataHeader(reparse_tag=ReparseTag.SYMLINK, reparse_data_length=24), "0c0000a0 1800 0000"),
    (
        SymlinkReparseData(
            substitute_name_offset=6, substitute_name_length=8, print_name_offset=1, print_name_length=2, flags=1
        ),
        "0600 0800 0100 0200 01000000",
    ),
]


@pytest.mark.parametrize(("expected", "example"), EXAMPLES)
def test_records(check_record, expected, example):
    check_record(expected, example)


def test_every_record_has_an_example(records_of):
    assert records_of(reparse) == {type(expected) for expected, _ in EXAMPLES}


def test_a_link():
    link = SymbolicLink("a\\b", "a\\b", SymlinkFlag.RELATIVE)
    assert pack_symbolic_link(link) == LINK
    tag, data = parse_reparse_data(LINK)
    assert tag == ReparseTag.SYMLINK
    assert parse_symbolic_link(data) == link


@pytest.mark.parametrize("name", ["", "Ünï", "x" * 4000])
def test_names_come_back(name):
    link = SymbolicLink(name, name[:2], 0)
    assert parse_symbolic_link(parse_reparse_data(pack_symbolic_link(link))[1]) == link


def test_lengths_that_lie():
    for bad in (LINK[:-1], LINK + b"\0", LINK[:4] + b"\xff\xff" + LINK[6:], LINK[:7], b""):
        with pytest.raises(BadStructure):
            parse_reparse_data(bad)
    data = LINK[8:]
    for at in (0, 2, 4, 6):
        with pytest.raises(BadStructure):
            parse_symbolic_link(data[:at] + b"\xff\x00" + data[at + 2 :])
    for end in range(len(data) - 6):
        with pytest.raises(BadStructure):
            parse_symbolic_link(data[:end])


def test_special_files():
    """The example of [MS-FSCC] 2.1.2.6's numbers: their names, from the last byte on."""
    assert reparse.pack_special_file(reparse.NfsType.FIFO) == bytes.fromhex("14000080 0800 0000") + b"FIFO" + bytes(4)
    for kind in (reparse.NfsType.FIFO, reparse.NfsType.SOCKET):
        tag, data = parse_reparse_data(reparse.pack_special_file(kind))
        assert (tag, reparse.parse_special_file(data)) == (ReparseTag.NFS, kind)
    device = reparse.NfsType.CHARACTER_DEVICE.to_bytes(8, "little") + bytes([1, 0, 0, 0, 3, 0, 0, 0])
    assert reparse.parse_special_file(device) == reparse.NfsType.CHARACTER_DEVICE
    with pytest.raises(BadStructure):
        reparse.parse_special_file(device[:7])
