"""QUERY_DIRECTORY.  [MS-SMB2] 3.3.5.18, [MS-FSA] 2.1.5.6.3

A listing is streamed: the platform is asked for about as many entries as the client's buffer holds, and what did
not fit stays in the cursor for the next request.  `FileIndex` is 0 and SMB2_INDEX_SPECIFIED is ignored, as on NTFS.
"""

import errno
import struct
from collections.abc import Callable
from typing import Final, NamedTuple

from smbport.commands.attributes import DFS_LINK, file_attributes, file_times
from smbport.commands.call import Call, Reply
from smbport.commands.dfs_names import add_links
from smbport.commands.ea_listing import lists_ea_sizes, read_ea_sizes, read_ea_sizes_by_path
from smbport.commands.find_name import find_name, parent_of
from smbport.commands.governed import may_read
from smbport.commands.mac_listing import mac_adder, read_mac_attributes, shows_mac_attributes
from smbport.commands.posix import posix_adder
from smbport.commands.steps import Manner, blocking, waiting
from smbport.platform import Attributes, Directory, Entry, Kind, Stat, Volume
from smbport.state.names import Pattern, has_wildcards, name_for_disk, name_for_wire
from smbport.state.open import DirectoryCursor, FileOpen
from smbport.state.short_names import fits_dos, short_name
from smbport.state.spellings import Spellings
from smbport.wire.aapl import MacDirectoryPacker
from smbport.wire.constants import FileAttribute, FileInfo, QueryDirectoryFlag
from smbport.wire.dfs import IO_REPARSE_TAG_DFS
from smbport.wire.directory import QueryDirectoryRequest, QueryDirectoryResponse, query_directory_pattern
from smbport.wire.fscc_directory import FIXED_SIZE, DirectoryPacker, EntryNames
from smbport.wire.header import HEADER_SIZE
from smbport.wire.posix import ENTRY_FIXED_SIZE, PosixDirectoryPacker
from smbport.wire.reparse import ReparseTag
from smbport.wire.status import Status, StatusError
from smbport.wire.text import FILETIME_EPOCH

__all__ = ["query_directory"]

BATCH: Final = 1024  # entries read at a time at most, so that a thread is soon free again
SELECTIVE_BATCH: Final = 64  # at least as many when a pattern will leave some out
USUAL_NAME: Final = 48  # bytes that a name takes with its padding; guessed
OUTPUT_OFFSET: Final = HEADER_SIZE + QueryDirectoryResponse.SIZE

_DOTS: Final = (EntryNames.SELF, EntryNames.PARENT)
_FIXED_SIZE: Final = FIXED_SIZE | {FileInfo.POSIX: ENTRY_FIXED_SIZE}
_LINK: Final = FileAttribute.REPARSE_POINT
_LINK_TAG: Final = ReparseTag.SYMLINK
_DFS_TAG: Final = IO_REPARSE_TAG_DFS
_LINK_LEADS_NOWHERE: Final = (errno.EXDEV, errno.ELOOP)
_NOTHING_THERE: Final = (errno.ENOENT, *_LINK_LEADS_NOWHERE)
_FROM_START: Final = QueryDirectoryFlag.RESTART_SCANS | QueryDirectoryFlag.REOPEN


async def query_directory(call: Call, request: QueryDirectoryRequest) -> Reply:
    """[MS-SMB2] 3.3.5.18"""
    opened = call.file
    directory = opened.directory
    text = _check(call, request)
    pattern = Pattern(text, case_sensitive=opened.posix or opened.tree.share.settings.case_sensitive)
    literal = _literal_name(text)
    packer = _new_packer(opened, request)
    cursor = opened.cursor
    first = cursor is None or bool(request.flags & QueryDirectoryFlag.REOPEN)
    if cursor is None:
        cursor = opened.cursor = DirectoryCursor(pattern, literal)
    while cursor.busy:
        event = call.server.runtime.new_event()
        cursor.waiters.append(event)
        await waiting(event, manner=Manner.SHIELDED)
        call.still_open()
    cursor.busy = True
    try:
        if request.flags & _FROM_START:
            cursor.restart(pattern, literal)
            directory.rewind()
        await _complete_rest(opened, cursor, request.file_information_class)
        single = bool(request.flags & QueryDirectoryFlag.RETURN_SINGLE_ENTRY)
        while not cursor.move(_adder(opened, cursor, packer, request), single=single) and not cursor.ended:
            try:
                await _refill(opened, cursor, request, packer.room)
            except OSError:
                if packer.is_empty:
                    raise
                break  # what was read is sent; the next request meets the error again
    finally:
        cursor.release()
    if packer.is_empty:
        if cursor.rest:
            raise StatusError(Status.BUFFER_OVERFLOW, "not even one entry fits")
        raise StatusError(Status.NO_SUCH_FILE if first else Status.NO_MORE_FILES)
    entries = packer.take()
    return Reply(QueryDirectoryResponse(output_buffer_offset=OUTPUT_OFFSET, output_buffer_length=len(entries)), entries)


def _new_packer(opened: FileOpen, request: QueryDirectoryRequest) -> DirectoryPacker:
    if shows_mac_attributes(opened, request.file_information_class):
        return MacDirectoryPacker(request.output_buffer_length)
    if request.file_information_class == FileInfo.POSIX:
        return PosixDirectoryPacker(request.output_buffer_length)
    return DirectoryPacker(request.file_information_class, request.output_buffer_length)


def _check(call: Call, request: QueryDirectoryRequest) -> str:
    """The search pattern, if the request is one that can be answered."""
    info_class = request.file_information_class
    fixed_size = _FIXED_SIZE.get(info_class)
    if fixed_size is None or (info_class == FileInfo.POSIX and not call.file.posix):
        raise StatusError(Status.INVALID_INFO_CLASS, f"directory class {request.file_information_class}")
    length = request.output_buffer_length
    if length > call.connection.max_transact:
        raise StatusError(Status.INVALID_PARAMETER, f"{length} bytes are more than {call.connection.max_transact}")
    if length < fixed_size:
        raise StatusError(Status.INFO_LENGTH_MISMATCH)
    text = query_directory_pattern(call.message, request)
    if not text or any(letter in text for letter in "\\/\0"):
        raise StatusError(Status.OBJECT_NAME_INVALID, f"search pattern {text!r}")
    if text[-1] in " ." and text not in _DOTS and not has_wildcards(text):
        return name_for_wire(text)  # CREATE takes such a name as it is, but a listing shows it mapped
    return text


def _literal_name(text: str) -> str | None:
    """The name on disk that a pattern without wildcards stands for; None if there is no such name."""
    if has_wildcards(text):
        return None
    name = name_for_disk(text)
    return name if name not in _DOTS and name_for_wire(name) == text else None


# Reading --------------------------------------------------------------------------------------------------------


class _Scan(NamedTuple):
    """What a thread needs to know to read on."""

    volume: Volume
    directory: Directory
    path: str
    stat: bool
    limit: int  # entries to read; 0 for none
    dots: bool  # "." and ".." come first
    literal: str | None  # a name that is looked for instead of reading on
    spellings: Spellings | None  # None: case matters
    attributes: Attributes | None  # what is asked for EaSize; None: nobody


class _Found(NamedTuple):
    """What it has found there."""

    entries: list[Entry]
    ended: bool  # these are the last
    ea_sizes: dict[str, int] | None


async def _refill(opened: FileOpen, cursor: DirectoryCursor, request: QueryDirectoryRequest, room: int) -> None:
    """Let the cursor have entries again, to fill so many bytes, or be at its end.

    A CLOSE that comes meanwhile does not matter: the handle is pinned, and the listing is finished, as on Windows.
    """
    volume = opened.volume
    # A volume that ignores case itself does not tell how it spells a name: its directories must be read.
    look_up = not cursor.started and volume.features.case_sensitive
    scan = _Scan(
        volume=volume,
        directory=opened.directory,
        path=opened.path,
        stat=request.file_information_class not in (FileInfo.NAMES, FileInfo.POSIX),
        limit=_limit(cursor, request, room),
        dots=not cursor.started,
        literal=cursor.literal if look_up else None,
        spellings=None if opened.posix else opened.tree.share.spellings,
        attributes=lists_ea_sizes(opened, request.file_information_class),
    )
    entries, cursor.ended, cursor.ea_sizes = await blocking(_read, scan)
    if request.file_information_class == FileInfo.POSIX:  # shows links themselves
        entries = await blocking(_stat_entries, volume, opened.path, entries, follow=False)
    if opened.tree.share.settings.access_based_enumeration:
        entries = await blocking(_readable, opened, entries)
    links = opened.tree.share.links
    if links is not None:
        entries = add_links(links, opened, entries, ended=cursor.ended)
    cursor.rest = _as_chosen(opened, entries)
    if shows_mac_attributes(opened, request.file_information_class):
        cursor.mac_attributes = await blocking(read_mac_attributes, opened, entries)
    cursor.names_only = request.file_information_class == FileInfo.NAMES
    cursor.started = True


async def _complete_rest(opened: FileOpen, cursor: DirectoryCursor, info_class: int) -> None:
    """If the client changed its mind and wants more of the entries that are left than was read."""
    if cursor.names_only and info_class != FileInfo.NAMES:
        follow = info_class != FileInfo.POSIX
        entries = await blocking(_stat_entries, opened.volume, opened.path, cursor.rest, follow=follow)
        cursor.rest = _as_chosen(opened, entries)
        cursor.names_only = False
    if cursor.ea_sizes is None:
        attributes = lists_ea_sizes(opened, info_class)
        if attributes is not None:
            names = [entry.name for entry in cursor.rest]
            cursor.ea_sizes = await blocking(read_ea_sizes_by_path, attributes, opened.volume, opened.path, names)


def _as_chosen(opened: FileOpen, entries: list[Entry]) -> list[Entry]:
    """The entries with the ChangeTimes that clients gave them."""
    chosen = opened.tree.share.change_times
    if not chosen or opened.posix:
        return entries
    return [Entry(name, chosen.seen(stat) if stat is not None else None) for name, stat in entries]


def _limit(cursor: DirectoryCursor, request: QueryDirectoryRequest, room: int) -> int:
    """How many entries to ask for: rather some too many, for a thread costs as much as twenty of them."""
    if request.flags & QueryDirectoryFlag.RETURN_SINGLE_ENTRY and cursor.pattern.matches_all:
        return 1 if cursor.started else 0
    wanted = room * 5 // (4 * (_FIXED_SIZE[request.file_information_class] + USUAL_NAME)) + 1
    return min(wanted if cursor.pattern.matches_all else max(wanted, SELECTIVE_BATCH), BATCH)


def _read(scan: _Scan, *, wait: bool = False) -> _Found:
    """The next entries.  All that can fail comes before the directory moves on."""
    if scan.attributes is not None and not wait:
        raise BlockingIOError(errno.EAGAIN, "sizes of attributes are read in a thread")
    entries: list[Entry] = []
    if scan.literal is not None:
        path = f"{scan.path}/{scan.literal}" if scan.path else scan.literal
        known, entry = _look_up(scan.volume, path, spellings=scan.spellings, wait=wait)
        if known:
            entries = [] if entry is None else [entry]
            return _Found(entries, True, _ea_sizes(scan, entries, []))
    if scan.dots:
        entries += _read_dots(scan, wait=wait)
    if not scan.limit:
        return _Found(entries, False, _ea_sizes(scan, entries, []))
    try:
        batch = scan.directory.entries(scan.limit, stat=scan.stat, wait=wait)
    except FileNotFoundError:  # Linux says so of a directory that was removed
        batch = []
    return _Found(entries + batch, not batch, _ea_sizes(scan, entries, batch))


def _ea_sizes(scan: _Scan, found: list[Entry], batch: list[Entry]) -> dict[str, int] | None:
    """Of entries that were found by their names, and of those that the directory gave."""
    attributes = scan.attributes
    if attributes is None:
        return None
    by_path = read_ea_sizes_by_path(attributes, scan.volume, scan.path, [entry.name for entry in found], wait=True)
    if not batch:
        return by_path
    return by_path | read_ea_sizes(attributes, scan.volume, scan.directory, scan.path, batch)


def _read_dots(scan: _Scan, *, wait: bool) -> list[Entry]:
    """The directory itself and the one above; above the root of a share there is nothing to be seen but itself."""
    if not scan.stat:
        return [Entry(name, None) for name in _DOTS]
    own = above = scan.directory.stat()
    if scan.path:
        try:
            above = scan.volume.stat(parent_of(scan.path), wait=wait)
        except BlockingIOError:
            raise
        except OSError:
            pass  # it was moved by others, or may not be looked at: the client gets its own times twice
    return [Entry(EntryNames.SELF, own), Entry(EntryNames.PARENT, above)]


def _readable(opened: FileOpen, entries: list[Entry], *, wait: bool = False) -> list[Entry]:
    """What the reader of the listing may read; access-based enumeration.  [MS-SMB2] 3.3.5.18"""
    tree, prefix = opened.tree, f"{opened.path}/" if opened.path else ""
    plain = tree.volume
    assert plain is not None
    return [
        entry
        for entry in entries
        if entry.name in _DOTS or may_read(tree.descriptors, plain, prefix + entry.name, wait=wait)
    ]


def _stat_entries(
    volume: Volume, directory: str, entries: list[Entry], *, follow: bool, wait: bool = False
) -> list[Entry]:
    """The same entries with the state of what they stand for, or of links themselves."""
    paths = {EntryNames.SELF: directory, EntryNames.PARENT: parent_of(directory)}
    prefix = f"{directory}/" if directory else ""
    ways = (True, False) if follow else (False,)
    return [
        Entry(name, known)
        if known is not None and known.kind == DFS_LINK
        else Entry(name, _stat(volume, paths.get(name, prefix + name), ways, wait=wait))
        for name, known in entries
    ]


def _stat(volume: Volume, path: str, ways: tuple[bool, ...] = (True, False), *, wait: bool) -> Stat | None:
    """What a listing says of a name: a link that leads nowhere is seen itself, and what vanished is None."""
    for follow in ways:
        try:
            return volume.stat(path, follow=follow, wait=wait)
        except OSError as error:
            if error.errno not in _NOTHING_THERE:
                raise
    return None


def _look_up(volume: Volume, path: str, *, spellings: Spellings | None, wait: bool) -> tuple[bool, Entry | None]:
    """Whether the answer is known without reading the directory, and the entry, if there is one.

    As in a listing, a link that leads nowhere is seen itself.
    """
    try:
        found = find_name(volume, path, spellings=spellings, wait=wait)
    except OSError as error:
        if error.errno not in _LINK_LEADS_NOWHERE:
            raise
        return False, None
    if not found.parent_exists:  # the directory was moved by others: its handle is still good
        return False, None
    stat = found.stat or _stat(volume, found.path, wait=wait)
    return True, None if stat is None else Entry(found.path.rpartition("/")[2], stat)


# Packing --------------------------------------------------------------------------------------------------------


def _short_name(seen: str) -> str:
    """The short name of an entry that needs one, else ""."""
    return "" if fits_dos(seen) else short_name(seen)


def _adder(
    opened: FileOpen, cursor: DirectoryCursor, packer: DirectoryPacker, request: QueryDirectoryRequest
) -> Callable[[Entry], bool | None]:
    """What adds an entry to the answer, see `DirectoryCursor.move`."""
    if isinstance(packer, PosixDirectoryPacker):
        return posix_adder(cursor, packer)
    if isinstance(packer, MacDirectoryPacker):
        return mac_adder(opened.tree, cursor, packer)
    spellings = opened.tree.share.spellings
    short_names = spellings is not None and spellings.short_names
    names_only = request.file_information_class == FileInfo.NAMES
    matches = None if cursor.pattern.matches_all else cursor.pattern.matches
    directory = Kind.DIRECTORY
    pack, ea_sizes = packer.add, cursor.ea_sizes

    def add(entry: Entry) -> bool | None:
        """The hot path of every listing: nothing is made that is not sent."""
        name, stat = entry
        seen = name_for_wire(name) if name not in _DOTS else name
        short = _short_name(seen) if short_names else ""
        if matches is not None and not matches(seen) and not (short and matches(short)):
            return None
        if names_only:
            return pack(seen)
        if stat is None:
            return None  # it vanished since its name was read
        size, allocated = (0, 0) if stat.kind == directory else (stat.size, stat.allocated)
        attributes = file_attributes(stat, name)
        ea_size = ea_sizes.get(name, 0) if ea_sizes else 0
        tag = 0 if not attributes & _LINK else _DFS_TAG if stat.kind == DFS_LINK else _LINK_TAG
        coded = short.encode("utf-16-le") if short else b""
        try:
            return pack(
                seen, stat.birth_ns // 100 + FILETIME_EPOCH, stat.access_ns // 100 + FILETIME_EPOCH,
                stat.write_ns // 100 + FILETIME_EPOCH, stat.change_ns // 100 + FILETIME_EPOCH, size, allocated,
                attributes, ea_size, stat.key.inode, coded, tag,
            )  # fmt: skip
        except struct.error:  # a time before 1601
            return pack(seen, *file_times(stat), size, allocated, attributes, ea_size, stat.key.inode, coded, tag)

    return add
