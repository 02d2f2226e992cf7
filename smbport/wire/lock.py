"""LOCK.  [MS-SMB2] 2.2.26, 2.2.27"""

from collections.abc import Sequence
from typing import ClassVar, Final

from smbport.wire.header import HEADER_SIZE
from smbport.wire.record import U16, U32, U64, BadStructure, Buffer, Pad2, Pad4, Record, field, record

__all__ = ["LockElement", "LockRequest", "LockResponse", "lock_elements", "pack_lock_request"]

_STRUCTURE_SIZE: Final = 48  # counts the first LOCK_ELEMENT in, so `lock_elements` compares it, not the record


@record()
class LockRequest(Record):
    """SMB2 LOCK Request, up to the elements.  [MS-SMB2] 2.2.26

    `lock_sequence` holds LockSequenceNumber in its low 4 bits and LockSequenceIndex above them.
    """

    structure_size: U16 = _STRUCTURE_SIZE
    lock_count: U16 = 0
    lock_sequence: U32 = 0
    file_id_persistent: U64
    file_id_volatile: U64


@record()
class LockElement(Record):
    """SMB2_LOCK_ELEMENT.  [MS-SMB2] 2.2.26.1"""

    offset: U64
    length: U64
    flags: U32
    reserved: ClassVar[Pad4]


@record(structure_size=4)
class LockResponse(Record):
    """SMB2 LOCK Response.  [MS-SMB2] 2.2.27"""

    reserved: ClassVar[Pad2]


def lock_elements(message: Buffer, request: LockRequest) -> list[LockElement]:
    """The ranges, in order; none if LockCount is 0."""
    if request.structure_size != _STRUCTURE_SIZE:
        raise BadStructure(f"LockRequest says StructureSize {request.structure_size}, not {_STRUCTURE_SIZE}")
    start, size = HEADER_SIZE + request.SIZE, LockElement.SIZE
    elements = field(message, start, request.lock_count * size, after=start)
    return [LockElement.unpack_from(elements, offset) for offset in range(0, len(elements), size)]


def pack_lock_request(request: LockRequest, elements: Sequence[LockElement]) -> bytes:
    """The body.  Sets the count in `request`."""
    request.lock_count = len(elements)
    return request.pack() + b"".join(element.pack() for element in elements)
