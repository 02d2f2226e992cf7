"""Every number, structure and call of FreeBSD that Python's `os` lacks.  The only module with ctypes and with numbers.

All are the same on amd64 and aarch64 and from 13 to 15; `tests/platforms/freebsd/test_abi.py` has a compiler say so.

`Calls` is made with the C library, so that tests can give it another one.  Opens go through it, too, with
FreeBSD's own numbers: a system that does not know O_RESOLVE_BENEATH ignores that bit, and nothing would be contained.
"""

import ctypes
import os
from collections.abc import Callable, Sequence
from ctypes import c_char, c_char_p, c_int, c_int64, c_long, c_size_t, c_ssize_t, c_uint32, c_uint64, c_ulong, c_void_p
from typing import Any, Final, NamedTuple

from smbport.posix.inotify import InotifyMasks

__all__ = [
    "ACCESS_MODE", "ACL_ENTRY_TYPE_ALLOW", "ACL_ENTRY_TYPE_DENY", "ACL_MAX_ENTRIES", "ACL_TYPE_ACCESS",
    "ACL_TYPE_DEFAULT", "ACL_TYPE_NFS4", "ACL_UNDEFINED_ID", "AT_EMPTY_PATH", "AT_REMOVEDIR", "AT_SYMLINK_NOFOLLOW",
    "AclRow", "Calls", "EINTEGRITY", "EXTATTR_NAMESPACE_SYSTEM", "EXTATTR_NAMESPACE_USER", "FREEBSD_MASKS", "MEANINGS",
    "MNT_LOCAL", "NOTE_ATTRIB", "NOTE_DELETE", "NOTE_EXTEND", "NOTE_LINK", "NOTE_RENAME", "NOTE_REVOKE", "NOTE_WRITE",
    "OPTIONAL", "O_CLOEXEC", "O_CREAT", "O_DIRECTORY", "O_EMPTY_PATH", "O_EXCL", "O_NAMEDATTR", "O_NOFOLLOW",
    "O_NONBLOCK", "O_PATH", "O_RDONLY", "O_RDWR", "O_RESOLVE_BENEATH", "O_WRONLY", "PROTOTYPES", "STRUCTURES",
    "StatStruct", "Timespec", "UF_ARCHIVE", "UF_HIDDEN", "UF_OFFLINE", "UF_SYSTEM", "_PC_DEALLOC_PRESENT",
    "_PC_MIN_HOLE_SIZE", "_PC_NAMEDATTR_ENABLED", "load_libc",
]  # fmt: skip

O_RDONLY: Final = 0x0
O_WRONLY: Final = 0x1
O_RDWR: Final = 0x2
O_NONBLOCK: Final = 0x4
O_NOFOLLOW: Final = 0x100
O_CREAT: Final = 0x200
O_EXCL: Final = 0x800
O_DIRECTORY: Final = 0x20000
O_CLOEXEC: Final = 0x100000
O_PATH: Final = 0x400000
O_RESOLVE_BENEATH: Final = 0x800000
O_EMPTY_PATH: Final = 0x2000000
O_NAMEDATTR: Final = 0x4000000  # since 15.0; older ones know nothing of this bit
ACCESS_MODE: Final = (O_RDONLY, O_RDONLY, O_WRONLY, O_RDWR)  # by smbport.platform's ACCESS_*

AT_SYMLINK_NOFOLLOW: Final = 0x200
AT_REMOVEDIR: Final = 0x800
AT_EMPTY_PATH: Final = 0x4000
UTIME_OMIT: Final = -2

ENOENT: Final = 2
EINTR: Final = 4
EDEADLK: Final = 11
EXDEV: Final = 18
ENOSPC: Final = 28
ENOATTR: Final = 87
EBADMSG: Final = 89
ENOTCAPABLE: Final = 93
EINTEGRITY: Final = 97  # Python has no name for it
MEANINGS: Final = {
    ENOTCAPABLE: EXDEV,  # the path leaves its directory
    ENOATTR: ENOENT,
    EDEADLK: ENOENT,  # the name stands for another file
    EINTEGRITY: EBADMSG,  # a checksum did not match
}
"""What calls fail with -> what the interface wants of it."""

UF_SYSTEM: Final = 0x80
UF_OFFLINE: Final = 0x200
UF_ARCHIVE: Final = 0x800
UF_HIDDEN: Final = 0x8000

EXTATTR_NAMESPACE_USER: Final = 1
EXTATTR_NAMESPACE_SYSTEM: Final = 2

SF_NODISKIO: Final = 1

ACL_TYPE_ACCESS: Final = 2  # of POSIX.1e
ACL_TYPE_DEFAULT: Final = 3
ACL_TYPE_NFS4: Final = 4
ACL_ENTRY_TYPE_ALLOW: Final = 0x100
ACL_ENTRY_TYPE_DENY: Final = 0x200
ACL_MAX_ENTRIES: Final = 254
ACL_UNDEFINED_ID: Final = 0xFFFFFFFF

MNT_LOCAL: Final = 0x1000

_PC_MIN_HOLE_SIZE: Final = 21
_PC_DEALLOC_PRESENT: Final = 65
_PC_NAMEDATTR_ENABLED: Final = 66
SPACECTL_DEALLOC: Final = 1

IN_NONBLOCK: Final = 0x4  # unlike Linux'
IN_CLOEXEC: Final = 0x100000
FREEBSD_MASKS: Final = InotifyMasks(
    modify=0x2,
    attrib=0x4,
    moved_from=0x40,
    moved_to=0x80,
    create=0x100,
    delete=0x200,
    move_self=0x800,
    ignored=0x8000,
    overflow=0x4000,
    is_directory=0x40000000,
    options=0x1000000,  # IN_ONLYDIR; IN_EXCL_UNLINK is how FreeBSD always behaves
)

EVFILT_VNODE: Final = -4
EV_ADD: Final = 0x1
EV_DELETE: Final = 0x2
EV_CLEAR: Final = 0x20
NOTE_DELETE: Final = 0x1
NOTE_WRITE: Final = 0x2
NOTE_EXTEND: Final = 0x4
NOTE_ATTRIB: Final = 0x8
NOTE_LINK: Final = 0x10
NOTE_RENAME: Final = 0x20
NOTE_REVOKE: Final = 0x40

MAX_EVENTS: Final = 256  # taken in one call
SHORT_VALUE: Final = 256  # bytes; what fits is read in one call


class Timespec(ctypes.Structure):
    _fields_ = (("tv_sec", c_int64), ("tv_nsec", c_long))


class StatStruct(ctypes.Structure):
    """`struct stat` since FreeBSD 12."""

    _fields_ = (
        ("st_dev", c_uint64), ("st_ino", c_uint64), ("st_nlink", c_uint64),
        ("st_mode", ctypes.c_uint16), ("st_padding0", ctypes.c_int16),
        ("st_uid", c_uint32), ("st_gid", c_uint32), ("st_padding1", ctypes.c_int32), ("st_rdev", c_uint64),
        ("st_atim", Timespec), ("st_mtim", Timespec), ("st_ctim", Timespec), ("st_birthtim", Timespec),
        ("st_size", c_int64), ("st_blocks", c_int64), ("st_blksize", ctypes.c_int32),
        ("st_flags", c_uint32), ("st_gen", c_uint64), ("st_spare", c_uint64 * 10),
    )  # fmt: skip


class StatfsStruct(ctypes.Structure):
    """`struct statfs`, as far as it is used here."""

    _fields_ = (
        ("f_version", c_uint32), ("f_type", c_uint32), ("f_flags", c_uint64),
        ("f_between", c_char * 264), ("f_fstypename", c_char * 16), ("f_behind", c_char * 2048),
    )  # fmt: skip


class IoVec(ctypes.Structure):
    _fields_ = (("iov_base", c_char_p), ("iov_len", c_size_t))


class SfHdtr(ctypes.Structure):
    _fields_ = (
        ("headers", ctypes.POINTER(IoVec)),
        ("hdr_cnt", c_int),
        ("trailers", ctypes.POINTER(IoVec)),
        ("trl_cnt", c_int),
    )


class SpacectlRange(ctypes.Structure):
    _fields_ = (("r_offset", c_int64), ("r_len", c_int64))


class AclEntryStruct(ctypes.Structure):
    """`struct acl_entry`."""

    _fields_ = (
        ("ae_tag", c_uint32), ("ae_id", c_uint32), ("ae_perm", c_uint32),
        ("ae_entry_type", ctypes.c_uint16), ("ae_flags", ctypes.c_uint16),
    )  # fmt: skip


class AclStruct(ctypes.Structure):
    """`struct acl`, as the kernel takes and gives it."""

    _fields_ = (
        ("acl_maxcnt", c_uint32), ("acl_cnt", c_uint32), ("acl_spare", c_int * 4),
        ("acl_entry", AclEntryStruct * ACL_MAX_ENTRIES),
    )  # fmt: skip


class AclRow(NamedTuple):
    """The fields of an AclEntryStruct."""

    tag: int
    id: int
    permissions: int
    type: int  # 0 in POSIX.1e
    flags: int


class Kevent(ctypes.Structure):
    """`struct kevent` since FreeBSD 12."""

    _fields_ = (
        ("ident", c_size_t),
        ("filter", ctypes.c_short),
        ("flags", ctypes.c_ushort),
        ("fflags", ctypes.c_uint),
        ("data", c_int64),
        ("udata", c_void_p),
        ("ext", c_uint64 * 4),
    )


STRUCTURES: Final[dict[str, type[ctypes.Structure]]] = {
    "timespec": Timespec,
    "stat": StatStruct,
    "statfs": StatfsStruct,
    "iovec": IoVec,
    "sf_hdtr": SfHdtr,
    "spacectl_range": SpacectlRange,
    "acl_entry": AclEntryStruct,
    "acl": AclStruct,
    "kevent": Kevent,
}
"""The C name of each structure -> its fields here."""

Times = Timespec * 2
PROTOTYPES: Final[dict[str, tuple[Any, tuple[Any, ...]]]] = {
    "openat": (c_int, (c_int, c_char_p, c_int, c_int)),
    "fstatat": (c_int, (c_int, c_char_p, c_void_p, c_int)),
    "fstatfs": (c_int, (c_int, c_void_p)),
    "fpathconf": (c_long, (c_int, c_int)),
    "utimensat": (c_int, (c_int, c_char_p, c_void_p, c_int)),
    "fchmodat": (c_int, (c_int, c_char_p, ctypes.c_uint16, c_int)),
    "fchownat": (c_int, (c_int, c_char_p, c_uint32, c_uint32, c_int)),
    "chflagsat": (c_int, (c_int, c_char_p, c_ulong, c_int)),
    "funlinkat": (c_int, (c_int, c_char_p, c_int, c_int)),
    "extattr_get_fd": (c_ssize_t, (c_int, c_int, c_char_p, c_void_p, c_size_t)),
    "extattr_set_fd": (c_ssize_t, (c_int, c_int, c_char_p, c_void_p, c_size_t)),
    "extattr_delete_fd": (c_int, (c_int, c_int, c_char_p)),
    "extattr_list_fd": (c_ssize_t, (c_int, c_int, c_void_p, c_size_t)),
    "__acl_get_fd": (c_int, (c_int, c_int, c_void_p)),
    "__acl_set_fd": (c_int, (c_int, c_int, c_void_p)),
    "copy_file_range": (c_ssize_t, (c_int, c_void_p, c_int, c_void_p, c_size_t, ctypes.c_uint)),
    "sendfile": (c_int, (c_int, c_int, c_int64, c_size_t, c_void_p, c_void_p, c_int)),
    "fspacectl": (c_int, (c_int, c_int, c_void_p, c_int, c_void_p)),
    "posix_fallocate": (c_int, (c_int, c_int64, c_int64)),
    "cap_enter": (c_int, ()),
    "cap_getmode": (c_int, (c_void_p,)),
    "kqueue": (c_int, ()),
    "kevent": (c_int, (c_int, c_void_p, c_int, c_void_p, c_int, c_void_p)),
    "inotify_init1": (c_int, (c_int,)),
    "inotify_add_watch_at": (c_int, (c_int, c_int, c_char_p, c_uint32)),
    "inotify_rm_watch": (c_int, (c_int, c_int)),
}
"""What each function of the C library returns and takes."""

OPTIONAL: Final = {"fspacectl": 14, "inotify_init1": 15, "inotify_add_watch_at": 15, "inotify_rm_watch": 15}
"""Functions that older releases lack -> the first release that has them."""


def load_libc() -> ctypes.CDLL:
    """FreeBSD's C library."""
    return ctypes.CDLL("libc.so.7", use_errno=True)


class Calls:
    """The calls, each as its manual page says, with OSError for what went wrong and EINTR tried again."""

    def __init__(self, libc: ctypes.CDLL) -> None:
        self._functions: dict[str, Callable[..., int]] = {}
        for name, (result, arguments) in PROTOTYPES.items():
            if name in OPTIONAL and not hasattr(libc, name):
                continue
            function = getattr(libc, name)
            function.restype, function.argtypes = result, arguments
            self._functions[name] = function

    def has(self, name: str) -> bool:
        """Whether the C library has a function of OPTIONAL."""
        return name in self._functions

    def failure(self, number: int) -> OSError:
        """The OSError for an errno of FreeBSD."""
        number = MEANINGS.get(number, number)
        return OSError(number, os.strerror(number))

    def _call(self, name: str, *arguments: object) -> int:
        function = self._functions[name]
        while (result := function(*arguments)) < 0:
            if ctypes.get_errno() != EINTR:
                raise self.failure(ctypes.get_errno())
        return result

    # Opening and looking

    def open_at(self, directory: int, path: bytes, flags: int, mode: int = 0) -> int:
        """openat(2).  Of what `directory` itself is open for, with an empty path and O_EMPTY_PATH."""
        return self._call("openat", directory, path, flags | O_CLOEXEC, mode)

    def open_path(self, directory: int, name: bytes) -> int:
        """An O_PATH descriptor of what has the name, links not followed."""
        return self.open_at(directory, name, O_PATH | O_NOFOLLOW)

    def reopen(self, fd: int, flags: int) -> int:
        """A descriptor of what is open as `fd`, open for something else."""
        return self.open_at(fd, b"", flags | O_EMPTY_PATH | O_NONBLOCK)

    def state(self, fd: int) -> StatStruct:
        """fstat(2), also of an O_PATH descriptor."""
        return self.stat_at(fd, b"", AT_EMPTY_PATH)

    def stat_at(self, directory: int, name: bytes, flags: int) -> StatStruct:
        """fstatat(2)."""
        found = StatStruct()
        self._call("fstatat", directory, name, ctypes.byref(found), flags)
        return found

    def file_system(self, fd: int) -> tuple[str, int]:
        """The type of the file system that something open is on, and its MNT_ flags."""
        found = StatfsStruct()
        self._call("fstatfs", fd, ctypes.byref(found))
        return found.f_fstypename.decode("ascii"), found.f_flags

    def path_fact(self, fd: int, name: int) -> int:
        """fpathconf(2); -1 if the system does not know the name or has no value for it."""
        try:
            return self._call("fpathconf", fd, name)
        except OSError:
            return -1

    # Changing a node through a descriptor that may be O_PATH

    def set_times(self, fd: int, access_ns: int | None, write_ns: int | None) -> None:
        """utimensat(2); None leaves a time as it is."""
        times = Times(timespec(access_ns), timespec(write_ns))
        self._call("utimensat", fd, b"", ctypes.byref(times), AT_EMPTY_PATH)

    def set_mode(self, fd: int, mode: int) -> None:
        self._call("fchmodat", fd, b"", mode, AT_EMPTY_PATH)

    def set_owner(self, fd: int, uid: int, gid: int) -> None:
        """fchownat(2); -1 leaves one as it is."""
        self._call("fchownat", fd, b"", uid, gid, AT_EMPTY_PATH)

    def set_flags(self, fd: int, flags: int) -> None:
        self._call("chflagsat", fd, b"", flags, AT_EMPTY_PATH)

    def unlink_this(self, directory: int, name: bytes, fd: int, flags: int) -> None:
        """Remove a name if it still stands for what is open as `fd`, else FileNotFoundError.  funlinkat(2)"""
        self._call("funlinkat", directory, name, fd, flags)

    # Extended attributes; the descriptor must not be O_PATH

    def attribute_size(self, fd: int, namespace: int, name: bytes) -> int | None:
        """How long the value is; None if there is no such attribute."""
        try:
            return self._call("extattr_get_fd", fd, namespace, name, None, 0)
        except FileNotFoundError:
            return None

    def get_attribute(self, fd: int, namespace: int, name: bytes) -> bytes | None:
        """The value; None if there is no such attribute."""
        size = SHORT_VALUE
        while True:
            value = ctypes.create_string_buffer(size)
            try:
                length = self._call("extattr_get_fd", fd, namespace, name, value, size)
            except FileNotFoundError:
                return None
            if length < size:  # a value that does not fit is cut without a word
                return value.raw[:length]
            size = 1 + max(size, self.attribute_size(fd, namespace, name) or 0)

    def set_attribute(self, fd: int, namespace: int, name: bytes, value: bytes) -> None:
        if self._call("extattr_set_fd", fd, namespace, name, value, len(value)) < len(value):
            raise self.failure(ENOSPC)  # of an attribute that is a file, ZFS forgets the error

    def remove_attribute(self, fd: int, namespace: int, name: bytes) -> None:
        """FileNotFoundError if there is no such attribute."""
        self._call("extattr_delete_fd", fd, namespace, name)

    def list_attributes(self, fd: int, namespace: int) -> list[bytes]:
        size = SHORT_VALUE
        while True:
            buffer = ctypes.create_string_buffer(size)
            length = self._call("extattr_list_fd", fd, namespace, buffer, size)
            if length < size:
                return split_names(buffer.raw[:length])
            size = 1 + max(size, self._call("extattr_list_fd", fd, namespace, None, 0))

    # Access control lists; the descriptor must not be O_PATH

    def get_acl(self, fd: int, family: int) -> list[AclRow]:
        """The list of one of ACL_TYPE_...  OSError(EINVAL) or OSError(EOPNOTSUPP) if the file system has no such."""
        found = AclStruct(ACL_MAX_ENTRIES)
        self._call("__acl_get_fd", fd, family, ctypes.byref(found))
        entries = found.acl_entry[: found.acl_cnt]
        return [AclRow(each.ae_tag, each.ae_id, each.ae_perm, each.ae_entry_type, each.ae_flags) for each in entries]

    def set_acl(self, fd: int, family: int, rows: Sequence[AclRow]) -> None:
        """Replace the list.  One of POSIX.1e must be sorted."""
        wanted = AclStruct(ACL_MAX_ENTRIES, len(rows))
        for index, row in enumerate(rows):
            wanted.acl_entry[index] = AclEntryStruct(*row)
        self._call("__acl_set_fd", fd, family, ctypes.byref(wanted))

    # Data

    def copy_range(self, source: int, source_offset: int, target: int, target_offset: int, length: int) -> int:
        """copy_file_range(2): how many bytes, 0 at the end of the source."""
        read, written = c_int64(source_offset), c_int64(target_offset)
        return self._call("copy_file_range", source, ctypes.byref(read), target, ctypes.byref(written), length, 0)

    def punch_hole(self, fd: int, offset: int, length: int) -> None:
        """Zero a range and give its blocks back.  fspacectl(2), which may do a part at a time"""
        asked = SpacectlRange(offset, length)
        while asked.r_len > 0:
            self._call("fspacectl", fd, SPACECTL_DEALLOC, ctypes.byref(asked), 0, ctypes.byref(asked))

    def reserve(self, fd: int, offset: int, length: int) -> None:
        """Have blocks for a range.  posix_fallocate(2), which returns its error and makes a file that is shorter longer

        OSError(EINVAL) where the file system cannot before 15.0, or 15.1; from then on it is OSError(EOPNOTSUPP).
        """
        while number := self._functions["posix_fallocate"](fd, offset, length):
            if number != EINTR:
                raise self.failure(number)

    def send_file(self, sock: int, head: bytes, fd: int, offset: int, length: int) -> int:
        """Send `head` and a range of a file; how many bytes were taken, head included.  sendfile(2)

        BlockingIOError if the socket, which must be non-blocking, takes nothing; OSError(EBUSY) if nothing went out
        because the data is not in memory.  At the end of the file the call sends nothing, not even the head.
        """
        taken = c_int64(0)
        headers = SfHdtr(ctypes.pointer(IoVec(head, len(head))), 1, None, 0) if head else None
        pointer = ctypes.byref(headers) if headers is not None else None
        while self._functions["sendfile"](fd, sock, offset, length, pointer, ctypes.byref(taken), SF_NODISKIO) < 0:
            if taken.value:  # also with EINTR: what is out must not be sent twice
                break
            if ctypes.get_errno() != EINTR:
                raise self.failure(ctypes.get_errno())
        return taken.value

    # Confinement

    def check_capability_mode(self) -> None:
        """OSError(ENOSYS) if the kernel was built without it.  cap_getmode(2)"""
        self._call("cap_getmode", ctypes.byref(ctypes.c_uint()))

    def enter_capability_mode(self) -> None:
        """From now on, nothing outside of what is open can be named, by any thread.  cap_enter(2)"""
        self._call("cap_enter")

    # Watching

    def inotify_init(self) -> int:
        return self._call("inotify_init1", IN_NONBLOCK | IN_CLOEXEC)

    def inotify_add_watch(self, fd: int, directory: int, mask: int) -> int:
        """Watch an open directory; the number of the watch."""
        return self._call("inotify_add_watch_at", fd, directory, b".", mask)

    def inotify_remove_watch(self, fd: int, watch: int) -> None:
        """Watch it no more.  If the watch is over already, nothing happens."""
        self._functions["inotify_rm_watch"](fd, watch)

    def kqueue(self) -> int:
        fd = self._call("kqueue")
        os.set_inheritable(fd, False)
        return fd

    def watch_vnode(self, kqueue: int, fd: int, notes: int) -> None:
        """Be told of those of NOTE_... that happen to what is open as `fd`, until that is closed."""
        change = Kevent(fd, EVFILT_VNODE, EV_ADD | EV_CLEAR, notes)
        self._call("kevent", kqueue, ctypes.byref(change), 1, None, 0, None)

    def unwatch_vnode(self, kqueue: int, fd: int) -> None:
        self._call("kevent", kqueue, ctypes.byref(Kevent(fd, EVFILT_VNODE, EV_DELETE)), 1, None, 0, None)

    def take_vnode_events(self, kqueue: int) -> dict[int, int]:
        """What happened since the last call: descriptors, and the notes of each."""
        taken: dict[int, int] = {}
        events = (Kevent * MAX_EVENTS)()
        at_once = Timespec(0, 0)
        while True:
            count = self._call("kevent", kqueue, None, 0, ctypes.byref(events), MAX_EVENTS, ctypes.byref(at_once))
            for event in events[:count]:
                taken[event.ident] = taken.get(event.ident, 0) | event.fflags
            if count < MAX_EVENTS:
                return taken


def timespec(ns: int | None) -> Timespec:
    return Timespec(0, UTIME_OMIT) if ns is None else Timespec(*divmod(ns, 1_000_000_000))


def split_names(listed: bytes) -> list[bytes]:
    """The names that extattr_list_fd gives: each is preceded by its length, and none ends with a NUL."""
    names = []
    position = 0
    while position < len(listed):
        end = position + 1 + listed[position]
        names.append(listed[position + 1 : end])
        position = end
    return names
