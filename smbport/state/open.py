"""Opens: what a FileId stands for.  [MS-SMB2] 3.3.1.10

Files, directories and pipes are separate types, because few requests fit more than one of them.
Every open may be pinned by requests that run while it is closed; its handle lives until the last one ends.
"""

from typing import TYPE_CHECKING, Protocol

from smbport.platform import Directory, Entry, File
from smbport.state.names import Pattern
from smbport.wire.constants import CreateOption
from smbport.wire.record import Buffer
from smbport.wire.status import Status, StatusError

if TYPE_CHECKING:
    from smbport.state.server import Event
    from smbport.state.sharing import SharedFile
    from smbport.state.tree import TreeConnect

__all__ = ["DirectoryCursor", "FileOpen", "Open", "PipeOpen", "RpcPipe"]


class Open:
    """What all opens have: identity, rights, and an end."""

    __slots__ = ("closed", "granted_access", "persistent_id", "pins", "tree", "volatile_id")

    def __init__(self, tree: "TreeConnect", persistent_id: int, volatile_id: int, granted_access: int) -> None:
        self.tree = tree
        self.persistent_id = persistent_id
        self.volatile_id = volatile_id
        self.granted_access = granted_access
        self.pins = 0
        self.closed = False

    def require(self, access: int) -> None:
        """Raises ACCESS_DENIED unless at least one of the rights in `access` was granted at open."""
        if not self.granted_access & access:
            raise StatusError(Status.ACCESS_DENIED)

    def release_handle(self) -> None:
        """Give back what the operating system holds for this open."""


class FileOpen(Open):
    """An open file or directory on a disk share."""

    __slots__ = (
        "create_options", "created", "cursor", "delete_on_close", "is_directory", "node", "path",
        "position", "share_access", "shared",
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
    ) -> None:
        super().__init__(tree, persistent_id, volatile_id, granted_access)
        self.share_access = share_access
        self.create_options = create_options
        self.node = node
        self.path = path  # the name inside the share, which a rename may change
        self.is_directory = node.is_directory
        self.delete_on_close = bool(create_options & CreateOption.DELETE_ON_CLOSE)
        self.created = False  # this open made the name, so a flush must make the name durable too
        self.position = 0
        self.cursor: DirectoryCursor | None = None

    @property
    def session_name(self) -> str:
        """Who has it open, for the log."""
        return self.tree.session.user_name

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

    def release_handle(self) -> None:
        self.node.close()


class DirectoryCursor:
    """How far an enumeration has come.  [MS-SMB2] 3.3.5.18

    A directory handle is used by one request at a time: a second one waits until `release`.
    """

    __slots__ = ("busy", "ended", "literal", "names_only", "pattern", "rest", "started", "waiters")

    def __init__(self, pattern: Pattern, literal: str | None) -> None:
        self.busy = False
        self.waiters: list[Event] = []
        self.restart(pattern, literal)

    def restart(self, pattern: Pattern, literal: str | None) -> None:
        """Begin again, with a pattern that may be another one."""
        self.pattern = pattern
        self.literal = literal  # the one name on disk that can match, if the pattern is a name
        self.rest: list[Entry] = []  # read from the platform, not yet sent
        self.names_only = False  # they were read without their state
        self.started = False  # "." and ".." were offered
        self.ended = False  # the platform has no more

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

    def transceive(self, data: Buffer, max_length: int) -> tuple[bytes, bool]:
        """Write a request and read its answer."""


class PipeOpen(Open):
    """An open named pipe on IPC$."""

    __slots__ = ("name", "pipe")

    def __init__(
        self, tree: "TreeConnect", persistent_id: int, volatile_id: int, granted_access: int, name: str, pipe: RpcPipe
    ) -> None:
        super().__init__(tree, persistent_id, volatile_id, granted_access)
        self.name = name
        self.pipe = pipe
