"""READ.  [MS-SMB2] 3.3.5.12"""

from typing import Final

from smbport.commands.call import Call, FileRange, Reply
from smbport.commands.compression import compress_reply
from smbport.commands.macos import is_afp_info, read_afp_info
from smbport.commands.steps import blocking, waiting
from smbport.platform import File
from smbport.state.open import FileOpen, PipeOpen
from smbport.wire.file import ReadFlag, ReadRequest, ReadResponse
from smbport.wire.header import HEADER_SIZE
from smbport.wire.status import Status, StatusError

__all__ = ["read"]

DATA_OFFSET: Final = HEADER_SIZE + 16  # the payload stands right behind the fixed part
MAX_OFFSET: Final = (1 << 63) - 1
SAMPLE_DISTANCE: Final = 1 << 18  # bytes; a sample takes 1.5 us, sending so much 40
_EMPTY: Final = b"\0"  # a body of StructureSize 17 has one byte of buffer, even with no data


async def read(call: Call, request: ReadRequest) -> Reply:
    """[MS-SMB2] 3.3.5.12"""
    length, offset = request.length, request.offset
    if length > call.connection.max_read:
        raise StatusError(Status.INVALID_PARAMETER, f"{length} bytes are more than {call.connection.max_read}")
    opened = call.opened
    if isinstance(opened, PipeOpen):
        return await _read_pipe(call, opened, length)
    opened = call.file
    file = opened.file
    if offset > MAX_OFFSET or offset + length > MAX_OFFSET:
        raise StatusError(Status.INVALID_PARAMETER, "offset beyond 2^63")
    if not opened.shared.locks.may_read(opened, offset, length):
        raise StatusError(Status.FILE_LOCK_CONFLICT)
    compresses = _compresses(call, opened, request)
    if not compresses and _fits_zero_copy(call, length):
        reply = _read_as_range(call, opened, request)
        if reply is not None:
            return reply
    if opened.stream and is_afp_info(opened):
        data = await blocking(read_afp_info, file, offset, length)
    else:
        data = await blocking(file.read_at, offset, length)
    if len(data) < request.minimum_count or (not data and length):
        raise StatusError(Status.END_OF_FILE)
    opened.position = offset + len(data)
    if compresses:
        return await compress_reply(call, _reply(data), data)
    return _reply(data)


def _reply(data: bytes, status: int = Status.SUCCESS) -> Reply:
    response = ReadResponse(data_offset=DATA_OFFSET, data_length=len(data), data_remaining=0)
    return Reply(response, data or _EMPTY, status)


async def _read_pipe(call: Call, opened: PipeOpen, length: int) -> Reply:
    """A message that does not fit is cut, and the rest stays for the next READ.  [MS-SMB2] 3.3.5.12"""
    if opened.readers or not opened.pipe.is_ready():
        await _wait_for_answer(call, opened)
    data, more = opened.pipe.read(length)
    opened.wake_reader()
    return _reply(data, Status.BUFFER_OVERFLOW if more else Status.SUCCESS)


async def _wait_for_answer(call: Call, opened: PipeOpen) -> None:
    """Until it is this request's turn to read.  A close of the pipe ends the wait with PIPE_BROKEN, as Windows does."""
    if call is not call.chain.calls[-1]:
        raise StatusError(Status.INTERNAL_ERROR, "only the last request of a compound may wait")  # as Windows does
    event = call.server.runtime.new_event()
    opened.readers.append(event)
    call.chain.let_go_of_frame()
    waited = False
    try:
        waited = await waiting(event)
    finally:
        opened.readers.remove(event)
        if not waited:
            opened.wake_reader()
    if opened.closed:
        raise StatusError(Status.PIPE_BROKEN)


def _compresses(call: Call, opened: FileOpen, request: ReadRequest) -> bool:
    """Whether the answer may go compressed: the client asks for it, can expand it, and the share lets it.

    [MS-SMB2] 3.3.5.12, 3.3.4.1.5
    """
    if not request.flags & ReadFlag.REQUEST_COMPRESSED:
        return False
    return bool(call.connection.compression) and opened.tree.share.settings.compression


def _fits_zero_copy(call: Call, length: int) -> bool:
    """Whether the transport may send straight from the file: plain, unsigned, alone in its frame, and large."""
    zero_copy = call.server.platform.zero_copy
    return (
        zero_copy is not None
        and length >= zero_copy.min_length
        and call.signer is None
        and call.chain.sealed is None
        and len(call.chain.calls) == 1
    )


def _read_as_range(call: Call, opened: FileOpen, request: ReadRequest) -> Reply | None:
    """A promise of bytes that are surely there, and at hand if need be; None where they must be read first."""
    offset, file = request.offset, opened.file
    length = min(request.length, opened.node.stat().size - offset)
    if length < max(request.minimum_count, 1) or file.fileno() < 0:
        return None
    zero_copy = call.server.platform.zero_copy
    if zero_copy is not None and zero_copy.needs_cached and not _is_at_hand(file, offset, length):
        return None
    opened.position = offset + length
    response = ReadResponse(data_offset=DATA_OFFSET, data_length=length, data_remaining=0)
    opened.pins += 1  # the transport unpins it when the bytes are out
    return Reply(response, FileRange(opened, file, offset, length))


def _is_at_hand(file: File, offset: int, length: int) -> bool:
    """Whether no sample of the range has to be waited for.

    Sending from a file that is not cached would wait for the disk, and everybody else with it: a thread reads that.
    """
    last = offset + length - 1
    try:
        return all(file.read_at(min(at, last), 1) for at in range(offset, last + SAMPLE_DISTANCE, SAMPLE_DISTANCE))
    except BlockingIOError:
        return False
