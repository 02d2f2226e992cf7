"""MemoryPlatform: a whole platform in memory, deterministic, for tests and for trying things out.

`MemoryPlatform().open_volume(name)` makes the volume `name` on first use, so `smbport serve --share
data=anything --platform memory` works.  It is a POSIX system in small: inodes with link counts, symbolic links,
files that live on while open, permission bits, owners, holes.  Extended attributes, named streams, snapshots, cloning,
holes, compression and a watch are there; acting as other accounts is if a table of accounts was given.  Sockets are
real ones.

Same calls, same results: inode numbers are counted, and so is the time, by a clock that moves 100 ns with each
reading.  Every call does its work at once; none ever raises BlockingIOError.  All is lost with the object.
"""

import errno
import itertools
import socket
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import Final

from smbport.platform import (
    ACCESS_NONE,
    ACCESS_READ,
    ACCESS_WRITE,
    Account,
    AclEntry,
    Directory,
    Entry,
    Features,
    File,
    FileKey,
    Interface,
    Node,
    Port,
    Powers,
    Sockets,
    Space,
    Stat,
    Witness,
)
from smbport.posix.sockets import PosixSockets
from smbport.testing.compression import MemoryCompression
from smbport.testing.handles import MemoryDirectory, MemoryFile, own_directory, own_file, own_node
from smbport.testing.inodes import (
    MAX_NAME_BYTES,
    MAY_READ,
    MAY_WRITE,
    DirectoryInode,
    FileInode,
    Inode,
    LinkInode,
    Tree,
    check_may,
    failure,
)
from smbport.testing.pages import BLOCK
from smbport.testing.range_locks import MemoryRangeLocks
from smbport.testing.snapshots import MemorySnapshots
from smbport.testing.streams import MemoryStreams
from smbport.testing.watches import MemoryWatch

__all__ = ["PORT", "MemoryPlatform", "MemoryPort", "MemoryVolume"]

EPOCH_NS: Final = 1_600_000_000_000_000_000  # the clock's first reading: 2020-09-13 12:26:40 UTC
TICK_NS: Final = 100  # the unit of FILETIME, so that clients see every step
CAPACITY: Final = 1 << 40
SERVER: Final = Account("server", 0, 0)
MAX_COPY: Final = 16 << 20  # bytes that one Clone.copy moves; it may be called again
MAX_ATTRIBUTE: Final = 65536  # Linux's XATTR_SIZE_MAX

ABSENT: Final = {
    "zero_copy": "file data is in this process already",
    "leases": "nobody else opens the files",
    "kernel": "no kernel serves them",
}


class MemoryVolume:
    """A volume of a MemoryPlatform with the rights of whatever account `who()` gives at the time of a call."""

    def __init__(self, tree: Tree, who: Callable[[], Account]) -> None:
        self._tree = tree
        self._who = who
        self._open = True
        self.features = Features(
            file_system="memory",
            birth_time=True,
            stores_marks=True,
            rename_exclusive=True,
            inline_io=True,
            holes=True,
            reflink=True,
            streams=True,
            compression=True,
            max_name_bytes=MAX_NAME_BYTES,
            serial=tree.device,
        )

    def acting_as(self, account: Account) -> "MemoryVolume":
        return MemoryVolume(self._tree, lambda: account)

    def stat(self, path: str, *, follow: bool = True, marks: bool = True, wait: bool = False) -> Stat:
        with self._locked() as who:
            return self._tree.find(who, path, follow=follow).stat()

    def open(self, path: str, access: int, *, follow: bool = True, wait: bool = False) -> File | Directory:
        with self._locked() as who:
            inode = self._tree.find(who, path, follow=follow)
            if isinstance(inode, DirectoryInode):
                if access & ACCESS_READ:
                    check_may(who, inode, MAY_READ)
                return MemoryDirectory(self._tree, inode, who)
            if access != ACCESS_NONE:
                _check_openable(who, inode, access, path)
            return MemoryFile(self._tree, inode, who, access)

    def create(self, path: str, access: int, mode: int, *, witness: Witness | None = None, wait: bool = False) -> File:
        with self._locked() as who, self._shown(witness, who, path):
            return MemoryFile(self._tree, self._tree.add_file(who, path, mode), who, access)

    def make_directory(self, path: str, mode: int, *, witness: Witness | None = None, wait: bool = False) -> Directory:
        with self._locked() as who, self._shown(witness, who, path):
            return MemoryDirectory(self._tree, self._tree.add_directory(who, path, mode), who)

    @contextmanager
    def _shown(self, witness: Witness | None, who: Account, path: str) -> Iterator[None]:
        """While the name is made or removed, if nothing goes wrong, `witness` sees its directory."""
        if witness is None:
            yield
            return
        directory = self._tree.find(who, path.rpartition("/")[0])
        witness.before(directory.stat())
        yield
        witness.after(directory.stat())

    def rename(self, old: str, new: str, *, replace: bool, wait: bool = False) -> None:
        with self._locked() as who:
            self._tree.rename(who, old, new, replace=replace)

    def link(self, old: str, new: str, *, wait: bool = False) -> None:
        with self._locked() as who:
            self._tree.link(who, old, new)

    def symlink(self, path: str, target: str, *, wait: bool = False) -> None:
        if not target or "\0" in target:
            raise failure(errno.EINVAL)
        self.plant_link(path, target)

    def make_special(self, path: str, kind: int, mode: int, *, wait: bool = False) -> None:
        with self._locked() as who:
            self._tree.add_special(who, path, kind, mode)

    def read_link(self, path: str, *, wait: bool = False) -> str:
        with self._locked() as who:
            link = self._tree.find(who, path, follow=False)
            if not isinstance(link, LinkInode):
                raise failure(errno.EINVAL, path)
            return link.target

    def remove(
        self, path: str, key: FileKey, *, directory: bool = False, witness: Witness | None = None, wait: bool = False
    ) -> None:
        with self._locked() as who, self._shown(witness, who, path):
            self._tree.remove(who, path, key, directory=directory)

    def may_remove(self, path: str, *, wait: bool = False) -> bool:
        with self._locked() as who:
            return self._tree.may_remove(who, path)

    def sync_directory_of(self, path: str, *, wait: bool = False) -> None:
        with self._locked() as who:
            self._tree.find(who, path.rpartition("/")[0])

    def space(self, *, wait: bool = False) -> Space:
        with self._locked():
            room = self._tree.room
            return Space(total=room.total, free=room.free, available=room.free, block_size=BLOCK)

    def close(self) -> None:
        self._open = False

    def plant_link(self, path: str, target: str) -> None:
        """For tests: a symbolic link at `path`.  A target that begins with "/" leads out of the volume."""
        with self._locked() as who:
            self._tree.add_link(who, path, target)

    @contextmanager
    def _locked(self) -> Iterator[Account]:
        with self._tree.lock:
            if not self._open:
                raise failure(errno.EBADF)
            yield self._who()


class MemoryAttributes:
    max_value: int = MAX_ATTRIBUTE

    def names(self, node: Node, *, seen: Stat | None = None, wait: bool = False) -> list[str]:
        with own_node(node).reading_attributes() as attributes:
            return list(attributes)

    def get(self, node: Node, name: str, *, wait: bool = False) -> bytes | None:
        with own_node(node).reading_attributes() as attributes:
            return attributes.get(name)

    def lengths(
        self, directory: Directory, entries: Sequence[Entry], *, wait: bool = False
    ) -> list[Mapping[str, int] | None]:
        return own_directory(directory).attribute_lengths([name for name, _ in entries])

    def set(self, node: Node, name: str, value: bytes, *, wait: bool = False) -> None:
        with own_node(node).changing_attributes() as attributes:
            if len(value) > self.max_value:
                raise failure(errno.E2BIG)
            attributes[name] = bytes(value)

    def remove(self, node: Node, name: str, *, wait: bool = False) -> None:
        with own_node(node).changing_attributes() as attributes:
            if name not in attributes:
                raise failure(errno.ENOENT, name)
            del attributes[name]


class MemoryAccessControl:
    """Room for descriptors; there are no lists but the permission bits."""

    names: Sequence[str] = ("security.NTACL", "user.NTACL")

    def lists(self, node: Node, *, wait: bool = False) -> tuple[Sequence[AclEntry], Sequence[AclEntry]]:
        return (), ()

    def set_list(self, node: Node, acl: Sequence[AclEntry], *, wait: bool = False) -> None:
        if acl:
            raise failure(errno.ENOTSUP)

    def descriptor(self, node: Node, name: str, *, wait: bool = False) -> bytes | None:
        with own_node(node).descriptors() as descriptors:
            return descriptors.get(name)

    def set_descriptor(self, node: Node, name: str, value: bytes, *, wait: bool = False) -> None:
        with own_node(node).descriptors() as descriptors:
            if len(value) > MAX_ATTRIBUTE:
                raise failure(errno.E2BIG)
            descriptors[name] = bytes(value)


class MemoryClone:
    """Blocks are not really shared: that nobody can see here but by the room that is taken."""

    def copy(
        self, source: File, source_offset: int, target: File, target_offset: int, length: int, *, wait: bool = False
    ) -> int:
        _check_apart(source, source_offset, target, target_offset, length)
        data = source.read_at(source_offset, min(length, MAX_COPY))
        return target.write_at(target_offset, data) if data else 0

    def reflink(
        self, source: File, source_offset: int, target: File, target_offset: int, length: int, *, wait: bool = False
    ) -> None:
        _check_apart(source, source_offset, target, target_offset, length)
        end, size = source_offset + length, source.stat().size
        if end > size or source_offset % BLOCK or target_offset % BLOCK or (length % BLOCK and end != size):
            raise failure(errno.EINVAL)
        data = source.read_at(source_offset, length)
        if target.write_at(target_offset, data) < length:
            raise failure(errno.ENOSPC)


class MemorySparse:
    def punch(self, file: File, offset: int, length: int, *, wait: bool = False) -> None:
        own_file(file).punch(offset, length)

    def zero(self, file: File, offset: int, length: int, *, wait: bool = False) -> None:
        own_file(file).zero(offset, length)

    def data_ranges(
        self, file: File, offset: int, length: int, *, limit: int, wait: bool = False
    ) -> list[tuple[int, int]]:
        return own_file(file).data_ranges(offset, length)[:limit]


class MemoryIdentity:
    """Tables of accounts and groups, and whom each thread acts as."""

    def __init__(self, accounts: Iterable[Account], groups: Mapping[str, int]) -> None:
        self._accounts = {account.name: account for account in accounts}
        self._groups = dict(groups)
        self._thread = threading.local()

    def find_account(self, name: str, *, wait: bool = False) -> Account | None:
        return self._accounts.get(name)

    def find_group(self, name: str, *, wait: bool = False) -> int | None:
        return self._groups.get(name)

    def names(self, *, wait: bool = False) -> tuple[Mapping[int, str], Mapping[int, str]]:
        users = {account.uid: account.name for account in self._accounts.values()}
        return users, {gid: name for name, gid in self._groups.items()}

    @contextmanager
    def become(self, account: Account) -> Iterator[None]:
        before = self.current
        self._thread.account = account
        try:
            yield
        finally:
            self._thread.account = before

    @property
    def current(self) -> Account | None:
        """Whom this thread acts as; None outside of `become`."""
        account: Account | None = getattr(self._thread, "account", None)
        return account


class MemorySockets(PosixSockets):
    """Real sockets, but none from outside."""

    def inherited(self) -> list[socket.socket]:
        return []


class MemoryPlatform(Powers):
    """Volumes in memory.  `capacity` is in bytes, for each volume; `clock` gives nanoseconds since 1970.

    `account` is what the server itself acts as; uid 0 may do everything.  With `accounts`, the platform has the
    power `identity`, and a volume that is `acting_as` one of them checks permission bits for it; `groups` gives
    the numbers of groups by name.  `watch` is made by tests that want its limits low.
    """

    name = "memory"

    def __init__(
        self,
        *,
        capacity: int = CAPACITY,
        account: Account = SERVER,
        accounts: Iterable[Account] = (),
        groups: Mapping[str, int] = MappingProxyType({}),
        interfaces: Sequence[Interface] = (),
        clock: Callable[[], int] | None = None,
        watch: MemoryWatch | None = None,
    ) -> None:
        known = tuple(accounts)
        watch = watch or MemoryWatch()
        identity = MemoryIdentity((account, *known), groups) if known else None
        super().__init__(
            acl=MemoryAccessControl(),
            attributes=MemoryAttributes(),
            streams=MemoryStreams(),
            watch=watch,
            identity=identity,
            clone=MemoryClone(),
            sparse=MemorySparse(),
            compression=MemoryCompression(),
            range_locks=MemoryRangeLocks(),
            descriptors=False,
            absent=ABSENT if known else {**ABSENT, "identity": "no table of accounts was given"},
        )
        self.account = account
        self.sockets: Sockets = MemorySockets(lambda: interfaces)
        self._capacity = capacity
        self._clock = clock or itertools.count(EPOCH_NS, TICK_NS).__next__
        self._identity = identity
        self._watch = watch
        self._trees: dict[str, Tree] = {}
        self._opening = threading.Lock()
        self._taken = MemorySnapshots(self._tree, lambda tree: MemoryVolume(tree, self._current_account))
        self.snapshots = self._taken

    def open_volume(self, path: str) -> MemoryVolume:
        """The volume of that name, made on first use: nothing is ever missing here."""
        return MemoryVolume(self._tree(path), self._current_account)

    def take_snapshot(self, path: str, time_ns: int) -> None:
        """For tests: a snapshot of the volume `path` as it is now, taken then."""
        self._taken.take(path, time_ns)

    def _tree(self, path: str) -> Tree:
        with self._opening:
            tree = self._trees.get(path)
            if tree is None:
                device = len(self._trees) + 1
                tree = self._trees[path] = Tree(device, self._capacity, self._clock, self.account, self._watch)
            return tree

    @property
    def open_handles(self) -> int:
        """For tests: files and directories that were opened and not closed."""
        return sum(tree.handles for tree in self._trees.values()) + self._taken.open_handles

    def _current_account(self) -> Account:
        return (self._identity and self._identity.current) or self.account


class MemoryPort:
    """The entry point `memory`: chosen by name only."""

    name = "memory"

    def matches(self) -> bool:
        return False

    def probe(self) -> MemoryPlatform:
        return MemoryPlatform()


PORT: Final[Port] = MemoryPort()


def _check_apart(source: File, source_offset: int, target: File, target_offset: int, length: int) -> None:
    """OSError(EXDEV) for files of two volumes, OSError(EINVAL) for ranges of one file that overlap."""
    one, other = own_file(source).stat().key, own_file(target).stat().key
    if one.device != other.device:
        raise failure(errno.EXDEV)
    if one == other and abs(source_offset - target_offset) < length:
        raise failure(errno.EINVAL)


def _check_openable(who: Account, inode: Inode, access: int, path: str) -> None:
    if isinstance(inode, LinkInode):
        raise failure(errno.ELOOP, path)
    if not isinstance(inode, FileInode):
        raise failure(errno.ENXIO, path)
    check_may(who, inode, (MAY_READ if access & ACCESS_READ else 0) | (MAY_WRITE if access & ACCESS_WRITE else 0))
