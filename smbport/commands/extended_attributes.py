"""Extended attributes of files as clients know them.  [MS-FSCC] 2.4.16, [MS-FSA] 2.1.5.12, 2.1.5.15

They are the platform's own attributes, under the same names: on Linux `user.NAME`, as in Samba, so that trees can be
moved and local programs see them.  Two names that differ in case are one attribute, spelled as it was made.  (Windows
turns names into capitals, but then a Linux client does not find what it has stored.)  Attributes whose names no EA can
have, or whose values are too long for one, are not seen through SMB.

EaSize is told where one file is asked for; in listings it is 0 unless the share says `list_ea_sizes`, because finding
it out costs a system call for each name, and clients ask again before they rely on it.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from errno import E2BIG, EAGAIN, EDQUOT, ENOSPC, EOPNOTSUPP, ERANGE
from typing import Final, TypeVar

from smbport.commands.call import Call
from smbport.commands.close import delete_name
from smbport.commands.steps import blocking
from smbport.platform import Attributes, Node, Stat, Volume
from smbport.state.open import FileOpen
from smbport.state.tree import TreeConnect
from smbport.wire.change import CompletionFilter
from smbport.wire.fscc_entries import (
    FileFullEaInformation,
    FullEa,
    is_valid_ea_name,
    pack_ea_list,
    parse_ea_list,
    parse_ea_names,
)
from smbport.wire.info import QueryInfoRequest, query_info_input
from smbport.wire.record import BadStructure
from smbport.wire.status import Status, StatusError

__all__ = [
    "check_new_eas", "ea_size", "ea_size_of", "ea_size_of_lengths", "keeps_eas", "parse_new_eas", "query_full_ea",
    "set_full_ea", "set_new_eas",
]  # fmt: skip

T = TypeVar("T")

MAX_NAME: Final = 254  # bytes; Windows' limit
MAX_VALUE: Final = 65535  # bytes, as the length has 16 bits
MAX_SIZE: Final = 65535  # bytes of all attributes of a file together, as on NTFS

NO_MORE_EAS: Final = 0x80000012

# Flags of QUERY_INFO.  [MS-SMB2] 2.2.37
RESTART_SCAN: Final = 0x01
RETURN_SINGLE_ENTRY: Final = 0x02
INDEX_SPECIFIED: Final = 0x04

_NO_ROOM: Final = (ENOSPC, E2BIG, ERANGE, EDQUOT)  # what file systems say of too many or too long attributes


def keeps_eas(attributes: Attributes | None, volume: Volume) -> bool:
    """Whether files of this volume can have extended attributes.  Where marks are stored, attributes are."""
    return attributes is not None and volume.features.stores_marks


def _power(opened: FileOpen) -> Attributes:
    """Raises EAS_NOT_SUPPORTED."""
    volume, attributes = opened.tree.volume, opened.tree.session.server.platform.attributes
    assert volume is not None
    if attributes is None or not keeps_eas(attributes, volume):
        raise StatusError(Status.EAS_NOT_SUPPORTED)
    return attributes


# Querying -------------------------------------------------------------------------------------------------------


async def ea_size(opened: FileOpen, seen: Stat | None = None) -> int:
    """EaSize as OS/2 has counted and everybody since: 4 bytes, and for each attribute 5, its name and its value.

    0 if there is none.  `seen` is the state of the file right before.
    """
    volume, attributes = opened.tree.volume, opened.tree.session.server.platform.attributes
    assert volume is not None
    if attributes is None or not keeps_eas(attributes, volume):
        return 0
    return await blocking(ea_size_of, attributes, opened.base, seen)


def ea_size_of(attributes: Attributes, node: Node, seen: Stat | None = None, *, wait: bool = False) -> int:
    """EaSize of a file that is open."""
    return _size(_read(attributes, node, seen, wait=wait))


def ea_size_of_lengths(lengths: Mapping[str, int]) -> int:
    """EaSize of a file whose values have these lengths, by name of attribute."""
    seen = [5 + len(name) + length for name, length in lengths.items() if _is_seen(name) and length <= MAX_VALUE]
    return 4 + sum(seen) if seen else 0


def _size(eas: Sequence[FullEa]) -> int:
    return 4 + sum(5 + len(ea.name) + len(ea.value) for ea in eas) if eas else 0


async def query_full_ea(call: Call, opened: FileOpen, request: QueryInfoRequest) -> tuple[bytes, int]:
    """The attributes that are asked for, or all from where the last query ended.  [MS-FSA] 2.1.5.12

    With BUFFER_OVERFLOW if there are more; the first must fit.
    """
    asked = _parse(parse_ea_names, query_info_input(call.message, request)) if request.input_buffer_length else []
    if not all(map(is_valid_ea_name, asked)):
        raise StatusError(Status.INVALID_EA_NAME)
    found = await blocking(_read, _power(opened), opened.base)
    eas = _select(found, asked) if asked else found[_start(opened, request, len(found)) :]
    if request.flags & RETURN_SINGLE_ENTRY:
        eas = eas[:1]
    data, count = pack_ea_list(eas, limit=request.output_buffer_length)
    if not count:
        raise StatusError(Status.BUFFER_TOO_SMALL)
    if not asked:
        opened.next_ea += count
    return data, Status.SUCCESS if count == len(eas) else Status.BUFFER_OVERFLOW


def _select(found: Sequence[FullEa], asked: Sequence[str]) -> list[FullEa]:
    """Each that is asked for once; one that the file does not have comes without a value."""
    by_name = {ea.name.upper(): ea for ea in found}
    return [by_name.get(upper, FullEa(upper, b"")) for upper in dict.fromkeys(name.upper() for name in asked)]


def _start(opened: FileOpen, request: QueryInfoRequest, count: int) -> int:
    """Which attribute comes first.  Raises for one that is not there."""
    if not count:
        raise StatusError(Status.NO_EAS_ON_FILE)
    if request.flags & INDEX_SPECIFIED:
        if not 0 < request.additional_information <= count:
            raise StatusError(Status.NONEXISTENT_EA_ENTRY)
        opened.next_ea = request.additional_information - 1
    elif request.flags & RESTART_SCAN:
        opened.next_ea = 0
    if opened.next_ea >= count:
        raise StatusError(NO_MORE_EAS)
    return opened.next_ea


def _read(attributes: Attributes, node: Node, seen: Stat | None = None, *, wait: bool = False) -> list[FullEa]:
    """What clients may see, sorted by name.  Values that this user may not read are as good as none."""
    found = []
    for name in sorted(attributes.names(node, seen=seen, wait=wait), key=str.upper):
        if not _is_seen(name):
            continue
        with suppress(PermissionError):
            value = attributes.get(node, name, wait=wait)
            if value is not None and len(value) <= MAX_VALUE:
                found.append(FullEa(name, value))
    return found


def _is_seen(name: str) -> bool:
    return is_valid_ea_name(name) and len(name) <= MAX_NAME


# Setting --------------------------------------------------------------------------------------------------------


def parse_new_eas(buffer: memoryview) -> list[FullEa]:
    """The attributes to be set.  Raises EA_LIST_INCONSISTENT or INVALID_EA_NAME.

    The flag NEED_EA is not kept: there is no place for it, and no client for whom it would mean anything.
    """
    eas = _parse(parse_ea_list, buffer)
    if not all(is_valid_ea_name(ea.name) and len(ea.name) <= MAX_NAME for ea in eas):
        raise StatusError(Status.INVALID_EA_NAME)
    return eas


async def set_full_ea(call: Call, opened: FileOpen, buffer: memoryview) -> None:
    """All of the list or none of it.  An attribute without a value is removed.  [MS-FSA] 2.1.5.15"""
    if len(buffer) < FileFullEaInformation.SIZE:
        raise StatusError(Status.INFO_LENGTH_MISMATCH)
    await _set(opened, parse_new_eas(buffer))
    opened.report_modified(CompletionFilter.EA)


def check_new_eas(tree: TreeConnect, eas: Sequence[FullEa]) -> None:
    """Before anything is made.  Raises EAS_NOT_SUPPORTED."""
    assert tree.volume is not None
    if eas and not keeps_eas(tree.session.server.platform.attributes, tree.volume):
        raise StatusError(Status.EAS_NOT_SUPPORTED)


async def set_new_eas(call: Call, opened: FileOpen, eas: Sequence[FullEa]) -> None:
    """Give a file what CREATE has brought for it.  If that fails, the open ends, and what was made goes with it."""
    server = call.server
    opened.pins += 1
    failure: StatusError | OSError | None = None
    try:
        await _set(opened, eas)
    except (StatusError, OSError) as error:
        failure = error
    finally:
        server.unpin(opened)
    if failure is not None:
        opened.delete_on_close = opened.created  # the client was never told of this open
        doomed = server.close_open(opened)
        if doomed is not None:
            await delete_name(server, doomed)
        raise failure
    if opened.closed:
        raise StatusError(Status.FILE_CLOSED)


async def _set(opened: FileOpen, eas: Sequence[FullEa]) -> None:
    try:
        await blocking(_store, _power(opened), opened.base, eas)
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise StatusError(Status.EA_TOO_LARGE) from error
        if error.errno == EOPNOTSUPP:
            raise StatusError(Status.EAS_NOT_SUPPORTED) from error
        raise


def _store(attributes: Attributes, node: Node, eas: Sequence[FullEa], *, wait: bool = False) -> None:
    if not wait:
        raise BlockingIOError(EAGAIN, "setting several attributes takes a thread")
    before = {ea.name.upper(): ea for ea in _read(attributes, node, wait=True)}
    after = dict(before)
    for ea in eas:
        upper = ea.name.upper()
        spelled = after[upper].name if upper in after else ea.name
        after[upper] = FullEa(spelled, ea.value)
    if _size([ea for ea in after.values() if ea.value]) > MAX_SIZE:
        raise StatusError(Status.EA_TOO_LARGE)
    wanted = [after[upper] for upper in dict.fromkeys(ea.name.upper() for ea in eas)]
    done: list[FullEa] = []
    try:
        for ea in wanted:
            done.append(ea)
            _put(attributes, node, ea)
    except OSError:
        for ea in done:
            with suppress(OSError):  # the first error is the one that counts
                _put(attributes, node, before.get(ea.name.upper(), FullEa(ea.name, b"")))
        raise


def _put(attributes: Attributes, node: Node, ea: FullEa) -> None:
    if ea.value:
        attributes.set(node, ea.name, ea.value, wait=True)
    else:
        with suppress(FileNotFoundError):
            attributes.remove(node, ea.name, wait=True)


def _parse(parse: Callable[[memoryview], list[T]], buffer: memoryview) -> list[T]:
    try:
        return parse(buffer)
    except BadStructure as error:
        raise StatusError(Status.EA_LIST_INCONSISTENT, str(error)) from None
