"""Referrals of the distributed file system.  [MS-SMB2] 3.3.5.15.2"""

from smbport.commands.call import Call
from smbport.commands.fsctl.answer import Answer
from smbport.wire.ioctl import IoctlRequest
from smbport.wire.status import Status, StatusError

__all__ = ["get_referrals"]


async def get_referrals(call: Call, request: IoctlRequest, data: memoryview) -> Answer:
    """What a server without DFS says.  [MS-SMB2] 3.3.5.15.2"""
    raise StatusError(Status.FS_DRIVER_REQUIRED)
