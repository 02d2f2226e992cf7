import pytest

from smbport.wire import lock
from smbport.wire.constants import LockFlag
from smbport.wire.header import HEADER_SIZE
from smbport.wire.lock import LockElement, LockRequest, LockResponse, lock_elements, pack_lock_request
from smbport.wire.record import BadStructure

EXAMPLES = [
    (
        LockRequest(lock_count=1, lock_sequence=0x21, file_id_persistent=0xEBD3D07D, file_id_volatile=0x504C1524),
        "3000 0100 21000000 7dd0d3eb00000000 24154c5000000000",
    ),
    (
        LockElement(offset=0x7FFFFFFFFFFFFFFF, length=1, flags=LockFlag.EXCLUSIVE | LockFlag.FAIL_IMMEDIATELY),
        "ffffffffffffff7f 0100000000000000 12000000 00000000",
    ),
    (LockResponse(), "0400 0000"),
]


@pytest.mark.parametrize(("expected", "example"), EXAMPLES, ids=[type(expected).__name__ for expected, _ in EXAMPLES])
def test_records(check_record, expected, example):
    check_record(expected, example)


def test_no_record_is_left_out(records_of):
    assert {type(expected) for expected, _ in EXAMPLES} == records_of(lock)


def parse_request(message):
    request = LockRequest.unpack_from(message, HEADER_SIZE)
    return request, lock_elements(message, request)


def new_request(**fields):
    return LockRequest(file_id_persistent=1, file_id_volatile=2, **fields)


def test_elements(check_parser):
    request = new_request()
    elements = [
        LockElement(offset=0, length=10, flags=LockFlag.SHARED),
        LockElement(offset=1 << 63, length=1, flags=LockFlag.UNLOCK),
    ]
    body = pack_lock_request(request, elements)
    assert request.lock_count == 2
    assert len(body) == 48 + 24
    assert parse_request(bytes(HEADER_SIZE) + body) == (request, elements)
    check_parser(parse_request, bytes(HEADER_SIZE) + body)


def test_no_elements():
    assert parse_request(bytes(HEADER_SIZE) + pack_lock_request(new_request(), [])) == (new_request(), [])


@pytest.mark.parametrize("count", [2, 65535])
def test_less_elements_than_counted(count):
    message = bytes(HEADER_SIZE) + new_request(lock_count=count).pack() + bytes(24)
    with pytest.raises(BadStructure):
        parse_request(message)


@pytest.mark.parametrize("structure_size", [0, 24, 49])
def test_wrong_structure_size(structure_size):
    message = bytes(HEADER_SIZE) + new_request(structure_size=structure_size, lock_count=1).pack() + bytes(24)
    with pytest.raises(BadStructure, match="StructureSize"):
        parse_request(message)
