import pytest

from smbport.wire import directory
from smbport.wire.constants import FileInfo, QueryDirectoryFlag
from smbport.wire.directory import (
    QueryDirectoryRequest,
    QueryDirectoryResponse,
    pack_query_directory_request,
    pack_query_directory_response,
    query_directory_output,
    query_directory_pattern,
)
from smbport.wire.header import HEADER_SIZE
from smbport.wire.record import BadStructure

EXAMPLES = [
    (
        QueryDirectoryRequest(
            file_information_class=FileInfo.ID_BOTH_DIRECTORY,
            flags=QueryDirectoryFlag.RESTART_SCANS,
            file_id_persistent=0x25DD3FCD,
            file_id_volatile=0xDD92FD6C,
            file_name_offset=0x60,
            file_name_length=2,
            output_buffer_length=0x00800000,
        ),
        "2100 25 01 00000000 cd3fdd2500000000 6cfd92dd00000000 6000 0200 00008000",
    ),
    (QueryDirectoryResponse(output_buffer_offset=0x48, output_buffer_length=0x15A), "0900 4800 5a010000"),
]


@pytest.mark.parametrize(("expected", "example"), EXAMPLES, ids=[type(expected).__name__ for expected, _ in EXAMPLES])
def test_records(check_record, expected, example):
    check_record(expected, example)


def test_no_record_is_left_out(records_of):
    assert {type(expected) for expected, _ in EXAMPLES} == records_of(directory)


def parse_request(message):
    request = QueryDirectoryRequest.unpack_from(message, HEADER_SIZE)
    return request, query_directory_pattern(message, request)


def parse_response(message):
    response = QueryDirectoryResponse.unpack_from(message, HEADER_SIZE)
    return response, query_directory_output(message, response)


def test_pattern(check_parser):
    # smbclient: get hello.txt
    body = bytes.fromhex(
        "2100 25 00 00000000 846e571700000000 886e7f3300000000 6000 1200 00008000 680065006c006c006f002e00740078007400"
    )
    request, pattern = parse_request(bytes(HEADER_SIZE) + body)
    assert pattern == "hello.txt"
    check_parser(parse_request, bytes(HEADER_SIZE) + body)
    assert pack_query_directory_request(request, pattern) == body


def test_empty_pattern():
    request = QueryDirectoryRequest.unpack_from(bytes.fromhex(EXAMPLES[0][1]))
    body = pack_query_directory_request(request, "")
    assert len(body) == QueryDirectoryRequest.STRUCTURE_SIZE
    assert parse_request(bytes(HEADER_SIZE) + body) == (request, "")


@pytest.mark.parametrize(("offset", "length"), [(0, 2), (0x5F, 2), (0x60, 1), (0x60, 4), (0xFFFF, 0xFFFE)])
def test_pattern_that_lies(offset, length):
    request = QueryDirectoryRequest.unpack_from(bytes.fromhex(EXAMPLES[0][1]))
    request.file_name_offset, request.file_name_length = offset, length
    with pytest.raises(BadStructure):
        query_directory_pattern(bytes(HEADER_SIZE) + request.pack() + b"*\0", request)


def test_output(check_parser, check_offset):
    body = pack_query_directory_response(b"entries")
    assert body == bytes.fromhex("0900 4800 07000000") + b"entries"
    assert parse_response(bytes(HEADER_SIZE) + body)[1] == b"entries"
    check_parser(parse_response, bytes(HEADER_SIZE) + body)
    check_offset(parse_response, bytes(HEADER_SIZE) + body, HEADER_SIZE + 2)
