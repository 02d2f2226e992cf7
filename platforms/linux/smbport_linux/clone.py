"""Copying inside the kernel: blocks are shared where the file system can, else the page cache is copied."""

import os
from typing import Final

from smbport.posix.data import PosixClone
from smbport_linux.calls import clone_range

__all__ = ["REFLINK_FILE_SYSTEMS", "new_clone", "why_no_clone"]

REFLINK_FILE_SYSTEMS: Final = frozenset(("bcachefs", "btrfs", "ocfs2", "xfs"))
"""They share blocks if they were made so; a xfs that was not refuses, as any other would."""


def new_clone() -> PosixClone:
    """The power `clone`."""
    return PosixClone(copy_range, clone_range)


def copy_range(source: int, source_offset: int, target: int, target_offset: int, length: int) -> int:
    # The kernel shares whole blocks by itself (from 4.5 on), and copies what is left of them.
    return os.copy_file_range(source, target, length, source_offset, target_offset)


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
