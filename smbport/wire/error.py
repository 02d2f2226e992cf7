"""The error response, its contexts in 3.1.1, and the answer to a path through a symbolic link.  [MS-SMB2] 2.2.2"""

from collections.abc import Sequence
from typing import ClassVar, Final, NamedTuple

from smbport.wire.header import HEADER_SIZE
from smbport.wire.record import U8, U16, U32, BadStructure, Buffer, Pad1, Record, field, record
from smbport.wire.text import decode_utf16, encode_utf16

__all__ = [
    "ErrorContext", "ErrorId", "ErrorResponse", "Symlink", "SymlinkErrorResponse", "SymlinkFlag", "error_contexts",
    "error_data", "pack_error_contexts", "pack_error_response", "pack_symlink_error", "parse_symlink_error",
]  # fmt: skip


class ErrorId:
    """[MS-SMB2] 2.2.2.1"""

    DEFAULT: Final = 0x00000000
    SHARE_REDIRECT: Final = 0x72645253


class SymlinkFlag:
    """[MS-SMB2] 2.2.2.2.1"""

    RELATIVE: Final = 0x00000001


@record(structure_size=9)
class ErrorResponse(Record):
    """SMB2 ERROR Response.  [MS-SMB2] 2.2.2"""

    error_context_count: U8 = 0
    reserved: ClassVar[Pad1]
    byte_count: U32 = 0


@record()
class ErrorContext(Record):
    """SMB2 ERROR Context without its data.  [MS-SMB2] 2.2.2.1"""

    error_data_length: U32
    error_id: U32


def pack_error_response(data: bytes = b"", context_count: int = 0) -> bytes:
    """The body.  In 3.1.1 any `data` is `pack_error_contexts(...)` and `context_count` their number.

    Without data there is one byte of it all the same, as in Windows' answers; clients count on it.
    """
    return ErrorResponse(error_context_count=context_count, byte_count=len(data)).pack() + (data or b"\0")


def error_data(message: Buffer, response: ErrorResponse) -> memoryview:
    """ErrorData: contexts if the response counts any."""
    start = HEADER_SIZE + response.SIZE
    return field(message, start, response.byte_count, after=start)


def pack_error_contexts(contexts: Sequence[tuple[int, bytes]]) -> bytes:
    """(ErrorId, data) of each context.  [MS-SMB2] 2.2.2.1"""
    out = bytearray()
    for error_id, data in contexts:
        out += bytes(-len(out) % 8)
        out += ErrorContext(error_data_length=len(data), error_id=error_id).pack()
        out += data
    return bytes(out)


def error_contexts(message: Buffer, response: ErrorResponse) -> list[tuple[int, memoryview]]:
    """The reverse of `pack_error_contexts`."""
    data = error_data(message, response)
    contexts: list[tuple[int, memoryview]] = []
    position = 0
    for _ in range(response.error_context_count):
        context = ErrorContext.unpack_from(data, position)
        start = position + context.SIZE
        contexts.append((context.error_id, field(data, start, context.error_data_length, after=start)))
        position = start + context.error_data_length
        position += -position % 8
    return contexts


# Symbolic links ---------------------------------------------------------------------------------------------------

_SYMLINK_ERROR_TAG: Final = 0x4C4D5953
_REPARSE_TAG_SYMLINK: Final = 0xA000000C


@record()
class SymlinkErrorResponse(Record):
    """Symbolic Link Error Response up to PathBuffer.  [MS-SMB2] 2.2.2.2.1"""

    sym_link_length: U32  # of all that follows this field
    sym_link_error_tag: U32 = _SYMLINK_ERROR_TAG
    reparse_tag: U32 = _REPARSE_TAG_SYMLINK
    reparse_data_length: U16  # of all that follows UnparsedPathLength
    unparsed_path_length: U16
    substitute_name_offset: U16
    substitute_name_length: U16
    print_name_offset: U16
    print_name_length: U16
    flags: U32


class Symlink(NamedTuple):
    """Where a path left the tree, and what the client should try instead."""

    substitute_name: str
    print_name: str
    unparsed_path_length: int  # bytes of the UTF-16 name behind the link
    flags: int


def pack_symlink_error(link: Symlink) -> bytes:
    """The data of an error response (in 3.1.1: of its one context) with STOPPED_ON_SYMLINK."""
    substitute, printed = encode_utf16(link.substitute_name), encode_utf16(link.print_name)
    paths = len(substitute) + len(printed)
    fixed = SymlinkErrorResponse(
        sym_link_length=SymlinkErrorResponse.SIZE - 4 + paths,
        reparse_data_length=12 + paths,
        unparsed_path_length=link.unparsed_path_length,
        substitute_name_offset=0,
        substitute_name_length=len(substitute),
        print_name_offset=len(substitute),
        print_name_length=len(printed),
        flags=link.flags,
    )
    return fixed.pack() + substitute + printed


def parse_symlink_error(data: Buffer) -> Symlink:
    """The reverse of `pack_symlink_error`."""
    fixed = SymlinkErrorResponse.unpack_from(data)
    if fixed.sym_link_error_tag != _SYMLINK_ERROR_TAG or fixed.reparse_tag != _REPARSE_TAG_SYMLINK:
        raise BadStructure("error data that is no symbolic link")
    paths = memoryview(data)[fixed.SIZE :]
    return Symlink(
        decode_utf16(field(paths, fixed.substitute_name_offset, fixed.substitute_name_length, after=0)),
        decode_utf16(field(paths, fixed.print_name_offset, fixed.print_name_length, after=0)),
        fixed.unparsed_path_length,
        fixed.flags,
    )
