"""Server-side copy: resume keys and chunks.  [MS-SMB2] 3.3.5.15.5, 3.3.5.15.6

A resume key says which open of which session it stands for.  It is looked for among the opens of the session that
uses it and nowhere else, so a client that makes up keys reaches nothing but its own files.
"""

from collections.abc import Sequence
from struct import Struct
from typing import Final

from smbport.commands.call import Call
from smbport.commands.errors import status_of_error
from smbport.commands.fsctl.answer import Answer
from smbport.commands.fsctl.copy_file import copies_files, copy_file
from smbport.commands.fsctl.copying import Copying
from smbport.state.open import FileOpen
from smbport.wire.constants import Access, Command, FsControl
from smbport.wire.ioctl import (
    IoctlRequest,
    SrvCopychunk,
    SrvCopychunkResponse,
    SrvRequestResumeKey,
    parse_copychunk_copy,
)
from smbport.wire.status import Status, StatusError

__all__ = ["copy_chunk", "request_resume_key"]

# As in Windows and Samba; clients ask for what these allow.  [MS-SMB2] 3.3.3
MAX_CHUNKS: Final = 256
MAX_CHUNK_SIZE: Final = 1 << 20  # bytes
MAX_DATA_SIZE: Final = 16 << 20  # bytes

INVALID_VIEW_SIZE: Final = 0xC000001F  # what Windows says of a chunk behind the end of the source

_KEY: Final = Struct("<QQQ")  # session, persistent and volatile id


async def request_resume_key(call: Call, request: IoctlRequest, data: memoryview) -> Answer:
    """[MS-SMB2] 3.3.5.15.5"""
    response = SrvRequestResumeKey(resume_key=_key_of(call.file)).pack()
    if request.max_output_response < len(response):
        raise StatusError(Status.INVALID_PARAMETER)
    return Answer(response)


def _key_of(opened: FileOpen) -> bytes:
    return _KEY.pack(opened.tree.session.session_id, opened.persistent_id, opened.volatile_id)


async def copy_chunk(call: Call, request: IoctlRequest, data: memoryview) -> Answer:
    """Copy chunk after chunk; the first that fails ends it, and the answer tells how far it came.

    [MS-SMB2] 3.3.5.15.6
    """
    if request.max_output_response < SrvCopychunkResponse.SIZE:
        raise StatusError(Status.INVALID_PARAMETER, "no room for the answer")
    key, chunks = parse_copychunk_copy(data)
    if not _are_within_limits(chunks):
        limits = SrvCopychunkResponse(
            chunks_written=MAX_CHUNKS, chunk_bytes_written=MAX_CHUNK_SIZE, total_bytes_written=MAX_DATA_SIZE
        )
        return Answer(limits.pack(), Status.INVALID_PARAMETER)
    target = call.file
    source = _find_source(call, key)
    _check_access(source, target, request.ctl_code)
    copying = Copying(call, source, target)
    done = before = 0
    status: int = Status.SUCCESS
    try:
        if not chunks and copies_files(target):
            await copy_file(copying, source, target)
            before = copying.copied
        for chunk in chunks:
            before = copying.copied
            _check_chunk(source, chunk)
            await copying.copy(chunk.source_offset, chunk.target_offset, chunk.length)
            done += 1
            before = copying.copied
    except StatusError as error:
        status = error.status
    except OSError as failure:
        status = status_of_error(Command.WRITE, failure)
    response = SrvCopychunkResponse(
        chunks_written=done, chunk_bytes_written=copying.copied - before, total_bytes_written=copying.copied
    )
    return Answer(response.pack(), status)


def _are_within_limits(chunks: Sequence[SrvCopychunk]) -> bool:
    return (
        len(chunks) <= MAX_CHUNKS
        and all(0 < chunk.length <= MAX_CHUNK_SIZE for chunk in chunks)
        and sum(chunk.length for chunk in chunks) <= MAX_DATA_SIZE
    )


def _find_source(call: Call, key: bytes) -> FileOpen:
    """The open that a key was given for; it may be one of another share.  Raises OBJECT_NAME_NOT_FOUND."""
    opened = call.session.opens.get(_KEY.unpack(key)[2])
    if not isinstance(opened, FileOpen) or _key_of(opened) != key:
        raise StatusError(Status.OBJECT_NAME_NOT_FOUND, "no open has this resume key")
    return opened


def _check_access(source: FileOpen, target: FileOpen, ctl_code: int) -> None:
    """The source must be readable, and the target too unless the code says that it need not be."""
    source.require(Access.READ_DATA | Access.EXECUTE)
    target.require(Access.WRITE_DATA)
    if ctl_code == FsControl.SRV_COPYCHUNK:
        target.require(Access.READ_DATA)
    if source.is_directory:
        raise StatusError(Status.INVALID_DEVICE_REQUEST, "a directory has no data")


def _check_chunk(source: FileOpen, chunk: SrvCopychunk) -> None:
    if chunk.source_offset + chunk.length > source.node.stat().size:
        raise StatusError(INVALID_VIEW_SIZE, "behind the end of the source")
    if chunk.target_offset + chunk.length >= 1 << 63:
        raise StatusError(Status.INVALID_PARAMETER, "offset beyond 2^63")
