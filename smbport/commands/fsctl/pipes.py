"""FSCTLs of named pipes.  [MS-SMB2] 3.3.5.15.4, 3.3.5.15.10, [MS-FSCC] 2.3.48"""

from smbport.commands.call import Call
from smbport.commands.fsctl.answer import Answer
from smbport.state.open import PipeOpen
from smbport.wire.ioctl import IoctlRequest
from smbport.wire.status import Status, StatusError

__all__ = ["pipe_peek", "pipe_transceive", "pipe_wait"]


async def pipe_transceive(call: Call, request: IoctlRequest, data: memoryview) -> Answer:
    """[MS-SMB2] 3.3.5.15.10"""
    opened = call.opened
    assert isinstance(opened, PipeOpen)
    if opened.readers:
        raise StatusError(Status.PIPE_BUSY, "a READ waits for the answer")
    output, more = opened.pipe.transceive(data, request.max_output_response)
    return Answer(output, Status.BUFFER_OVERFLOW if more else Status.SUCCESS)


async def pipe_peek(call: Call, request: IoctlRequest, data: memoryview) -> Answer:
    """State, bytes waiting, messages unknown; the data itself is left to READ.  [MS-FSCC] 2.3.48"""
    opened = call.opened
    assert isinstance(opened, PipeOpen)
    if request.max_output_response < 16:
        raise StatusError(Status.BUFFER_TOO_SMALL)
    connected = 3  # FILE_PIPE_CONNECTED_STATE
    waiting = opened.pipe.available()
    numbers = (connected, waiting, 1 if waiting else 0, waiting)
    return Answer(b"".join(number.to_bytes(4, "little") for number in numbers))


async def pipe_wait(call: Call, request: IoctlRequest, data: memoryview) -> Answer:
    """Our pipes never run out of instances, so there is nothing to wait for.  [MS-FSCC] 2.3.49"""
    if call.tree is None or call.tree.volume is not None:
        raise StatusError(Status.INVALID_DEVICE_REQUEST)
    return Answer()
