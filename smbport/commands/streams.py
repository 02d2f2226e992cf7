"""What is special about named streams where the state lives.  [MS-FSA] 2.1.5.1, 2.1.5.12.22

A stream has share modes, locks, oplocks and a pending delete of its own; times, attributes and rights are the file's.
Opening and making one is in open_stream.py, giving it another name in rename_stream.py.
"""

from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from smbport.commands.call import Call
from smbport.commands.macos import seen_streams
from smbport.commands.open_node import Opened, Plan
from smbport.commands.open_stream import open_stream, take_back
from smbport.commands.steps import blocking
from smbport.platform import Streams, Volume
from smbport.state.breaks import break_caches
from smbport.state.names import FileName
from smbport.state.open import FileOpen
from smbport.state.oplocks import NEED_CLOSED, Blocker
from smbport.state.server import Server
from smbport.state.sharing import SharedFile
from smbport.state.tree import TreeConnect
from smbport.wire.constants import Access, CreateAction, CreateOption
from smbport.wire.create import CreateRequest
from smbport.wire.fscc_entries import Stream
from smbport.wire.status import Status, StatusError

__all__ = [
    "check_stream_name", "clear_streams", "doom_streams", "find_stream_of", "give_back", "list_streams",
    "open_file_and_stream", "remove_streams", "streams_of",
]  # fmt: skip

_OVERWRITES: Final = (CreateAction.OVERWRITTEN, CreateAction.SUPERSEDED)


def streams_of(tree: TreeConnect) -> Streams | None:
    """What keeps the streams of this share; None if it has none."""
    volume = tree.volume
    return tree.session.server.platform.streams if volume is not None and volume.features.streams else None


# CREATE ---------------------------------------------------------------------------------------------------------


def check_stream_name(tree: TreeConnect, request: CreateRequest, name: FileName) -> None:
    """Streams are data, and only where there are any."""
    if request.create_options & CreateOption.DIRECTORY_FILE:
        raise StatusError(Status.NOT_A_DIRECTORY, "a stream")
    if name.stream and streams_of(tree) is None:
        raise StatusError(Status.OBJECT_NAME_INVALID, "streams are not offered on this volume")


async def open_file_and_stream(call: Call, volume: Volume, plan: Plan) -> Opened:
    """Open or make a stream, and its file."""
    streams = call.server.platform.streams
    assert streams is not None
    return await blocking(open_stream, volume, plan, streams)


async def give_back(call: Call, opened: Opened) -> None:
    """The open is refused.  A stream that was made for it may not stay."""
    streams = call.server.platform.streams
    try:
        if opened.stream and opened.action == CreateAction.CREATED and streams is not None:
            await blocking(take_back, streams, opened)
    finally:
        opened.node.close()


def find_stream_of(server: Server, opened: Opened) -> SharedFile | None:
    """The stream, if others have it open.  Of a file that is about to be deleted, no stream can be opened either."""
    known = server.files.find(opened.stat.key)
    if known is None:
        return None
    if known.delete_pending:
        raise StatusError(Status.DELETE_PENDING)
    return known.find_stream(opened.stream)


def clear_streams(server: Server, known: SharedFile, opened: Opened) -> Blocker | None:
    """Who may delete a file, or overwrites it, may delete its streams: all who have them open must share that.

    Returns the break that must be over first, if there is one.
    """
    if not opened.granted_access & Access.DELETE and opened.action not in _OVERWRITES:
        return None
    for stream in known.undeletable_streams():
        blocker = break_caches(server, stream, NEED_CLOSED)
        if blocker is not None:
            return blocker
        if stream.opens:
            raise StatusError(Status.SHARING_VIOLATION, f"its stream {stream.stream} is open")
    return None


def doom_streams(shared: SharedFile) -> None:
    """The file is overwritten.  Streams of it that are open go when they are closed."""
    for stream in shared.streams.values():
        if stream.opens and not stream.delete_pending:
            stream.doom(next(iter(stream.opens)))


def remove_streams(streams: Streams, joined: FileOpen, *, wait: bool = False) -> None:
    """All of the file's but those that are open."""
    for name, _, _ in streams.entries(joined.base, wait=wait):
        if joined.shared.find_stream(name) is None:
            with suppress(FileNotFoundError):
                streams.remove(joined.base, name, wait=wait)


# QUERY_INFO -----------------------------------------------------------------------------------------------------


async def list_streams(opened: FileOpen) -> Sequence[Stream]:
    """A file has its unnamed stream, a directory none; then those with names."""
    base = opened.base
    stat = base.stat()
    found = [] if base.is_directory else [Stream("::$DATA", stat.size, stat.allocated)]
    streams = streams_of(opened.tree)
    if streams is not None:
        named = seen_streams(opened.tree, await blocking(streams.entries, base))
        found += [Stream(f":{name}:$DATA", size, allocated) for name, size, allocated in named]
    return found
