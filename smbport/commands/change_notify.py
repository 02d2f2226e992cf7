"""CHANGE_NOTIFY.  [MS-SMB2] 3.3.5.19"""

from smbport.commands.call import Call, Reply
from smbport.wire.change import ChangeNotifyRequest
from smbport.wire.status import Status, StatusError

__all__ = ["change_notify"]


async def change_notify(call: Call, request: ChangeNotifyRequest) -> Reply:
    """[MS-SMB2] 3.3.5.19: as an object store without change notification"""
    if not call.file.is_directory or request.output_buffer_length > call.connection.max_transact:
        raise StatusError(Status.INVALID_PARAMETER)
    raise StatusError(Status.NOT_SUPPORTED)
