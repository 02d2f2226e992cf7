"""OPLOCK_BREAK, in its two forms: oplocks and leases.  [MS-SMB2] 2.2.23 - 2.2.25"""

from typing import ClassVar, Final

from smbport.wire.header import HEADER_SIZE
from smbport.wire.record import U8, U16, U32, U64, Buffer, Bytes16, Pad1, Pad2, Pad4, Pad8, Record, record

__all__ = [
    "LeaseBreakAcknowledgment", "LeaseBreakFlag", "LeaseBreakNotification", "LeaseBreakResponse",
    "OplockBreakAcknowledgment", "OplockBreakNotification", "OplockBreakResponse", "parse_break_acknowledgment",
    "parse_break_notification",
]  # fmt: skip


class LeaseBreakFlag:
    """[MS-SMB2] 2.2.23.2"""

    ACK_REQUIRED: Final = 0x00000001


@record(structure_size=24)
class OplockBreakNotification(Record):
    """SMB2 OPLOCK_BREAK Notification.  [MS-SMB2] 2.2.23.1"""

    oplock_level: U8
    reserved: ClassVar[Pad1]
    reserved2: ClassVar[Pad4]
    file_id_persistent: U64
    file_id_volatile: U64


@record(structure_size=24)
class OplockBreakAcknowledgment(Record):
    """SMB2 OPLOCK_BREAK Acknowledgment.  [MS-SMB2] 2.2.24.1"""

    oplock_level: U8
    reserved: ClassVar[Pad1]
    reserved2: ClassVar[Pad4]
    file_id_persistent: U64
    file_id_volatile: U64


@record(structure_size=24)
class OplockBreakResponse(Record):
    """SMB2 OPLOCK_BREAK Response.  [MS-SMB2] 2.2.25.1"""

    oplock_level: U8
    reserved: ClassVar[Pad1]
    reserved2: ClassVar[Pad4]
    file_id_persistent: U64
    file_id_volatile: U64


@record(structure_size=44)
class LeaseBreakNotification(Record):
    """SMB2 Lease Break Notification.  [MS-SMB2] 2.2.23.2"""

    new_epoch: U16
    flags: U32
    lease_key: Bytes16
    current_lease_state: U32
    new_lease_state: U32
    break_reason: U32 = 0
    access_mask_hint: U32 = 0
    share_mask_hint: U32 = 0


@record(structure_size=36)
class LeaseBreakAcknowledgment(Record):
    """SMB2 Lease Break Acknowledgment.  [MS-SMB2] 2.2.24.2"""

    reserved: ClassVar[Pad2]
    flags: U32 = 0
    lease_key: Bytes16
    lease_state: U32
    lease_duration: ClassVar[Pad8]


@record(structure_size=36)
class LeaseBreakResponse(Record):
    """SMB2 Lease Break Response.  [MS-SMB2] 2.2.25.2"""

    reserved: ClassVar[Pad2]
    flags: U32 = 0
    lease_key: Bytes16
    lease_state: U32
    lease_duration: ClassVar[Pad8]


def parse_break_acknowledgment(message: Buffer) -> OplockBreakAcknowledgment | LeaseBreakAcknowledgment:
    """Either form, told apart by StructureSize."""
    if _structure_size(message) == LeaseBreakAcknowledgment.STRUCTURE_SIZE:
        return LeaseBreakAcknowledgment.unpack_from(message, HEADER_SIZE)
    return OplockBreakAcknowledgment.unpack_from(message, HEADER_SIZE)


def parse_break_notification(message: Buffer) -> OplockBreakNotification | LeaseBreakNotification:
    """Either form, told apart by StructureSize."""
    if _structure_size(message) == LeaseBreakNotification.STRUCTURE_SIZE:
        return LeaseBreakNotification.unpack_from(message, HEADER_SIZE)
    return OplockBreakNotification.unpack_from(message, HEADER_SIZE)


def _structure_size(message: Buffer) -> int:
    return int.from_bytes(message[HEADER_SIZE : HEADER_SIZE + 2], "little")
