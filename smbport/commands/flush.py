"""FLUSH: what was written reaches stable storage.  [MS-SMB2] 3.3.5.11"""

from contextlib import suppress

from smbport.commands.call import Call, Reply
from smbport.commands.steps import blocking
from smbport.platform import Node, Volume
from smbport.state.open import FileOpen
from smbport.state.sharing import SharedFile
from smbport.wire.file import FlushRequest, FlushResponse
from smbport.wire.status import Status, StatusError

__all__ = ["flush", "flush_file"]


async def flush(call: Call, request: FlushRequest) -> Reply:
    """[MS-SMB2] 3.3.5.11.  A pipe is flushed when its bytes are taken, which they are."""
    if isinstance(call.opened, FileOpen):
        await flush_file(call.opened)
    return Reply(FlushResponse())


async def flush_file(opened: FileOpen) -> None:
    """Data, size, and the name if this open made it, on stable storage.

    A flush that failed once may have lost pages for good: it is remembered for as long as anybody has the file
    open, and no later flush says that all is well.
    """
    shared = opened.shared
    _check_kept(shared)
    volume = opened.tree.volume
    assert volume is not None
    path = opened.path if opened.created else None
    try:
        await blocking(_sync, opened.node, volume, path)
    except OSError:
        shared.sync_failed = True
        raise
    _check_kept(shared)  # the system tells of a failure once: another flush may have been told while this one ran
    if opened.path == path:  # else it was renamed meanwhile, and the new name is for the next flush
        opened.created = False


def _check_kept(shared: SharedFile) -> None:
    if shared.sync_failed:
        raise StatusError(Status.DISK_OPERATION_FAILED, "an earlier flush of this file failed")


def _sync(node: Node, volume: Volume, path: str | None, *, wait: bool = False) -> None:
    node.sync(wait=wait)
    if path is None:
        return
    # Somebody may have taken the directory away behind our back: then there is no name left to keep.
    with suppress(FileNotFoundError, NotADirectoryError):
        volume.sync_directory_of(path, wait=wait)
