"""Messages on their way: direct TCP frames, compound chains, responses in one buffer.  [MS-SMB2] 2.1, 3.3.5.2.7

Functions that run for every message.
"""

import struct
from collections.abc import Sequence
from typing import Final

from smbport.wire.header import HEADER_SIZE, SMB2_MAGIC
from smbport.wire.record import BadStructure, Buffer

__all__ = [
    "MAX_FRAME", "BadFrame", "frame_length", "frame_magic", "frame_prefix", "join_compound", "response_message",
    "split_compound",
]  # fmt: skip

MAX_FRAME: Final = 0xFFFFFF  # the length of a direct TCP message has 24 bits


class BadFrame(Exception):
    """The peer does not speak SMB over direct TCP: the connection must end."""


_PREFIX: Final = struct.Struct(">I")
_MAGIC: Final = struct.Struct("4s")


def frame_length(buffer: Buffer, offset: int = 0) -> int:
    """The length of the message behind the 4 bytes at `offset`, with which a direct TCP frame begins.  [MS-SMB2] 2.1

    Raises BadFrame if the first of them is not zero.
    """
    length: int = _PREFIX.unpack_from(buffer, offset)[0]
    if length > MAX_FRAME:
        raise BadFrame(f"direct TCP frame begins with 0x{length >> 24:02x}, not 0")
    return length


def frame_magic(message: Buffer) -> bytes:
    """The first 4 bytes, which say what a message is; fewer if it has no more."""
    if len(message) < 4:
        return bytes(message)
    magic: bytes = _MAGIC.unpack_from(message)[0]
    return magic


def frame_prefix(length: int) -> bytes:
    """The 4 bytes before a message of `length` bytes.  Raises ValueError above MAX_FRAME."""
    if length > MAX_FRAME:
        raise ValueError(f"message of {length} bytes does not fit a frame of {MAX_FRAME}")
    return length.to_bytes(4, "big")


_RESPONSE: Final = struct.Struct("<6sHIHHI4xQIIQ16x")
_RESPONSE_START: Final = SMB2_MAGIC + HEADER_SIZE.to_bytes(2, "little")
_NEXT_COMMAND: Final = struct.Struct("<I")


def response_message(
    body: bytes, status: int, command: int, credit_charge: int, credits: int, flags: int, message_id: int,
    process_id: int, tree_id: int, session_id: int,
) -> bytearray:  # fmt: skip
    """Header and body of a response in one buffer, not signed yet.  [MS-SMB2] 2.2.1

    `process_id` and `tree_id` may be the halves of an AsyncId.  Positional, because it runs per reply.
    """
    header = _RESPONSE.pack(
        _RESPONSE_START, credit_charge, status, command, credits, flags, message_id, process_id, tree_id, session_id
    )
    return bytearray(header + body)


def split_compound(message: memoryview, *, limit: int) -> list[memoryview]:
    """The elements of a compound chain, each from its own header on; one for a plain message.  [MS-SMB2] 3.3.5.2.7

    Raises BadStructure for a NextCommand that is not a multiple of 8, smaller than a header or leaves the
    message, for a last element shorter than a header, and for more than `limit` elements.
    """
    elements: list[memoryview] = []
    begin, left = 0, len(message)
    while True:
        if left < HEADER_SIZE:
            raise BadStructure(f"element {len(elements)} has {left} bytes, a header has {HEADER_SIZE}")
        if len(elements) == limit:
            raise BadStructure(f"more than {limit} elements in a compound")
        following: int = _NEXT_COMMAND.unpack_from(message, begin + 20)[0]
        if following == 0:
            elements.append(message[begin:] if begin else message)
            return elements
        if following % 8 or following < HEADER_SIZE or following > left:
            raise BadStructure(f"NextCommand {following} in {left} bytes")
        elements.append(message[begin : begin + following])
        begin += following
        left -= following


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
