"""READ.  [MS-SMB2] 3.3.5.12"""

from typing import Final

from smbport.commands.call import Call, FileRange, Reply
from smbport.commands.steps import blocking
from smbport.platform import File
from smbport.state.open import FileOpen, PipeOpen
from smbport.wire.file import ReadRequest, ReadResponse
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
        return _read_pipe(opened, length)
    opened = call.file
    file = opened.file
    if offset > MAX_OFFSET or offset + length > MAX_OFFSET:
        raise StatusError(Status.INVALID_PARAMETER, "offset beyond 2^63")
    if not opened.shared.locks.may_read(opened, offset, length):
        raise StatusError(Status.FILE_LOCK_CONFLICT)
    if _fits_zero_copy(call, length):
        reply = _read_as_range(opened, request)
        if reply is not None:
            return reply
    data = await blocking(file.read_at, offset, length)
    if len(data) < request.minimum_count or (not data and length):
        raise StatusError(Status.END_OF_FILE)
    opened.position = offset + len(data)
    return _reply(data)


def _reply(data: bytes, status: int = Status.SUCCESS) -> Reply:
    response = ReadResponse(data_offset=DATA_OFFSET, data_length=len(data), data_remaining=0)
    return Reply(response, data or _EMPTY, status)


def _read_pipe(opened: PipeOpen, length: int) -> Reply:
    """A message that does not fit is cut, and the rest stays for the next READ.  [MS-SMB2] 3.3.5.12"""
    if not opened.pipe.available():
        raise StatusError(Status.PIPE_EMPTY)
    data, more = opened.pipe.read(length)
    return _reply(data, Status.BUFFER_OVERFLOW if more else Status.SUCCESS)


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


def _read_as_range(opened: FileOpen, request: ReadRequest) -> Reply | None:
    """A promise of bytes that are surely there and at hand; None where they must be read first."""
    offset, file = request.offset, opened.file
    length = min(request.length, opened.node.stat().size - offset)
    if length < max(request.minimum_count, 1) or file.fileno() < 0 or not _is_at_hand(file, offset, length):
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
