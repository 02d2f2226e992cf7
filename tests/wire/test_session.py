import pytest

from smbport.wire import session
from smbport.wire.header import HEADER_SIZE
from smbport.wire.session import (
    LogoffRequest,
    LogoffResponse,
    SessionSetupRequest,
    SessionSetupResponse,
    pack_session_setup_request,
    pack_session_setup_response,
    security_buffer,
)

EXAMPLES = [
    (
        SessionSetupRequest(
            flags=1,
            security_mode=2,
            capabilities=1,
            security_buffer_offset=0x58,
            security_buffer_length=0x4A,
            previous_session_id=0x90E942CC,
        ),
        "1900 01 02 01000000 00000000 5800 4a00 cc42e99000000000",
    ),
    (
        SessionSetupResponse(session_flags=1, security_buffer_offset=0x48, security_buffer_length=9),
        "0900 0100 4800 0900",
    ),
    (LogoffRequest(), "0400 0000"),
    (LogoffResponse(), "0400 0000"),
]


@pytest.mark.parametrize(("expected", "example"), EXAMPLES, ids=[type(expected).__name__ for expected, _ in EXAMPLES])
def test_records(check_record, expected, example):
    check_record(expected, example)


def test_no_record_is_left_out(records_of):
    assert {type(expected) for expected, _ in EXAMPLES} == records_of(session)


def parse_request(message):
    request = SessionSetupRequest.unpack_from(message, HEADER_SIZE)
    return request, security_buffer(message, request)


def parse_response(message):
    response = SessionSetupResponse.unpack_from(message, HEADER_SIZE)
    return response, security_buffer(message, response)


def test_request_of_smbclient(captured, check_parser, check_offset):
    message = captured("session_setup_request_smbclient")
    request, token = parse_request(message)
    assert request.security_mode == 1
    assert request.capabilities == 1
    assert token[-40:-32] == b"NTLMSSP\0"
    check_parser(parse_request, message)
    check_offset(parse_request, message, HEADER_SIZE + 12)
    assert pack_session_setup_request(request, bytes(token)) == message[HEADER_SIZE:]


def test_response_of_samba(captured, check_parser, check_offset):
    message = captured("session_setup_response_samba")
    response, token = parse_response(message)
    assert response.session_flags == 0
    assert len(token) == 132
    check_parser(parse_response, message)
    check_offset(parse_response, message, HEADER_SIZE + 4)
    assert pack_session_setup_response(0, bytes(token)) == message[HEADER_SIZE:]


def test_without_token():
    request = SessionSetupRequest(security_mode=1)
    body = pack_session_setup_request(request, b"")
    assert len(body) == SessionSetupRequest.STRUCTURE_SIZE
    assert parse_request(bytes(HEADER_SIZE) + body) == (request, b"")
    assert parse_response(bytes(HEADER_SIZE) + pack_session_setup_response(4, b""))[1] == b""
