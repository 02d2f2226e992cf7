"""How data is stored: compression, and checksums, which the file systems underneath keep without telling.

[MS-FSA] 2.1.5.10.9, 2.1.5.10.11
"""

from typing import Final

from smbport.commands.call import Call
from smbport.commands.fsctl.answer import Answer
from smbport.commands.steps import blocking
from smbport.platform import Compression, Stat
from smbport.state.open import FileOpen
from smbport.state.tree import TreeConnect
from smbport.wire.change import CompletionFilter
from smbport.wire.fsctl import ChecksumAlgorithm, CompressionFormat, CompressionState, IntegrityInformation
from smbport.wire.ioctl import IoctlRequest
from smbport.wire.status import Status, StatusError

__all__ = [
    "compression_power", "get_compression", "get_integrity_information", "is_compressed", "set_compression",
    "set_integrity_information",
]  # fmt: skip

INVALID_USER_BUFFER: Final = 0xC00000E8


# Compression ----------------------------------------------------------------------------------------------------

_WANTED: Final = {
    CompressionFormat.NONE: False,
    CompressionFormat.DEFAULT: True,
    CompressionFormat.LZNT1: True,
}
"""What clients can ask for.  How data is compressed is the file system's affair; they are told LZNT1 in any case."""


def compression_power(tree: TreeConnect) -> Compression | None:
    """What compresses files of this share; None if nothing does."""
    volume = tree.volume
    return tree.session.server.platform.compression if volume is not None and volume.features.compression else None


def is_compressed(opened: FileOpen, stat: Stat) -> bool:
    """Named streams never are, whatever their file is."""
    return stat.compressed and not opened.stream


async def get_compression(call: Call, request: IoctlRequest, data: memoryview) -> Answer:
    """NONE also where nothing can be compressed, as on ReFS.  [MS-FSCC] 2.3.18"""
    if request.max_output_response < CompressionState.SIZE:
        raise StatusError(INVALID_USER_BUFFER)
    compressed = is_compressed(call.file, call.file.node.stat())
    known = CompressionFormat.LZNT1 if compressed else CompressionFormat.NONE
    return Answer(CompressionState(compression_format=known).pack())


async def set_compression(call: Call, request: IoctlRequest, data: memoryview) -> Answer:
    """Not to compress is done already where nothing is compressed.  [MS-FSCC] 2.3.67"""
    opened = call.file
    wanted = _WANTED.get(CompressionState.unpack_from(data).compression_format)
    if wanted is None:
        raise StatusError(Status.INVALID_PARAMETER, "no such compression")
    if wanted == is_compressed(opened, opened.node.stat()):
        return Answer()
    power = compression_power(opened.tree)
    if power is None or opened.stream:
        raise StatusError(Status.NOT_SUPPORTED, "no compression")
    await blocking(power.set, opened.node, wanted)
    opened.report_modified(CompletionFilter.ATTRIBUTES)
    return Answer()


# Checksums ------------------------------------------------------------------------------------------------------


async def get_integrity_information(call: Call, request: IoctlRequest, data: memoryview) -> Answer:
    """No checksums that a client could choose.  [MS-FSCC] 2.3.20"""
    volume = call.file.tree.volume
    assert volume is not None
    if request.max_output_response < IntegrityInformation.SIZE:
        raise StatusError(Status.INVALID_PARAMETER)
    space = await blocking(volume.space)
    information = IntegrityInformation(
        checksum_algorithm=ChecksumAlgorithm.NONE,
        checksum_chunk_size_in_bytes=space.block_size,
        cluster_size_in_bytes=space.block_size,
    )
    return Answer(information.pack())


async def set_integrity_information(call: Call, request: IoctlRequest, data: memoryview) -> Answer:
    """None, or as it is.  [MS-FSCC] 2.3.73"""
    algorithm = int.from_bytes(data[:2], "little")
    if len(data) < 8:
        raise StatusError(Status.INVALID_PARAMETER)
    if algorithm not in (ChecksumAlgorithm.NONE, ChecksumAlgorithm.UNCHANGED):
        raise StatusError(Status.NOT_SUPPORTED, "no checksums")
    return Answer()
