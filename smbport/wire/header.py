"""SMB2 headers.  [MS-SMB2] 2.2.1, 2.2.41, 2.2.42"""

from typing import ClassVar, Final

from smbport.wire.record import U16, U32, U64, Bytes4, Bytes16, Pad2, Record, record

__all__ = [
    "HEADER_SIZE", "SMB1_MAGIC", "SMB2_MAGIC", "TRANSFORM_MAGIC", "COMPRESSION_MAGIC", "CompressionTransformHeader",
    "Header", "TransformHeader",
]  # fmt: skip

HEADER_SIZE: Final = 64
SMB1_MAGIC: Final = b"\xffSMB"
SMB2_MAGIC: Final = b"\xfeSMB"
TRANSFORM_MAGIC: Final = b"\xfdSMB"
COMPRESSION_MAGIC: Final = b"\xfcSMB"


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
