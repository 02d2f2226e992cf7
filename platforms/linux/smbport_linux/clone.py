"""Copying inside the kernel: blocks are shared where the file system can, else the page cache is copied."""

import os
from errno import EIO, ENOSYS, ENOTTY, EOPNOTSUPP, EPERM, ETXTBSY, EXDEV
from typing import Final

from smbport.platform import File
from smbport.posix.data import descriptor
from smbport.posix.files import check_wait
from smbport.posix.walk import error
from smbport_linux.calls import clone_range

__all__ = ["REFLINK_FILE_SYSTEMS", "LinuxClone", "why_no_clone"]

REFLINK_FILE_SYSTEMS: Final = frozenset(("bcachefs", "btrfs", "ocfs2", "xfs"))
"""They share blocks if they were made so; a xfs that was not refuses, as any other would."""

# The kernel's words for "not between these two": two file systems, one without such a call, seccomp.
UNABLE: Final = (EXDEV, EOPNOTSUPP, ENOSYS, EPERM)


class LinuxClone:
    """The power `clone`."""

    __slots__ = ()

    def copy(
        self, source: File, source_offset: int, target: File, target_offset: int, length: int, *, wait: bool = False
    ) -> int:
        # The kernel shares whole blocks by itself (from 4.5 on), and copies what is left of them.
        check_wait(wait)
        try:
            return os.copy_file_range(descriptor(source), descriptor(target), length, source_offset, target_offset)
        except OSError as reason:
            raise error(EXDEV if reason.errno in UNABLE else reason.errno or EIO) from None

    def reflink(
        self, source: File, source_offset: int, target: File, target_offset: int, length: int, *, wait: bool = False
    ) -> None:
        check_wait(wait)
        if length <= 0:
            return  # which to the kernel means "to the end"
        try:
            clone_range(descriptor(source), source_offset, length, descriptor(target), target_offset)
        except OSError as reason:
            # Swap files cannot share; ENOTTY is a file system that has never heard of it.
            raise error(EOPNOTSUPP if reason.errno in (ENOTTY, ETXTBSY) else reason.errno or EIO) from None


def why_no_clone() -> str | None:
    """None if a copy between two files in memory works, else the sentence that says why not."""
    source, target = os.memfd_create("smbport"), os.memfd_create("smbport")
    try:
        os.write(source, b"x")
        if os.copy_file_range(source, target, 1, 0, 0) == 1:
            return None
        return "This kernel copies nothing by copy_file_range."
    except OSError as reason:
        return f"This kernel refuses copy_file_range: {reason.strerror}."
    finally:
        os.close(source)
        os.close(target)
