"""What Linux calls a file for NFS servers: good as long as the file exists, also when others move it, and then never.

The kernel makes of every failure to find one the same error, so only file systems count that are known and local.
"""

import ctypes
import os
from errno import EINVAL, ESTALE
from struct import Struct
from typing import Final

from smbport.platform import Features
from smbport.posix.walk import Root, error
from smbport_linux.calls import AT_FDCWD, failure, libc

__all__ = ["LinuxHandles", "find_handles"]

AT_SYMLINK_FOLLOW: Final = 0x400
MAX_HANDLE_SZ: Final = 128
HEAD: Final = Struct("<Qi")  # which file system it is, by its own account; type of the handle
# Those whose handles hold a generation, and whose statfs tells the same after a start.
FILE_SYSTEMS: Final = frozenset(("btrfs", "ext2", "ext3", "ext4", "f2fs", "tmpfs", "xfs"))

name_to_handle_at: Final = libc.name_to_handle_at
open_by_handle_at: Final = libc.open_by_handle_at


class FileHandle(ctypes.Structure):
    """struct file_handle"""

    _fields_ = (
        ("handle_bytes", ctypes.c_uint),
        ("handle_type", ctypes.c_int),
        ("f_handle", ctypes.c_ubyte * MAX_HANDLE_SZ),  # no c_char, which would end at a zero
    )


VALUE: Final = FileHandle.f_handle.offset


class LinuxHandles:
    """For the file system of one directory."""

    __slots__ = ("_device", "_fd", "_system")

    def __init__(self, root: Root) -> None:
        """OSError if this process may not find files so, or there is no such name here."""
        target = f"/proc/self/fd/{root.fd}"
        self._fd = os.open(target, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            self._device = os.fstat(self._fd).st_dev
            self._system = os.fstatvfs(self._fd).f_fsid
            if not self.lives(self.name(self._fd)):
                raise error(EINVAL)
        except OSError:
            os.close(self._fd)
            raise

    def name(self, target: int | str | bytes) -> bytes:
        path = b"/proc/self/fd/%d" % target if isinstance(target, int) else os.fsencode(target)
        if os.stat(path).st_dev != self._device:
            raise error(EINVAL)
        handle, mount = FileHandle(MAX_HANDLE_SZ), ctypes.c_int()
        if name_to_handle_at(AT_FDCWD, path, ctypes.byref(handle), ctypes.byref(mount), AT_SYMLINK_FOLLOW):
            raise failure()
        return HEAD.pack(self._system, handle.handle_type) + bytes(handle)[VALUE : VALUE + handle.handle_bytes]

    def lives(self, name: bytes) -> bool:
        if not HEAD.size < len(name) <= HEAD.size + MAX_HANDLE_SZ:
            return True  # nothing that we have written
        system, kind = HEAD.unpack_from(name)
        if system != self._system:
            return True  # it came here with its file system, or by a copy
        value = name[HEAD.size :]
        handle = FileHandle(len(value), kind)
        ctypes.memmove(handle.f_handle, value, len(value))
        fd: int = open_by_handle_at(self._fd, ctypes.byref(handle), os.O_PATH | os.O_CLOEXEC)
        if fd >= 0:
            os.close(fd)
            return True
        reason = failure()
        if reason.errno != ESTALE:
            raise reason
        return False

    def close(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


def find_handles(root: Root, features: Features) -> LinuxHandles | None:
    """None where files cannot be found so: it takes the privileges of root, and a file system that can do it."""
    if features.file_system not in FILE_SYSTEMS:
        return None
    try:
        return LinuxHandles(root)
    except OSError:
        return None
