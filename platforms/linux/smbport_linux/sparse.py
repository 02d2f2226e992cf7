"""Holes: fallocate makes them, lseek finds them."""

import os
from typing import Final

from smbport.posix.data import PosixSparse
from smbport_linux.calls import punch_hole, zero_range

__all__ = ["HOLE_FILE_SYSTEMS", "new_sparse", "why_no_sparse"]

HOLE_FILE_SYSTEMS: Final = frozenset(("bcachefs", "btrfs", "ext3", "ext4", "f2fs", "gfs2", "ocfs2", "tmpfs", "xfs"))


def new_sparse() -> PosixSparse:
    """The power `sparse`."""
    return PosixSparse(punch_hole, zero_range)


def why_no_sparse() -> str | None:
    """None if a file in memory can have a hole that is found again, else the sentence that says why not."""
    fd = os.memfd_create("smbport")
    try:
        page = os.sysconf("SC_PAGESIZE")
        os.write(fd, bytes(2 * page))
        punch_hole(fd, 0, page)
        if os.lseek(fd, 0, os.SEEK_DATA) == page:
            return None
        return "This kernel does not find the holes that it makes."
    except OSError as reason:
        return f"This kernel refuses holes: {reason.strerror}."
    finally:
        os.close(fd)
