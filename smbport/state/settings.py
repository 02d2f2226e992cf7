"""What an administrator can set, as frozen values.  `config.py` makes them from TOML, embedders by hand.

Defaults are safe: signing required, no guests, no anonymous sessions, every resource bounded.
"""

from dataclasses import dataclass, field
from typing import Final, Literal

from smbport.platform import SnapshotTimes
from smbport.state.dfs import DfsLink
from smbport.state.hosts import Network
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
    busy_wait_us: int = 50  # awake, for the next of requests that come that fast; 0: always asleep
    frame_before_session: int = 65536  # bytes
    sessions_in_setup: int = 8  # per connection
    sessions_per_connection: int = 64
    sessions: int = 4096
    channels_per_session: int = 32
    trees_per_session: int = 1024
    opens_per_session: int = 16384
    opens: int = 65536  # lowered at start to what RLIMIT_NOFILE leaves
    credits_initial: int = 512
    credits: int = 8192
    running_requests: int = 256  # per connection; then it stops reading
    async_requests: int = 511  # per connection; as Windows
    queued_bytes: int = 32 << 20  # answers not yet taken, per connection; then it stops reading
    read_size: int = 8 << 20
    write_size: int = 8 << 20
    transact_size: int = 1 << 20
    compound_elements: int = 64
    create_contexts: int = 64
    locks_per_open: int = 65535
    locks_per_file: int = 131072
    lock_waits_per_file: int = 1024
    disconnected_opens: int = 16384  # durable ones whose clients are gone; they count as opens too
    disconnected_opens_per_user: int = 4096
    durable_timeout_s: float = 960  # longest time that any of them is kept; clients may ask for less
    watches_per_session: int = 2048  # more than two connections may wait for; see async_requests
    watched_directories: int = 8192  # in which the server notices what others change, for caches and watched trees
    notify_size: int = 65536  # bytes kept for one watched directory until its client asks
    pipes_per_session: int = 64
    oplock_break_timeout_s: float = 35  # as Windows and Samba; [MS-SMB2] 3.3.2.1
    failed_logon_delay_s: float = 2
    failed_logons_pending_per_address: int = 4
    failed_logons_per_connection: int = 5

    @property
    def durable_timeout_ns(self) -> int:
        """`durable_timeout_s` in nanoseconds."""
        return round(self.durable_timeout_s * 1e9)


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
    hosts_allow: tuple[Network, ...] = ()  # () is everywhere
    hosts_deny: tuple[Network, ...] = ()  # stronger than `hosts_allow`
    create_mask: int = 0o755  # new files get 0o666 (0o777 for directories) & mask | force mode
    force_mode: int = 0
    directory_mask: int = 0o755
    force_directory_mode: int = 0
    force_group: str | None = None
    acl: Literal["posix", "nt"] = "posix"  # who decides: modes and lists of the system, or Windows' descriptors
    acl_attribute: str | None = None  # where these are stored; None: the best that the platform can
    access_based_enumeration: bool = False  # listings leave out what their reader may not read
    continuous_availability: bool = False  # clients may ask for opens that survive this process
    local_changes: Literal["watched", "none"] = "watched"  # "none": nobody but this server changes the files, ever
    snapshots: str | None = None  # where they are: a path, one part of which has "*" or directives of strftime
    snapshot_times: SnapshotTimes = "utc"  # how it is known when they were taken
    dfs: tuple[DfsLink, ...] = ()  # names that stand for folders of other servers
    local_locks: bool = False  # byte ranges that clients lock are locked for local programs too, and theirs count
    case_sensitive: bool = False  # names that differ in case only are different names for clients
    short_names: bool = False  # files also have names of the form 8.3
    list_ea_sizes: bool = False  # listings tell EaSize; takes a system call for each entry
    compression: bool = False  # data goes compressed to clients that can; takes much time of a processor
    macos: bool = False  # Apple's extensions: Finder info in listings, resource forks, copies of whole files
    macos_modes: bool = True  # to these clients also modes, in access control lists, where the system decides
    time_machine: bool = False  # macOS may back up to it
    time_machine_size: int = 0  # bytes that clients are told they may take in all; 0: as much as there is
    posix_extensions: bool = True  # 3.1.1's for Linux, where the system decides: with acl "nt" never


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
    oplocks: bool = True  # one handle may cache a file; 3.x only where it is offered leases as well
    leases: bool = True  # so may all handles of a client together, from 2.1 on, and directories from 3.0 on
    multichannel: bool = True  # several connections may share a session
    hosts_allow: tuple[Network, ...] = ()  # from where clients may connect; () is everywhere
    hosts_deny: tuple[Network, ...] = ()  # stronger than `hosts_allow`
    anonymous: Literal["off", "ipc-only"] = "off"
    administrators: tuple[str, ...] = ()  # users with the privileges of Windows' administrators
    guest_account: str | None = None  # the system account (or "server") that guests act as; None: no guests
    guest_on_bad_user: bool = False  # an unknown user name becomes a guest; a wrong password never does
    target_name: Literal["ignored", "checked", "required"] = "ignored"  # the server that a logon was signed for
    aliases: tuple[str, ...] = ()  # names and addresses of this server, besides `server_name`, for `target_name`
    kerberos_keytab: str | None = None  # the file with the server's keys; None: no Kerberos
    kerberos_principal: str | None = None  # whose keys in it count; None: those of every cifs/HOST
    kerberos_realms: tuple[str, ...] = ()  # whose users are this server's users; () is the realm of its key
    handle_store: str | None = None  # the file that remembers persistent opens; continuous_availability needs it
    shares: tuple[ShareSettings, ...] = ()
    limits: Limits = field(default_factory=Limits)
