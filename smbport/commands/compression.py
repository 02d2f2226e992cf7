"""Compressed messages of a connection.  [MS-SMB2] 3.3.5.2.13, 3.3.4.1

Requests are expanded before anything of them is looked at, but sealing.  Of responses, those of READ are compressed,
in shares that do so, where it makes them shorter: signed before, sealed afterwards.
"""

from errno import EAGAIN
from typing import Final

from smbport.commands.call import Call, Reply
from smbport.commands.steps import blocking
from smbport.compression.message import SMALLEST, expand, squeeze
from smbport.state.connection import Connection
from smbport.wire.compression import chained_head, unchained_head
from smbport.wire.constants import CompressionAlgorithm
from smbport.wire.record import BadStructure
from smbport.wire.status import Disconnect

__all__ = ["CompressedReply", "compress_reply", "compressed_parts", "expand_frame"]

OVERHEAD: Final = 1 << 16  # bytes of a message besides its data: guessed


class CompressedReply(Reply):
    """A reply that can be sent shorter, if it is alone in its frame."""

    __slots__ = ("packed",)

    def __init__(self, reply: Reply, packed: bytes) -> None:
        super().__init__(reply.body, reply.payload, reply.status)
        self.packed = packed  # for the payload


def expand_frame(connection: Connection, frame: memoryview) -> memoryview:
    """A frame that begins with the magic of compressed messages.  Raises Disconnect."""
    if not connection.compression:
        raise Disconnect("a compressed message, which was not negotiated")
    if not connection.has_session():
        raise Disconnect("a compressed message before a logon")
    limit = max(connection.max_write, connection.max_transact) + OVERHEAD
    try:
        return memoryview(expand(frame, connection.compression, chained=connection.chained_compression, limit=limit))
    except BadStructure as error:
        raise Disconnect(f"bad compressed message: {error}") from None


async def compress_reply(call: Call, reply: Reply, data: bytes) -> Reply:
    """The reply to a READ, with what to send instead of its data if that is shorter."""
    connection = call.connection
    if len(data) < SMALLEST or len(call.chain.calls) > 1:
        return reply
    patterns = CompressionAlgorithm.PATTERN_V1 in connection.compression if connection.chained_compression else None
    packed = await blocking(_squeeze, data, connection.compressor, patterns)
    return reply if packed is None else CompressedReply(reply, packed)


def _squeeze(data: bytes, algorithm: int, patterns: bool | None, *, wait: bool = False) -> bytes | None:
    """In a thread, because it takes so long."""
    if not wait:
        raise BlockingIOError(EAGAIN, "compressing takes time")
    return squeeze(data, algorithm, patterns=patterns)


def compressed_parts(connection: Connection, message: bytearray, reply: CompressedReply) -> list[bytearray | bytes]:
    """What to send for a message, which has 4 bytes of room in front, and its payload; the first part has them too."""
    plain, size = bytes(memoryview(message)[4:]), len(reply.payload or b"")
    if connection.chained_compression:
        head = chained_head(plain, size)
    else:
        head = unchained_head(plain, connection.compressor, size)
    return [bytearray(4) + head, reply.packed]
