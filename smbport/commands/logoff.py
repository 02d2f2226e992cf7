"""LOGOFF.  [MS-SMB2] 3.3.5.6"""

from smbport.commands.call import Call, Reply
from smbport.commands.close import delete_name
from smbport.wire.session import LogoffRequest, LogoffResponse

__all__ = ["logoff"]


async def logoff(call: Call, request: LogoffRequest) -> Reply:
    """[MS-SMB2] 3.3.5.6"""
    session = call.session
    for opened in session.lose():
        await delete_name(call.server, opened)
    return Reply(LogoffResponse())
