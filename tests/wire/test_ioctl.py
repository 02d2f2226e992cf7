import pytest

from smbport.wire import ioctl
from smbport.wire.constants import Dialect, FsControl, IoctlFlag
from smbport.wire.header import HEADER_SIZE
from smbport.wire.ioctl import (
    FileObjectIdBuffer,
    InterfaceCapability,
    IoctlRequest,
    IoctlResponse,
    NetworkInterface,
    NetworkInterfaceInfo,
    SrvCopychunk,
    SrvCopychunkCopy,
    SrvCopychunkResponse,
    SrvRequestResumeKey,
    ValidateNegotiateInfoRequest,
    ValidateNegotiateInfoResponse,
    ioctl_input,
    ioctl_output,
    pack_copychunk_copy,
    pack_ioctl_request,
    pack_ioctl_response,
    pack_network_interfaces,
    pack_sockaddr_storage,
    pack_validate_negotiate_info,
    parse_copychunk_copy,
    parse_network_interfaces,
    parse_sockaddr_storage,
    parse_validate_negotiate_info,
)
from smbport.wire.record import BadStructure

NO_FILE_ID = 0xFFFFFFFFFFFFFFFF
KEY = bytes.fromhex("efe30c63000000002208557000000000 7800140000000000")
GUID = bytes.fromhex("eb3a7dd700ca994697a496ff6a701521")

EXAMPLES = [
    (
        IoctlRequest(
            ctl_code=FsControl.SRV_REQUEST_RESUME_KEY,
            file_id_persistent=0xC0C05543,
            file_id_volatile=0x3B6E319A,
            input_offset=0x78,
            max_output_response=0x20,
        ),
        "3900 0000 78001400 4355c0c000000000 9a316e3b00000000 78000000 00000000 00000000 00000000 00000000 20000000"
        "01000000 00000000",
    ),
    (
        IoctlResponse(
            ctl_code=FsControl.SRV_REQUEST_RESUME_KEY,
            file_id_persistent=0xC0C05543,
            file_id_volatile=0x3B6E319A,
            input_offset=0x70,
            output_offset=0x70,
            output_count=0x20,
        ),
        "3100 0000 78001400 4355c0c000000000 9a316e3b00000000 70000000 00000000 70000000 20000000 00000000 00000000",
    ),
    (
        ValidateNegotiateInfoRequest(capabilities=0x7F, guid=GUID, security_mode=1, dialect_count=4),
        "7f000000 eb3a7dd700ca994697a496ff6a701521 0100 0400",
    ),
    (
        ValidateNegotiateInfoResponse(capabilities=0x4F, guid=GUID, security_mode=1, dialect=Dialect.SMB_3_0_2),
        "4f000000 eb3a7dd700ca994697a496ff6a701521 0100 0203",
    ),
    (
        NetworkInterfaceInfo(
            next=0x98, if_index=1, capability=InterfaceCapability.RSS_CAPABLE, link_speed=1_000_000_000
        ),
        "98000000 01000000 01000000 00000000 00ca9a3b00000000",
    ),
    (SrvRequestResumeKey(resume_key=KEY), "efe30c630000000022085570000000007800140000000000 00000000 00000000"),
    (
        SrvCopychunkCopy(source_key=KEY, chunk_count=1),
        "efe30c630000000022085570000000007800140000000000 01000000 00000000",
    ),
    (
        SrvCopychunk(source_offset=0x1000, target_offset=0x2000, length=0x100000),
        "0010000000000000 0020000000000000 00001000 00000000",
    ),
    (
        SrvCopychunkResponse(chunks_written=1, chunk_bytes_written=0, total_bytes_written=0x1000),
        "01000000 00000000 00100000",
    ),
    (
        FileObjectIdBuffer(object_id=GUID, birth_volume_id=KEY[:16], birth_object_id=GUID),
        "eb3a7dd700ca994697a496ff6a701521 efe30c63000000002208557000000000 eb3a7dd700ca994697a496ff6a701521"
        "00000000000000000000000000000000",
    ),
]


@pytest.mark.parametrize(("expected", "example"), EXAMPLES, ids=[type(expected).__name__ for expected, _ in EXAMPLES])
def test_records(check_record, expected, example):
    check_record(expected, example)


def test_no_record_is_left_out(records_of):
    assert {type(expected) for expected, _ in EXAMPLES} == records_of(ioctl)


def parse_request(message):
    request = IoctlRequest.unpack_from(message, HEADER_SIZE)
    return request, ioctl_input(message, request)


def parse_response(message):
    response = IoctlResponse.unpack_from(message, HEADER_SIZE)
    return response, ioctl_output(message, response)


def test_request_without_input():
    request = IoctlRequest.unpack_from(bytes.fromhex(EXAMPLES[0][1]))
    body = pack_ioctl_request(request)
    assert len(body) == IoctlRequest.STRUCTURE_SIZE
    assert request.input_offset == 0
    assert parse_request(bytes(HEADER_SIZE) + body) == (request, b"")


@pytest.mark.parametrize(("offset", "count"), [(0, 1), (0x77, 1), (0x78, 3), (0x7A, 1), (0xFFFFFFFF, 0xFFFFFFFF)])
def test_input_that_lies(offset, count):
    request = IoctlRequest.unpack_from(bytes.fromhex(EXAMPLES[0][1]))
    request.input_offset, request.input_count = offset, count
    with pytest.raises(BadStructure):
        ioctl_input(bytes(HEADER_SIZE) + request.pack() + b"ab", request)


def test_response_without_output():
    body = pack_ioctl_response(FsControl.SET_SPARSE, 1, 2, b"", flags=3)
    response, output = parse_response(bytes(HEADER_SIZE) + body)
    assert (response.file_id_persistent, response.file_id_volatile, response.flags, output) == (1, 2, 3, b"")


def test_validate_negotiate_info(captured, check_parser):
    message = captured("validate_negotiate_request_smbclient")
    request, data = parse_request(message)
    assert request.ctl_code == FsControl.VALIDATE_NEGOTIATE_INFO
    assert request.flags == IoctlFlag.IS_FSCTL
    info, dialects = parse_validate_negotiate_info(data)
    assert info == EXAMPLES[2][0]
    assert dialects == (Dialect.SMB_2_0_2, Dialect.SMB_2_1, Dialect.SMB_3_0, Dialect.SMB_3_0_2)
    check_parser(lambda message: parse_validate_negotiate_info(parse_request(message)[1]), message)
    assert pack_validate_negotiate_info(info, dialects) == data
    assert pack_ioctl_request(request, bytes(data)) == message[HEADER_SIZE:]


def test_network_interfaces(captured, check_parser, check_offset):
    message = captured("network_interface_response_samba")
    response, output = parse_response(message)
    assert response.ctl_code == FsControl.QUERY_NETWORK_INTERFACE_INFO
    interfaces = parse_network_interfaces(output)
    assert interfaces == [
        NetworkInterface(1, 0, 1_000_000_000, bytes([127, 0, 0, 1])),
        NetworkInterface(1, 0, 1_000_000_000, bytes(15) + b"\1"),
    ]
    check_parser(lambda message: parse_network_interfaces(parse_response(message)[1]), message)
    check_offset(parse_response, message, HEADER_SIZE + 32)
    packed = pack_network_interfaces(interfaces)
    assert packed == output
    body = pack_ioctl_response(FsControl.QUERY_NETWORK_INTERFACE_INFO, NO_FILE_ID, NO_FILE_ID, packed)
    assert body == message[HEADER_SIZE:]


def test_interface_with_an_address_of_another_family_is_left_out():
    packed = bytearray(
        pack_network_interfaces([NetworkInterface(1, 0, 10, bytes(4)), NetworkInterface(2, 0, 10, bytes(16))])
    )
    packed[24] = 0x11
    assert parse_network_interfaces(packed) == [NetworkInterface(2, 0, 10, bytes(16))]


def test_sockaddr_storage():
    v4 = pack_sockaddr_storage(bytes([192, 0, 2, 7]))
    assert v4 == bytes.fromhex("0200 0000 c0000207").ljust(128, b"\0")
    assert parse_sockaddr_storage(v4) == bytes([192, 0, 2, 7])
    v6 = pack_sockaddr_storage(GUID)
    assert v6 == bytes.fromhex("1700 0000 00000000" + GUID.hex()).ljust(128, b"\0")
    assert parse_sockaddr_storage(v6) == GUID
    assert parse_sockaddr_storage(bytes(128)) is None
    with pytest.raises(BadStructure):
        parse_sockaddr_storage(v4[:127])
    with pytest.raises(ValueError, match="address of 5 bytes"):
        pack_sockaddr_storage(bytes(5))


def test_copychunk(captured, check_parser):
    message = captured("copychunk_request_smbtorture")
    request, data = parse_request(message)
    assert request.ctl_code == FsControl.SRV_COPYCHUNK
    key, chunks = parse_copychunk_copy(data)
    assert key == KEY
    assert chunks == [SrvCopychunk(source_offset=0, target_offset=0, length=0x1000)]
    check_parser(lambda message: parse_copychunk_copy(parse_request(message)[1]), message)
    assert pack_copychunk_copy(key, chunks) == data


@pytest.mark.parametrize("count", [2, 256, 0x0AAAAAAB, 0xFFFFFFFF])
def test_copychunk_that_lies(count):
    data = SrvCopychunkCopy(source_key=KEY, chunk_count=count).pack() + bytes(SrvCopychunk.SIZE)
    with pytest.raises(BadStructure):
        parse_copychunk_copy(data)


def test_copychunk_of_nothing():
    assert parse_copychunk_copy(pack_copychunk_copy(KEY, [])) == (KEY, [])
