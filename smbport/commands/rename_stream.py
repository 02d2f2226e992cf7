"""SET_INFO that gives a named stream another name in the same file.  [MS-FSCC] 2.4.42, [MS-FSA] 2.1.5.15.12

The new name begins with a colon.  `::$DATA` makes the stream the data of the file, which must be empty.
"""

from errno import EAGAIN
from typing import Final, NamedTuple

from smbport.commands.call import Call
from smbport.commands.open_stream import find_stream
from smbport.commands.steps import blocking
from smbport.commands.streams import streams_of
from smbport.platform import ACCESS_READ, ACCESS_WRITE, File, Streams
from smbport.state.names import fold, parse_file_name
from smbport.state.open import FileOpen
from smbport.wire.change import CompletionFilter, NotifyAction
from smbport.wire.status import Status, StatusError

__all__ = ["rename_stream"]

PIECE: Final = 1 << 20  # bytes that are copied at once


class _Wish(NamedTuple):
    new: str  # "" is the data of the file
    replace: bool


async def rename_stream(call: Call, opened: FileOpen, text: str, *, replace: bool) -> None:
    """Raises SHARING_VIOLATION for a stream that is to leave its file, as Windows does."""
    if not text.startswith(":"):
        raise StatusError(Status.SHARING_VIOLATION, "a stream stays with its file")
    name = parse_file_name(text)
    if not name.data or not opened.stream:
        raise StatusError(Status.INVALID_PARAMETER, "no stream of data")
    streams = streams_of(opened.tree)
    assert streams is not None
    wish = _Wish(name.stream, replace)
    if not wish.new:
        await _become_file(call, opened, streams, wish)
        return
    if wish.new == opened.stream:
        return
    base = opened.shared.base
    target = base.find_stream(wish.new) if base is not None else None
    if target is not None and target is not opened.shared:
        raise StatusError(
            Status.INVALID_PARAMETER if replace else Status.OBJECT_NAME_COLLISION, "the stream to be replaced is open"
        )
    old = opened.stream
    with call.server.files.renaming_stream(opened.shared, wish.new):
        await blocking(_rename, streams, opened, wish)
    opened.report_stream(NotifyAction.REMOVED_STREAM, CompletionFilter.STREAM_NAME, old)
    opened.report_stream(NotifyAction.ADDED_STREAM, CompletionFilter.STREAM_NAME)


async def _become_file(call: Call, opened: FileOpen, streams: Streams, wish: _Wish) -> None:
    """The open goes on with the file itself."""
    server, shared, old = call.server, opened.shared, opened.stream
    base = shared.base
    assert base is not None
    if not wish.replace:
        raise StatusError(Status.OBJECT_NAME_COLLISION)
    if base.opens or len(shared.opens) > 1 or shared.oplocks or len(shared.locks) or opened.pins > 1:
        raise StatusError(Status.INVALID_PARAMETER, "the file is open, or the stream is in use")
    node = await blocking(_move_data, streams, opened)
    if opened.closed or base.opens:
        node.close()
        call.still_open()
        raise StatusError(Status.SHARING_VIOLATION, "somebody has opened the file meanwhile")
    opened.report_stream(NotifyAction.REMOVED_STREAM, CompletionFilter.STREAM_NAME, old)
    server.files.leave(shared, opened)
    opened.node.close()
    opened.node = opened.base = node
    opened.stream = ""
    opened.shared = server.files.join(shared.key, opened)
    opened.report_modified(CompletionFilter.SIZE | CompletionFilter.LAST_WRITE)


# In a thread ----------------------------------------------------------------------------------------------------


def _rename(streams: Streams, opened: FileOpen, wish: _Wish, *, wait: bool = False) -> None:
    """An empty stream may be replaced."""
    there = find_stream(streams, opened.base, wish.new, wait=wait)
    if there is not None and fold(there) != fold(opened.stream):
        if not wish.replace:
            raise StatusError(Status.OBJECT_NAME_COLLISION)
        if any(entry.name == there and entry.size for entry in streams.entries(opened.base, wait=wait)):
            raise StatusError(Status.INVALID_PARAMETER, "the stream to be replaced is not empty")
        if not wait:
            raise BlockingIOError(EAGAIN, "two steps take a thread")
        streams.remove(opened.base, there, wait=wait)
    streams.rename(opened.base, opened.stream, wish.new, wait=wait)


def _move_data(streams: Streams, opened: FileOpen, *, wait: bool = False) -> File:
    """Copy the stream into the empty file, and only then remove it.  Returns a handle of the file."""
    if not wait:
        raise BlockingIOError(EAGAIN, "copying takes a thread")
    file = opened.volume.open(opened.path, ACCESS_READ | ACCESS_WRITE, wait=True)
    try:
        if file.is_directory or file.stat().key != opened.shared.key or file.stat().size:
            raise StatusError(Status.INVALID_PARAMETER, "a directory, or a file that is not empty")
        try:
            _copy(opened.file, file)
        except OSError:
            file.resize(0, wait=True)
            raise
        streams.remove(opened.base, opened.stream, wait=True)
    except (StatusError, OSError):
        file.close()
        raise
    return file


def _copy(source: File, target: File) -> None:
    offset = 0
    while data := source.read_at(offset, PIECE, wait=True):
        offset += target.write_at(offset, data, wait=True)
    target.sync(wait=True)
