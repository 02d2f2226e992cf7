"""SESSION_SETUP and LOGOFF.  [MS-SMB2] 2.2.5 - 2.2.8"""

from typing import ClassVar

from smbport.wire.header import HEADER_SIZE
from smbport.wire.record import U8, U16, U32, U64, Buffer, Pad2, Record, field, record

__all__ = [
    "LogoffRequest", "LogoffResponse", "SessionSetupRequest", "SessionSetupResponse", "pack_session_setup_request",
    "pack_session_setup_response", "security_buffer",
]  # fmt: skip


@record(structure_size=25)
class SessionSetupRequest(Record):
    """SMB2 SESSION_SETUP Request.  [MS-SMB2] 2.2.5"""

    flags: U8 = 0
    security_mode: U8
    capabilities: U32 = 0
    channel: U32 = 0
    security_buffer_offset: U16 = 0
    security_buffer_length: U16 = 0
    previous_session_id: U64 = 0


@record(structure_size=9)
class SessionSetupResponse(Record):
    """SMB2 SESSION_SETUP Response.  [MS-SMB2] 2.2.6"""

    session_flags: U16
    security_buffer_offset: U16 = 0
    security_buffer_length: U16 = 0


@record(structure_size=4)
class LogoffRequest(Record):
    """SMB2 LOGOFF Request.  [MS-SMB2] 2.2.7"""

    reserved: ClassVar[Pad2]


@record(structure_size=4)
class LogoffResponse(Record):
    """SMB2 LOGOFF Response.  [MS-SMB2] 2.2.8"""

    reserved: ClassVar[Pad2]


def security_buffer(message: Buffer, setup: SessionSetupRequest | SessionSetupResponse) -> memoryview:
    """The authentication token."""
    return field(message, setup.security_buffer_offset, setup.security_buffer_length, after=HEADER_SIZE + setup.SIZE)


def pack_session_setup_request(request: SessionSetupRequest, token: bytes) -> bytes:
    """The body.  Sets the offset and the length in `request`."""
    request.security_buffer_offset = HEADER_SIZE + request.SIZE
    request.security_buffer_length = len(token)
    return request.pack() + (token or b"\0")


def pack_session_setup_response(session_flags: int, token: bytes) -> bytes:
    """The body."""
    response = SessionSetupResponse(session_flags=session_flags)
    response.security_buffer_offset = HEADER_SIZE + response.SIZE
    response.security_buffer_length = len(token)
    return response.pack() + token
