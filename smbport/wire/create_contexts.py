"""Create contexts: the list, and the data of each kind.  [MS-SMB2] 2.2.13.2, 2.2.14.2

Extended attributes and security descriptors are structures of their own ([MS-FSCC] 2.4.15, [MS-DTYP] 2.4.6);
AAPL's is in aapl.py.  A request without data (QFid, MxAc, the durable response's reply) has no record.
"""

from collections.abc import Sequence
from typing import ClassVar, Final

from smbport.wire.record import (
    U16,
    U32,
    U64,
    BadStructure,
    Buffer,
    Bytes8,
    Bytes16,
    Guid,
    Pad2,
    Pad4,
    Pad8,
    Pad16,
    Record,
    join_chain,
    record,
    split_chain,
)

__all__ = [
    "AllocationSize", "AppInstanceId", "AppInstanceVersion", "CreateContext", "DurableFlag", "DurableHandleReconnect",
    "DurableHandleReconnectV2", "DurableHandleRequest", "DurableHandleRequestV2", "DurableHandleResponse",
    "DurableHandleResponseV2", "LeaseContext", "LeaseContextV2", "LeaseFlag", "LeaseState", "MaximalAccessRequest",
    "MaximalAccessResponse", "OnDiskIdResponse", "PosixCreateRequest", "PosixCreateResponse", "TimewarpToken",
    "pack_create_contexts", "parse_create_contexts", "parse_lease", "parse_maximal_access_request",
]  # fmt: skip


class LeaseState:
    """[MS-SMB2] 2.2.13.2.8"""

    NONE: Final = 0x00
    READ_CACHING: Final = 0x01
    HANDLE_CACHING: Final = 0x02
    WRITE_CACHING: Final = 0x04


class LeaseFlag:
    """[MS-SMB2] 2.2.13.2.10, 2.2.14.2.10"""

    BREAK_IN_PROGRESS: Final = 0x00000002
    PARENT_LEASE_KEY_SET: Final = 0x00000004


class DurableFlag:
    """[MS-SMB2] 2.2.13.2.11"""

    PERSISTENT: Final = 0x00000002


# The list -------------------------------------------------------------------------------------------------------


@record()
class CreateContext(Record):
    """SMB2_CREATE_CONTEXT without name and data; the offsets count from its own start.  [MS-SMB2] 2.2.13.2"""

    next: U32 = 0
    name_offset: U16
    name_length: U16
    reserved: ClassVar[Pad2]
    data_offset: U16
    data_length: U32


def parse_create_contexts(buffer: Buffer, *, limit: int) -> list[tuple[bytes, memoryview]]:
    """(tag, data) of each context, in order.  Raises BadStructure also for more than `limit` contexts."""
    return [_parse_context(entry) for entry in split_chain(buffer, alignment=8, limit=limit)]


def _parse_context(entry: memoryview) -> tuple[bytes, memoryview]:
    context = CreateContext.unpack_from(entry)
    name_end = context.name_offset + context.name_length
    if context.name_offset != context.SIZE or context.name_length < 4 or name_end > len(entry):
        raise BadStructure(f"create context with a name of {context.name_length} bytes at {context.name_offset}")
    name = bytes(entry[context.name_offset : name_end])
    if context.data_length == 0:  # 2.2.13.2: then the offset is to be ignored
        return name, entry[:0]
    data_end = context.data_offset + context.data_length
    if context.data_offset % 8 or context.data_offset < name_end or data_end > len(entry):
        raise BadStructure(f"create context {name!r} with {context.data_length} bytes at {context.data_offset}")
    return name, entry[context.data_offset : data_end]


def pack_create_contexts(contexts: Sequence[tuple[bytes, bytes]]) -> bytes:
    """The reverse of `parse_create_contexts`."""
    return join_chain([_pack_context(name, data) for name, data in contexts], alignment=8)


def _pack_context(name: bytes, data: bytes) -> bytes:
    padded = name + bytes(-len(name) % 8)
    context = CreateContext(
        name_offset=CreateContext.SIZE,
        name_length=len(name),
        data_offset=CreateContext.SIZE + len(padded) if data else 0,
        data_length=len(data),
    )
    return context.pack() + padded + data


# The kinds ------------------------------------------------------------------------------------------------------


@record()
class DurableHandleRequest(Record):
    """SMB2_CREATE_DURABLE_HANDLE_REQUEST: 16 bytes that mean nothing.  [MS-SMB2] 2.2.13.2.3"""

    durable_request: Bytes16 = bytes(16)


@record()
class DurableHandleResponse(Record):
    """SMB2_CREATE_DURABLE_HANDLE_RESPONSE: 8 bytes that mean nothing.  [MS-SMB2] 2.2.14.2.3"""

    reserved: Bytes8 = bytes(8)


@record()
class DurableHandleReconnect(Record):
    """SMB2_CREATE_DURABLE_HANDLE_RECONNECT.  [MS-SMB2] 2.2.13.2.4"""

    file_id_persistent: U64
    file_id_volatile: U64


@record()
class DurableHandleRequestV2(Record):
    """SMB2_CREATE_DURABLE_HANDLE_REQUEST_V2; Timeout in milliseconds.  [MS-SMB2] 2.2.13.2.11"""

    timeout: U32
    flags: U32
    reserved: ClassVar[Pad8]
    create_guid: Guid


@record()
class DurableHandleResponseV2(Record):
    """SMB2_CREATE_DURABLE_HANDLE_RESPONSE_V2; Timeout in milliseconds.  [MS-SMB2] 2.2.14.2.12"""

    timeout: U32
    flags: U32


@record()
class DurableHandleReconnectV2(Record):
    """SMB2_CREATE_DURABLE_HANDLE_RECONNECT_V2.  [MS-SMB2] 2.2.13.2.12"""

    file_id_persistent: U64
    file_id_volatile: U64
    create_guid: Guid
    flags: U32


@record()
class AllocationSize(Record):
    """SMB2_CREATE_ALLOCATION_SIZE.  [MS-SMB2] 2.2.13.2.6"""

    allocation_size: U64


@record()
class MaximalAccessRequest(Record):
    """SMB2_CREATE_QUERY_MAXIMAL_ACCESS_REQUEST, if it has data.  [MS-SMB2] 2.2.13.2.5"""

    timestamp: U64


@record()
class MaximalAccessResponse(Record):
    """SMB2_CREATE_QUERY_MAXIMAL_ACCESS_RESPONSE.  [MS-SMB2] 2.2.14.2.5"""

    query_status: U32
    maximal_access: U32


@record()
class TimewarpToken(Record):
    """SMB2_CREATE_TIMEWARP_TOKEN, a FILETIME.  [MS-SMB2] 2.2.13.2.7"""

    timestamp: U64


@record()
class OnDiskIdResponse(Record):
    """SMB2_CREATE_QUERY_ON_DISK_ID response, DiskIDBuffer.  [MS-SMB2] 2.2.14.2.9"""

    disk_file_id: U64
    volume_id: U64
    reserved: ClassVar[Pad16]


@record()
class LeaseContext(Record):
    """SMB2_CREATE_REQUEST_LEASE and SMB2_CREATE_RESPONSE_LEASE.  [MS-SMB2] 2.2.13.2.8, 2.2.14.2.10"""

    lease_key: Bytes16
    lease_state: U32
    lease_flags: U32 = 0
    lease_duration: ClassVar[Pad8]


@record()
class LeaseContextV2(Record):
    """SMB2_CREATE_REQUEST_LEASE_V2 and SMB2_CREATE_RESPONSE_LEASE_V2.  [MS-SMB2] 2.2.13.2.10, 2.2.14.2.11"""

    lease_key: Bytes16
    lease_state: U32
    lease_flags: U32 = 0
    lease_duration: ClassVar[Pad8]
    parent_lease_key: Bytes16 = bytes(16)
    epoch: U16 = 0
    reserved: ClassVar[Pad2]


@record(structure_size=20)
class AppInstanceId(Record):
    """SMB2_CREATE_APP_INSTANCE_ID.  [MS-SMB2] 2.2.13.2.13"""

    reserved: ClassVar[Pad2]
    app_instance_id: Guid


@record(structure_size=24)
class AppInstanceVersion(Record):
    """SMB2_CREATE_APP_INSTANCE_VERSION.  [MS-SMB2] 2.2.13.2.15"""

    reserved: ClassVar[Pad2]
    padding: ClassVar[Pad4]
    app_instance_version_high: U64
    app_instance_version_low: U64


@record()
class PosixCreateRequest(Record):
    """POSIX create context request: the mode of a file that is made.  [SMB3-POSIX] 2.1.3.1"""

    mode: U32


@record()
class PosixCreateResponse(Record):
    """POSIX create context response; the SIDs of owner and group follow.  [SMB3-POSIX] 2.1.4.1"""

    number_of_links: U32
    reparse_tag: U32
    mode: U32  # with the type of the file, as in wire/posix.py


def parse_lease(data: Buffer) -> LeaseContext | LeaseContextV2:
    """Either form of RqLs, told apart by its length; any other length is a BadStructure."""
    for kind in (LeaseContext, LeaseContextV2):
        if len(data) == kind.SIZE:
            return kind.unpack_from(data)
    raise BadStructure(f"lease context of {len(data)} bytes")


def parse_maximal_access_request(data: Buffer) -> MaximalAccessRequest | None:
    """None if the client did not say when it asked last."""
    return MaximalAccessRequest.unpack_from(data) if data else None
