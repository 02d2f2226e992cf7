"""WRITE.  [MS-SMB2] 3.3.5.13"""

from typing import Final

from smbport.commands.call import Call, Reply
from smbport.commands.frozen_times import keeping_times
from smbport.commands.macos import is_afp_info, store_afp_info, whole_afp_info
from smbport.commands.oplock_break import stop_caching
from smbport.commands.steps import blocking
from smbport.state.open import FileOpen, PipeOpen
from smbport.wire.change import CompletionFilter
from smbport.wire.constants import Access, CreateOption, WriteFlag
from smbport.wire.file import WriteRequest, WriteResponse, write_data
from smbport.wire.status import Status, StatusError

__all__ = ["write"]

MAX_OFFSET: Final = (1 << 63) - 1
_WRITTEN: Final = CompletionFilter.SIZE | CompletionFilter.LAST_WRITE  # told at close, as NTFS does
APPEND: Final = (1 << 64) - 1  # "at the end", for a handle that may do nothing but append  [MS-FSA] 2.1.5.3


async def write(call: Call, request: WriteRequest) -> Reply:
    """[MS-SMB2] 3.3.5.13"""
    length = request.length
    if length > call.connection.max_write:
        raise StatusError(Status.INVALID_PARAMETER, f"{length} bytes are more than {call.connection.max_write}")
    data = write_data(call.message, request)
    if isinstance(call.opened, PipeOpen):
        try:
            call.opened.pipe.write(data)
        finally:
            call.opened.wake_reader()  # even if that was too much for the pipe
        return _reply(length)
    opened = call.file
    if opened.stream and is_afp_info(opened):
        return await _write_afp_info(call, opened, request.offset, data)
    file = opened.file
    appending = request.offset == APPEND and not opened.granted_access & Access.WRITE_DATA
    offset = _end_of(opened) if appending else request.offset
    _check_range(opened, offset, length)
    if not length:
        return _reply(0)
    if appending:
        opened.shared.append_end = offset + length  # where the next one begins, should this one leave for a thread
    through = bool(request.flags & WriteFlag.WRITE_THROUGH or opened.create_options & CreateOption.WRITE_THROUGH)
    try:
        if opened.frozen is None:
            written = await blocking(file.write_at, offset, data, through=through)
        else:
            written = await keeping_times(opened, lambda: blocking(file.write_at, offset, data, through=through))
        opened.unreported |= _WRITTEN
    except OSError:
        # The system tells of it once: a later flush could find nothing wrong although these bytes are lost.
        opened.shared.sync_failed |= through
        raise
    finally:
        _settle(call, opened, offset + length)
    if not written:
        raise StatusError(Status.DISK_FULL)
    opened.position = offset + written
    return _reply(written)


async def _write_afp_info(call: Call, opened: FileOpen, offset: int, data: memoryview) -> Reply:
    """Finder info is written as a whole; to write that there is none removes the stream."""
    info = whole_afp_info(offset, data)
    if info is not None:
        _check_range(opened, 0, len(info))
        try:
            kept = await blocking(store_afp_info, opened.file, info)
        finally:
            _settle(call, opened, len(info))
        opened.unreported |= _WRITTEN
        if not kept:
            opened.shared.doom(opened)
            call.server.unsaved.note(opened)
    return _reply(len(data))


def _end_of(opened: FileOpen) -> int:
    """Where an appending write begins: behind the file, and behind appending writes that are still on their way."""
    return max(opened.node.stat().size, opened.shared.append_end)


def _check_range(opened: FileOpen, offset: int, length: int) -> None:
    """What the handle and the locks of others allow."""
    if offset + length > MAX_OFFSET:
        raise StatusError(Status.INVALID_PARAMETER, "offset beyond 2^63")
    if not opened.granted_access & Access.WRITE_DATA and offset < opened.node.stat().size:
        raise StatusError(Status.ACCESS_DENIED, "the handle may only append")
    if length and not opened.shared.locks.may_write(opened, offset, length):
        raise StatusError(Status.FILE_LOCK_CONFLICT)


def _settle(call: Call, opened: FileOpen, end: int) -> None:
    """The write is over, well or not."""
    if opened.shared.append_end == end:
        opened.shared.append_end = 0  # nobody came behind: the file itself says where its end is
    if opened.tree.share.changes.posts:
        opened.note_written()
    if opened.shared.oplocks:
        stop_caching(call.server, opened)


def _reply(count: int) -> Reply:
    return Reply(WriteResponse(count=count, remaining=0, write_channel_info_offset=0, write_channel_info_length=0))
