"""States of files from FreeBSD's own `struct stat`, and the marks: DOS attributes and creation time.

Marks are kept in the user attribute DOSATTRIB, where Samba keeps them, too.  Some of the DOS attributes are file flags
as well, which `ls -lo` shows and `chflags` changes, and one of them ZFS sets by itself (uarch); where the file system
has flags, they say whether a file is hidden, system, offline or to be archived, unless it was Samba that stored the
marks last: it knows nothing of flags, and writes a newer version of the attribute than we do.  UF_READONLY is left
alone: ZFS enforces it, also against the server, which could not change the attributes of such a file any more.
"""

from typing import Final, NamedTuple

from smbport.platform import FileKey, Kind, Stat
from smbport.posix.attributes import MARKS
from smbport.posix.dosattrib import NO_MARKS, Marks, pack_marks, parse_marks
from smbport.posix.nodes import KINDS
from smbport_freebsd.calls import (
    EXTATTR_NAMESPACE_USER,
    UF_ARCHIVE,
    UF_HIDDEN,
    UF_OFFLINE,
    UF_SYSTEM,
    Calls,
    StatStruct,
    Timespec,
)

__all__ = [
    "DOSATTRIB",
    "FLAGS",
    "FLAG_FILE_SYSTEMS",
    "UNMARKED",
    "Stored",
    "add_flags",
    "make_stat",
    "read_marks",
    "with_flags",
]

DOSATTRIB: Final = MARKS.encode()  # ZFS refuses names with a prefix

FLAG_FILE_SYSTEMS: Final = frozenset(("msdosfs", "tmpfs", "ufs", "zfs"))
FLAGS: Final = {0x0002: UF_HIDDEN, 0x0004: UF_SYSTEM, 0x0020: UF_ARCHIVE, 0x1000: UF_OFFLINE}
"""DOS attributes of [MS-FSCC] 2.6 -> the flags that mean the same."""

OURS: Final = pack_marks(NO_MARKS)[:4]  # an empty text, the version
UNASKED: Final = 0x0020  # ZFS sets it on whatever is new
ALL_FLAGS: Final = sum(FLAGS.values())
ALL_ATTRIBUTES: Final = sum(FLAGS)


class Stored(NamedTuple):
    """What DOSATTRIB says."""

    marks: Marks
    with_flags: bool = True  # by somebody who sets flags as well


UNMARKED: Final = Stored(NO_MARKS)


def make_stat(found: StatStruct) -> Stat:
    """The state, without marks."""
    access_ns, write_ns, change_ns = time_ns(found.st_atim), time_ns(found.st_mtim), time_ns(found.st_ctim)
    birth_ns = time_ns(found.st_birthtim)
    return Stat(
        FileKey(found.st_dev, found.st_ino),
        KINDS.get(found.st_mode & 0o170000, Kind.OTHER),
        found.st_size,
        found.st_blocks * 512,
        found.st_nlink,
        found.st_mode & 0o7777,
        found.st_uid,
        found.st_gid,
        access_ns,
        write_ns,
        change_ns,
        birth_ns if birth_ns > 0 else min(access_ns, write_ns, change_ns),  # 0 or -1: it is not recorded
        None,
    )


def time_ns(time: Timespec) -> int:
    seconds: int = time.tv_sec
    rest: int = time.tv_nsec
    return seconds * 1_000_000_000 + rest


def read_marks(calls: Calls, fd: int) -> Stored:
    """The stored marks of an open file; none if they cannot be had, whatever the reason."""
    try:
        value = calls.get_attribute(fd, EXTATTR_NAMESPACE_USER, DOSATTRIB)
    except OSError:
        return UNMARKED
    return UNMARKED if value is None else Stored(parse_marks(value), value.startswith(OURS))


def add_flags(stat: Stat, flags: int) -> None:
    """Put what the flags say in the place of what is stored."""
    said = sum(attribute for attribute, flag in FLAGS.items() if flags & flag)
    if stat.dos_attributes is not None:
        stat.dos_attributes = stat.dos_attributes & ~ALL_ATTRIBUTES | said
    elif said & ~UNASKED:
        stat.dos_attributes = said


def with_flags(flags: int, dos_attributes: int) -> int:
    """The flags of a file, changed so that they say these attributes; all others stay."""
    return flags & ~ALL_FLAGS | sum(flag for attribute, flag in FLAGS.items() if dos_attributes & attribute)
