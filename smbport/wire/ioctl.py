"""IOCTL and the structures of the FSCTLs that belong to the protocol.  [MS-SMB2] 2.2.31, 2.2.32"""

import struct
from collections.abc import Sequence
from typing import ClassVar, Final, NamedTuple

from smbport.wire.constants import IoctlFlag
from smbport.wire.header import HEADER_SIZE
from smbport.wire.negotiate import parse_u16_array
from smbport.wire.record import (
    U16,
    U32,
    U64,
    BadStructure,
    Buffer,
    Bytes24,
    Guid,
    Pad2,
    Pad4,
    Record,
    field,
    join_chain,
    record,
    split_chain,
)

__all__ = [
    "FileObjectIdBuffer", "InterfaceCapability", "IoctlRequest", "IoctlResponse", "NetworkInterface",
    "NetworkInterfaceInfo", "SrvCopychunk", "SrvCopychunkCopy", "SrvCopychunkResponse", "SrvRequestResumeKey",
    "ValidateNegotiateInfoRequest", "ValidateNegotiateInfoResponse", "ioctl_input", "ioctl_output",
    "pack_copychunk_copy", "pack_ioctl_request", "pack_ioctl_response", "pack_network_interfaces",
    "pack_sockaddr_storage", "pack_validate_negotiate_info", "parse_copychunk_copy", "parse_network_interfaces",
    "parse_sockaddr_storage", "parse_validate_negotiate_info",
]  # fmt: skip


@record(structure_size=57)
class IoctlRequest(Record):
    """SMB2 IOCTL Request.  [MS-SMB2] 2.2.31"""

    reserved: ClassVar[Pad2]
    ctl_code: U32
    file_id_persistent: U64
    file_id_volatile: U64
    input_offset: U32 = 0
    input_count: U32 = 0
    max_input_response: U32 = 0
    output_offset: U32 = 0
    output_count: U32 = 0
    max_output_response: U32
    flags: U32 = IoctlFlag.IS_FSCTL
    reserved2: ClassVar[Pad4]


@record(structure_size=49)
class IoctlResponse(Record):
    """SMB2 IOCTL Response.  [MS-SMB2] 2.2.32"""

    reserved: ClassVar[Pad2]
    ctl_code: U32
    file_id_persistent: U64
    file_id_volatile: U64
    input_offset: U32
    input_count: U32 = 0
    output_offset: U32
    output_count: U32
    flags: U32 = 0
    reserved2: ClassVar[Pad4]


def ioctl_input(message: Buffer, request: IoctlRequest) -> memoryview:
    """What the FSCTL is given."""
    return field(message, request.input_offset, request.input_count, after=HEADER_SIZE + request.SIZE)


def pack_ioctl_request(request: IoctlRequest, data: bytes = b"") -> bytes:
    """The body.  Sets the offset and the length in `request`."""
    request.input_offset = HEADER_SIZE + request.SIZE if data else 0
    request.input_count = len(data)
    return request.pack() + (data or b"\0")


def ioctl_output(message: Buffer, response: IoctlResponse) -> memoryview:
    """What the FSCTL answered."""
    return field(message, response.output_offset, response.output_count, after=HEADER_SIZE + response.SIZE)


def pack_ioctl_response(
    ctl_code: int, file_id_persistent: int, file_id_volatile: int, output: bytes, flags: int = 0
) -> bytes:
    """The body.  The input is never echoed.  [MS-SMB2] 3.3.5.15"""
    offset = HEADER_SIZE + IoctlResponse.SIZE
    response = IoctlResponse(
        ctl_code=ctl_code,
        file_id_persistent=file_id_persistent,
        file_id_volatile=file_id_volatile,
        input_offset=offset,
        output_offset=offset,
        output_count=len(output),
        flags=flags,
    )
    return response.pack() + output


# FSCTL_VALIDATE_NEGOTIATE_INFO ------------------------------------------------------------------------------------


@record()
class ValidateNegotiateInfoRequest(Record):
    """VALIDATE_NEGOTIATE_INFO Request; the dialects follow.  [MS-SMB2] 2.2.31.4"""

    capabilities: U32
    guid: Guid
    security_mode: U16
    dialect_count: U16 = 0


@record()
class ValidateNegotiateInfoResponse(Record):
    """VALIDATE_NEGOTIATE_INFO Response.  [MS-SMB2] 2.2.32.6"""

    capabilities: U32
    guid: Guid
    security_mode: U16
    dialect: U16


def parse_validate_negotiate_info(data: Buffer) -> tuple[ValidateNegotiateInfoRequest, tuple[int, ...]]:
    """The fixed part and the dialects."""
    request = ValidateNegotiateInfoRequest.unpack_from(data)
    return request, parse_u16_array(data, request.SIZE, request.dialect_count)


def pack_validate_negotiate_info(request: ValidateNegotiateInfoRequest, dialects: Sequence[int]) -> bytes:
    """The input of the FSCTL.  Sets the count in `request`."""
    request.dialect_count = len(dialects)
    return request.pack() + struct.pack(f"<{len(dialects)}H", *dialects)


# FSCTL_QUERY_NETWORK_INTERFACE_INFO -------------------------------------------------------------------------------


class InterfaceCapability:
    """[MS-SMB2] 2.2.32.5"""

    RSS_CAPABLE: Final = 0x00000001
    RDMA_CAPABLE: Final = 0x00000002


class NetworkInterface(NamedTuple):
    """One address of one interface."""

    if_index: int
    capability: int
    link_speed: int  # bits per second
    address: bytes  # 4 or 16 bytes, in network order


@record()
class NetworkInterfaceInfo(Record):
    """NETWORK_INTERFACE_INFO; a SOCKADDR_STORAGE follows.  [MS-SMB2] 2.2.32.5"""

    next: U32 = 0
    if_index: U32
    capability: U32
    reserved: ClassVar[Pad4]
    link_speed: U64


_SOCKADDR_SIZE: Final = 128
_INTERNETWORK: Final = 0x0002
_INTERNETWORK_V6: Final = 0x0017
_MAX_INTERFACES: Final = 4096  # guessed: far above what any server has


def pack_sockaddr_storage(address: bytes) -> bytes:
    """SOCKADDR_STORAGE of an IPv4 or IPv6 address.  [MS-SMB2] 2.2.32.5.1"""
    if len(address) == 4:
        packed = struct.pack("<HH4s", _INTERNETWORK, 0, address)
    elif len(address) == 16:
        packed = struct.pack("<HHI16s", _INTERNETWORK_V6, 0, 0, address)
    else:
        raise ValueError(f"address of {len(address)} bytes")
    return packed.ljust(_SOCKADDR_SIZE, b"\0")


def parse_sockaddr_storage(data: Buffer) -> bytes | None:
    """The address; None for a family that is neither IPv4 nor IPv6."""
    if len(data) < _SOCKADDR_SIZE:
        raise BadStructure(f"SOCKADDR_STORAGE of {len(data)} bytes")
    family = int.from_bytes(data[:2], "little")
    if family == _INTERNETWORK:
        return bytes(data[4:8])
    return bytes(data[8:24]) if family == _INTERNETWORK_V6 else None


def pack_network_interfaces(interfaces: Sequence[NetworkInterface]) -> bytes:
    """The output of the FSCTL."""
    return join_chain(
        [
            NetworkInterfaceInfo(
                if_index=interface.if_index, capability=interface.capability, link_speed=interface.link_speed
            ).pack()
            + pack_sockaddr_storage(interface.address)
            for interface in interfaces
        ]
    )


def parse_network_interfaces(data: Buffer) -> list[NetworkInterface]:
    """The reverse of `pack_network_interfaces`, without addresses of unknown families."""
    interfaces: list[NetworkInterface] = []
    for entry in split_chain(data, alignment=8, limit=_MAX_INTERFACES):
        info = NetworkInterfaceInfo.unpack_from(entry)
        address = parse_sockaddr_storage(entry[info.SIZE :])
        if address is not None:
            interfaces.append(NetworkInterface(info.if_index, info.capability, info.link_speed, address))
    return interfaces


# Server-side copy -------------------------------------------------------------------------------------------------


@record()
class SrvRequestResumeKey(Record):
    """SRV_REQUEST_RESUME_KEY Response.  [MS-SMB2] 2.2.32.3

    The four reserved bytes are no field of the specification: Windows and Samba send them, clients count on them.
    """

    resume_key: Bytes24
    context_length: U32 = 0
    context: ClassVar[Pad4]


@record()
class SrvCopychunkCopy(Record):
    """SRV_COPYCHUNK_COPY; the chunks follow.  [MS-SMB2] 2.2.31.1"""

    source_key: Bytes24
    chunk_count: U32
    reserved: ClassVar[Pad4]


@record()
class SrvCopychunk(Record):
    """SRV_COPYCHUNK.  [MS-SMB2] 2.2.31.1.1"""

    source_offset: U64
    target_offset: U64
    length: U32
    reserved: ClassVar[Pad4]


@record()
class SrvCopychunkResponse(Record):
    """SRV_COPYCHUNK_RESPONSE.  [MS-SMB2] 2.2.32.1"""

    chunks_written: U32
    chunk_bytes_written: U32
    total_bytes_written: U32


def parse_copychunk_copy(data: Buffer) -> tuple[bytes, list[SrvCopychunk]]:
    """The source's resume key, and the chunks."""
    copy = SrvCopychunkCopy.unpack_from(data)
    size = SrvCopychunk.SIZE
    chunks = field(data, copy.SIZE, copy.chunk_count * size, after=copy.SIZE)
    return copy.source_key, [SrvCopychunk.unpack_from(chunks, start) for start in range(0, len(chunks), size)]


def pack_copychunk_copy(source_key: bytes, chunks: Sequence[SrvCopychunk]) -> bytes:
    """The reverse of `parse_copychunk_copy`."""
    copy = SrvCopychunkCopy(source_key=source_key, chunk_count=len(chunks))
    return copy.pack() + b"".join(chunk.pack() for chunk in chunks)


# Object ids -------------------------------------------------------------------------------------------------------


@record()
class FileObjectIdBuffer(Record):
    """FILE_OBJECTID_BUFFER, type 1.  [MS-FSCC] 2.1.3.1"""

    object_id: Guid
    birth_volume_id: Guid
    birth_object_id: Guid
    domain_id: Guid = bytes(16)
