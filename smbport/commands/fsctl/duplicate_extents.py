"""Sharing blocks between files.  [MS-FSCC] 2.3.8, 2.3.10, [MS-FSA] 2.1.5.10.4, 2.1.5.10.5

This is a true sharing of blocks or nothing: a client that only wants a copy asks for SRV_COPYCHUNK.
"""

from errno import EINVAL, EOPNOTSUPP, EXDEV
from typing import Final

from smbport.commands.call import Call
from smbport.commands.fsctl.answer import Answer
from smbport.commands.fsctl.copying import changed
from smbport.commands.steps import blocking
from smbport.state.open import FileOpen
from smbport.wire.constants import Access, FileAttribute, FsControl
from smbport.wire.fsctl import DuplicateExtentsData, DuplicateExtentsDataEx
from smbport.wire.ioctl import IoctlRequest
from smbport.wire.status import Status, StatusError

__all__ = ["duplicate_extents"]

SOURCE_ATOMIC: Final = 0x00000001  # all or nothing, as every call of ours is


async def duplicate_extents(call: Call, request: IoctlRequest, data: memoryview) -> Answer:
    """[MS-FSA] 2.1.5.10.4.  Byte-range locks do not matter, as on ReFS."""
    target = call.file
    volume = target.tree.volume
    assert volume is not None
    clone = call.server.platform.clone
    if clone is None or not volume.features.reflink or target.stream:
        raise StatusError(Status.INVALID_DEVICE_REQUEST, "this volume does not share blocks")
    asked = _parse(request.ctl_code, data)
    source = _find_source(call, asked, target)
    start, length = asked.source_file_offset, _check_ranges(asked, source, target)
    if not length:
        return Answer()
    source.pins += 1
    try:
        await blocking(clone.reflink, source.file, start, target.file, asked.target_file_offset, length)
    except OSError as error:
        if error.errno in (EINVAL, EXDEV, EOPNOTSUPP):
            raise StatusError(Status.NOT_SUPPORTED, "these ranges cannot share blocks") from error
        raise
    finally:
        call.server.unpin(source)
        changed(call, target)
    return Answer()


def _parse(ctl_code: int, data: memoryview) -> DuplicateExtentsData | DuplicateExtentsDataEx:
    asked: DuplicateExtentsData | DuplicateExtentsDataEx
    if ctl_code == FsControl.DUPLICATE_EXTENTS_TO_FILE:
        asked = DuplicateExtentsData.unpack_from(data)
    else:
        asked = DuplicateExtentsDataEx.unpack_from(data)
        if asked.flags & ~SOURCE_ATOMIC:
            raise StatusError(Status.INVALID_PARAMETER, f"flags 0x{asked.flags:x}")
    if min(asked.source_file_offset, asked.target_file_offset, asked.byte_count) < 0:
        raise StatusError(Status.INVALID_PARAMETER)
    return asked


def _find_source(call: Call, asked: DuplicateExtentsData | DuplicateExtentsDataEx, target: FileOpen) -> FileOpen:
    """A file of this session on the same volume; INVALID_HANDLE, as Windows says, if there is none."""
    source = call.session.opens.get(asked.source_volatile)
    if (
        not isinstance(source, FileOpen)
        or source.persistent_id != asked.source_persistent
        or source.is_directory
        or source.stream
        or source.shared.key.device != target.shared.key.device
    ):
        raise StatusError(Status.INVALID_HANDLE)
    source.require(Access.READ_DATA | Access.EXECUTE)
    return source


def _check_ranges(asked: DuplicateExtentsData | DuplicateExtentsDataEx, source: FileOpen, target: FileOpen) -> int:
    """How many bytes are to be shared: no more than the target is long, for Windows cuts there."""
    source_stat, target_stat = source.node.stat(), target.node.stat()
    start, to, count = asked.source_file_offset, asked.target_file_offset, asked.byte_count
    if start + count > source_stat.size:
        raise StatusError(Status.NOT_SUPPORTED, "behind the end of the source")
    if to + count > target_stat.size:
        if to > target_stat.size:
            raise StatusError(Status.INVALID_PARAMETER, "behind the end of the target")
        count = target_stat.size - to
    if source.shared is target.shared and abs(start - to) < count:
        raise StatusError(Status.NOT_SUPPORTED, "the ranges overlap")
    sparse = FileAttribute.SPARSE_FILE
    if (source_stat.dos_attributes or 0) & sparse and not (target_stat.dos_attributes or 0) & sparse:
        raise StatusError(Status.NOT_SUPPORTED, "holes in a file that is not sparse")
    return count
