"""CREATE.  Its contexts are in create_contexts.py, packed responses in create_response.py.  [MS-SMB2] 2.2.13, 2.2.14"""

from collections.abc import Sequence
from typing import ClassVar

from smbport.wire.create_contexts import pack_create_contexts, parse_create_contexts
from smbport.wire.header import HEADER_SIZE
from smbport.wire.record import U8, U16, U32, U64, BadStructure, Buffer, Pad1, Pad4, Pad8, Record, field, record
from smbport.wire.text import decode_utf16, encode_utf16

__all__ = ["CreateRequest", "CreateResponse", "create_contexts", "create_name", "pack_create_request"]


@record(structure_size=57)
class CreateRequest(Record):
    """SMB2 CREATE Request.  [MS-SMB2] 2.2.13"""

    security_flags: ClassVar[Pad1]
    requested_oplock_level: U8
    impersonation_level: U32
    smb_create_flags: ClassVar[Pad8]
    reserved: ClassVar[Pad8]
    desired_access: U32
    file_attributes: U32
    share_access: U32
    create_disposition: U32
    create_options: U32
    name_offset: U16 = 0
    name_length: U16 = 0
    create_contexts_offset: U32 = 0
    create_contexts_length: U32 = 0


@record(structure_size=89)
class CreateResponse(Record):
    """SMB2 CREATE Response.  [MS-SMB2] 2.2.14"""

    oplock_level: U8
    flags: U8 = 0
    create_action: U32
    creation_time: U64
    last_access_time: U64
    last_write_time: U64
    change_time: U64
    allocation_size: U64
    end_of_file: U64
    file_attributes: U32
    reserved2: ClassVar[Pad4]
    file_id_persistent: U64
    file_id_volatile: U64
    create_contexts_offset: U32 = 0
    create_contexts_length: U32 = 0


def create_name(message: Buffer, request: CreateRequest) -> str:
    """The name below the share; empty for its root."""
    return decode_utf16(field(message, request.name_offset, request.name_length, after=HEADER_SIZE + request.SIZE))


def create_contexts(
    message: Buffer, create: CreateRequest | CreateResponse, *, limit: int
) -> list[tuple[bytes, memoryview]]:
    """(tag, data) of each create context; more than `limit` are a BadStructure."""
    offset, length = create.create_contexts_offset, create.create_contexts_length
    if not length:
        return []
    if offset % 8:
        raise BadStructure(f"create contexts at {offset}")
    return parse_create_contexts(field(message, offset, length, after=HEADER_SIZE + create.SIZE), limit=limit)


def pack_create_request(request: CreateRequest, name: str, contexts: Sequence[tuple[bytes, bytes]] = ()) -> bytes:
    """The body.  Sets the offsets and lengths in `request`."""
    encoded = encode_utf16(name)
    request.name_offset = HEADER_SIZE + request.SIZE
    request.name_length = len(encoded)
    buffer = encoded or b"\0"  # 2.2.13: at least one byte
    if contexts:
        chain = pack_create_contexts(contexts)
        buffer += bytes(-len(buffer) % 8)
        request.create_contexts_offset = HEADER_SIZE + request.SIZE + len(buffer)
        request.create_contexts_length = len(chain)
        buffer += chain
    return request.pack() + buffer
