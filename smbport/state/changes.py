"""Changes to a share: who makes them reports them here, who watches a directory hears of them.  [MS-FSA] 2.1.4.1

    share.changes.add("docs", listener, tree=True)
    if share.changes:  # one truth test where nobody listens
        share.changes.report(NotifyAction.ADDED, "docs/a/b.txt", CompletionFilter.FILE_NAME, opened)
                                            the listener hears of "a/b.txt"

Rules for those who report: after the change is done, never before, and before anything else is waited for; with the
open it was done through, or None; and nothing but the paths of the share, spelled as on disk.  Renaming is two
reports, the old name first, and then `move` if it was a directory.  What others than the server do comes from
state/lookout.py, which must not take our own changes for theirs: that is what `note` is for.

Most changes are made through an open: `FileOpen.report_modified` tells of them at once, and what is in
`FileOpen.unreported` is told when it is closed, as Windows does of what was written.

Paths are those of one share.  Another share of the same directory has listeners of its own.
"""

from typing import TYPE_CHECKING, Final, Protocol

from smbport.wire.change import CompletionFilter

if TYPE_CHECKING:
    from smbport.state.lookout import Lookout
    from smbport.state.open import FileOpen
    from smbport.state.tree import Share

__all__ = ["OF_DIRECTORY", "OF_FILE", "Changes", "Listener", "name_of"]

OF_FILE: Final = CompletionFilter.FILE_NAME
OF_DIRECTORY: Final = CompletionFilter.DIR_NAME


def name_of(*, directory: bool) -> int:
    """The kind of change that a name is which comes or goes."""
    return OF_DIRECTORY if directory else OF_FILE


class Listener(Protocol):
    """Who wants to hear of changes below a directory: a change-notify watch, or a directory lease."""

    def changed(self, action: int, name: str, what: int, by: "FileOpen | None") -> None:
        """Something happened.

        `action` is a NotifyAction, `name` relative to the listener's directory and separated by "/", `what` says by
        CompletionFilter bits what of it is different.  `by` is the open it was done through, if one is known.
        The listener may add and remove listeners, itself too.
        """

    def lost(self) -> None:
        """Something may have happened, and nobody knows what."""


class Changes:
    """The listeners of one share by directory; "" is the root."""

    __slots__ = ("_direct", "_lookout", "_share", "_trees", "posts")

    def __init__(self, share: "Share | None" = None) -> None:
        self._share = share
        self._lookout: Lookout | None = None
        self.posts = 0  # directories of the share that it watches
        self._direct: dict[str, list[Listener]] = {}
        self._trees: dict[str, list[Listener]] = {}

    def __bool__(self) -> bool:
        """Whether anybody listens, or must know."""
        return bool(self._direct or self._trees or self.posts)

    def connect(self, lookout: "Lookout") -> None:
        """From now on, `lookout` sees to it that what others than the server do is reported here as well."""
        self._lookout = lookout

    def add(self, path: str, listener: Listener, *, tree: bool) -> None:
        """Listen to the entries of the directory `path`; with `tree`, to everything below it."""
        listeners = self._trees if tree else self._direct
        listeners.setdefault(path, []).append(listener)
        if self._lookout is not None and self._share is not None:
            self._lookout.need(self._share, path, tree=tree)

    def remove(self, path: str, listener: Listener) -> None:
        """Listen no more.  `path` is where the directory is now."""
        listeners = self._direct if listener in self._direct.get(path, ()) else self._trees
        listeners[path].remove(listener)
        if not listeners[path]:
            del listeners[path]
        if self._lookout is not None and self._share is not None:
            self._lookout.release(self._share, path, tree=listeners is self._trees)

    def note(self, action: int, path: str, what: int, by: "FileOpen | None") -> None:
        """The server made a change itself that is not reported now.  A report says so, too."""
        if self._lookout is not None and self._share is not None and self.posts:
            self._lookout.note(self._share, action, path, what, by)

    def report(self, action: int, path: str, what: int, by: "FileOpen | None") -> None:
        """The server made this change, or a client through it."""
        self.note(action, path, what, by)
        self.tell(action, path, what, by)

    def tell(self, action: int, path: str, what: int, by: "FileOpen | None") -> None:
        """Tell who listens to the directory of `path`, and to the trees that it is in, of what others did."""
        directory, _, name = path.rpartition("/")
        for listener in tuple(self._direct.get(directory, ())):
            if path:
                listener.changed(action, name, what, by)
        while path:
            for listener in tuple(self._trees.get(directory, ())):
                listener.changed(action, path[len(directory) + 1 :] if directory else path, what, by)
            if not directory:
                return
            directory = directory.rpartition("/")[0]

    def lose_all(self) -> None:
        """Something may have happened anywhere."""
        for listeners in (self._direct, self._trees):
            for listener in [listener for same in listeners.values() for listener in same]:
                listener.lost()

    def lose(self, path: str, *, above: bool) -> None:
        """Something may have happened in the directory `path`; `above` if those who listen to trees must know."""
        for listener in tuple(self._direct.get(path, ())):
            listener.lost()
        while True:
            for listener in tuple(self._trees.get(path, ())):
                listener.lost()
            if not path or not above:
                return
            path = path.rpartition("/")[0]

    def move(self, old: str, new: str) -> None:
        """A directory has another name: those who listen to it and below it follow."""
        if self._lookout is not None and self._share is not None:
            self._lookout.move(self._share, old, new)
        prefix = old + "/"
        for listeners in (self._direct, self._trees):
            for path in [path for path in listeners if path == old or path.startswith(prefix)]:
                moved = listeners.pop(path)
                listeners.setdefault(new + path[len(old) :], []).extend(moved)
