import pytest

from smbport.wire import create_contexts
from smbport.wire.create_contexts import (
    AllocationSize,
    AppInstanceId,
    AppInstanceVersion,
    CreateContext,
    DurableFlag,
    DurableHandleReconnect,
    DurableHandleReconnectV2,
    DurableHandleRequest,
    DurableHandleRequestV2,
    DurableHandleResponse,
    DurableHandleResponseV2,
    LeaseContext,
    LeaseContextV2,
    LeaseFlag,
    LeaseState,
    MaximalAccessRequest,
    MaximalAccessResponse,
    OnDiskIdResponse,
    PosixCreateRequest,
    PosixCreateResponse,
    TimewarpToken,
    pack_create_contexts,
    parse_create_contexts,
    parse_lease,
    parse_maximal_access_request,
)
from smbport.wire.record import BadStructure

GUID = bytes.fromhex("e2d965d124afb349830d353d14d37d74")
KEY = bytes.fromhex("0df0dde0fe0fdcbaf20f221f01f02345")
PARENT = bytes.fromhex("90be11f8d3a7024697c2e01b6a54d3f6")
RWH = LeaseState.READ_CACHING | LeaseState.WRITE_CACHING | LeaseState.HANDLE_CACHING

EXAMPLES = [
    (
        CreateContext(next=0x20, name_offset=16, name_length=4, data_offset=24, data_length=8),
        "20000000 1000 0400 0000 1800 08000000",
    ),
    (DurableHandleRequest(), "00000000000000000000000000000000"),
    (DurableHandleResponse(), "0000000000000000"),
    (
        DurableHandleReconnect(file_id_persistent=0x0AC2CA44, file_id_volatile=0x05348A47),
        "44cac20a00000000 478a340500000000",
    ),
    (
        DurableHandleRequestV2(timeout=0xFFFFFFFF, flags=DurableFlag.PERSISTENT, create_guid=GUID),
        "ffffffff 02000000 0000000000000000 e2d965d124afb349830d353d14d37d74",
    ),
    (DurableHandleResponseV2(timeout=300_000, flags=0), "e0930400 00000000"),
    (
        DurableHandleReconnectV2(
            file_id_persistent=0xB5865979, file_id_volatile=0xFA4017C5, create_guid=GUID, flags=DurableFlag.PERSISTENT
        ),
        "795986b500000000 c51740fa00000000 e2d965d124afb349830d353d14d37d74 02000000",
    ),
    (AllocationSize(allocation_size=0x1000), "0010000000000000"),
    (MaximalAccessRequest(timestamp=0x01DD7AE2C8324BB0), "b04b32c8e27add01"),
    (MaximalAccessResponse(query_status=0, maximal_access=0x001F01FF), "00000000 ff011f00"),
    (TimewarpToken(timestamp=0x01DD7AE2C8324BB0), "b04b32c8e27add01"),
    (
        OnDiskIdResponse(disk_file_id=0x0020C534, volume_id=0xFE00),
        "34c5200000000000 00fe000000000000 00000000000000000000000000000000",
    ),
    (
        LeaseContext(lease_key=KEY, lease_state=RWH, lease_flags=LeaseFlag.BREAK_IN_PROGRESS),
        "0df0dde0fe0fdcbaf20f221f01f02345 07000000 02000000 0000000000000000",
    ),
    (
        LeaseContextV2(
            lease_key=KEY,
            lease_state=RWH,
            lease_flags=LeaseFlag.PARENT_LEASE_KEY_SET,
            parent_lease_key=PARENT,
            epoch=0x4711,
        ),
        "0df0dde0fe0fdcbaf20f221f01f02345 07000000 04000000 0000000000000000 90be11f8d3a7024697c2e01b6a54d3f61147 0000",
    ),
    (AppInstanceId(app_instance_id=GUID), "1400 0000 e2d965d124afb349830d353d14d37d74"),
    (
        AppInstanceVersion(app_instance_version_high=1, app_instance_version_low=2),
        "1800 0000 00000000 0100000000000000 0200000000000000",
    ),
    (PosixCreateRequest(mode=0o640), "a0010000"),
    (PosixCreateResponse(number_of_links=1, reparse_tag=0, mode=0o100640), "01000000 00000000 a0810000"),
]


@pytest.mark.parametrize(("expected", "example"), EXAMPLES, ids=[type(expected).__name__ for expected, _ in EXAMPLES])
def test_records(check_record, expected, example):
    check_record(expected, example)


def test_no_record_is_left_out(records_of):
    assert {type(expected) for expected, _ in EXAMPLES} == records_of(create_contexts)


# QFid without data as Windows asks, RqLs as smbtorture asks
CHAIN = bytes.fromhex(
    "18000000 1000 0400 0000 0000 00000000 51466964 00000000"
    "00000000 1000 0400 0000 1800 20000000 52714c73 00000000"
    "0df0dde0fe0fdcbaf20f221f01f02345 07000000 00000000 0000000000000000"
)


def parse(chain):
    return parse_create_contexts(chain, limit=4)


def test_list(check_parser):
    lease = LeaseContext(lease_key=KEY, lease_state=RWH).pack()
    contexts = [(b"QFid", b""), (b"RqLs", lease)]
    assert parse(CHAIN) == contexts
    assert pack_create_contexts(contexts) == CHAIN
    check_parser(parse, CHAIN)


def test_padding_of_a_last_name_without_data_is_optional():
    chain = bytes.fromhex("00000000 1000 0400 0000 1800 00000000 4d784163")
    assert parse(chain) == [(b"MxAc", b"")]
    assert parse(chain + bytes(4)) == [(b"MxAc", b"")]


def test_long_tags_and_odd_data():
    contexts = [(GUID, b"123"), (b"AAPL", b"1"), (b"12345", b"x")]
    assert parse(pack_create_contexts(contexts)) == contexts


@pytest.mark.parametrize(
    "chain",
    [
        pytest.param("", id="nothing"),
        pytest.param("00000000 1000 0400 0000 1800 080000", id="cut in the fixed part"),
        pytest.param("1c000000 1000 0400 0000 1800 00000000 4d784163 00000000 00000000 00000000", id="next unaligned"),
        pytest.param("08000000 1000 0400 0000 1800 00000000 4d784163 00000000", id="next inside itself"),
        pytest.param("10000000 1000 0400 0000 1800 00000000 4d784163 00000000", id="next before its name"),
        pytest.param("20000000 1000 0400 0000 1800 00000000 4d784163 00000000", id="next behind the end"),
        pytest.param("18000000 1000 0400 0000 1800 00000000 4d784163 00000000", id="next at the end"),
        pytest.param("f8ffffff 1000 0400 0000 1800 00000000 4d784163 00000000", id="next wraps"),
        pytest.param("00000000 0000 0400 0000 1800 00000000 4d784163 00000000", id="name in the fixed part"),
        pytest.param("00000000 1400 0400 0000 1800 00000000 4d784163 00000000", id="name elsewhere"),
        pytest.param("00000000 1000 0000 0000 1800 00000000 4d784163 00000000", id="no name"),
        pytest.param("00000000 1000 0300 0000 1800 00000000 4d784163 00000000", id="short name"),
        pytest.param("00000000 1000 0900 0000 1800 00000000 4d784163 00000000", id="name behind the end"),
        pytest.param("00000000 1000 ffff 0000 1800 00000000 4d784163 00000000", id="endless name"),
        pytest.param("00000000 1000 0400 0000 0000 04000000 4d784163 00000000", id="data in the fixed part"),
        pytest.param("00000000 1000 0400 0000 1000 04000000 4d784163 00000000", id="data in the name"),
        pytest.param("00000000 1000 0400 0000 1400 04000000 4d784163 00000000", id="data unaligned"),
        pytest.param("00000000 1000 0400 0000 1800 01000000 4d784163 00000000", id="data behind the end"),
        pytest.param("00000000 1000 0400 0000 1800 ffffffff 4d784163 00000000", id="endless data"),
        pytest.param("00000000 1000 0400 0000 f8ff 08000000 4d784163 00000000", id="data far away"),
        pytest.param(
            "18000000 1000 0400 0000 1800 08000000 4d784163 00000000"
            "00000000 1000 0400 0000 1800 00000000 51466964 00000000",
            id="data in the next context",
        ),
    ],
)
def test_lists_that_lie(chain):
    with pytest.raises(BadStructure):
        parse(bytes.fromhex(chain))


def test_lease_of_either_version():
    v1, v2 = LeaseContext(lease_key=KEY, lease_state=RWH), LeaseContextV2(lease_key=KEY, lease_state=RWH, epoch=7)
    assert parse_lease(v1.pack()) == v1
    assert parse_lease(v2.pack()) == v2
    for data in (b"", v1.pack()[:-1], v2.pack()[:-1], v2.pack() + b"\0"):
        with pytest.raises(BadStructure):
            parse_lease(data)


def test_maximal_access_with_and_without_timestamp():
    assert parse_maximal_access_request(b"") is None
    assert parse_maximal_access_request(bytes.fromhex("b04b32c8e27add01")) == EXAMPLES[8][0]
    with pytest.raises(BadStructure):
        parse_maximal_access_request(b"\0")
