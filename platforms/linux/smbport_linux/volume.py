"""A volume of Linux: names found by openat2, states by statx, marks in an attribute, changes by the user."""

import copy
import os
from collections.abc import Sequence
from dataclasses import replace
from errno import EAGAIN, EEXIST, EINVAL, ENOSYS, ENXIO, EOPNOTSUPP
from mmap import PAGESIZE
from stat import S_IMODE, S_ISREG, S_ISVTX
from threading import Lock
from typing import Final

from smbport.platform import (
    ACCESS_READ,
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
from smbport.posix.dosattrib import ATTRIBUTE_NAME, NO_MARKS, Marks, pack_marks
from smbport.posix.gate import ChangeGate
from smbport.posix.marks import MARKED_KINDS, MarkCache, Unchanged, add_marks
from smbport.posix.nodes import PosixNode, check_wait
from smbport.posix.orphans import Sweeper
from smbport.posix.sidestore import SideStore
from smbport.posix.volume import CREATE_FLAGS, LIST, OPEN_FLAGS, PosixVolume, find_features, may_pass_sticky
from smbport.posix.walk import Root, Walker, check_path, error
from smbport_linux.beneath import Opener, knows_cached_names
from smbport_linux.calls import STATX_ATTR_COMPRESSED, Credentials, may_change, rename_noreplace
from smbport_linux.clone import REFLINK_FILE_SYSTEMS
from smbport_linux.compression import COMPRESSING_FILE_SYSTEMS
from smbport_linux.directories import LinuxDirectory
from smbport_linux.files import READS_NOWAIT, READS_PLAIN, LinuxFile
from smbport_linux.handles import find_handles
from smbport_linux.identity import Rights
from smbport_linux.inline import INLINE_WRITE, LOCAL_FILE_SYSTEMS, MEMORY_FILE_SYSTEMS
from smbport_linux.mounts import find_file_system
from smbport_linux.sparse import HOLE_FILE_SYSTEMS
from smbport_linux.stats import read_entry_marks, read_entry_states, read_marks, read_open_state, tells_birth

__all__ = ["LinuxVolume", "find_linux_features"]

PATH_ONLY: Final = os.O_PATH | os.O_CLOEXEC
CASELESS_FILE_SYSTEMS: Final = frozenset(("exfat", "msdos", "vfat"))  # also where no name is there to tell


class LinuxVolume(PosixVolume):
    """A directory tree of the host."""

    __slots__ = (
        "_compressed", "_device", "_handles", "_is_view", "_marks", "_marks_lock", "_opener", "_own", "_reads",
        "_sweeper", "_uid", "bare", "gate", "page_size",
    )  # fmt: skip

    def __init__(self, root: Root, features: Features, umask: int, walker: Walker, own: Credentials) -> None:
        super().__init__(root, features, umask)
        self.walker = walker
        self.gate = ChangeGate()
        self.page_size = max(PAGESIZE, os.fstatvfs(root.fd).f_bsize)
        self._compressed = STATX_ATTR_COMPRESSED if features.compression else 0
        self._device = os.fstat(root.fd).st_dev
        self._reads = READS_PLAIN if features.file_system in MEMORY_FILE_SYSTEMS else READS_NOWAIT
        self._marks = MarkCache()
        self._marks_lock = Lock()
        self.bare = Unchanged[bool]()
        self._own = own
        self._uid = own.uid_number
        self._is_view = False
        self._opener: Opener | None = None  # to find names inline
        if features.inline_io and isinstance(walker, Opener) and knows_cached_names():
            self._opener = walker
        self._handles = find_handles(root, features)
        self.side = SideStore(root, self._handles)
        self._sweeper: Sweeper | None = None

    def sweep(self) -> None:
        """Remove what local programs have left in the side store when they removed files, meanwhile and in a thread."""
        if self._handles is not None and self.side.exists and not self.features.read_only:
            self._sweeper = Sweeper(self.root, self._handles)

    def acting_as(self, account: Account) -> Volume:
        view = copy.copy(self)
        view._is_view = True
        view._uid = account.uid
        if (account.uid, account.gid) == (0, self._own.gid_number) and self._own.uid_number == 0:
            return view  # root as root: its further groups give it nothing
        view.rights = Rights(Credentials(account.uid, account.gid, account.groups), self._own)
        return view

    # What open files ask for.  Marks are read as the server: whoever may see a file may see that it is hidden,
    # also if its permissions do not let him read user attributes.

    def state(self, fd: int, *, path_only: bool) -> Stat:
        stat = self.stat_unmarked(fd)
        self._mark(stat, fd, path_only=path_only)
        return stat

    def _mark(self, stat: Stat, fd: int, *, path_only: bool) -> None:
        if self.features.stores_marks and stat.kind in MARKED_KINDS:
            marks = self._marks.find(stat)
            if marks is None:
                marks = read_marks(f"/proc/self/fd/{fd}" if path_only else fd)
                self._marks.keep(stat, marks)
            add_marks(stat, marks)

    def stat_unmarked(self, fd: int) -> Stat:
        return read_open_state(fd, self._compressed)

    def adopt(self, fd: int) -> File:
        return self._new_file(fd, os.fstat(fd).st_dev)

    def stat_names(self, directory: int, names: Sequence[str]) -> list[Stat | None]:
        encoded = [os.fsencode(name) for name in names]
        with self.rights:
            found = read_entry_states(directory, encoded, self._compressed)
        if self.features.stores_marks:
            self._add_entry_marks(directory, encoded, found)
        return found

    def _add_entry_marks(self, directory: int, names: list[bytes], found: list[Stat | None]) -> None:
        unknown = self._marks.add_known(names, found)
        if unknown:
            read = read_entry_marks(directory, [name for name, _ in unknown])
            for (_, stat), marks in zip(unknown, read, strict=True):
                self._marks.keep(stat, marks)
                add_marks(stat, marks)

    def store_marks(self, node: PosixNode, dos_attributes: int | None, birth_ns: int | None, *, wait: bool) -> None:
        target, _ = node.where()
        if not self._marks_lock.acquire(blocking=wait):
            raise error(EAGAIN)
        try:
            if isinstance(node, LinuxFile) and node.made_with is not None:
                node.made_with = self._store_first_marks(target, Marks(dos_attributes, birth_ns))
                if node.made_with is not None:
                    return
            stored = read_marks(target)
            marks = stored.changed(dos_attributes, birth_ns)
            if marks != stored:
                with self.rights:
                    os.setxattr(target, ATTRIBUTE_NAME, pack_marks(marks))
        finally:
            self._marks_lock.release()

    def _store_first_marks(self, target: int | str | bytes, marks: Marks) -> Marks | None:
        """Store the marks of what was just made, if nothing is there yet; None if there is."""
        if marks == NO_MARKS:
            return marks
        try:
            with self.rights:
                os.setxattr(target, ATTRIBUTE_NAME, pack_marks(marks), os.XATTR_CREATE)
        except FileExistsError:
            return None
        return marks

    # Looking and opening

    def stat(self, path: str, *, follow: bool = True, marks: bool = True, wait: bool = False) -> Stat:
        with self.rights:
            fd = self._open(check_path(path), PATH_ONLY, follow=follow, wait=wait)
        try:
            return self.state(fd, path_only=True) if marks else self.stat_unmarked(fd)
        finally:
            os.close(fd)

    def open(self, path: str, access: int, *, follow: bool = True, wait: bool = False) -> File | Directory:
        with self.rights:
            fd, path_only = self._open_anything(check_path(path), access, follow=follow, wait=wait)
            try:
                first = self.stat_unmarked(fd)
                if path_only and first.kind == Kind.DIRECTORY:
                    fd, path_only = make_listable(fd)
            except OSError:
                os.close(fd)
                raise
        if access and first.kind not in (Kind.FILE, Kind.DIRECTORY):
            os.close(fd)
            raise error(ENXIO)
        self._mark(first, fd, path_only=path_only)
        if first.kind == Kind.DIRECTORY:
            return self._new_directory(fd, path, first.key.device, path_only=path_only, first=first)
        return self._new_file(fd, first.key.device, path_only=path_only, first=first)

    def _open_anything(self, path: bytes, access: int, *, follow: bool, wait: bool) -> tuple[int, bool]:
        """A descriptor of what `path` names, and whether it is O_PATH only."""
        if not access:
            return self._open(path, PATH_ONLY, follow=follow, wait=wait), True
        try:
            return self._open(path, OPEN_FLAGS[access], follow=follow, wait=wait), False
        except IsADirectoryError:
            if access & ACCESS_READ:
                return self._open(path, LIST, follow=follow, wait=wait), False
            return self._open(path, PATH_ONLY | os.O_DIRECTORY, follow=follow, wait=wait), True

    def _open(self, path: bytes, flags: int, *, follow: bool, wait: bool) -> int:
        if not wait:
            if self._opener is None:
                raise error(EAGAIN)
            return self._opener.open_cached(path, flags, follow=follow)
        try:
            return self.walker.open(path, flags, follow=follow)
        except BlockingIOError:
            return self._open_leased(path, flags, follow=follow)

    def _open_leased(self, path: bytes, flags: int, *, follow: bool) -> int:
        """Wait until a local program has given back its lease (fcntl F_SETLEASE); the kernel sees to it."""
        fd = self.walker.open(path, PATH_ONLY, follow=follow)
        try:
            if not S_ISREG(os.fstat(fd).st_mode):
                raise error(ENXIO)
            return os.open(f"/proc/self/fd/{fd}", flags & ~os.O_NONBLOCK)
        finally:
            os.close(fd)

    def _new_file(self, fd: int, device: int, *, path_only: bool = False, first: Stat | None = None) -> LinuxFile:
        own = device == self._device
        # In another file system mounted below this one, the kernel says what RWF_NOWAIT may read.
        reads = self._reads if own else READS_NOWAIT
        return LinuxFile(fd, self, reads, inline=own and self.features.inline_io, path_only=path_only, first=first)

    def _new_directory(
        self, fd: int, path: str, device: int, *, path_only: bool, first: Stat | None = None
    ) -> LinuxDirectory:
        inline = device == self._device and self.features.inline_io
        return LinuxDirectory(fd, self, path, inline=inline, path_only=path_only, first=first)

    # Changing names

    def create(self, path: str, access: int, mode: int, *, witness: Witness | None = None, wait: bool = False) -> File:
        if not path:
            raise error(EEXIST)
        encoded = check_path(path)
        entered_ns = 0 if wait else self.gate.enter()
        with self.rights:
            # Without waiting, if its directory is found so: where the name goes, a file system mostly knows, too.
            parent, name = self._parent(encoded, wait=wait)
            try:
                self.show_before(witness, parent)
                fd = os.open(name, CREATE_FLAGS[access] | os.O_NOFOLLOW, mode, dir_fd=parent)
                self.show_after(witness, parent)
                self._complete_mode(fd, parent, mode)
            finally:
                self._leave(parent, encoded, wait=wait)
        if wait:
            made = self._new_file(fd, os.fstat(fd).st_dev)
        else:
            self.gate.leave(entered_ns, 0)
            made = self._new_file(fd, self._device)  # `_parent` comes into no other file system
        made.made_with = NO_MARKS
        return made

    def remove(
        self, path: str, key: FileKey, *, directory: bool = False, witness: Witness | None = None, wait: bool = False
    ) -> None:
        if wait:
            super().remove(path, key, directory=directory, witness=witness, wait=True)
            return
        encoded = check_path(path)
        entered_ns = self.gate.enter()
        with self.rights:
            parent, name = self._parent(encoded, wait=False)
            try:
                found = os.stat(name, dir_fd=parent, follow_symlinks=False)
                # The blocks of a large file take long to give back; what is no file, or another one, is not for here.
                large = found.st_blocks * 512 > INLINE_WRITE or self.side.exists
                if large or directory or (found.st_dev, found.st_ino) != key or not S_ISREG(found.st_mode):
                    raise error(EAGAIN)
                self.show_before(witness, parent)
                os.unlink(name, dir_fd=parent)
                self.show_after(witness, parent)
            finally:
                self._leave(parent, encoded, wait=False)
        self.gate.leave(entered_ns, 0)

    def make_directory(self, path: str, mode: int, *, witness: Witness | None = None, wait: bool = False) -> Directory:
        check_wait(wait)
        if not path:
            raise error(EEXIST)
        encoded = check_path(path)
        with self.rights:
            parent, name = self.walker.parent(encoded)
            try:
                self.show_before(witness, parent)
                os.mkdir(name, mode, dir_fd=parent)
                self.show_after(witness, parent)
                fd = os.open(name, PATH_ONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)
                self._complete_mode(fd, parent, mode)
            finally:
                os.close(parent)
            fd, path_only = make_listable(fd)
        return self._new_directory(fd, path, os.fstat(fd).st_dev, path_only=path_only)

    def _complete_mode(self, fd: int, directory: int, mode: int) -> None:
        """Give something new the bits that the umask has taken, unless it was not the umask but an inherited ACL."""
        if not mode & self.umask:
            return
        try:
            if not has_default_acl(directory):
                os.chmod(f"/proc/self/fd/{fd}", S_IMODE(os.fstat(fd).st_mode) | mode)
        except OSError:
            os.close(fd)
            raise

    def rename_exclusive(self, old_parent: int, old: bytes, new_parent: int, new: bytes) -> None:
        try:
            rename_noreplace(old_parent, old, new_parent, new)
        except OSError as reason:
            if reason.errno not in (EINVAL, ENOSYS):
                raise
            super().rename_exclusive(old_parent, old, new_parent, new)

    def may_remove(self, path: str, *, wait: bool = False) -> bool:
        if not path:
            return False
        encoded = check_path(path)
        with self.rights:
            parent, name = self._parent(encoded, wait=wait)
            try:
                if wait:
                    return may_change(parent) and may_pass_sticky(parent, name, self._uid)
                if self._uid and os.fstat(parent).st_mode & S_ISVTX:
                    raise error(EAGAIN)  # then it depends on the entry, which may have to be looked up
                return may_change(parent)
            finally:
                self._leave(parent, encoded, wait=wait)

    def _parent(self, path: bytes, *, wait: bool) -> tuple[int, bytes]:
        """The directory of a name, to be given to `_leave`, and the last part."""
        if wait:
            return self.walker.parent(path)
        if self._opener is None:
            raise error(EAGAIN)
        if is_in_root(path):
            return self.root.fd, path
        return self._opener.parent_cached(path)

    def _leave(self, parent: int, path: bytes, *, wait: bool) -> None:
        if wait or not is_in_root(path):
            os.close(parent)

    # The volume as a whole

    def space(self, *, wait: bool = False) -> Space:
        return super().space(wait=wait or self.features.inline_io)  # local file systems keep count in memory

    def close(self) -> None:
        if self._is_view:
            return
        if self._sweeper is not None:
            self._sweeper.stop()
        if self._handles is not None:
            self._handles.close()
        super().close()


def is_in_root(path: bytes) -> bool:
    """Whether the directory of the name is the root itself, which is open, and on the event loop's thread stays so."""
    return b"/" not in path and path != b"."


def make_listable(fd: int) -> tuple[int, bool]:
    """Exchange an O_PATH descriptor of a directory for one that lists it, if this thread may; and whether not."""
    try:
        listable = os.open(f"/proc/self/fd/{fd}", LIST)
    except PermissionError:
        return fd, True
    os.close(fd)
    return listable, False


def has_default_acl(directory: int) -> bool:
    try:
        return bool(os.getxattr(f"/proc/self/fd/{directory}", "system.posix_acl_default"))
    except OSError:  # there is none, or the file system has no ACLs
        return False


def find_linux_features(root: Root) -> Features:
    """Facts of the volume, all found without writing to it."""
    plain = find_features(root)
    file_system = find_file_system(root.fd)
    is_local = file_system in LOCAL_FILE_SYSTEMS
    has_attributes = keeps_attributes(root)
    return replace(
        plain,
        file_system=file_system,
        case_sensitive=plain.case_sensitive and file_system not in CASELESS_FILE_SYSTEMS,
        birth_time=tells_birth(root.fd),
        stores_marks=has_attributes,
        streams=has_attributes,
        rename_exclusive=is_local,  # others may lack it, and must not be written to just to find out
        inline_io=is_local,
        holes=file_system in HOLE_FILE_SYSTEMS,
        reflink=file_system in REFLINK_FILE_SYSTEMS,
        compression=file_system in COMPRESSING_FILE_SYSTEMS,
    )


def keeps_attributes(root: Root) -> bool:
    try:
        os.getxattr(f"/proc/self/fd/{root.fd}", ATTRIBUTE_NAME)
    except OSError as reason:
        return reason.errno != EOPNOTSUPP
    return True
