"""The server as a whole: shares, sessions, open files.  [MS-SMB2] 3.3.1.5

Everything that time, randomness or an event loop would be needed for comes in as a function, so that the
protocol runs under a fuzzer as it runs under trio.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from errno import ENOENT, ENOTDIR, ENOTSUP, EPERM
from typing import Protocol

from smbport.platform import Account, Platform
from smbport.security.auth import Authenticator
from smbport.state.app_instances import AppInstances
from smbport.state.breaks import break_caches
from smbport.state.durable import DurableOpens
from smbport.state.leases import Leases
from smbport.state.lookout import Lookout
from smbport.state.open import FileOpen, Open, PipeOpen
from smbport.state.oplocks import NEED_CLOSED
from smbport.state.persistent import HandleStore, Unsaved
from smbport.state.session import Session
from smbport.state.settings import Settings, ShareSettings
from smbport.state.sharing import SharedFiles
from smbport.state.throttle import LogonThrottle
from smbport.state.tree import Share, TreeConnect
from smbport.wire.create_contexts import LeaseState
from smbport.wire.status import Status, StatusError

__all__ = ["Event", "Runtime", "Server"]


class Event(Protocol):
    """Something that happens once and can be waited for by the event loop that made it."""

    def is_set(self) -> bool:
        """Whether it happened."""

    def set(self) -> None:
        """Let it happen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """What the surroundings supply."""

    now_ns: Callable[[], int]  # nanoseconds since 1970-01-01 UTC
    random_bytes: Callable[[int], bytes]  # fit for keys
    new_event: Callable[[], Event]


class Server:
    """Owner of all state.  One per `serve` call; nothing is kept in modules."""

    __slots__ = (
        "accounts", "app_instances", "authenticator", "bugs", "doomed", "durable", "files", "handle_store", "ipc",
        "leases", "lookout", "next_async_id", "next_volatile_id", "open_count", "platform", "runtime", "sessions",
        "settings", "shares", "start_ns", "throttle", "unsaved",
    )  # fmt: skip

    def __init__(self, settings: Settings, platform: Platform, authenticator: Authenticator, runtime: Runtime) -> None:
        """Opens the volume of every share; OSError names the share and its path."""
        self.settings = settings
        self.platform = platform
        self.authenticator = authenticator
        self.runtime = runtime
        self.throttle = LogonThrottle(settings.limits.failed_logons_pending_per_address)
        self.accounts: dict[str, tuple[int, Account]] = {}  # of those who have logged on, and when it was found
        self.start_ns = runtime.now_ns()
        self.sessions: dict[int, Session] = {}
        self.files = SharedFiles()
        self.leases = Leases()
        self.durable = DurableOpens(settings.limits.disconnected_opens, settings.limits.disconnected_opens_per_user)
        self.unsaved = Unsaved()
        self.handle_store: HandleStore | None = None  # set before the first connection; without it, nothing persists
        self.app_instances = AppInstances()
        self.open_count = 0
        self.next_volatile_id = int.from_bytes(runtime.random_bytes(4), "little") << 16 | 1
        self.next_async_id = 1
        self.doomed: list[FileOpen] = []  # closed where nobody could wait; their names are to be removed
        self.bugs = 0  # unhandled exceptions; each cost one connection
        self.shares = _open_shares(settings.shares, platform)
        self.ipc = Share(ShareSettings(name="IPC$", path="", comment="IPC Service"), None)
        self.lookout = Lookout(self)
        for share in self.shares.values():
            share.changes.connect(self.lookout)

    def find_share(self, name: str) -> Share | None:
        """The share of that name, compared without case; IPC$ always exists."""
        folded = name.upper()
        return self.ipc if folded == "IPC$" else self.shares.get(folded)

    def new_session_id(self) -> int:
        """An id that is not in use, and not 0 or all ones.

        32 random bits: clients exist that keep only the low half.  It need not be a secret, because a connection
        finds sessions through its own channels only.
        """
        while True:
            session_id = int.from_bytes(self.runtime.random_bytes(4), "little")
            if session_id not in (0, 0xFFFFFFFF) and session_id not in self.sessions:
                return session_id

    def new_file_id(self) -> tuple[int, int]:
        """(persistent, volatile) for a new open.  Neither is ever 0 or all ones, nor used twice."""
        volatile = self.next_volatile_id
        while self.durable.knows(volatile):  # from the life of another process
            volatile += 1
        self.next_volatile_id = volatile + 1
        return volatile, volatile

    def new_async_id(self) -> int:
        """For a request that is answered later; no two requests of the server ever have the same."""
        async_id = self.next_async_id
        self.next_async_id = async_id + 1
        return async_id

    def check_room_for_open(self, session: Session) -> None:
        """Raises TOO_MANY_OPENED_FILES at the limit of the session or of the server."""
        limits = self.settings.limits
        if len(session.opens) >= limits.opens_per_session or self.open_count >= limits.opens:
            raise StatusError(Status.TOO_MANY_OPENED_FILES)

    def add_open(self, opened: Open) -> None:
        """Make an open known to its session."""
        opened.tree.session.opens[opened.volatile_id] = opened
        self.open_count += 1

    def close_open(self, opened: Open) -> FileOpen | None:
        """End an open: locks, share modes and, unless requests still run on it, the handle.

        If this was the last open of a file that is to be deleted, returns the open whose name must go now; the
        caller removes it and then calls `files.forget`.  A pinned handle is released by the last `unpin`.
        """
        if opened.closed:
            return None
        opened.closed = True
        opened.tree.session.opens.pop(opened.volatile_id, None)  # what is disconnected is not there
        self.open_count -= 1
        doomed = None
        if isinstance(opened, FileOpen):
            if opened.durability is not None:
                self.durable.forget(opened)
                self.unsaved.note(opened)
            if opened.app_instance is not None:
                self.app_instances.forget(opened)
            doomed = self._leave_file(opened)
        elif isinstance(opened, PipeOpen):
            opened.end_reads()
        if not opened.pins:
            self._release(opened)
        return doomed

    def lose_open(self, opened: Open) -> FileOpen | None:
        """The session of an open ended, but its client may come back for it: keep it if it was promised, else close it.

        Returns what `close_open` returns.  [MS-SMB2] 3.3.7.1
        """
        if isinstance(opened, FileOpen) and not opened.closed:
            locked = opened.shared.locks.count(opened) > 0
            keeps = opened.caches_handle and (not locked or bool(opened.caching & LeaseState.WRITE_CACHING))  # Windows
            if self.durable.try_disconnect(opened, self.runtime.now_ns(), keeps=keeps):
                del opened.tree.session.opens[opened.volatile_id]
                return None
        return self.close_open(opened)

    def regain_open(self, opened: FileOpen, tree: TreeConnect) -> None:
        """A disconnected open belongs to a session again, under a new volatile id.  [MS-SMB2] 3.3.5.9.7, 3.3.5.9.12"""
        self.durable.reconnect(opened)
        opened.tree = tree
        _, opened.volatile_id = self.new_file_id()
        tree.session.opens[opened.volatile_id] = opened

    def _leave_file(self, opened: FileOpen) -> FileOpen | None:
        shared = opened.shared
        opened.end_watch(Status.NOTIFY_CLEANUP)
        self.lookout.let_go(opened)
        if opened.delete_on_close:
            shared.doom(opened)
            break_caches(self, shared, NEED_CLOSED, opened.cache)  # the name goes when all others have closed it
        shared.release_locks(opened)
        if opened.lease is not None:
            self.leases.leave(opened)
        elif opened.oplock is not None:
            shared.oplocks.release(opened.oplock)
        last = self.files.leave(shared, opened)
        return self.files.due(shared) if last else self.files.unlink(shared)

    def unpin(self, opened: Open) -> None:
        """A request on this open has ended."""
        opened.pins -= 1
        if opened.closed and not opened.pins:
            self._release(opened)

    def _release(self, opened: Open) -> None:
        opened.release_handle()
        if isinstance(opened, FileOpen) and opened.unreported and not opened.shared.delete_pending:
            opened.report_modified(opened.unreported)


def _open_shares(shares: Sequence[ShareSettings], platform: Platform) -> dict[str, Share]:
    """All or none, by their names in upper case."""
    opened: dict[str, Share] = {}
    try:
        for settings in shares:
            opened[settings.name.upper()] = _open_share(settings, platform)
    except OSError:
        for share in opened.values():
            if share.volume is not None:
                share.volume.close()
        raise
    return opened


def _open_share(settings: ShareSettings, platform: Platform) -> Share:
    name = _descriptor_name(settings, platform) if settings.acl == "nt" else None
    if settings.local_locks and platform.range_locks is None:
        reason = platform.absent.get("range_locks")
        raise OSError(ENOTSUP, f"share {settings.name!r}: local_locks = true is not possible: {reason}")
    if settings.snapshots is not None and platform.snapshots is None:
        reason = platform.absent.get("snapshots")
        raise OSError(ENOTSUP, f"share {settings.name!r}: snapshots are not possible: {reason}")
    try:
        volume = platform.open_volume(settings.path)
    except OSError as error:
        why = error.strerror or error
        fix = "; make it, or correct the path" if error.errno in (ENOENT, ENOTDIR) else ""
        message = f"share {settings.name!r}: cannot serve {settings.path!r}: {why}{fix}"
        raise OSError(error.errno, message) from error
    return Share(settings, volume, name)


def _descriptor_name(settings: ShareSettings, platform: Platform) -> str:
    """What the descriptors of a share are stored under.  OSError if the platform cannot."""
    if platform.acl is None:
        raise OSError(ENOTSUP, f'share {settings.name!r}: acl = "nt" is not possible: {platform.absent.get("acl")}')
    name, names = settings.acl_attribute or platform.acl.names[0], platform.acl.names
    if name not in names:
        known = ", ".join(names)
        raise OSError(EPERM, f"share {settings.name!r}: descriptors cannot be stored as {name!r} here, but as {known}")
    return name
