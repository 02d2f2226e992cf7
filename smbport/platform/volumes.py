"""Volumes, and what is open in them: files and directories."""

from dataclasses import dataclass
from typing import Final, Literal, NamedTuple, Protocol

from smbport.platform.identity import Account

__all__ = [
    "ACCESS_NONE", "ACCESS_READ", "ACCESS_WRITE", "Directory", "Entry", "Features", "File", "FileKey", "Kind", "Node",
    "Space", "Stat", "Volume", "Witness",
]  # fmt: skip

ACCESS_NONE: Final = 0  # a handle good for stat, set_times, set_mode, set_marks and sync only
ACCESS_READ: Final = 1
ACCESS_WRITE: Final = 2


class Kind:
    """What a name stands for."""

    FILE: Final = 1
    DIRECTORY: Final = 2
    SYMLINK: Final = 3
    OTHER: Final = 4  # none of these
    FIFO: Final = 5
    SOCKET: Final = 6
    CHARACTER_DEVICE: Final = 7
    BLOCK_DEVICE: Final = 8


class FileKey(NamedTuple):
    """What makes a file this file, whatever its name: equal keys are the same file while one is open."""

    device: int
    inode: int


@dataclass(slots=True)
class Stat:
    """The state of a file or directory at one moment."""

    key: FileKey
    kind: int  # one of Kind
    size: int
    allocated: int  # bytes taken on the volume
    links: int
    mode: int  # permission bits, 0o7777
    uid: int
    gid: int
    access_ns: int
    write_ns: int
    change_ns: int
    birth_ns: int  # from the marks, else the file system, else the earliest of the other times
    dos_attributes: int | None  # [MS-FSCC] 2.6 bits as last stored by set_marks; None if never stored
    compressed: bool = False  # the file system compresses what is written to it, or made in it, and lets that be chosen


class Entry(NamedTuple):
    """One name in a directory.  `stat` is None when it was not asked for, or the entry vanished meanwhile."""

    name: str
    stat: Stat | None


class Space(NamedTuple):
    """Room on a volume, in bytes; `available` is what this identity may still use."""

    total: int
    free: int
    available: int
    block_size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Features:
    """Facts of one volume that the core plans with, so that it never tries and falls over."""

    file_system: str  # as clients are told: "NTFS" pretends nothing; ports give the true name
    read_only: bool = False
    case_sensitive: bool = True  # two names that differ in case are two files
    birth_time: bool = False  # the file system itself records it
    stores_marks: bool = False  # set_marks persists
    rename_exclusive: bool = False  # rename(replace=False) is atomic
    inline_io: bool = False  # reads and writes of cached data do not raise BlockingIOError
    holes: bool = False  # Sparse.punch gives room back, and Sparse.data_ranges knows
    reflink: bool = False  # Clone.reflink shares blocks
    streams: bool = False  # the power Streams works here
    compression: bool = False  # the power Compression works here
    max_name_bytes: int = 255
    serial: int = 0  # 64 bits that stay the same as long as the volume does


class Node(Protocol):
    """What open files and open directories have in common."""

    def stat(self) -> Stat:
        """The state now.  Works until `close`, also after the name is gone."""

    def first_stat(self) -> Stat:
        """The same for who has just opened or made it: what others have done since then need not be seen yet."""

    def set_times(self, access_ns: int | None, write_ns: int | None, *, wait: bool = False) -> None:
        """Set times to the precision of the file system; None leaves one as it is."""

    def set_mode(self, mode: int, *, wait: bool = False) -> None:
        """Set permission bits (0o7777)."""

    def set_owner(self, uid: int | None, gid: int | None, *, wait: bool = False) -> None:
        """Give the file to another owner or group; None leaves one as it is.  PermissionError is common."""

    def set_marks(self, dos_attributes: int | None, birth_ns: int | None, *, wait: bool = False) -> None:
        """Store DOS attribute bits and creation time; None keeps what is stored.

        OSError(ENOTSUP) if `Features.stores_marks` is false.
        """

    def sync(self, *, wait: bool = False) -> None:
        """Return when data and size (for a directory: its entries) are on stable storage."""

    def close(self) -> None:
        """Release the handle.  Called once; never raises."""


class File(Node, Protocol):
    """An open regular file."""

    is_directory: Literal[False]

    def fileno(self) -> int:
        """The descriptor for zero copy; -1 if there is none."""

    def read_at(self, offset: int, length: int, *, wait: bool = False) -> bytes:
        """Up to `length` bytes; fewer only at the end of the file, b"" at or behind it.

        OSError(EBADMSG) if the file system has a checksum, and it does not match.
        """

    def write_at(self, offset: int, data: bytes | memoryview, *, through: bool = False, wait: bool = False) -> int:
        """Write all of `data`; when this returns, the bytes are in the kernel and survive this process.

        `through` waits until they are on stable storage.  Returns len(data).  When the volume runs full in
        the middle, returns the shorter count of what was written; only when nothing was: OSError(ENOSPC).
        """

    def resize(self, size: int, *, wait: bool = False) -> None:
        """Cut or extend; the new part reads as zeroes."""

    def allocate(self, size: int, *, wait: bool = False) -> None:
        """Reserve room for the first `size` bytes without changing the size.

        OSError(ENOSPC) if there is not enough; a file system without reservation checks the free space only.
        """


class Directory(Node, Protocol):
    """An open directory."""

    is_directory: Literal[True]

    def entries(self, limit: int, *, stat: bool = True, wait: bool = False) -> list[Entry]:
        """The next entries, at most `limit` and at least one, without "." and ".."; [] at the end.

        With `stat`, each entry has the state of what the name stands for: of a symbolic link's target if
        that lies inside the volume, else of the link itself.
        """

    def rewind(self) -> None:
        """Start again from the first entry, seeing the directory as it is now."""


class Witness(Protocol):
    """Who sees what becomes of the directory of a name that is made or removed; its states are without marks."""

    def before(self, directory: Stat) -> None:
        """It is found, and nothing is changed yet; nothing will be if this raises an OSError."""

    def after(self, directory: Stat) -> None:
        """The name is made or removed.  Not called if the directory cannot be looked at any more."""


class Volume(Protocol):
    """One directory tree, with the rights of one identity.  No name leaves it."""

    features: Features

    def acting_as(self, account: Account) -> "Volume":
        """The same tree with the rights of `account`; only called if the platform has `identity`."""

    def stat(self, path: str, *, follow: bool = True, marks: bool = True, wait: bool = False) -> Stat:
        """The state of what `path` names; without `follow`, of a symbolic link itself.

        Without `marks` nobody asks for what set_marks has stored, so a port for which that is another call leaves it
        out: `dos_attributes` and `birth_ns` may be those of a file that has nothing stored.
        """

    def open(self, path: str, access: int, *, follow: bool = True, wait: bool = False) -> File | Directory:
        """Open what is there.  `access` is ACCESS_NONE or a sum of ACCESS_READ and ACCESS_WRITE.

        A directory is always opened for listing as far as the identity may list it.  With ACCESS_NONE any
        kind opens and no right on the file itself is needed; else OSError(ENXIO) if it is neither file nor
        directory.  A symbolic link that leaves the volume: OSError(EXDEV); with `follow` false, a link
        itself opens with ACCESS_NONE and is OSError(ELOOP) otherwise.
        """

    def create(self, path: str, access: int, mode: int, *, witness: Witness | None = None, wait: bool = False) -> File:
        """Make a new file.  FileExistsError if the name is taken, be it by a dangling link."""

    def make_directory(self, path: str, mode: int, *, witness: Witness | None = None, wait: bool = False) -> Directory:
        """Make a new directory and open it.  FileExistsError if the name is taken."""

    def rename(self, old: str, new: str, *, replace: bool, wait: bool = False) -> None:
        """Move a name, atomically.  Without `replace`, FileExistsError if `new` is taken."""

    def link(self, old: str, new: str, *, wait: bool = False) -> None:
        """Give a file a second name.  FileExistsError if `new` is taken."""

    def symlink(self, path: str, target: str, *, wait: bool = False) -> None:
        """Make a symbolic link that says `target`, wherever that leads.  FileExistsError if the name is taken.

        OSError(EPERM) if the file system has no links.
        """

    def make_special(self, path: str, kind: int, mode: int, *, wait: bool = False) -> None:
        """Make a Kind.FIFO, or a Kind.SOCKET that nobody listens at.  FileExistsError if the name is taken.

        The umask of the process may take bits of `mode` away.  OSError(EPERM) if the file system has no such files.
        """

    def read_link(self, path: str, *, wait: bool = False) -> str:
        """What the symbolic link `path` says.  OSError(EINVAL) if it is none."""

    def remove(
        self, path: str, key: FileKey, *, directory: bool = False, witness: Witness | None = None, wait: bool = False
    ) -> None:
        """Remove the name if it still stands for `key`, else FileNotFoundError.  A directory must be empty."""

    def may_remove(self, path: str, *, wait: bool = False) -> bool:
        """Whether this identity may remove or rename the entry, as far as its directory decides."""

    def sync_directory_of(self, path: str, *, wait: bool = False) -> None:
        """Return when the directory entry `path` is on stable storage."""

    def space(self, *, wait: bool = False) -> Space:
        """Room on the volume."""

    def close(self) -> None:
        """Release the root.  Open handles stay good."""
