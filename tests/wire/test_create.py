import pytest

from smbport.wire import create
from smbport.wire.constants import Access, ContextTag, CreateAction, CreateDisposition, CreateOption, OplockLevel
from smbport.wire.create import CreateRequest, CreateResponse, create_contexts, create_name, pack_create_request
from smbport.wire.create_contexts import pack_create_contexts
from smbport.wire.header import HEADER_SIZE
from smbport.wire.record import BadStructure

EXAMPLES = [
    (
        CreateRequest(
            requested_oplock_level=OplockLevel.LEASE,
            impersonation_level=2,
            desired_access=0x001F01FF,
            file_attributes=0x80,
            share_access=7,
            create_disposition=CreateDisposition.OPEN_IF,
            create_options=CreateOption.NON_DIRECTORY_FILE,
            name_offset=0x78,
            name_length=0x26,
            create_contexts_offset=0xA0,
            create_contexts_length=0x4C,
        ),
        "3900 00 ff 02000000 0000000000000000 0000000000000000 ff011f00 80000000 07000000 03000000 40000000 7800 2600"
        "a0000000 4c000000",
    ),
    (
        CreateResponse(
            oplock_level=OplockLevel.LEASE,
            create_action=CreateAction.CREATED,
            creation_time=0x01DD7AE2C8324BB0,
            last_access_time=0x01DD7AE2C8324BB1,
            last_write_time=0x01DD7AE2C8324BB2,
            change_time=0x01DD7AE2C8324BB3,
            allocation_size=0x1000,
            end_of_file=6,
            file_attributes=0x20,
            file_id_persistent=0xA53D4C1D,
            file_id_volatile=0x7CC61F5F,
            create_contexts_offset=0x98,
            create_contexts_length=0x4C,
        ),
        "5900 ff 00 02000000 b04b32c8e27add01 b14b32c8e27add01 b24b32c8e27add01 b34b32c8e27add01 0010000000000000"
        "0600000000000000 20000000 00000000 1d4c3da500000000 5f1fc67c00000000 98000000 4c000000",
    ),
]


@pytest.mark.parametrize(("expected", "example"), EXAMPLES, ids=[type(expected).__name__ for expected, _ in EXAMPLES])
def test_records(check_record, expected, example):
    check_record(expected, example)


def test_no_record_is_left_out(records_of):
    assert {type(expected) for expected, _ in EXAMPLES} == records_of(create)


def parse_request(message):
    request = CreateRequest.unpack_from(message, HEADER_SIZE)
    return request, create_name(message, request), create_contexts(message, request, limit=8)


def parse_response(message):
    response = CreateResponse.unpack_from(message, HEADER_SIZE)
    return response, create_contexts(message, response, limit=8)


def test_request_of_windows(captured, check_parser):
    message = captured("create_request_windows")
    request, name, contexts = parse_request(message)
    assert name == r"docs\plan.docx"
    assert request.desired_access == Access.FILE_GENERIC_READ
    assert [(tag, len(data)) for tag, data in contexts] == [
        (ContextTag.DURABLE_REQUEST_V2, 32),
        (ContextTag.APP_INSTANCE_ID, 20),
        (ContextTag.MAXIMAL_ACCESS, 0),
        (ContextTag.ON_DISK_ID, 0),
        (ContextTag.LEASE, 52),
    ]
    check_parser(parse_request, message)
    assert pack_create_request(request, name, contexts) == message[HEADER_SIZE:]


def test_request_of_smbtorture(captured, check_parser):
    message = captured("create_request_smbtorture")
    request, name, contexts = parse_request(message)
    assert name == "test_create.dat"
    assert [tag for tag, _ in contexts] == [
        ContextTag.MAXIMAL_ACCESS, ContextTag.ALLOCATION_SIZE, ContextTag.DURABLE_REQUEST, ContextTag.TIMEWARP,
    ]  # fmt: skip
    check_parser(parse_request, message)
    again = bytes(HEADER_SIZE) + pack_create_request(request, name, contexts)
    assert parse_request(again) == (request, name, contexts)


def test_response_of_samba(captured, check_parser, check_offset):
    message = captured("create_response_samba")
    response, contexts = parse_response(message)
    assert response.create_action == CreateAction.CREATED
    assert [(tag, len(data)) for tag, data in contexts] == [(ContextTag.ON_DISK_ID, 32)]
    check_parser(parse_response, message)
    check_offset(parse_response, message, HEADER_SIZE + 80)


def new_request(**fields):
    return CreateRequest(
        requested_oplock_level=0,
        impersonation_level=2,
        desired_access=Access.READ_ATTRIBUTES,
        file_attributes=0,
        share_access=7,
        create_disposition=CreateDisposition.OPEN,
        create_options=0,
        **fields,
    )


def test_empty_name():
    request = new_request()
    body = pack_create_request(request, "")
    assert len(body) == CreateRequest.STRUCTURE_SIZE
    assert parse_request(bytes(HEADER_SIZE) + body) == (request, "", [])
    body = pack_create_request(request, "", [(b"MxAc", b"")])
    assert parse_request(bytes(HEADER_SIZE) + body) == (request, "", [(b"MxAc", b"")])


def test_response_without_contexts():
    response = CreateResponse.unpack_from(bytes.fromhex("5900") + bytes(86))
    assert parse_response(bytes(HEADER_SIZE) + response.pack()) == (response, [])


@pytest.mark.parametrize(
    ("offset", "length"),
    [
        pytest.param(0, 24, id="in the header"),
        pytest.param(0x70, 24, id="in the fixed part"),
        pytest.param(0x80, 24, id="partly behind the end"),
        pytest.param(0xFFFFFFF8, 0xFFFFFFFF, id="far behind the end"),
        pytest.param(0x78, 8, id="less than a context"),
    ],
)
def test_contexts_that_lie(offset, length):
    request = new_request(create_contexts_offset=offset, create_contexts_length=length)
    message = (
        bytes(HEADER_SIZE) + request.pack() + bytes.fromhex("00000000 1000 0400 0000 0000 00000000 4d784163 00000000")
    )
    with pytest.raises(BadStructure):
        create_contexts(message, request, limit=8)


def test_unaligned_contexts():
    request = new_request(create_contexts_offset=0x7C, create_contexts_length=24)
    message = bytes(HEADER_SIZE) + request.pack() + bytes(4) + pack_create_contexts([(b"MxAc", b"")])
    with pytest.raises(BadStructure, match="create contexts at 124"):
        create_contexts(message, request, limit=8)


def test_too_many_contexts():
    request = new_request()
    message = bytes(HEADER_SIZE) + pack_create_request(request, "", [(b"MxAc", b"")] * 9)
    with pytest.raises(BadStructure, match="more than 8"):
        create_contexts(message, request, limit=8)
    assert len(create_contexts(message, request, limit=9)) == 9


@pytest.mark.parametrize(
    ("offset", "length", "error"),
    [
        (0x77, 2, BadStructure),
        (0x78, 3, BadStructure),
        (0x78, 8, BadStructure),
        (0xFFFF, 0xFFFE, BadStructure),
        (0x78, 2, UnicodeDecodeError),
    ],
)
def test_names_that_lie(offset, length, error):
    request = new_request(name_offset=offset, name_length=length)
    message = bytes(HEADER_SIZE) + request.pack() + b"\0\xd8a\0"
    with pytest.raises(error):
        create_name(message, request)
