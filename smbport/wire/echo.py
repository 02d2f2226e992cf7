"""ECHO and CANCEL.  [MS-SMB2] 2.2.28 - 2.2.30"""

from typing import ClassVar

from smbport.wire.record import Pad2, Record, record

__all__ = ["CancelRequest", "EchoRequest", "EchoResponse"]


@record(structure_size=4)
class EchoRequest(Record):
    """SMB2 ECHO Request.  [MS-SMB2] 2.2.28"""

    reserved: ClassVar[Pad2]


@record(structure_size=4)
class EchoResponse(Record):
    """SMB2 ECHO Response.  [MS-SMB2] 2.2.29"""

    reserved: ClassVar[Pad2]


@record(structure_size=4)
class CancelRequest(Record):
    """SMB2 CANCEL Request; it has no response.  [MS-SMB2] 2.2.30"""

    reserved: ClassVar[Pad2]
