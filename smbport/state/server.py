"""The server as a whole: shares, sessions, open files.  [MS-SMB2] 3.3.1.5

Everything that time, randomness or an event loop would be needed for comes in as a function, so that the
protocol runs under a fuzzer as it runs under trio.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from smbport.platform import Platform
from smbport.security.auth import Authenticator
from smbport.state.open import FileOpen, Open
from smbport.state.session import Session
from smbport.state.settings import Settings, ShareSettings
from smbport.state.sharing import SharedFiles
from smbport.state.throttle import LogonThrottle
from smbport.state.tree import Share
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
        "authenticator", "bugs", "files", "ipc", "next_volatile_id", "open_count", "platform",
        "runtime", "sessions", "settings", "shares", "start_ns", "throttle",
    )  # fmt: skip

    def __init__(self, settings: Settings, platform: Platform, authenticator: Authenticator, runtime: Runtime) -> None:
        """Opens the volume of every share; OSError names the share and its path."""
        self.settings = settings
        self.platform = platform
        self.authenticator = authenticator
        self.runtime = runtime
        self.throttle = LogonThrottle(settings.limits.failed_logons_pending_per_address)
        self.start_ns = runtime.now_ns()
        self.sessions: dict[int, Session] = {}
        self.files = SharedFiles()
        self.open_count = 0
        self.next_volatile_id = int.from_bytes(runtime.random_bytes(4), "little") << 16 | 1
        self.bugs = 0  # unhandled exceptions; each cost one connection
        self.shares = {share.name.upper(): _open_share(share, platform) for share in settings.shares}
        self.ipc = Share(ShareSettings(name="IPC$", path="", comment="IPC Service"), None)

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
        self.next_volatile_id = volatile + 1
        return volatile, volatile

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
        del opened.tree.session.opens[opened.volatile_id]
        self.open_count -= 1
        doomed = None
        if isinstance(opened, FileOpen):
            doomed = self._leave_file(opened)
        if not opened.pins:
            opened.release_handle()
        return doomed

    def _leave_file(self, opened: FileOpen) -> FileOpen | None:
        shared = opened.shared
        if opened.delete_on_close:
            shared.doomed_by = opened
        shared.locks.release(opened)
        shared.oplocks.release(opened)
        shared.wake_waiters()  # also those of this very open, which end now
        last = self.files.leave(shared, opened)
        return shared.doomed_by if last else None

    def unpin(self, opened: Open) -> None:
        """A request on this open has ended."""
        opened.pins -= 1
        if opened.closed and not opened.pins:
            opened.release_handle()


def _open_share(settings: ShareSettings, platform: Platform) -> Share:
    try:
        volume = platform.open_volume(settings.path)
    except OSError as error:
        why = error.strerror or error
        message = f"share {settings.name!r}: cannot serve {settings.path!r}: {why}; make it, or correct the path"
        raise OSError(error.errno, message) from error
    return Share(settings, volume)
