"""SET_INFO, and the file information classes that take few words.  [MS-SMB2] 3.3.5.21, [MS-FSA] 2.1.5.15

Names are changed in rename.py, files are doomed in disposition.py, descriptors are in security_information.py.
"""

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from smbport.commands.attributes import SETTABLE, WRITE_BITS, is_dot_file
from smbport.commands.call import Call, Reply
from smbport.commands.disposition import set_disposition, set_disposition_ex
from smbport.commands.extended_attributes import set_full_ea
from smbport.commands.frozen_times import freeze, held_change_time, keeping_times
from smbport.commands.macos import check_afp_info_size, is_afp_info
from smbport.commands.oplock_break import stop_caching
from smbport.commands.query_info import find_right
from smbport.commands.rename import set_link, set_rename, set_rename_ex
from smbport.commands.rights import FILE_SET, FS_SET
from smbport.commands.security_information import set_security
from smbport.commands.steps import blocking
from smbport.platform import Node, Stat
from smbport.security.access import Privilege
from smbport.state.open import FileOpen, PipeOpen
from smbport.wire.change import CompletionFilter, NotifyAction
from smbport.wire.constants import CreateOption, FileAttribute, FileInfo, FsInfo, InfoType
from smbport.wire.fscc import (
    FileAllocationInformation,
    FileBasicInformation,
    FileEndOfFileInformation,
    FileModeInformation,
    FileNameInformation,
    FilePipeInformation,
    FilePositionInformation,
    FileValidDataLengthInformation,
    NamedPipe,
    SetTime,
    parse_name,
)
from smbport.wire.info import SetInfoRequest, SetInfoResponse, set_info_buffer
from smbport.wire.record import Record
from smbport.wire.status import Status, StatusError
from smbport.wire.text import ns_from_filetime

__all__ = ["set_info"]

R = TypeVar("R", bound=Record)

MODE_SETTABLE: Final = CreateOption.WRITE_THROUGH | CreateOption.SEQUENTIAL_ONLY
SHORT_NAMES_NOT_ENABLED_ON_VOLUME: Final = 0xC000019F
FILETIME_MAX: Final = (1 << 63) - 1

_DONE: Final = Reply(SetInfoResponse())
_TIMES: Final = (CompletionFilter.CREATION, CompletionFilter.LAST_ACCESS, CompletionFilter.LAST_WRITE)
_NO_TIMES: Final = (SetTime.UNCHANGED, SetTime.FREEZE, SetTime.THAW)


async def set_info(call: Call, request: SetInfoRequest) -> Reply:
    """[MS-SMB2] 3.3.5.21"""
    if request.buffer_length > call.connection.max_transact:
        raise StatusError(Status.INVALID_PARAMETER, f"more than {call.connection.max_transact} bytes")
    opened = call.opened
    buffer = set_info_buffer(call.message, request)
    if isinstance(opened, PipeOpen):
        _set_of_pipe(opened, request, buffer)
        return _DONE
    opened = call.file
    match request.info_type:
        case InfoType.FILE:
            find_right(FILE_SET, FileInfo, request.file_info_class).check(opened)
            setter = _SETTERS[request.file_info_class]
            if setter is _set_basic:
                await _set_basic(call, opened, buffer)
            else:
                await keeping_times(opened, lambda: setter(call, opened, buffer))
        case InfoType.FILESYSTEM:
            find_right(FS_SET, FsInfo, request.file_info_class)
            raise AssertionError("the table has a row that nobody handles")
        case InfoType.SECURITY:
            what = request.additional_information
            await keeping_times(opened, lambda: set_security(call, opened, what, buffer))
            opened.report_modified(CompletionFilter.SECURITY)
        case InfoType.QUOTA:
            raise StatusError(Status.NOT_SUPPORTED, "no quotas")
        case _:
            raise StatusError(Status.INVALID_PARAMETER, f"info type {request.info_type}")
    return _DONE


def _set_of_pipe(opened: PipeOpen, request: SetInfoRequest, buffer: memoryview) -> None:
    """A pipe stays what it is: messages are read as such, and a client may ask for just that."""
    if (request.info_type, request.file_info_class) != (InfoType.FILE, FileInfo.PIPE):
        raise StatusError(Status.NOT_SUPPORTED, "pipes have nothing else to set")
    find_right(FILE_SET, FileInfo, FileInfo.PIPE).check(opened)
    wanted = _unpack(FilePipeInformation, buffer)
    if (wanted.read_mode, wanted.completion_mode) != (NamedPipe.MESSAGE, NamedPipe.QUEUE_OPERATION):
        raise StatusError(Status.INVALID_PARAMETER, "another mode of reading")


async def _set_pipe(call: Call, opened: FileOpen, buffer: memoryview) -> None:
    _unpack(FilePipeInformation, buffer)
    raise StatusError(Status.INVALID_PARAMETER, "not a pipe")


def _unpack(kind: type[R], buffer: memoryview) -> R:
    if len(buffer) < kind.SIZE:
        raise StatusError(Status.INFO_LENGTH_MISMATCH, f"{len(buffer)} bytes for {kind.__name__}")
    return kind.unpack_from(buffer)


# Attributes and times -------------------------------------------------------------------------------------------


async def _set_basic(call: Call, opened: FileOpen, buffer: memoryview) -> None:
    """[MS-FSA] 2.1.5.15, FileBasicInformation

    CreationTime cannot be set where marks are not stored: as on FAT, what the volume has no room for is dropped,
    because every client that copies a file sets all it knows.
    """
    wanted = _unpack(FileBasicInformation, buffer)
    volume = opened.tree.volume
    assert volume is not None
    _check_attributes(opened, wanted.file_attributes)
    birth_ns = _time_ns(wanted.creation_time)
    access_ns = _time_ns(wanted.last_access_time)
    write_ns = _time_ns(wanted.last_write_time)
    change_ns = _time_ns(wanted.change_time)
    if change_ns is None:
        change_ns = held_change_time(opened, wanted.change_time)
    marks: int | None = None
    mode: int | None = None
    if wanted.file_attributes:
        if volume.features.stores_marks:
            sparse = (opened.node.stat().dos_attributes or 0) & FileAttribute.SPARSE_FILE
            marks = wanted.file_attributes & SETTABLE | sparse
        elif not opened.posix:  # whose client knows modes, and repeats old attributes with new times
            mode = _mode_for(opened, opened.node.stat(), wanted.file_attributes)
    if not volume.features.stores_marks:
        birth_ns = None
    await blocking(_apply, opened.node, marks, birth_ns, mode, access_ns, write_ns)
    if change_ns is not None:
        opened.tree.share.change_times.choose(opened.node.stat(), change_ns)
    freeze(opened, wanted)
    what = CompletionFilter.ATTRIBUTES if marks is not None or mode is not None else 0
    for time_ns, bit in zip((birth_ns, access_ns, write_ns), _TIMES, strict=True):
        what |= bit if time_ns is not None else 0
    if what:
        opened.report_modified(what)
    elif wanted.change_time not in _NO_TIMES:  # Windows: a lease on the directory ends even by that
        opened.tree.share.changes.tell(NotifyAction.MODIFIED, opened.path, 0, opened)


def _check_attributes(opened: FileOpen, attributes: int) -> None:
    if opened.is_directory:
        bad = attributes & FileAttribute.TEMPORARY
    else:
        bad = attributes & FileAttribute.DIRECTORY
    if bad:
        raise StatusError(Status.INVALID_PARAMETER, f"attributes 0x{attributes:x}")


def _time_ns(filetime: int) -> int | None:
    """None for the values that leave a time as it is now."""
    if filetime in _NO_TIMES:
        return None
    if filetime > FILETIME_MAX:
        raise StatusError(Status.INVALID_PARAMETER, f"time 0x{filetime:x}")
    return ns_from_filetime(filetime)


def _mode_for(opened: FileOpen, stat: Stat, attributes: int) -> int | None:
    """The mode that says READONLY or not; None if it does already.

    ARCHIVE and what else is only a hint is dropped.  What a client would rely on and cannot be kept is refused:
    SYSTEM; HIDDEN, unless the name says so; and READONLY of a directory, where the mode would mean far more.
    """
    readonly = bool(attributes & FileAttribute.READONLY)
    changes = readonly != (not stat.mode & WRITE_BITS)
    hides = attributes & FileAttribute.HIDDEN and not is_dot_file(opened.path)
    if hides or attributes & FileAttribute.SYSTEM or (changes and readonly and opened.is_directory):
        raise StatusError(Status.NOT_SUPPORTED, f"this volume does not store attributes 0x{attributes:x}")
    if not changes:
        return None
    return stat.mode & ~WRITE_BITS if readonly else stat.mode | 0o200


def _apply(
    node: Node,
    marks: int | None,
    birth_ns: int | None,
    mode: int | None,
    access_ns: int | None,
    write_ns: int | None,
    *,
    wait: bool = False,
) -> None:
    if marks is not None or birth_ns is not None:
        node.set_marks(marks, birth_ns, wait=wait)
    if mode is not None:
        node.set_mode(mode, wait=wait)
    if access_ns is not None or write_ns is not None:
        node.set_times(access_ns, write_ns, wait=wait)


# Sizes ----------------------------------------------------------------------------------------------------------


async def _set_end_of_file(call: Call, opened: FileOpen, buffer: memoryview) -> None:
    """[MS-FSA] 2.1.5.15, FileEndOfFileInformation.  Byte-range locks do not matter, as in Windows."""
    size = _unpack(FileEndOfFileInformation, buffer).end_of_file
    if size < 0:
        raise StatusError(Status.INVALID_PARAMETER)
    if is_afp_info(opened):
        check_afp_info_size(size)
        return
    await _change_size(call, opened, opened.file.resize, size)


async def _set_allocation(call: Call, opened: FileOpen, buffer: memoryview) -> None:
    """Less than the size cuts the file, more reserves room.  [MS-FSA] 2.1.5.15, FileAllocationInformation"""
    allocation = _unpack(FileAllocationInformation, buffer).allocation_size
    if allocation < 0:
        raise StatusError(Status.INVALID_PARAMETER)
    file = opened.file
    stat = file.stat()
    if allocation < stat.size:
        await _change_size(call, opened, file.resize, allocation)
    elif allocation > stat.allocated:
        await _change_size(call, opened, file.allocate, allocation)


async def _change_size(call: Call, opened: FileOpen, change: Callable[..., None], size: int) -> None:
    try:
        await blocking(change, size)
        opened.report_modified(CompletionFilter.SIZE)
    finally:
        if opened.shared.oplocks:
            stop_caching(call.server, opened)


# What only the open knows ---------------------------------------------------------------------------------------


async def _set_position(call: Call, opened: FileOpen, buffer: memoryview) -> None:
    """[MS-FSA] 2.1.5.15, FilePositionInformation"""
    position = _unpack(FilePositionInformation, buffer).current_byte_offset
    if position < 0:
        raise StatusError(Status.INVALID_PARAMETER)
    opened.position = position


async def _set_mode(call: Call, opened: FileOpen, buffer: memoryview) -> None:
    """Synchronous modes need an open that was made so, which over the network none is.  [MS-FSCC] 2.4.31"""
    mode = _unpack(FileModeInformation, buffer).mode
    if mode & ~MODE_SETTABLE:
        raise StatusError(Status.INVALID_PARAMETER, f"mode 0x{mode:x}")
    opened.create_options = opened.create_options & ~MODE_SETTABLE | mode


async def _set_valid_data_length(call: Call, opened: FileOpen, buffer: memoryview) -> None:
    """All of a file is valid here, because what was never written reads as zeroes.  [MS-FSA] 2.1.5.15.16"""
    length = _unpack(FileValidDataLengthInformation, buffer).valid_data_length
    descriptors = opened.tree.descriptors
    if descriptors is None or not descriptors.token.holds(Privilege.RESTORE):  # Windows: SeManageVolumePrivilege
        raise StatusError(Status.PRIVILEGE_NOT_HELD)
    if length != opened.file.stat().size:
        raise StatusError(Status.INVALID_PARAMETER, "all of the file is valid, and nothing behind it")


async def _set_short_name(call: Call, opened: FileOpen, buffer: memoryview) -> None:
    """A short name is made of the long one, so it cannot be chosen.  [MS-FSA] 2.1.5.15.14"""
    _unpack(FileNameInformation, buffer)
    parse_name(buffer)
    descriptors = opened.tree.descriptors
    if descriptors is None or not descriptors.token.holds(Privilege.RESTORE):
        raise StatusError(Status.PRIVILEGE_NOT_HELD)
    raise StatusError(SHORT_NAMES_NOT_ENABLED_ON_VOLUME)


_SETTERS: Final[dict[int, Callable[[Call, FileOpen, memoryview], Awaitable[None]]]] = {
    FileInfo.ALLOCATION: _set_allocation,
    FileInfo.BASIC: _set_basic,
    FileInfo.DISPOSITION: set_disposition,
    FileInfo.DISPOSITION_EX: set_disposition_ex,
    FileInfo.END_OF_FILE: _set_end_of_file,
    FileInfo.FULL_EA: set_full_ea,
    FileInfo.LINK: set_link,
    FileInfo.MODE: _set_mode,
    FileInfo.PIPE: _set_pipe,
    FileInfo.POSITION: _set_position,
    FileInfo.RENAME: set_rename,
    FileInfo.RENAME_EX: set_rename_ex,
    FileInfo.SHORT_NAME: _set_short_name,
    FileInfo.VALID_DATA_LENGTH: _set_valid_data_length,
}
