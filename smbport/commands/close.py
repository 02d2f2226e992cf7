"""CLOSE, and the removal of names whose last open went.  [MS-SMB2] 3.3.5.10"""

from typing import Final

from smbport.commands.attributes import file_attributes
from smbport.commands.call import Call, Reply, log
from smbport.commands.steps import blocking
from smbport.platform import ACCESS_NONE, Streams
from smbport.state.changes import name_of
from smbport.state.open import FileOpen
from smbport.state.server import Server
from smbport.state.spellings import Change
from smbport.wire.change import CompletionFilter, NotifyAction
from smbport.wire.constants import CloseFlag
from smbport.wire.file import CloseRequest, CloseResponse
from smbport.wire.text import filetime_from_ns

__all__ = ["close", "close_untold", "delete_doomed", "delete_name"]

_PLAIN: Final = Reply(
    CloseResponse(
        flags=0, creation_time=0, last_access_time=0, last_write_time=0, change_time=0, allocation_size=0,
        end_of_file=0, file_attributes=0,
    )
)  # fmt: skip


async def close(call: Call, request: CloseRequest) -> Reply:
    """[MS-SMB2] 3.3.5.10"""
    opened = call.opened
    assert opened is not None
    reply = _PLAIN
    if request.flags & CloseFlag.POSTQUERY_ATTRIB and isinstance(opened, FileOpen):
        try:
            reply = _attributes_of(opened)
        except OSError as error:  # must not keep it open: the answer lacks them, and says so by its flags
            log.debug("attributes of %s at close: %s", opened.path, error)
    doomed = call.server.close_open(opened)
    if doomed is not None:
        await delete_name(call.server, doomed)
    return reply


def _attributes_of(opened: FileOpen) -> Reply:
    stat = opened.tree.share.change_times.seen(opened.node.stat())
    return Reply(
        CloseResponse(
            flags=CloseFlag.POSTQUERY_ATTRIB,
            creation_time=filetime_from_ns(stat.birth_ns),
            last_access_time=filetime_from_ns(stat.access_ns),
            last_write_time=filetime_from_ns(stat.write_ns),
            change_time=filetime_from_ns(stat.change_ns),
            allocation_size=0 if opened.is_directory else stat.allocated,
            end_of_file=0 if opened.is_directory else stat.size,
            file_attributes=file_attributes(stat, opened.path),
        )
    )


async def delete_name(server: Server, doomed: FileOpen) -> None:
    """Remove the name of a file whose last open is gone and that was marked for deletion through `doomed`.

    The CLOSE has succeeded whatever happens here; what keeps the name alive (a local program filled the
    directory, the rights changed) can only be told to the administrator.
    """
    changes = doomed.tree.share.changes
    closed_by = doomed.shared.closed_by
    # Windows: both who doomed it and who closed it last must know the parent's lease for it to be spared.
    by = doomed if closed_by is not None and closed_by.parent_lease_key == doomed.parent_lease_key else None
    try:
        if doomed.stream:
            await _delete_stream(server, doomed)
            return
        await blocking(_remove, doomed)
        if changes:
            changes.report(NotifyAction.REMOVED, doomed.path, name_of(directory=doomed.is_directory), by)
    except OSError as error:
        log.warning("%s could not be deleted at close by %s: %s", doomed.path, doomed.session_name, error)
    finally:
        server.files.forget(doomed.shared)


async def _delete_stream(server: Server, doomed: FileOpen) -> None:
    streams = server.platform.streams
    assert streams is not None
    await blocking(_remove_stream, streams, doomed)
    doomed.report_stream(NotifyAction.REMOVED_STREAM, CompletionFilter.STREAM_NAME)


def _remove_stream(streams: Streams, doomed: FileOpen, *, wait: bool = False) -> None:
    """With a handle of its own, because that of the open is closed."""
    node = doomed.volume.open(doomed.path, ACCESS_NONE, wait=wait)
    try:
        if node.stat().key == doomed.shared.key:
            streams.remove(node, doomed.stream, wait=wait)
    finally:
        node.close()


async def close_untold(server: Server, opened: FileOpen) -> None:
    """Close an open that its client never heard of; no name goes with it."""
    opened.delete_on_close = False
    doomed = server.close_open(opened)
    if doomed is not None:
        await delete_name(server, doomed)


async def delete_doomed(server: Server) -> bool:
    """Remove the names of what was closed where nobody could wait for that.  True if there were any."""
    doomed, server.doomed = server.doomed, []
    for opened in doomed:
        await delete_name(server, opened)
    return bool(doomed)


def _remove(doomed: FileOpen, *, wait: bool = False) -> None:
    volume, spellings, path = doomed.volume, doomed.tree.share.spellings, doomed.path
    if spellings is None:
        volume.remove(path, doomed.shared.key, directory=doomed.is_directory, wait=wait)
        return
    change = Change(spellings, removed=path.rpartition("/")[2])
    try:
        volume.remove(path, doomed.shared.key, directory=doomed.is_directory, witness=change, wait=wait)
    finally:
        change.over()
