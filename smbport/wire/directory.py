"""QUERY_DIRECTORY.  Its entries are in fscc.py.  [MS-SMB2] 2.2.33, 2.2.34"""

from smbport.wire.header import HEADER_SIZE
from smbport.wire.record import U8, U16, U32, U64, Buffer, Record, field, record
from smbport.wire.text import decode_utf16, encode_utf16

__all__ = [
    "QueryDirectoryRequest", "QueryDirectoryResponse", "pack_query_directory_request", "pack_query_directory_response",
    "query_directory_output", "query_directory_pattern",
]  # fmt: skip


@record(structure_size=33)
class QueryDirectoryRequest(Record):
    """SMB2 QUERY_DIRECTORY Request.  [MS-SMB2] 2.2.33"""

    file_information_class: U8
    flags: U8 = 0
    file_index: U32 = 0
    file_id_persistent: U64
    file_id_volatile: U64
    file_name_offset: U16 = 0
    file_name_length: U16 = 0
    output_buffer_length: U32


@record(structure_size=9)
class QueryDirectoryResponse(Record):
    """SMB2 QUERY_DIRECTORY Response.  [MS-SMB2] 2.2.34"""

    output_buffer_offset: U16
    output_buffer_length: U32


def query_directory_pattern(message: Buffer, request: QueryDirectoryRequest) -> str:
    """The search pattern, which may be empty."""
    return decode_utf16(
        field(message, request.file_name_offset, request.file_name_length, after=HEADER_SIZE + request.SIZE)
    )


def pack_query_directory_request(request: QueryDirectoryRequest, pattern: str) -> bytes:
    """The body.  Sets the offset and the length in `request`."""
    encoded = encode_utf16(pattern)
    request.file_name_offset = HEADER_SIZE + request.SIZE
    request.file_name_length = len(encoded)
    return request.pack() + (encoded or b"\0")


def query_directory_output(message: Buffer, response: QueryDirectoryResponse) -> memoryview:
    """The chain of entries."""
    return field(
        message, response.output_buffer_offset, response.output_buffer_length, after=HEADER_SIZE + response.SIZE
    )


def pack_query_directory_response(entries: bytes) -> bytes:
    """The body."""
    offset = HEADER_SIZE + QueryDirectoryResponse.SIZE
    return QueryDirectoryResponse(output_buffer_offset=offset, output_buffer_length=len(entries)).pack() + entries
