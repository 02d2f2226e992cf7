"""A volume over the *at() calls of any POSIX system: names are found by the walker, nothing is done inline.

Ports override single methods: where the kernel stays beneath a directory by itself, renames without replacing,
acts as another account, or keeps DOS attributes.
"""

import os
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from errno import (
    EACCES,
    EBUSY,
    EEXIST,
    EILSEQ,
    EINVAL,
    ELOOP,
    EMLINK,
    ENOENT,
    ENOSYS,
    ENOTEMPTY,
    ENOTSUP,
    ENXIO,
    EOPNOTSUPP,
    EPERM,
)
from hashlib import blake2b
from itertools import islice
from stat import S_IFSOCK, S_IMODE, S_ISDIR, S_ISLNK, S_ISREG, S_ISVTX
from typing import ClassVar, Final, TypeVar

from smbport.platform import (
    ACCESS_NONE,
    ACCESS_READ,
    ACCESS_WRITE,
    Account,
    Directory,
    Features,
    File,
    FileKey,
    Kind,
    Space,
    Stat,
    Volume,
    Witness,
)
from smbport.posix.files import NamedDirectory, NamedFile, PosixDirectory, PosixFile
from smbport.posix.nodes import PosixNode, check_wait, make_stat
from smbport.posix.sidestore import SideStore
from smbport.posix.walk import HIDDEN, MAX_RACES, PLAIN, Root, Walker, check_path, error

__all__ = ["CREATE_FLAGS", "LIST", "OPEN_FLAGS", "PosixVolume", "find_features", "find_umask", "may_pass_sticky"]

OPEN_FLAGS: Final = {
    ACCESS_READ: os.O_RDONLY | PLAIN,
    ACCESS_WRITE: os.O_WRONLY | PLAIN,
    ACCESS_READ | ACCESS_WRITE: os.O_RDWR | PLAIN,
}
CREATE_FLAGS: Final = {
    access: flags | os.O_CREAT | os.O_EXCL
    for access, flags in ({ACCESS_NONE: os.O_RDONLY | PLAIN} | OPEN_FLAGS).items()
}
LIST: Final = os.O_RDONLY | os.O_DIRECTORY | PLAIN
NO_LINK: Final = os.O_NOFOLLOW

NO_SECOND_NAME: Final = frozenset((EPERM, ENOSYS, ENOTSUP, EOPNOTSUPP, EMLINK))
"""What link() fails with where a file cannot have another name, as on FAT, or where this one has too many."""

NAMES_TO_TRY: Final = 100  # guessed: few directories have no letter in the first hundred names
AnyNode = TypeVar("AnyNode", bound=PosixNode)
EFFECTIVE_IDS: Final = os.access in os.supports_effective_ids
MAKES_SPECIAL: Final = {os.mkfifo, os.mknod} <= os.supports_dir_fd


class PosixVolume:
    """A directory tree of the host."""

    __slots__ = ("features", "rights", "root", "side", "umask", "walker")
    # Of what kinds the handles are.
    file: ClassVar[type[PosixFile]] = PosixFile
    directory: ClassVar[type[PosixDirectory]] = PosixDirectory
    named_file: ClassVar[type[NamedFile]] = NamedFile
    named_directory: ClassVar[type[NamedDirectory]] = NamedDirectory

    def __init__(self, root: Root, features: Features, umask: int) -> None:
        self.root = root
        self.features = features
        self.umask = umask
        self.walker = Walker(root)
        self.side = SideStore(root)
        # Entered for each call by name, and never twice by one thread: leaving it returns to the server's rights.
        self.rights: AbstractContextManager[None] = nullcontext()

    def acting_as(self, account: Account) -> Volume:
        raise error(ENOTSUP)  # credentials belong to the whole process

    def keep(self, node: AnyNode, parent: int, name: bytes, path: str, *, is_new: bool = False) -> AnyNode:
        """A new handle of what is `name` in the directory `parent`.  A port may add to it; this one has no more."""
        return node

    # What open files ask for

    def stat_open(self, fd: int) -> Stat:
        return make_stat(os.fstat(fd))

    def stat_unmarked(self, fd: int) -> Stat:
        """The same without marks, at once."""
        return make_stat(os.fstat(fd))

    def adopt(self, fd: int) -> File:
        return PosixFile(fd, self)

    def stat_names(self, directory: int, names: Sequence[str]) -> list[Stat | None]:
        found: list[Stat | None] = []
        with self.rights:
            for name in names:
                try:
                    found.append(make_stat(os.stat(name, dir_fd=directory, follow_symlinks=False)))
                except OSError:
                    found.append(None)
        return found

    def store_marks(self, node: PosixNode, dos_attributes: int | None, birth_ns: int | None, *, wait: bool) -> None:
        raise error(ENOTSUP)

    # Looking and opening

    def stat(self, path: str, *, follow: bool = True, marks: bool = True, wait: bool = False) -> Stat:
        check_wait(wait)
        with self.rights:
            parent, _, found = self._look(check_path(path), follow=follow)
        os.close(parent)
        return make_stat(found)

    def open(self, path: str, access: int, *, follow: bool = True, wait: bool = False) -> File | Directory:
        check_wait(wait)
        with self.rights:
            parent, name, found = self._look(check_path(path), follow=follow)
            try:
                if S_ISDIR(found.st_mode):
                    return self.keep(self._open_directory(parent, name, found, path, access), parent, name, path)
                if access == ACCESS_NONE:
                    return self.keep(self._open_without_access(parent, name, found), parent, name, path)
                file = self.file(open_regular(parent, name, found, OPEN_FLAGS[access]), self)
                return self.keep(file, parent, name, path)
            finally:
                os.close(parent)

    def _look(self, path: bytes, *, follow: bool) -> tuple[int, bytes, os.stat_result]:
        """Find `path`: its directory, to be closed by the caller, its last part, and what that is."""
        for _ in range(MAX_RACES):
            parent, name = self.walker.find(path, follow=follow)
            try:
                found = os.stat(name, dir_fd=parent, follow_symlinks=False)
            except OSError:
                os.close(parent)
                raise
            if not follow or not S_ISLNK(found.st_mode):
                return parent, name, found
            os.close(parent)  # it was no link a moment ago
        raise error(ELOOP)

    def _open_directory(
        self, parent: int, name: bytes, found: os.stat_result, path: str, access: int
    ) -> PosixDirectory:
        try:
            return self.directory(os.open(name, LIST | NO_LINK, dir_fd=parent), self, path)
        except PermissionError:
            if access & ACCESS_READ:
                raise
            return self.named_directory(os.dup(parent), name, make_stat(found), self, path)

    def _open_without_access(self, parent: int, name: bytes, found: os.stat_result) -> PosixFile:
        """A descriptor of a regular file even so, if it can be had: it stays good when the name goes."""
        if S_ISREG(found.st_mode):
            for access in (ACCESS_READ, ACCESS_WRITE):
                with suppress(PermissionError):
                    return self.file(open_regular(parent, name, found, OPEN_FLAGS[access]), self)
        return self.named_file(os.dup(parent), name, make_stat(found), self)

    # Changing names

    def create(self, path: str, access: int, mode: int, *, witness: Witness | None = None, wait: bool = False) -> File:
        check_wait(wait)
        if not path:
            raise error(EEXIST)
        with self.rights:
            parent, name = self.walker.parent(check_path(path))
            try:
                self.show_before(witness, parent)
                fd = os.open(name, CREATE_FLAGS[access] | NO_LINK, mode, dir_fd=parent)
                self.show_after(witness, parent)
                self.complete_mode(fd, mode)
                return self.keep(self.file(fd, self), parent, name, path, is_new=True)
            finally:
                os.close(parent)

    def make_directory(self, path: str, mode: int, *, witness: Witness | None = None, wait: bool = False) -> Directory:
        check_wait(wait)
        if not path:
            raise error(EEXIST)
        with self.rights:
            parent, name = self.walker.parent(check_path(path))
            try:
                self.show_before(witness, parent)
                os.mkdir(name, mode, dir_fd=parent)
                self.show_after(witness, parent)
                with suppress(PermissionError):
                    fd = os.open(name, LIST | NO_LINK, dir_fd=parent)
                    self.complete_mode(fd, mode)
                    return self.keep(self.directory(fd, self, path), parent, name, path, is_new=True)
                made = make_stat(os.stat(name, dir_fd=parent, follow_symlinks=False))
                named = self.named_directory(os.dup(parent), name, made, self, path)
                return self.keep(named, parent, name, path, is_new=True)
            finally:
                os.close(parent)

    def complete_mode(self, fd: int, mode: int) -> None:
        """Give something new the bits that the process' umask has taken."""
        if mode & self.umask:
            try:
                os.fchmod(fd, S_IMODE(os.fstat(fd).st_mode) | mode)  # what is set already may be the directory's wish
            except OSError:
                os.close(fd)
                raise

    def show_before(self, witness: Witness | None, directory: int) -> None:
        if witness is not None:
            witness.before(self.stat_unmarked(directory))

    def show_after(self, witness: Witness | None, directory: int) -> None:
        if witness is None:
            return
        try:
            state = self.stat_unmarked(directory)
        except OSError:  # the change is made all the same
            return
        witness.after(state)

    def rename(self, old: str, new: str, *, replace: bool, wait: bool = False) -> None:
        check_wait(wait)
        with self.rights:
            old_parent, old_name = self.walker.parent(check_path(old))
            try:
                new_parent, new_name = self.walker.parent(check_path(new))
                try:
                    if replace:
                        with self.side.following(new_parent, new_name):
                            os.rename(old_name, new_name, src_dir_fd=old_parent, dst_dir_fd=new_parent)
                    else:
                        self.rename_exclusive(old_parent, old_name, new_parent, new_name)
                finally:
                    os.close(new_parent)
            finally:
                os.close(old_parent)

    def rename_exclusive(self, old_parent: int, old: bytes, new_parent: int, new: bytes) -> None:
        """Rename without replacing.  A second name is exclusive; where there can be none, `new` is looked for."""
        if not S_ISDIR(os.stat(old, dir_fd=old_parent, follow_symlinks=False).st_mode):
            try:
                os.link(old, new, src_dir_fd=old_parent, dst_dir_fd=new_parent, follow_symlinks=False)
            except OSError as reason:
                if reason.errno not in NO_SECOND_NAME:
                    raise
            else:
                os.unlink(old, dir_fd=old_parent)
                return
        with suppress(FileNotFoundError):
            os.stat(new, dir_fd=new_parent, follow_symlinks=False)
            raise error(EEXIST)
        os.rename(old, new, src_dir_fd=old_parent, dst_dir_fd=new_parent)

    def link(self, old: str, new: str, *, wait: bool = False) -> None:
        check_wait(wait)
        with self.rights:
            old_parent, old_name = self.walker.parent(check_path(old))
            try:
                new_parent, new_name = self.walker.parent(check_path(new))
                try:
                    os.link(old_name, new_name, src_dir_fd=old_parent, dst_dir_fd=new_parent, follow_symlinks=False)
                finally:
                    os.close(new_parent)
            finally:
                os.close(old_parent)

    def symlink(self, path: str, target: str, *, wait: bool = False) -> None:
        check_wait(wait)
        if not target or "\0" in target:
            raise error(EINVAL)
        if HIDDEN in target.lower():
            raise error(EACCES)
        try:
            encoded = os.fsencode(target)
        except UnicodeEncodeError:
            raise error(EILSEQ) from None
        with self.rights:
            parent, name = self.walker.parent(check_path(path))
            try:
                os.symlink(encoded, name, dir_fd=parent)
            finally:
                os.close(parent)

    def make_special(self, path: str, kind: int, mode: int, *, wait: bool = False) -> None:
        check_wait(wait)
        if not MAKES_SPECIAL:
            raise error(EPERM)
        with self.rights:
            parent, name = self.walker.parent(check_path(path))
            try:
                if kind == Kind.FIFO:
                    os.mkfifo(name, mode, dir_fd=parent)
                else:
                    os.mknod(name, S_IFSOCK | mode, dir_fd=parent)
            finally:
                os.close(parent)

    def read_link(self, path: str, *, wait: bool = False) -> str:
        check_wait(wait)
        with self.rights:
            parent, name = self.walker.parent(check_path(path))
            try:
                return os.fsdecode(os.readlink(name, dir_fd=parent))
            finally:
                os.close(parent)

    def remove(
        self, path: str, key: FileKey, *, directory: bool = False, witness: Witness | None = None, wait: bool = False
    ) -> None:
        # Between the comparison and the removal somebody can put another file there; POSIX has no call that
        # removes a file "if it still is".
        check_wait(wait)
        encoded = check_path(path)
        with self.rights:
            parent, name = self.walker.parent(encoded)
            try:
                found = os.stat(name, dir_fd=parent, follow_symlinks=False)
                is_link = S_ISLNK(found.st_mode)
                if (found.st_dev, found.st_ino) != key and not (is_link and self._leads_to(encoded, key)):
                    raise error(ENOENT)
                self.show_before(witness, parent)
                with self.side.following(parent, name):
                    if directory and not is_link:
                        remove_directory(name, parent)
                    else:
                        os.unlink(name, dir_fd=parent)
                self.show_after(witness, parent)
            finally:
                os.close(parent)

    def _leads_to(self, path: bytes, key: FileKey) -> bool:
        """Whether a link stands for the file `key`."""
        parent, _, found = self._look(path, follow=True)
        os.close(parent)
        return (found.st_dev, found.st_ino) == key

    def may_remove(self, path: str, *, wait: bool = False) -> bool:
        check_wait(wait)
        if not path:
            return False
        with self.rights:
            parent, name = self.walker.parent(check_path(path))
            try:
                may_change = os.access(b".", os.W_OK | os.X_OK, dir_fd=parent, effective_ids=EFFECTIVE_IDS)
                return may_change and may_pass_sticky(parent, name, os.geteuid())
            finally:
                os.close(parent)

    # The volume as a whole

    def sync_directory_of(self, path: str, *, wait: bool = False) -> None:
        # As the server: to wait for a disk takes no right, but opening a directory takes the right to list it.
        check_wait(wait)
        parent, _ = self.walker.find(check_path(path), follow=False)
        try:
            fd = os.open(b".", LIST, dir_fd=parent)
        finally:
            os.close(parent)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def space(self, *, wait: bool = False) -> Space:
        check_wait(wait)
        found = os.fstatvfs(self.root.fd)
        unit = found.f_frsize
        return Space(found.f_blocks * unit, found.f_bfree * unit, found.f_bavail * unit, unit)

    def close(self) -> None:
        self.root.close()


def open_regular(parent: int, name: bytes, found: os.stat_result, flags: int) -> int:
    """Open what was found to be a regular file, and see that it still is one."""
    if S_ISLNK(found.st_mode):
        raise error(ELOOP)
    if not S_ISREG(found.st_mode):
        raise error(ENXIO)  # before an open: that alone can rewind a tape
    try:
        fd = os.open(name, flags | NO_LINK, dir_fd=parent)
    except BlockingIOError:
        raise error(EBUSY) from None  # a local program's lease, where there are such things
    if not S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise error(ENXIO)
    return fd


def remove_directory(name: bytes, parent: int) -> None:
    """Remove an empty directory; for one that is not, POSIX lets systems choose between two errors."""
    try:
        os.rmdir(name, dir_fd=parent)
    except FileExistsError:
        raise error(ENOTEMPTY) from None


def may_pass_sticky(parent: int, name: bytes, uid: int) -> bool:
    """Whether the sticky bit of a directory, if set, lets `uid` remove the entry `name`."""
    directory = os.stat(b".", dir_fd=parent)
    if not directory.st_mode & S_ISVTX or uid in (0, directory.st_uid):
        return True
    return os.stat(name, dir_fd=parent, follow_symlinks=False).st_uid == uid


def find_umask() -> int:
    """The process' umask; for a moment it is another one, so call this before there are threads."""
    umask = os.umask(0o077)
    os.umask(umask)
    return umask


def find_case_sensitivity(root: Root) -> bool:
    """Whether names that differ in case are two files, judged by what is there; True if nothing tells."""
    try:
        with os.scandir(root.path) as scan:
            names = [entry.name for entry in islice(scan, NAMES_TO_TRY)]
    except PermissionError:
        return True
    for name in names:
        other = name.swapcase()
        if other != name and other not in names:
            try:
                return not os.path.samestat(
                    os.stat(name, dir_fd=root.fd, follow_symlinks=False),
                    os.stat(other, dir_fd=root.fd, follow_symlinks=False),
                )
            except FileNotFoundError:
                return True
    return True


def find_features(root: Root) -> Features:
    """What every POSIX system can say about a volume."""
    found = os.fstatvfs(root.fd)
    return Features(
        file_system="POSIX",
        read_only=bool(found.f_flag & os.ST_RDONLY),
        case_sensitive=find_case_sensitivity(root),
        max_name_bytes=found.f_namemax,
        serial=found.f_fsid or int.from_bytes(blake2b(root.path, digest_size=8).digest(), "big"),
    )
