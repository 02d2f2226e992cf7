"""NEGOTIATE: both forms of the request, the response, and the negotiate contexts of 3.1.1.  [MS-SMB2] 2.2.3, 2.2.4"""

import struct
from collections.abc import Sequence
from typing import Annotated, ClassVar, Final

from smbport.wire.constants import ContextTag
from smbport.wire.header import HEADER_SIZE, SMB1_MAGIC
from smbport.wire.record import (
    U8,
    U16,
    U32,
    U64,
    BadStructure,
    Buffer,
    Bytes4,
    Guid,
    Pad2,
    Pad4,
    Record,
    field,
    record,
)
from smbport.wire.text import decode_utf16, encode_utf16

__all__ = [
    "CompressionCapabilities", "CompressionFlag", "NegotiateContext", "NegotiateRequest", "NegotiateResponse",
    "PreauthIntegrityCapabilities", "RdmaTransformCapabilities", "RdmaTransformId", "Smb1NegotiateRequest",
    "TransportCapabilities", "TransportFlag", "negotiate_contexts", "negotiate_dialects", "negotiate_security_buffer",
    "pack_compression_context", "pack_encryption_context", "pack_negotiate_request", "pack_negotiate_response",
    "pack_netname_context", "pack_posix_context", "pack_preauth_context", "pack_rdma_context", "pack_signing_context",
    "pack_smb1_negotiate_request", "pack_transport_context", "parse_compression_context", "parse_encryption_context",
    "parse_netname_context", "parse_posix_context", "parse_preauth_context", "parse_rdma_context",
    "parse_signing_context", "parse_transport_context", "parse_u16_array", "smb1_dialects",
]  # fmt: skip


class CompressionFlag:
    """[MS-SMB2] 2.2.3.1.3"""

    CHAINED: Final = 0x00000001


class TransportFlag:
    """[MS-SMB2] 2.2.3.1.5"""

    ACCEPT_TRANSPORT_LEVEL_SECURITY: Final = 0x00000001


class RdmaTransformId:
    """[MS-SMB2] 2.2.3.1.6"""

    NONE: Final = 0x0000
    ENCRYPTION: Final = 0x0001
    SIGNING: Final = 0x0002


# SMB1 -----------------------------------------------------------------------------------------------------------

_SMB1_NEGOTIATE: Final = 0x72
_DIALECT: Final = b"\x02"  # BufferFormat: a null-terminated string follows


@record()
class Smb1NegotiateRequest(Record):
    """SMB_COM_NEGOTIATE with its SMB1 header, up to the dialect strings.  [MS-CIFS] 2.2.4.52.1, [MS-SMB2] 3.3.5.3.1"""

    protocol_id: Bytes4 = SMB1_MAGIC
    command: U8 = _SMB1_NEGOTIATE
    header_rest: ClassVar[Annotated[None, "27x"]]
    word_count: U8 = 0
    byte_count: U16


def smb1_dialects(message: Buffer) -> list[bytes]:
    """The dialect strings of an SMB1 negotiate, such as `SMB 2.???`; the message begins at its SMB1 header."""
    request = Smb1NegotiateRequest.unpack_from(message)
    if request.protocol_id != SMB1_MAGIC or request.command != _SMB1_NEGOTIATE or request.word_count:
        raise BadStructure("not an SMB1 negotiate request")
    fixed = Smb1NegotiateRequest.SIZE
    strings = bytes(field(message, fixed, request.byte_count, after=fixed))
    if not strings.endswith(b"\0"):
        raise BadStructure("SMB1 dialect without an end")
    dialects = strings[:-1].split(b"\0")
    if not all(dialect.startswith(_DIALECT) for dialect in dialects):
        raise BadStructure("SMB1 dialect in another buffer format")
    return [dialect[1:] for dialect in dialects]


def pack_smb1_negotiate_request(dialects: Sequence[bytes]) -> bytes:
    """The reverse of `smb1_dialects`: the whole message."""
    strings = b"".join(_DIALECT + dialect + b"\0" for dialect in dialects)
    return Smb1NegotiateRequest(byte_count=len(strings)).pack() + strings


# SMB2 -----------------------------------------------------------------------------------------------------------


@record(structure_size=36)
class NegotiateRequest(Record):
    """SMB2 NEGOTIATE Request.  [MS-SMB2] 2.2.3

    The last three fields are ClientStartTime, which means nothing, unless 3.1.1 is among the dialects.
    """

    dialect_count: U16 = 0
    security_mode: U16
    reserved: ClassVar[Pad2]
    capabilities: U32
    client_guid: Guid
    negotiate_context_offset: U32 = 0
    negotiate_context_count: U16 = 0
    reserved2: ClassVar[Pad2]


@record(structure_size=65)
class NegotiateResponse(Record):
    """SMB2 NEGOTIATE Response.  [MS-SMB2] 2.2.4"""

    security_mode: U16
    dialect_revision: U16
    negotiate_context_count: U16 = 0
    server_guid: Guid
    capabilities: U32
    max_transact_size: U32
    max_read_size: U32
    max_write_size: U32
    system_time: U64
    server_start_time: U64 = 0
    security_buffer_offset: U16 = 0
    security_buffer_length: U16 = 0
    negotiate_context_offset: U32 = 0


@record()
class NegotiateContext(Record):
    """SMB2 NEGOTIATE_CONTEXT without its data.  [MS-SMB2] 2.2.3.1"""

    context_type: U16
    data_length: U16
    reserved: ClassVar[Pad4]


def parse_u16_array(buffer: Buffer, offset: int, count: int) -> tuple[int, ...]:
    """`count` 16-bit numbers from `offset` on."""
    if offset + 2 * count > len(buffer):
        raise BadStructure(f"{count} 16-bit numbers at {offset} of {len(buffer)} bytes")
    numbers: tuple[int, ...] = struct.unpack_from(f"<{count}H", buffer, offset)
    return numbers


def _pack_u16_array(numbers: Sequence[int]) -> bytes:
    return struct.pack(f"<{len(numbers)}H", *numbers)


def negotiate_dialects(message: Buffer, request: NegotiateRequest) -> tuple[int, ...]:
    """Dialects, in the client's order."""
    return parse_u16_array(message, HEADER_SIZE + request.SIZE, request.dialect_count)


def negotiate_contexts(
    message: Buffer, negotiate: NegotiateRequest | NegotiateResponse
) -> list[tuple[int, memoryview]]:
    """(context type, data) of each negotiate context; only for 3.1.1, see `NegotiateRequest`."""
    contexts: list[tuple[int, memoryview]] = []
    after = HEADER_SIZE + negotiate.SIZE
    position = negotiate.negotiate_context_offset
    for _ in range(negotiate.negotiate_context_count):
        if position % 8 or position < after:
            raise BadStructure(f"negotiate context at {position}")
        context = NegotiateContext.unpack_from(message, position)
        data_offset = position + context.SIZE
        contexts.append((context.context_type, field(message, data_offset, context.data_length, after=after)))
        position = data_offset + context.data_length
        position += -position % 8
    return contexts


def negotiate_security_buffer(message: Buffer, response: NegotiateResponse) -> memoryview:
    """The token that begins the logon."""
    return field(
        message, response.security_buffer_offset, response.security_buffer_length, after=HEADER_SIZE + response.SIZE
    )


def _pack_contexts(contexts: Sequence[tuple[int, bytes]]) -> bytes:
    out = bytearray()
    for context_type, data in contexts:
        out += bytes(-len(out) % 8)
        out += NegotiateContext(context_type=context_type, data_length=len(data)).pack()
        out += data
    return bytes(out)


def pack_negotiate_request(
    request: NegotiateRequest, dialects: Sequence[int], contexts: Sequence[tuple[int, bytes]] = ()
) -> bytes:
    """The body.  Sets the counts and the offset in `request`."""
    request.dialect_count = len(dialects)
    if not contexts:
        return request.pack() + _pack_u16_array(dialects)
    padding = -(request.SIZE + 2 * len(dialects)) % 8
    request.negotiate_context_offset = HEADER_SIZE + request.SIZE + 2 * len(dialects) + padding
    request.negotiate_context_count = len(contexts)
    return request.pack() + _pack_u16_array(dialects) + bytes(padding) + _pack_contexts(contexts)


def pack_negotiate_response(
    response: NegotiateResponse, security_buffer: bytes, contexts: Sequence[tuple[int, bytes]] = ()
) -> bytes:
    """The body.  Sets the offsets, the length and the count in `response`."""
    response.security_buffer_offset = HEADER_SIZE + response.SIZE
    response.security_buffer_length = len(security_buffer)
    if not contexts:
        return response.pack() + security_buffer
    padding = -len(security_buffer) % 8
    response.negotiate_context_offset = response.security_buffer_offset + len(security_buffer) + padding
    response.negotiate_context_count = len(contexts)
    return response.pack() + security_buffer + bytes(padding) + _pack_contexts(contexts)


# The data of each kind of context: `parse_*` takes what `negotiate_contexts` gives, `pack_*` makes it ---------------


@record()
class PreauthIntegrityCapabilities(Record):
    """SMB2_PREAUTH_INTEGRITY_CAPABILITIES; HashAlgorithms and Salt follow.  [MS-SMB2] 2.2.3.1.1"""

    hash_algorithm_count: U16
    salt_length: U16


def parse_preauth_context(data: Buffer) -> tuple[tuple[int, ...], bytes]:
    """Hash algorithms in order of preference, and the salt.  [MS-SMB2] 2.2.3.1.1"""
    fixed = PreauthIntegrityCapabilities.unpack_from(data)
    algorithms = parse_u16_array(data, fixed.SIZE, fixed.hash_algorithm_count)
    salt = field(data, fixed.SIZE + 2 * len(algorithms), fixed.salt_length, after=fixed.SIZE)
    return algorithms, bytes(salt)


def pack_preauth_context(hash_algorithms: Sequence[int], salt: bytes) -> bytes:
    """[MS-SMB2] 2.2.3.1.1"""
    fixed = PreauthIntegrityCapabilities(hash_algorithm_count=len(hash_algorithms), salt_length=len(salt))
    return fixed.pack() + _pack_u16_array(hash_algorithms) + salt


def _parse_counted(data: Buffer) -> tuple[int, ...]:
    """A 16-bit count and as many 16-bit numbers."""
    (count,) = parse_u16_array(data, 0, 1)
    return parse_u16_array(data, 2, count)


def parse_encryption_context(data: Buffer) -> tuple[int, ...]:
    """Ciphers in order of preference.  [MS-SMB2] 2.2.3.1.2"""
    return _parse_counted(data)


def pack_encryption_context(ciphers: Sequence[int]) -> bytes:
    """[MS-SMB2] 2.2.3.1.2"""
    return _pack_u16_array([len(ciphers), *ciphers])


@record()
class CompressionCapabilities(Record):
    """SMB2_COMPRESSION_CAPABILITIES; CompressionAlgorithms follow.  [MS-SMB2] 2.2.3.1.3"""

    compression_algorithm_count: U16
    padding: ClassVar[Pad2]
    flags: U32


def parse_compression_context(data: Buffer) -> tuple[int, tuple[int, ...]]:
    """CompressionFlag bits, and the algorithms in order of preference.  [MS-SMB2] 2.2.3.1.3"""
    fixed = CompressionCapabilities.unpack_from(data)
    return fixed.flags, parse_u16_array(data, fixed.SIZE, fixed.compression_algorithm_count)


def pack_compression_context(flags: int, algorithms: Sequence[int]) -> bytes:
    """[MS-SMB2] 2.2.3.1.3"""
    fixed = CompressionCapabilities(compression_algorithm_count=len(algorithms), flags=flags)
    return fixed.pack() + _pack_u16_array(algorithms)


def parse_netname_context(data: Buffer) -> str:
    """The server's name as the client wrote it.  [MS-SMB2] 2.2.3.1.4"""
    return decode_utf16(data)


def pack_netname_context(name: str) -> bytes:
    """[MS-SMB2] 2.2.3.1.4"""
    return encode_utf16(name)


@record()
class TransportCapabilities(Record):
    """SMB2_TRANSPORT_CAPABILITIES.  [MS-SMB2] 2.2.3.1.5"""

    flags: U32


def parse_transport_context(data: Buffer) -> int:
    """TransportFlag bits.  [MS-SMB2] 2.2.3.1.5"""
    return TransportCapabilities.unpack_from(data).flags


def pack_transport_context(flags: int) -> bytes:
    """[MS-SMB2] 2.2.3.1.5"""
    return TransportCapabilities(flags=flags).pack()


@record()
class RdmaTransformCapabilities(Record):
    """SMB2_RDMA_TRANSFORM_CAPABILITIES; RDMATransformIds follow.  [MS-SMB2] 2.2.3.1.6"""

    transform_count: U16
    reserved1: ClassVar[Pad2]
    reserved2: ClassVar[Pad4]


def parse_rdma_context(data: Buffer) -> tuple[int, ...]:
    """RdmaTransformId values.  [MS-SMB2] 2.2.3.1.6"""
    fixed = RdmaTransformCapabilities.unpack_from(data)
    return parse_u16_array(data, fixed.SIZE, fixed.transform_count)


def pack_rdma_context(transform_ids: Sequence[int]) -> bytes:
    """[MS-SMB2] 2.2.3.1.6"""
    return RdmaTransformCapabilities(transform_count=len(transform_ids)).pack() + _pack_u16_array(transform_ids)


def parse_signing_context(data: Buffer) -> tuple[int, ...]:
    """Signing algorithms in order of preference.  [MS-SMB2] 2.2.3.1.7"""
    return _parse_counted(data)


def pack_signing_context(algorithms: Sequence[int]) -> bytes:
    """[MS-SMB2] 2.2.3.1.7"""
    return _pack_u16_array([len(algorithms), *algorithms])


def parse_posix_context(data: Buffer) -> list[bytes]:
    """The GUIDs of the versions of the POSIX extensions.  [SMB3-POSIX] 2.1.1"""
    if not data or len(data) % 16:
        raise BadStructure(f"POSIX context of {len(data)} bytes")
    return [bytes(data[start : start + 16]) for start in range(0, len(data), 16)]


def pack_posix_context() -> bytes:
    """The one version there is.  [SMB3-POSIX] 2.1.1"""
    return ContextTag.POSIX
