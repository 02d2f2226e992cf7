"""IOCTL: the FSCTLs that belong to the protocol itself.  [MS-SMB2] 3.3.5.15"""

import hmac
from collections.abc import Callable
from ipaddress import ip_address
from typing import Final

from smbport.commands.call import Call, Reply
from smbport.commands.rights import FSCTLS
from smbport.state.open import FileOpen, Open, PipeOpen
from smbport.wire.constants import Dialect, FsControl, IoctlFlag, SecurityMode
from smbport.wire.ioctl import (
    FileObjectIdBuffer,
    InterfaceCapability,
    IoctlRequest,
    NetworkInterface,
    ValidateNegotiateInfoResponse,
    ioctl_input,
    pack_ioctl_response,
    pack_network_interfaces,
    parse_validate_negotiate_info,
)
from smbport.wire.record import BadStructure
from smbport.wire.status import Disconnect, Status, StatusError

__all__ = ["ON_OPEN", "WITHOUT_OPEN", "ioctl"]


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
        output = without_open(call, request, data)
        return _reply(request, request.file_id_persistent, request.file_id_volatile, output)
    if call.tree is None:
        raise StatusError(Status.NETWORK_NAME_DELETED)
    if call.tree.encrypt and call.chain.sealed is None:
        raise StatusError(Status.ACCESS_DENIED, "this share must be sealed")
    opened = call.find_open(request.file_id_persistent, request.file_id_volatile)
    right = FSCTLS.get(request.ctl_code)
    if right is None:
        raise StatusError(Status.INVALID_DEVICE_REQUEST, f"FSCTL 0x{request.ctl_code:08x}")
    right.check(opened)
    output, status = ON_OPEN[request.ctl_code](opened, request, data)
    return _reply(request, opened.persistent_id, opened.volatile_id, output, status)


def _reply(request: IoctlRequest, persistent: int, volatile: int, output: bytes, status: int = Status.SUCCESS) -> Reply:
    return Reply(pack_ioctl_response(request.ctl_code, persistent, volatile, output), None, status)


# FSCTLs that are asked of no open, with a FileId of all ones ------------------------------------------------------


def _validate_negotiate_info(call: Call, request: IoctlRequest, data: memoryview) -> bytes:
    """Did somebody on the way change the NEGOTIATE?  Any difference ends the connection.  [MS-SMB2] 3.3.5.15.12"""
    connection = call.connection
    if connection.dialect == Dialect.SMB_3_1_1:
        raise Disconnect("VALIDATE_NEGOTIATE_INFO on 3.1.1")
    try:
        asked, dialects = parse_validate_negotiate_info(data)
    except BadStructure:
        raise Disconnect("malformed VALIDATE_NEGOTIATE_INFO") from None
    settings = call.server.settings
    same = (
        hmac.compare_digest(asked.guid, connection.client_guid)
        and asked.capabilities == connection.client_capabilities
        and asked.security_mode == connection.client_security_mode
        and max(set(dialects) & set(settings.dialects), default=0) == connection.dialect
    )
    if not same or request.max_output_response < ValidateNegotiateInfoResponse.SIZE:
        raise Disconnect("VALIDATE_NEGOTIATE_INFO does not match the NEGOTIATE")
    required = SecurityMode.SIGNING_REQUIRED if settings.signing == "required" else 0
    return ValidateNegotiateInfoResponse(
        capabilities=connection.capabilities,
        guid=settings.server_guid,
        security_mode=SecurityMode.SIGNING_ENABLED | required,
        dialect=connection.dialect,
    ).pack()


def _query_network_interface_info(call: Call, request: IoctlRequest, data: memoryview) -> bytes:
    """The addresses under which this server can be reached.  [MS-SMB2] 3.3.5.15.11"""
    if call.connection.dialect < Dialect.SMB_3_0:
        raise StatusError(Status.INVALID_DEVICE_REQUEST)
    interfaces = [
        NetworkInterface(
            if_index=interface.index,
            capability=InterfaceCapability.RSS_CAPABLE if interface.rss else 0,
            link_speed=interface.speed,
            address=ip_address(interface.address).packed,
        )
        for interface in call.server.platform.sockets.interfaces()
    ]
    output = pack_network_interfaces(interfaces) if interfaces else b""
    if len(output) > request.max_output_response:
        raise StatusError(Status.BUFFER_TOO_SMALL)
    return output


def _dfs_get_referrals(call: Call, request: IoctlRequest, data: memoryview) -> bytes:
    """[MS-SMB2] 3.3.5.15.2: what a server without DFS says"""
    raise StatusError(Status.FS_DRIVER_REQUIRED)


def _pipe_wait(call: Call, request: IoctlRequest, data: memoryview) -> bytes:
    """[MS-FSCC] 2.3.49: our pipes never run out of instances, so there is nothing to wait for"""
    if call.tree is None or call.tree.volume is not None:
        raise StatusError(Status.INVALID_DEVICE_REQUEST)
    return b""


WITHOUT_OPEN: Final[dict[int, Callable[[Call, IoctlRequest, memoryview], bytes]]] = {
    FsControl.VALIDATE_NEGOTIATE_INFO: _validate_negotiate_info,
    FsControl.QUERY_NETWORK_INTERFACE_INFO: _query_network_interface_info,
    FsControl.DFS_GET_REFERRALS: _dfs_get_referrals,
    FsControl.DFS_GET_REFERRALS_EX: _dfs_get_referrals,
    FsControl.PIPE_WAIT: _pipe_wait,
}


# FSCTLs on an open; their rights are in rights.FSCTLS -------------------------------------------------------------


def _pipe_transceive(opened: Open, request: IoctlRequest, data: memoryview) -> tuple[bytes, int]:
    """[MS-SMB2] 3.3.5.15.10"""
    if not isinstance(opened, PipeOpen):
        raise StatusError(Status.INVALID_DEVICE_REQUEST)
    output, more = opened.pipe.transceive(data, request.max_output_response)
    return output, Status.BUFFER_OVERFLOW if more else Status.SUCCESS


def _pipe_peek(opened: Open, request: IoctlRequest, data: memoryview) -> tuple[bytes, int]:
    """[MS-FSCC] 2.3.48: state, bytes waiting, messages unknown; the data itself is left to READ"""
    if not isinstance(opened, PipeOpen):
        raise StatusError(Status.INVALID_DEVICE_REQUEST)
    if request.max_output_response < 16:
        raise StatusError(Status.BUFFER_TOO_SMALL)
    connected = 3  # FILE_PIPE_CONNECTED_STATE
    waiting = opened.pipe.available()
    numbers = (connected, waiting, 1 if waiting else 0, waiting)
    return b"".join(number.to_bytes(4, "little") for number in numbers), Status.SUCCESS


def _create_or_get_object_id(opened: Open, request: IoctlRequest, data: memoryview) -> tuple[bytes, int]:
    """An id that stays with the file, made of what identifies it on its volume.  [MS-FSCC] 2.3.1"""
    if not isinstance(opened, FileOpen) or opened.tree.volume is None:
        raise StatusError(Status.INVALID_DEVICE_REQUEST)
    if request.max_output_response < FileObjectIdBuffer.SIZE:
        raise StatusError(Status.INVALID_PARAMETER)
    key = opened.shared.key
    object_id = key.inode.to_bytes(8, "little") + (key.device & 0xFFFFFFFFFFFFFFFF).to_bytes(8, "little")
    volume_id = opened.tree.volume.features.serial.to_bytes(16, "little")
    buffer = FileObjectIdBuffer(object_id=object_id, birth_volume_id=volume_id, birth_object_id=object_id)
    return buffer.pack(), Status.SUCCESS


ON_OPEN: Final[dict[int, Callable[[Open, IoctlRequest, memoryview], tuple[bytes, int]]]] = {
    FsControl.PIPE_TRANSCEIVE: _pipe_transceive,
    FsControl.PIPE_PEEK: _pipe_peek,
    FsControl.CREATE_OR_GET_OBJECT_ID: _create_or_get_object_id,
}
