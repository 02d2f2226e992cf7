"""Directory listings: the information classes of QUERY_DIRECTORY.  [MS-FSCC] 2.4, numbered as of 2025-11-21

An entry is a head of 64 bytes, the same in all classes but FileNames, then a tail by which the classes differ,
then the name.  `DirectoryPacker` is on the hot path: it makes no object per entry but the bytes themselves, which
are joined once; that is a third faster than packing into a buffer, where copying the name costs a slice object.
"""

from codecs import utf_16_le_encode
from collections.abc import Callable
from struct import Struct
from typing import Final, NamedTuple

from smbport.wire.constants import FileAttribute, FileInfo
from smbport.wire.record import BadStructure, Buffer, field, split_chain
from smbport.wire.text import decode_utf16

__all__ = ["FIXED_SIZE", "DirectoryEntry", "DirectoryPacker", "EntryNames", "parse_directory_entries"]

# Siblings of FileInfo.ID_64_EXTD_DIRECTORY that clients hardly use.
_ID_64_EXTD_BOTH_DIRECTORY: Final = 79
_ID_ALL_EXTD_DIRECTORY: Final = 80
_ID_ALL_EXTD_BOTH_DIRECTORY: Final = 81


class EntryNames:
    """Names of the two entries that every directory has.  [MS-FSCC] 2.1.5.1"""

    SELF: Final = "."
    PARENT: Final = ".."


class DirectoryEntry(NamedTuple):
    """One entry, in the order in which `DirectoryPacker.add` takes its arguments.  Times are FILETIME."""

    name: str
    creation_time: int = 0
    last_access_time: int = 0
    last_write_time: int = 0
    change_time: int = 0
    end_of_file: int = 0
    allocation_size: int = 0
    file_attributes: int = 0
    ea_size: int = 0
    file_id: int = 0  # 64 bits; of a 128-bit id the lower half
    short_name: bytes = b""  # UTF-16, at most 24 bytes
    reparse_tag: int = 0  # with FileAttribute.REPARSE_POINT


_HEAD: Final = Struct("<II6QII")  # NextEntryOffset, FileIndex, 4 times, 2 sizes, FileAttributes, FileNameLength
_NAMES: Final = Struct("<III")  # NextEntryOffset, FileIndex, FileNameLength

_FULL: Final = Struct("<I")
_BOTH: Final = Struct("<IBx24s")
_ID_FULL: Final = Struct("<I4xQ")
_ID_BOTH: Final = Struct("<IBx24s2xQ")
_ID_EXTD: Final = Struct("<IIQ8x")  # a 128-bit id is the 64-bit one with zeroes behind it
_ID_64_EXTD: Final = Struct("<IIQ")
_ID_64_EXTD_BOTH: Final = Struct("<IIQBx24s")
_ID_ALL_EXTD: Final = Struct("<IIQQ8x")
_ID_ALL_EXTD_BOTH: Final = Struct("<IIQQ8xBx24s")


class _Tail(NamedTuple):
    """What a class has between the head and the name."""

    layout: Struct
    fields: tuple[str, ...]  # what `layout` unpacks to
    pack: Callable[[int, int, bytes, int], bytes]  # from ea_size, file_id, short_name, reparse_tag


# Classes without a field for the reparse tag have it in place of EaSize.  [MS-FSCC] 2.4.8 and the others
_TAILS: Final = {
    # FileDirectoryInformation.  [MS-FSCC] 2.4.10
    FileInfo.DIRECTORY: _Tail(Struct(""), (), lambda ea, file_id, short, tag: b""),
    # FileFullDirectoryInformation.  [MS-FSCC] 2.4.15
    FileInfo.FULL_DIRECTORY: _Tail(_FULL, ("ea_size",), lambda ea, file_id, short, tag: _FULL.pack(tag or ea)),
    # FileBothDirectoryInformation.  [MS-FSCC] 2.4.8
    FileInfo.BOTH_DIRECTORY: _Tail(
        _BOTH,
        ("ea_size", "short_name_length", "short_name"),
        lambda ea, file_id, short, tag: _BOTH.pack(tag or ea, len(short), short),
    ),
    # FileIdFullDirectoryInformation.  [MS-FSCC] 2.4.24
    FileInfo.ID_FULL_DIRECTORY: _Tail(
        _ID_FULL, ("ea_size", "file_id"), lambda ea, file_id, short, tag: _ID_FULL.pack(tag or ea, file_id)
    ),
    # FileIdBothDirectoryInformation.  [MS-FSCC] 2.4.22
    FileInfo.ID_BOTH_DIRECTORY: _Tail(
        _ID_BOTH,
        ("ea_size", "short_name_length", "short_name", "file_id"),
        lambda ea, file_id, short, tag: _ID_BOTH.pack(tag or ea, len(short), short, file_id),
    ),
    # FileIdExtdDirectoryInformation.  [MS-FSCC] 2.4.23
    FileInfo.ID_EXTD_DIRECTORY: _Tail(
        _ID_EXTD, ("ea_size", "reparse_tag", "file_id"), lambda ea, file_id, short, tag: _ID_EXTD.pack(ea, tag, file_id)
    ),
    # FileId64ExtdDirectoryInformation.  [MS-FSCC] 2.4.19
    FileInfo.ID_64_EXTD_DIRECTORY: _Tail(
        _ID_64_EXTD,
        ("ea_size", "reparse_tag", "file_id"),
        lambda ea, file_id, short, tag: _ID_64_EXTD.pack(ea, tag, file_id),
    ),
    # FileId64ExtdBothDirectoryInformation.  [MS-FSCC] 2.4.18
    _ID_64_EXTD_BOTH_DIRECTORY: _Tail(
        _ID_64_EXTD_BOTH,
        ("ea_size", "reparse_tag", "file_id", "short_name_length", "short_name"),
        lambda ea, file_id, short, tag: _ID_64_EXTD_BOTH.pack(ea, tag, file_id, len(short), short),
    ),
    # FileIdAllExtdDirectoryInformation.  [MS-FSCC] 2.4.21
    _ID_ALL_EXTD_DIRECTORY: _Tail(
        _ID_ALL_EXTD,
        ("ea_size", "reparse_tag", "file_id", "file_id_128"),
        lambda ea, file_id, short, tag: _ID_ALL_EXTD.pack(ea, tag, file_id, file_id),
    ),
    # FileIdAllExtdBothDirectoryInformation.  [MS-FSCC] 2.4.20
    _ID_ALL_EXTD_BOTH_DIRECTORY: _Tail(
        _ID_ALL_EXTD_BOTH,
        ("ea_size", "reparse_tag", "file_id", "file_id_128", "short_name_length", "short_name"),
        lambda ea, file_id, short, tag: _ID_ALL_EXTD_BOTH.pack(ea, tag, file_id, file_id, len(short), short),
    ),
}

FIXED_SIZE: Final = {
    FileInfo.NAMES: _NAMES.size,
    **{info_class: _HEAD.size + tail.layout.size for info_class, tail in _TAILS.items()},
}
"""Bytes of an entry without its name, for every class that can be listed."""

_PADDING: Final = [bytes(length) for length in range(8)]


class DirectoryPacker:
    """Builds the answer to one QUERY_DIRECTORY: entries in order, each on a multiple of 8.  [MS-SMB2] 3.3.5.18

    When the first `add` says False, the buffer is too small for any entry: `is_empty` tells.  That is
    INFO_LENGTH_MISMATCH if output_length is below FIXED_SIZE, else BUFFER_OVERFLOW.
    """

    __slots__ = ("_end", "_entries", "_fixed_size", "_next", "_output_length", "_pack_tail")

    def __init__(self, info_class: int, output_length: int) -> None:
        """`info_class` is a key of FIXED_SIZE; `output_length` is the size of the client's buffer in bytes."""
        self._fixed_size = FIXED_SIZE[info_class]
        self._pack_tail = None if info_class == FileInfo.NAMES else _TAILS[info_class].pack
        self._output_length = output_length
        self._entries: list[bytes] = []
        self._end = 0  # where the last name ends
        self._next = 0  # the same rounded up to 8: where the next entry may begin

    @property
    def is_empty(self) -> bool:
        return not self._entries

    @property
    def room(self) -> int:
        """Bytes for further entries."""
        return max(self._output_length - self._next, 0)

    def add(
        self,
        name: str,
        creation_time: int = 0,
        last_access_time: int = 0,
        last_write_time: int = 0,
        change_time: int = 0,
        end_of_file: int = 0,
        allocation_size: int = 0,
        file_attributes: int = 0,
        ea_size: int = 0,
        file_id: int = 0,
        short_name: bytes = b"",
        reparse_tag: int = 0,
    ) -> bool:
        """Append an entry, as described by DirectoryEntry; False if it does not fit, then nothing has changed.

        What the class has no room for is left out.  A short name of more than 24 bytes is our bug.
        """
        encoded, _ = utf_16_le_encode(
            name
        )  # str.encode would first look this function up, which takes longer than the call
        length = len(encoded)
        start = self._next
        end = start + self._fixed_size + length
        if end > self._output_length:
            return False
        following = end + 7 & ~7
        if self._pack_tail is None:
            fixed = _NAMES.pack(following - start, 0, length)
        else:
            fixed = _HEAD.pack(
                following - start, 0, creation_time, last_access_time, last_write_time, change_time, end_of_file,
                allocation_size, file_attributes, length,
            ) + self._pack_tail(ea_size, file_id, short_name, reparse_tag)  # fmt: skip
        self._entries.append(fixed + encoded + _PADDING[following - end])
        self._end = end
        self._next = following
        return True

    def take(self) -> bytes:
        """The finished buffer: the last NextEntryOffset is 0 and nothing is behind the last name.

        The packer is empty afterwards.
        """
        if not self._entries:
            return b""
        last = self._entries.pop()
        self._entries.append(bytes(4) + last[4 : len(last) - (self._next - self._end)])
        finished = b"".join(self._entries)
        self._entries.clear()
        self._end = self._next = 0
        return finished


def parse_directory_entries(info_class: int, buffer: Buffer) -> list[DirectoryEntry]:
    """The reverse of `DirectoryPacker`, for clients.  `info_class` is a key of FIXED_SIZE."""
    parse = _parse_name_entry if info_class == FileInfo.NAMES else _parse_entry
    return [parse(info_class, entry) for entry in split_chain(buffer, alignment=8)]


def _parse_name_entry(info_class: int, entry: memoryview) -> DirectoryEntry:
    """FileNamesInformation.  [MS-FSCC] 2.4.33"""
    _check_size(info_class, entry)
    _, _, length = _NAMES.unpack_from(entry)
    return DirectoryEntry(decode_utf16(field(entry, _NAMES.size, length, after=_NAMES.size)))


def _parse_entry(info_class: int, entry: memoryview) -> DirectoryEntry:
    size = _check_size(info_class, entry)
    _, _, created, accessed, written, changed, end_of_file, allocated, attributes, length = _HEAD.unpack_from(entry)
    layout, fields, _ = _TAILS[info_class]
    tail = dict(zip(fields, layout.unpack_from(entry, _HEAD.size), strict=True))
    short_name_length = tail.get("short_name_length", 0)
    if short_name_length > 24:
        raise BadStructure(f"short name of {short_name_length} bytes")
    ea_size = tail.get("ea_size", 0)
    tag = tail.get("reparse_tag", 0)
    if attributes & FileAttribute.REPARSE_POINT and "reparse_tag" not in tail:
        ea_size, tag = 0, ea_size
    return DirectoryEntry(
        name=decode_utf16(field(entry, size, length, after=size)),
        creation_time=created,
        last_access_time=accessed,
        last_write_time=written,
        change_time=changed,
        end_of_file=end_of_file,
        allocation_size=allocated,
        file_attributes=attributes,
        ea_size=ea_size,
        file_id=tail.get("file_id", 0),
        short_name=tail.get("short_name", b"")[:short_name_length],
        reparse_tag=tag,
    )


def _check_size(info_class: int, entry: memoryview) -> int:
    size = FIXED_SIZE[info_class]
    if len(entry) < size:
        raise BadStructure(f"directory entry of {len(entry)} bytes, class {info_class} needs {size}")
    return size
