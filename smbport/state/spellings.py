"""Which names a directory surely does not hold, in any case, so that making a file need not read the directory.

A client that ignores case may make "Report.txt" only if no "REPORT.TXT" is there.  On a file system that minds
case that would take a look at every name, for every new file.  So the names of a directory are remembered, as
hashes of their folded form, together with the directory's times: as long as those are the same, a hash that is
not among them proves that the name is free.  A hash that is there proves nothing and means a look.

Changes made through this server bring the memory along; any other change shows in the directory's times and
makes it worthless.  A local program that adds a name within the very clock tick of such a change can go unseen:
then a second spelling may come to stand beside the first, as local programs can always have it.

Called from worker threads.  Each method does one step on a dictionary or set, and new names are added before the
times are, so a reader sees too little only where it also sees old times.
"""

from typing import Final

from smbport.platform import FileKey, Stat
from smbport.state.names import fold, name_for_wire

__all__ = ["MAX_NAMES", "Spellings"]

MAX_NAMES: Final = 1_000_000  # in one share, about 64 bytes each, and one per directory; then directories go


class _Directory:
    __slots__ = ("hashes", "stamp")

    def __init__(self, stamp: tuple[int, int], hashes: set[int]) -> None:
        self.stamp = stamp
        self.hashes = hashes


class Spellings:
    """The memory of one share."""

    __slots__ = ("_directories", "_names")

    def __init__(self) -> None:
        self._directories: dict[FileKey, _Directory] = {}  # the least recently read first
        self._names = 0

    def may_hold(self, directory: Stat, name: str) -> bool:
        """Whether the directory, in this state, may hold `name` in some spelling."""
        known = self._directories.get(directory.key)
        return known is None or known.stamp != _stamp(directory) or _hash(name) in known.hashes

    def knows(self, directory: Stat) -> bool:
        """Whether the directory was read and did not change since."""
        known = self._directories.get(directory.key)
        return known is not None and known.stamp == _stamp(directory)

    def remember(self, directory: Stat, hashes: set[int]) -> None:
        """The directory was read from start to end: `hash(fold(name))` of every name as clients see it.

        `directory` is its state from before.  More than MAX_NAMES are not remembered.
        """
        if len(hashes) > MAX_NAMES:
            return
        self.forget(directory.key)
        self._directories[directory.key] = _Directory(_stamp(directory), hashes)
        self._names += 1 + len(hashes)
        self._make_room()

    def follow(self, before: Stat, after: Stat, added: str | None = None) -> None:
        """This server changed the directory from one state to the other, adding a name or only removing some."""
        known = self._directories.get(before.key)
        if known is None or known.stamp != _stamp(before):
            return
        if added is not None and (name := _hash(added)) not in known.hashes:
            known.hashes.add(name)
            self._names += 1
        known.stamp = _stamp(after)
        self._make_room()

    def forget(self, key: FileKey) -> None:
        """Drop a directory."""
        known = self._directories.pop(key, None)
        if known is not None:
            self._names -= 1 + len(known.hashes)

    def _make_room(self) -> None:
        """Let go of directories while there are too many names; threads may have miscounted, so never rely on it."""
        if self._names <= MAX_NAMES:
            return
        for key in list(self._directories):
            self.forget(key)
            if self._names <= MAX_NAMES:
                return
        self._names = 0


def _stamp(directory: Stat) -> tuple[int, int]:
    """The times of a directory change with every name in it."""
    return directory.write_ns, directory.change_ns


def _hash(name: str) -> int:
    return hash(fold(name_for_wire(name)))
