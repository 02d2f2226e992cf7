"""Compression by the file system: the flags of chattr(1), as btrfs understands them.

f2fs has the same flags but compresses only files that are still empty; ext4 keeps the flags, and compresses nothing.
"""

import os
from errno import EINVAL, EIO, ENOTTY, EOPNOTSUPP, ETXTBSY
from typing import Final

from smbport.platform import Node
from smbport.posix.marks import MARKED_KINDS
from smbport.posix.nodes import PosixNode, check_wait
from smbport.posix.walk import PLAIN, error
from smbport_linux.calls import FS_COMPR_FL, FS_NOCOMP_FL, file_system_type, inode_flags, set_inode_flags

__all__ = ["COMPRESSING_FILE_SYSTEMS", "LinuxCompression"]

COMPRESSING_FILE_SYSTEMS: Final = frozenset(("btrfs",))

# The kernel's words for "not this one": no such flags, a file without copy on write (chattr +C), a swap file.
UNABLE: Final = (ENOTTY, EOPNOTSUPP, EINVAL, ETXTBSY)


class LinuxCompression:
    """The power `compression`.  The flags are the owner's to set."""

    __slots__ = ()

    def set(self, node: Node, compressed: bool, *, wait: bool = False) -> None:
        check_wait(wait)
        if not isinstance(node, PosixNode) or node.stat().kind not in MARKED_KINDS:
            raise error(EOPNOTSUPP)
        target, _ = node.where()
        fd = os.dup(target) if isinstance(target, int) else os.open(target, os.O_RDONLY | PLAIN)  # no O_PATH will do
        wanted = FS_COMPR_FL if compressed else FS_NOCOMP_FL  # with neither, the mount option compress decides
        try:
            if file_system_type(b"/proc/self/fd/%d" % fd) not in COMPRESSING_FILE_SYSTEMS:
                raise error(EOPNOTSUPP)
            with node.home.rights:
                set_inode_flags(fd, inode_flags(fd) & ~(FS_COMPR_FL | FS_NOCOMP_FL) | wanted)
        except OSError as reason:
            raise error(EOPNOTSUPP if reason.errno in UNABLE else reason.errno or EIO) from None
        finally:
            os.close(fd)
