import pytest

from smbport.wire import info
from smbport.wire.constants import FileInfo, InfoType, SecurityInformation
from smbport.wire.header import HEADER_SIZE
from smbport.wire.info import (
    QueryInfoRequest,
    QueryInfoResponse,
    SetInfoRequest,
    SetInfoResponse,
    pack_query_info_request,
    pack_query_info_response,
    pack_set_info_request,
    query_info_input,
    query_info_output,
    set_info_buffer,
)
from smbport.wire.record import BadStructure

FILE_ID = {"file_id_persistent": 0x36AB5585, "file_id_volatile": 0x8E2F05D6}

EXAMPLES = [
    (
        QueryInfoRequest(
            info_type=InfoType.SECURITY,
            file_info_class=0,
            output_buffer_length=0xFFFF,
            additional_information=SecurityInformation.OWNER | SecurityInformation.GROUP | SecurityInformation.DACL,
            **FILE_ID,
        ),
        "2900 03 00 ffff0000 0000 0000 00000000 07000000 00000000 8555ab3600000000 d6052f8e00000000",
    ),
    (QueryInfoResponse(output_buffer_offset=0x48, output_buffer_length=0x78), "0900 4800 78000000"),
    (
        SetInfoRequest(
            info_type=InfoType.FILE,
            file_info_class=FileInfo.DISPOSITION,
            buffer_length=1,
            buffer_offset=0x60,
            **FILE_ID,
        ),
        "2100 01 0d 01000000 6000 0000 00000000 8555ab3600000000 d6052f8e00000000",
    ),
    (SetInfoResponse(), "0200"),
]


@pytest.mark.parametrize(("expected", "example"), EXAMPLES, ids=[type(expected).__name__ for expected, _ in EXAMPLES])
def test_records(check_record, expected, example):
    check_record(expected, example)


def test_no_record_is_left_out(records_of):
    assert {type(expected) for expected, _ in EXAMPLES} == records_of(info)


def parse_query(message):
    request = QueryInfoRequest.unpack_from(message, HEADER_SIZE)
    return request, query_info_input(message, request)


def parse_answer(message):
    response = QueryInfoResponse.unpack_from(message, HEADER_SIZE)
    return response, query_info_output(message, response)


def parse_set(message):
    request = SetInfoRequest.unpack_from(message, HEADER_SIZE)
    return request, set_info_buffer(message, request)


def test_query_without_input():
    # allinfo of smbclient
    body = bytes.fromhex(
        "2900 01 12 ffff0000 0000 0000 00000000 00000000 00000000 8555ab3600000000 d6052f8e00000000 00"
    )
    request, data = parse_query(bytes(HEADER_SIZE) + body)
    assert (request.info_type, request.file_info_class, data) == (InfoType.FILE, FileInfo.ALL, b"")
    assert pack_query_info_request(request) == body


def test_query_with_input(check_parser, check_offset):
    request = QueryInfoRequest(info_type=1, file_info_class=FileInfo.FULL_EA, output_buffer_length=100, **FILE_ID)
    message = bytes(HEADER_SIZE) + pack_query_info_request(request, b"names")
    assert parse_query(message) == (request, b"names")
    assert request.input_buffer_offset == 0x68
    check_parser(parse_query, message)
    check_offset(parse_query, message, HEADER_SIZE + 8)


def test_answer(check_parser, check_offset):
    # FileAlternateNameInformation of Samba
    body = bytes.fromhex("0900 4800 12000000 0e000000 6e00650077002e00740078007400")
    data = parse_answer(bytes(HEADER_SIZE) + body)[1]
    assert len(data) == 18
    assert pack_query_info_response(bytes(data)) == body
    check_parser(parse_answer, bytes(HEADER_SIZE) + body)
    check_offset(parse_answer, bytes(HEADER_SIZE) + body, HEADER_SIZE + 2)


def test_set(check_parser):
    # del of smbclient
    body = bytes.fromhex("2100 01 0d 01000000 6000 0000 00000000 e6ac5dc000000000 441f431100000000 01")
    request, data = parse_set(bytes(HEADER_SIZE) + body)
    assert data == b"\1"
    assert pack_set_info_request(request, bytes(data)) == body
    check_parser(parse_set, bytes(HEADER_SIZE) + body)


def test_set_of_nothing():
    request = SetInfoRequest(info_type=1, file_info_class=FileInfo.FULL_EA, **FILE_ID)
    body = pack_set_info_request(request, b"")
    assert len(body) == SetInfoRequest.STRUCTURE_SIZE
    assert parse_set(bytes(HEADER_SIZE) + body) == (request, b"")


@pytest.mark.parametrize(("offset", "length"), [(0, 1), (0x5F, 1), (0x60, 2), (0x61, 1), (0xFFFF, 0xFFFFFFFF)])
def test_set_that_lies(offset, length):
    request = SetInfoRequest(
        info_type=1, file_info_class=FileInfo.DISPOSITION, buffer_offset=offset, buffer_length=length, **FILE_ID
    )
    with pytest.raises(BadStructure):
        set_info_buffer(bytes(HEADER_SIZE) + request.pack() + b"\1", request)
