"""smbport.posix.orphans: contents of files that others have removed go, and those of no other file."""

import errno
import logging
import os
import threading
from contextlib import suppress

import pytest

from smbport.posix import orphans
from smbport.posix.orphans import GONE, MISSED, OWNER, Sweeper, note_owner, sweep
from smbport.posix.sidestore import SideStore
from smbport.posix.walk import HIDDEN, Root

STEPS = ("open", "rename", "unlink", "rmdir", "listdir", "close")


class Crash(BaseException):
    """The process ends here."""


class Names:
    """Handles: a file is called by its inode and a number that counts those which had it."""

    def __init__(self):
        self.alive = set()
        self.fault = 0

    def name(self, target):
        if self.fault:
            raise OSError(self.fault, "no names here")
        return target.encode()

    def lives(self, name):
        if self.fault:
            raise OSError(self.fault, "cannot be told")
        return name.decode() in self.alive


class Bench:
    def __init__(self, path):
        self.path = path
        self.root = Root(str(path))
        self.names = Names()
        self.side = SideStore(self.root, self.names)

    def store(self, file, inode, data=b"data"):
        """A content of a file that is there from now on."""
        self.names.alive.add(file)
        token, fd = self.side.create_for(file, inode)
        os.write(fd, data)
        os.close(fd)
        return token

    def read(self, inode, token):
        fd = self.side.open(inode, token)
        try:
            return os.read(fd, 99)
        finally:
            os.close(fd)

    def lose(self, file):
        self.names.alive.remove(file)

    def sweep(self):
        return sweep(self.root, self.names)

    def kept(self):
        """What is there, without the notes."""
        return sorted(
            f"{place.name}/{content.name}"
            for place in (self.path / HIDDEN).iterdir()
            for content in place.iterdir()
            if content.name not in (OWNER, MISSED)
        )


@pytest.fixture
def bench(tmp_path):
    bench = Bench(tmp_path)
    yield bench
    bench.root.close()


def test_what_belongs_to_no_file_goes_when_it_was_missed_twice(bench, caplog):
    caplog.set_level(logging.INFO)
    stays = bench.store("a", 0xA)
    for _ in range(3):
        bench.store("b", 0xB)
    bench.lose("b")
    assert bench.sweep() == 0
    assert len(bench.kept()) == 4
    assert bench.sweep() == 3
    assert bench.kept() == [f"a/{stays}"]
    assert bench.read(0xA, stays) == b"data"
    assert [record.message.partition(": ")[2] for record in caplog.records] == [
        "0 streams of files that others have removed are given up; 1 more files will be, if still missed",
        "3 streams of files that others have removed are given up; 0 more files will be, if still missed",
    ]
    assert bench.sweep() == 0
    assert len(caplog.records) == 2


def test_a_file_that_was_missed_once_is_not_given_up_later(bench):
    token = bench.store("a", 0xA)
    bench.lose("a")
    bench.sweep()
    bench.names.alive.add("a")
    bench.sweep()
    bench.lose("a")
    assert bench.sweep() == 0
    bench.names.alive.add("a")
    assert bench.read(0xA, token) == b"data"


def test_nothing_goes_that_cannot_be_told(bench):
    bench.store("a", 0xA)
    bench.lose("a")
    bench.sweep()
    bench.names.fault = errno.EPERM
    assert bench.sweep() == 0
    assert len(bench.kept()) == 1


def test_contents_without_a_note_stay(bench):
    bench.names.fault = errno.EOPNOTSUPP
    old = SideStore(bench.root).create(0xC)
    os.close(old[1])
    os.close(bench.side.create_for("a", 0xA)[1])
    bench.names.fault = 0
    (bench.path / HIDDEN / "something else").mkdir()
    (bench.path / HIDDEN / "data.base").touch()
    for _ in range(3):
        assert bench.sweep() == 0
    assert (bench.path / HIDDEN / "data.base").exists()
    assert len(list((bench.path / HIDDEN).iterdir())) == 4


def test_where_nothing_was_ever_stored(bench):
    assert bench.sweep() == 0


def test_the_notes_go_with_the_last_content(bench):
    first, second = bench.store("a", 0xA), bench.store("a", 0xA)
    bench.side.remove(0xA, first)
    assert bench.read(0xA, second) == b"data"
    assert (bench.path / HIDDEN / "a" / OWNER).exists()
    bench.side.remove(0xA, second)
    assert not (bench.path / HIDDEN).exists()


def test_a_new_file_with_the_inode_of_one_that_is_gone(bench):
    """What the old one has left goes with the new one, and not before."""
    bench.store("old", 0xA)
    bench.lose("old")
    bench.sweep()
    token = bench.store("new", 0xA)
    for _ in range(3):
        assert bench.sweep() == 0
    assert bench.read(0xA, token) == b"data"
    bench.lose("new")
    bench.sweep()
    assert bench.sweep() == 2


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_new_file_gets_the_inode_while_the_old_one_is_given_up(bench, monkeypatch, when):
    bench.store("old", 0xA)
    bench.lose("old")
    bench.sweep()
    made = []
    rename = os.rename

    def rename_and_create(old, new, **keywords):
        if new == "a" + GONE and not made:
            if when == "before":
                made.append(bench.store("new", 0xA))
                rename(old, new, **keywords)
            else:
                rename(old, new, **keywords)
                made.append(bench.store("new", 0xA))
            return
        rename(old, new, **keywords)

    monkeypatch.setattr(orphans.os, "rename", rename_and_create)
    bench.sweep()
    assert bench.read(0xA, made[0]) == b"data"
    bench.sweep()
    assert bench.read(0xA, made[0]) == b"data"
    assert len(bench.kept()) == (2 if when == "before" else 1)


def test_a_content_that_is_taken_along_while_it_is_made_is_made_again(bench, monkeypatch):
    """The directory goes between the making of a content and the note whose it is."""
    bench.store("old", 0xA)
    bench.lose("old")
    bench.sweep()
    create, swept = SideStore.create, []

    def create_and_sweep(side, inode):
        made = create(side, inode)
        if not swept:
            swept.append(sweep(bench.root, bench.names))
        return made

    monkeypatch.setattr(SideStore, "create", create_and_sweep)
    token = bench.store("new", 0xA)
    assert swept == [2]
    assert bench.kept() == [f"a/{token}"]


def test_two_at_once_after_a_crash_between(bench):
    """A directory that was given up has come to be of use again, and there is a new one beside it."""
    first = bench.store("a", 0xA)
    os.rename(bench.path / HIDDEN / "a", bench.path / HIDDEN / ("a" + GONE))
    second = bench.store("a", 0xA)
    bench.sweep()
    assert (bench.read(0xA, first), bench.read(0xA, second)) == (b"data", b"data")
    assert [place.name for place in (bench.path / HIDDEN).iterdir()] == ["a"]


def crash_at(monkeypatch, count):
    """Let the process end before its `count`-th step; the count of those that are left when it did not."""
    left = [count]
    lock = threading.Lock()

    def stepping(function):
        def step(*args, **keywords):
            with lock:
                left[0] -= 1
            if left[0] < 0:
                raise Crash
            return function(*args, **keywords)

        return step

    for name in STEPS:
        monkeypatch.setattr(orphans.os, name, stepping(getattr(os, name)))
    return left


@pytest.mark.parametrize("alive", [False, True])
def test_a_crash_at_every_step(tmp_path, monkeypatch, alive):
    """What is over is over, the next sweeps do the rest, and a file that comes to be seen again has lost nothing."""
    for count in range(200):
        path = tmp_path / str(count)
        path.mkdir()
        bench = Bench(path)
        stays, goes = bench.store("stays", 0xB), [bench.store("a", 0xA) for _ in range(3)]
        bench.lose("a")
        bench.sweep()
        if alive:  # the sweep that was interrupted had set it aside
            os.rename(path / HIDDEN / "a", path / HIDDEN / ("a" + GONE))
            bench.names.alive.add("a")
        with monkeypatch.context() as patch:
            left = crash_at(patch, count)
            with suppress(Crash):
                bench.sweep()
        bench.sweep()
        bench.sweep()
        assert bench.read(0xB, stays) == b"data"
        if alive:
            assert [bench.read(0xA, token) for token in goes] == [b"data"] * 3
        else:
            assert [place.name for place in (path / HIDDEN).iterdir()] == ["b"]
        bench.root.close()
        if left[0] > 0:
            break
    assert count > 5


def test_in_a_thread_that_can_be_stopped(bench):
    for inode in range(100):
        bench.store(str(inode), inode)
        bench.lose(str(inode))
    bench.sweep()
    arrived, go_on = threading.Event(), threading.Event()
    lives = bench.names.lives

    def wait(name):
        arrived.set()
        go_on.wait()
        return lives(name)

    bench.names.lives = wait
    sweeper = Sweeper(bench.root, bench.names)
    arrived.wait()
    threading.Timer(0, go_on.set).start()
    sweeper._stopping.set()
    sweeper.stop()
    assert 99 <= len(bench.kept()) <= 100
    assert bench.sweep() >= 99


def test_a_note_that_cannot_be_written(bench, monkeypatch):
    def refuse(place, name):
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr("smbport.posix.sidestore.note_owner", refuse)
    with pytest.raises(OSError, match="full"):
        bench.store("a", 0xA)
    assert not (bench.path / HIDDEN).exists()


def test_the_same_note_is_not_written_again(bench, monkeypatch):
    bench.store("a", 0xA)
    place = os.open(bench.path / HIDDEN / "a", os.O_RDONLY)
    before = os.stat(OWNER, dir_fd=place).st_ino
    note_owner(place, b"a")
    assert os.stat(OWNER, dir_fd=place).st_ino == before
    note_owner(place, b"b")
    assert os.stat(OWNER, dir_fd=place).st_ino != before
    os.close(place)
