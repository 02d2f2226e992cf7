"""The capability interface: everything the protocol core asks of an operating system, and nothing else.

POSIX-shaped on purpose: handles, and names relative to the root of a `Volume`.  What Windows has and POSIX
lacks (share modes, leases, delete-on-close, wildcard and case-insensitive look-up, 8.3 names) is done once,
above this interface.  A port implements `Platform`, `Sockets`, `Volume`, `File` and `Directory`, and as many
of the optional powers as its system has; a power it lacks is `None`.

Rules for every method:

* **Errors** are `OSError` with a true errno, nothing else.  The core maps (operation, errno) to NTSTATUS.
* **Blocking.**  A method with a `wait` argument is first called on the event loop's own thread with
  `wait=False`.  It must then either do its work without waiting for a disk, a network or another process,
  or change nothing and raise `BlockingIOError`.  The core repeats the call in a worker thread with
  `wait=True`; there it may block and never raises `BlockingIOError`.  Methods without `wait` never block.
* **Threads.**  Calls on one handle may come from different threads, also at the same time; there is no
  file position (reads and writes name their offset).  Directory handles are used by one caller at a time.
* **Paths** are `str` with "/" between parts, relative, without ".", ".." or empty parts; "" is the root.
  Bytes of a name that are not UTF-8 are surrogate escapes, as in `os.fsdecode`.  The core has checked this;
  a port still never leaves the volume, whatever symbolic links lie on the way.
* **Times** are nanoseconds since 1970-01-01 UTC.  **Sizes, offsets and lengths** are bytes.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, Protocol

if TYPE_CHECKING:
    from socket import socket

    from smbport.kernel import Kernel

__all__ = [
    "ACCESS_NONE", "ACCESS_READ", "ACCESS_WRITE", "POWERS", "AccessControl", "Account", "AclEntry", "AclTag",
    "Attributes", "Clone", "Directory", "Entry", "Features", "File", "FileKey", "Identity", "Interface", "Kind",
    "Node", "Platform", "Port", "Sockets", "Space", "Sparse", "Stat", "StreamEntry", "Streams", "Volume", "Watch",
    "WatchChange", "WatchEvent", "Watcher", "ZeroCopy",
]  # fmt: skip

POWERS: Final = (
    "zero_copy", "acl", "attributes", "streams", "watch", "identity", "clone", "sparse", "snapshots", "leases",
    "kernel",
)  # fmt: skip
"""Names of the optional powers, in the order in which `smbport platforms` prints them."""

ACCESS_NONE: Final = 0  # a handle good for stat, set_times, set_mode, set_marks and sync only
ACCESS_READ: Final = 1
ACCESS_WRITE: Final = 2


class Kind:
    """What a name stands for."""

    FILE: Final = 1
    DIRECTORY: Final = 2
    SYMLINK: Final = 3
    OTHER: Final = 4  # sockets, FIFOs, devices


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
    max_name_bytes: int = 255
    serial: int = 0  # 64 bits that stay the same as long as the volume does


@dataclass(frozen=True, slots=True)
class Account:
    """A system account that files are opened and owned as."""

    name: str
    uid: int
    gid: int
    groups: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Interface:
    """One address that clients can reach this server at."""

    index: int
    address: str  # IPv4 dotted or IPv6 text, without a scope
    speed: int  # bits per second; 0 if unknown
    rss: bool = False  # receive side scaling


class Node(Protocol):
    """What open files and open directories have in common."""

    def stat(self) -> Stat:
        """The state now.  Works until `close`, also after the name is gone."""

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
        """Up to `length` bytes; fewer only at the end of the file, b"" at or behind it."""

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


class Volume(Protocol):
    """One directory tree, with the rights of one identity.  No name leaves it."""

    features: Features

    def acting_as(self, account: Account) -> "Volume":
        """The same tree with the rights of `account`; only called if the platform has `identity`."""

    def stat(self, path: str, *, follow: bool = True, wait: bool = False) -> Stat:
        """The state of what `path` names; without `follow`, of a symbolic link itself."""

    def open(self, path: str, access: int, *, follow: bool = True, wait: bool = False) -> File | Directory:
        """Open what is there.  `access` is ACCESS_NONE or a sum of ACCESS_READ and ACCESS_WRITE.

        A directory is always opened for listing as far as the identity may list it.  With ACCESS_NONE any
        kind opens and no right on the file itself is needed; else OSError(ENXIO) if it is neither file nor
        directory.  A symbolic link that leaves the volume: OSError(EXDEV); with `follow` false, a link
        itself opens with ACCESS_NONE and is OSError(ELOOP) otherwise.
        """

    def create(self, path: str, access: int, mode: int, *, wait: bool = False) -> File:
        """Make a new file.  FileExistsError if the name is taken, be it by a dangling link."""

    def make_directory(self, path: str, mode: int, *, wait: bool = False) -> Directory:
        """Make a new directory and open it.  FileExistsError if the name is taken."""

    def rename(self, old: str, new: str, *, replace: bool, wait: bool = False) -> None:
        """Move a name, atomically.  Without `replace`, FileExistsError if `new` is taken."""

    def link(self, old: str, new: str, *, wait: bool = False) -> None:
        """Give a file a second name.  FileExistsError if `new` is taken."""

    def symlink(self, path: str, target: str, *, wait: bool = False) -> None:
        """Make a symbolic link that says `target`, wherever that leads.  FileExistsError if the name is taken.

        OSError(EPERM) if the file system has no links.
        """

    def read_link(self, path: str, *, wait: bool = False) -> str:
        """What the symbolic link `path` says.  OSError(EINVAL) if it is none."""

    def remove(self, path: str, key: FileKey, *, directory: bool = False, wait: bool = False) -> None:
        """Remove the name if it still stands for `key`, else FileNotFoundError.  A directory must be empty."""

    def may_remove(self, path: str, *, wait: bool = False) -> bool:
        """Whether this identity may remove or rename the entry, as far as its directory decides."""

    def sync_directory_of(self, path: str, *, wait: bool = False) -> None:
        """Return when the directory entry `path` is on stable storage."""

    def space(self, *, wait: bool = False) -> Space:
        """Room on the volume."""

    def close(self) -> None:
        """Release the root.  Open handles stay good."""


class Sockets(Protocol):
    """Listening and tuning."""

    def listen(self, host: str | None, port: int) -> "Sequence[socket]":
        """Non-blocking listening stream sockets for every address of `host`; None is every IPv4 and IPv6 address.

        Port 0 takes a free one, the same for all.
        """

    def inherited(self) -> "Sequence[socket]":
        """Listening sockets that a service manager handed over (systemd's LISTEN_FDS); [] if none."""

    def tune(self, sock: "socket") -> None:
        """Set no-delay, keep-alive and buffer options on an accepted socket, as far as the system has them."""

    def unacknowledged(self, sock: "socket") -> int:
        """How many of the bytes that were sent the peer has not acknowledged; 0 if the system cannot tell."""

    def interfaces(self) -> Sequence[Interface]:
        """Addresses of this machine that are up, loopback excluded; [] if they cannot be found out."""


class ZeroCopy(Protocol):
    """Sending file data without bringing it into this process."""

    min_length: int  # below this, reading and sending is at least as fast

    def send(self, sock: "socket", head: bytes | memoryview, file: File, offset: int, length: int) -> int:
        """Send `head`, then `length` bytes of `file`; returns how many bytes, head included, were taken.

        Never waits for the socket: BlockingIOError if it takes nothing now.  Returns len(head) + 0 at the
        end of the file, which the caller must turn into padding or a disconnect.
        """


class Identity(Protocol):
    """Acting as another system account, one thread at a time."""

    def find_account(self, name: str, *, wait: bool = False) -> Account | None:
        """The system account of that name with its groups; None if there is none."""

    def find_group(self, name: str, *, wait: bool = False) -> int | None:
        """The number of the system group of that name; None if there is none."""

    def names(self, *, wait: bool = False) -> tuple[Mapping[int, str], Mapping[int, str]]:
        """Names of users and of groups by number, as many as the system lists, which need not be all."""

    def become(self, account: Account) -> AbstractContextManager[None]:
        """For the length of a `with` block, this thread (and no other) has the rights of `account`."""


class AclTag:
    """Whom an entry of a POSIX.1e access control list is about; the numbers are Linux' and FreeBSD's."""

    USER_OBJ: Final = 0x01  # the owner
    USER: Final = 0x02
    GROUP_OBJ: Final = 0x04  # the group of the file
    GROUP: Final = 0x08
    MASK: Final = 0x10  # the most that USER, GROUP_OBJ and GROUP get
    OTHER: Final = 0x20


class AclEntry(NamedTuple):
    """One entry of a POSIX.1e access control list."""

    tag: int  # one of AclTag
    permissions: int  # 4 read, 2 write, 1 execute
    id: int = -1  # uid of a USER, gid of a GROUP


class AccessControl(Protocol):
    """Who may do what with a file, beyond its mode: the file system's own lists, and room for a descriptor.

    A descriptor is kept under a name, for servers that do not share one; what it says is nothing to the system.
    """

    names: Sequence[str]  # names that a descriptor can be kept under; local users cannot change it under the first

    def lists(self, node: Node, *, wait: bool = False) -> tuple[Sequence[AclEntry], Sequence[AclEntry]]:
        """The access control list, and the one that is handed down in a directory; empty: there is none.

        In the order of the system, which is that of `AclTag`; USER and GROUP by id.
        """

    def set_list(self, node: Node, acl: Sequence[AclEntry], *, wait: bool = False) -> None:
        """Replace the access control list, and with it the permission bits of the mode; () leaves only these.

        OSError(ENOTSUP) if the file system has none.
        """

    def descriptor(self, node: Node, name: str, *, wait: bool = False) -> bytes | None:
        """What was stored under that name; None if nothing was."""

    def set_descriptor(self, node: Node, name: str, value: bytes, *, wait: bool = False) -> None:
        """Store, as the server itself.  OSError(ENOSPC) or OSError(E2BIG) if it does not fit, OSError(EPERM) if
        this name takes a right that the server lacks."""


class Attributes(Protocol):
    """Extended attributes: small named byte strings attached to a file."""

    max_value: int  # bytes of one value that the system can take at most

    def names(self, node: Node, *, wait: bool = False) -> list[str]:
        """All names, without a namespace prefix and without those that servers keep for themselves."""

    def get(self, node: Node, name: str, *, wait: bool = False) -> bytes | None:
        """The value, or None if there is no such attribute."""

    def set(self, node: Node, name: str, value: bytes, *, wait: bool = False) -> None:
        """Make or replace.  OSError(ENOSPC) or OSError(E2BIG) if it does not fit."""

    def remove(self, node: Node, name: str, *, wait: bool = False) -> None:
        """Remove; FileNotFoundError if there is no such attribute."""


class StreamEntry(NamedTuple):
    """One named stream."""

    name: str
    size: int
    allocated: int


class Streams(Protocol):
    """Named streams: further contents of a file or directory, beside its data and attached to it.

    Only where `Features.streams` is true.  They go with the file, also when it is replaced.  Names are taken as they
    are spelled; two that differ in case are two streams here, and the core sees to it that there is only one.

    An open stream is a File.  Its size is the stream's and its kind FILE; all else that its Stat says, and what is set
    through it, is the file's.  What may be done with it the core decides, as it does for whoever removes and renames;
    only `create` takes the right to write to the file.
    """

    def entries(self, node: Node, *, wait: bool = False) -> list[StreamEntry]:
        """All named streams."""

    def open(self, node: File | Directory, name: str, *, wait: bool = False) -> File:
        """Open a stream.  FileNotFoundError if there is none of that name.

        The File takes the node over, and its `close` closes both; but not if this raises.
        """

    def create(self, node: File | Directory, name: str, *, wait: bool = False) -> File:
        """Make an empty stream and open it likewise.  FileExistsError if there is one of that name.

        OSError(ENAMETOOLONG) or OSError(EINVAL) if a stream cannot have that name; OSError(ENOSPC) if there is no room.
        """

    def remove(self, node: Node, name: str, *, wait: bool = False) -> None:
        """Remove a stream with its data.  FileNotFoundError if there is none of that name."""

    def rename(self, node: Node, old: str, new: str, *, wait: bool = False) -> None:
        """Give a stream another name, also while it is open.  FileExistsError if `new` is taken."""


class WatchChange:
    """What a Watcher tells of."""

    ADDED: Final = 1  # the directory has a new name: made, linked, or moved here from where nobody watches
    REMOVED: Final = 2  # a name is gone: removed, or moved to where nobody watches
    RENAMED_FROM: Final = 3  # a name is gone by a rename; RENAMED_TO with the same `pair` may follow, even elsewhere
    RENAMED_TO: Final = 4  # a name has come by a rename; what had the name before, if anything did, is gone
    MODIFIED: Final = 5  # the data or the size of what has the name
    ATTRIBUTES: Final = 6  # its mode, owner, times or extended attributes
    MOVED: Final = 7  # the watched directory itself has another name or place; the watch goes on
    GONE: Final = 8  # the watched directory was removed or unmounted: the watch is over
    LOST: Final = 9  # too much happened at once: anything may have changed in any watched directory


class WatchEvent(NamedTuple):
    """One change, whoever made it.  A Watcher may tell equal ones in a row once; it keeps their order."""

    watch: int  # what `add` returned; 0 with LOST
    what: int  # one of WatchChange
    name: str = ""  # in the watched directory; "" if it is about the directory itself
    is_directory: bool = False  # what has the name, or had it; not told with MODIFIED
    pair: int = 0  # equal in the two halves of one rename, else 0


class Watcher(Protocol):
    """A number of watched directories, and the changes in them that were not taken yet.

    Only the entries of a directory are watched, not those of its subdirectories.  All that happened before a call
    of `take` began is in what it returns, with one exception: a change through a memory mapping need not be told.
    """

    def fileno(self) -> int:
        """A descriptor that is readable while `take` has something to return."""

    def add(self, directory: Directory) -> int:
        """Watch a directory.  The number, never 0, is the same for the same directory, however it was opened.

        The handle may be closed afterwards.  OSError(ENOSPC) if no more can be watched; OSError(ENOTSUP) if some of
        the changes in this directory could not be seen, as on a network file system; PermissionError if this
        process may not watch it.
        """

    def remove(self, watch: int) -> None:
        """Watch a directory no more; nothing is told of it from now on.  Harmless if the watch is over."""

    def take(self) -> list[WatchEvent]:
        """What happened since the last call, oldest first; [] if nothing did."""

    def close(self) -> None:
        """Give everything back.  Called once; never raises."""


class Watch(Protocol):
    """Being told what happens in directories, whoever does it."""

    def start(self) -> Watcher:
        """A new Watcher, to be used by one thread.  OSError(EMFILE) if there are too many already."""


class Clone(Protocol):
    """Copying file data without moving it through this process."""

    def copy(
        self, source: File, source_offset: int, target: File, target_offset: int, length: int, *, wait: bool = False
    ) -> int:
        """Copy up to `length` bytes; returns how many, 0 only at the end of the source.

        The target grows as if by writing.  Blocks are shared where the file system can do that.  Two ranges
        of one file that overlap: OSError(EINVAL).  Files between which this cannot be done, as on two file systems:
        OSError(EXDEV), and nothing was copied.
        """

    def reflink(
        self, source: File, source_offset: int, target: File, target_offset: int, length: int, *, wait: bool = False
    ) -> None:
        """Let the range of the target share the blocks of the source: all of it, or OSError and nothing changed.

        OSError(EINVAL) if the ranges are no whole blocks (the end of the source counts as one), overlap, or reach
        behind the end of the source; OSError(EXDEV) or OSError(EOPNOTSUPP) if these two files cannot share.
        """


class Sparse(Protocol):
    """Holes.  Where `Features.holes` is false, a call may be OSError(EOPNOTSUPP), with nothing changed."""

    def punch(self, file: File, offset: int, length: int, *, wait: bool = False) -> None:
        """Make the range read as zeroes and give its blocks back; the size stays."""

    def zero(self, file: File, offset: int, length: int, *, wait: bool = False) -> None:
        """Make the range read as zeroes without writing them, and keep its blocks; the size stays.

        OSError(EOPNOTSUPP), with nothing changed, also where `Features.holes` is true but this must be written.
        """

    def data_ranges(
        self, file: File, offset: int, length: int, *, limit: int, wait: bool = False
    ) -> list[tuple[int, int]]:
        """(offset, length) of the parts that may hold data, in order; the first `limit` of them, at least one."""


class Platform(Protocol):
    """A port, probed and ready: the required services, and each optional power or None."""

    name: str
    sockets: Sockets
    account: Account  # what this process runs as
    zero_copy: ZeroCopy | None
    acl: AccessControl | None
    attributes: Attributes | None
    streams: Streams | None
    watch: Watch | None
    identity: Identity | None
    clone: Clone | None
    sparse: Sparse | None
    snapshots: None
    leases: None
    kernel: "Kernel | None"
    absent: Mapping[str, str]  # power -> why it is None, one sentence each

    def open_volume(self, path: str) -> Volume:
        """Open the directory `path` of the host (or of whatever this platform stores) as the root of a share.

        FileNotFoundError or NotADirectoryError if it is not there.
        """


class Port(Protocol):
    """What an entry point of the group `smbport.platforms` names: a port, not yet probed."""

    name: str

    def matches(self) -> bool:
        """Whether this port is meant for the system it runs on."""

    def probe(self) -> Platform:
        """Decide each power by trying it.  Imports what the port needs; OSError or RuntimeError with a sentence."""


@dataclass(slots=True)
class Powers:
    """A convenience for ports: the optional powers with every one absent."""

    zero_copy: ZeroCopy | None = None
    acl: AccessControl | None = None
    attributes: Attributes | None = None
    streams: Streams | None = None
    watch: Watch | None = None
    identity: Identity | None = None
    clone: Clone | None = None
    sparse: Sparse | None = None
    snapshots: None = None
    leases: None = None
    kernel: "Kernel | None" = None
    absent: Mapping[str, str] = field(default_factory=dict)
