"""Which names a directory surely does not hold, in any case, so that making a file need not read the directory.

A client that ignores case may make "Report.txt" only if no "REPORT.TXT" is there.  On a file system that minds
case that would take a look at every name, for every new file.  So the names of a directory are remembered, as
hashes of their folded form, together with the directory's times: as long as those are the same, a hash that is
not among them proves that the name is free.  A hash that is there proves nothing and means a look.  What is removed
through this server is forgotten, unless there may be another name with that hash.

Changes made through this server bring the memory along; any other change shows in the directory's times and
makes it worthless.  A local program that adds a name within the very clock tick of such a change, or while several of
them overlap, can go unseen: then a second spelling may come to stand beside the first, as local programs can always
have it.

In a share with short names (short_names.py) it also remembers which long names were lately asked for by short ones.

Called from worker threads.  Each method does one step on a dictionary or set, and names are added before they are
made and before the times are, so a reader sees too little only where it also sees old times.
"""

from errno import EEXIST
from typing import Final, NamedTuple

from smbport.platform import FileKey, Stat
from smbport.state.names import fold, name_for_wire

__all__ = ["MAX_NAMES", "Change", "Moment", "Spellings"]

MAX_NAMES: Final = 1_000_000  # in one share, about 64 bytes each, and one per directory; then directories go
MAX_LONG_NAMES: Final = 256  # guessed


class _Directory:
    __slots__ = ("changed", "changing", "complete", "hashes", "stamp", "twice")

    def __init__(self, stamp: tuple[int, int]) -> None:
        self.stamp = stamp
        self.hashes: set[int] = set()
        self.twice: set[int] = set()  # those of them that more than one name may have
        self.complete = False  # it was read to its end; until then there are the names that were added meanwhile
        self.changed = 0  # how often we did so far
        self.changing = 0  # how many changes of ours are under way: until they are done its times may be ahead


class Moment(NamedTuple):
    """A directory right before a change that is made through this server."""

    state: Stat
    known: _Directory | None
    changed: int
    added: int | None  # the hash of the name
    removed: int | None


class Spellings:
    """The memory of one share."""

    __slots__ = ("_directories", "_long_names", "_names", "short_names")

    def __init__(self, *, short_names: bool = False) -> None:
        self.short_names = short_names  # files are found by them
        self._long_names: dict[tuple[FileKey, str], str] = {}  # by directory and folded short name, oldest first
        self._directories: dict[FileKey, _Directory] = {}  # the least recently read first
        self._names = 0

    def may_hold(self, directory: Stat, name: str) -> bool:
        """Whether the directory, in this state, may hold `name` in some spelling."""
        known = self._directories.get(directory.key)
        return known is None or not _is_known(known, directory) or _hash(name) in known.hashes

    def knows(self, directory: Stat) -> bool:
        """Whether the directory was read and did not change since."""
        known = self._directories.get(directory.key)
        return known is not None and _is_known(known, directory)

    def begin(self, directory: Stat) -> None:
        """The directory in this state is going to be read, so from now on what is added to it counts."""
        known = self._directories.get(directory.key)
        if known is None or (known.complete and not _is_known(known, directory)):
            self.forget(directory.key)
            self._directories[directory.key] = _Directory(_stamp(directory))
            self._names += 1

    def remember(self, directory: Stat, hashes: set[int], twice: set[int]) -> None:
        """It was read from start to end: `hash(fold(name))` of every name as clients see it, and what came twice.

        More than MAX_NAMES are not remembered.
        """
        if len(hashes) > MAX_NAMES:
            self.forget(directory.key)
        known = self._directories.get(directory.key)
        if known is None:
            return
        before = len(known.hashes)
        known.twice |= twice | (known.hashes & hashes)
        known.hashes |= hashes
        known.complete = True
        self._names += len(known.hashes) - before
        self._make_room()

    def change(self, directory: Stat, added: str | None = None, removed: str | None = None) -> Moment:
        """This server is going to change the directory, which has this state now: to add a name or remove one.

        `done` must follow whatever comes of it, and before it `follow` if it was changed.
        """
        known = self._directories.get(directory.key)
        new = None if added is None else _hash(added)
        old = None if removed is None else _hash(removed)
        if known is None:
            return Moment(directory, None, 0, new, old)
        known.changing += 1
        if new is not None and new in known.hashes:
            known.twice.add(new)
        self._add(known, new)
        return Moment(directory, known, known.changed, new, old)

    def follow(self, before: Moment, after: Stat) -> None:
        """It was changed, to this state."""
        known = self._directories.get(after.key)
        if known is None:
            return
        self._add(known, before.added)
        self._discard(known, before.removed)
        overlaps = known is before.known and (known.changing > 1 or known.changed != before.changed)
        if overlaps or known.stamp == _stamp(before.state):  # else others changed it before
            known.changed += 1
            known.stamp = max(known.stamp, _stamp(after))  # of several that overlap, the last one
        self._make_room()

    def done(self, before: Moment) -> None:
        """The change is over."""
        if before.known is not None:
            before.known.changing -= 1

    def _add(self, known: _Directory, added: int | None) -> None:
        if added is not None and added not in known.hashes:
            known.hashes.add(added)
            self._names += 1

    def _discard(self, known: _Directory, removed: int | None) -> None:
        if removed is not None and removed in known.hashes and removed not in known.twice:
            known.hashes.discard(removed)
            self._names -= 1

    def remember_long(self, directory: Stat, short: str, name: str) -> None:
        """A short name stood for `name` in the directory.

        A program that knows short names only may remove the file and make it again: it gets its long name back, as by
        the tunnelling of NTFS.
        """
        self._long_names[directory.key, fold(short)] = name
        if len(self._long_names) > MAX_LONG_NAMES:
            self._long_names.pop(next(iter(self._long_names)), None)

    def long_name(self, directory: Stat, short: str) -> str | None:
        """What a short name that stands for nothing now stood for lately."""
        return self._long_names.get((directory.key, fold(short)))

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


class Change:
    """The memory beside one change that a volume makes: a smbport.platform.Witness.

    `over` must follow, whatever comes of it.
    """

    __slots__ = ("_added", "_moment", "_removed", "_spellings", "_surely")

    def __init__(
        self, spellings: Spellings, *, added: str | None = None, removed: str | None = None, surely: bool = False
    ) -> None:
        self._spellings = spellings
        self._added = added
        self._removed = removed
        self._surely = surely  # nothing is added unless it is known that no spelling of the name is there
        self._moment: Moment | None = None

    def before(self, directory: Stat) -> None:
        """Raises FileExistsError if nothing may be added."""
        if self._surely and self._added is not None and self._spellings.may_hold(directory, self._added):
            raise FileExistsError(EEXIST, "perhaps, in another spelling", self._added)
        self._moment = self._spellings.change(directory, self._added, self._removed)

    def after(self, directory: Stat) -> None:
        if self._moment is not None:
            self._spellings.follow(self._moment, directory)

    def over(self) -> None:
        """It was made or not."""
        if self._moment is not None:
            self._spellings.done(self._moment)
            self._moment = None


def _is_known(known: _Directory, directory: Stat) -> bool:
    return known.complete and (known.stamp == _stamp(directory) or known.changing > 0)


def _stamp(directory: Stat) -> tuple[int, int]:
    """The times of a directory change with every name in it."""
    return directory.write_ns, directory.change_ns


def _hash(name: str) -> int:
    return hash(fold(name_for_wire(name)))
