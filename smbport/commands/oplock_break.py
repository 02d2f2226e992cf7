"""OPLOCK_BREAK acknowledgments.  [MS-SMB2] 3.3.5.22

No oplock and no lease is granted yet, so nobody can owe an acknowledgment.
"""

from smbport.commands.call import Call, Reply
from smbport.wire.break_ import OplockBreakAcknowledgment
from smbport.wire.status import Status, StatusError

__all__ = ["oplock_break"]


async def oplock_break(call: Call, request: OplockBreakAcknowledgment) -> Reply:
    """[MS-SMB2] 3.3.5.22.1: an open that breaks no oplock"""
    call.find_open(request.file_id_persistent, request.file_id_volatile)
    raise StatusError(Status.INVALID_DEVICE_STATE)
