"""A volume of FreeBSD: names found by O_RESOLVE_BENEATH, states by fstatat, marks in an attribute and in flags.

Everything is done relative to the descriptor of the root.  Nothing by name is done inline.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from errno import EEXIST, ELOOP, ENOENT, ENOTSUP, ENXIO
from stat import S_IMODE
from threading import Lock
from typing import Final

from smbport.platform import ACCESS_NONE, ACCESS_READ, Directory, Features, File, FileKey, Kind, Stat, Witness
from smbport.posix.dosattrib import pack_marks
from smbport.posix.marks import MARKED_KINDS, Unchanged, add_marks
from smbport.posix.nodes import PosixNode, check_wait
from smbport.posix.volume import PosixVolume, find_features
from smbport.posix.walk import MAX_RACES, Root, check_path, error
from smbport_freebsd.acl import find_acl_type
from smbport_freebsd.attributes import replace_attribute
from smbport_freebsd.beneath import new_walker
from smbport_freebsd.calls import (
    _PC_DEALLOC_PRESENT,
    _PC_MIN_HOLE_SIZE,
    _PC_NAMEDATTR_ENABLED,
    ACCESS_MODE,
    AT_REMOVEDIR,
    AT_SYMLINK_NOFOLLOW,
    EXTATTR_NAMESPACE_USER,
    O_CREAT,
    O_DIRECTORY,
    O_EXCL,
    O_NOFOLLOW,
    O_NONBLOCK,
    O_PATH,
    O_RDONLY,
    Calls,
    StatStruct,
)
from smbport_freebsd.files import FreeBSDDirectory, FreeBSDFile, FreeBSDNode, reopened
from smbport_freebsd.stats import (
    DOSATTRIB,
    FLAG_FILE_SYSTEMS,
    UNMARKED,
    Stored,
    add_flags,
    make_stat,
    read_marks,
    with_flags,
)

__all__ = ["FreeBSDVolume", "find_freebsd_features"]

LIST: Final = O_RDONLY | O_DIRECTORY
CASELESS_FILE_SYSTEMS: Final = frozenset(("msdosfs",))  # also where no name is there to tell
# Setting an attribute moves the time of change.  On ZFS it does not where attributes are files (zfs_setextattr_dir).
STAMPING_FILE_SYSTEMS: Final = frozenset(("ufs",))


class FreeBSDVolume(PosixVolume):
    """A directory tree of the host."""

    __slots__ = ("_has_flags", "_marks", "_marks_lock", "acl_type", "calls", "names_attributes")

    def __init__(self, root: Root, features: Features, umask: int, calls: Calls) -> None:
        super().__init__(root, features, umask)
        self.calls = calls
        self.walker = new_walker(root, calls)
        self._has_flags = features.stores_marks and features.file_system in FLAG_FILE_SYSTEMS
        self._marks = Unchanged[Stored]() if features.file_system in STAMPING_FILE_SYSTEMS else None
        self._marks_lock = Lock()
        with reopened(calls, root.fd) as fd:
            self.acl_type = find_acl_type(calls, fd)
            self.names_attributes = calls.path_fact(fd, _PC_NAMEDATTR_ENABLED) == 1

    # What open files ask for

    def stat_open(self, fd: int) -> Stat:
        return self._complete(self.calls.state(fd), fd, b"")

    def stat_unmarked(self, fd: int) -> Stat:
        return make_stat(self.calls.state(fd))

    def stat_names(self, directory: int, names: Sequence[str]) -> list[Stat | None]:
        found: list[Stat | None] = []
        for name in names:
            encoded = os.fsencode(name)
            try:
                state = self.calls.stat_at(directory, encoded, AT_SYMLINK_NOFOLLOW)
                found.append(self._complete(state, directory, encoded))
            except OSError:
                found.append(None)
        return found

    def _complete(self, found: StatStruct, directory: int, name: bytes) -> Stat:
        """The state with its marks, read by way of the name if they are not known; b"" is the descriptor itself."""
        stat = make_stat(found)
        if not self.features.stores_marks or stat.kind not in MARKED_KINDS:
            return stat
        stored = self._marks.find(stat) if self._marks is not None else None
        if stored is None:
            stored = self._read_marks(directory, name, stat)
            if self._marks is not None:
                self._marks.keep(stat, stored)
        add_marks(stat, stored.marks)
        if self._has_flags and stored.with_flags:
            add_flags(stat, found.st_flags)
        return stat

    def _read_marks(self, directory: int, name: bytes, stat: Stat) -> Stored:
        """The stored marks; none if this process may not read the file, or it has been replaced meanwhile."""
        with suppress(OSError):
            how = O_RDONLY | O_NOFOLLOW | O_NONBLOCK
            fd = self.calls.open_at(directory, name, how) if name else self.calls.reopen(directory, O_RDONLY)
            try:
                found = os.fstat(fd)
                if (found.st_dev, found.st_ino) == stat.key:
                    return read_marks(self.calls, fd)
            finally:
                os.close(fd)
        return UNMARKED

    def store_marks(self, node: PosixNode, dos_attributes: int | None, birth_ns: int | None, *, wait: bool) -> None:
        assert isinstance(node, FreeBSDNode)
        if not self.features.stores_marks:
            raise error(ENOTSUP)
        with self._marks_lock, node.usable() as fd:
            stored = read_marks(self.calls, fd)
            marks = stored.marks.changed(dos_attributes, birth_ns)
            if self._has_flags and not (dos_attributes is None and stored.with_flags):
                flags: int = self.calls.state(fd).st_flags
                wanted = with_flags(flags, marks.dos_attributes or 0)
                if wanted != flags:
                    self.calls.set_flags(fd, wanted)
            if Stored(marks) != stored:
                replace_attribute(self.calls, fd, EXTATTR_NAMESPACE_USER, DOSATTRIB, pack_marks(marks))

    def keep_birth(self, node: PosixNode, write_ns: int) -> None:
        """FreeBSD moves the time of birth back to an earlier write time, so that is stored before."""
        if self.features.stores_marks:
            stat = node.stat()
            if stat.kind in MARKED_KINDS and write_ns < stat.birth_ns:
                self.store_marks(node, None, stat.birth_ns, wait=True)

    # Looking and opening

    def stat(self, path: str, *, follow: bool = True, marks: bool = True, wait: bool = False) -> Stat:
        check_wait(wait)
        with self._found(check_path(path), follow=follow) as (fd, found):
            return self._complete(found, fd, b"") if marks else make_stat(found)

    def open(self, path: str, access: int, *, follow: bool = True, wait: bool = False) -> File | Directory:
        check_wait(wait)
        with self._found(check_path(path), follow=follow) as (fd, found):
            kind = make_stat(found).kind
            if kind == Kind.DIRECTORY:
                return self._new_directory(fd, path, access)
            if not access:
                return FreeBSDFile(os.dup(fd), self, path_only=True)
            if kind != Kind.FILE:
                raise error(ELOOP if kind == Kind.SYMLINK else ENXIO)
            again = self.calls.reopen(fd, ACCESS_MODE[access])
            return FreeBSDFile(again, self, path_only=False)

    @contextmanager
    def _found(self, path: bytes, *, follow: bool) -> Iterator[tuple[int, StatStruct]]:
        """An O_PATH descriptor of what `path` names, for as long as the block runs, and its state."""
        fd, found = self._find(path, follow=follow)
        try:
            yield fd, found
        finally:
            os.close(fd)

    def _find(self, path: bytes, *, follow: bool) -> tuple[int, StatStruct]:
        for _ in range(MAX_RACES):
            parent, name = self.walker.find(path, follow=follow)
            try:
                fd = self.calls.open_path(parent, name)
            finally:
                os.close(parent)
            try:
                found = self.calls.state(fd)
            except OSError:
                os.close(fd)
                raise
            if not follow or make_stat(found).kind != Kind.SYMLINK:
                return fd, found
            os.close(fd)  # it was no link a moment ago
        raise error(ELOOP)

    def _new_directory(self, fd: int, path: str, access: int = ACCESS_NONE) -> FreeBSDDirectory:
        """A handle that lists, if this process may, of what is open as `fd`, which stays open."""
        try:
            return FreeBSDDirectory(self.calls.reopen(fd, LIST), self, path, path_only=False)
        except PermissionError:
            if access & ACCESS_READ:
                raise
            return FreeBSDDirectory(os.dup(fd), self, path, path_only=True)

    # Changing names

    def create(self, path: str, access: int, mode: int, *, witness: Witness | None = None, wait: bool = False) -> File:
        check_wait(wait)
        if not path:
            raise error(EEXIST)
        parent, name = self.walker.parent(check_path(path))
        try:
            how = O_CREAT | O_EXCL | O_NOFOLLOW | O_NONBLOCK | ACCESS_MODE[access]
            self.show_before(witness, parent)
            fd = self.calls.open_at(parent, name, how, mode)
            self.show_after(witness, parent)
        finally:
            os.close(parent)
        self.complete_mode(fd, mode)
        return FreeBSDFile(fd, self, path_only=False)

    def make_directory(self, path: str, mode: int, *, witness: Witness | None = None, wait: bool = False) -> Directory:
        check_wait(wait)
        if not path:
            raise error(EEXIST)
        parent, name = self.walker.parent(check_path(path))
        try:
            self.show_before(witness, parent)
            os.mkdir(name, mode, dir_fd=parent)
            self.show_after(witness, parent)
            fd = self.calls.open_at(parent, name, O_PATH | O_DIRECTORY | O_NOFOLLOW)
        finally:
            os.close(parent)
        try:
            if mode & self.umask:
                self.calls.set_mode(fd, S_IMODE(self.calls.state(fd).st_mode) | mode)
            return self._new_directory(fd, path)
        finally:
            os.close(fd)

    def remove(
        self, path: str, key: FileKey, *, directory: bool = False, witness: Witness | None = None, wait: bool = False
    ) -> None:
        """By funlinkat: what takes the place of the file in the last moment is not removed."""
        check_wait(wait)
        encoded = check_path(path)
        parent, name = self.walker.parent(encoded)
        try:
            fd = self.calls.open_path(parent, name)
            try:
                found = make_stat(self.calls.state(fd))
                is_link = found.kind == Kind.SYMLINK
                if found.key != key and not (is_link and self._leads_to(encoded, key)):
                    raise error(ENOENT)
                flags = AT_REMOVEDIR if directory and not is_link else 0
                self.show_before(witness, parent)
                with self.side.following(parent, name):
                    self.calls.unlink_this(parent, name, fd, flags)
                self.show_after(witness, parent)
            finally:
                os.close(fd)
        finally:
            os.close(parent)

    # The volume as a whole

    def sync_directory_of(self, path: str, *, wait: bool = False) -> None:
        check_wait(wait)
        parent, _ = self.walker.find(check_path(path), follow=False)
        try:
            with reopened(self.calls, parent) as fd:
                os.fsync(fd)
        finally:
            os.close(parent)


def find_freebsd_features(root: Root, calls: Calls) -> Features:
    """Facts of the volume, all found without writing to it."""
    plain = find_features(root)
    with reopened(calls, root.fd) as fd:
        file_system, _ = calls.file_system(fd)
        stores_marks = keeps_attributes(calls, fd)
        has_holes = calls.has("fspacectl") and calls.path_fact(fd, _PC_DEALLOC_PRESENT) > 0
        finds_holes = calls.path_fact(fd, _PC_MIN_HOLE_SIZE) > 0
        birth: int = calls.state(fd).st_birthtim.tv_sec
    return replace(
        plain,
        file_system=file_system,
        case_sensitive=plain.case_sensitive and file_system not in CASELESS_FILE_SYSTEMS,
        birth_time=birth > 0 and stores_marks,  # without marks it moves with the write time
        stores_marks=stores_marks,
        streams=stores_marks,
        holes=has_holes and finds_holes,
    )


def keeps_attributes(calls: Calls, fd: int) -> bool:
    try:
        calls.get_attribute(fd, EXTATTR_NAMESPACE_USER, DOSATTRIB)
    except PermissionError:
        return True
    except OSError:
        return False
    return True
