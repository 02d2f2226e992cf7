"""QUERY_INFO and SET_INFO.  What they carry is in fscc.py and security.py.  [MS-SMB2] 2.2.37 - 2.2.40"""

from typing import ClassVar

from smbport.wire.header import HEADER_SIZE
from smbport.wire.record import U8, U16, U32, U64, Buffer, Pad2, Record, field, record

__all__ = [
    "QueryInfoRequest", "QueryInfoResponse", "SetInfoRequest", "SetInfoResponse", "pack_query_info_request",
    "pack_query_info_response", "pack_set_info_request", "query_info_input", "query_info_output", "set_info_buffer",
]  # fmt: skip


@record(structure_size=41)
class QueryInfoRequest(Record):
    """SMB2 QUERY_INFO Request.  [MS-SMB2] 2.2.37"""

    info_type: U8
    file_info_class: U8
    output_buffer_length: U32
    input_buffer_offset: U16 = 0
    reserved: ClassVar[Pad2]
    input_buffer_length: U32 = 0
    additional_information: U32 = 0
    flags: U32 = 0
    file_id_persistent: U64
    file_id_volatile: U64


@record(structure_size=9)
class QueryInfoResponse(Record):
    """SMB2 QUERY_INFO Response.  [MS-SMB2] 2.2.38"""

    output_buffer_offset: U16
    output_buffer_length: U32


@record(structure_size=33)
class SetInfoRequest(Record):
    """SMB2 SET_INFO Request.  [MS-SMB2] 2.2.39"""

    info_type: U8
    file_info_class: U8
    buffer_length: U32 = 0
    buffer_offset: U16 = 0
    reserved: ClassVar[Pad2]
    additional_information: U32 = 0
    file_id_persistent: U64
    file_id_volatile: U64


@record(structure_size=2)
class SetInfoResponse(Record):
    """SMB2 SET_INFO Response.  [MS-SMB2] 2.2.40"""


def query_info_input(message: Buffer, request: QueryInfoRequest) -> memoryview:
    """A list of EA names, or quota; empty otherwise."""
    return field(message, request.input_buffer_offset, request.input_buffer_length, after=HEADER_SIZE + request.SIZE)


def pack_query_info_request(request: QueryInfoRequest, data: bytes = b"") -> bytes:
    """The body.  Sets the offset and the length in `request`."""
    request.input_buffer_offset = HEADER_SIZE + request.SIZE if data else 0
    request.input_buffer_length = len(data)
    return request.pack() + (data or b"\0")


def query_info_output(message: Buffer, response: QueryInfoResponse) -> memoryview:
    """What was asked for."""
    return field(
        message, response.output_buffer_offset, response.output_buffer_length, after=HEADER_SIZE + response.SIZE
    )


def pack_query_info_response(data: bytes) -> bytes:
    """The body."""
    offset = HEADER_SIZE + QueryInfoResponse.SIZE
    return QueryInfoResponse(output_buffer_offset=offset, output_buffer_length=len(data)).pack() + data


def set_info_buffer(message: Buffer, request: SetInfoRequest) -> memoryview:
    """What is to be set."""
    return field(message, request.buffer_offset, request.buffer_length, after=HEADER_SIZE + request.SIZE)


def pack_set_info_request(request: SetInfoRequest, data: bytes) -> bytes:
    """The body.  Sets the offset and the length in `request`."""
    request.buffer_offset = HEADER_SIZE + request.SIZE
    request.buffer_length = len(data)
    return request.pack() + (data or b"\0")
