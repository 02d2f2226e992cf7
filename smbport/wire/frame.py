"""Messages on their way: direct TCP frames, compound chains, responses in one buffer.  [MS-SMB2] 2.1, 3.3.5.2.7

Functions that run for every message, apart from the records, which cannot be compiled (docs/decisions/005).
"""

import struct
from collections.abc import Sequence
from typing import Final

from smbport.wire.header import HEADER_SIZE, SMB2_MAGIC
from smbport.wire.record import BadStructure, Buffer

__all__ = [
    "MAX_FRAME", "BadFrame", "frame_length", "frame_prefix", "join_compound", "response_message", "split_compound",
]  # fmt: skip

MAX_FRAME: Final = 0xFFFFFF  # the length of a direct TCP message has 24 bits


class BadFrame(Exception):
    """The peer does not speak SMB over direct TCP: the connection must end."""


def frame_length(prefix: Buffer) -> int:
    """The length of the message behind the first 4 bytes of a direct TCP frame.  [MS-SMB2] 2.1

    Raises BadFrame if the first byte is not zero.
    """
    if prefix[0] != 0:
        raise BadFrame(f"direct TCP frame begins with 0x{prefix[0]:02x}, not 0")
    return int.from_bytes(prefix[1:4], "big")


def frame_prefix(length: int) -> bytes:
    """The 4 bytes before a message of `length` bytes.  Raises ValueError above MAX_FRAME."""
    if length > MAX_FRAME:
        raise ValueError(f"message of {length} bytes does not fit a frame of {MAX_FRAME}")
    return length.to_bytes(4, "big")


_RESPONSE: Final = struct.Struct("<4sHHIHHIIQQQ16s")
_NEXT_COMMAND: Final = struct.Struct("<I")


def response_message(
    body: bytes, status: int, command: int, credit_charge: int, credits: int, flags: int, message_id: int,
    async_or_tree_id: int, session_id: int,
) -> bytearray:  # fmt: skip
    """A response in one buffer: 4 bytes left for the frame prefix, the header, the body.  [MS-SMB2] 2.2.1

    `async_or_tree_id` is the AsyncId, or the TreeId shifted left by 32.  Positional, because it runs per reply.
    """
    message = bytearray(4 + HEADER_SIZE + len(body))
    _RESPONSE.pack_into(
        message, 4, SMB2_MAGIC, HEADER_SIZE, credit_charge, status, command, credits, flags, 0, message_id,
        async_or_tree_id, session_id, b"",
    )  # fmt: skip
    message[4 + HEADER_SIZE :] = body
    return message


def split_compound(message: memoryview, *, limit: int) -> list[memoryview]:
    """The elements of a compound chain, each from its own header on; one for a plain message.  [MS-SMB2] 3.3.5.2.7

    Raises BadStructure for a NextCommand that is not a multiple of 8, smaller than a header or leaves the
    message, for a last element shorter than a header, and for more than `limit` elements.
    """
    elements: list[memoryview] = []
    while True:
        length = len(message)
        if length < HEADER_SIZE:
            raise BadStructure(f"element {len(elements)} has {length} bytes, a header has {HEADER_SIZE}")
        if len(elements) == limit:
            raise BadStructure(f"more than {limit} elements in a compound")
        (following,) = _NEXT_COMMAND.unpack_from(message, 20)
        if following == 0:
            elements.append(message)
            return elements
        if following % 8 or following < HEADER_SIZE or following > length:
            raise BadStructure(f"NextCommand {following} in {length} bytes")
        elements.append(message[:following])
        message = message[following:]


def join_compound(elements: Sequence[bytes]) -> bytes:
    """Chain packed messages: NextCommand set in each header, each but the last padded to 8 bytes."""
    out = bytearray()
    for index, element in enumerate(elements):
        if index == len(elements) - 1:
            out += element
            break
        padding = -len(element) % 8
        start = len(out)
        out += element
        out += bytes(padding)
        out[start + 20 : start + 24] = (len(element) + padding).to_bytes(4, "little")
    return bytes(out)
