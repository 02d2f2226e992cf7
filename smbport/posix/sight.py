"""Whether an inode still is the file that it was, on systems where nobody can say.

Numbers of inodes are used again, often at once.  Where files have a time of birth, that tells.  Where they do not,
there is only what a file that was made later cannot have: times from before.  A Sight is how a file looked when it was
last seen.  What is there now is taken for the same file if

- its size and write time are as they were: it may have been renamed, linked, or given other permissions; or
- its name and directory are as they were, and it has not been read since, or no name of its directory came or went
  since: it may have been written to; or
- it is a directory, and its name and directory are as they were.

So what belonged to a removed file can appear with another one only if that has the same inode and name and was given
an old access time on purpose, or the same size and write time; or, of directories, the same inode and name.  And a file
can lose what belongs to it only if it is written to past the server and, before the server sees it again, renamed or
read while names come and go in its directory.
"""

import os
from stat import S_ISDIR
from typing import Any, Final, NamedTuple

__all__ = ["Sight", "is_same"]

LATEST_NS: Final = (1 << 63) - 1  # in the year 2262; file systems go further, SQLite does not


class Sight(NamedTuple):
    """How a file looked, and where."""

    parent: int  # the inode of its directory
    name: bytes
    path: bytes  # from the root of the volume, when that was last known
    is_directory: bool
    birth_ns: int | None  # None: the system does not tell
    size: int
    write_ns: int
    access_ns: int
    change_ns: int

    @classmethod
    def of(cls, found: os.stat_result, parent: int, name: bytes, path: bytes) -> "Sight":
        birth_s: float | None = getattr(found, "st_birthtime", None)
        return cls(
            parent,
            name,
            path,
            S_ISDIR(found.st_mode),
            None if birth_s is None else int(birth_s * 1e9),
            found.st_size,
            *(min(time_ns, LATEST_NS) for time_ns in (found.st_mtime_ns, found.st_atime_ns, found.st_ctime_ns)),
        )

    @classmethod
    def make(cls, row: tuple[Any, ...]) -> "Sight":
        """From columns."""
        parent, name, path, is_directory, birth_ns, size, write_ns, access_ns, change_ns = row[:9]
        return cls(parent, name, path, bool(is_directory), birth_ns, size, write_ns, access_ns, change_ns)

    def at(self, found: os.stat_result) -> "Sight":
        """The same file, as it looks now."""
        return Sight.of(found, *self[:3])

    def keep_place(self, then: "Sight") -> "Sight":
        """Where it was found `then`, if this look at a directory came by way of a link and does not tell."""
        return self._replace(parent=then.parent, name=then.name, path=then.path) if self.name == b"." else self


def is_same(then: Sight, now: Sight, parent: int) -> bool:
    """Whether they are of the same file; `parent` is the directory where it is now, open."""
    if then.is_directory != now.is_directory:
        return False
    if then.birth_ns is not None and now.birth_ns is not None:
        if now.birth_ns == then.birth_ns:
            return True
        if now.birth_ns > then.birth_ns:  # an earlier one may come from a write time that somebody has set
            return False
    if (then.size, then.write_ns) == (now.size, now.write_ns):
        return True
    if (then.parent, then.name) != (now.parent, now.name) and now.name != b".":
        return False
    not_read = now.access_ns == then.access_ns or now.access_ns <= then.change_ns
    return then.is_directory or not_read or os.fstat(parent).st_mtime_ns <= then.change_ns
