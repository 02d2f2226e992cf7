"""Compressed messages of a connection.  [MS-SMB2] 3.3.5.2.13, 3.3.4.1

Requests are expanded before anything of them is looked at, but sealing, and large ones in a thread.  Of responses,
those of READ are compressed, in shares that do so, if they were asked for like that and it makes them shorter: signed
before, sealed afterwards.
"""

from errno import EAGAIN
from typing import Final

from smbport.commands.call import Call, Chain, Reply
from smbport.commands.steps import blocking
from smbport.compression.message import SMALLEST, expand, squeeze
from smbport.state.connection import Connection
from smbport.wire.compression import chained_head, unchained_head
from smbport.wire.constants import CompressionAlgorithm
from smbport.wire.header import SMB2_MAGIC
from smbport.wire.record import BadStructure
from smbport.wire.status import Disconnect

__all__ = ["CompressedFrame", "CompressedReply", "compress_reply", "compressed_parts"]

LARGE: Final = 2048  # bytes on the wire; expanding so many takes 0.3 to 1 ms, going to a thread 0.1
OVERHEAD: Final = 1 << 16  # bytes of a message besides its data: guessed


class CompressedReply(Reply):
    """A reply that can be sent shorter, if it is alone in its frame."""

    __slots__ = ("packed",)

    def __init__(self, reply: Reply, packed: bytes) -> None:
        super().__init__(reply.body, reply.payload, reply.status)
        self.packed = packed  # for the payload


class CompressedFrame:
    """A frame that begins with the magic of compressed messages, unsealed if it was sealed.  [MS-SMB2] 3.3.5.2.13"""

    __slots__ = ("_algorithms", "_chained", "_frame", "_limit", "chain")

    def __init__(self, connection: Connection, chain: Chain, frame: memoryview) -> None:
        """Raises Disconnect for what this client must not send, or not yet."""
        if not connection.compression:
            raise Disconnect("a compressed message, which was not negotiated")
        if not connection.has_session():
            raise Disconnect("a compressed message before a logon")
        self.chain = chain  # still without calls
        chain.holds_frame = False  # what they will read from is made for them
        self._frame = frame
        self._algorithms, self._chained = connection.compression, connection.chained_compression
        self._limit = max(connection.max_write, connection.max_transact) + OVERHEAD

    def is_large(self) -> bool:
        """Whether expanding it here and now would keep the others waiting."""
        return len(self._frame) > LARGE

    def expand(self) -> memoryview:
        """What is to be accepted in its place.  Touches no state, so any thread may do it.  Raises Disconnect."""
        try:
            message = expand(self._frame, self._algorithms, chained=self._chained, limit=self._limit)
        except BadStructure as error:
            raise Disconnect(f"bad compressed message: {error}") from None
        if message[:4] != SMB2_MAGIC:
            raise Disconnect(f"a compressed message begins with {message[:4].hex()}")
        return memoryview(message)


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


def compressed_parts(connection: Connection, message: bytearray, reply: CompressedReply) -> list[bytes]:
    """What to send for a message and its payload."""
    size = len(reply.payload or b"")
    if connection.chained_compression:
        head = chained_head(message, size)
    else:
        head = unchained_head(message, connection.compressor, size)
    return [head, reply.packed]
