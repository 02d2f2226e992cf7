"""Named streams of a MemoryPlatform: inodes without a name, each kept by the inode whose stream it is."""

import errno
from dataclasses import replace
from typing import Final

from smbport.platform import ACCESS_READ, ACCESS_WRITE, Directory, File, Kind, Node, Stat, StreamEntry
from smbport.testing.handles import MemoryFile, MemoryNode, own_node
from smbport.testing.inodes import MAY_WRITE, FileInode, check_may, failure
from smbport.testing.pages import Pages

__all__ = ["MemoryStreams"]

MAX_NAME: Final = 255  # characters


class MemoryStreams:
    """The power `streams`."""

    def entries(self, node: Node, *, wait: bool = False) -> list[StreamEntry]:
        with own_node(node).locked() as inode:
            return [StreamEntry(name, found.size, found.allocated) for name, found in inode.streams.items()]

    def open(self, node: File | Directory, name: str, *, wait: bool = False) -> File:
        base = own_node(node)
        with base.locked() as inode:
            if name not in inode.streams:
                raise failure(errno.ENOENT, name)
            found = inode.streams[name]
        return MemoryStream(base, found)

    def create(self, node: File | Directory, name: str, *, wait: bool = False) -> File:
        base = own_node(node)
        _check_name(name)
        with base.locked() as inode:
            check_may(base.who, inode, MAY_WRITE)
            if name in inode.streams:
                raise failure(errno.EEXIST, name)
            tree = base.tree
            made = FileInode(inode.key, inode.mode, inode.uid, inode.gid, tree.clock(), Pages(tree.room))
            inode.streams[name] = made
            base.changed(inode)
        return MemoryStream(base, made)

    def remove(self, node: Node, name: str, *, wait: bool = False) -> None:
        base = own_node(node)
        with base.locked() as inode:
            gone = inode.streams.pop(name, None)
            if gone is None:
                raise failure(errno.ENOENT, name)
            gone.links = 0
            base.tree.forget(gone)
            base.changed(inode)

    def rename(self, node: Node, old: str, new: str, *, wait: bool = False) -> None:
        base = own_node(node)
        _check_name(new)
        with base.locked() as inode:
            if old not in inode.streams:
                raise failure(errno.ENOENT, old)
            if new in inode.streams:
                raise failure(errno.EEXIST, new)
            inode.streams[new] = inode.streams.pop(old)
            base.changed(inode)


class MemoryStream(MemoryFile):
    """An open stream, which owns a handle of its file."""

    def __init__(self, base: MemoryNode, inode: FileInode) -> None:
        super().__init__(base.tree, inode, base.who, ACCESS_READ | ACCESS_WRITE)
        self._base = base

    def stat(self) -> Stat:
        own = super().stat()
        return replace(self._base.stat(), kind=Kind.FILE, size=own.size, allocated=own.allocated)

    def set_times(self, access_ns: int | None, write_ns: int | None, *, wait: bool = False) -> None:
        self._base.set_times(access_ns, write_ns)

    def set_mode(self, mode: int, *, wait: bool = False) -> None:
        self._base.set_mode(mode)

    def set_owner(self, uid: int | None, gid: int | None, *, wait: bool = False) -> None:
        self._base.set_owner(uid, gid)

    def set_marks(self, dos_attributes: int | None, birth_ns: int | None, *, wait: bool = False) -> None:
        self._base.set_marks(dos_attributes, birth_ns)

    def close(self) -> None:
        super().close()
        self._base.close()

    def _reserved(self) -> None:
        self._wrote()

    def _wrote(self) -> None:
        """To the system it is the file that has changed, but not its data."""
        self._base.changed(self._base.inode)


def _check_name(name: str) -> None:
    if not name or any(letter in name for letter in "\0/:"):
        raise failure(errno.EINVAL, name)
    if len(name) > MAX_NAME:
        raise failure(errno.ENAMETOOLONG, name)
