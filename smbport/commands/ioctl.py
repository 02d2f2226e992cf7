"""IOCTL: finding the FSCTL that is meant.  [MS-SMB2] 3.3.5.15

What they do is in fsctl/, one file for each family.
"""

from smbport.commands.call import NO_FILE_ID, Call, Reply
from smbport.commands.frozen_times import keeping_times
from smbport.commands.fsctl.answer import Answer
from smbport.commands.fsctl.table import ON_FILE, ON_PIPE, WITHOUT_OPEN
from smbport.commands.rights import FSCTLS
from smbport.state.open import FileOpen, PipeOpen
from smbport.wire.constants import IoctlFlag
from smbport.wire.ioctl import IoctlRequest, ioctl_input, pack_ioctl_response
from smbport.wire.status import Status, StatusError

__all__ = ["ioctl"]


async def ioctl(call: Call, request: IoctlRequest) -> Reply:
    """[MS-SMB2] 3.3.5.15"""
    limit = call.connection.max_transact
    if request.flags != IoctlFlag.IS_FSCTL:
        raise StatusError(Status.NOT_SUPPORTED, "an IOCTL that is no FSCTL")
    if max(request.input_count, request.max_input_response, request.max_output_response) > limit:
        raise StatusError(Status.INVALID_PARAMETER, f"more than {limit} bytes")
    data = ioctl_input(call.message, request)
    without_open = WITHOUT_OPEN.get(request.ctl_code)
    if without_open is not None:
        if not request.file_id_persistent == request.file_id_volatile == NO_FILE_ID:
            raise StatusError(Status.INVALID_PARAMETER, "asked of an open")
        answer = await without_open(call, request, data)
        return _reply(request, request.file_id_persistent, request.file_id_volatile, answer)
    return await _on_open(call, request, data)


async def _on_open(call: Call, request: IoctlRequest, data: memoryview) -> Reply:
    """What every FSCTL on an open has in common: the tree, the open, its rights, and that it stays."""
    tree = call.tree_connect
    if tree.encrypt and call.chain.sealed is None:
        raise StatusError(Status.ACCESS_DENIED, "this share must be sealed")
    opened = call.find_open(request.file_id_persistent, request.file_id_volatile)
    call.hold(opened, changes=True)
    try:
        handler = (ON_PIPE if isinstance(opened, PipeOpen) else ON_FILE).get(request.ctl_code)
        if handler is None:
            raise StatusError(Status.INVALID_DEVICE_REQUEST, f"FSCTL 0x{request.ctl_code:08x}")
        FSCTLS[request.ctl_code].check(opened)
        if isinstance(opened, FileOpen) and opened.frozen is not None:
            answer = await keeping_times(opened, lambda: handler(call, request, data))
        else:
            answer = await handler(call, request, data)
    finally:
        call.let_go()
    return _reply(request, opened.persistent_id, opened.volatile_id, answer)


def _reply(request: IoctlRequest, persistent_id: int, volatile_id: int, answer: Answer) -> Reply:
    return Reply(pack_ioctl_response(request.ctl_code, persistent_id, volatile_id, answer.output), None, answer.status)
