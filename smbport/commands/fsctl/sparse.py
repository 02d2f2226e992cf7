"""Sparse files: holes made, ranges zeroed, and what is allocated.  [MS-FSA] 2.1.5.10

That a file is sparse is kept with its DOS attributes.  Only of such a file a zeroed range becomes a hole and holes
are told of; of others the room is kept, so that a later write into it does not fail for want of space.
"""

from errno import EAGAIN, EOPNOTSUPP
from typing import Final

from smbport.commands.attributes import STORED, file_attributes
from smbport.commands.call import Call
from smbport.commands.fsctl.answer import Answer
from smbport.commands.fsctl.copying import Patience, changed
from smbport.commands.steps import blocking
from smbport.platform import File, Sparse
from smbport.state.open import FileOpen
from smbport.wire.change import CompletionFilter
from smbport.wire.constants import FileAttribute
from smbport.wire.fsctl import (
    FileAllocatedRange,
    FileLevelTrimOutput,
    FileRegionInfo,
    FileRegionInput,
    FileRegionOutput,
    FileZeroDataInformation,
    Range,
    RegionUsage,
    pack_allocated_ranges,
    parse_file_level_trim,
)
from smbport.wire.ioctl import IoctlRequest
from smbport.wire.status import Status, StatusError

__all__ = [
    "file_level_trim", "query_allocated_ranges", "query_file_regions", "set_sparse", "set_zero_data", "sparse_power",
    "zero_range",
]  # fmt: skip

ZEROES: Final = bytes(1 << 20)


def sparse_power(opened: FileOpen) -> Sparse | None:
    """What makes and finds holes on the volume of this open; None if nothing does."""
    volume = opened.tree.volume
    assert volume is not None
    return opened.tree.session.server.platform.sparse if volume.features.holes and not opened.stream else None


def _is_sparse(opened: FileOpen) -> bool:
    return bool((opened.node.stat().dos_attributes or 0) & FileAttribute.SPARSE_FILE)


# SET_SPARSE -----------------------------------------------------------------------------------------------------


async def set_sparse(call: Call, request: IoctlRequest, data: memoryview) -> Answer:
    """Without a buffer: sparse; what is behind its first byte does not matter.  [MS-FSA] 2.1.5.10.36"""
    opened = call.file
    volume = opened.tree.volume
    assert volume is not None
    if opened.is_directory:
        raise StatusError(Status.INVALID_PARAMETER, "a directory cannot be sparse")
    if sparse_power(opened) is None or not volume.features.stores_marks:
        raise StatusError(Status.INVALID_DEVICE_REQUEST, "no sparse files on this volume")
    wanted = FileAttribute.SPARSE_FILE if not data or data[0] else 0
    attributes = file_attributes(opened.node.stat(), opened.path) & STORED
    if attributes & FileAttribute.SPARSE_FILE != wanted:
        await blocking(opened.node.set_marks, attributes & ~FileAttribute.SPARSE_FILE | wanted, None)
        opened.report_modified(CompletionFilter.ATTRIBUTES)
    return Answer()


# SET_ZERO_DATA, FILE_LEVEL_TRIM ---------------------------------------------------------------------------------


async def set_zero_data(call: Call, request: IoctlRequest, data: memoryview) -> Answer:
    """The file does not grow.  [MS-FSA] 2.1.5.10.37"""
    zero = FileZeroDataInformation.unpack_from(data)
    if not 0 <= zero.file_offset <= zero.beyond_final_zero:
        raise StatusError(Status.INVALID_PARAMETER)
    await zero_range(call, call.file, zero.file_offset, zero.beyond_final_zero - zero.file_offset)
    return Answer()


async def zero_range(call: Call, opened: FileOpen, offset: int, length: int) -> None:
    """Zero what of a range is inside the file, if no lock is against it."""
    file = opened.file
    if length and not opened.shared.locks.may_write(opened, offset, length):
        raise StatusError(Status.FILE_LOCK_CONFLICT)
    end = min(offset + length, file.stat().size)
    if end <= offset:
        return
    try:
        if await blocking(_clear, sparse_power(opened), file, [Range(offset, end - offset)], hole=_is_sparse(opened)):
            return
        patience = Patience(call)
        while offset < end:
            await patience.pause()
            call.still_open()
            count = await blocking(_write_zeroes, file, offset, end - offset)
            patience.count(count)
            offset += count
    finally:
        changed(call, opened)


def _clear(sparse: Sparse | None, file: File, ranges: list[Range], *, hole: bool, wait: bool = False) -> bool:
    """Let the file system zero the ranges.  False, with nothing done, if it cannot."""
    if sparse is None:
        return False
    clear = sparse.punch if hole else sparse.zero
    try:
        for offset, length in ranges:
            clear(file, offset, length, wait=wait)
    except OSError as error:
        if error.errno != EOPNOTSUPP:
            raise
        return False
    return True


def _write_zeroes(file: File, offset: int, length: int, *, wait: bool = False) -> int:
    if not wait:
        raise BlockingIOError(EAGAIN, "so many zeroes take a thread")
    return file.write_at(offset, memoryview(ZEROES)[:length], wait=True)


async def file_level_trim(call: Call, request: IoctlRequest, data: memoryview) -> Answer:
    """What is in the ranges is worth nothing any more.  Where the file system cannot forget it, it stays.

    [MS-FSA] 2.1.5.10.12
    """
    opened = call.file
    ranges = parse_file_level_trim(data)
    if not ranges or any(offset + length >= 1 << 63 for offset, length in ranges):
        raise StatusError(Status.INVALID_PARAMETER)
    if not all(opened.shared.locks.may_write(opened, offset, length) for offset, length in ranges):
        raise StatusError(Status.FILE_LOCK_CONFLICT)
    size = opened.file.stat().size
    inside = [Range(offset, min(length, size - offset)) for offset, length in ranges if offset < size]
    try:
        await blocking(_clear, sparse_power(opened), opened.file, inside, hole=_is_sparse(opened))
    finally:
        changed(call, opened)
    output = FileLevelTrimOutput(num_ranges_processed=len(ranges)).pack()
    return Answer(output if request.max_output_response >= len(output) else b"")


# QUERY_ALLOCATED_RANGES, QUERY_FILE_REGIONS ---------------------------------------------------------------------


async def query_allocated_ranges(call: Call, request: IoctlRequest, data: memoryview) -> Answer:
    """As many as there is room for, and BUFFER_OVERFLOW if there are more.  [MS-FSA] 2.1.5.10.22"""
    asked = FileAllocatedRange.unpack_from(data)
    opened = call.file
    start, length = asked.file_offset, asked.length
    if start < 0 or length < 0 or start + length >= 1 << 63:
        raise StatusError(Status.INVALID_PARAMETER)
    length = min(length, opened.file.stat().size - start)
    if length <= 0:
        return Answer()
    room = request.max_output_response // FileAllocatedRange.SIZE
    sparse = sparse_power(opened)
    ranges = [(start, length)]
    if sparse is not None and _is_sparse(opened):
        ranges = await blocking(sparse.data_ranges, opened.file, start, length, limit=room + 1)
    if ranges and not room:
        raise StatusError(Status.BUFFER_TOO_SMALL)
    output = pack_allocated_ranges(ranges[:room])
    return Answer(output, Status.SUCCESS if len(ranges) <= room else Status.BUFFER_OVERFLOW)


async def query_file_regions(call: Call, request: IoctlRequest, data: memoryview) -> Answer:
    """What of the range was ever written, which on POSIX systems is all of it.  [MS-FSA] 2.1.5.10.24"""
    size = call.file.file.stat().size
    asked = FileRegionInput.unpack_from(data) if data else FileRegionInput(file_offset=0, length=size)
    start, length = asked.file_offset, asked.length
    if start < 0 or length < 0 or start + length >= 1 << 63 or asked.desired_usage != RegionUsage.VALID_CACHED_DATA:
        raise StatusError(Status.INVALID_PARAMETER)
    valid = min(length, size - start)
    regions = [FileRegionInfo(file_offset=start, length=valid).pack()] if valid > 0 else []
    if request.max_output_response < FileRegionOutput.SIZE + FileRegionInfo.SIZE:
        raise StatusError(Status.BUFFER_TOO_SMALL)
    head = FileRegionOutput(total_region_entry_count=len(regions), region_entry_count=len(regions))
    return Answer(head.pack() + b"".join(regions))
