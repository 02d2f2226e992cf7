"""SET_INFO that dooms a file, or spares it.  [MS-FSCC] 2.4.11, 2.4.12, [MS-FSA] 2.1.5.15

The name goes with the last open: commands/close.py.
"""

from typing import Final

from smbport.commands.attributes import file_attributes
from smbport.commands.call import Call
from smbport.commands.oplock_break import make_way
from smbport.commands.steps import blocking
from smbport.platform import ACCESS_READ, Volume
from smbport.state.open import FileOpen
from smbport.state.oplocks import NEED_CLOSED
from smbport.wire.constants import FileAttribute
from smbport.wire.fscc import DispositionFlag, FileDispositionInformation, FileDispositionInformationEx
from smbport.wire.status import Status, StatusError

__all__ = ["set_disposition", "set_disposition_ex"]

# To force a check for running programs means nothing here: no program runs from the server's memory.
_UNDERSTOOD: Final = (
    DispositionFlag.DELETE | DispositionFlag.FORCE_IMAGE_SECTION_CHECK | DispositionFlag.IGNORE_READONLY_ATTRIBUTE
)
_NOT_OFFERED: Final = DispositionFlag.POSIX_SEMANTICS | DispositionFlag.ON_CLOSE


async def set_disposition(call: Call, opened: FileOpen, buffer: memoryview) -> None:
    """FileDispositionInformation.  [MS-FSCC] 2.4.11"""
    if not buffer:
        raise StatusError(Status.INFO_LENGTH_MISMATCH)
    doomed = bool(FileDispositionInformation.unpack_from(buffer).delete_pending)
    await _set(call, opened, doomed=doomed, spare_readonly=not opened.posix)


async def set_disposition_ex(call: Call, opened: FileOpen, buffer: memoryview) -> None:
    """FileDispositionInformationEx.  [MS-FSCC] 2.4.12

    Windows' clients that ask for POSIX semantics try again without when they hear NOT_SUPPORTED.
    """
    if len(buffer) < FileDispositionInformationEx.SIZE:
        raise StatusError(Status.INFO_LENGTH_MISMATCH)
    flags = FileDispositionInformationEx.unpack_from(buffer).flags
    if flags & ~(_UNDERSTOOD | _NOT_OFFERED):
        raise StatusError(Status.INVALID_PARAMETER, f"disposition flags 0x{flags:x}")
    if flags & _NOT_OFFERED:
        raise StatusError(Status.NOT_SUPPORTED, f"disposition flags 0x{flags:x}")
    spare_readonly = not (opened.posix or flags & DispositionFlag.IGNORE_READONLY_ATTRIBUTE)
    await _set(call, opened, doomed=bool(flags & DispositionFlag.DELETE), spare_readonly=spare_readonly)


async def _set(call: Call, opened: FileOpen, *, doomed: bool, spare_readonly: bool) -> None:
    if doomed:
        if not opened.path and not opened.stream:
            raise StatusError(Status.CANNOT_DELETE, "the root of a share")
        readonly = file_attributes(call.chain.state_of(opened), opened.path) & FileAttribute.READONLY
        if spare_readonly and readonly:
            raise StatusError(Status.CANNOT_DELETE, "the file is marked read-only")
        if not opened.stream:
            await blocking(_check_removable, opened.volume, opened.path, opened.is_directory)
        while await make_way(call.server, call.still_open().shared, NEED_CLOSED, opened.cache):
            pass
        opened.shared.doom(opened)
    else:
        opened.shared.doomed_by = None
    call.server.unsaved.note(opened)


def _check_removable(volume: Volume, path: str, is_directory: bool, *, wait: bool = False) -> None:
    """Say now what could not be done when the last open closes."""
    if not volume.may_remove(path, wait=wait):
        raise StatusError(Status.ACCESS_DENIED, "the directory does not let this user delete")
    if not is_directory:
        return
    directory = volume.open(path, ACCESS_READ, wait=wait)  # one more handle: the open's own may be in mid-listing
    try:
        if directory.is_directory and directory.entries(1, stat=False, wait=wait):
            raise StatusError(Status.DIRECTORY_NOT_EMPTY)
    finally:
        directory.close()
