"""What a volume of a system without extended attributes keeps beside its files, in an `AttributeStore`.

DOS attributes and creation times, the powers `attributes` and `streams`, and the descriptors of the power `acl`.
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from errno import E2BIG, EACCES, EEXIST, EINVAL, ENOTSUP, EPERM
from stat import S_ISDIR, S_ISREG
from threading import Lock
from typing import Final, TypeVar

from smbport.platform import AclEntry, Directory, Entry, Features, Node, Stat
from smbport.posix.attribute_file import DATABASE
from smbport.posix.attribute_store import AttributeStore, Record
from smbport.posix.attributes import is_public
from smbport.posix.files import NamedDirectory, NamedFile, PosixDirectory, PosixFile
from smbport.posix.marks import MARKED_KINDS, add_marks
from smbport.posix.nodes import PosixNode, check_wait, make_stat
from smbport.posix.sidestore import LOOK, SideStore
from smbport.posix.streams import MARK, AttributeStreams
from smbport.posix.volume import PosixVolume
from smbport.posix.walk import HIDDEN, Root, check_path, error

__all__ = ["KeptAcl", "KeptAttributes", "KeptVolume", "AttributeStores", "kept_streams"]

AnyNode = TypeVar("AnyNode", bound=PosixNode)

# What the names of attributes begin with in the store.
PUBLIC: Final = "user."
STREAM: Final = "stream."
DESCRIPTOR: Final = "acl."

MAX_VALUE: Final = 65536  # as on Linux
MAX_STREAM: Final = 16384  # bytes; docs/porting/qnx.md has the measurement
MAX_STREAM_NAME: Final = 1024  # bytes, of which NTFS' 255 letters take at most 765

MAY_READ: Final = 4
MAY_WRITE: Final = 2


class AttributeStores:
    """The stores of the volumes that are open: two volumes with one root share theirs."""

    __slots__ = ("_lock", "_open")

    def __init__(self) -> None:
        self._lock = Lock()
        self._open: dict[tuple[int, int], AttributeStore] = {}

    def find(self, root: Root, features: Features) -> AttributeStore | None:
        """One user more of a root's store; None if nothing can be written there.

        OSError with a sentence if there is one that cannot be used.
        """
        found = os.fstat(root.fd)
        key = (found.st_dev, found.st_ino)
        with self._lock:
            store = self._open.get(key)
            if store is None:
                has_one = os.path.lexists(os.path.join(root.path, os.fsencode(HIDDEN), os.fsencode(DATABASE)))
                if not has_one and (features.read_only or not os.access(root.path, os.W_OK | os.X_OK)):
                    return None
                store = AttributeStore(root)
                store.sweep(names_content, KeptSide(root, store).remove)
                self._open[key] = store
            store.volumes += 1
        return store

    def let_go(self, store: AttributeStore) -> None:
        """One user less."""
        with self._lock:
            store.volumes -= 1
            if not store.volumes:
                del self._open[store.key]
                store.close()


def names_content(token: str, values: Iterable[bytes]) -> bool:
    return MARK + token.encode() in values


class KeptSide(SideStore):
    """The side store of a volume whose store of attributes knows of every content."""

    __slots__ = ("_store",)

    def __init__(self, root: Root, store: AttributeStore) -> None:
        super().__init__(root)
        self._store = store

    def create(self, inode: int) -> tuple[str, int]:
        token, fd = super().create(inode)
        try:
            self._store.note_content(inode, token)
        except OSError:
            os.close(fd)
            super().remove(inode, token)
            raise
        return token, fd

    def link(self, inode: int, token: str) -> str:
        other = super().link(inode, token)
        self._store.note_content(inode, other)
        return other

    def remove(self, inode: int, token: str) -> None:
        self._store.sync()  # what leads elsewhere now must do so after a power failure, too
        super().remove(inode, token)
        self._store.drop_content(inode, token)

    @contextmanager
    def following(self, directory: int, name: bytes) -> Iterator[None]:
        """Around whatever may take a file's last name: then all that belongs to it goes.

        It is held open meanwhile, if it can be, so that no other can have its inode.
        """
        fd, before = -1, None
        with suppress(OSError):
            before = os.stat(name, dir_fd=directory, follow_symlinks=False)
            if before.st_dev == self._store.device and (S_ISREG(before.st_mode) or S_ISDIR(before.st_mode)):
                fd = os.open(name, LOOK, dir_fd=directory)
        try:
            yield
            if before is not None and before.st_dev == self._store.device and was_last(directory, name, before, fd):
                if self.exists:
                    self._clear(before.st_ino)
                with suppress(OSError):  # what is left over is nobody's, and found by a sweep
                    self._store.forget(before.st_ino)
        finally:
            if fd >= 0:
                os.close(fd)


def was_last(directory: int, name: bytes, before: os.stat_result, fd: int) -> bool:
    """Whether the name that a file had was its last."""
    with suppress(OSError):
        now = os.stat(name, dir_fd=directory, follow_symlinks=False)
        if (now.st_dev, now.st_ino) == (before.st_dev, before.st_ino):
            return False  # another name of the same file took its place, or this was its name in another case
    if S_ISDIR(before.st_mode):
        return True
    return (os.fstat(fd).st_nlink if fd >= 0 else before.st_nlink - 1) == 0


class Kept(PosixNode):
    """A handle with what the store has of its file."""

    __slots__ = ()
    record: Record | None  # None where nothing can be kept: in another file system, for a link, a device …

    def stat(self) -> Stat:
        stat = super().stat()
        if self.record is not None:
            add_marks(stat, self.record.marks)
        return stat

    def sync(self, *, wait: bool = False) -> None:
        super().sync(wait=wait)
        if self.record is not None:
            self.record.store.sync(self.record, self.look())

    def close(self) -> None:
        if self.record is not None and self._fd >= 0:
            self.record.store.release(self.record, self.look())
        super().close()

    def look(self) -> os.stat_result | None:
        """How the file is; None if this handle cannot have changed it."""
        return os.fstat(self._fd)


class KeptFile(Kept, PosixFile):
    """An open file."""

    __slots__ = ("record",)


class KeptDirectory(Kept, PosixDirectory):
    """An open directory."""

    __slots__ = ("record",)

    def listable(self) -> int:
        return self._listable()


class KeptNamedFile(Kept, NamedFile):
    """What is known by its name only."""

    __slots__ = ("record",)

    def look(self) -> None:
        return None


class KeptNamedDirectory(Kept, NamedDirectory):
    """A directory that is known by its name only."""

    __slots__ = ("record",)

    def look(self) -> None:
        return None


class KeptVolume(PosixVolume):
    """A directory tree of the host, and the store of what belongs to its files."""

    __slots__ = ("_stores", "store")
    file = KeptFile
    directory = KeptDirectory
    named_file = KeptNamedFile
    named_directory = KeptNamedDirectory

    def __init__(
        self, root: Root, features: Features, umask: int, stores: AttributeStores, store: AttributeStore
    ) -> None:
        super().__init__(root, replace(features, stores_marks=True, streams=True), umask)
        self._stores = stores
        self.store = store
        self.side = KeptSide(root, store)

    def keep(self, node: AnyNode, parent: int, name: bytes, path: str, *, is_new: bool = False) -> AnyNode:
        assert isinstance(node, Kept)
        node.record = None
        try:
            target, directory = node.where()
            found = os.stat(target, dir_fd=directory, follow_symlinks=directory is None)
            if found.st_dev == self.store.device and (S_ISREG(found.st_mode) or S_ISDIR(found.st_mode)):
                node.record = self.store.hold(found, parent, name, check_path(path), is_new=is_new)
        except OSError:
            node.close()
            raise
        return node

    def stat(self, path: str, *, follow: bool = True, marks: bool = True, wait: bool = False) -> Stat:
        check_wait(wait)
        with self.rights:
            parent, name, found = self._look(check_path(path), follow=follow)
        try:
            if not marks:
                return make_stat(found)
            [stat] = self._states([found], [name], parent)
        finally:
            os.close(parent)
        assert stat is not None
        return stat

    def stat_names(self, directory: int, names: Sequence[str]) -> list[Stat | None]:
        encoded = [os.fsencode(name) for name in names]
        return self._states(look_at(directory, encoded), encoded, directory)

    def _states(
        self, found: Sequence[os.stat_result | None], names: Sequence[bytes], directory: int
    ) -> list[Stat | None]:
        states = [make_stat(each) if each is not None else None for each in found]
        for stat, marks in zip(states, self.store.find_marks(found, names, directory), strict=True):
            if stat is not None and stat.kind in MARKED_KINDS:
                add_marks(stat, marks)
        return states

    def store_marks(self, node: PosixNode, dos_attributes: int | None, birth_ns: int | None, *, wait: bool) -> None:
        record = record_of(node)
        stat = node.stat()
        if stat.uid != os.geteuid():
            check_mode(stat, MAY_WRITE)
        record.store.set_marks(record, dos_attributes, birth_ns)

    def rename(self, old: str, new: str, *, replace: bool, wait: bool = False) -> None:
        super().rename(old, new, replace=replace, wait=wait)
        parent, name = self.walker.parent(check_path(new))
        try:
            with suppress(OSError):  # somebody has moved it on, or the store has to do without this hint
                found = os.stat(name, dir_fd=parent, follow_symlinks=False)
                if found.st_dev == self.store.device:
                    paths, is_directory = (check_path(old), check_path(new)), S_ISDIR(found.st_mode)
                    self.store.moved(found.st_ino, parent, *paths, is_directory=is_directory)
        finally:
            os.close(parent)

    def close(self) -> None:
        self._stores.let_go(self.store)
        super().close()


def look_at(directory: int, names: Sequence[bytes]) -> list[os.stat_result | None]:
    """The state of each name; None where there is none."""
    found: list[os.stat_result | None] = []
    for name in names:
        try:
            found.append(os.stat(name, dir_fd=directory, follow_symlinks=False))
        except OSError:
            found.append(None)
    return found


def record_of(node: Node) -> Record:
    """OSError(ENOTSUP) if nothing can be kept of it."""
    record = find_record(node)
    if record is None:
        raise error(ENOTSUP)
    return record


def find_record(node: Node) -> Record | None:
    """None if nothing can be kept of it."""
    if not isinstance(node, PosixNode):
        raise error(EINVAL)
    return node.record if isinstance(node, Kept) else None


def attributes_of(node: Node) -> Mapping[str, bytes]:
    """What is kept, with what the names begin with."""
    record = find_record(node)
    return record.attributes if record is not None else {}


def check_mode(stat: Stat, right: int) -> None:
    """PermissionError if the mode does not let this process do it, as systems ask it of their attributes."""
    uid = os.geteuid()
    shift = 6 if uid == stat.uid else 3 if stat.gid in (os.getegid(), *os.getgroups()) else 0
    if uid and not stat.mode >> shift & right:
        raise error(EACCES)


def check_text(name: str) -> None:
    if "\0" in name or not is_text(name):
        raise error(EINVAL)


def is_text(name: str) -> bool:
    return not any("\ud800" <= letter <= "\udfff" for letter in name)


class KeptAttributes:
    """The power `attributes`."""

    __slots__ = ()
    max_value = MAX_VALUE

    def names(self, node: Node, *, seen: Stat | None = None, wait: bool = False) -> list[str]:
        return [name.removeprefix(PUBLIC) for name in attributes_of(node) if name.startswith(PUBLIC)]

    def get(self, node: Node, name: str, *, wait: bool = False) -> bytes | None:
        value = attributes_of(node).get(PUBLIC + name)
        if value is not None:
            check_mode(node.stat(), MAY_READ)
        return value

    def lengths(
        self, directory: Directory, entries: Sequence[Entry], *, wait: bool = False
    ) -> list[Mapping[str, int] | None]:
        check_wait(wait)
        if not isinstance(directory, KeptDirectory) or directory.record is None:
            return [None] * len(entries)
        fd, encoded = directory.listable(), [os.fsencode(name) for name, _ in entries]
        states = look_at(fd, encoded)
        found = directory.record.store.find_lengths(states, encoded, fd, PUBLIC)
        return [None if is_other(state) else lengths for state, lengths in zip(states, found, strict=True)]

    def set(self, node: Node, name: str, value: bytes, *, wait: bool = False) -> None:
        check_wait(wait)
        check_text(name)
        if not is_public(name):
            raise error(EPERM)  # what other ports, smbd and ksmbd keep under such names is none of the client's
        if len(value) > MAX_VALUE:
            raise error(E2BIG)
        record = record_of(node)
        check_mode(node.stat(), MAY_WRITE)
        record.store.set_attribute(record, PUBLIC + name, value)

    def remove(self, node: Node, name: str, *, wait: bool = False) -> None:
        check_wait(wait)
        record = record_of(node)
        check_mode(node.stat(), MAY_WRITE)
        record.store.remove_attribute(record, PUBLIC + name)


class KeptValues:
    """Where the named streams of `AttributeStreams` are kept.  Who may use one was decided when it was opened."""

    __slots__ = ()
    max_value = MAX_STREAM
    max_name = MAX_STREAM_NAME

    def names(self, node: PosixNode) -> list[str]:
        return [name.removeprefix(STREAM) for name in attributes_of(node) if name.startswith(STREAM)]

    def get(self, node: PosixNode, name: str) -> bytes | None:
        return attributes_of(node).get(STREAM + name)

    def create(self, node: PosixNode, name: str, value: bytes) -> None:
        check_mode(node.stat(), MAY_WRITE)
        self.set(node, name, value, replace=False)

    def set(self, node: PosixNode, name: str, value: bytes, *, replace: bool = True) -> None:
        record = record_of(node)
        if not replace and STREAM + name in record.attributes:
            raise error(EEXIST)
        record.store.set_attribute(record, STREAM + name, value)

    def remove(self, node: PosixNode, name: str) -> None:
        record = record_of(node)
        record.store.remove_attribute(record, STREAM + name)


class KeptAcl:
    """The power `acl`: room for descriptors.  What lists a file system has, a port may know."""

    __slots__ = ()
    names: Sequence[str] = ("security.NTACL", "user.NTACL")

    def lists(self, node: Node, *, wait: bool = False) -> tuple[Sequence[AclEntry], Sequence[AclEntry]]:
        return (), ()

    def set_list(self, node: Node, acl: Sequence[AclEntry], *, wait: bool = False) -> None:
        if acl:
            raise error(ENOTSUP)

    def descriptor(self, node: Node, name: str, *, wait: bool = False) -> bytes | None:
        return attributes_of(node).get(DESCRIPTOR + name)

    def set_descriptor(self, node: Node, name: str, value: bytes, *, wait: bool = False) -> None:
        check_wait(wait)
        record = record_of(node)
        record.store.set_attribute(record, DESCRIPTOR + name, value)


def kept_streams() -> AttributeStreams:
    """The power `streams`."""
    return AttributeStreams(KeptValues())


def is_other(found: os.stat_result | None) -> bool:
    """Whether an entry is something that has no attributes of its own here."""
    return found is not None and not (S_ISREG(found.st_mode) or S_ISDIR(found.st_mode))
