"""Files that are open: share modes, locks, oplocks, pending delete.  [MS-FSA] 2.1.5.1.2, [MS-SMB2] 3.3.1.10

One `SharedFile` per (device, inode, stream) exists while any open of it does.  It is found by the key of the
file itself, so a renamed file and a file opened by its second name share their modes and locks.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from smbport.platform import FileKey
from smbport.state.oplocks import Oplocks, is_stat_open
from smbport.state.ranges import RangeLocks
from smbport.wire.constants import Access, ShareAccess
from smbport.wire.status import Status, StatusError

if TYPE_CHECKING:
    from smbport.state.open import FileOpen
    from smbport.state.server import Event
    from smbport.state.tree import Share

__all__ = ["SharedFile", "SharedFiles"]

# Only these rights take part in sharing; an open with none of them is a "stat open" and conflicts with nothing.
READERS: Final = Access.READ_DATA | Access.EXECUTE
WRITERS: Final = Access.WRITE_DATA | Access.APPEND_DATA
SHARED_RIGHTS: Final = READERS | WRITERS | Access.DELETE


class SharedFile:
    """The state that all opens of one file have in common."""

    __slots__ = ("append_end", "doomed_by", "key", "locks", "opens", "oplocks", "sync_failed", "waiters")

    def __init__(self, key: FileKey) -> None:
        self.key = key
        self.opens: list[FileOpen] = []
        self.locks = RangeLocks()
        self.oplocks: Oplocks[FileOpen] = Oplocks()
        self.doomed_by: FileOpen | None = None  # the open whose name goes when the last open does
        self.waiters: list[Event] = []  # requests that want a range which was locked when they asked
        self.append_end = 0  # where appending writes that still run will end; 0: none runs
        self.sync_failed = False  # a flush failed: what was written may be lost, and later flushes must say so

    @property
    def delete_pending(self) -> bool:
        """Whether a name of this file goes with its last open."""
        return self.doomed_by is not None

    def check_sharing(self, granted_access: int, share_access: int) -> None:
        """Whether one more open may join.  Raises DELETE_PENDING or SHARING_VIOLATION."""
        if self.delete_pending:
            raise StatusError(Status.DELETE_PENDING)
        if not granted_access & SHARED_RIGHTS:
            return
        for other in self.opens:
            if other.granted_access & SHARED_RIGHTS and _conflict(
                granted_access, share_access, other.granted_access, other.share_access
            ):
                raise StatusError(Status.SHARING_VIOLATION, f"{other.path} is open by {other.session_name}")

    def is_sole(self, opened: "FileOpen") -> bool:
        """Whether all other opens are stat opens, so that this one may cache as if it were alone."""
        return all(other is opened or is_stat_open(other.granted_access) for other in self.opens)

    def wake_waiters(self) -> None:
        """A range may have become free: let every waiting LOCK try again, in the order they came."""
        waiters, self.waiters = self.waiters, []
        for event in waiters:
            event.set()


def _conflict(access: int, share: int, other_access: int, other_share: int) -> bool:
    """The symmetric rule: what either does, the other must share."""
    return bool(
        (access & READERS and not other_share & ShareAccess.READ)
        or (other_access & READERS and not share & ShareAccess.READ)
        or (access & WRITERS and not other_share & ShareAccess.WRITE)
        or (other_access & WRITERS and not share & ShareAccess.WRITE)
        or (access & Access.DELETE and not other_share & ShareAccess.DELETE)
        or (other_access & Access.DELETE and not share & ShareAccess.DELETE)
    )


class SharedFiles:
    """Every open file of the server, by key."""

    __slots__ = ("_by_key",)

    def __init__(self) -> None:
        self._by_key: dict[FileKey, SharedFile] = {}

    def __len__(self) -> int:
        return len(self._by_key)

    def find(self, key: FileKey) -> SharedFile | None:
        """The state of an open file; None if nobody has it open."""
        return self._by_key.get(key)

    def join(self, key: FileKey, opened: "FileOpen") -> SharedFile:
        """Add an open, after `check_sharing`."""
        shared = self._by_key.get(key)
        if shared is None:
            shared = self._by_key[key] = SharedFile(key)
        shared.opens.append(opened)
        return shared

    def leave(self, shared: SharedFile, opened: "FileOpen") -> bool:
        """Remove an open; True if it was the last one.

        A file that is pending delete stays known until `forget`, so that nobody opens it by its name while
        that name is being removed.
        """
        shared.opens.remove(opened)
        if shared.opens:
            return False
        if not shared.delete_pending:
            del self._by_key[shared.key]
        return True

    def forget(self, shared: SharedFile) -> None:
        """The name of a file without opens was removed, or could not be."""
        self._by_key.pop(shared.key, None)

    def find_below(self, share: "Share", path: str) -> "FileOpen | None":
        """Something inside the directory `path` that is open; directories with open files cannot be renamed."""
        prefix = path + "/"
        return next((opened for opened in self._of(share) if opened.path.startswith(prefix)), None)

    def move(self, share: "Share", old: str, new: str) -> None:
        """A name changed: bring the paths of what is open along."""
        prefix = old + "/"
        for opened in self._of(share):
            if opened.path == old:
                opened.path = new
            elif opened.path.startswith(prefix):
                opened.path = new + opened.path[len(old) :]

    def _of(self, share: "Share") -> Iterator["FileOpen"]:
        """Opens through one share, and those that are closed but whose name is still to go.

        The same file can be open through two shares by two paths; a rename through one leaves the other's alone.
        """
        for shared in self._by_key.values():
            for opened in shared.opens:
                if opened.tree.share is share:
                    yield opened
            doomed = shared.doomed_by
            if doomed is not None and doomed.closed and doomed.tree.share is share:
                yield doomed
