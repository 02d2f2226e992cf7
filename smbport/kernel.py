"""The power `kernel`: a file server inside the kernel that leaves the decisions to this process.

The kernel moves the data and speaks SMB.  For everything else it asks: who a user is, what a share is, who may
connect to it, and what the pipes of IPC$ say.  A port brings the questions here as calls of `KernelAnswers` and puts
the answers into the kernel's own words; `smbport.control` answers them from the same configuration, users
and rules that the server in user space obeys.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from smbport.platform import Account

__all__ = [
    "Kernel", "KernelAnswers", "KernelError", "KernelLogon", "KernelPlan", "KernelServer", "KernelSetting",
    "KernelShare", "KernelTicket", "TreeAnswer", "TreeQuestion", "Verdict",
]  # fmt: skip

Verdict = Literal["granted", "no share", "denied", "too many connections", "too many sessions"]


class KernelError(Exception):
    """The kernel's server cannot serve; the text says why and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelPlan:
    """What a server in the kernel must know to start.  None of it can change while it runs."""

    server_name: str
    workgroup: str
    port: int
    devices: tuple[str, ...]  # network devices to listen on; () is every one
    oldest_dialect: int
    newest_dialect: int
    signing_required: bool
    encryption: Literal["off", "offered", "required"]
    leases: bool  # and what builds on them: durable handles
    multichannel: bool
    machine_id: tuple[int, int, int]  # users have the SIDs S-1-5-21-a-b-c-uid
    idle_timeout_s: float
    opens: int
    connections: int
    connections_per_address: int
    sessions_per_connection: int
    credits: int
    read_size: int  # bytes
    write_size: int  # bytes
    transact_size: int  # bytes


# These are made for each question, and clients wait: freezing them would take three times as long.


@dataclass(slots=True, kw_only=True)
class KernelLogon:
    """Who somebody is who can prove to know the password."""

    name: str  # comes back in TreeQuestion and `log_off`; at most 47 bytes, "" if anonymous
    account: Account  # whose rights the files are opened with
    nt_hash: bytes = field(repr=False)  # b"": nothing has to be proved
    guest: bool
    homeless: bool  # has no account of the system; `account` is nobody's, and comes back in TreeQuestion
    delay: bool  # failed too often: make the next failure slow


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelTicket:
    """Who somebody is who has proved it by Kerberos."""

    logon: KernelLogon  # without a hash
    token: bytes  # for the client
    session_key: bytes = field(repr=False)
    expires_ns: int | None  # nanoseconds since 1970; None: never


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelShare:
    """A share as the kernel must know it; the rules about who may connect stay here."""

    name: str
    path: str | None  # absolute; None: IPC$
    file_mask: int = 0  # permission bits that a new file may have; all of them, if the client does not choose
    forced_file_mode: int = 0  # and those that it always has
    directory_mask: int = 0
    forced_directory_mode: int = 0
    uid: int | None = None  # whose files they all are; None: the user's own
    gid: int | None = None
    groups: tuple[int, ...] = ()  # of `uid`, besides `gid`
    oplocks: bool = False  # and leases, if the plan has them
    hide_unreadable: bool = False  # listings leave out what their reader may not read


@dataclass(slots=True, kw_only=True)
class TreeQuestion:
    """Somebody wants to connect to a share."""

    session_id: int
    tree_id: int
    name: str  # of KernelLogon
    guest: bool
    homeless: bool
    share: str
    address: str | None  # None: this kernel does not tell


@dataclass(slots=True)
class TreeAnswer:
    """Whether they may, and how."""

    verdict: Verdict
    writable: bool = False
    refresh: bool = False  # what the kernel remembers of the share is old: it must ask again


class KernelAnswers(Protocol):
    """The questions.  None raises for what a client did."""

    def log_on(self, name: str) -> KernelLogon | Awaitable[KernelLogon | None] | None:
        """Who logs on with this name, in whatever case, "" if anonymous.  None: nobody may.

        What must be awaited is an answer for which the system has to be asked; it is awaited once.
        """

    async def take_ticket(self, token: bytes) -> KernelTicket | None:
        """Whose Kerberos ticket is in the first token of a logon.  None: nobody's who may log on."""

    def log_off(self, name: str, failed: bool) -> None:
        """A session of KernelLogon `name` is over, or never came to be because the password was wrong."""

    def find_share(self, name: str) -> KernelShare | None:
        """The share of that name, in whatever case."""

    def connect(self, question: TreeQuestion) -> TreeAnswer:
        """Whether a user may connect to a share.  Counted until `disconnect`, if granted."""

    def disconnect(self, session_id: int, tree_id: int) -> None:
        """A connection to a share is over.  One that was never granted is ignored."""

    def open_pipe(self, handle: int, name: str, restricted: bool) -> bool:
        """A client opened a pipe of IPC$; `restricted` if it is a guest or anonymous.  False: too many are open."""

    def write_pipe(self, handle: int, data: bytes) -> None:
        """Bytes written to a pipe."""

    def read_pipe(self, handle: int) -> bytes | Awaitable[bytes]:
        """The oldest answer that was not read yet, one fragment; b"" if there is none for long."""

    def transceive_pipe(self, handle: int, data: bytes) -> bytes:
        """Both in one; never b""."""

    def close_pipe(self, handle: int) -> None:
        """A pipe is gone."""

    def rest(self) -> None:
        """No question has come for a moment: there is time for what no client waits for."""


class KernelServer(Protocol):
    """A server in the kernel that runs."""

    took_over: bool  # it ran before, with the same plan, and its clients did not notice

    async def restart(self, plan: KernelPlan) -> None:
        """End all connections and start anew with another plan.  KernelError if it does not start."""


@dataclass(frozen=True, slots=True)
class KernelSetting:
    """What becomes of one key of the configuration."""

    how: str  # how it is honoured, or what the kernel does instead; one sentence
    honoured: bool = True  # at least some values are
    problem: Callable[[Any, Mapping[str, Any]], str | None] = lambda value, others: None
    """(value, all of [server] and [limits]) -> why this value, which is not the default, cannot be honoured."""


class Kernel(Protocol):
    """A file server in the kernel of this system, running or not."""

    name: str
    settings: Mapping[str, KernelSetting]  # for every key of the configuration, such as "share.NAME.path"

    def describe(self) -> Sequence[tuple[str, str]]:
        """What this kernel can do, as (fact, value) for people."""

    def find_faults(self, plan: KernelPlan) -> Sequence[tuple[bool, str]]:
        """Known faults of this kernel that matter: whether one forbids serving with this plan, and a sentence."""

    def check(self) -> None:
        """KernelError if this process cannot command the kernel's server: rights, namespaces, a missing module."""

    def share_problems(self, share: KernelShare) -> Sequence[tuple[str, str]]:
        """What of a share this kernel cannot do here, as (key of [share.NAME], reason)."""

    def status(self) -> Sequence[str]:
        """Lines about what the server does now: sessions, shares, open files, as far as the kernel tells."""

    def serve(self, plan: KernelPlan, answers: KernelAnswers) -> AbstractAsyncContextManager[KernelServer]:
        """Run the server while the block runs; when it is left, nothing listens any more.

        A running server whose process died is taken over: with its connections if it runs by the same plan.
        Raises KernelError if the server cannot be started, or if another process is in charge of it.
        """
