import pytest

from smbport.wire import file
from smbport.wire.constants import CloseFlag, WriteFlag
from smbport.wire.file import (
    CloseRequest,
    CloseResponse,
    FlushRequest,
    FlushResponse,
    ReadRequest,
    ReadResponse,
    WriteRequest,
    WriteResponse,
    pack_read_request,
    pack_write_request,
    read_data,
    write_data,
)
from smbport.wire.header import HEADER_SIZE
from smbport.wire.record import BadStructure

FILE_ID = {"file_id_persistent": 0x1D194E56, "file_id_volatile": 0x749E1E3E}

EXAMPLES = [
    (
        CloseRequest(flags=CloseFlag.POSTQUERY_ATTRIB, **FILE_ID),
        "1800 0100 00000000 564e191d00000000 3e1e9e7400000000",
    ),
    (
        CloseResponse(
            flags=CloseFlag.POSTQUERY_ATTRIB,
            creation_time=0x01DD7AE21A1C70C2,
            last_access_time=0x01DD7AE21A1C70C3,
            last_write_time=0x01DD7AE21A1C70C4,
            change_time=0x01DD7AE21A1C70C5,
            allocation_size=0x100000,
            end_of_file=6,
            file_attributes=0x80,
        ),
        "3c00 0100 00000000 c2701c1ae27add01 c3701c1ae27add01 c4701c1ae27add01 c5701c1ae27add01 0000100000000000"
        "0600000000000000 80000000",
    ),
    (FlushRequest(**FILE_ID), "1800 0000 00000000 564e191d00000000 3e1e9e7400000000"),
    (FlushResponse(), "0400 0000"),
    (
        ReadRequest(length=0x10000, offset=0x40000, minimum_count=1, **FILE_ID),
        "3100 50 00 00000100 0000040000000000 564e191d00000000 3e1e9e7400000000 01000000 00000000 00000000 0000 0000",
    ),
    (ReadResponse(data_length=6), "1100 50 00 06000000 00000000 00000000"),
    (
        WriteRequest(data_offset=0x70, length=6, offset=0x40000, flags=WriteFlag.WRITE_THROUGH, **FILE_ID),
        "3100 7000 06000000 0000040000000000 564e191d00000000 3e1e9e7400000000 00000000 00000000 0000 0000 01000000",
    ),
    (WriteResponse(count=6), "1100 0000 06000000 00000000 0000 0000"),
]


@pytest.mark.parametrize(("expected", "example"), EXAMPLES, ids=[type(expected).__name__ for expected, _ in EXAMPLES])
def test_records(check_record, expected, example):
    check_record(expected, example)


def test_no_record_is_left_out(records_of):
    assert {type(expected) for expected, _ in EXAMPLES} == records_of(file)


def parse_write(message):
    request = WriteRequest.unpack_from(message, HEADER_SIZE)
    return request, write_data(message, request)


def parse_read(message):
    response = ReadResponse.unpack_from(message, HEADER_SIZE)
    return response, read_data(message, response)


def test_write_data(check_parser):
    request = WriteRequest(offset=0, **FILE_ID)
    message = bytes(HEADER_SIZE) + pack_write_request(request, b"hello\n")
    assert parse_write(message) == (request, b"hello\n")
    check_parser(parse_write, message)


def test_write_of_nothing_has_one_byte_of_buffer():
    request = WriteRequest(offset=0, **FILE_ID)
    body = pack_write_request(request, b"")
    assert len(body) == WriteRequest.STRUCTURE_SIZE
    assert parse_write(bytes(HEADER_SIZE) + body) == (request, b"")


@pytest.mark.parametrize(("offset", "length"), [(0, 1), (0x6F, 1), (0x70, 7), (0x76, 1), (0xFFFF, 0xFFFFFFFF)])
def test_write_that_lies(offset, length):
    request = WriteRequest(data_offset=offset, length=length, offset=0, **FILE_ID)
    with pytest.raises(BadStructure):
        write_data(bytes(HEADER_SIZE) + request.pack() + b"hello\n", request)


def test_read_request_has_one_byte_of_buffer():
    request = ReadRequest(length=1, offset=0, **FILE_ID)
    assert pack_read_request(request) == request.pack() + b"\0"


def test_read_data(check_parser, check_offset):
    message = bytes(HEADER_SIZE) + ReadResponse(data_length=6).pack() + b"hello\n"
    assert parse_read(message)[1] == b"hello\n"
    check_parser(parse_read, message)
    check_offset(parse_read, message, HEADER_SIZE + 2)


def test_the_default_data_offset_is_right_behind_the_fixed_part():
    assert ReadResponse(data_length=0).data_offset == HEADER_SIZE + ReadResponse.SIZE
    assert ReadRequest(length=0, offset=0, **FILE_ID).padding == HEADER_SIZE + ReadResponse.SIZE
