"""Referrals: records as [MS-DFSC] has them, every version of a response, and what lies."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smbport.wire import dfs
from smbport.wire.dfs import (
    DfsReferralV1,
    DfsReferralV2,
    DfsReferralV3,
    EntryFlag,
    Referral,
    ReferralFlag,
    ReferralHeader,
    ReferralRequest,
    ReferralRequestEx,
    ServerType,
    Target,
    pack_referral,
    pack_referral_request,
    pack_referral_request_ex,
    parse_referral,
    parse_referral_request,
    parse_referral_request_ex,
)
from smbport.wire.record import BadStructure

EXAMPLES = [
    (ReferralRequest(max_referral_level=4), "0400"),
    (ReferralRequestEx(max_referral_level=4, request_flags=1, request_data_length=18), "0400 0100 12000000"),
    (ReferralHeader(path_consumed=26, number_of_referrals=2, referral_header_flags=3), "1a00 0200 03000000"),
    (DfsReferralV1(version_number=1, size=30, server_type=1, referral_entry_flags=2), "0100 1e00 0100 0200"),
    (
        DfsReferralV2(
            version_number=2, size=22, server_type=0, referral_entry_flags=0, proximity=5, time_to_live=300,
            dfs_path_offset=22, dfs_alternate_path_offset=40, network_address_offset=60,
        ),
        "0200 1600 0000 0000 05000000 2c010000 1600 2800 3c00",
    ),
    (
        DfsReferralV3(
            version_number=4, size=34, server_type=1, referral_entry_flags=4, time_to_live=1800, dfs_path_offset=34,
            dfs_alternate_path_offset=50, network_address_offset=70,
        ),
        "0400 2200 0100 0400 08070000 2200 3200 4600" + "00" * 16,
    ),
]  # fmt: skip

LINK = Referral("\\srv\\s\\l", ("\\one\\a", "\\two\\b\\c"), ServerType.LINK, ReferralFlag.STORAGE_SERVERS, 1800)

# The same with one target in version 3, as it is on the wire.
ON_THE_WIRE = bytes.fromhex(
    "1000 0100 02000000"  # 16 bytes consumed, one referral, storage servers
    "0300 2200 0000 0000 08070000 2200 2200 3400" + "00" * 16
    + "5c007300720076005c0073005c006c000000"  # \srv\s\l
    + "5c006f006e0065005c0061000000"  # \one\a
)  # fmt: skip


@pytest.mark.parametrize(("expected", "example"), EXAMPLES)
def test_records(check_record, expected, example):
    check_record(expected, example)


def test_every_record_has_an_example(records_of):
    assert records_of(dfs) == {type(expected) for expected, _ in EXAMPLES}


def test_requests_come_back():
    for path in ("", "\\", "\\srv\\share", "\\Ünï\\\N{GRINNING FACE}"):
        assert parse_referral_request(pack_referral_request(3, path)) == (3, path)
        assert parse_referral_request_ex(pack_referral_request_ex(4, path)) == (4, path)


def test_what_is_behind_the_name_of_a_request_does_not_count():
    assert parse_referral_request(pack_referral_request(2, "\\a\\b") + b"more") == (2, "\\a\\b")
    site = b"\x08\0S\0i\0t\0e\0"
    request = pack_referral_request_ex(4, "\\a\\b") + site
    request = request[:4] + (len(request) - 8).to_bytes(4, "little") + request[8:]
    assert parse_referral_request_ex(request) == (4, "\\a\\b")


@pytest.mark.parametrize("end", range(2 + 12))
def test_a_request_that_ends_early(end):
    with pytest.raises(BadStructure):
        parse_referral_request(pack_referral_request(3, "\\a\\bc")[:end])


@pytest.mark.parametrize("end", range(8 + 2 + 12))
def test_an_extended_request_that_ends_early(end):
    with pytest.raises(BadStructure):
        parse_referral_request_ex(pack_referral_request_ex(3, "\\a\\bc")[:end])


def test_an_extended_request_without_names():
    for lie in ("0400 0000 00000000", "0400 0000 02000000 0400", "0400 0000 04000000 0300 4100"):
        with pytest.raises(BadStructure):
            parse_referral_request_ex(bytes.fromhex(lie))


def test_a_response_on_the_wire():
    assert pack_referral(LINK._replace(targets=LINK.targets[:1]), 3) == ON_THE_WIRE
    header, targets = parse_referral(ON_THE_WIRE)
    assert header.path_consumed == len("\\srv\\s\\l") * 2
    assert targets == [Target("\\srv\\s\\l", "\\one\\a")]


@pytest.mark.parametrize("version", [1, 2, 3, 4])
def test_every_version_says_the_same(version):
    header, targets = parse_referral(pack_referral(LINK, version))
    assert (header.path_consumed, header.number_of_referrals, header.referral_header_flags) == (16, 2, 2)
    path = "" if version == 1 else LINK.path
    assert targets == [Target(path, target) for target in LINK.targets]


def test_the_first_target_of_version_4_begins_a_set():
    packed = pack_referral(LINK, 4)
    first, second = (DfsReferralV3.unpack_from(packed, 8 + number * DfsReferralV3.SIZE) for number in (0, 1))
    assert (first.referral_entry_flags, second.referral_entry_flags) == (EntryFlag.TARGET_SET_BOUNDARY, 0)


names = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)


@given(names, st.lists(names, min_size=1, max_size=4), st.integers(1, 4))
def test_any_names_come_back(path, targets, version):
    packed = pack_referral(LINK._replace(path=path, targets=tuple(targets)), version)
    header, found = parse_referral(packed)
    assert header.path_consumed == len(path.encode("utf-16-le"))
    assert [target.network_address for target in found] == targets


@given(st.binary(max_size=80), st.integers(0, 3))
def test_no_bytes_are_read_that_are_not_there(data, entries):
    for parse, more in (
        (parse_referral, b"\0\0" + entries.to_bytes(2, "little") + bytes(4)),
        (parse_referral_request, b""),
        (parse_referral_request_ex, b""),
    ):
        try:
            parse(more + data)
        except (BadStructure, UnicodeDecodeError):
            continue


@pytest.mark.parametrize("version", [1, 2, 3, 4])
def test_a_prefix_of_a_response_is_no_response(version):
    packed = pack_referral(LINK, version)
    for end in range(len(packed)):
        with pytest.raises(BadStructure):
            parse_referral(packed[:end])


def test_entries_that_lie():
    for at, lie in ((8, b"\5\0"), (8, b"\0\0"), (10, b"\1\0"), (8 + 12, b"\2\0"), (8 + 16, b"\2\0")):
        with pytest.raises(BadStructure):
            parse_referral(ON_THE_WIRE[:at] + lie + ON_THE_WIRE[at + 2 :])
