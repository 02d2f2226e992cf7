"""Files that are open: share modes, locks, oplocks, pending delete.  [MS-FSA] 2.1.5.1.2, [MS-SMB2] 3.3.1.10

One `SharedFile` per (device, inode, stream) exists while any open of it does.  It is found by the key of the
file itself, so a renamed file and a file opened by its second name share their modes and locks.  A stream is found
by way of its file, which is known as long as one of its streams is open.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, NoReturn

from smbport.platform import FileKey
from smbport.state.names import fold
from smbport.state.oplocks import Oplocks, is_stat_open
from smbport.state.ranges import RangeLocks
from smbport.wire.constants import Access, ShareAccess
from smbport.wire.status import Status, StatusError

if TYPE_CHECKING:
    from smbport.state.open import FileOpen
    from smbport.state.tree import Share

__all__ = ["SharedFile", "SharedFiles"]

# Only these rights take part in sharing; an open with none of them is a "stat open" and conflicts with nothing.
READERS: Final = Access.READ_DATA | Access.EXECUTE
WRITERS: Final = Access.WRITE_DATA | Access.APPEND_DATA
SHARED_RIGHTS: Final = READERS | WRITERS | Access.DELETE
# What one does, all others must share.
_RULES: Final = ((READERS, ShareAccess.READ), (WRITERS, ShareAccess.WRITE), (Access.DELETE, ShareAccess.DELETE))


def _refused(share_access: int) -> int:
    """The rights that an open with this share mode does not let others have."""
    return sum(rights for rights, shared in _RULES if not share_access & shared)


_REFUSED: Final = tuple(_refused(share_access) for share_access in range(8))  # by share mode


class SharedFile:
    """The state that all opens of one file have in common."""

    __slots__ = (
        "_active", "_locks", "_uses", "append_end", "base", "closed_by", "doomed_by", "key", "opens", "oplocks",
        "stream", "streams", "sync_failed",
    )  # fmt: skip

    def __init__(self, key: FileKey, base: "SharedFile | None" = None, stream: str = "") -> None:
        self.key = key
        self.base = base  # of a stream: the file
        self.stream = stream  # its name, as spelled on the volume
        self.streams: dict[str, SharedFile] = {}  # of a file: those that are open or are being removed, by folded name
        self.opens: dict[FileOpen, None] = {}  # in the order they came
        self._active = 0  # how many of them are no stat opens
        self._uses: dict[tuple[int, int], int] = {}  # how many have these SHARED_RIGHTS and this share mode
        self.closed_by: FileOpen | None = None  # the last open of what is to be deleted, once it is closed
        self._locks: RangeLocks | None = None  # since somebody has asked for them: most files are never locked
        self.oplocks = Oplocks()
        self.doomed_by: FileOpen | None = None  # the open whose name goes when the last open does
        self.append_end = 0  # where appending writes that still run will end; 0: none runs
        self.sync_failed = False  # a flush failed: what was written may be lost, and later flushes must say so

    @property
    def delete_pending(self) -> bool:
        """Whether a name of this file goes with its last open."""
        return self.doomed_by is not None

    @property
    def locks(self) -> RangeLocks:
        """The byte ranges of it that are locked."""
        locks = self._locks
        if locks is None:
            locks = self._locks = RangeLocks()
        return locks

    def release_locks(self, opened: "FileOpen") -> None:
        """Those of an open that closes; who waited for them goes on."""
        if self._locks is not None:
            self._locks.release(opened)
            self._locks.grant_waiting()

    @property
    def is_idle(self) -> bool:
        """Whether nobody has it open, or a stream of it."""
        return not self.opens and not any(stream.opens for stream in self.streams.values())

    def find_stream(self, name: str) -> "SharedFile | None":
        """A stream of this file that is open."""
        return self.streams.get(fold(name)) if self.streams else None

    def undeletable_streams(self) -> "list[SharedFile]":
        """Those that are open by somebody who does not share deleting: the file cannot be deleted under him."""
        return [
            stream
            for stream in self.streams.values()
            if any(not share_access & ShareAccess.DELETE for _, share_access in stream._uses)
        ]

    def check_sharing(self, granted_access: int, share_access: int) -> None:
        """Whether one more open may join.  Raises DELETE_PENDING or SHARING_VIOLATION."""
        if self.delete_pending:
            raise StatusError(Status.DELETE_PENDING)
        rights = granted_access & SHARED_RIGHTS
        if not rights:
            return
        for use in self._uses:
            used, shared = use
            if rights & _REFUSED[shared] or used & _REFUSED[share_access]:
                self._refuse(use)

    def _refuse(self, use: tuple[int, int]) -> NoReturn:
        """Say who it is, for the log."""
        other = next(other for other in self.opens if _use_of(other) == use)
        raise StatusError(Status.SHARING_VIOLATION, f"{other.path} is open by {other.session_name}")

    def add(self, opened: "FileOpen") -> None:
        """An open joins, after `check_sharing`."""
        self.opens[opened] = None
        self._count(opened, 1)

    def remove(self, opened: "FileOpen") -> None:
        """An open is closed."""
        del self.opens[opened]
        self._count(opened, -1)
        # Only where somebody asks: the two that know each other would wait for the collector of cycles.
        self.closed_by = opened if self.delete_pending and not self.opens else None

    def _count(self, opened: "FileOpen", by: int) -> None:
        access = opened.granted_access
        self._active += 0 if is_stat_open(access) else by
        if access & SHARED_RIGHTS:
            use = _use_of(opened)
            count = self._uses.get(use, 0) + by
            if count:
                self._uses[use] = count
            else:
                del self._uses[use]

    def doom(self, opened: "FileOpen") -> None:
        """The name that `opened` has goes with the last open.  Until now a directory was watched."""
        self.doomed_by = opened
        for other in self.opens:
            other.end_watch(Status.DELETE_PENDING)

    def is_sole(self, opened: "FileOpen") -> bool:
        """Whether all other opens are stat opens or share its lease, so that it may cache as if it were alone."""
        lease = opened.lease
        own = lease.active if lease is not None else 0 if is_stat_open(opened.granted_access) else 1
        return self._active == own


def _use_of(opened: "FileOpen") -> tuple[int, int]:
    """What counts of an open where share modes do: what it may do, and what it lets others do."""
    return opened.granted_access & SHARED_RIGHTS, opened.share_access


class SharedFiles:
    """Every open file of the server, by key, and by the names it was opened by."""

    __slots__ = ("_by_key", "_by_name", "_dying")

    def __init__(self) -> None:
        self._by_key: dict[FileKey, SharedFile] = {}
        # What is open at a path or anywhere below it.
        self._by_name: dict[tuple[Share, str], dict[FileOpen, None]] = {}
        self._dying: dict[SharedFile, None] = {}  # closed opens of these may have a name that is still to go

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
        if opened.stream:
            shared = shared.streams.setdefault(fold(opened.stream), SharedFile(key, shared, opened.stream))
        shared.add(opened)
        self._add_name(opened)
        return shared

    def leave(self, shared: SharedFile, opened: "FileOpen") -> bool:
        """Remove an open; True if it was the last one, also of all streams.

        A file that is pending delete stays known until `forget`, so that nobody opens it by its name while
        that name is being removed.
        """
        shared.remove(opened)
        self._remove_name(opened)
        if shared.delete_pending:
            self._dying[shared] = None
        if shared.opens or (shared.streams and not shared.is_idle):
            return False
        if not shared.delete_pending and not shared.streams:
            self.forget(shared)
        return True

    def unlink(self, shared: SharedFile) -> "FileOpen | None":
        """By POSIX' rules a name does not wait for the last open: the open whose name must go now, if there is one.

        Only what other clients with the POSIX extensions have open loses its name under them.
        """
        doomed = shared.doomed_by
        if doomed is None or not (doomed.posix and doomed.closed) or shared.base is not None or shared.streams:
            return None
        if not all(other.posix for other in shared.opens):
            return None
        shared.doomed_by = None
        return doomed

    def due(self, shared: SharedFile) -> "FileOpen | None":
        """The open whose name must go, now that nobody has the file or the stream open any more."""
        base = shared.base
        if base is None or not (base.delete_pending and base.is_idle):
            return shared.doomed_by
        return base.doomed_by  # the stream goes with it

    def forget(self, shared: SharedFile) -> None:
        """The name of a file or stream without opens was removed, or could not be."""
        self._dying.pop(shared, None)
        base = shared.base
        if base is None:
            if not shared.opens and self._by_key.get(shared.key) is shared:  # unlinked by POSIX' rules it may live on
                del self._by_key[shared.key]
            return
        if base.streams.get(fold(shared.stream)) is shared:
            del base.streams[fold(shared.stream)]
        unused = not (base.streams or base.opens or base.delete_pending)
        if unused and self._by_key.get(base.key) is base:
            del self._by_key[base.key]

    @contextmanager
    def renaming_stream(self, shared: SharedFile, new: str) -> Iterator[None]:
        """While an open stream gets another name, which no other open one has, it is found by both."""
        base, left = shared.base, fold(new)
        assert base is not None
        base.streams[fold(new)] = shared
        try:
            yield
            left = fold(shared.stream)
            shared.stream = new
            for opened in shared.opens:
                opened.stream = new
        finally:
            if left != fold(shared.stream):
                base.streams.pop(left, None)
            if not shared.opens and not shared.delete_pending:
                self.forget(shared)

    def find_below(self, share: "Share", path: str) -> "FileOpen | None":
        """Something inside the directory `path` that is open; directories with open files cannot be renamed."""
        return next(iter(self.below(share, path)), None)

    def below(self, share: "Share", path: str) -> "list[FileOpen]":
        """Everything inside a directory that is open, or closed with its name still to go."""
        inside = [opened for opened in self._by_name.get((share, path), ()) if opened.path != path]
        return inside + [opened for opened in self._doomed(share) if opened.path.startswith(path + "/")]

    def move(self, share: "Share", old: str, new: str) -> "tuple[FileOpen, ...]":
        """A name changed: bring the paths of what is open along.  Returns those opens."""
        moved = tuple(self._by_name.get((share, old), ()))
        for opened in moved:
            self._remove_name(opened)
            opened.path = new + opened.path[len(old) :]
            self._add_name(opened)
        for opened in self._doomed(share):
            if opened.path == old or opened.path.startswith(old + "/"):
                opened.path = new + opened.path[len(old) :]
        return moved

    def _doomed(self, share: "Share") -> "Iterator[FileOpen]":
        """Opens through one share that are closed but whose name is still to go."""
        for shared in self._dying:
            doomed = shared.doomed_by
            if doomed is not None and doomed.closed and doomed.tree.share is share:
                yield doomed

    def _add_name(self, opened: "FileOpen") -> None:
        for key in _names(opened):
            self._by_name.setdefault(key, {})[opened] = None

    def _remove_name(self, opened: "FileOpen") -> None:
        for key in _names(opened):
            del self._by_name[key][opened]
            if not self._by_name[key]:
                del self._by_name[key]


def _names(opened: "FileOpen") -> "list[tuple[Share, str]]":
    """Its path and those of all directories above, but for the root.

    The same file can be open through two shares by two paths; a rename through one leaves the other's alone.
    """
    share, path = opened.tree.share, opened.path
    names: list[tuple[Share, str]] = []
    while path:
        names.append((share, path))
        path = path.rpartition("/")[0]
    return names
