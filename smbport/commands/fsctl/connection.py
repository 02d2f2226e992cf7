"""FSCTLs about the connection and the server, asked of no open.  [MS-SMB2] 3.3.5.15.11, 3.3.5.15.12"""

import hmac
from ipaddress import ip_address
from typing import Final

from smbport.commands.call import Call
from smbport.commands.fsctl.answer import Answer
from smbport.wire.constants import Dialect, SecurityMode
from smbport.wire.ioctl import (
    InterfaceCapability,
    IoctlRequest,
    NetworkInterface,
    ValidateNegotiateInfoResponse,
    pack_network_interfaces,
    parse_validate_negotiate_info,
)
from smbport.wire.record import BadStructure
from smbport.wire.status import Disconnect, Status, StatusError

__all__ = ["query_network_interface_info", "validate_negotiate_info"]

UNKNOWN_SPEED: Final = 1_000_000_000  # bits per second, as smbd says; clients prefer the fastest


async def validate_negotiate_info(call: Call, request: IoctlRequest, data: memoryview) -> Answer:
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
    response = ValidateNegotiateInfoResponse(
        capabilities=connection.capabilities,
        guid=settings.server_guid,
        security_mode=SecurityMode.SIGNING_ENABLED | required,
        dialect=connection.dialect,
    )
    return Answer(response.pack())


async def query_network_interface_info(call: Call, request: IoctlRequest, data: memoryview) -> Answer:
    """The addresses under which this server can be reached.  [MS-SMB2] 3.3.5.15.11"""
    if call.connection.dialect < Dialect.SMB_3_0:
        raise StatusError(Status.INVALID_DEVICE_REQUEST)
    interfaces = [
        NetworkInterface(
            if_index=interface.index,
            capability=InterfaceCapability.RSS_CAPABLE if interface.rss else 0,
            link_speed=interface.speed or UNKNOWN_SPEED,
            address=ip_address(interface.address).packed,
        )
        for interface in call.server.platform.sockets.interfaces()
    ]
    output = pack_network_interfaces(interfaces) if interfaces else b""
    if len(output) > request.max_output_response:
        raise StatusError(Status.BUFFER_TOO_SMALL)
    return Answer(output)
