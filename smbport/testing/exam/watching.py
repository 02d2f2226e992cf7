"""The exam for the power `watch`: being told of changes."""

import errno
import select
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import cast

from smbport.platform import ACCESS_NONE, ACCESS_READ, Directory, Platform, WatchChange, Watcher, WatchEvent
from smbport.testing.exam.bench import Bench, NotExamined, open_bench, require
from smbport.testing.exam.powers import find_power

__all__ = ["check_watch"]

NAMES = (WatchChange.ADDED, WatchChange.REMOVED, WatchChange.RENAMED_FROM, WatchChange.RENAMED_TO)
Told = tuple[int, str, bool]


def check_watch(platform: Platform, path: str) -> str:
    """Every kind of change, in a watched directory, out of it and into it."""
    find_power(platform, "watch", platform.watch)
    with open_bench(platform, path) as bench, _watching(bench) as (watcher, number):
        _check_numbers(bench, watcher, number)
        for change, expected in _changes(bench):
            require(not _is_readable(watcher), "fileno() is not readable when all was taken")
            change()
            require(_is_readable(watcher), "fileno() is readable once something happened")
            _check_told(watcher.take(), number, expected)
        require(watcher.take() == [], "take() tells of each change once")
        _check_renaming(bench, watcher, number)
        _check_files(bench, watcher, number)
        _check_below(bench, watcher, number)
        _check_end(bench, watcher, number)
    return ""


@contextmanager
def _watching(bench: Bench) -> Iterator[tuple[Watcher, int]]:
    """A watcher that watches the directory of the exam."""
    watch = bench.platform.watch
    assert watch is not None
    for name in ("old", "moved"):
        bench.make(name)
    bench.make_directory("below")
    watcher = watch.start()
    try:
        yield watcher, _add(bench, watcher, bench.base)
    except OSError as error:
        if error.errno != errno.ENOTSUP:
            raise
        raise NotExamined("changes on this volume cannot be seen") from error
    finally:
        watcher.close()


def _add(bench: Bench, watcher: Watcher, path: str, access: int = ACCESS_READ) -> int:
    directory = cast("Directory", bench.volume.open(path, access))
    try:
        return watcher.add(directory)
    finally:
        directory.close()


def _is_readable(watcher: Watcher) -> bool:
    return bool(select.select([watcher.fileno()], [], [], 0)[0])


def _check_numbers(bench: Bench, watcher: Watcher, number: int) -> None:
    require(number != 0, "add never returns 0")
    again = _add(bench, watcher, bench.base, ACCESS_NONE)
    require(again == number, "add returns the same number for the same directory, however it was opened")
    below = _add(bench, watcher, bench.at("below"))
    require(below != number, "add returns another number for another directory")
    watcher.remove(below)
    watcher.remove(below)
    require(watcher.take() == [], "watching changes nothing")


def _changes(bench: Bench) -> list[tuple[Callable[[], object], list[Told]]]:
    """What is done, and the names that come and go by it.

    Renames may replace: without, a port may give the file a second name and take the first, and that is told.
    """
    at, rename = bench.at, bench.volume.rename
    added, removed = WatchChange.ADDED, WatchChange.REMOVED
    return [
        (partial(bench.make, "new"), [(added, "new", False)]),
        (partial(bench.make_directory, "directory"), [(added, "directory", True)]),
        (partial(bench.volume.link, at("new"), at("link")), [(added, "link", False)]),
        (partial(bench.remove, "old"), [(removed, "old", False)]),
        (partial(bench.remove, "directory", directory=True), [(removed, "directory", True)]),
        (partial(rename, at("moved"), at("below/moved"), replace=True), [(WatchChange.RENAMED_FROM, "moved", False)]),
        (partial(rename, at("below/moved"), at("back"), replace=True), [(WatchChange.RENAMED_TO, "back", False)]),
    ]


def _check_told(events: list[WatchEvent], number: int, expected: list[Told]) -> None:
    require(all(event.watch == number for event in events), "what is told has the number of its directory")
    names = [(event.what, event.name, event.is_directory) for event in events if event.what in NAMES]
    require(names == expected, f"take() tells of {expected} and no other names; it was {names}")


def _check_renaming(bench: Bench, watcher: Watcher, number: int) -> None:
    bench.volume.rename(bench.at("back"), bench.at("new"), replace=True)
    events = watcher.take()
    kept = [(WatchChange.RENAMED_FROM, "back", False), (WatchChange.RENAMED_TO, "new", False)]
    _check_told([event for event in events if event.what != WatchChange.REMOVED], number, kept)
    pairs = {event.pair for event in events if event.what in NAMES[2:]}
    require(len(pairs) == 1 and 0 not in pairs, "the halves of a rename have the same `pair`, which is not 0")
    below = _add(bench, watcher, bench.at("below"))
    bench.volume.rename(bench.at("new"), bench.at("below/new"), replace=True)
    halves = [(event.watch, event.what) for event in watcher.take() if event.what in NAMES]
    expected = [(number, WatchChange.RENAMED_FROM), (below, WatchChange.RENAMED_TO)]
    require(halves == expected, "a rename between watched directories is told of in both")
    bench.volume.rename(bench.at("below/new"), bench.at("new"), replace=False)
    watcher.remove(below)
    watcher.take()


def _check_files(bench: Bench, watcher: Watcher, number: int) -> None:
    file = bench.open("new")
    watcher.take()
    for what, change in (
        (WatchChange.MODIFIED, partial(file.write_at, 0, b"data")),
        (WatchChange.MODIFIED, partial(file.resize, 1)),
        (WatchChange.ATTRIBUTES, partial(file.set_mode, 0o600)),
        (WatchChange.ATTRIBUTES, partial(file.set_times, 10**18, 10**18)),
    ):
        change()
        told = {(event.watch, event.name, event.what) for event in watcher.take()}
        require((number, "new", what) in told, f"what files suffer is told of: {what} of WatchChange")
        require(not any(event[2] in NAMES for event in told), "what files suffer changes no names")
    file.close()


def _check_below(bench: Bench, watcher: Watcher, number: int) -> None:
    bench.make("below/file")
    names = [event for event in watcher.take() if event.what in NAMES]
    require(names == [], "the entries of subdirectories are not watched")
    below = _add(bench, watcher, bench.at("below"))
    bench.volume.rename(bench.at("below"), bench.at("elsewhere"), replace=False)
    require(WatchEvent(below, WatchChange.MOVED) in watcher.take(), "a watched directory that is renamed tells MOVED")
    bench.remove("elsewhere/file")
    _check_told([event for event in watcher.take() if event.watch == below], below, [
        (WatchChange.REMOVED, "file", False)
    ])  # fmt: skip
    bench.remove("elsewhere", directory=True)
    told = watcher.take()
    require(WatchEvent(below, WatchChange.GONE) in told, "a watched directory that is removed tells GONE")
    require(any(event.watch == number for event in told), "its removal is told of where its name was")
    watcher.remove(below)


def _check_end(bench: Bench, watcher: Watcher, number: int) -> None:
    bench.make("last")
    watcher.remove(number)
    bench.make("unwatched")
    require(watcher.take() == [], "nothing is told of a directory that is watched no more")
    number = _add(bench, watcher, bench.base)
    bench.remove("last")
    _check_told(watcher.take(), number, [(WatchChange.REMOVED, "last", False)])
