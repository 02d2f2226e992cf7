"""Being told what happens in directories."""

from typing import Final, NamedTuple, Protocol

from smbport.platform.volumes import Directory

__all__ = ["Watch", "WatchChange", "WatchEvent", "Watcher"]


class WatchChange:
    """What a Watcher tells of."""

    ADDED: Final = 1  # the directory has a new name: made, linked, or moved here from where nobody watches
    REMOVED: Final = 2  # a name is gone: removed, or moved to where nobody watches
    RENAMED_FROM: Final = 3  # a name is gone by a rename; RENAMED_TO with the same `pair` may follow, even elsewhere
    RENAMED_TO: Final = 4  # a name has come by a rename; what had the name before, if anything did, is gone
    MODIFIED: Final = 5  # the data or the size of what has the name
    ATTRIBUTES: Final = 6  # its mode, owner, times or extended attributes
    MOVED: Final = 7  # the watched directory itself has another name or place; the watch goes on
    GONE: Final = 8  # the watched directory was removed or unmounted: the watch is over
    LOST: Final = 9  # too much happened at once: anything may have changed in any watched directory


class WatchEvent(NamedTuple):
    """One change, whoever made it.  A Watcher may tell equal ones in a row once; it keeps their order."""

    watch: int  # what `add` returned; 0 with LOST
    what: int  # one of WatchChange
    name: str = ""  # in the watched directory; "" if it is about the directory itself
    is_directory: bool = False  # what has the name, or had it; not told with MODIFIED
    pair: int = 0  # equal in the two halves of one rename, else 0


class Watcher(Protocol):
    """A number of watched directories, and the changes in them that were not taken yet.

    Only the entries of a directory are watched, not those of its subdirectories.  All that happened before a call
    of `take` began is in what it returns, with one exception: a change through a memory mapping need not be told.
    """

    def fileno(self) -> int:
        """A descriptor that is readable while `take` has something to return."""

    def add(self, directory: Directory) -> int:
        """Watch a directory.  The number, never 0, is the same for the same directory, however it was opened.

        The handle may be closed afterwards.  OSError(ENOSPC) if no more can be watched; OSError(ENOTSUP) if some of
        the changes in this directory could not be seen, as on a network file system; PermissionError if this
        process may not watch it.
        """

    def remove(self, watch: int) -> None:
        """Watch a directory no more; nothing is told of it from now on.  Harmless if the watch is over."""

    def take(self) -> list[WatchEvent]:
        """What happened since the last call, oldest first; [] if nothing did."""

    def close(self) -> None:
        """Give everything back.  Called once; never raises."""


class Watch(Protocol):
    """Being told what happens in directories, whoever does it."""

    def start(self) -> Watcher:
        """A new Watcher, which several threads may add to while another takes.  OSError(EMFILE): too many."""
