"""Opens: what a FileId stands for.  [MS-SMB2] 3.3.1.10

Files, directories and pipes are separate types, because few requests fit more than one of them.
Every open may be pinned by requests that run while it is closed; its handle lives until the last one ends.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Protocol

from smbport.platform import Directory, Entry, File, Volume
from smbport.state.app_instances import AppInstance
from smbport.state.durable import Durability, Promise
from smbport.state.frozen_times import FrozenTimes
from smbport.state.lock_sequences import LockSequences
from smbport.state.names import Pattern
from smbport.state.watches import Watch
from smbport.wire.aapl import MacAttributes
from smbport.wire.change import CompletionFilter, NotifyAction
from smbport.wire.constants import CreateOption, OplockLevel
from smbport.wire.create_contexts import LeaseState
from smbport.wire.record import Buffer
from smbport.wire.status import Status, StatusError

if TYPE_CHECKING:
    from smbport.state.leases import Lease
    from smbport.state.lookout import Post
    from smbport.state.oplocks import Cache, Oplock
    from smbport.state.server import Event
    from smbport.state.sharing import SharedFile
    from smbport.state.tree import TreeConnect

__all__ = ["DirectoryCursor", "FileOpen", "Open", "PipeOpen", "RpcPipe"]


_OF_DATA: Final = CompletionFilter.SIZE | CompletionFilter.LAST_WRITE


def _of_stream(what: int) -> int:
    """The same of a stream, in bits of CompletionFilter."""
    size = CompletionFilter.STREAM_SIZE if what & CompletionFilter.SIZE else 0
    return size | (CompletionFilter.STREAM_WRITE if what & CompletionFilter.LAST_WRITE else 0)


class Open:
    """What all opens have: identity, rights, and an end."""

    __slots__ = (
        "channel_sequence", "closed", "granted_access", "older_requests", "persistent_id", "pins", "replayable",
        "requests", "tree", "volatile_id",
    )  # fmt: skip

    def __init__(self, tree: "TreeConnect", persistent_id: int, volatile_id: int, granted_access: int) -> None:
        self.tree = tree
        self.persistent_id = persistent_id
        self.volatile_id = volatile_id
        self.granted_access = granted_access
        self.pins = 0
        self.channel_sequence = 0  # the newest that a request had: how often the client has lost a channel
        self.requests = 0  # that run and were sent since then
        self.older_requests = 0  # that run and were sent before
        self.closed = False
        self.replayable = False  # its client may not have seen the answer to its CREATE, and ask again

    def begin_request(self, sequence: int, *, replay: bool) -> bool:
        """Count a request; False if it, or what it replays, was sent before a channel was lost and may be a stray.

        [MS-SMB2] 3.3.5.2.10
        """
        ahead = sequence - self.channel_sequence & 0xFFFF
        if ahead > 0x7FFF or (replay and self.older_requests):
            return False
        if ahead:
            self.older_requests += self.requests
            self.requests = 0
            self.channel_sequence = sequence
        self.requests += 1
        return True

    def require(self, access: int) -> None:
        """Raises ACCESS_DENIED unless at least one of the rights in `access` was granted at open."""
        if not self.granted_access & access:
            raise StatusError(Status.ACCESS_DENIED)

    def release_handle(self) -> None:
        """Give back what the operating system holds for this open."""


class FileOpen(Open):
    """An open file or directory on a disk share."""

    __slots__ = (
        "app_instance", "base", "create_options", "created", "cursor", "delete_on_close", "durability", "early_breaks",
        "frozen", "governed", "held", "is_directory", "lease", "lock_sequences", "next_ea", "node", "oplock", "path",
        "position", "posix", "share_access", "shared", "stream", "unreported", "watch",
    )  # fmt: skip

    shared: "SharedFile"

    def __init__(
        self,
        tree: "TreeConnect",
        persistent_id: int,
        volatile_id: int,
        *,
        granted_access: int,
        share_access: int,
        create_options: int,
        node: File | Directory,
        path: str,
        base: File | Directory | None = None,
        stream: str = "",
    ) -> None:
        super().__init__(tree, persistent_id, volatile_id, granted_access)
        self.share_access = share_access
        self.create_options = create_options
        self.node = node
        self.base = base or node  # of a stream: the file, which the handle of the stream owns
        self.stream = stream  # its name; "" is the file itself
        self.path = path  # the name inside the share, which a rename may change
        self.is_directory = node.is_directory
        self.posix = False  # opened with the POSIX extensions: names and deleting go by their rules
        self.governed = False  # a descriptor decided, so the server changes the name with its own rights
        self.delete_on_close = bool(create_options & CreateOption.DELETE_ON_CLOSE)
        self.created = False  # this open made the name, so a flush must make the name durable too
        self.position = 0
        self.frozen: FrozenTimes | None = None  # times that what is done here does not move
        self.next_ea = 0  # how many of its extended attributes were told
        self.cursor: DirectoryCursor | None = None
        self.unreported = 0  # CompletionFilter bits of changes that are told when it is closed
        self.held: tuple[Post, str] | None = None  # who notices when others change it, and the name it has there
        self.watch: Watch | None = None  # since the first CHANGE_NOTIFY
        self.oplock: Oplock | None = None  # what it had; once it is broken to nothing it may still be here
        self.lease: Lease | None = None  # shared with other opens of the client; never both
        # The breaks that its client cannot hear of before the answer to its CREATE; None once that is out.
        self.early_breaks: list[Callable[[], object]] | None = None
        self.durability: Durability | None = None
        self.app_instance: AppInstance | None = None
        self.lock_sequences: LockSequences | None = None  # once there are any

    @property
    def cache(self) -> "Cache | None":
        """Its oplock or lease."""
        return self.lease or self.oplock

    @property
    def caching(self) -> int:
        """What its client may cache, in bits of LeaseState; while a break is pending, still what it had before."""
        cache = self.lease or self.oplock
        return cache.state if cache is not None else 0

    def is_announced(self) -> None:
        """The answer to its CREATE is out."""
        breaks, self.early_breaks = self.early_breaks or (), None
        for send in breaks:
            send()

    @property
    def parent_lease_key(self) -> bytes | None:
        """The key of the lease on its directory that need not be broken by what is done here."""
        return self.lease.parent_key if self.lease is not None else None

    @property
    def oplock_level(self) -> int:
        """The same as an OplockLevel, which says of leases only that there is one."""
        if self.lease is not None:
            return OplockLevel.LEASE
        return self.oplock.level if self.oplock is not None else OplockLevel.NONE

    @property
    def volume(self) -> Volume:
        """Its volume, with the rights that its name is changed with."""
        volume = self.tree.share.volume if self.governed else self.tree.volume
        assert volume is not None
        return volume

    @property
    def session_name(self) -> str:
        """Who has it open, for the log."""
        return self.tree.session.user_name

    @property
    def caches_handle(self) -> bool:
        """Whether its client may keep it open although its program closed it: what durability is given for."""
        cache = self.lease or self.oplock
        return cache is not None and cache.over is None and bool(cache.state & LeaseState.HANDLE_CACHING)

    @property
    def is_persistent(self) -> bool:
        """Whether it was promised to survive the server."""
        return self.durability is not None and self.durability.promise == Promise.PERSISTENT

    @property
    def is_disconnected(self) -> bool:
        """Whether it waits for its client to come back."""
        return self.durability is not None and self.durability.is_disconnected

    @property
    def file(self) -> File:
        """The handle of a file.  Raises INVALID_DEVICE_REQUEST for a directory, as Windows does."""
        node = self.node
        if node.is_directory:
            raise StatusError(Status.INVALID_DEVICE_REQUEST)
        return node

    @property
    def directory(self) -> Directory:
        """The handle of a directory.  Raises INVALID_PARAMETER for a file."""
        node = self.node
        if not node.is_directory:
            raise StatusError(Status.INVALID_PARAMETER)
        return node

    def report_modified(self, what: int) -> None:
        """Tell who listens that the file was changed through this open; `what` is CompletionFilter bits."""
        changes = self.tree.share.changes
        if not changes:
            return
        if self.stream and what & _OF_DATA:
            self.report_stream(NotifyAction.MODIFIED_STREAM, _of_stream(what))
            what &= ~_OF_DATA
        if what:
            changes.report(NotifyAction.MODIFIED, self.path, what, self)

    def report_stream(self, action: int, what: int, stream: str | None = None) -> None:
        """Tell who listens of a stream of this file, by default the one that is open."""
        changes = self.tree.share.changes
        if changes:
            changes.note(NotifyAction.MODIFIED, self.path, 0, self)
            changes.tell(action, f"{self.path}:{stream or self.stream}:$DATA", what, self)

    def note_written(self) -> None:
        """What others do to the file is told apart from this write; who listens hears of it at close."""
        changes = self.tree.share.changes
        if changes.posts:
            changes.note(NotifyAction.MODIFIED, self.path, 0, self)

    def start_watch(self, watch: Watch) -> None:
        """Watch this directory."""
        self.watch = watch
        self.tree.share.changes.add(self.path, watch, tree=watch.tree)

    def end_watch(self, status: int) -> None:
        """Watch it no more, if it was watched; requests that wait end with `status`."""
        watch, self.watch = self.watch, None
        if watch is not None:
            self.tree.share.changes.remove(self.path, watch)
            watch.end(status)

    def release_handle(self) -> None:
        self.node.close()
        if self.tree.live is not None:
            self.tree.close()


class DirectoryCursor:
    """How far an enumeration has come.  [MS-SMB2] 3.3.5.18

    A directory handle is used by one request at a time: a second one waits until `release`.
    """

    __slots__ = (
        "busy", "ea_sizes", "ended", "literal", "mac_attributes", "names_only", "pattern", "rest", "started", "waiters",
    )  # fmt: skip

    def __init__(self, pattern: Pattern, literal: str | None) -> None:
        self.busy = False
        self.waiters: list[Event] = []
        self.restart(pattern, literal)

    def restart(self, pattern: Pattern, literal: str | None) -> None:
        """Begin again, with a pattern that may be another one."""
        self.pattern = pattern
        self.literal = literal  # the one name on disk that can match, if the pattern is a name
        self.rest: list[Entry] = []  # read from the platform, not yet sent
        self.mac_attributes: dict[str, MacAttributes] = {}  # of those that have any, if macOS lists them
        self.ea_sizes: dict[str, int] | None = {}  # of those that have any; None: not looked at
        self.names_only = False  # they were read without their state
        self.started = False  # "." and ".." were offered
        self.ended = False  # the platform has no more

    def move(self, add: Callable[[Entry], bool | None], *, single: bool) -> bool:
        """Move entries to where `add` puts them; True when the answer is complete.

        `add` says whether an entry fits, or None of one that is not to be seen.
        """
        rest = self.rest
        for index, entry in enumerate(rest):
            added = add(entry)
            if added is None:
                continue
            if not added:
                self.rest = rest[index:]
                return True
            if single:
                self.rest = rest[index + 1 :]
                return True
        self.rest = []
        return False

    def release(self) -> None:
        """A request is done with it: those that wait try again, in the order they came."""
        self.busy = False
        waiters, self.waiters = self.waiters, []
        for event in waiters:
            event.set()


class RpcPipe(Protocol):
    """What the core needs of a named pipe; `pipes.pipe.Pipe` does it."""

    def write(self, data: Buffer) -> None:
        """Take request bytes.  Raises StatusError if the pipe is broken."""

    def read(self, max_length: int) -> tuple[bytes, bool]:
        """Answer bytes, and whether more of the same message waits."""

    def available(self) -> int:
        """Bytes that wait to be read."""

    def is_ready(self) -> bool:
        """Whether `read` has an answer, or an error."""

    def transceive(self, data: Buffer, max_length: int) -> tuple[bytes, bool]:
        """Write a request and read its answer."""


class PipeOpen(Open):
    """An open named pipe on IPC$."""

    __slots__ = ("name", "pipe", "readers")

    def __init__(
        self, tree: "TreeConnect", persistent_id: int, volatile_id: int, granted_access: int, name: str, pipe: RpcPipe
    ) -> None:
        super().__init__(tree, persistent_id, volatile_id, granted_access)
        self.name = name
        self.pipe = pipe
        self.readers: list[Event] = []  # of requests that wait for an answer, in the order they came

    def wake_reader(self) -> None:
        """Something was written or read, or somebody does not wait any more: the oldest READ goes on if it can."""
        if self.readers and self.pipe.is_ready():
            self.readers[0].set()

    def end_reads(self) -> None:
        """It was closed: nobody waits any more."""
        for event in self.readers:
            event.set()
