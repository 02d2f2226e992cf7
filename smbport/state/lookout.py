"""What others than the server change: which directories are watched, for whom, and who is told.  [MS-FSA] 2.1.4.1

A directory is watched while somebody needs it:

    a file in it is cached      `attend` the directory, then `hold` the open until it is closed
    a lease on it, or a watch   `attend` it; Changes.add and Changes.remove count the listeners
    a watched tree              `attend` it and what a scan finds in it; new directories in it follow by themselves

When nobody needs it any more it stays watched for a while, because most directories are needed again soon, until
others change something in it or the room is needed.

What the server does itself is told by itself: Changes passes each report on to `note`, and ledger.py takes it out of
the news.  What is left was done by others: who listens is told, and what clients cache of the file is broken.

The platform may know a directory under several paths, of several shares: then each of them is a Post.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from errno import ENOSPC
from typing import TYPE_CHECKING, Final, NamedTuple

from smbport.platform import ACCESS_NONE, Directory, WatchChange, Watcher, WatchEvent
from smbport.state.breaks import break_caches
from smbport.state.changes import OF_DIRECTORY, name_of
from smbport.state.ledger import ARRIVALS, DEPARTURES, Heard, Ledger
from smbport.state.oplocks import CHANGE
from smbport.wire.change import CompletionFilter, NotifyAction

if TYPE_CHECKING:
    from smbport.state.open import FileOpen
    from smbport.state.server import Event, Server
    from smbport.state.sharing import SharedFile
    from smbport.state.tree import Share

__all__ = ["Lookout", "Noted", "Post", "Scanned", "TreeWish"]

IDLE: Final = 1024  # directories that nobody needs and that are still watched (guessed)
PASSING: Final = ".smbport-"  # names that live for a moment, inside of one change of ours

_MODIFIED: Final = CompletionFilter.SIZE | CompletionFilter.LAST_WRITE
_ATTRIBUTES: Final = (
    CompletionFilter.ATTRIBUTES | CompletionFilter.LAST_WRITE | CompletionFilter.LAST_ACCESS
    | CompletionFilter.CREATION | CompletionFilter.EA | CompletionFilter.SECURITY
)  # fmt: skip
_MOVES: Final = {
    NotifyAction.ADDED: ARRIVALS,
    NotifyAction.RENAMED_NEW_NAME: ARRIVALS,
    NotifyAction.REMOVED: DEPARTURES,
    NotifyAction.RENAMED_OLD_NAME: DEPARTURES,
}


class TreeWish(NamedTuple):
    """A directory has come into a watched tree: it is to be scanned and attended."""

    share: "Share"
    path: str
    tell: bool  # of what is in it, since nobody was told when that was made


class Scanned(NamedTuple):
    """One directory that a scan found and attended, with the names in it and which of them are directories."""

    path: str
    number: int
    names: list[tuple[str, bool]]


class Noted(NamedTuple):
    """What the server did while a scan ran, which may have attended the directory before it was known here."""

    share: "Share"
    action: int
    path: str
    what: int


class Post:
    """A watched directory, by the path that it has in one share."""

    __slots__ = ("doubtful", "holders", "moves", "number", "path", "share")

    def __init__(self, share: "Share", path: str, number: int) -> None:
        self.share = share
        self.path = path
        self.number = number  # the platform's
        self.holders: dict[str, list[FileOpen]] = {}  # by the name in this directory: those who may cache
        self.doubtful = False  # the server has removed or moved it: what has the path now is another directory
        self.moves = 0  # renames of the directory itself that are known and not yet heard of

    def path_of(self, name: str) -> str:
        """Of an entry, inside of the share."""
        return f"{self.path}/{name}" if self.path else name


class Lookout:
    """All that one server watches."""

    __slots__ = (
        "_by_number", "_idle", "_ledger", "_limit", "_needs", "_posts", "_scans", "_server", "_trees", "complained",
        "news", "watcher", "wishes",
    )  # fmt: skip

    def __init__(self, server: "Server") -> None:
        self._server = server
        self._limit = server.settings.limits.watched_directories
        self._ledger = Ledger()
        self._posts: dict[tuple[Share, str], Post] = {}
        self._by_number: dict[int, list[Post]] = {}
        self._needs: Counter[tuple[Share, str]] = Counter()  # listeners
        self._trees: Counter[tuple[Share, str]] = Counter()  # those of them that listen to trees
        self._scans: list[list[Noted]] = []  # of each scan that runs, what was noted meanwhile
        self._idle: dict[Post, None] = {}  # those that nobody needs, the longest idle first
        self.watcher: Watcher | None = None  # once there is something to watch
        self.complained = False  # once is enough
        self.wishes: list[TreeWish] = []
        self.news: Event = server.runtime.new_event()  # set when there is something to do for who waits for it

    def __len__(self) -> int:
        """How many directories are watched."""
        return len(self._by_number)

    # Watching ---------------------------------------------------------------------------------------------------

    def can_watch(self, share: "Share") -> bool:
        """Whether it can be tried at all."""
        return self._server.platform.watch is not None and share.settings.local_changes == "watched"

    def start(self) -> Watcher:
        """The platform's watcher, made when it is first needed.  OSError if it cannot be had."""
        if self.watcher is None:
            watch = self._server.platform.watch
            assert watch is not None
            self.watcher = watch.start()
            self.news.set()
        return self.watcher

    def find(self, share: "Share", path: str) -> Post | None:
        """The post at a directory, if it is watched."""
        post = self._posts.get((share, path))
        return None if post is None or post.doubtful else post

    def attend(self, share: "Share", path: str, directory: Directory) -> Post:
        """Watch a directory.  OSError if it cannot be watched, ENOSPC if too many are."""
        watcher = self.start()
        if (share, path) not in self._posts:
            self.check_room()
        return self.enter(share, path, watcher.add(directory))

    def check_room(self) -> None:
        """Make sure that one more directory may be watched.  Raises OSError(ENOSPC)."""
        if len(self) >= self._limit and not self._make_room():
            raise OSError(ENOSPC, "limits.watched_directories")

    def enter(self, share: "Share", path: str, number: int) -> Post:
        """A directory that the platform watches already gets its post."""
        known = self._posts.get((share, path))
        if known is not None:
            if known.number == number:
                known.doubtful = False
                return known
            self._lose(known, above=False)  # another directory has that name now, and that was told
        post = self._posts[share, path] = Post(share, path, number)
        self._ledger.excuse(number, WatchChange.MOVED, post)  # a scan saw it at this path
        self._by_number.setdefault(number, []).append(post)
        share.changes.posts += 1
        self._settle(post)
        return post

    def hold(self, post: Post, opened: "FileOpen") -> None:
        """A file in the directory may be cached through this open, until `let_go`."""
        name = opened.path.rpartition("/")[2]
        post.holders.setdefault(name, []).append(opened)
        opened.held = (post, name)
        self._settle(post)

    def let_go(self, opened: "FileOpen") -> None:
        """The open may not be cached any more, or is closed."""
        if opened.held is None:
            return
        (post, name), opened.held = opened.held, None
        post.holders[name].remove(opened)
        if not post.holders[name]:
            del post.holders[name]
        self._settle(post)

    def need(self, share: "Share", path: str, *, tree: bool) -> None:
        """One listener more."""
        self._needs[share, path] += 1
        if tree:
            self._trees[share, path] += 1
        self._settle(self._posts.get((share, path)))

    def release(self, share: "Share", path: str, *, tree: bool) -> None:
        """One listener less."""
        _decrease(self._needs, (share, path))
        if tree:
            _decrease(self._trees, (share, path))
            for post in self._at_or_below(share, path):
                self._settle(post)
        self._settle(self._posts.get((share, path)))

    def _is_needed(self, post: Post) -> bool:
        return bool(post.holders) or (post.share, post.path) in self._needs or self._in_tree(post.share, post.path)

    def _in_tree(self, share: "Share", path: str) -> bool:
        return bool(self._trees) and any(
            other is share and (not root or path == root or path.startswith(root + "/")) for other, root in self._trees
        )

    def _at_or_below(self, share: "Share", path: str) -> list[Post]:
        posts = [post for (other, _), post in self._posts.items() if other is share]
        return [post for post in posts if not path or (post.path + "/").startswith(path + "/")]

    def _settle(self, post: Post | None) -> None:
        """Begin or end to be idle."""
        if post is None or self._posts.get((post.share, post.path)) is not post:
            return
        if self._is_needed(post):
            self._idle.pop(post, None)
        elif post not in self._idle:
            self._idle[post] = None
            if len(self._idle) > IDLE:
                self._make_room()

    def _make_room(self) -> bool:
        """Stop watching what has been idle longest."""
        post = next(iter(self._idle), None)
        if post is not None:
            self._leave(post)
        return post is not None

    def _leave(self, post: Post) -> None:
        """Watch a directory no more, as far as this post goes."""
        del self._posts[post.share, post.path]
        self._idle.pop(post, None)
        post.share.changes.posts -= 1
        others = self._by_number[post.number]
        others.remove(post)
        if not others:
            del self._by_number[post.number]
            if self.watcher is not None:
                self.watcher.remove(post.number)

    def close(self) -> None:
        """The server stops."""
        if self.watcher is not None:
            self.watcher.close()

    # Own changes ------------------------------------------------------------------------------------------------

    def begin(self) -> int:
        """A step begins on another thread."""
        return self._ledger.begin()

    def resume(self, step: int) -> None:
        """It is over; what it did is about to be noted."""
        self._ledger.resume(step)

    def end(self, step: int) -> None:
        """What it did was noted."""
        self._ledger.end(step)
        if self._ledger:
            self.news.set()

    def listen(self, *, is_early: bool = False) -> None:
        """Take what the platform has to tell; `is_early` if no handler is at work."""
        if self.watcher is not None:
            events = self.watcher.take()
            if events:
                self._ledger.hear(events, self._server.runtime.now_ns(), is_early=is_early)
                self.news.set()

    def note(self, share: "Share", action: int, path: str, what: int, by: "FileOpen | None") -> None:
        """The server changed something itself, and Changes tells of it."""
        self.listen()
        for noted in self._scans:
            noted.append(Noted(share, action, path, what))
        directory, _, name = path.rpartition("/")
        post = self.find(share, directory)
        moves = _MOVES.get(action, ())
        if post is not None:
            self._ledger.note(post.number, name, post, moves)
        if moves == DEPARTURES and what & OF_DIRECTORY:
            for gone in self._at_or_below(share, path):
                gone.doubtful = True
        elif moves == ARRIVALS:
            if what & OF_DIRECTORY:
                self._extend(share, path, tell=False)
            elif by is not None:
                self._follow(by.shared)

    def move(self, share: "Share", old: str, new: str) -> None:
        """A directory has another name: its posts and those below follow."""
        for post in self._at_or_below(share, old):
            if post.path == old:
                post.moves += 1
            del self._posts[share, post.path]
            post.path = new + post.path[len(old) :]
            post.doubtful = False
            self._posts[share, post.path] = post
        for counter in (self._needs, self._trees):
            for key in [key for key in counter if key[0] is share and (key[1] + "/").startswith(old + "/")]:
                counter[share, new + key[1][len(old) :]] += counter.pop(key)

    def _follow(self, shared: "SharedFile") -> None:
        """A file has another name.  Its holders move along; if its new directory cannot be watched, they lose it."""
        for opened in list(shared.opens):
            if opened.held is None:
                continue
            directory = opened.path.rpartition("/")[0]
            self.let_go(opened)
            new = self.find(opened.tree.share, directory)
            if new is None:
                new = self._try_attend(opened.tree.share, directory)
            if new is None:
                break_caches(self._server, shared, CHANGE)
            else:
                self.hold(new, opened)

    def _try_attend(self, share: "Share", path: str) -> Post | None:
        """The same as a handler does with a thread at hand."""
        assert share.volume is not None
        try:
            directory = share.volume.open(path, ACCESS_NONE)
        except OSError:
            return None
        try:
            return self.attend(share, path, directory) if directory.is_directory else None
        except OSError:
            return None
        finally:
            directory.close()

    # Trees ------------------------------------------------------------------------------------------------------

    def _extend(self, share: "Share", path: str, *, tell: bool) -> None:
        """A directory is new at this path."""
        if self._in_tree(share, path):
            self.wishes.append(TreeWish(share, path, tell))
            self.news.set()

    def room(self) -> int:
        """How many directories a scan may attend."""
        return max(self._limit - len(self), 0)

    def begin_scan(self) -> list[Noted]:
        """A scan begins; `end_scan` must follow."""
        noted: list[Noted] = []
        self._scans.append(noted)
        return noted

    def end_scan(self, noted: list[Noted]) -> None:
        """A scan is over, well or not."""
        self._scans = [other for other in self._scans if other is not noted]

    def scanned(self, share: "Share", found: Iterable[Scanned], noted: Sequence[Noted], *, tell: bool) -> None:
        """A scan attended these, and what it found in them is new if it is to be told."""
        self.listen()
        ours = [each for each in noted if each.share is share]
        gone = [each.path for each in ours if each.what & OF_DIRECTORY and _MOVES.get(each.action) == DEPARTURES]
        for directory in found:
            if any((directory.path + "/").startswith(path + "/") for path in gone):
                continue  # what has the path now, if anything, is found by a scan of its own
            post = self.enter(share, directory.path, directory.number)
            for each in ours:
                if each.path.rpartition("/")[0] == directory.path:
                    self._ledger.note(post.number, each.path.rpartition("/")[2], post, _MOVES.get(each.action, ()))
            for name, is_directory in directory.names if tell else ():
                self._ledger.note(post.number, name, post, ARRIVALS)  # if it was made while we looked
                what = name_of(directory=is_directory)
                share.changes.tell(NotifyAction.ADDED, post.path_of(name), what, None)

    # Foreign changes --------------------------------------------------------------------------------------------

    def deliver(self) -> bool:
        """Tell of what others did.  Whether more waits for a step to end."""
        ripe = self._ledger.take(self._server.runtime.now_ns())
        targets = {heard.event.pair: heard for heard in ripe if heard.event.what == WatchChange.RENAMED_TO}
        for heard in ripe:
            event = heard.event
            if event.what == WatchChange.LOST:
                self._lose_everything()
            for post in list(self._by_number.get(event.watch, ())):
                if post not in heard.tellers:
                    self._pass_on(post, event, bool(heard.tellers), targets.get(event.pair))
        return len(self._ledger) > 0

    def _pass_on(self, post: Post, event: WatchEvent, was_ours: bool, target: Heard | None) -> None:
        what, name = event.what, event.name
        if what == WatchChange.MOVED:
            if post.moves:
                post.moves -= 1
            else:
                self._lose(post, above=True)  # nobody knows where it is
        elif what == WatchChange.GONE:
            self._lose(post, above=False)  # its own directory tells of that
        elif post in self._idle and not was_ours:
            self._leave(post)
        elif name.startswith(PASSING) or (target is not None and target.event.name.startswith(PASSING)):
            if target is not None:
                target.tellers.update(self._by_number.get(target.event.watch, ()))  # in the middle of a change of ours
        else:
            if not was_ours:
                self._break(post, name)
            if what == WatchChange.RENAMED_FROM and target is not None and self._rename(post, event, target):
                return
            self._report(post, event)

    def _report(self, post: Post, event: WatchEvent) -> None:
        changes, path = post.share.changes, post.path_of(event.name)
        if event.what == WatchChange.MODIFIED:
            changes.tell(NotifyAction.MODIFIED, path, _MODIFIED, None)
        elif event.what == WatchChange.ATTRIBUTES:
            changes.tell(NotifyAction.MODIFIED, path, _ATTRIBUTES, None)
        elif event.what in ARRIVALS:
            changes.tell(NotifyAction.ADDED, path, name_of(directory=event.is_directory), None)
            if event.is_directory:
                self._extend(post.share, path, tell=event.what == WatchChange.ADDED)
        else:
            changes.tell(NotifyAction.REMOVED, path, name_of(directory=event.is_directory), None)
            if event.is_directory:
                self._lose_below(post.share, path)

    def _rename(self, post: Post, event: WatchEvent, target: Heard) -> bool:
        """Both halves of a rename, if both are seen from the same share."""
        share, new_name = post.share, target.event.name
        posts = self._by_number.get(target.event.watch, ())
        new_post = next((other for other in posts if other.share is share and other not in target.tellers), None)
        if new_post is None:
            return False
        target.tellers.add(new_post)
        self._break(new_post, new_name)
        old, new = post.path_of(event.name), new_post.path_of(new_name)
        what = name_of(directory=event.is_directory)
        within = post is new_post
        share.changes.tell(NotifyAction.RENAMED_OLD_NAME if within else NotifyAction.REMOVED, old, what, None)
        share.changes.tell(NotifyAction.RENAMED_NEW_NAME if within else NotifyAction.ADDED, new, what, None)
        moved = self._server.files.move(share, old, new)
        if event.is_directory:
            share.changes.move(old, new)
            self._extend(share, new, tell=False)
        for opened in moved:
            self._server.unsaved.note(opened)
            self._follow(opened.shared)
        return True

    def _break(self, post: Post, name: str) -> None:
        """What clients cache of the file that has this name, or had it."""
        for opened in list(post.holders.get(name, ())):
            if opened.shared.oplocks:
                break_caches(self._server, opened.shared, CHANGE)

    def _lose(self, post: Post, *, above: bool) -> None:
        """What happens in this directory is not heard any more; `above` if it may go on where a tree is watched."""
        self._leave(post)
        for name in list(post.holders):
            self._break(post, name)
        for holders in post.holders.values():
            for opened in holders:
                opened.held = None
        if not post.doubtful:
            post.share.changes.lose(post.path, above=above)

    def _lose_below(self, share: "Share", path: str) -> None:
        """A directory is gone to where nobody looks."""
        for post in self._at_or_below(share, path):
            self._lose(post, above=False)

    def _lose_everything(self) -> None:
        """Something happened, and nobody knows what."""
        for post in list(self._posts.values()):
            for name in list(post.holders):
                self._break(post, name)
        for share in {post.share for post in self._posts.values()}:
            share.changes.lose_all()


def _decrease(counter: Counter[tuple["Share", str]], key: tuple["Share", str]) -> None:
    counter[key] -= 1
    if not counter[key]:
        del counter[key]
