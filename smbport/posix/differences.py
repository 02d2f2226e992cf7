"""What is different in watched directories since they were listed, for systems that tell of changes without names.

Whoever watches lists a directory again, says which names have gone and come, and gets the events in an order in which
they can be followed: what files suffered, under their old names; all that went; all that came; the directories' own.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from smbport.platform import FileKey, Kind, Stat, WatchChange, WatchEvent

__all__ = ["Difference", "Held", "News", "Watched"]


@dataclass(slots=True)
class Held:
    """An entry of a watched directory, held open, as it was when it was last looked at."""

    fd: int
    state: Stat
    notes: int = 0  # since then

    @property
    def is_directory(self) -> bool:
        return self.state.kind == Kind.DIRECTORY

    @property
    def identity(self) -> tuple[FileKey, int]:
        """The key and the time of birth: an inode is used again soon."""
        return self.state.key, self.state.birth_ns


@dataclass(slots=True)
class Watched:
    """A watched directory, as it was when it was last listed."""

    number: int
    fd: int
    key: FileKey
    listed_ns: int = 0  # its time of change then
    entries: dict[str, Held] = field(default_factory=dict)


class Difference(NamedTuple):
    """A name that has come or gone."""

    watched: Watched
    name: str
    entry: Held
    by_rename: bool

    def tell(self, by_rename: int, otherwise: int, pair: int) -> WatchEvent:
        what = by_rename if self.by_rename or pair else otherwise
        return WatchEvent(self.watched.number, what, self.name, self.entry.is_directory, pair)


class News:
    """What one call of `take` finds out."""

    __slots__ = ("come", "gone", "over", "suffered")

    def __init__(self) -> None:
        self.suffered: list[WatchEvent] = []
        self.gone: list[Difference] = []
        self.come: list[Difference] = []
        self.over: list[WatchEvent] = []

    def told(self, pairs: Iterator[int]) -> list[WatchEvent]:
        """All of it: what happened to files, names that went, names that came, what became of directories."""
        departures = {gone.entry.state.key: next(pairs) for gone in self.gone if gone.by_rename}
        paired = {come.entry.state.key for come in self.come} & set(departures)
        taken_over = {
            (come.watched.number, come.name) for come in self.come if come.by_rename or come.entry.state.key in paired
        }
        events = self.suffered
        for gone in self.gone:
            key = gone.entry.state.key
            if gone.by_rename or (gone.watched.number, gone.name) not in taken_over:
                pair = departures[key] if key in paired and gone.by_rename else 0
                events.append(gone.tell(WatchChange.RENAMED_FROM, WatchChange.REMOVED, pair))
        for come in self.come:
            key = come.entry.state.key
            pair = departures[key] if key in paired else 0
            events.append(come.tell(WatchChange.RENAMED_TO, WatchChange.ADDED, pair))
        return events + self.over
