import pytest
from hypothesis import given
from hypothesis import strategies as st

from smbport.wire.fscc_entries import (
    EaFlag,
    FullEa,
    HardLink,
    Stream,
    is_valid_ea_name,
    pack_ea_list,
    pack_ea_names,
    pack_hard_links,
    pack_streams,
    parse_ea_list,
    parse_ea_names,
    parse_hard_links,
    parse_streams,
)
from smbport.wire.record import BadStructure

NO_LIMIT = 1 << 20

NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
EA_NAMES = st.text(st.characters(min_codepoint=0x01, max_codepoint=0xFF), max_size=255)
EAS = st.lists(st.builds(FullEa, EA_NAMES, st.binary(max_size=300), st.integers(0, 255)), min_size=1, max_size=5)


def packed(hexadecimal: str) -> bytes:
    return bytes.fromhex(hexadecimal)


# Extended attributes

EA_LIST = [FullEa("EAONE", b"VALUE1"), FullEa("SECONDEA", b"ValueTwo", EaFlag.NEED_EA)]
EA_LIST_BYTES = packed(
    "14000000 00 05 0600 45414f4e45 00 56414c554531"  # 20 bytes, nothing to align
    "00000000 80 08 0800 5345434f4e444541 00 56616c756554776f"
)


def test_ea_list_example():
    assert pack_ea_list(EA_LIST, limit=NO_LIMIT) == (EA_LIST_BYTES, 2)
    assert parse_ea_list(memoryview(EA_LIST_BYTES)) == EA_LIST


def test_ea_list_is_padded_to_4_between_entries_only():
    data, _ = pack_ea_list([FullEa("A", b"x"), FullEa("B", b"y")], limit=NO_LIMIT)
    assert data == packed("0c000000 00 01 0100 41 00 78 00" + "00000000 00 01 0100 42 00 79")


@pytest.mark.parametrize(
    ("limit", "count"), [(0, 0), (19, 0), (20, 1), (len(EA_LIST_BYTES) - 1, 1), (len(EA_LIST_BYTES), 2)]
)
def test_ea_list_leaves_out_what_does_not_fit(limit, count):
    data, taken = pack_ea_list(EA_LIST, limit=limit)
    assert taken == count
    assert len(data) <= limit
    assert data == pack_ea_list(EA_LIST[:count], limit=NO_LIMIT)[0]


@given(EAS)
def test_ea_list_round_trip(eas):
    data, count = pack_ea_list(eas, limit=NO_LIMIT)
    assert count == len(eas)
    assert parse_ea_list(data) == eas


@pytest.mark.parametrize("length", range(len(EA_LIST_BYTES)))
def test_short_ea_list(length):
    with pytest.raises(BadStructure):
        parse_ea_list(memoryview(EA_LIST_BYTES)[:length])


SECOND = "00000000 00 01 0000 42 00"


@pytest.mark.parametrize(
    "hexadecimal",
    [
        pytest.param("14000000 00 01 0100 41 00 78 00", id="next entry behind the buffer"),
        pytest.param("fcffffff 00 01 0100 41 00 78 00" + SECOND, id="next entry at 4 GiB"),
        pytest.param("04000000 00 01 0100 41 00 78 00" + SECOND, id="next entry inside this one"),
        pytest.param("0c000000 00 01 0300 41 00 78 7878 000000" + SECOND, id="value reaches into the next entry"),
        pytest.param("0b000000 00 01 0100 41 00 78" + SECOND, id="next entry not aligned"),
        pytest.param("10000000 00 01 0100 41 00 78 00 00000000" + SECOND, id="gap before the next entry"),
        pytest.param("00000000 00 01 0100 41 41 78 00", id="name without its zero byte"),
        pytest.param("00000000 00 02 0100 41 00 00 78", id="zero byte inside the name"),
        pytest.param("00000000 00 ff 0000 41 00 00 00", id="name longer than the buffer"),
        pytest.param("00000000 00 01 ffff 41 00 00 00", id="value longer than the buffer"),
        pytest.param("00000000 00 01 0000 41", id="name ends with the buffer"),
        pytest.param("0c000000 00 01 0100 41 00 78 00", id="next entry at the end of the buffer"),
    ],
)
def test_lying_ea_list(hexadecimal):
    with pytest.raises(BadStructure):
        parse_ea_list(packed(hexadecimal))


def test_many_tiny_ea_entries_end():
    """A chain as long as it can be is walked once."""
    data, count = pack_ea_list([FullEa("A", b"")] * 5000, limit=65536)
    assert (count, len(parse_ea_list(data))) == (5000, 5000)


GET_EA = packed("0c000000 05 45414f4e45 00 00" + "00000000 01 41 00")


def test_ea_names_example():
    assert pack_ea_names(["EAONE", "A"]) == GET_EA
    assert parse_ea_names(GET_EA) == ["EAONE", "A"]


@given(st.lists(EA_NAMES, min_size=1, max_size=5))
def test_ea_names_round_trip(names):
    assert parse_ea_names(pack_ea_names(names)) == names


@pytest.mark.parametrize("length", range(len(GET_EA)))
def test_short_ea_names(length):
    with pytest.raises(BadStructure):
        parse_ea_names(GET_EA[:length])


@pytest.mark.parametrize(
    "hexadecimal",
    [
        pytest.param("00000000 05 41 00", id="name longer than the buffer"),
        pytest.param("00000000 01 41 41", id="name without its zero byte"),
        pytest.param("10000000 01 41 00 00 00000000 00000000" + "00000000 01 41 00", id="gap"),
    ],
)
def test_lying_ea_names(hexadecimal):
    with pytest.raises(BadStructure):
        parse_ea_names(packed(hexadecimal))


@given(st.binary(max_size=64))
def test_any_bytes_as_ea_lists(data):
    for parse in (parse_ea_list, parse_ea_names):
        try:
            result = parse(data)
        except BadStructure:
            continue
        assert result


@pytest.mark.parametrize(
    ("name", "valid"),
    [
        ("EAONE", True),
        ("user.name-1 x", True),
        ("", False),
        ("a=b", False),
        ("a:b", False),
        ("a\\b", False),
        ("a\x1fb", False),
        ("a\x7f", False),
        ("\xe4", False),
    ],
)
def test_valid_ea_name(name, valid):
    assert is_valid_ea_name(name) is valid


# Streams

STREAMS = [Stream("::$DATA", 5, 4096), Stream(":Zone.Identifier:$DATA", 26, 32)]
STREAMS_BYTES = packed(
    "28000000 0e000000 0500000000000000 0010000000000000"
    "3a003a002400440041005400410000 00"  # "::$DATA" and 2 bytes of padding
    "00000000 2c000000 1a00000000000000 2000000000000000"
    "3a005a006f006e0065002e004900640065006e007400690066006900650072003a002400440041005400410 0".replace(" ", "")
)


def test_streams_example():
    assert pack_streams(STREAMS, limit=NO_LIMIT) == (STREAMS_BYTES, 2)
    assert parse_streams(STREAMS_BYTES) == STREAMS


def test_no_streams():
    assert pack_streams([], limit=NO_LIMIT) == (b"", 0)
    assert parse_streams(b"") == []


@pytest.mark.parametrize(("limit", "count"), [(37, 0), (38, 1), (len(STREAMS_BYTES) - 1, 1), (len(STREAMS_BYTES), 2)])
def test_streams_leave_out_what_does_not_fit(limit, count):
    data, taken = pack_streams(STREAMS, limit=limit)
    assert taken == count
    assert data == pack_streams(STREAMS[:count], limit=NO_LIMIT)[0]


SIZES = st.integers(0, (1 << 64) - 1)


@given(st.lists(st.builds(Stream, NAMES, SIZES, SIZES), max_size=5))
def test_streams_round_trip(streams):
    data, count = pack_streams(streams, limit=NO_LIMIT)
    assert count == len(streams)
    assert parse_streams(memoryview(data)) == streams


@pytest.mark.parametrize("length", range(1, len(STREAMS_BYTES)))
def test_short_streams(length):
    with pytest.raises(BadStructure):
        parse_streams(STREAMS_BYTES[:length])


# Hard links

LINKS = [HardLink(5, "a.txt"), HardLink(0x0005000000000005, "b")]
LINKS_BYTES = packed(
    "3e000000 02000000"  # 62 bytes, 2 entries
    "20000000 00000000 0500000000000000 05000000 61002e007400780074000000"
    "00000000 00000000 0500000000000500 01000000 6200"
)


def test_hard_links_example():
    assert pack_hard_links(LINKS, limit=NO_LIMIT) == (LINKS_BYTES, 2)
    assert parse_hard_links(LINKS_BYTES) == LINKS


@pytest.mark.parametrize(("limit", "count"), [(32, 0), (38, 1), (61, 1), (62, 2)])
def test_hard_links_that_do_not_fit_are_announced(limit, count):
    data, taken = pack_hard_links(LINKS, limit=limit)
    assert taken == count
    assert len(data) <= limit
    assert int.from_bytes(data[:4], "little") == len(LINKS_BYTES)
    assert parse_hard_links(data) == LINKS[:count]


@given(st.lists(st.builds(HardLink, SIZES, NAMES), min_size=1, max_size=5))
def test_hard_links_round_trip(links):
    data, count = pack_hard_links(links, limit=NO_LIMIT)
    assert (parse_hard_links(data), count) == (links, len(links))


@pytest.mark.parametrize("length", range(len(LINKS_BYTES)))
def test_short_hard_links(length):
    with pytest.raises(BadStructure):
        parse_hard_links(LINKS_BYTES[:length])


@given(st.binary(max_size=80))
def test_any_bytes_as_streams_and_links(data):
    for parse in (parse_streams, parse_hard_links):
        try:
            assert isinstance(parse(data), list)
        except (BadStructure, UnicodeDecodeError):
            continue
