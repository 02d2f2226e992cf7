"""CHANGE_NOTIFY.  [MS-SMB2] 2.2.35, 2.2.36, [MS-FSCC] 2.7.1"""

from collections.abc import Sequence
from typing import ClassVar, Final

from smbport.wire.constants import CompletionFilter
from smbport.wire.header import HEADER_SIZE
from smbport.wire.record import U16, U32, U64, Buffer, Pad4, Record, field, join_chain, record, split_chain
from smbport.wire.text import decode_utf16, encode_utf16

__all__ = [
    "ChangeNotifyFlag", "ChangeNotifyRequest", "ChangeNotifyResponse", "CompletionFilter", "FileNotifyInformation",
    "NotifyAction", "change_notify_output", "pack_change_notify_response", "pack_notify_entry",
    "pack_notify_information", "parse_notify_information",
]  # fmt: skip


class ChangeNotifyFlag:
    """[MS-SMB2] 2.2.35"""

    WATCH_TREE: Final = 0x0001


class NotifyAction:
    """[MS-FSCC] 2.7.1"""

    ADDED: Final = 0x00000001
    REMOVED: Final = 0x00000002
    MODIFIED: Final = 0x00000003
    RENAMED_OLD_NAME: Final = 0x00000004
    RENAMED_NEW_NAME: Final = 0x00000005
    ADDED_STREAM: Final = 0x00000006
    REMOVED_STREAM: Final = 0x00000007
    MODIFIED_STREAM: Final = 0x00000008
    REMOVED_BY_DELETE: Final = 0x00000009
    ID_NOT_TUNNELLED: Final = 0x0000000A
    TUNNELLED_ID_COLLISION: Final = 0x0000000B


@record(structure_size=32)
class ChangeNotifyRequest(Record):
    """SMB2 CHANGE_NOTIFY Request.  [MS-SMB2] 2.2.35"""

    flags: U16 = 0
    output_buffer_length: U32
    file_id_persistent: U64
    file_id_volatile: U64
    completion_filter: U32
    reserved: ClassVar[Pad4]


@record(structure_size=9)
class ChangeNotifyResponse(Record):
    """SMB2 CHANGE_NOTIFY Response.  [MS-SMB2] 2.2.36"""

    output_buffer_offset: U16
    output_buffer_length: U32


@record()
class FileNotifyInformation(Record):
    """FILE_NOTIFY_INFORMATION without its name.  [MS-FSCC] 2.7.1"""

    next_entry_offset: U32 = 0
    action: U32
    file_name_length: U32


def pack_notify_entry(action: int, name: str) -> bytes:
    """One change as the last FILE_NOTIFY_INFORMATION of a chain; `join_chain` puts several behind each other."""
    encoded = encode_utf16(name)
    return FileNotifyInformation(action=action, file_name_length=len(encoded)).pack() + encoded


def pack_notify_information(changes: Sequence[tuple[int, str]]) -> bytes:
    """(NotifyAction, name) of each change as a chain of FILE_NOTIFY_INFORMATION."""
    return join_chain([pack_notify_entry(action, name) for action, name in changes], alignment=4)


def parse_notify_information(buffer: Buffer) -> list[tuple[int, str]]:
    """The reverse of `pack_notify_information`."""
    if not buffer:
        return []
    changes: list[tuple[int, str]] = []
    for entry in split_chain(buffer, alignment=4):
        info = FileNotifyInformation.unpack_from(entry)
        changes.append((info.action, decode_utf16(field(entry, info.SIZE, info.file_name_length, after=info.SIZE))))
    return changes


def change_notify_output(message: Buffer, response: ChangeNotifyResponse) -> memoryview:
    """The chain of changes; empty with NOTIFY_ENUM_DIR."""
    return field(
        message, response.output_buffer_offset, response.output_buffer_length, after=HEADER_SIZE + response.SIZE
    )


def pack_change_notify_response(data: bytes) -> bytes:
    """The body.  Without changes (NOTIFY_ENUM_DIR, NOTIFY_CLEANUP) it has one byte of buffer, as StructureSize says."""
    offset = HEADER_SIZE + ChangeNotifyResponse.SIZE if data else 0
    response = ChangeNotifyResponse(output_buffer_offset=offset, output_buffer_length=len(data))
    return response.pack() + (data or b"\0")
