"""CLOSE, FLUSH, READ, WRITE.  [MS-SMB2] 2.2.15 - 2.2.22"""

from typing import ClassVar, Final

from smbport.wire.header import HEADER_SIZE
from smbport.wire.record import U8, U16, U32, U64, Buffer, Pad1, Pad2, Pad4, Record, field, record

__all__ = [
    "CloseRequest", "CloseResponse", "FlushRequest", "FlushResponse", "ReadFlag", "ReadRequest", "ReadResponse",
    "WriteRequest", "WriteResponse", "pack_read_request", "pack_write_request", "read_data", "write_data",
]  # fmt: skip


@record(structure_size=24)
class CloseRequest(Record):
    """SMB2 CLOSE Request.  [MS-SMB2] 2.2.15"""

    flags: U16 = 0
    reserved: ClassVar[Pad4]
    file_id_persistent: U64
    file_id_volatile: U64


@record(structure_size=60)
class CloseResponse(Record):
    """SMB2 CLOSE Response; all zero unless POSTQUERY_ATTRIB was asked for.  [MS-SMB2] 2.2.16"""

    flags: U16 = 0
    reserved: ClassVar[Pad4]
    creation_time: U64 = 0
    last_access_time: U64 = 0
    last_write_time: U64 = 0
    change_time: U64 = 0
    allocation_size: U64 = 0
    end_of_file: U64 = 0
    file_attributes: U32 = 0


@record(structure_size=24)
class FlushRequest(Record):
    """SMB2 FLUSH Request.  [MS-SMB2] 2.2.17"""

    reserved1: ClassVar[Pad2]
    reserved2: ClassVar[Pad4]
    file_id_persistent: U64
    file_id_volatile: U64


@record(structure_size=4)
class FlushResponse(Record):
    """SMB2 FLUSH Response.  [MS-SMB2] 2.2.18"""

    reserved: ClassVar[Pad2]


class ReadFlag:
    """[MS-SMB2] 2.2.19"""

    READ_UNBUFFERED: Final = 0x01
    REQUEST_COMPRESSED: Final = 0x02


@record(structure_size=49)
class ReadRequest(Record):
    """SMB2 READ Request.  [MS-SMB2] 2.2.19"""

    padding: U8 = 80
    flags: U8 = 0
    length: U32
    offset: U64
    file_id_persistent: U64
    file_id_volatile: U64
    minimum_count: U32 = 0
    channel: U32 = 0
    remaining_bytes: U32 = 0
    read_channel_info_offset: U16 = 0
    read_channel_info_length: U16 = 0


@record(structure_size=17)
class ReadResponse(Record):
    """SMB2 READ Response; the data follows.  [MS-SMB2] 2.2.20"""

    data_offset: U8 = 80
    reserved: ClassVar[Pad1]
    data_length: U32
    data_remaining: U32 = 0
    reserved2: ClassVar[Pad4]


@record(structure_size=49)
class WriteRequest(Record):
    """SMB2 WRITE Request.  [MS-SMB2] 2.2.21"""

    data_offset: U16 = 0
    length: U32 = 0
    offset: U64
    file_id_persistent: U64
    file_id_volatile: U64
    channel: U32 = 0
    remaining_bytes: U32 = 0
    write_channel_info_offset: U16 = 0
    write_channel_info_length: U16 = 0
    flags: U32 = 0


@record(structure_size=17)
class WriteResponse(Record):
    """SMB2 WRITE Response.  [MS-SMB2] 2.2.22"""

    reserved: ClassVar[Pad2]
    count: U32
    remaining: U32 = 0
    write_channel_info_offset: U16 = 0
    write_channel_info_length: U16 = 0


def write_data(message: Buffer, request: WriteRequest) -> memoryview:
    """The bytes to write, as a view of the message."""
    return field(message, request.data_offset, request.length, after=HEADER_SIZE + request.SIZE)


def pack_write_request(request: WriteRequest, data: Buffer) -> bytes:
    """The body.  Sets the offset and the length in `request`."""
    request.data_offset = HEADER_SIZE + request.SIZE
    request.length = len(data)
    return request.pack() + (data or b"\0")


def pack_read_request(request: ReadRequest) -> bytes:
    """The body, with the one byte of buffer that every READ has.  [MS-SMB2] 2.2.19"""
    return request.pack() + b"\0"


def read_data(message: Buffer, response: ReadResponse) -> memoryview:
    """The bytes that were read, as a view of the message."""
    return field(message, response.data_offset, response.data_length, after=HEADER_SIZE + response.SIZE)
