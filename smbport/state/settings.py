"""What an administrator can set, as frozen values.  `config.py` makes them from TOML, embedders by hand.

Defaults are safe: signing required, no guests, no anonymous sessions, every resource bounded.
"""

from dataclasses import dataclass, field
from typing import Final, Literal

from smbport.wire.constants import Cipher, Dialect, SigningAlgorithm

__all__ = ["ALL_DIALECTS", "Limits", "Settings", "ShareSettings"]

ALL_DIALECTS: Final = (Dialect.SMB_2_0_2, Dialect.SMB_2_1, Dialect.SMB_3_0, Dialect.SMB_3_0_2, Dialect.SMB_3_1_1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds that hold from the first connection on.  Counts unless the name says a unit."""

    connections: int = 1024
    unauthenticated_connections: int = 128
    connections_per_address: int = 64
    unauthenticated_per_address: int = 32
    negotiate_timeout_s: float = 10
    session_timeout_s: float = 30
    idle_timeout_s: float = 900  # a connection without opens; with opens it is never ended for idleness
    send_timeout_s: float = 60  # without a byte taken by the client
    frame_before_session: int = 65536  # bytes
    sessions_in_setup: int = 8  # per connection
    sessions_per_connection: int = 64
    sessions: int = 4096
    channels_per_session: int = 32
    trees_per_session: int = 1024
    opens_per_session: int = 16384
    opens: int = 65536  # lowered to RLIMIT_NOFILE - 256 at start
    credits_initial: int = 512
    credits: int = 8192
    running_requests: int = 256  # per connection; then it stops reading
    async_requests: int = 512  # per connection
    queued_bytes: int = 32 << 20  # answers not yet taken, per connection; then it stops reading
    read_size: int = 8 << 20
    write_size: int = 8 << 20
    transact_size: int = 1 << 20
    compound_elements: int = 64
    create_contexts: int = 64
    locks_per_open: int = 65535
    pipes_per_session: int = 64
    oplock_break_timeout_s: float = 35  # as Windows and Samba; [MS-SMB2] 3.3.2.1
    failed_logon_delay_s: float = 2
    failed_logons_pending_per_address: int = 4
    failed_logons_per_connection: int = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareSettings:
    """One share.  `path` means what the platform makes of it: a host directory, or a name in memory."""

    name: str
    path: str
    comment: str = ""
    read_only: bool = False
    guest: bool = False  # guests may connect; needs Settings.guest_account as well
    hidden: bool = False  # left out of listings even without a trailing "$"
    encryption: Literal["offered", "required"] = "offered"
    run_as: str = "client"  # "client": the user's system account; "server": this process; else an account name
    valid_users: tuple[str, ...] = ()  # () is every user; compared without case
    write_users: tuple[str, ...] = ()  # these may write although `read_only`
    create_mask: int = 0o755  # new files get 0o666 (0o777 for directories) & mask | force mode
    force_mode: int = 0
    directory_mask: int = 0o755
    force_directory_mode: int = 0
    force_group: str | None = None
    case_sensitive: bool = False  # names that differ in case only are different names for clients


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The server as a whole."""

    server_name: str = "SMBPORT"
    workgroup: str = "WORKGROUP"
    comment: str = "smbport"
    server_guid: bytes = bytes(16)  # set at start; stays the same as long as the process
    dialects: tuple[int, ...] = ALL_DIALECTS
    signing: Literal["required", "offered"] = "required"
    signing_algorithms: tuple[int, ...] = (
        SigningAlgorithm.AES_GMAC,
        SigningAlgorithm.AES_CMAC,
        SigningAlgorithm.HMAC_SHA256,
    )  # in order of preference
    encryption: Literal["off", "offered", "required"] = "offered"
    ciphers: tuple[int, ...] = (
        Cipher.AES_128_GCM,
        Cipher.AES_256_GCM,
        Cipher.AES_128_CCM,
        Cipher.AES_256_CCM,
    )  # in order of preference
    oplocks: Literal["off", "2.x", "all"] = "2.x"  # which dialects may cache files by oplocks
    anonymous: Literal["off", "ipc-only"] = "off"
    guest_account: str | None = None  # the system account (or "server") that guests act as; None: no guests
    guest_on_bad_user: bool = False  # an unknown user name becomes a guest; a wrong password never does
    shares: tuple[ShareSettings, ...] = ()
    limits: Limits = field(default_factory=Limits)
