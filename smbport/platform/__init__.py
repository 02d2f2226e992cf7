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

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

from smbport.platform.access import AccessControl, AclEntry, AclTag, AclType
from smbport.platform.attachments import Attributes, StreamEntry, Streams
from smbport.platform.compression import Compression
from smbport.platform.data import Clone, Sparse
from smbport.platform.identity import Account, Identity
from smbport.platform.network import Interface, ReadySet, Sockets, ZeroCopy
from smbport.platform.range_locks import RangeLocks
from smbport.platform.snapshots import SnapshotLayout, Snapshots, SnapshotTimes
from smbport.platform.volumes import (
    ACCESS_NONE,
    ACCESS_READ,
    ACCESS_WRITE,
    Directory,
    Entry,
    Features,
    File,
    FileKey,
    Kind,
    Node,
    Space,
    Stat,
    Volume,
    Witness,
)
from smbport.platform.watch import Watch, WatchChange, Watcher, WatchEvent

if TYPE_CHECKING:
    from smbport.kernel import Kernel

__all__ = [
    "ACCESS_NONE", "ACCESS_READ", "ACCESS_WRITE", "POWERS", "AccessControl", "Account", "AclEntry", "AclTag",
    "AclType", "Attributes", "Clone", "Compression", "Directory", "Entry", "Features", "File", "FileKey", "Identity",
    "Interface", "Kind", "Node", "Platform", "Port", "Powers", "RangeLocks", "ReadySet", "SnapshotLayout",
    "SnapshotTimes", "Snapshots", "Sockets", "Space", "Sparse", "Stat", "StreamEntry", "Streams", "Volume", "Watch",
    "WatchChange", "WatchEvent", "Watcher", "Witness", "ZeroCopy",
]  # fmt: skip

POWERS: Final = (
    "zero_copy", "acl", "attributes", "streams", "watch", "identity", "clone", "sparse", "compression",
    "range_locks", "snapshots", "leases", "kernel",
)  # fmt: skip
"""Names of the optional powers, in the order in which `smbport platforms` prints them."""


class Platform(Protocol):
    """A port, probed and ready: the required services, and each optional power or None."""

    name: str
    sockets: Sockets
    account: Account  # what this process runs as
    descriptors: bool  # whether each open file takes one of those that the system lets this process have
    zero_copy: ZeroCopy | None
    acl: AccessControl | None
    attributes: Attributes | None
    streams: Streams | None
    watch: Watch | None
    identity: Identity | None
    clone: Clone | None
    sparse: Sparse | None
    compression: Compression | None
    range_locks: RangeLocks | None
    snapshots: Snapshots | None
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
    compression: Compression | None = None
    range_locks: RangeLocks | None = None
    snapshots: Snapshots | None = None
    leases: None = None
    kernel: "Kernel | None" = None
    descriptors: bool = True
    absent: Mapping[str, str] = field(default_factory=dict)
