"""Object ids: something that stays with a file.  [MS-FSCC] 2.3.1, 2.3.25"""

from smbport.commands.call import Call
from smbport.commands.fsctl.answer import Answer
from smbport.wire.ioctl import FileObjectIdBuffer, IoctlRequest
from smbport.wire.status import Status, StatusError

__all__ = ["get_object_id"]


async def get_object_id(call: Call, request: IoctlRequest, data: memoryview) -> Answer:
    """An id made of what identifies the file on its volume, so every file has one.  [MS-FSCC] 2.3.1, 2.3.25"""
    opened = call.file
    volume = opened.tree.volume
    assert volume is not None
    if request.max_output_response < FileObjectIdBuffer.SIZE:
        raise StatusError(Status.INVALID_PARAMETER)
    key = opened.shared.key
    object_id = key.inode.to_bytes(8, "little") + (key.device & 0xFFFFFFFFFFFFFFFF).to_bytes(8, "little")
    volume_id = volume.features.serial.to_bytes(16, "little")
    buffer = FileObjectIdBuffer(object_id=object_id, birth_volume_id=volume_id, birth_object_id=object_id)
    return Answer(buffer.pack())
