"""Offloaded copies: a token stands for a range of a file and can be written into another.  [MS-FSA] 2.1.5.10.15, .16

A token keeps nothing on the server, so there can be any number of them.  It names an open of the session that asked
for it, and is good for that session, while the file is open, unchanged and readable, until its time is over.  A
client that makes one up reaches what it may read anyway, as with a resume key.
"""

from struct import Struct
from typing import Final

from smbport.commands.call import Call
from smbport.commands.fsctl.answer import Answer
from smbport.commands.fsctl.copying import Copying
from smbport.commands.fsctl.sparse import zero_range
from smbport.state.open import FileOpen
from smbport.wire.constants import Access
from smbport.wire.fsctl import (
    TOKEN_SIZE,
    OffloadReadInput,
    OffloadReadOutput,
    OffloadWriteInput,
    OffloadWriteOutput,
    Token,
    TokenType,
)
from smbport.wire.ioctl import IoctlRequest
from smbport.wire.record import field
from smbport.wire.status import Status, StatusError

__all__ = ["offload_read", "offload_write"]

SECTOR: Final = 512  # bytes that offsets and lengths are counted in, as volume_information.py says
MOST: Final = 256 << 20  # bytes that one token stands for; the client asks again for what is behind
LIFE_MS: Final = 60_000  # of a token; guessed to be more than a client needs to use it
MAX_LIFE_MS: Final = 600_000

INVALID_TOKEN: Final = 0xC0000465

HEADER: Final = Struct(">IHH")  # type, reserved, length of what follows
WELL_KNOWN_PATTERN: Final = Struct(">H")


async def offload_read(call: Call, request: IoctlRequest, data: memoryview) -> Answer:
    """Give a token for a range.  The last sector counts as whole, what is behind the end being zeroes.

    [MS-FSA] 2.1.5.10.15
    """
    asked = OffloadReadInput.unpack_from(data)
    opened = call.file
    _check_sectors(asked.file_offset, asked.copy_length)
    if request.max_output_response < OffloadReadOutput.SIZE + TOKEN_SIZE:
        raise StatusError(Status.BUFFER_TOO_SMALL)
    stat = opened.file.stat()
    if asked.file_offset >= stat.size:
        raise StatusError(Status.END_OF_FILE)
    length = min(asked.copy_length, _whole_sectors(stat.size - asked.file_offset), MOST)
    if not opened.shared.locks.may_read(opened, asked.file_offset, length):
        raise StatusError(Status.FILE_LOCK_CONFLICT)
    life_ms = min(asked.token_time_to_live or LIFE_MS, MAX_LIFE_MS)
    token = Token(
        session_id=call.session.session_id,
        persistent_id=opened.persistent_id,
        volatile_id=opened.volatile_id,
        offset=asked.file_offset,
        length=length,
        write_ns=stat.write_ns,
        expires_ns=call.server.runtime.now_ns() + life_ms * 1_000_000,
    ).pack()
    head = HEADER.pack(TokenType.OURS, 0, TOKEN_SIZE - HEADER.size)
    output = OffloadReadOutput(transfer_length=length).pack() + (head + token).ljust(TOKEN_SIZE, b"\0")
    return Answer(output)


async def offload_write(call: Call, request: IoctlRequest, data: memoryview) -> Answer:
    """Write what a token stands for.  The file does not grow: the client has set its size.

    [MS-FSA] 2.1.5.10.16
    """
    asked = OffloadWriteInput.unpack_from(data)
    token = field(data, asked.SIZE, TOKEN_SIZE, after=asked.SIZE)
    target = call.file
    _check_sectors(asked.file_offset, asked.copy_length)
    _check_sectors(asked.transfer_offset, 0)
    if request.max_output_response < OffloadWriteOutput.SIZE:
        raise StatusError(Status.BUFFER_TOO_SMALL)
    size = target.file.stat().size
    if asked.file_offset >= size and asked.copy_length:
        raise StatusError(Status.END_OF_FILE)
    if _is_zero_token(token):
        length = min(asked.copy_length, _whole_sectors(size - asked.file_offset))
        await zero_range(call, target, asked.file_offset, length)
    else:
        length = await _copy(call, asked, token, target)
    return Answer(OffloadWriteOutput(length_written=length).pack())


def _check_sectors(offset: int, length: int) -> None:
    if offset % SECTOR or length % SECTOR or offset + length >= 1 << 63:
        raise StatusError(Status.INVALID_PARAMETER, "no whole sectors")


def _whole_sectors(length: int) -> int:
    return -(-length // SECTOR) * SECTOR


def _is_zero_token(token: memoryview) -> bool:
    token_type, _, length = HEADER.unpack_from(token)
    if token_type != TokenType.WELL_KNOWN or length < WELL_KNOWN_PATTERN.size:
        return False
    (pattern,) = WELL_KNOWN_PATTERN.unpack_from(token, HEADER.size)
    return bool(pattern == TokenType.ZERO_PATTERN)


async def _copy(call: Call, asked: OffloadWriteInput, data: memoryview, target: FileOpen) -> int:
    """Copy from the file that the token stands for; how many bytes, in whole sectors."""
    source, token = _find_source(call, data)
    if asked.transfer_offset >= token.length:
        raise StatusError(Status.INVALID_PARAMETER, "behind the end of the token")
    start = token.offset + asked.transfer_offset
    length = min(asked.copy_length, token.length - asked.transfer_offset)
    length = min(length, _whole_sectors(target.file.stat().size - asked.file_offset))
    inside = min(length, target.file.stat().size - asked.file_offset)
    there = min(inside, max(source.file.stat().size - start, 0))
    await Copying(call, source, target).copy(start, asked.file_offset, there)
    if inside > there:
        await zero_range(call, target, asked.file_offset + there, inside - there)
    return length


def _find_source(call: Call, data: memoryview) -> tuple[FileOpen, Token]:
    """Raises INVALID_TOKEN for one that is not of this session, not good any more, or not ours at all."""
    token_type, _, length = HEADER.unpack_from(data)
    token = Token.unpack_from(data, HEADER.size)
    source = call.session.opens.get(token.volatile_id)
    if (
        token_type != TokenType.OURS
        or length != TOKEN_SIZE - HEADER.size
        or token.session_id != call.session.session_id
        or not isinstance(source, FileOpen)
        or source.persistent_id != token.persistent_id
        or source.is_directory
        or token.expires_ns <= call.server.runtime.now_ns()
        or token.write_ns != source.node.stat().write_ns
    ):
        raise StatusError(INVALID_TOKEN)
    source.require(Access.READ_DATA)
    return source, token
