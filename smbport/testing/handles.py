"""Open files and directories of a MemoryPlatform: `File` and `Directory` over an inode.

A handle has the rights of the account that opened it, also for what POSIX asks again: only the owner changes mode,
times, owner and marks.  A handle that was closed answers EBADF.
"""

import errno
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Literal

from smbport.platform import ACCESS_READ, ACCESS_WRITE, Account, Directory, Entry, File, Node, Stat, WatchChange
from smbport.testing.inodes import (
    MAY_READ,
    MAY_SEARCH,
    MAY_WRITE,
    DirectoryInode,
    FileInode,
    Inode,
    LinkInode,
    Tree,
    check_may,
    check_owner,
    failure,
    may,
)
from smbport.testing.pages import MAX_SIZE, Pages

__all__ = ["MemoryDirectory", "MemoryFile", "MemoryNode", "own_directory", "own_file", "own_node"]


class MemoryNode:
    """What files and directories have in common."""

    def __init__(self, tree: Tree, inode: Inode, who: Account) -> None:
        self.tree = tree
        self.inode = inode
        self.who = who
        self._open = True
        inode.handles += 1
        tree.handles += 1

    @property
    def is_open(self) -> bool:
        return self._open

    def stat(self) -> Stat:
        with self.tree.lock:
            return self._opened().stat()

    def first_stat(self) -> Stat:
        return self.stat()

    def set_times(self, access_ns: int | None, write_ns: int | None, *, wait: bool = False) -> None:
        with self.changing_as_owner() as inode:
            inode.access_ns = inode.access_ns if access_ns is None else access_ns
            inode.write_ns = inode.write_ns if write_ns is None else write_ns

    def set_mode(self, mode: int, *, wait: bool = False) -> None:
        with self.changing_as_owner() as inode:
            inode.mode = mode & 0o7777

    def set_owner(self, uid: int | None, gid: int | None, *, wait: bool = False) -> None:
        with self.changing_as_owner() as inode:
            who = self.who
            if who.uid != 0 and (uid not in (None, who.uid) or gid not in (None, inode.gid, who.gid, *who.groups)):
                raise failure(errno.EPERM)
            inode.uid = inode.uid if uid is None else uid
            inode.gid = inode.gid if gid is None else gid

    def set_marks(self, dos_attributes: int | None, birth_ns: int | None, *, wait: bool = False) -> None:
        with self.changing_as_owner() as inode:
            inode.dos_attributes = inode.dos_attributes if dos_attributes is None else dos_attributes
            inode.birth_ns = inode.birth_ns if birth_ns is None else birth_ns

    def sync(self, *, wait: bool = False) -> None:
        with self.tree.lock:
            self._opened()

    def close(self) -> None:
        with self.tree.lock:
            if self._open:
                self._open = False
                self.inode.handles -= 1
                self.tree.handles -= 1
                self.tree.forget(self.inode)

    @contextmanager
    def locked(self) -> Iterator[Inode]:
        """Alone with the tree."""
        with self.tree.lock:
            yield self._opened()

    @contextmanager
    def reading_attributes(self) -> Iterator[dict[str, bytes]]:
        with self.tree.lock:
            inode = self._opened()
            check_may(self.who, inode, MAY_READ)
            yield inode.attributes

    @contextmanager
    def changing_attributes(self) -> Iterator[dict[str, bytes]]:
        with self.tree.lock:
            inode = self._opened()
            check_may(self.who, inode, MAY_WRITE)
            yield inode.attributes
            self.changed(inode)

    @contextmanager
    def descriptors(self) -> Iterator[dict[str, bytes]]:
        with self.tree.lock:
            yield self._opened().descriptors

    @contextmanager
    def changing_as_owner(self) -> Iterator[Inode]:
        with self.tree.lock:
            inode = self._opened()
            check_owner(self.who, inode)
            yield inode
            self.changed(inode)

    @contextmanager
    def reading(self) -> Iterator[Inode]:
        with self.tree.lock:
            inode = self._opened()
            check_may(self.who, inode, MAY_READ)
            yield inode

    def changed(self, inode: Inode) -> None:
        """Something about it is different, but not its data.  The tree is locked."""
        inode.change_ns = self.tree.clock()
        self.tree.watch.changed(inode, WatchChange.ATTRIBUTES)

    def _opened(self) -> Inode:
        if not self._open:
            raise failure(errno.EBADF)
        return self.inode


class MemoryFile(MemoryNode):
    is_directory: Literal[False] = False

    def __init__(self, tree: Tree, inode: Inode, who: Account, access: int) -> None:
        super().__init__(tree, inode, who)
        self._access = access

    def fileno(self) -> int:
        return -1

    def read_at(self, offset: int, length: int, *, wait: bool = False) -> bytes:
        with self.tree.lock:
            pages = self._pages(ACCESS_READ)
            if offset < 0 or length < 0:
                raise failure(errno.EINVAL)
            return pages.read(offset, length)

    def write_at(self, offset: int, data: bytes | memoryview, *, through: bool = False, wait: bool = False) -> int:
        with self.tree.lock:
            pages = self._pages(ACCESS_WRITE)
            if offset < 0:
                raise failure(errno.EINVAL)
            if offset + len(data) > MAX_SIZE:
                raise failure(errno.EFBIG)
            if not data:
                return 0
            written = pages.write(offset, data)
            if not written:
                raise failure(errno.ENOSPC)
            self._wrote()
            return written

    def resize(self, size: int, *, wait: bool = False) -> None:
        with self.tree.lock:
            pages = self._pages(ACCESS_WRITE)
            _check_size(size)
            pages.resize(size)
            self._wrote()

    def allocate(self, size: int, *, wait: bool = False) -> None:
        with self.tree.lock:
            pages = self._pages(ACCESS_WRITE)
            _check_size(size)
            pages.reserve(size)
            self._reserved()

    def punch(self, offset: int, length: int) -> None:
        with self.tree.lock:
            pages = self._pages(ACCESS_WRITE)
            _check_size(offset)
            _check_size(length)
            pages.punch(offset, length)
            self._wrote()

    def zero(self, offset: int, length: int) -> None:
        with self.tree.lock:
            pages = self._pages(ACCESS_WRITE)
            _check_size(offset)
            _check_size(length)
            pages.zero(offset, length)
            self._wrote()

    def data_ranges(self, offset: int, length: int) -> list[tuple[int, int]]:
        with self.tree.lock:
            return self._pages(ACCESS_READ).ranges(offset, length)

    def _pages(self, access: int) -> Pages:
        inode = self._opened()
        if not self._access & access or not isinstance(inode, FileInode):
            raise failure(errno.EBADF)
        return inode.pages

    def _reserved(self) -> None:
        self.inode.change_ns = self.tree.clock()
        self.tree.watch.changed(self.inode, WatchChange.MODIFIED)

    def _wrote(self) -> None:
        self.inode.write_ns = self.inode.change_ns = self.tree.clock()
        self.tree.watch.changed(self.inode, WatchChange.MODIFIED)


class MemoryDirectory(MemoryNode):
    is_directory: Literal[True] = True

    def __init__(self, tree: Tree, inode: DirectoryInode, who: Account) -> None:
        super().__init__(tree, inode, who)
        self._directory = inode
        self._names: list[str] | None = None  # as they were at the first listing since `rewind`
        self._position = 0

    def entries(self, limit: int, *, stat: bool = True, wait: bool = False) -> list[Entry]:
        with self.tree.lock:
            self._opened()
            if self._names is None:
                check_may(self.who, self._directory, MAY_READ)
                self._names = list(self._directory.children)
            names = self._names[self._position : self._position + max(limit, 1)]
            self._position += len(names)
            if not stat:
                return [Entry(name, None) for name in names]
            searchable = may(self.who, self._directory, MAY_SEARCH)
            return [Entry(name, self._stat_entry(name) if searchable else None) for name in names]

    def rewind(self) -> None:
        with self.tree.lock:
            self._opened()
            self._names = None
            self._position = 0

    def attribute_lengths(self, names: Sequence[str]) -> list[Mapping[str, int] | None]:
        """For the power `attributes`."""
        with self.tree.lock:
            self._opened()
            return [self._attribute_lengths(self._directory.children.get(name)) for name in names]

    def _attribute_lengths(self, inode: Inode | None) -> Mapping[str, int] | None:
        if isinstance(inode, LinkInode):
            return None
        if inode is None or not may(self.who, self._directory, MAY_SEARCH) or not may(self.who, inode, MAY_READ):
            return {}
        return {name: len(value) for name, value in inode.attributes.items()}

    def _stat_entry(self, name: str) -> Stat | None:
        inode = self._directory.children.get(name)
        return None if inode is None else self.tree.follow(self.who, self._directory, inode).stat()


def own_node(node: Node) -> MemoryNode:
    """The node as one of ours; OSError(EXDEV) if another platform opened it."""
    if not isinstance(node, MemoryNode):
        raise failure(errno.EXDEV)
    return node


def own_directory(directory: Directory) -> MemoryDirectory:
    """The directory as one of ours; OSError(EXDEV) if another platform opened it."""
    if not isinstance(directory, MemoryDirectory):
        raise failure(errno.EXDEV)
    return directory


def own_file(file: File) -> MemoryFile:
    """The file as one of ours; OSError(EXDEV) if another platform opened it."""
    if not isinstance(file, MemoryFile):
        raise failure(errno.EXDEV)
    return file


def _check_size(size: int) -> None:
    if size < 0:
        raise failure(errno.EINVAL)
    if size > MAX_SIZE:
        raise failure(errno.EFBIG)
