"""File information classes that are lists of entries: extended attributes, streams, hard links.  [MS-FSCC] 2.4

Functions that answer a query take a `limit` in bytes, put in as many whole entries as fit, and say how many those
are: if it is not all, the answer is BUFFER_OVERFLOW.
"""

from collections.abc import Iterable, Sequence
from typing import ClassVar, Final, NamedTuple

from smbport.wire.record import (
    U8,
    U16,
    U32,
    U64,
    BadStructure,
    Buffer,
    Pad4,
    Record,
    field,
    join_chain,
    record,
    split_chain,
)
from smbport.wire.text import decode_utf16, encode_utf16

__all__ = [
    "EaFlag", "FileFullEaInformation", "FileGetEaInformation", "FileHardLinkInformation", "FileLinkEntryInformation",
    "FileStreamInformation", "FullEa", "HardLink", "Stream", "is_valid_ea_name", "pack_ea_list", "pack_ea_names",
    "pack_hard_links", "pack_streams", "parse_ea_list", "parse_ea_names", "parse_hard_links", "parse_streams",
]  # fmt: skip


def _join_fitting(entries: Iterable[bytes], *, alignment: int, limit: int) -> tuple[bytes, int]:
    """A chain of as many whole entries as `limit` bytes hold, and how many those are."""
    taken: list[bytes] = []
    end = 0
    for entry in entries:
        end += -end % alignment + len(entry)
        if end > limit:
            break
        taken.append(entry)
    return join_chain(taken, alignment=alignment), len(taken)


class EaFlag:
    """[MS-FSCC] 2.4.16"""

    NEED_EA: Final = 0x80


class FullEa(NamedTuple):
    """One extended attribute.  `name` has one character per byte on the wire: ASCII if `is_valid_ea_name`."""

    name: str
    value: bytes  # empty when set: remove the attribute
    flags: int = 0  # EaFlag


@record()
class FileFullEaInformation(Record):
    """FILE_FULL_EA_INFORMATION; the name, a zero byte and the value follow.  [MS-FSCC] 2.4.16"""

    next_entry_offset: U32
    flags: U8
    ea_name_length: U8
    ea_value_length: U16


@record()
class FileGetEaInformation(Record):
    """FILE_GET_EA_INFORMATION; the name and a zero byte follow.  [MS-FSCC] 2.4.16.1"""

    next_entry_offset: U32
    ea_name_length: U8


_ILLEGAL_IN_EA_NAME: Final = frozenset('\\/:*?"<>|,+=[];')


def is_valid_ea_name(name: str) -> bool:
    """Whether the characters are allowed.  [MS-FSCC] 2.4.16

    Only printable ASCII; Windows also takes bytes of its OEM code page, whose meaning we cannot know.
    """
    return bool(name) and name.isascii() and name.isprintable() and _ILLEGAL_IN_EA_NAME.isdisjoint(name)


def pack_ea_list(eas: Sequence[FullEa], *, limit: int) -> tuple[bytes, int]:
    """FileFullEaInformation of the first attributes that fit `limit` bytes, and how many those are."""
    entries = (
        FileFullEaInformation(
            next_entry_offset=0, flags=ea.flags, ea_name_length=len(ea.name), ea_value_length=len(ea.value)
        ).pack()
        + ea.name.encode("latin-1")
        + b"\0"
        + ea.value
        for ea in eas
    )
    return _join_fitting(entries, alignment=4, limit=limit)


def parse_ea_list(buffer: Buffer) -> list[FullEa]:
    """A buffer of FileFullEaInformation, from SET_INFO or a create context.  [MS-FSCC] 2.4.16

    As strict as Windows: each NextEntryOffset is the length of its entry rounded up to 4.  Raises BadStructure,
    which means EA_LIST_INCONSISTENT; names are for the caller to check (`is_valid_ea_name`: INVALID_EA_NAME).
    """
    eas: list[FullEa] = []
    for entry in split_chain(buffer, alignment=4):
        head = FileFullEaInformation.unpack_from(entry)
        name, end = _terminated_name(entry, head.SIZE, head.ea_name_length)
        value = bytes(field(entry, end, head.ea_value_length, after=end))
        _check_following(head.next_entry_offset, end + len(value))
        eas.append(FullEa(name, value, head.flags))
    return eas


def pack_ea_names(names: Sequence[str]) -> bytes:
    """A list of FILE_GET_EA_INFORMATION.  [MS-FSCC] 2.4.16.1"""
    return join_chain(
        [
            FileGetEaInformation(next_entry_offset=0, ea_name_length=len(name)).pack() + name.encode("latin-1") + b"\0"
            for name in names
        ],
        alignment=4,
    )


def parse_ea_names(buffer: Buffer) -> list[str]:
    """The names that a query of FileFullEaInformation asks for, as strictly as `parse_ea_list`."""
    names: list[str] = []
    for entry in split_chain(buffer, alignment=4):
        head = FileGetEaInformation.unpack_from(entry)
        name, end = _terminated_name(entry, head.SIZE, head.ea_name_length)
        _check_following(head.next_entry_offset, end)
        names.append(name)
    return names


def _terminated_name(entry: memoryview, offset: int, length: int) -> tuple[str, int]:
    """The name of `length` bytes whose only zero byte is the one behind it, and where that ends."""
    end = offset + length + 1
    terminated = bytes(field(entry, offset, length + 1, after=offset))
    if terminated.find(0) != length:
        raise BadStructure(f"EA name of {length} bytes does not end with its first zero byte")
    return str(terminated[:length], "latin-1"), end


def _check_following(next_entry_offset: int, length: int) -> None:
    if next_entry_offset not in (0, length + -length % 4):
        raise BadStructure(f"NextEntryOffset {next_entry_offset} behind an EA entry of {length} bytes")


class Stream(NamedTuple):
    """One stream of a file; `name` is complete, as in ":name:$DATA" or "::$DATA"."""

    name: str
    size: int
    allocation_size: int


@record()
class FileStreamInformation(Record):
    """FILE_STREAM_INFORMATION; the name follows.  [MS-FSCC] 2.4.49"""

    next_entry_offset: U32
    stream_name_length: U32
    stream_size: U64
    stream_allocation_size: U64


def pack_streams(streams: Iterable[Stream], *, limit: int) -> tuple[bytes, int]:
    """FileStreamInformation of the first streams that fit `limit` bytes, and how many those are."""
    return _join_fitting(map(_pack_stream, streams), alignment=8, limit=limit)


def _pack_stream(stream: Stream) -> bytes:
    name = encode_utf16(stream.name)
    head = FileStreamInformation(
        next_entry_offset=0,
        stream_name_length=len(name),
        stream_size=stream.size,
        stream_allocation_size=stream.allocation_size,
    )
    return head.pack() + name


def parse_streams(buffer: Buffer) -> list[Stream]:
    """The reverse of `pack_streams`.  An empty buffer is a file (a directory) without streams."""
    streams: list[Stream] = []
    for entry in split_chain(buffer, alignment=8) if len(buffer) else ():
        head = FileStreamInformation.unpack_from(entry)
        name = decode_utf16(field(entry, head.SIZE, head.stream_name_length, after=head.SIZE))
        streams.append(Stream(name, head.stream_size, head.stream_allocation_size))
    return streams


class HardLink(NamedTuple):
    """One name of a file, without its directory."""

    parent_file_id: int
    name: str


@record()
class FileHardLinkInformation(Record):
    """FILE_LINKS_INFORMATION; the entries follow.  [MS-FSCC] 2.4.17"""

    bytes_needed: U32
    entries_returned: U32


@record()
class FileLinkEntryInformation(Record):
    """FILE_LINK_ENTRY_INFORMATION; the name follows.  [MS-FSCC] 2.4.17.1

    Windows: 4 bytes of padding before parent_file_id, as its compiler aligns the structure, and the length of
    the name in characters (ntifs.h).
    """

    next_entry_offset: U32
    padding: ClassVar[Pad4]
    parent_file_id: U64
    file_name_length: U32


def pack_hard_links(links: Sequence[HardLink], *, limit: int) -> tuple[bytes, int]:
    """FileHardLinkInformation with the first links that fit `limit` bytes, and how many those are.

    `limit` is at least MINIMUM_OUTPUT_LENGTH.  BytesNeeded counts all that a buffer for all links must hold.
    """
    entries = [_pack_link(link) for link in links]
    chain, count = _join_fitting(entries, alignment=8, limit=limit - FileHardLinkInformation.SIZE)
    needed = FileHardLinkInformation.SIZE + len(join_chain(entries))
    return FileHardLinkInformation(bytes_needed=needed, entries_returned=count).pack() + chain, count


def _pack_link(link: HardLink) -> bytes:
    name = encode_utf16(link.name)
    head = FileLinkEntryInformation(
        next_entry_offset=0, parent_file_id=link.parent_file_id, file_name_length=len(name) // 2
    )
    return head.pack() + name


def parse_hard_links(buffer: Buffer) -> list[HardLink]:
    """The reverse of `pack_hard_links`, as many as were returned."""
    head = FileHardLinkInformation.unpack_from(buffer)
    chain = memoryview(buffer)[head.SIZE :]
    links: list[HardLink] = []
    for entry in split_chain(chain, alignment=8) if head.entries_returned else ():
        link = FileLinkEntryInformation.unpack_from(entry)
        name = decode_utf16(field(entry, link.SIZE, link.file_name_length * 2, after=link.SIZE))
        links.append(HardLink(link.parent_file_id, name))
    return links
