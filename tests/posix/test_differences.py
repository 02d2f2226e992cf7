"""smbport.posix.differences."""

from itertools import count

from smbport.platform import FileKey, Kind, Stat, WatchChange, WatchEvent
from smbport.posix.differences import Difference, Held, News, Watched

C = WatchChange
HERE = Watched(7, 3, FileKey(1, 1))
THERE = Watched(8, 4, FileKey(1, 2))


def held(inode: int, kind: int = Kind.FILE) -> Held:
    return Held(-1, Stat(FileKey(1, inode), kind, 0, 0, 1, 0o600, 0, 0, 0, 0, 0, 5, None))


def told(news: News) -> list[WatchEvent]:
    return news.told(count(100))


def test_a_rename_between_directories_is_a_pair():
    news = News()
    news.gone.append(Difference(HERE, "old", held(10), by_rename=True))
    news.come.append(Difference(THERE, "new", held(10), by_rename=False))
    assert told(news) == [
        WatchEvent(7, C.RENAMED_FROM, "old", False, 100), WatchEvent(8, C.RENAMED_TO, "new", False, 100),
    ]  # fmt: skip


def test_what_was_replaced_by_a_rename_is_not_removed():
    news = News()
    news.gone += [
        Difference(HERE, "winner", held(10), by_rename=True), Difference(HERE, "loser", held(11), by_rename=False),
    ]  # fmt: skip
    news.come.append(Difference(HERE, "loser", held(10), by_rename=True))
    assert [(event.what, event.name) for event in told(news)] == [(C.RENAMED_FROM, "winner"), (C.RENAMED_TO, "loser")]


def test_what_goes_is_told_before_what_comes():
    news = News()
    news.suffered.append(WatchEvent(7, C.MODIFIED, "a"))
    news.over.append(WatchEvent(8, C.GONE))
    for name, inode in (("a", 10), ("b", 11)):
        news.gone.append(Difference(HERE, name, held(inode), by_rename=False))
        news.come.append(Difference(HERE, name, held(inode + 10, Kind.DIRECTORY), by_rename=False))
    assert [(event.what, event.name, event.is_directory) for event in told(news)] == [
        (C.MODIFIED, "a", False), (C.REMOVED, "a", False), (C.REMOVED, "b", False), (C.ADDED, "a", True),
        (C.ADDED, "b", True), (C.GONE, "", False),
    ]  # fmt: skip


def test_a_file_that_is_made_again_is_another_one():
    first, again = held(10), held(10)
    assert first.identity == again.identity
    again.state.birth_ns += 1
    assert first.identity != again.identity


def test_what_came_or_went_to_where_nobody_watches():
    news = News()
    news.gone.append(Difference(HERE, "left", held(10), by_rename=True))
    news.come.append(Difference(HERE, "came", held(11), by_rename=True))
    assert told(news) == [
        WatchEvent(7, C.RENAMED_FROM, "left"), WatchEvent(7, C.RENAMED_TO, "came"),
    ]  # fmt: skip
