import pytest

from smbport.wire import tree
from smbport.wire.constants import ShareFlag, ShareType
from smbport.wire.header import HEADER_SIZE
from smbport.wire.tree import (
    TreeConnectRequest,
    TreeConnectResponse,
    TreeDisconnectRequest,
    TreeDisconnectResponse,
    pack_tree_connect_request,
    tree_path,
)

EXAMPLES = [
    (TreeConnectRequest(flags=0, path_offset=0x48, path_length=0x1E), "0900 0000 4800 1e00"),
    (
        TreeConnectResponse(
            share_type=ShareType.DISK,
            share_flags=ShareFlag.ENCRYPT_DATA | ShareFlag.NO_CACHING,
            capabilities=0,
            maximal_access=0x001F01FF,
        ),
        "1000 01 00 30800000 00000000 ff011f00",
    ),
    (TreeDisconnectRequest(), "0400 0000"),
    (TreeDisconnectResponse(), "0400 0000"),
]


@pytest.mark.parametrize(("expected", "example"), EXAMPLES, ids=[type(expected).__name__ for expected, _ in EXAMPLES])
def test_records(check_record, expected, example):
    check_record(expected, example)


def test_no_record_is_left_out(records_of):
    assert {type(expected) for expected, _ in EXAMPLES} == records_of(tree)


# "\\127.0.0.1\pub", as smbclient asks
BODY = bytes.fromhex("0900 0000 4800 1e00 5c005c003100320037002e0030002e0030002e0031005c00700075006200")


def parse_request(message):
    request = TreeConnectRequest.unpack_from(message, HEADER_SIZE)
    return request, tree_path(message, request)


def test_path(check_parser, check_offset):
    message = bytes(HEADER_SIZE) + BODY
    path = parse_request(message)[1]
    assert path == r"\\127.0.0.1\pub"
    check_parser(parse_request, message)
    check_offset(parse_request, message, HEADER_SIZE + 4)
    assert pack_tree_connect_request(path) == BODY
    assert pack_tree_connect_request(path, flags=1)[2:4] == b"\1\0"


def test_lone_surrogate():
    message = bytes(HEADER_SIZE) + bytes.fromhex("0900 0000 4800 0200 00d8")
    with pytest.raises(UnicodeDecodeError):
        parse_request(message)
