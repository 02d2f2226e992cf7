"""The structures of ksmbd's netlink messages, as BTF shows them in the modules of Linux 6.1 to 7.3.

Text is UTF-8 in fields of fixed size that end with at least one NUL.  Requests come from the kernel, responses
go to it; each but START begins with a handle that the response repeats.
"""

from functools import lru_cache
from typing import Annotated, ClassVar, Final

from smbport.wire.record import I32, U8, U16, U32, U64, BadStructure, Pad2, Record, record

__all__ = [
    "ACCOUNT_SIZE", "Command", "Handle", "LoginRequest", "LoginResponse", "LoginResponseExt", "LogoutRequest",
    "PIPE_NAMES", "PipeMessage", "PipeMethod", "PipeStatus", "ShareFlag", "ShareRequest", "ShareResponse",
    "SpnegoRequest", "SpnegoSizes", "Start", "StartFlag", "TreeConnectRequest", "TreeConnectResponse",
    "TreeDisconnectRequest", "TreeFlag", "UserFlag", "pack_text", "parse_text",
]  # fmt: skip

ACCOUNT_SIZE: Final = 48
SHARE_SIZE: Final = 64
MAX_TEXTS: Final = 256  # guessed: names that come again and again

Text16 = Annotated[bytes, "16s"]
Text32 = Annotated[bytes, "32s"]
Text48 = Annotated[bytes, "48s"]
Text64 = Annotated[bytes, "64s"]
Hash18 = Annotated[bytes, "18s"]
Pad56 = Annotated[None, "56x"]
Pad64 = Annotated[None, "64x"]
Pad128 = Annotated[None, "128x"]
Pad444 = Annotated[None, "444x"]
Pad463 = Annotated[None, "463x"]


class Command:
    """Numbers of messages and of their attributes."""

    HEARTBEAT: Final = 1
    START: Final = 2
    LOGIN: Final = 4  # a response has the number after its request's
    SHARE: Final = 6
    TREE_CONNECT: Final = 8
    TREE_DISCONNECT: Final = 10
    LOGOUT: Final = 11
    PIPE: Final = 12
    SPNEGO: Final = 14
    LOGIN_EXT: Final = 16


class StartFlag:
    LEASES: Final = 1
    ENCRYPTION_REQUIRED: Final = 2
    MULTICHANNEL: Final = 4
    ENCRYPTION_OFF: Final = 8
    DURABLE: Final = 16  # Linux 6.12


class UserFlag:
    OK: Final = 1
    BAD_PASSWORD: Final = 2
    BAD_UID: Final = 4  # the kernel only hands it back
    BAD_USER: Final = 8
    GUEST: Final = 16
    DELAY: Final = 32
    EXTENSION: Final = 64  # Linux 6.12: supplementary groups are to be asked for


class ShareFlag:
    AVAILABLE: Final = 1
    BROWSABLE: Final = 2
    WRITEABLE: Final = 4
    STORE_DOS_ATTRIBUTES: Final = 64
    OPLOCKS: Final = 128
    PIPE: Final = 256
    STREAMS: Final = 2048
    CROSS_MOUNTS: Final = 32768
    HIDE_UNREADABLE: Final = 131072  # Linux 7.2


class TreeFlag:
    GUEST: Final = 1
    READ_ONLY: Final = 2
    WRITABLE: Final = 4
    UPDATE: Final = 16


class PipeMethod:
    """What is asked of a pipe, beside the bit of its service; 1 means that the answer carries data."""

    IOCTL: Final = 8
    OPEN: Final = 16
    WRITE: Final = 32
    READ: Final = 64
    CLOSE: Final = 128
    RESTRICTED: Final = 512


PIPE_NAMES: Final = {2: "srvsvc", 4: "wkssvc", 1024: "samr", 2048: "lsarpc"}


class PipeStatus:
    OK: Final = 0
    NO_MEMORY: Final = 8
    NOT_IMPLEMENTED: Final = 0x40


@record()
class Start(Record):
    """ksmbd_startup_request; names of network devices follow."""

    flags: U32
    signing: I32
    min_protocol: Text16
    max_protocol: Text16
    netbios_name: Text16
    work_group: Text64
    server_string: Text64
    tcp_port: U16
    heartbeat_s: U16
    idle_minutes: U32
    max_open_files: U32
    max_write: U32
    max_read: U32
    max_transact: U32
    file_system_attributes: U32
    machine_id_a: U32
    machine_id_b: U32
    machine_id_c: U32
    max_credits: U32
    max_rdma_size: U32
    max_connections: U32
    bind_devices_only: U8
    max_connections_per_address: U32
    apple_model: Text32  # Linux 7.2
    max_sessions_per_connection: U32  # Linux 7.3
    reserved: ClassVar[Pad463]
    devices_size: U32


@record()
class Handle(Record):
    """The first field of requests."""

    handle: U32


@record()
class LoginRequest(Record):
    """ksmbd_login_request, also of LOGIN_EXT"""

    handle: U32
    account: Text48
    reserved: ClassVar[Pad64]


@record()
class LoginResponse(Record):
    """ksmbd_login_response"""

    handle: U32
    gid: U32
    uid: U32
    account: Text48
    status: U16
    hash_size: U16
    hash: Hash18
    padding: ClassVar[Pad2]
    expiry_low: U32 = 0  # Linux 7.3: when a ticket ends, in seconds since 1970; 0: never
    expiry_high: U32 = 0
    reserved: ClassVar[Pad56]


@record()
class SpnegoRequest(Record):
    """ksmbd_spnego_authen_request; the token follows."""

    handle: U32
    token_size: U16


@record()
class SpnegoSizes(Record):
    """ksmbd_spnego_authen_response, behind its handle and a LoginResponse; key and token follow."""

    key_size: U16
    token_size: U16


@record()
class LoginResponseExt(Record):
    """ksmbd_login_response_ext; group ids of 32 bits follow."""

    handle: U32
    group_count: I32
    reserved: ClassVar[Pad128]


@record()
class LogoutRequest(Record):
    """ksmbd_logout_request"""

    account: Text48
    account_flags: U32
    reserved: ClassVar[Pad64]


@record()
class ShareRequest(Record):
    """ksmbd_share_config_request"""

    handle: U32
    share_name: Text64
    reserved: ClassVar[Pad64]


@record()
class ShareResponse(Record):
    """ksmbd_share_config_response; the path with a NUL follows."""

    handle: U32
    flags: U32
    create_mask: U16
    directory_mask: U16
    force_create_mode: U16
    force_directory_mode: U16
    force_uid: U16
    force_gid: U16
    share_name: Text64
    reserved: ClassVar[Pad444]
    payload_size: U32
    veto_size: U32


@record()
class TreeConnectRequest(Record):
    """ksmbd_tree_connect_request"""

    handle: U32
    account_flags: U16
    flags: U16
    session_id: U64
    tree_id: U64
    account: Text48
    share: Text64
    address: Text64
    reserved: ClassVar[Pad64]


@record()
class TreeConnectResponse(Record):
    """ksmbd_tree_connect_response"""

    handle: U32
    status: U16
    flags: U16
    reserved: ClassVar[Pad64]


@record()
class TreeDisconnectRequest(Record):
    """ksmbd_tree_disconnect_request"""

    session_id: U64
    tree_id: U64
    reserved: ClassVar[Pad64]


@record()
class PipeMessage(Record):
    """ksmbd_rpc_command; the payload follows."""

    handle: U32
    flags: U32
    payload_size: U32


@lru_cache(MAX_TEXTS)
def parse_text(field: bytes) -> str:
    """The text of a field.  BadStructure if it does not end or is no UTF-8."""
    text, nul, _ = field.partition(b"\0")
    if not nul:
        raise BadStructure(f"text of {len(field)} bytes does not end")
    try:
        return text.decode()
    except UnicodeDecodeError as error:
        raise BadStructure(f"text is not UTF-8: {text!r}") from error


@lru_cache(MAX_TEXTS)
def pack_text(text: str, size: int) -> bytes:
    """Text for a field of `size` bytes.  ValueError if the field has no room for it and a NUL."""
    encoded = text.encode()
    if len(encoded) >= size or b"\0" in encoded:
        raise ValueError(f"{text!r} does not fit {size} bytes")
    return encoded
