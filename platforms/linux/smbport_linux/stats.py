"""States of files: by statx, which knows the time of birth, and with the marks from `user.DOSATTRIB`."""

import os
from collections.abc import Sequence
from typing import Final

from smbport.platform import FileKey, Kind, Stat
from smbport.posix.dosattrib import ATTRIBUTE_NAME, NO_MARKS, Marks, parse_marks
from smbport.posix.nodes import KINDS
from smbport_linux.calls import (
    AT_EMPTY_PATH,
    AT_SYMLINK_NOFOLLOW,
    STATX_BTIME,
    STATX_FIELDS,
    STATX_WANTED,
    AttributeLister,
    MarkReader,
    failure,
    has_getxattrat,
    has_listxattrat,
    new_statx_buffer,
    statx,
)

__all__ = [
    "list_entry_attributes", "read_entry_marks", "read_entry_states", "read_marks", "read_open_state", "tells_birth",
]  # fmt: skip

unpack: Final = STATX_FIELDS.unpack_from
new_tuple: Final = tuple.__new__  # half the price of calling FileKey, and this is done for each entry of a listing


def read_states(directory: int, names: Sequence[bytes], flags: int, compressed: int) -> list[Stat | None]:
    """The states of directory entries, without marks; None for what cannot be had, the last reason being in errno.

    `compressed` is STATX_ATTR_COMPRESSED where that is true; ext4 says it of files that it does not compress.  This is
    the hot path of every listing: one loop, nothing called that can be done here.
    """
    buffer = new_statx_buffer()
    found: list[Stat | None] = []
    device, numbers = 0, (0, 0)
    for name in names:
        if statx(directory, name, flags, STATX_WANTED, buffer):
            found.append(None)
            continue
        (
            mask, attributes, links, uid, gid, mode, inode, size, blocks,
            access_s, access_ns, birth_s, birth_ns, change_s, change_ns, write_s, write_ns, major, minor,
        ) = unpack(buffer)  # fmt: skip
        access_ns += access_s * 1_000_000_000
        change_ns += change_s * 1_000_000_000
        write_ns += write_s * 1_000_000_000
        if mask & STATX_BTIME:
            birth_ns += birth_s * 1_000_000_000
        else:
            birth_ns = min(access_ns, change_ns, write_ns)
        if numbers != (major, minor):
            device, numbers = os.makedev(major, minor), (major, minor)
        found.append(
            Stat(
                new_tuple(FileKey, (device, inode)), KINDS.get(mode & 0o170000, Kind.OTHER), size, blocks * 512,
                links, mode & 0o7777, uid, gid, access_ns, write_ns, change_ns, birth_ns, None,
                attributes & compressed != 0,
            )
        )  # fmt: skip
    return found


def read_open_state(fd: int, compressed: int = 0) -> Stat:
    """The state of what is open, without marks."""
    (found,) = read_states(fd, (b"",), AT_EMPTY_PATH, compressed)
    if found is None:
        raise failure()
    return found


def read_entry_states(directory: int, names: Sequence[bytes], compressed: int = 0) -> list[Stat | None]:
    """The states of directory entries, without marks and not following links; None for what cannot be had."""
    return read_states(directory, names, AT_SYMLINK_NOFOLLOW, compressed)


def tells_birth(fd: int) -> bool:
    """Whether the file system records times of birth."""
    buffer = new_statx_buffer()
    if statx(fd, b"", AT_EMPTY_PATH, STATX_WANTED, buffer):
        raise failure()
    return bool(unpack(buffer)[0] & STATX_BTIME)


def read_marks(target: int | str | bytes, *, follow: bool = True) -> Marks:
    """The marks of a descriptor or path; none if they cannot be had, whatever the reason."""
    try:
        return parse_marks(os.getxattr(target, ATTRIBUTE_NAME, follow_symlinks=follow))
    except OSError:
        return NO_MARKS


def read_entry_marks(directory: int, names: Sequence[bytes]) -> list[Marks]:
    """The marks of directory entries that are no links."""
    if has_getxattrat():
        read = MarkReader(ATTRIBUTE_NAME).read
        values = [read(directory, name) for name in names]
        return [NO_MARKS if value is None else parse_marks(value) for value in values]
    return [read_marks(b"/proc/self/fd/%d/%s" % (directory, name), follow=False) for name in names]


def list_entry_attributes(directory: int, names: Sequence[bytes]) -> list[bytes]:
    """What attributes directory entries have, as the kernel writes it; b"" also where that cannot be had."""
    if has_listxattrat():
        read = AttributeLister().read
        return [read(directory, name) or b"" for name in names]
    return [_list_attributes(b"/proc/self/fd/%d/%s" % (directory, name)) for name in names]


def _list_attributes(path: bytes) -> bytes:
    try:
        return b"".join(os.fsencode(name) + b"\0" for name in os.listxattr(path, follow_symlinks=False))
    except OSError:
        return b""
