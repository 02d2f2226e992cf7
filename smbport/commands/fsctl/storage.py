"""How data is stored: compression and checksums, of which the file systems underneath know and clients do not.

[MS-FSA] 2.1.5.10.9, 2.1.5.10.11
"""

from typing import Final

from smbport.commands.call import Call
from smbport.commands.fsctl.answer import Answer
from smbport.commands.steps import blocking
from smbport.wire.fsctl import ChecksumAlgorithm, CompressionFormat, CompressionState, IntegrityInformation
from smbport.wire.ioctl import IoctlRequest
from smbport.wire.status import Status, StatusError

__all__ = ["get_compression", "get_integrity_information", "set_compression", "set_integrity_information"]

INVALID_USER_BUFFER: Final = 0xC00000E8


async def get_compression(call: Call, request: IoctlRequest, data: memoryview) -> Answer:
    """Nothing is compressed, as on ReFS.  [MS-FSCC] 2.3.18"""
    if request.max_output_response < CompressionState.SIZE:
        raise StatusError(INVALID_USER_BUFFER)
    return Answer(CompressionState(compression_format=CompressionFormat.NONE).pack())


async def set_compression(call: Call, request: IoctlRequest, data: memoryview) -> Answer:
    """Not to compress is what every file does already.  [MS-FSCC] 2.3.67"""
    if CompressionState.unpack_from(data).compression_format != CompressionFormat.NONE:
        raise StatusError(Status.NOT_SUPPORTED, "no compression")
    return Answer()


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
