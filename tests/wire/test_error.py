import pytest

from smbport.wire import error
from smbport.wire.error import (
    ErrorContext,
    ErrorId,
    ErrorResponse,
    Symlink,
    SymlinkErrorResponse,
    SymlinkFlag,
    error_contexts,
    error_data,
    pack_error_contexts,
    pack_error_response,
    pack_symlink_error,
    parse_symlink_error,
)
from smbport.wire.header import HEADER_SIZE
from smbport.wire.record import BadStructure

EXAMPLES = [
    (ErrorResponse(error_context_count=1, byte_count=12), "0900 01 00 0c000000"),
    (ErrorContext(error_data_length=4, error_id=ErrorId.SHARE_REDIRECT), "04000000 53526472"),
    (
        SymlinkErrorResponse(
            sym_link_length=30,
            reparse_data_length=18,
            unparsed_path_length=8,
            substitute_name_offset=0,
            substitute_name_length=4,
            print_name_offset=4,
            print_name_length=2,
            flags=SymlinkFlag.RELATIVE,
        ),
        "1e000000 53594d4c 0c0000a0 1200 0800 0000 0400 0400 0200 01000000",
    ),
]


@pytest.mark.parametrize(("expected", "example"), EXAMPLES, ids=[type(expected).__name__ for expected, _ in EXAMPLES])
def test_records(check_record, expected, example):
    check_record(expected, example)


def test_no_record_is_left_out(records_of):
    assert {type(expected) for expected, _ in EXAMPLES} == records_of(error)


def parse_data(message):
    response = ErrorResponse.unpack_from(message, HEADER_SIZE)
    return response, error_data(message, response)


def parse_contexts(message):
    return error_contexts(message, ErrorResponse.unpack_from(message, HEADER_SIZE))


def test_without_data():
    body = pack_error_response()
    assert body == bytes.fromhex("0900 00 00 00000000 00")
    assert parse_data(bytes(HEADER_SIZE) + body) == (ErrorResponse(), b"")
    assert parse_contexts(bytes(HEADER_SIZE) + body) == []


def test_with_data(check_parser):
    # BUFFER_TOO_SMALL of Samba with the size that is needed
    body = bytes.fromhex("0900 00 00 04000000 14000000")
    response, data = parse_data(bytes(HEADER_SIZE) + body)
    assert data == b"\x14\0\0\0"
    assert pack_error_response(bytes(data), response.error_context_count) == body
    check_parser(parse_data, bytes(HEADER_SIZE) + body)


def test_contexts(check_parser):
    contexts = [(ErrorId.DEFAULT, b"abc"), (ErrorId.SHARE_REDIRECT, b"defgh"), (ErrorId.DEFAULT, b"")]
    data = pack_error_contexts(contexts)
    assert data == bytes.fromhex(
        "03000000 00000000 616263 0000000000 05000000 53526472 6465666768 000000 00000000 00000000"
    )
    message = bytes(HEADER_SIZE) + pack_error_response(data, len(contexts))
    assert parse_contexts(message) == contexts
    check_parser(parse_contexts, message)


@pytest.mark.parametrize(
    ("count", "data"),
    [
        pytest.param(2, "00000000 00000000", id="less contexts than counted"),
        pytest.param(255, "", id="none of those counted"),
        pytest.param(1, "01000000 00000000", id="data behind the end"),
        pytest.param(1, "ffffffff 00000000 00", id="endless data"),
    ],
)
def test_contexts_that_lie(count, data):
    with pytest.raises(BadStructure):
        parse_contexts(bytes(HEADER_SIZE) + pack_error_response(bytes.fromhex(data), count))


def test_symlink(check_parser):
    link = Symlink(r"..\x", "y", unparsed_path_length=8, flags=SymlinkFlag.RELATIVE)
    data = pack_symlink_error(link)
    assert data == bytes.fromhex(
        "22000000 53594d4c 0c0000a0 1600 0800 0000 0800 0800 0200 01000000 2e002e005c007800 7900"
    )
    assert parse_symlink_error(data) == link
    check_parser(parse_symlink_error, data)


@pytest.mark.parametrize("index", [4, 8], ids=["another error", "another reparse tag"])
def test_error_data_that_is_no_symlink(index):
    data = bytearray(pack_symlink_error(Symlink("a", "b", 0, 0)))
    data[index] ^= 1
    with pytest.raises(BadStructure, match="no symbolic link"):
        parse_symlink_error(data)
