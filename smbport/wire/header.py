"""Frames, SMB2 headers and compound chains.  [MS-SMB2] 2.1, 2.2.1, 2.2.41, 2.2.42"""

import struct
from collections.abc import Sequence
from typing import ClassVar, Final

from smbport.wire.record import U16, U32, U64, BadStructure, Buffer, Bytes4, Bytes16, Pad2, Record, record

__all__ = [
    "HEADER_SIZE", "MAX_FRAME", "SMB1_MAGIC", "SMB2_MAGIC", "TRANSFORM_MAGIC", "COMPRESSION_MAGIC", "BadFrame",
    "CompressionTransformHeader", "Header", "TransformHeader", "frame_length", "frame_prefix", "join_compound",
    "response_message", "split_compound",
]  # fmt: skip

HEADER_SIZE: Final = 64
MAX_FRAME: Final = 0xFFFFFF  # the length of a direct TCP message has 24 bits
SMB1_MAGIC: Final = b"\xffSMB"
SMB2_MAGIC: Final = b"\xfeSMB"
TRANSFORM_MAGIC: Final = b"\xfdSMB"
COMPRESSION_MAGIC: Final = b"\xfcSMB"


class BadFrame(Exception):
    """The peer does not speak SMB over direct TCP: the connection must end."""


@record()
class Header(Record):
    """SMB2 Packet Header, SYNC form.  [MS-SMB2] 2.2.1.2

    `status` is ChannelSequence and Reserved in requests of 3.x; in the ASYNC form (2.2.1.1) `process_id` and
    `tree_id` together are the AsyncId.
    """

    protocol_id: Bytes4
    structure_size: U16
    credit_charge: U16
    status: U32
    command: U16
    credits: U16
    flags: U32
    next_command: U32
    message_id: U64
    process_id: U32
    tree_id: U32
    session_id: U64
    signature: Bytes16

    @property
    def async_id(self) -> int:
        """AsyncId, if HeaderFlag.ASYNC_COMMAND is set."""
        return self.process_id | self.tree_id << 32


@record()
class TransformHeader(Record):
    """SMB2 TRANSFORM_HEADER.  [MS-SMB2] 2.2.41"""

    protocol_id: Bytes4
    signature: Bytes16
    nonce: Bytes16
    original_message_size: U32
    reserved: ClassVar[Pad2]
    flags: U16
    session_id: U64


@record()
class CompressionTransformHeader(Record):
    """SMB2 COMPRESSION_TRANSFORM_HEADER_UNCHAINED; chained shares the first 8 bytes.  [MS-SMB2] 2.2.42"""

    protocol_id: Bytes4
    original_compressed_segment_size: U32
    compression_algorithm: U16
    flags: U16
    offset: U32


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
        if len(message) < HEADER_SIZE:
            raise BadStructure(f"element {len(elements)} has {len(message)} bytes, a header has {HEADER_SIZE}")
        if len(elements) == limit:
            raise BadStructure(f"more than {limit} elements in a compound")
        following = int.from_bytes(message[20:24], "little")
        if following == 0:
            elements.append(message)
            return elements
        if following % 8 or following < HEADER_SIZE or following > len(message):
            raise BadStructure(f"NextCommand {following} in {len(message)} bytes")
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
