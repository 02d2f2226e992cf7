"""Previous versions: which there are.  [MS-SMB2] 3.3.5.15.1"""

from typing import Final

from smbport.commands.call import Call
from smbport.commands.fsctl.answer import Answer
from smbport.commands.previous_versions import find_times, token
from smbport.wire.fsctl import SnapshotArray
from smbport.wire.ioctl import IoctlRequest
from smbport.wire.status import Status, StatusError
from smbport.wire.text import encode_utf16

__all__ = ["enumerate_snapshots"]

LEAST: Final = SnapshotArray.SIZE + 4  # clients expect room for one empty name behind the numbers, also of none


async def enumerate_snapshots(call: Call, request: IoctlRequest, data: memoryview) -> Answer:
    """How many there are, and if all have room, their names, newest first.  [MS-SMB2] 3.3.5.15.1

    They are those of the share, whether this file was in them or not.  One that is open in a snapshot has the same.
    """
    room = request.max_output_response
    if room < LEAST:
        raise StatusError(Status.INVALID_PARAMETER)
    tree = call.file.tree
    times = await find_times(call, tree.live or tree)
    names = b"".join(encode_utf16(token(time_ns) + "\0") for time_ns in times)
    names += bytes(2) if times else b""
    fits = SnapshotArray.SIZE + len(names) <= room
    numbers = SnapshotArray(
        number_of_snapshots=len(times),
        number_of_snapshots_returned=len(times) if fits else 0,
        snapshot_array_size=len(names),
    )
    output = numbers.pack() + (names if fits else b"")
    return Answer(output + bytes(max(LEAST - len(output), 0)))
