"""Open files and directories over descriptors of the operating system.

They are written for any POSIX system, so nothing here is done inline: without knowing the file system, every
call that touches one may wait.  Ports that know more override single methods.
"""

import os
from collections.abc import Collection
from contextlib import suppress
from dataclasses import replace
from errno import EACCES, ENOENT, EOPNOTSUPP
from itertools import islice
from typing import Final, Literal

from smbport.platform import Entry, Kind, Stat
from smbport.posix.nodes import Home, PosixNode, check_free_space, check_wait, make_stat, read_all, write_all
from smbport.posix.walk import HIDDEN, error

__all__ = ["NamedDirectory", "NamedFile", "PosixDirectory", "PosixFile"]

fdatasync: Final = getattr(os, "fdatasync", os.fsync)


class PosixFile(PosixNode):
    """An open file."""

    __slots__ = ()
    is_directory: Literal[False] = False

    def fileno(self) -> int:
        return self._fd

    def read_at(self, offset: int, length: int, *, wait: bool = False) -> bytes:
        check_wait(wait)
        return read_all(self._fd, offset, length)

    def write_at(self, offset: int, data: bytes | memoryview, *, through: bool = False, wait: bool = False) -> int:
        check_wait(wait)
        written = write_all(self._fd, offset, data)
        if through:
            fdatasync(self._fd)
        return written

    def resize(self, size: int, *, wait: bool = False) -> None:
        check_wait(wait)
        os.ftruncate(self._fd, size)

    def allocate(self, size: int, *, wait: bool = False) -> None:
        # posix_fallocate changes the size, so all that can be promised is what the contract asks for at least.
        check_wait(wait)
        check_free_space(self._fd, size)


class PosixDirectory(PosixNode):
    """An open directory, and how far it has been listed."""

    __slots__ = ("_at_end", "_path", "_scan", "links")
    is_directory: Literal[True] = True

    def __init__(
        self,
        fd: int,
        home: Home,
        path: str,
        *,
        inline: bool = False,
        path_only: bool = False,
        first: Stat | None = None,
    ) -> None:
        super().__init__(fd, home, inline=inline, path_only=path_only, first=first)
        self._path = path
        self._scan: os._ScandirIterator[str] | None = None
        self._at_end = False
        self.links: Collection[str] = ()  # names that are symbolic links, of the entries last given with their state

    @property
    def path(self) -> str:
        """Where it was when it was opened, from the root of the volume; somebody may have moved it since."""
        return self._path

    def entries(self, limit: int, *, stat: bool = True, wait: bool = False) -> list[Entry]:
        if self._at_end:
            return []
        check_wait(wait)
        if self._scan is None:
            self._scan = os.scandir(self._listable())
        names = [entry.name for entry in islice(self._scan, limit)]
        self._at_end = len(names) < limit
        if HIDDEN in names:
            names.remove(HIDDEN)
            if not names:
                return self.entries(limit, stat=stat, wait=wait)
        if not stat:
            return [Entry(name, None) for name in names]
        found = self._home.stat_names(self._fd, names)
        self._follow_links(names, found)
        return list(map(Entry, names, found))

    def _listable(self) -> int:
        return self._fd

    def _follow_links(self, names: list[str], found: list[Stat | None]) -> None:
        """Put the target's state in the place of each link's, if there is one inside the volume."""
        links = [i for i, state in enumerate(found) if state is not None and state.kind == Kind.SYMLINK]
        self.links = {names[i] for i in links}
        if not links:
            return
        with suppress(OSError):
            if self._home.stat(self._path, wait=True).key != self.stat().key:
                return  # renamed since it was opened: what the links mean is not worth a search
            prefix = self._path + "/" if self._path else ""
            for i in links:
                with suppress(OSError):
                    found[i] = self._home.stat(prefix + names[i], wait=True)

    def rewind(self) -> None:
        if self._scan is not None:
            self._scan.close()  # which also moves the descriptor back to the first entry
            self._scan = None
        self._at_end = False

    def close(self) -> None:
        if self._scan is not None:
            self._scan.close()
        super().close()


class Named(PosixNode):
    """A handle of what may not or cannot be opened, on a system without O_PATH: its directory and its name.

    It is what it was for as long as the name stands for the same file; that is checked before every use.
    """

    __slots__ = ()
    _name: bytes
    _seen: Stat

    def stat(self) -> Stat:
        with suppress(OSError):
            now = make_stat(os.stat(self._name, dir_fd=self._fd, follow_symlinks=False))
            if now.key == self._seen.key:
                return now
        return replace(self._seen, links=0)

    def where(self) -> tuple[int | str | bytes, int | None]:
        if not self.stat().links:
            raise error(ENOENT)
        return self._name, self._fd

    def set_mode(self, mode: int, *, wait: bool = False) -> None:
        # chmod by name follows a link that somebody puts there in this moment, out of the volume if it likes.
        raise error(EOPNOTSUPP)

    def sync(self, *, wait: bool = False) -> None:
        check_wait(wait)  # there is nothing that a handle without access could have written


class NamedFile(Named, PosixFile):
    """An unopened file, link, FIFO, socket or device."""

    __slots__ = ("_name", "_seen")

    def __init__(self, parent: int, name: bytes, seen: Stat, home: Home) -> None:
        super().__init__(parent, home)
        self._name = name
        self._seen = seen

    def fileno(self) -> int:
        return -1


class NamedDirectory(Named, PosixDirectory):
    """A directory that the identity may not list."""

    __slots__ = ("_name", "_seen")

    def __init__(self, parent: int, name: bytes, seen: Stat, home: Home, path: str) -> None:
        super().__init__(parent, home, path)
        self._name = name
        self._seen = seen

    def _listable(self) -> int:
        raise error(EACCES)
