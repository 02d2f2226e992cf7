import pytest

from smbport.wire import negotiate
from smbport.wire.constants import Cipher, CompressionAlgorithm, ContextTag, Dialect, SigningAlgorithm
from smbport.wire.constants import NegotiateContextType as ContextType
from smbport.wire.header import HEADER_SIZE
from smbport.wire.negotiate import (
    CompressionCapabilities,
    CompressionFlag,
    NegotiateContext,
    NegotiateRequest,
    NegotiateResponse,
    PreauthIntegrityCapabilities,
    RdmaTransformCapabilities,
    RdmaTransformId,
    Smb1NegotiateRequest,
    TransportCapabilities,
    TransportFlag,
    negotiate_contexts,
    negotiate_dialects,
    negotiate_security_buffer,
    pack_compression_context,
    pack_encryption_context,
    pack_negotiate_request,
    pack_negotiate_response,
    pack_netname_context,
    pack_posix_context,
    pack_preauth_context,
    pack_rdma_context,
    pack_signing_context,
    pack_smb1_negotiate_request,
    pack_transport_context,
    parse_compression_context,
    parse_encryption_context,
    parse_netname_context,
    parse_posix_context,
    parse_preauth_context,
    parse_rdma_context,
    parse_signing_context,
    parse_transport_context,
    parse_u16_array,
    smb1_dialects,
)
from smbport.wire.record import BadStructure

ALL_DIALECTS = (Dialect.SMB_2_0_2, Dialect.SMB_2_1, Dialect.SMB_3_0, Dialect.SMB_3_0_2, Dialect.SMB_3_1_1)
GUID = bytes.fromhex("31b25c9e7a40ef11a3c58c47be2d6f01")
SERVER_GUID = bytes.fromhex("766d0000000000000000000000000000")
SALT = bytes.fromhex("724cfe5524daf73ffeea8e8ec72a21b4b2bce5bac1cb005ae5a03104bb938138")

EXAMPLES = [
    (Smb1NegotiateRequest(byte_count=49), "ff534d42 72 000000000000000000000000000000000000000000000000000000 00 3100"),
    (
        NegotiateRequest(
            dialect_count=5,
            security_mode=1,
            capabilities=0x7F,
            client_guid=GUID,
            negotiate_context_offset=0x70,
            negotiate_context_count=4,
        ),
        "2400 0500 0100 0000 7f000000 31b25c9e7a40ef11a3c58c47be2d6f01 70000000 0400 0000",
    ),
    (
        NegotiateResponse(
            security_mode=1,
            dialect_revision=0x0302,
            server_guid=SERVER_GUID,
            capabilities=0x4F,
            max_transact_size=0x800000,
            max_read_size=0x800000,
            max_write_size=0x800000,
            system_time=0x01DD7AE2696472BA,
            security_buffer_offset=0x80,
            security_buffer_length=0x4A,
        ),
        "4100 0100 0203 0000 766d0000000000000000000000000000 4f000000 00008000 00008000 00008000 ba726469e27add01"
        "0000000000000000 8000 4a00 00000000",
    ),
    (NegotiateContext(context_type=ContextType.PREAUTH_INTEGRITY, data_length=38), "0100 2600 00000000"),
    (PreauthIntegrityCapabilities(hash_algorithm_count=1, salt_length=32), "0100 2000"),
    (CompressionCapabilities(compression_algorithm_count=5, flags=CompressionFlag.CHAINED), "0500 0000 01000000"),
    (TransportCapabilities(flags=TransportFlag.ACCEPT_TRANSPORT_LEVEL_SECURITY), "01000000"),
    (RdmaTransformCapabilities(transform_count=2), "0200 0000 00000000"),
]


@pytest.mark.parametrize(("expected", "example"), EXAMPLES, ids=[type(expected).__name__ for expected, _ in EXAMPLES])
def test_records(check_record, expected, example):
    check_record(expected, example)


def test_no_record_is_left_out(records_of):
    assert {type(expected) for expected, _ in EXAMPLES} == records_of(negotiate)


def parse_request(message):
    request = NegotiateRequest.unpack_from(message, HEADER_SIZE)
    return request, negotiate_dialects(message, request), negotiate_contexts(message, request)


def parse_response(message):
    response = NegotiateResponse.unpack_from(message, HEADER_SIZE)
    return response, negotiate_security_buffer(message, response), negotiate_contexts(message, response)


def test_smb1_negotiate(captured, check_parser):
    message = captured("smb1_negotiate_request_smbclient")
    dialects = [b"NT LANMAN 1.0", b"NT LM 0.12", b"SMB 2.002", b"SMB 2.???"]
    assert smb1_dialects(message) == dialects
    check_parser(smb1_dialects, message)
    assert smb1_dialects(pack_smb1_negotiate_request(dialects)) == dialects


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"protocol_id": b"\xfeSMB"}, id="another protocol"),
        pytest.param({"command": 0x73}, id="another command"),
        pytest.param({"word_count": 1}, id="parameter words"),
        pytest.param({"byte_count": 0}, id="no dialects"),
        pytest.param({"byte_count": 10}, id="unterminated"),
        pytest.param({"byte_count": 12}, id="longer than the message"),
    ],
)
def test_smb1_negotiate_that_lies(change):
    fields = {"byte_count": 11, **change}
    with pytest.raises(BadStructure):
        smb1_dialects(Smb1NegotiateRequest(**fields).pack() + b"\x02SMB 2.002\0")


def test_smb1_dialect_in_another_buffer_format():
    strings = b"\x02SMB 2.002\0\x04SMB 2.???\0"
    with pytest.raises(BadStructure, match="buffer format"):
        smb1_dialects(Smb1NegotiateRequest(byte_count=len(strings)).pack() + strings)


def test_request_of_smbclient(captured, check_parser):
    message = captured("negotiate_request_smbclient")
    request, dialects, contexts = parse_request(message)
    assert dialects == ALL_DIALECTS
    assert [context_type for context_type, _ in contexts] == [
        ContextType.PREAUTH_INTEGRITY, ContextType.ENCRYPTION, ContextType.SIGNING, ContextType.NETNAME,
    ]  # fmt: skip
    data = dict(contexts)
    assert parse_preauth_context(data[ContextType.PREAUTH_INTEGRITY]) == ((1,), SALT)
    assert parse_netname_context(data[ContextType.NETNAME]) == "127.0.0.1"
    check_parser(parse_request, message)
    assert pack_negotiate_request(request, dialects, contexts) == message[HEADER_SIZE:]


def test_request_of_windows(captured, check_parser):
    message = captured("negotiate_request_windows")
    request, dialects, contexts = parse_request(message)
    assert dialects == ALL_DIALECTS
    data = dict(contexts)
    assert parse_preauth_context(data[ContextType.PREAUTH_INTEGRITY])[0] == (1,)
    assert parse_encryption_context(data[ContextType.ENCRYPTION]) == (
        Cipher.AES_128_GCM, Cipher.AES_128_CCM, Cipher.AES_256_GCM, Cipher.AES_256_CCM,
    )  # fmt: skip
    assert parse_compression_context(data[ContextType.COMPRESSION]) == (
        CompressionFlag.CHAINED,
        (
            CompressionAlgorithm.PATTERN_V1, CompressionAlgorithm.LZ77, CompressionAlgorithm.LZ77_HUFFMAN,
            CompressionAlgorithm.LZNT1, CompressionAlgorithm.LZ4,
        ),
    )  # fmt: skip
    assert parse_signing_context(data[ContextType.SIGNING]) == (
        SigningAlgorithm.AES_GMAC, SigningAlgorithm.AES_CMAC, SigningAlgorithm.HMAC_SHA256,
    )  # fmt: skip
    assert parse_rdma_context(data[ContextType.RDMA_TRANSFORM]) == (RdmaTransformId.ENCRYPTION, RdmaTransformId.SIGNING)
    assert parse_transport_context(data[ContextType.TRANSPORT]) == TransportFlag.ACCEPT_TRANSPORT_LEVEL_SECURITY
    assert parse_netname_context(data[ContextType.NETNAME]) == "fs1.example.net"
    check_parser(parse_request, message)
    assert pack_negotiate_request(request, dialects, contexts) == message[HEADER_SIZE:]


def test_response_of_samba(captured, check_parser):
    message = captured("negotiate_response_samba")
    response, token, contexts = parse_response(message)
    assert response.dialect_revision == Dialect.SMB_3_1_1
    assert response.server_guid == SERVER_GUID
    assert token[:2] == b"\x60\x48"
    assert len(token) == 74
    assert parse_signing_context(dict(contexts)[ContextType.SIGNING]) == (SigningAlgorithm.AES_GMAC,)
    check_parser(parse_response, message)
    assert pack_negotiate_response(response, token, contexts) == message[HEADER_SIZE:]


def test_token_inside_the_fixed_part(check_offset):
    response = NegotiateResponse.unpack_from(bytes.fromhex(EXAMPLES[2][1]))
    check_offset(parse_response, bytes(HEADER_SIZE) + pack_negotiate_response(response, b"12345678"), HEADER_SIZE + 56)


def test_response_with_contexts_and_no_token():
    response = NegotiateResponse.unpack_from(bytes.fromhex(EXAMPLES[2][1]))
    contexts = [(ContextType.SIGNING, pack_signing_context([1]))]
    message = bytes(HEADER_SIZE) + pack_negotiate_response(response, b"", contexts)
    assert response.negotiate_context_offset == HEADER_SIZE + NegotiateResponse.SIZE
    assert parse_response(message) == (response, b"", contexts)


@pytest.mark.parametrize("count", range(1, 9))
def test_request_of_any_number_of_dialects(count):
    request = NegotiateRequest(security_mode=1, capabilities=0, client_guid=GUID)
    dialects, contexts = tuple(range(count)), [(ContextType.NETNAME, b"a\0"), (ContextType.SIGNING, b"\1\0\2\0")]
    message = bytes(HEADER_SIZE) + pack_negotiate_request(request, dialects, contexts)
    assert parse_request(message) == (request, dialects, contexts)


def test_without_contexts(check_parser):
    request = NegotiateRequest(security_mode=1, capabilities=0, client_guid=GUID)
    message = bytes(HEADER_SIZE) + pack_negotiate_request(request, [0x0202, 0x0210])
    assert len(message) == HEADER_SIZE + 40
    assert parse_request(message) == (request, (0x0202, 0x0210), [])
    response = NegotiateResponse.unpack_from(bytes.fromhex(EXAMPLES[2][1]))
    message = bytes(HEADER_SIZE) + pack_negotiate_response(response, b"token")
    assert parse_response(message) == (response, b"token", [])


def contexts_at(offset, count, data=b""):
    request = NegotiateRequest(
        dialect_count=2,
        security_mode=1,
        capabilities=0,
        client_guid=GUID,
        negotiate_context_offset=offset,
        negotiate_context_count=count,
    )
    message = bytes(HEADER_SIZE) + request.pack() + bytes(4) + data
    return negotiate_contexts(message, request)


def test_context_padding_after_the_last_is_optional():
    first, second = "0200 0400 00000000 01000200 00000000", "0800 0400 00000000 01000100"
    assert contexts_at(104, 2, bytes.fromhex(first + second)) == [(2, b"\1\0\2\0"), (8, b"\1\0\1\0")]
    assert contexts_at(104, 2, bytes.fromhex(first + second + "00000000")) == [(2, b"\1\0\2\0"), (8, b"\1\0\1\0")]


@pytest.mark.parametrize(
    ("offset", "count", "data"),
    [
        pytest.param(0, 1, "", id="in the header"),
        pytest.param(96, 1, "0200 0000 00000000", id="in the fixed part"),
        pytest.param(108, 1, "00000000 0200 0000 00000000", id="unaligned"),
        pytest.param(0xFFFFFFF8, 1, "", id="far behind the end"),
        pytest.param(104, 1, "0200 0000 000000", id="cut"),
        pytest.param(104, 1, "0200 0100 00000000", id="data behind the end"),
        pytest.param(104, 2, "0200 0000 00000000", id="one less than counted"),
        pytest.param(104, 65535, "0200 0000 00000000", id="65534 less than counted"),
    ],
)
def test_contexts_that_lie(offset, count, data):
    with pytest.raises(BadStructure):
        contexts_at(offset, count, bytes.fromhex(data))


@pytest.mark.parametrize(
    ("pack", "parse", "values", "example"),
    [
        (pack_preauth_context, parse_preauth_context, ((1,), b"salty"), "0100 0500 0100 73616c7479"),
        (pack_compression_context, parse_compression_context, (1, (4, 2)), "0200 0000 01000000 0400 0200"),
    ],
)
def test_contexts_of_two_values(check_parser, pack, parse, values, example):
    assert pack(*values) == bytes.fromhex(example)
    assert parse(bytes.fromhex(example)) == values
    check_parser(parse, bytes.fromhex(example))


@pytest.mark.parametrize(
    ("pack", "parse", "value", "example"),
    [
        (pack_encryption_context, parse_encryption_context, (2, 1), "0200 0200 0100"),
        (pack_signing_context, parse_signing_context, (2, 1, 0), "0300 0200 0100 0000"),
        (pack_rdma_context, parse_rdma_context, (1,), "0100 0000 00000000 0100"),
        (pack_transport_context, parse_transport_context, 1, "01000000"),
    ],
)
def test_contexts_of_one_value(check_parser, pack, parse, value, example):
    assert pack(value) == bytes.fromhex(example)
    assert parse(bytes.fromhex(example)) == value
    check_parser(parse, bytes.fromhex(example))


def test_netname_context():
    assert pack_netname_context("fs") == b"f\0s\0"
    assert parse_netname_context(b"f\0s\0") == "fs"
    with pytest.raises(BadStructure):
        parse_netname_context(b"f\0s")


def test_posix_context():
    assert parse_posix_context(pack_posix_context()) == [ContextTag.POSIX]
    assert parse_posix_context(GUID + ContextTag.POSIX) == [GUID, ContextTag.POSIX]
    for data in (b"", GUID[:15], GUID + b"\0"):
        with pytest.raises(BadStructure):
            parse_posix_context(data)


def test_u16_array():
    assert parse_u16_array(b"\xff\1\0\2\0", 1, 2) == (1, 2)
    assert parse_u16_array(b"", 0, 0) == ()
    with pytest.raises(BadStructure):
        parse_u16_array(b"\1\0\2\0", 1, 2)
