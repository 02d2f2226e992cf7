"""Previous versions.  [MS-SMB2] 3.3.5.15.1"""

from smbport.commands.call import Call
from smbport.commands.fsctl.answer import Answer
from smbport.wire.fsctl import SnapshotArray
from smbport.wire.ioctl import IoctlRequest
from smbport.wire.status import Status, StatusError

__all__ = ["enumerate_snapshots"]


async def enumerate_snapshots(call: Call, request: IoctlRequest, data: memoryview) -> Answer:
    """There are none.  Clients expect the room for one empty name behind the numbers.  [MS-SMB2] 3.3.5.15.1"""
    if request.max_output_response < SnapshotArray.SIZE + 4:
        raise StatusError(Status.INVALID_PARAMETER)
    numbers = SnapshotArray(number_of_snapshots=0, number_of_snapshots_returned=0, snapshot_array_size=0)
    return Answer(numbers.pack() + bytes(4))
