"""What others than the server change: who is told, whose caches are broken, and what is watched for how long."""

from collections.abc import Callable
from types import SimpleNamespace

import pytest

from smbport.platform import ACCESS_READ, ACCESS_WRITE, Directory, WatchChange
from smbport.state import lookout as module
from smbport.state.changes import OF_DIRECTORY, OF_FILE
from smbport.state.lookout import Lookout, Post, Scanned, TreeWish
from smbport.state.settings import Limits, Settings, ShareSettings
from smbport.state.tree import Share
from smbport.testing.direct import new_server
from smbport.testing.memory import MemoryPlatform, MemoryVolume
from smbport.testing.watches import MemoryWatch
from smbport.users import MemoryUsers
from smbport.wire.change import NotifyAction

ADDED, REMOVED, MODIFIED = NotifyAction.ADDED, NotifyAction.REMOVED, NotifyAction.MODIFIED
OLD, NEW = NotifyAction.RENAMED_OLD_NAME, NotifyAction.RENAMED_NEW_NAME
LOST = (0, "")

pytestmark = pytest.mark.pure_only  # puts a function of its own in place of the one that breaks caches


class Ear:
    """A listener that writes down what it hears."""

    def __init__(self):
        self.heard = []

    def changed(self, action, name, what, by):
        self.heard.append((action, name))

    def lost(self):
        self.heard.append(LOST)

    def take(self):
        heard, self.heard = self.heard, []
        return heard


class Opened:
    """As much of an open as is needed here."""

    def __init__(self, path, shared, share):
        self.path, self.shared, self.tree = path, shared, SimpleNamespace(share=share)
        self.held = None
        self.is_persistent = False


class Scene:
    """A server with two shares of one volume, and that volume for everybody else."""

    def __init__(self, monkeypatch, watch=None, **settings):
        self.platform = MemoryPlatform(watch=watch)
        names = ("one", "two")
        shares = tuple(ShareSettings(name=name, path="v", run_as="server", **settings.pop(name, {})) for name in names)
        self.server = new_server(Settings(shares=shares, limits=Limits(**settings)), self.platform, MemoryUsers({}))
        self.lookout: Lookout = self.server.lookout
        self.share: Share = self.server.shares["ONE"]
        self.other: Share = self.server.shares["TWO"]
        volume = self.share.volume
        assert isinstance(volume, MemoryVolume)
        self.volume = volume
        self.broken = []
        monkeypatch.setattr(module, "break_caches", lambda server, shared, contention: self.broken.append(shared.name))

    def directory(self, path: str) -> Directory:
        found = self.volume.open(path, ACCESS_READ)
        assert found.is_directory
        return found

    def attend(self, path: str = "", share: Share | None = None) -> Post:
        return self.lookout.attend(share or self.share, path, self.directory(path))

    def listen(self, path: str = "", *, tree: bool = False, share: Share | None = None) -> Ear:
        """Attend and listen, as CHANGE_NOTIFY does."""
        self.attend(path, share)
        ear = Ear()
        (share or self.share).changes.add(path, ear, tree=tree)
        return ear

    def hold(self, path: str, share: Share | None = None):
        """An open of a file that may be cached."""
        share = share or self.share
        shared = SimpleNamespace(name=path, opens=[], oplocks=[True])
        opened = Opened(path, shared, share)
        shared.opens.append(opened)
        self.lookout.hold(self.attend(path.rpartition("/")[0], share), opened)
        return opened

    def make(self, path: str) -> None:
        self.volume.create(path, ACCESS_READ, 0o644).close()

    def write(self, path: str) -> None:
        file = self.volume.open(path, ACCESS_WRITE)
        assert not file.is_directory
        file.write_at(0, b"data")
        file.close()

    def mkdir(self, path: str) -> None:
        self.volume.make_directory(path, 0o755).close()

    def rename(self, old: str, new: str) -> None:
        self.volume.rename(old, new, replace=True)

    def remove(self, path: str) -> None:
        stat = self.volume.stat(path)
        self.volume.remove(path, stat.key, directory=stat.kind == 2)

    def deliver(self) -> bool:
        self.lookout.listen(is_early=True)
        return self.lookout.deliver()


@pytest.fixture
def scene(monkeypatch):
    return Scene(monkeypatch)


# Who is told -----------------------------------------------------------------------------------------------------


def test_what_others_do_is_told(scene):
    ear = scene.listen()
    scene.make("a")
    scene.write("a")
    scene.volume.open("a", ACCESS_WRITE).set_mode(0o600)
    scene.rename("a", "b")
    scene.mkdir("d")
    scene.remove("b")
    scene.remove("d")
    assert ear.heard == []
    assert not scene.deliver()
    assert ear.take() == [
        (ADDED, "a"), (MODIFIED, "a"), (MODIFIED, "a"), (OLD, "a"), (NEW, "b"), (ADDED, "d"), (REMOVED, "b"),
        (REMOVED, "d"),
    ]  # fmt: skip


def test_what_the_server_does_is_told_once(scene):
    ear = scene.listen()
    changes = scene.share.changes
    scene.make("a")
    scene.write("a")
    changes.report(ADDED, "a", OF_FILE, None)
    scene.write("a")
    changes.note(MODIFIED, "a", 0, None)
    scene.make("foreign")
    scene.rename("a", "b")
    changes.report(OLD, "a", OF_FILE, None)
    changes.report(NEW, "b", OF_FILE, None)
    scene.remove("b")
    changes.report(REMOVED, "b", OF_FILE, None)
    assert not scene.deliver()
    assert ear.take() == [(ADDED, "a"), (OLD, "a"), (NEW, "b"), (REMOVED, "b"), (ADDED, "foreign")]


def test_news_wait_for_steps_on_other_threads(scene):
    ear = scene.listen()
    step = scene.lookout.begin()
    scene.make("ours")
    scene.make("theirs")
    assert scene.deliver()
    assert ear.take() == []
    scene.lookout.resume(step)
    scene.share.changes.report(ADDED, "ours", OF_FILE, None)
    scene.lookout.news = scene.server.runtime.new_event()
    scene.lookout.end(step)
    assert scene.lookout.news.is_set()
    assert not scene.deliver()
    assert ear.take() == [(ADDED, "ours"), (ADDED, "theirs")]


def test_renames_between_directories(scene):
    scene.mkdir("d")
    scene.make("a")
    root, below = scene.listen(), scene.listen("d")
    scene.rename("a", "d/b")
    scene.rename("d/b", "c")
    scene.deliver()
    assert root.take() == [(REMOVED, "a"), (ADDED, "c")]
    assert below.take() == [(ADDED, "b"), (REMOVED, "b")]


def test_renames_out_of_sight(scene):
    scene.mkdir("d")
    scene.make("a")
    root = scene.listen()
    scene.rename("a", "d/b")
    scene.rename("d/b", "c")
    scene.deliver()
    assert root.take() == [(REMOVED, "a"), (ADDED, "c")]


def test_names_in_passing_are_nobodys_business(scene):
    ear = scene.listen()
    scene.make("a")
    scene.make(".smbport-1")
    scene.share.changes.report(ADDED, "a", OF_FILE, None)
    ear.take()
    scene.rename("a", ".smbport-2")
    scene.rename(".smbport-1", "a")
    scene.remove(".smbport-2")
    scene.deliver()
    assert ear.take() == []


def test_two_shares_of_one_directory_are_told_each(scene):
    one, two = scene.listen(), scene.listen(share=scene.other)
    assert len(scene.lookout) == 1
    scene.make("theirs")
    scene.make("ours")
    scene.share.changes.report(ADDED, "ours", OF_FILE, None)
    scene.rename("theirs", "renamed")
    scene.deliver()
    assert sorted(one.take()) == sorted([(ADDED, "ours"), (ADDED, "theirs"), (OLD, "theirs"), (NEW, "renamed")])
    assert two.take() == [(ADDED, "theirs"), (ADDED, "ours"), (OLD, "theirs"), (NEW, "renamed")]


def test_when_too_much_happens_everybody_must_look(monkeypatch):
    scene = Scene(monkeypatch, MemoryWatch(max_events=3))
    scene.mkdir("d")
    scene.make("d/file")
    root, tree, below = scene.listen(), scene.listen(tree=True), scene.listen("d")
    scene.hold("d/file")
    for name in "ghijkl":
        scene.make(name)
    scene.deliver()
    assert root.heard[-1] == tree.heard[-1] == below.heard[-1] == LOST
    assert [heard.count(LOST) for heard in (root.heard, tree.heard, below.heard)] == [1, 1, 1]
    assert scene.broken == ["d/file"]


# Whose caches are broken -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        lambda scene: scene.write("a"),
        lambda scene: scene.remove("a"),
        lambda scene: scene.rename("a", "c"),
        lambda scene: scene.rename("b", "a"),
        lambda scene: scene.volume.open("a", ACCESS_READ).set_times(1, 1),
    ],
)
def test_every_change_of_others_breaks_what_is_cached_of_the_file(scene, change):
    scene.make("a")
    scene.make("b")
    scene.hold("a")
    change(scene)
    scene.deliver()
    assert set(scene.broken) == {"a"}


def test_what_the_server_does_breaks_nothing_here(scene):
    scene.make("a")
    scene.make("b")
    scene.hold("a")
    scene.hold("a", scene.other)
    scene.write("a")
    scene.share.changes.note(MODIFIED, "a", 0, None)
    scene.write("b")
    scene.deliver()
    assert scene.broken == []


def test_holders_that_let_go_are_left_alone(scene):
    scene.make("a")
    first, second = scene.hold("a"), scene.hold("a")
    second.shared.oplocks.clear()
    scene.lookout.let_go(first)
    scene.lookout.let_go(first)
    scene.write("a")
    scene.deliver()
    assert scene.broken == []
    scene.lookout.let_go(second)


def test_a_file_that_others_rename_is_held_on_to(scene):
    scene.mkdir("d")
    scene.make("a")
    scene.attend("d")
    opened = scene.hold("a")
    scene.server.files._add_name(opened)
    scene.rename("a", "d/b")
    scene.deliver()
    assert opened.path == "d/b"
    assert scene.broken == ["a"]
    scene.write("d/b")
    scene.deliver()
    assert scene.broken == ["a", "a"]


@pytest.mark.parametrize("watched", [True, False])
def test_a_file_that_the_server_renames_is_held_on_to(scene, watched):
    scene.mkdir("d")
    scene.make("a")
    if watched:
        scene.attend("d")
    opened = scene.hold("a")
    scene.rename("a", "d/b")
    opened.path = "d/b"
    scene.share.changes.report(REMOVED, "a", OF_FILE, opened)
    scene.share.changes.report(ADDED, "d/b", OF_FILE, opened)
    scene.deliver()
    assert scene.broken == []
    scene.write("d/b")
    scene.deliver()
    assert scene.broken == ["a"]


def test_a_file_that_is_renamed_to_where_nobody_can_watch_is_broken(monkeypatch):
    scene = Scene(monkeypatch, watched_directories=1)
    scene.mkdir("d")
    scene.make("a")
    one, two = scene.hold("a"), scene.hold("a")
    one.shared.opens.append(two)
    for directory in ("d", "gone"):
        one.path = two.path = f"{directory}/b"
        one.held = two.held = None
        scene.hold("a")
        scene.lookout.hold(scene.attend(""), one)
        one.path = f"{directory}/b"
        scene.share.changes.report(NEW, one.path, OF_FILE, one)
        assert one.held is None
    assert scene.broken == ["a", "a"]


# Directories that come, move and go --------------------------------------------------------------------------------


def test_a_directory_that_the_server_renames_is_followed(scene):
    scene.mkdir("d")
    scene.mkdir("d/e")
    ear, below, tree = scene.listen("d"), scene.listen("d/e"), scene.listen("d", tree=True)
    scene.rename("d", "x")
    changes = scene.share.changes
    changes.report(REMOVED, "d", OF_DIRECTORY, None)
    changes.report(ADDED, "x", OF_DIRECTORY, None)
    changes.move("d", "x")
    scene.make("x/f")
    scene.make("x/e/g")
    scene.deliver()
    assert ear.take() == [(ADDED, "f")]
    assert below.take() == [(ADDED, "g")]
    assert tree.take() == [(ADDED, "f"), (ADDED, "e/g")]
    changes.remove("x", ear)
    changes.remove("x/e", below)
    changes.remove("x", tree)
    assert len(scene.lookout) == 2


def test_a_directory_that_others_rename_is_followed_if_that_is_seen(scene):
    scene.mkdir("d")
    scene.attend()
    scene.listen()
    ear = scene.listen("d")
    scene.rename("d", "x")
    scene.make("x/f")
    scene.deliver()
    assert ear.take() == [(ADDED, "f")]
    assert scene.lookout.find(scene.share, "x") is not None


def test_a_directory_that_vanishes_from_sight_is_lost(scene):
    scene.mkdir("d")
    scene.make("d/f")
    ear = scene.listen("d")
    opened = scene.hold("d/f")
    scene.rename("d", "x")
    scene.deliver()
    assert ear.take() == [LOST]
    assert (scene.broken, opened.held) == (["d/f"], None)
    assert len(scene.lookout) == 0


def test_a_directory_that_others_remove_is_lost(scene):
    scene.mkdir("d")
    scene.listen()
    ear, tree = scene.listen("d"), scene.listen("d", tree=True)
    scene.remove("d")
    scene.deliver()
    assert LOST in ear.take()
    assert LOST in tree.take()
    assert scene.lookout.find(scene.share, "d") is None


def test_a_directory_that_the_server_replaces_is_watched_anew(scene):
    scene.mkdir("d")
    scene.attend("d")
    scene.remove("d")
    scene.share.changes.report(REMOVED, "d", OF_DIRECTORY, None)
    assert scene.lookout.find(scene.share, "d") is None
    scene.mkdir("d")
    ear = scene.listen("d")
    scene.make("d/f")
    scene.deliver()
    assert ear.take() == [(ADDED, "f")]


def test_a_removed_directory_ends_without_noise(scene):
    scene.mkdir("d")
    ear = scene.listen("d")
    scene.remove("d")
    scene.share.changes.report(REMOVED, "d", OF_DIRECTORY, None)
    scene.deliver()
    assert ear.take() == []
    assert len(scene.lookout) == 0


def test_new_directories_in_a_tree_are_wished_for(scene):
    scene.mkdir("t")
    tree = scene.listen("t", tree=True)
    scene.mkdir("t/theirs")
    scene.mkdir("elsewhere")
    scene.deliver()
    assert scene.lookout.wishes == [TreeWish(scene.share, "t/theirs", True)]
    scene.lookout.wishes.clear()
    scene.rename("elsewhere", "t/moved")
    scene.deliver()
    assert scene.lookout.wishes == [TreeWish(scene.share, "t/moved", False)]
    scene.lookout.wishes.clear()
    scene.mkdir("t/ours")
    scene.share.changes.report(ADDED, "t/ours", OF_DIRECTORY, None)
    assert scene.lookout.wishes == [TreeWish(scene.share, "t/ours", False)]
    scene.share.changes.remove("t", tree)


def test_what_a_scan_finds_is_told_once(scene):
    tree = scene.listen(tree=True)
    scene.mkdir("new")
    scene.make("new/early")
    scene.deliver()
    step, noted = scene.lookout.begin(), scene.lookout.begin_scan()
    number = scene.lookout.start().add(scene.directory("new"))
    scene.make("new/meanwhile")
    found = [Scanned("new", number, [("early", False), ("meanwhile", False)])]
    scene.make("new/late")
    scene.lookout.resume(step)
    scene.lookout.scanned(scene.share, found, noted, tell=True)
    scene.lookout.end_scan(noted)
    scene.lookout.end(step)
    scene.deliver()
    assert tree.take() == [(ADDED, "new"), (ADDED, "new/early"), (ADDED, "new/meanwhile"), (ADDED, "new/late")]


def scan(scene, path: str, between: Callable[[], None]) -> None:
    """A scan of one empty directory; `between` is what happens while it is on its way."""
    step, noted = scene.lookout.begin(), scene.lookout.begin_scan()
    number = scene.lookout.start().add(scene.directory(path))
    between()
    scene.lookout.resume(step)
    scene.lookout.scanned(scene.share, [Scanned(path, number, [])], noted, tell=False)
    scene.lookout.end_scan(noted)
    scene.lookout.end(step)
    scene.deliver()


def test_what_the_server_does_in_a_directory_that_is_being_scanned_is_told_once(scene):
    tree = scene.listen(tree=True)
    scene.mkdir("new")
    scene.share.changes.report(ADDED, "new", OF_DIRECTORY, None)

    def make_a_file() -> None:
        scene.make("new/ours")
        scene.share.changes.report(ADDED, "new/ours", OF_FILE, None)

    scan(scene, "new", make_a_file)
    assert tree.take() == [(ADDED, "new"), (ADDED, "new/ours")]


def test_a_directory_that_went_while_it_was_scanned(scene):
    """Another one may have come to the same path: it is scanned by itself, and nobody has missed anything."""
    tree = scene.listen(tree=True)
    scene.mkdir("new")
    scene.share.changes.report(ADDED, "new", OF_DIRECTORY, None)

    def replace() -> None:
        scene.remove("new")
        scene.share.changes.report(REMOVED, "new", OF_DIRECTORY, None)
        scene.mkdir("new")
        scene.share.changes.report(ADDED, "new", OF_DIRECTORY, None)

    scan(scene, "new", replace)
    assert scene.lookout.find(scene.share, "new") is None
    scan(scene, "new", lambda: None)
    assert scene.lookout.find(scene.share, "new") is not None
    assert tree.take() == [(ADDED, "new"), (REMOVED, "new"), (ADDED, "new")]


def test_a_directory_that_the_server_moved_while_it_was_scanned(scene):
    """The watch tells that it moved; who looks at it under its new name only needs not be told."""
    tree = scene.listen(tree=True)
    scene.mkdir("old")
    scene.share.changes.report(ADDED, "old", OF_DIRECTORY, None)

    def move() -> None:
        scene.rename("old", "new")
        scene.share.changes.report(OLD, "old", OF_DIRECTORY, None)
        scene.share.changes.report(NEW, "new", OF_DIRECTORY, None)
        scene.share.changes.move("old", "new")
        scan(scene, "new", lambda: None)

    scan(scene, "old", move)
    assert scene.lookout.find(scene.share, "old") is None
    assert scene.lookout.find(scene.share, "new") is not None
    assert LOST not in tree.take()


def test_leaving_a_tree_leaves_what_is_in_it(scene):
    scene.mkdir("t")
    scene.mkdir("t/d")
    tree = scene.listen("t", tree=True)
    scene.attend("t/d")
    scene.make("t/d/a")
    scene.deliver()
    assert tree.take() == [(ADDED, "d/a")]
    scene.share.changes.remove("t", tree)
    scene.make("t/d/b")
    scene.make("t/b")
    scene.deliver()
    assert (tree.take(), len(scene.lookout)) == ([], 0)


# How long, and how many --------------------------------------------------------------------------------------------


def test_what_nobody_needs_is_watched_until_others_change_it(scene):
    scene.make("a")
    scene.lookout.let_go(scene.hold("a"))
    scene.write("a")
    scene.share.changes.note(MODIFIED, "a", 0, None)
    scene.deliver()
    assert (len(scene.lookout), scene.share.changes.posts) == (1, 1)
    scene.write("a")
    scene.deliver()
    assert (len(scene.lookout), scene.share.changes.posts) == (0, 0)
    assert not scene.share.changes


def test_only_so_many_are_watched_that_nobody_needs(scene, monkeypatch):
    monkeypatch.setattr(module, "IDLE", 2)
    for name in ("a", "b", "c", "d"):
        scene.mkdir(name)
        scene.attend(name)
    assert [bool(scene.lookout.find(scene.share, name)) for name in "abcd"] == [False, False, True, True]


def test_room_is_made_by_what_nobody_needs(monkeypatch):
    scene = Scene(monkeypatch, watched_directories=2)
    for name in ("a", "b", "c"):
        scene.mkdir(name)
    scene.listen("a")
    scene.attend("b")
    scene.listen("c")
    assert scene.lookout.room() == 0
    with pytest.raises(OSError, match="watched_directories"):
        scene.attend("b")
    assert scene.lookout.find(scene.share, "a") is scene.attend("a")


def test_where_nothing_can_be_watched(scene, monkeypatch):
    assert scene.lookout.can_watch(scene.share)
    scene.platform.watch = None
    assert not scene.lookout.can_watch(scene.share)
    trusting = Scene(monkeypatch, one={"local_changes": "none"})
    assert not trusting.lookout.can_watch(trusting.share)
    assert trusting.lookout.can_watch(trusting.other)


def test_the_end(scene):
    scene.lookout.close()
    scene.attend()
    scene.lookout.close()
    assert scene.platform.watch is not None
    assert scene.platform.watch._watchers == ()


def test_kinds_of_news_are_known():
    assert {value for name, value in vars(WatchChange).items() if name.isupper()} == set(range(1, 10))
