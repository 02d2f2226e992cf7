"""The system calls that Python's `os` lacks, as thin functions.  The only module with ctypes and with numbers.

`libc` gives Python's interpreter lock away during a call, `quick_libc` keeps it: for a call that cannot wait,
handing the lock over costs as much as the call, and far more if another thread takes it.
"""

import ctypes
import fcntl
import os
import socket
import sys
import termios
from collections.abc import Sequence
from errno import EINTR, ENOSYS, EPERM
from struct import Struct, calcsize
from typing import Final, NamedTuple

from smbport.posix.inotify import InotifyMasks

__all__ = [
    "AT_EMPTY_PATH", "AT_SYMLINK_NOFOLLOW", "FS_COMPR_FL", "FS_NOCOMP_FL", "LINUX_MASKS", "RESOLVE_BENEATH",
    "RESOLVE_CACHED", "RESOLVE_NO_MAGICLINKS", "RESOLVE_NO_XDEV", "STATX_ATTR_COMPRESSED", "STATX_BTIME",
    "STATX_FIELDS", "STATX_WANTED", "AttributeLister", "Credentials", "MarkReader", "StatxBuffer", "assume_identity",
    "clone_range", "failure", "file_system_type", "has_getxattrat", "has_listxattrat", "has_openat2",
    "has_thread_identity", "inode_flags", "inotify_add_watch", "inotify_init", "inotify_remove_watch",
    "keep_size_allocate", "may_change", "new_statx_buffer", "openat2", "punch_hole", "quick_openat2", "read_nowait",
    "rename_noreplace", "resume_identity", "set_inode_flags", "set_times", "statx", "unacknowledged", "zero_range",
]  # fmt: skip

# System calls since 2019 have one number on all architectures.
SYS_OPENAT2: Final = ctypes.c_long(437)
SYS_FACCESSAT2: Final = ctypes.c_long(439)
SYS_GETXATTRAT: Final = ctypes.c_long(464)  # Linux 6.13
SYS_LISTXATTRAT: Final = ctypes.c_long(465)  # likewise

RESOLVE_NO_XDEV: Final = 0x01
RESOLVE_NO_MAGICLINKS: Final = 0x02
RESOLVE_BENEATH: Final = 0x08
RESOLVE_CACHED: Final = 0x20  # Linux 5.12

AT_FDCWD: Final = -100
AT_SYMLINK_NOFOLLOW: Final = 0x100
AT_EACCESS: Final = 0x200
AT_EMPTY_PATH: Final = 0x1000

STATX_ATTR_COMPRESSED: Final = 0x4
STATX_BTIME: Final = 0x800
STATX_WANTED: Final = 0x7FF | STATX_BTIME  # and the basic states
STATX_FIELDS: Final = Struct("=I4xQIIIH2xQQQ8xqI4xqI4xqI4xqI4x8xII")
"""mask, attributes, links, uid, gid, mode, inode, size, blocks, (s, ns) of access, birth, change, write, device (2)."""

RENAME_NOREPLACE: Final = 1
FALLOC_FL_KEEP_SIZE: Final = 0x01
FALLOC_FL_PUNCH_HOLE: Final = 0x02
FALLOC_FL_ZERO_RANGE: Final = 0x10
FS_COMPR_FL: Final = 0x00000004
FS_NOCOMP_FL: Final = 0x00000400
FS_IOC_GETFLAGS: Final = 2 << 30 | calcsize("l") << 16 | 0x6601  # likewise; they say long, and mean int
FS_IOC_SETFLAGS: Final = 1 << 30 | calcsize("l") << 16 | 0x6602
FICLONERANGE: Final = 0x4020940D  # as on all architectures but MIPS, PowerPC and SPARC, which refuse it
FILE_CLONE_RANGE: Final = Struct("=qQQQ")  # source, its offset, length, offset in the target
UTIME_OMIT: Final = (1 << 30) - 2

libc: Final = ctypes.CDLL(None, use_errno=True)
quick_libc: Final = ctypes.PyDLL(None, use_errno=True)

# No argtypes where speed counts: converting by them costs 0.4 us a call.  Integers are passed as C int then, so
# whatever is wider is made a ctypes object beforehand.
syscall: Final = libc.syscall
syscall.restype = ctypes.c_long
quick_syscall: Final = quick_libc.syscall
quick_syscall.restype = ctypes.c_long
statx: Final = quick_libc.statx
"""(directory, name, flags, STATX_WANTED, buffer) -> 0 if the buffer was filled, to be taken apart by STATX_FIELDS."""

StatxBuffer = ctypes.Array[ctypes.c_char]
statx_buffer: Final = ctypes.c_char * 256

HOW: Final = Struct("=QQQ")  # open_how: flags, mode, resolve
HOW_SIZE: Final = ctypes.c_size_t(HOW.size)


def failure() -> OSError:
    """The OSError for what the last call left in errno."""
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number))


def openat2(directory: int, path: bytes, flags: int, mode: int, resolve: int) -> int:
    """Open `path` relative to a directory, under the restrictions `resolve`."""
    how = HOW.pack(flags, mode, resolve)
    while (fd := syscall(SYS_OPENAT2, directory, path, how, HOW_SIZE)) < 0:
        if ctypes.get_errno() != EINTR:
            raise failure()
    return int(fd)


def quick_openat2(directory: int, path: bytes, flags: int, resolve: int) -> int:
    """The same for opens that cannot wait."""
    fd = quick_syscall(SYS_OPENAT2, directory, path, HOW.pack(flags, 0, resolve), HOW_SIZE)
    if fd < 0:
        raise failure()
    return int(fd)


def has_openat2(resolve: int) -> bool:
    """Whether the kernel has the call with these restrictions, and nobody (seccomp) forbids it."""
    try:
        os.close(openat2(AT_FDCWD, b"/", os.O_PATH | os.O_CLOEXEC, 0, resolve & ~RESOLVE_BENEATH))
    except OSError:
        return False
    return True


def new_statx_buffer() -> StatxBuffer:
    """Room for one answer of `statx`; for one thread at a time."""
    return statx_buffer()


def may_change(directory: int) -> bool:
    """Whether this thread, as it is now, may change the entries of a directory.

    Not by `os.access`: that asks for the ids of the process.  It is the second best where this call is missing
    (before Linux 5.8) or forbidden (seccomp): then a "yes" may be wrong, and the change itself is refused.
    """
    if not quick_syscall(SYS_FACCESSAT2, directory, b".", os.W_OK | os.X_OK, AT_EACCESS):
        return True
    return ctypes.get_errno() in (ENOSYS, EPERM) and os.access(f"/proc/self/fd/{directory}", os.W_OK | os.X_OK)


def rename_noreplace(old_directory: int, old: bytes, new_directory: int, new: bytes) -> None:
    """Rename unless `new` exists, atomically.  OSError(EINVAL) if the file system cannot."""
    if libc.renameat2(old_directory, old, new_directory, new, RENAME_NOREPLACE):
        raise failure()


def keep_size_allocate(fd: int, size: int) -> None:
    """Reserve room for the first `size` bytes and leave the size of the file as it is."""
    fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, size)


def punch_hole(fd: int, offset: int, length: int) -> None:
    """Make a hole; what is not a whole block of it is zeroed.  OSError(EOPNOTSUPP) if the file system has none."""
    fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, length)


def zero_range(fd: int, offset: int, length: int) -> None:
    """Zero a range by marking its blocks as never written.  OSError(EOPNOTSUPP) if the file system cannot."""
    fallocate(fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, offset, length)


def fallocate(fd: int, mode: int, offset: int, length: int) -> None:
    while libc.fallocate(fd, mode, ctypes.c_int64(offset), ctypes.c_int64(length)):
        if ctypes.get_errno() != EINTR:
            raise failure()


def clone_range(source: int, source_offset: int, target: int, target_offset: int, length: int) -> None:
    """Let a range of the target share the blocks of the source.  A length of 0 means to the end of the source."""
    fcntl.ioctl(target, FICLONERANGE, FILE_CLONE_RANGE.pack(source, source_offset, length, target_offset))


def inode_flags(fd: int) -> int:
    """The flags of chattr(1), FS_..._FL.  OSError(ENOTTY) or OSError(EOPNOTSUPP) if the file system has none."""
    return int.from_bytes(fcntl.ioctl(fd, FS_IOC_GETFLAGS, bytes(4)), sys.byteorder)


def set_inode_flags(fd: int, flags: int) -> None:
    """Set all of them.  Some file systems keep what means nothing to them, and do not say so."""
    fcntl.ioctl(fd, FS_IOC_SETFLAGS, flags.to_bytes(4, sys.byteorder))


def unacknowledged(sock: socket.socket) -> int:
    """How many of the bytes that were sent the peer's system has not acknowledged."""
    return int.from_bytes(fcntl.ioctl(sock, termios.TIOCOUTQ, bytes(4)), sys.byteorder)  # which is SIOCOUTQ


def set_times(target: int | bytes, access_ns: int | None, write_ns: int | None) -> None:
    """Set the times of a descriptor or a path; unlike `os.utime`, None leaves one alone."""
    times = (ctypes.c_long * 4)(*timespec(access_ns), *timespec(write_ns))
    if isinstance(target, int):
        failed = quick_libc.futimens(target, times)
    else:
        failed = quick_libc.utimensat(AT_FDCWD, target, times, 0)
    if failed:
        raise failure()


def timespec(ns: int | None) -> tuple[int, int]:
    return (0, UTIME_OMIT) if ns is None else divmod(ns, 1_000_000_000)


# Reading without waiting

SMALL_READ: Final = 16384  # up to here a copy is cheaper than ctypes


class IoVec(ctypes.Structure):
    _fields_ = (("base", ctypes.c_char_p), ("length", ctypes.c_size_t))


new_bytes: Final = ctypes.pythonapi.PyBytes_FromStringAndSize
new_bytes.restype = ctypes.py_object
new_bytes.argtypes = (ctypes.c_void_p, ctypes.c_ssize_t)


def read_nowait(fd: int, offset: int, length: int) -> bytes:
    """Read what is in the page cache: BlockingIOError if nothing is, else perhaps less than there is.

    `os.preadv` needs a buffer, and making bytes of that copies.  A megabyte takes twice the time that way, so it
    is read straight into a new bytes object, which C code may fill as long as nobody else has seen it.
    """
    if length <= SMALL_READ:
        buffer = bytearray(length)
        count = os.preadv(fd, (buffer,), offset, os.RWF_NOWAIT)
        return bytes(buffer) if count == length else bytes(buffer[:count])
    data: bytes = new_bytes(None, length)
    vector = IoVec(data, length)
    count = quick_libc.preadv2(fd, ctypes.byref(vector), 1, ctypes.c_int64(offset), os.RWF_NOWAIT)
    if count < 0:
        raise failure()
    return data if count == length else data[:count]


# Extended attributes by name


class XattrArguments(ctypes.Structure):
    _fields_ = (("value", ctypes.c_uint64), ("size", ctypes.c_uint32), ("flags", ctypes.c_uint32))


class MarkReader:
    """Reads one short attribute of many directory entries; for one thread at a time."""

    __slots__ = ("_arguments", "_attribute", "_size", "_value")

    def __init__(self, attribute: str) -> None:
        self._attribute = attribute.encode()
        self._value = ctypes.create_string_buffer(256)
        arguments = XattrArguments(ctypes.addressof(self._value), len(self._value), 0)
        self._size = ctypes.c_size_t(ctypes.sizeof(arguments))
        self._arguments = ctypes.byref(arguments)

    def read(self, directory: int, name: bytes) -> bytes | None:
        """The value, links not followed; None if there is none, or none that can be had."""
        length = quick_syscall(
            SYS_GETXATTRAT, directory, name, AT_SYMLINK_NOFOLLOW, self._attribute, self._arguments, self._size
        )
        return None if length < 0 else ctypes.string_at(self._value, length)


def has_getxattrat() -> bool:
    """Whether the kernel has the call that `MarkReader` uses."""
    return MarkReader("user.smbport").read(AT_FDCWD, b"/") is not None or ctypes.get_errno() not in (ENOSYS, EPERM)


class AttributeLister:
    """Tells what attributes directory entries have; for one thread at a time."""

    __slots__ = ("_list", "_size")

    def __init__(self) -> None:
        self._list = ctypes.create_string_buffer(1 << 16)  # XATTR_LIST_MAX
        self._size = ctypes.c_size_t(len(self._list))

    def read(self, directory: int, name: bytes) -> bytes | None:
        """The names, each with a zero behind it, links not followed; None if they cannot be had."""
        length = quick_syscall(SYS_LISTXATTRAT, directory, name, AT_SYMLINK_NOFOLLOW, self._list, self._size)
        if not length:  # nearly always
            return b""
        return None if length < 0 else ctypes.string_at(self._list, length)


def has_listxattrat() -> bool:
    """Whether the kernel has the call that `AttributeLister` uses."""
    return AttributeLister().read(AT_FDCWD, b"/") is not None or ctypes.get_errno() not in (ENOSYS, EPERM)


# The identity of a thread


class IdentityNumbers(NamedTuple):
    setgroups: ctypes.c_long
    setfsuid: ctypes.c_long
    setfsgid: ctypes.c_long


# The C library's own functions change all threads, so these calls are made by number, and those differ.
IDENTITY_NUMBERS: Final = {
    "x86_64": IdentityNumbers(ctypes.c_long(116), ctypes.c_long(122), ctypes.c_long(123)),
    "aarch64": IdentityNumbers(ctypes.c_long(159), ctypes.c_long(151), ctypes.c_long(152)),
}
identity_numbers: Final = IDENTITY_NUMBERS.get(os.uname().machine)
NO_ID: Final = ctypes.c_long(-1)  # cannot be set, so the call only tells what is set


class Credentials:
    """What a thread needs to act as somebody, ready for the kernel."""

    __slots__ = ("count", "gid", "gid_number", "groups", "uid", "uid_number")

    def __init__(self, uid: int, gid: int, groups: Sequence[int]) -> None:
        self.uid_number, self.gid_number = uid, gid
        self.uid, self.gid = ctypes.c_long(uid), ctypes.c_long(gid)
        self.count = ctypes.c_long(len(groups))
        self.groups = (ctypes.c_uint32 * len(groups))(*groups)


def has_thread_identity() -> bool:
    """Whether the numbers of the calls are known for this machine."""
    return identity_numbers is not None


def assume_identity(new: Credentials, own: Credentials) -> None:
    """Let this thread, which acts as `own`, act as `new`: groups first, while it still may, then gid and uid.

    If the thread acts as another account already, nothing changes: RuntimeError.  Two of the calls cannot report
    failure, so the result is asked for: PermissionError if it is not as wanted, and all is as before.
    """
    numbers = identity_numbers
    assert numbers is not None
    if quick_syscall(numbers.setfsuid, NO_ID) != own.uid_number:
        raise RuntimeError("this thread already acts as another account")
    try:
        if quick_syscall(numbers.setgroups, new.count, new.groups):
            raise failure()
        quick_syscall(numbers.setfsgid, new.gid)
        quick_syscall(numbers.setfsuid, new.uid)
        uid, gid = quick_syscall(numbers.setfsuid, NO_ID), quick_syscall(numbers.setfsgid, NO_ID)
        if (uid, gid) != (new.uid_number, new.gid_number):
            raise PermissionError(EPERM, "the kernel does not let this thread act as another account")
    except BaseException:  # also a KeyboardInterrupt between two of the calls
        resume_identity(own)
        raise


def resume_identity(own: Credentials) -> None:
    """Let this thread act as the process again: uid first, which gives the rights to set the others back."""
    numbers = identity_numbers
    assert numbers is not None
    quick_syscall(numbers.setfsuid, own.uid)
    quick_syscall(numbers.setfsgid, own.gid)
    if quick_syscall(numbers.setgroups, own.count, own.groups):
        raise failure()


# Watching directories

LINUX_MASKS: Final = InotifyMasks(
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
    # IN_ONLYDIR, IN_EXCL_UNLINK: names that are gone are not told of, whoever still writes to the file
    options=0x1000000 | 0x4000000,
)

STATFS_SIZE: Final = 120  # or less
FILE_SYSTEM_TYPES: Final = {
    0xEF53: "ext4",  # and ext2, ext3
    0x58465342: "xfs",
    0x9123683E: "btrfs",
    0xCA451A4E: "bcachefs",
    0xF2F52010: "f2fs",
    0x2FC12FC1: "zfs",
    0x01021994: "tmpfs",
    0x858458F6: "ramfs",
    0x794C7630: "overlay",
    0x4D44: "vfat",  # and msdos
    0x2011BAB0: "exfat",
    0x7366746E: "ntfs3",
    0x482B: "hfsplus",
    0x15013346: "udf",
    0x9660: "iso9660",
    0x73717368: "squashfs",
    0xE0F5E1E2: "erofs",
}
"""f_type of those that are on a disk or in the memory of this machine."""


def inotify_init() -> int:
    """A new inotify descriptor, non-blocking."""
    fd = quick_libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    if fd < 0:
        raise failure()
    return int(fd)


def inotify_add_watch(fd: int, path: bytes, mask: int) -> int:
    """Watch what `path` leads to; the number of the watch."""
    watch = quick_libc.inotify_add_watch(fd, path, mask)
    if watch < 0:
        raise failure()
    return int(watch)


def inotify_remove_watch(fd: int, watch: int) -> None:
    """Watch it no more.  If the watch is over already, nothing happens."""
    quick_libc.inotify_rm_watch(fd, watch)


def file_system_type(path: bytes) -> str | None:
    """What a path is on, if that is one of FILE_SYSTEM_TYPES."""
    buffer = ctypes.create_string_buffer(STATFS_SIZE)
    if libc.statfs(path, buffer):
        raise failure()
    return FILE_SYSTEM_TYPES.get(ctypes.c_long.from_buffer(buffer).value & 0xFFFFFFFF)
