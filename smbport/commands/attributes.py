"""What Windows asks of a file and POSIX says in other words: attributes, times, sizes.  [MS-FSCC] 2.1.1, 2.6"""

from typing import Final

from smbport.platform import Kind, Stat
from smbport.wire.constants import FileAttribute
from smbport.wire.text import filetime_from_ns

__all__ = [
    "DFS_LINK", "SETTABLE", "STORED", "WRITE_BITS", "allocation_size", "end_of_file", "file_attributes", "file_times",
    "is_dot_file",
]  # fmt: skip

SETTABLE: Final = (
    FileAttribute.READONLY | FileAttribute.HIDDEN | FileAttribute.SYSTEM | FileAttribute.ARCHIVE
    | FileAttribute.TEMPORARY | FileAttribute.OFFLINE | FileAttribute.NOT_CONTENT_INDEXED
)  # fmt: skip
"""The attributes that clients may choose; the others say what a file is."""

STORED: Final = SETTABLE | FileAttribute.SPARSE_FILE
"""What is kept with a file; that it is sparse is said by an FSCTL of its own."""

ON_DIRECTORY: Final = SETTABLE | FileAttribute.COMPRESSED

WRITE_BITS: Final = 0o222

DFS_LINK: Final = 0x100
"""A kind beyond those of `Kind`: a name that stands for a folder of another server."""


def file_attributes(stat: Stat, path: str) -> int:
    """The attributes as stored; for a file that has none stored, what its mode and its name say."""
    attributes = stat.dos_attributes
    if attributes is not None:
        attributes &= STORED
    else:
        attributes = 0 if stat.mode & WRITE_BITS else FileAttribute.READONLY
        if is_dot_file(path):
            attributes |= FileAttribute.HIDDEN
    if stat.compressed:
        attributes |= FileAttribute.COMPRESSED
    if stat.kind == Kind.DIRECTORY:
        return attributes & ON_DIRECTORY | FileAttribute.DIRECTORY
    if stat.kind == Kind.SYMLINK:
        return attributes & SETTABLE | FileAttribute.REPARSE_POINT
    if stat.kind == DFS_LINK:
        return FileAttribute.DIRECTORY | FileAttribute.REPARSE_POINT
    return attributes or FileAttribute.NORMAL


def is_dot_file(path: str) -> bool:
    """Whether POSIX tools leave the name out of their listings."""
    return path.startswith(".", path.rfind("/") + 1) and path not in (".", "..")


def file_times(stat: Stat) -> tuple[int, int, int, int]:
    """CreationTime, LastAccessTime, LastWriteTime and ChangeTime, in the order of every class that has them."""
    return (
        filetime_from_ns(stat.birth_ns),
        filetime_from_ns(stat.access_ns),
        filetime_from_ns(stat.write_ns),
        filetime_from_ns(stat.change_ns),
    )


def end_of_file(stat: Stat) -> int:
    """The size in bytes; a directory has none, whatever its file system says."""
    return 0 if stat.kind == Kind.DIRECTORY else stat.size


def allocation_size(stat: Stat) -> int:
    """The bytes taken on the volume, likewise."""
    return 0 if stat.kind == Kind.DIRECTORY else stat.allocated
