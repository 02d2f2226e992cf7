"""TREE_CONNECT and TREE_DISCONNECT.  [MS-SMB2] 2.2.9 - 2.2.12"""

from typing import ClassVar

from smbport.wire.header import HEADER_SIZE
from smbport.wire.record import U8, U16, U32, Buffer, Pad1, Pad2, Record, field, record
from smbport.wire.text import decode_utf16, encode_utf16

__all__ = [
    "TreeConnectRequest", "TreeConnectResponse", "TreeDisconnectRequest", "TreeDisconnectResponse",
    "pack_tree_connect_request", "tree_path",
]  # fmt: skip


@record(structure_size=9)
class TreeConnectRequest(Record):
    """SMB2 TREE_CONNECT Request.  [MS-SMB2] 2.2.9"""

    flags: U16 = 0
    path_offset: U16 = 0
    path_length: U16 = 0


@record(structure_size=16)
class TreeConnectResponse(Record):
    """SMB2 TREE_CONNECT Response.  [MS-SMB2] 2.2.10"""

    share_type: U8
    reserved: ClassVar[Pad1]
    share_flags: U32
    capabilities: U32
    maximal_access: U32


@record(structure_size=4)
class TreeDisconnectRequest(Record):
    """SMB2 TREE_DISCONNECT Request.  [MS-SMB2] 2.2.11"""

    reserved: ClassVar[Pad2]


@record(structure_size=4)
class TreeDisconnectResponse(Record):
    """SMB2 TREE_DISCONNECT Response.  [MS-SMB2] 2.2.12"""

    reserved: ClassVar[Pad2]


def tree_path(message: Buffer, request: TreeConnectRequest) -> str:
    r"""`\\server\share`, as the client wrote it."""
    return decode_utf16(field(message, request.path_offset, request.path_length, after=HEADER_SIZE + request.SIZE))


def pack_tree_connect_request(path: str, *, flags: int = 0) -> bytes:
    """The body."""
    encoded = encode_utf16(path)
    fixed = TreeConnectRequest(flags=flags, path_length=len(encoded))
    fixed.path_offset = HEADER_SIZE + fixed.SIZE
    return fixed.pack() + encoded
