"""A POSIX directory tree in memory: inodes, names, rights.  `memory.py` makes a `Volume` of it.

Every method that takes a path also takes `who`: the account whose rights decide, by the mode bits alone; uid 0
may do everything.  Errors are what a POSIX system says.  Nothing here is locked: the volume holds `Tree.lock`.

Reading leaves the access time alone, as with the mount option noatime.
"""

import errno
import os
from collections.abc import Callable
from threading import Lock
from typing import TYPE_CHECKING, Final

from smbport.platform import Account, FileKey, Kind, Stat
from smbport.testing.pages import Pages, Room

if TYPE_CHECKING:
    from smbport.testing.watches import MemoryWatch

__all__ = [
    "MAX_NAME_BYTES", "MAY_READ", "MAY_SEARCH", "MAY_WRITE", "DirectoryInode", "FileInode", "Inode", "LinkInode",
    "Tree", "check_may", "check_owner", "failure", "may",
]  # fmt: skip

MAX_NAME_BYTES: Final = 255
MAX_LINKS: Final = 40  # symbolic links followed in one path; Linux's figure

MAY_READ: Final = 4
MAY_WRITE: Final = 2
MAY_SEARCH: Final = 1

SETGID: Final = 0o2000
STICKY: Final = 0o1000


class Inode:
    """What a name stands for."""

    __slots__ = (
        "access_ns", "attributes", "birth_ns", "change_ns", "compressed", "descriptors", "dos_attributes", "gid",
        "handles", "key", "links", "mode", "streams", "uid", "write_ns",
    )  # fmt: skip

    kind: int

    def __init__(self, key: FileKey, mode: int, uid: int, gid: int, now_ns: int) -> None:
        self.key = key
        self.mode = mode & 0o7777
        self.uid = uid
        self.gid = gid
        self.access_ns = self.write_ns = self.change_ns = self.birth_ns = now_ns
        self.dos_attributes: int | None = None
        self.compressed = False
        self.attributes: dict[str, bytes] = {}
        self.descriptors: dict[str, bytes] = {}  # where clients do not see them
        self.streams: dict[str, FileInode] = {}  # by name
        self.links = 1
        self.handles = 0

    @property
    def size(self) -> int:
        return 0

    @property
    def allocated(self) -> int:
        return 0

    def stat(self) -> Stat:
        return Stat(
            key=self.key,
            kind=self.kind,
            size=self.size,
            allocated=self.allocated,
            links=self.links,
            mode=self.mode,
            uid=self.uid,
            gid=self.gid,
            access_ns=self.access_ns,
            write_ns=self.write_ns,
            change_ns=self.change_ns,
            birth_ns=self.birth_ns,
            dos_attributes=self.dos_attributes,
            compressed=self.compressed,
        )

    def release(self) -> None:
        """The last name and the last handle are gone."""
        for stream in self.streams.values():
            stream.release()


class FileInode(Inode):
    __slots__ = ("pages",)

    kind = Kind.FILE

    def __init__(self, key: FileKey, mode: int, uid: int, gid: int, now_ns: int, pages: Pages) -> None:
        super().__init__(key, mode, uid, gid, now_ns)
        self.pages = pages

    @property
    def size(self) -> int:
        return self.pages.size

    @property
    def allocated(self) -> int:
        return self.pages.taken

    def release(self) -> None:
        super().release()
        self.pages.release()


class DirectoryInode(Inode):
    __slots__ = ("children", "parent")

    kind = Kind.DIRECTORY

    def __init__(
        self, key: FileKey, mode: int, uid: int, gid: int, now_ns: int, parent: "DirectoryInode | None"
    ) -> None:
        super().__init__(key, mode, uid, gid, now_ns)
        self.children: dict[str, Inode] = {}
        self.parent = parent  # None for the root and for what was removed
        self.links = 2


class LinkInode(Inode):
    __slots__ = ("target",)

    kind = Kind.SYMLINK

    def __init__(self, key: FileKey, uid: int, gid: int, now_ns: int, target: str) -> None:
        super().__init__(key, 0o777, uid, gid, now_ns)
        self.target = target

    @property
    def size(self) -> int:
        return len(os.fsencode(self.target))


class SpecialInode(Inode):
    """A FIFO or a socket."""

    __slots__ = ("kind",)

    def __init__(self, key: FileKey, mode: int, uid: int, gid: int, now_ns: int, kind: int) -> None:
        super().__init__(key, mode, uid, gid, now_ns)
        self.kind = kind


class Tree:
    """The names and inodes of one volume."""

    def __init__(
        self, device: int, capacity: int, clock: Callable[[], int], owner: Account, watch: "MemoryWatch"
    ) -> None:
        self.device = device
        self.watch = watch
        self.clock = clock
        self.room = Room(capacity)
        self.lock = Lock()
        self.handles = 0  # open ones
        self._last_inode = 0
        self.root = DirectoryInode(self._next_key(), 0o755, owner.uid, owner.gid, clock(), None)

    def find(self, who: Account, path: str, *, follow: bool = True) -> Inode:
        """What `path` names.  FileNotFoundError if nothing; OSError(EXDEV) if a link leads out of the volume."""
        found = self._walk(who, path, self.root, _split(path), follow=follow)[2]
        if found is None:
            raise failure(errno.ENOENT, path)
        return found

    def follow(self, who: Account, directory: DirectoryInode, link: Inode) -> Inode:
        """What a link in `directory` leads to; `link` itself if it is none, or leads to nothing inside this volume."""
        if not isinstance(link, LinkInode):
            return link
        try:
            found = self._walk(who, link.target, directory, _target_parts(link), follow=True)[2]
        except OSError:
            return link
        return link if found is None else found

    def add_file(self, who: Account, path: str, mode: int) -> FileInode:
        directory, name = self._free_place(who, path)
        inode = FileInode(self._next_key(), mode, who.uid, _group_in(directory, who), self.clock(), Pages(self.room))
        inode.compressed = directory.compressed
        self._enter(directory, name, inode, inode.birth_ns)
        self.watch.entered(directory, name, inode)
        return inode

    def add_directory(self, who: Account, path: str, mode: int) -> DirectoryInode:
        directory, name = self._free_place(who, path)
        mode |= directory.mode & SETGID
        inode = DirectoryInode(self._next_key(), mode, who.uid, _group_in(directory, who), self.clock(), directory)
        inode.compressed = directory.compressed
        self._enter(directory, name, inode, inode.birth_ns)
        self.watch.entered(directory, name, inode)
        return inode

    def add_link(self, who: Account, path: str, target: str) -> None:
        directory, name = self._free_place(who, path)
        inode = LinkInode(self._next_key(), who.uid, who.gid, self.clock(), target)
        self._enter(directory, name, inode, inode.birth_ns)
        self.watch.entered(directory, name, inode)

    def add_special(self, who: Account, path: str, kind: int, mode: int) -> None:
        directory, name = self._free_place(who, path)
        inode = SpecialInode(self._next_key(), mode, who.uid, _group_in(directory, who), self.clock(), kind)
        self._enter(directory, name, inode, inode.birth_ns)
        self.watch.entered(directory, name, inode)

    def link(self, who: Account, old: str, new: str) -> None:
        inode = self.find(who, old, follow=False)
        if isinstance(inode, DirectoryInode):
            raise failure(errno.EPERM, old)
        directory, name = self._free_place(who, new)
        now_ns = self.clock()
        inode.links += 1
        inode.change_ns = now_ns
        self._enter(directory, name, inode, now_ns)
        self.watch.entered(directory, name, inode)

    def remove(self, who: Account, path: str, key: FileKey, *, directory: bool) -> None:
        """Remove the name if it stands for `key`, itself or as a link to it; of a link, only the link goes."""
        place, name, inode = self._taken_place(who, path)
        if key not in (inode.key, self.follow(who, place, inode).key):
            raise failure(errno.ENOENT, path)
        _check_may_leave(who, place, inode)
        if isinstance(inode, DirectoryInode):
            if not directory:
                raise failure(errno.EISDIR, path)
            if inode.children:
                raise failure(errno.ENOTEMPTY, path)
        elif directory and not isinstance(inode, LinkInode):
            raise failure(errno.ENOTDIR, path)
        self._leave(place, name, self.clock())
        self.watch.left(place, name, inode)

    def rename(self, who: Account, old: str, new: str, *, replace: bool) -> None:
        source, old_name, inode = self._taken_place(who, old)
        target, new_name, replaced = self._place(who, new)
        if replaced is not None and not replace:
            raise failure(errno.EEXIST, new)
        if replaced is inode:
            return  # POSIX: two names of one file, nothing happens
        _check_may_leave(who, source, inode)
        check_may(who, target, MAY_WRITE | MAY_SEARCH)
        if isinstance(inode, DirectoryInode):
            _check_may_move(who, inode, source, target)
        if replaced is not None:
            _check_may_leave(who, target, replaced)
            _check_replaceable(inode, replaced, new)
        now_ns = self.clock()
        if replaced is not None:
            self._leave(target, new_name, now_ns)
            self.watch.ended(replaced)
        self._move(source, old_name, target, new_name, now_ns)
        self.watch.moved(source, old_name, target, new_name, inode)

    def may_remove(self, who: Account, path: str) -> bool:
        place, _, inode = self._taken_place(who, path)
        return may(who, place, MAY_WRITE | MAY_SEARCH) and not _is_held_by_sticky(who, place, inode)

    def forget(self, inode: Inode) -> None:
        """Give the inode's room back if no name and no handle is left."""
        if inode.links == 0 and inode.handles == 0:
            inode.release()

    def _next_key(self) -> FileKey:
        self._last_inode += 1
        return FileKey(self.device, self._last_inode)

    def _walk(
        self, who: Account, path: str, start: DirectoryInode, pending: list[str], *, follow: bool
    ) -> tuple[DirectoryInode, str, Inode | None]:
        """Go down from `start` by the parts `pending`, last first: (directory, name, what the name stands for).

        The first two are a place only if the last link is not followed.  `path` is for errors.
        """
        here, name = start, ""
        found: Inode | None = here
        followed = 0
        while pending:
            if not isinstance(found, DirectoryInode):
                raise failure(errno.ENOENT if found is None else errno.ENOTDIR, path)
            here, name = found, pending.pop()
            found = _step(who, here, name)
            if isinstance(found, LinkInode) and (pending or follow):
                followed += 1
                if followed > MAX_LINKS:
                    raise failure(errno.ELOOP, path)
                pending.extend(_target_parts(found))
                found = here
        return here, name, found

    def _place(self, who: Account, path: str) -> tuple[DirectoryInode, str, Inode | None]:
        if not path:
            raise failure(errno.EBUSY, path)  # the root has no name to change
        return self._walk(who, path, self.root, _split(path), follow=False)

    def _taken_place(self, who: Account, path: str) -> tuple[DirectoryInode, str, Inode]:
        directory, name, found = self._place(who, path)
        if found is None:
            raise failure(errno.ENOENT, path)
        return directory, name, found

    def _free_place(self, who: Account, path: str) -> tuple[DirectoryInode, str]:
        directory, name, found = self._walk(who, path, self.root, _split(path), follow=False)
        if found is not None:
            raise failure(errno.EEXIST, path)
        check_may(who, directory, MAY_WRITE | MAY_SEARCH)
        return directory, name

    def _enter(self, directory: DirectoryInode, name: str, inode: Inode, now_ns: int) -> None:
        directory.children[name] = inode
        directory.write_ns = directory.change_ns = now_ns
        if isinstance(inode, DirectoryInode):
            inode.parent = directory
            directory.links += 1

    def _leave(self, directory: DirectoryInode, name: str, now_ns: int) -> None:
        inode = directory.children.pop(name)
        directory.write_ns = directory.change_ns = now_ns
        inode.change_ns = now_ns
        if isinstance(inode, DirectoryInode):
            directory.links -= 1
            inode.links = 0
            inode.parent = None
        else:
            inode.links -= 1
        self.forget(inode)

    def _move(self, source: DirectoryInode, old_name: str, target: DirectoryInode, new_name: str, now_ns: int) -> None:
        inode = source.children.pop(old_name)
        source.write_ns = source.change_ns = inode.change_ns = now_ns
        if isinstance(inode, DirectoryInode):
            source.links -= 1
        self._enter(target, new_name, inode, now_ns)


def failure(code: int, path: str | None = None) -> OSError:
    """The OSError of that errno; Python makes it the right subclass."""
    return OSError(code, os.strerror(code), path)


def may(who: Account, inode: Inode, wanted: int) -> bool:
    """Whether the mode bits give `who` all of `wanted`, a sum of MAY_READ, MAY_WRITE and MAY_SEARCH."""
    if who.uid == 0:
        return True
    if who.uid == inode.uid:
        granted = inode.mode >> 6
    elif inode.gid == who.gid or inode.gid in who.groups:
        granted = inode.mode >> 3
    else:
        granted = inode.mode
    return wanted & ~granted == 0


def check_may(who: Account, inode: Inode, wanted: int) -> None:
    if not may(who, inode, wanted):
        raise failure(errno.EACCES)


def check_owner(who: Account, inode: Inode) -> None:
    if who.uid not in (0, inode.uid):
        raise failure(errno.EPERM)


def _split(path: str) -> list[str]:
    """The parts, last first.  The core sends none of what is refused here; a port is never fooled all the same."""
    if not path:
        return []
    parts = path.split("/")
    if any(part in ("", ".", "..") or "\0" in part for part in parts):
        raise failure(errno.EINVAL, path)
    parts.reverse()
    return parts


def _target_parts(link: LinkInode) -> list[str]:
    """Where a link leads, last part first.  OSError(EXDEV) if it begins outside."""
    if link.target.startswith("/"):
        raise failure(errno.EXDEV, link.target)
    return [part for part in reversed(link.target.split("/")) if part not in ("", ".")]


def _step(who: Account, here: DirectoryInode, name: str) -> Inode | None:
    """One part of a path, looked up in `here`; ".." comes from links only."""
    check_may(who, here, MAY_SEARCH)
    if name == "..":
        if here.parent is None:
            raise failure(errno.EXDEV, name)
        return here.parent
    if _byte_length(name) > MAX_NAME_BYTES:
        raise failure(errno.ENAMETOOLONG, name)
    return here.children.get(name)


def _byte_length(name: str) -> int:
    if name.isascii():
        return len(name)
    try:
        return len(name.encode("utf-8", "surrogateescape"))
    except UnicodeEncodeError:
        raise failure(errno.EILSEQ) from None


def _group_in(directory: DirectoryInode, who: Account) -> int:
    return directory.gid if directory.mode & SETGID else who.gid


def _is_held_by_sticky(who: Account, place: DirectoryInode, inode: Inode) -> bool:
    return bool(place.mode & STICKY) and who.uid not in (0, place.uid, inode.uid)


def _check_may_leave(who: Account, place: DirectoryInode, inode: Inode) -> None:
    check_may(who, place, MAY_WRITE | MAY_SEARCH)
    if _is_held_by_sticky(who, place, inode):
        raise failure(errno.EPERM)


def _check_may_move(who: Account, inode: DirectoryInode, source: DirectoryInode, target: DirectoryInode) -> None:
    if source is not target:
        check_may(who, inode, MAY_WRITE)  # its ".." changes
    above: DirectoryInode | None = target
    while above is not None:
        if above is inode:
            raise failure(errno.EINVAL)
        above = above.parent


def _check_replaceable(inode: Inode, replaced: Inode, path: str) -> None:
    if isinstance(replaced, DirectoryInode):
        if not isinstance(inode, DirectoryInode):
            raise failure(errno.EISDIR, path)
        if replaced.children:
            raise failure(errno.ENOTEMPTY, path)
    elif isinstance(inode, DirectoryInode):
        raise failure(errno.ENOTDIR, path)
