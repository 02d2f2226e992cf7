"""smbport.posix.attribute_store and .attribute_file"""

import errno
import os
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing

import pytest

from smbport.posix import attribute_store as module
from smbport.posix.attribute_file import DATABASE, SWEEP, next_rows, signed
from smbport.posix.attribute_store import AttributeStore
from smbport.posix.dosattrib import NO_MARKS, Marks
from smbport.posix.walk import HIDDEN, Root


@pytest.fixture
def root(tmp_path):
    with closing(Root(str(tmp_path))) as root:
        yield root


@pytest.fixture
def store(root):
    store = AttributeStore(root)
    yield store
    store.close()


def hold(store, root, path, *, is_new=False):
    """As a volume does."""
    folder, _, name = path.rpartition("/")
    parent = os.open(folder or ".", os.O_RDONLY, dir_fd=root.fd)
    try:
        found = os.stat(path, dir_fd=root.fd, follow_symlinks=False)
        return store.hold(found, parent, name.encode(), path.encode(), is_new=is_new)
    finally:
        os.close(parent)


def release(store, root, record, path):
    store.release(record, os.stat(path, dir_fd=root.fd))


MARKS = Marks(2, 10**9)


def put(store, root, path, marks=MARKS, **attributes):
    """Store something of a file, which is made if it is not there."""
    with open(os.path.join(root.path, path.encode()), "ab"):
        pass
    record = hold(store, root, path)
    store.set_marks(record, *marks)
    for name, value in attributes.items():
        store.set_attribute(record, name, value)
    release(store, root, record, path)
    return os.stat(path, dir_fd=root.fd)


def marks_of(store, root, *names):
    found = [os.stat(name, dir_fd=root.fd, follow_symlinks=False) for name in names]
    return store.find_marks(found, [name.encode() for name in names], root.fd)


def attributes_of(store, root, path):
    record = hold(store, root, path)
    release(store, root, record, path)
    return record.attributes


def change(root, statement):
    """What somebody else does to the database."""
    with closing(sqlite3.connect(os.path.join(os.fsdecode(root.path), HIDDEN, DATABASE))) as database, database:
        return database.execute(statement).fetchall()


def test_nothing_is_made_for_nothing(store, root, tmp_path):
    (tmp_path / "file").touch()
    assert marks_of(store, root, "file") == [NO_MARKS]
    assert attributes_of(store, root, "file") == {}
    store.sync()
    assert not (tmp_path / HIDDEN).exists()


def test_what_was_put_is_there(store, root, tmp_path):
    put(store, root, "file", a=b"A", b=b"")
    put(store, root, "other", Marks(None, 500))
    (tmp_path / "third").touch()
    assert marks_of(store, root, "file", "third", "other") == [MARKS, NO_MARKS, Marks(None, 500)]
    assert attributes_of(store, root, "file") == {"a": b"A", "b": b""}
    store.close()
    again = AttributeStore(root)
    assert marks_of(again, root, "file") == [MARKS]
    assert attributes_of(again, root, "file") == {"a": b"A", "b": b""}
    again.close()
    assert (tmp_path / HIDDEN / DATABASE).stat().st_mode & 0o777 == 0o600
    assert (tmp_path / HIDDEN).stat().st_mode & 0o777 == 0o700


def test_marks_are_changed_one_by_one(store, root):
    put(store, root, "file")
    put(store, root, "file", Marks(4, None))
    assert marks_of(store, root, "file") == [Marks(4, 10**9)]


def test_attributes_are_replaced_and_removed(store, root):
    put(store, root, "file", a=b"A", b=b"B")
    put(store, root, "file", a=b"other")
    record = hold(store, root, "file")
    store.remove_attribute(record, "b")
    with pytest.raises(FileNotFoundError):
        store.remove_attribute(record, "b")
    release(store, root, record, "file")
    assert attributes_of(store, root, "file") == {"a": b"other"}
    with pytest.raises(OSError, match="No space") as caught:
        store.set_attribute(record, "c", bytes(module.MAX_BYTES))
    assert caught.value.errno == errno.ENOSPC


def test_two_handles_see_one_thing(store, root, tmp_path):
    (tmp_path / "file").touch()
    one, two = hold(store, root, "file"), hold(store, root, "file")
    assert one is two
    store.set_attribute(one, "a", b"A")
    assert two.attributes == {"a": b"A"}
    release(store, root, one, "file")
    assert hold(store, root, "file") is two


def test_threads_lose_nothing(store, root, tmp_path):
    (tmp_path / "file").touch()
    record = hold(store, root, "file")

    def work(number):
        for each in range(20):
            store.set_attribute(record, f"{number}-{each}", b"")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    release(store, root, record, "file")
    assert len(attributes_of(store, root, "file")) == 80


# What others do ---------------------------------------------------------------------------------------------------


def test_renaming_and_permissions_by_others(store, root, tmp_path):
    put(store, root, "file", a=b"A")
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").chmod(0o600)
    (tmp_path / "file").rename(tmp_path / "folder" / "new")
    assert attributes_of(store, root, "folder/new") == {"a": b"A"}
    with (tmp_path / "folder" / "new").open("ab") as file:
        file.write(b"more")
    assert attributes_of(store, root, "folder/new") == {"a": b"A"}  # for the new name is known by now


def test_writing_by_others(store, root, tmp_path):
    put(store, root, "file", a=b"A")
    with (tmp_path / "file").open("ab") as file:
        file.write(b"more")
    assert marks_of(store, root, "file") == [MARKS]
    assert attributes_of(store, root, "file") == {"a": b"A"}


def reuse(store, root, tmp_path, name, *, data=b"new", times=None):
    """A file of this name that has the inode of the one that was put; as a row, where no file system does it."""
    inode = put(store, root, "file", a=b"secret").st_ino
    store.close()
    (tmp_path / "file").rename(tmp_path / "away")
    (tmp_path / name).write_bytes(data)
    if times:
        os.utime(tmp_path / name, ns=times)
    new = (tmp_path / name).stat().st_ino
    change(root, f"UPDATE file SET inode = {signed(new)} WHERE inode = {signed(inode)}")
    change(root, f"UPDATE attribute SET inode = {signed(new)} WHERE inode = {signed(inode)}")


@pytest.mark.parametrize("name", ["file", "other"])
def test_another_file_with_the_same_inode(store, root, tmp_path, name):
    reuse(store, root, tmp_path, name)
    assert marks_of(store, root, name) == [NO_MARKS]
    assert attributes_of(store, root, name) == {}
    found = [(tmp_path / name).stat()]
    assert store.find_lengths(found, [name.encode()], root.fd, "") == [{}]
    put(store, root, name, Marks(1, None), b=b"B")
    assert marks_of(store, root, name) == [Marks(1, None)]
    assert attributes_of(store, root, name) == {"b": b"B"}


def test_a_file_of_old_times_with_the_same_inode(store, root, tmp_path):
    reuse(store, root, tmp_path, "other", times=(1, 1))
    assert attributes_of(store, root, "other") == {}


def test_a_file_that_we_make_is_new(store, root, tmp_path):
    reuse(store, root, tmp_path, "file", data=b"")
    when = (tmp_path / "away").stat()
    os.utime(tmp_path / "file", ns=(when.st_atime_ns, when.st_mtime_ns))  # it looks like the old one
    record = hold(store, root, "file", is_new=True)
    assert record.attributes == {}
    release(store, root, record, "file")
    assert attributes_of(store, root, "file") == {}


# What we do -------------------------------------------------------------------------------------------------------


def test_what_is_removed_is_forgotten(store, root, tmp_path):
    found = put(store, root, "file", a=b"A")
    record = hold(store, root, "file")
    (tmp_path / "file").unlink()
    store.forget(found.st_ino)
    assert record.attributes == {"a": b"A"}  # for as long as it is open
    store.set_attribute(record, "b", b"B")
    store.set_marks(record, 7, None)
    store.remove_attribute(record, "a")
    assert (record.attributes, record.marks) == ({"b": b"B"}, Marks(7, 10**9))
    store.release(record, found)
    store.close()
    assert list(tmp_path.iterdir()) == []


def test_a_directory_is_renamed(store, root, tmp_path):
    (tmp_path / "folder").mkdir()
    inode = put(store, root, "folder/file").st_ino
    record = hold(store, root, "folder/file")
    (tmp_path / "folder").rename(tmp_path / "new")
    store.moved((tmp_path / "new").stat().st_ino, root.fd, b"folder", b"new", is_directory=True)
    assert record.now.path == b"new/file"
    store.release(record, None)
    (tmp_path / "new" / "file").rename(tmp_path / "x")
    store.moved(inode, root.fd, b"new/file", b"x", is_directory=False)
    store.close()
    assert change(root, "SELECT path, name FROM file") == [(b"x", b"x")]


def test_writing_through_a_handle_is_noticed(store, root, tmp_path):
    put(store, root, "file", a=b"A")
    record = hold(store, root, "file")
    (tmp_path / "file").write_bytes(b"written")
    (tmp_path / "file").read_bytes()
    release(store, root, record, "file")
    store.close()
    [[size]] = change(root, "SELECT size FROM file")
    assert size == len(b"written")


def test_late_news_do_not_pile_up(store, root, tmp_path, monkeypatch):
    """As when others have changed all files of a large folder."""
    monkeypatch.setattr(module, "MAX_LATE", 1)
    for name in ("one", "two"):
        put(store, root, name)
        (tmp_path / name).chmod(0o600)
    store.sync()
    assert marks_of(store, root, "one", "two") == [MARKS, MARKS]
    assert len(store._late) == 2
    marks_of(store, root, "one")
    assert store._late == {}


def test_a_sync_is_for_how_the_file_looks_too(store, root, tmp_path):
    put(store, root, "file", a=b"A")
    record = hold(store, root, "file")
    (tmp_path / "file").write_bytes(b"written")
    store.sync(record, (tmp_path / "file").stat())
    with store._file.reading() as database:
        assert database.execute("SELECT size FROM file").fetchone() == (len(b"written"),)
    assert not store._file._unsynced
    release(store, root, record, "file")


def test_many_at_once(store, root, tmp_path):
    """One question for hundreds."""
    names = [f"file{number}" for number in range(600)]
    for name in names:
        (tmp_path / name).touch()
    put(store, root, "file599", a=b"four")
    found = [(tmp_path / name).stat() for name in names]
    assert store.find_marks([*found, None], [*map(str.encode, names), b"gone"], root.fd)[599:] == [
        Marks(2, 10**9),
        NO_MARKS,
    ]
    assert store.find_lengths(found, [*map(str.encode, names)], root.fd, "a")[598:] == [{}, {"": 4}]


# Sweeping ---------------------------------------------------------------------------------------------------------


def test_what_others_removed_goes_when_it_was_not_seen_for_long(store, root, tmp_path, monkeypatch):
    put(store, root, "file", a=b"A")
    put(store, root, "gone", a=b"A")
    (tmp_path / "gone").rename(tmp_path.parent / f"{tmp_path.name}-elsewhere")
    now_s = 1_000_000
    monkeypatch.setattr(module.time, "time", lambda: now_s)

    def paths():
        store.sweep(lambda token, values: False, lambda inode, token: None)
        store.close()
        return [path for (path,) in change(root, "SELECT path FROM file ORDER BY path")]

    assert paths() == [b"file", b"gone"]
    now_s += module.PATIENCE_S
    assert paths() == [b"file", b"gone"]
    now_s += 1
    assert paths() == [b"file"]
    assert change(root, "SELECT count(*) FROM attribute") == [(1,)]


def test_what_comes_back_is_not_missed(store, root, tmp_path, monkeypatch):
    put(store, root, "file")
    monkeypatch.setattr(module.time, "time", lambda: 5)
    (tmp_path / "file").rename(tmp_path / "moved")
    store.sweep(lambda token, values: False, lambda inode, token: None)
    (tmp_path / "moved").rename(tmp_path / "file")
    store.sweep(lambda token, values: False, lambda inode, token: None)
    store.close()
    assert change(root, "SELECT missed_s FROM file") == [(0,)]


def test_contents_that_nothing_names(store, root):
    inode = put(store, root, "file", stream=b"named").st_ino
    store.note_content(inode, "named")
    store.note_content(inode, "lost")
    store.note_content((1 << 63) + 5, "other")
    removed = []
    store.sweep(lambda token, values: token.encode() in values, lambda *which: removed.append(which))
    assert sorted(removed) == [(inode, "lost"), ((1 << 63) + 5, "other")]
    store.drop_content(inode, "lost")
    store.forget((1 << 63) + 5)
    removed.clear()
    store.sweep(lambda token, values: False, lambda *which: removed.append(which))
    assert removed == [(inode, "named")]


def test_a_sweep_goes_on_where_the_last_ended(store, root):
    put(store, root, "file")
    store.close()
    change(root, "DELETE FROM file")
    with closing(sqlite3.connect(os.path.join(os.fsdecode(root.path), HIDDEN, DATABASE))) as database, database:
        rows = [(inode, "token") for inode in range(SWEEP + 2)]
        database.executemany("INSERT INTO content VALUES (?, ?)", rows)
        firsts = [next_rows(database, "content", "inode, token")[0] for _ in range(3)]
    assert firsts == [(0, "token"), (SWEEP - 1, "token"), (0, "token")]


# What goes wrong --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("PRAGMA user_version = 2", "format 2"),
        ("PRAGMA application_id = 1", "something else"),
        ("UPDATE place SET inode = inode + 1", "it is a copy"),
    ],
)
def test_what_is_not_ours_is_refused(store, root, statement, told):
    put(store, root, "file")
    store.close()
    change(root, statement)
    with pytest.raises(OSError, match=rf"{DATABASE}.*{told}.*remove it"):
        AttributeStore(root)


def test_what_is_damaged_is_refused(store, root, tmp_path):
    for number in range(50):
        put(store, root, f"file{number}", a=bytes(1000))
    store.close()
    path = tmp_path / HIDDEN / DATABASE
    whole = path.read_bytes()
    path.write_bytes(b"not a database" * 1000)
    with pytest.raises(OSError, match="not a database"):
        AttributeStore(root)
    path.write_bytes(whole[:4096] + b"x" * (len(whole) - 4096))
    (tmp_path / HIDDEN / f"{DATABASE}-wal").touch()  # as after a crash
    with pytest.raises(OSError, match=DATABASE):
        AttributeStore(root)


def test_two_servers(store, root):
    put(store, root, "file")
    with pytest.raises(OSError, match="stop the other server") as caught:
        AttributeStore(root)
    assert caught.value.errno == errno.EBUSY


def test_a_full_disk(store, root, tmp_path):
    """Neither the database nor memory has the change; what was to be written besides is not lost."""
    put(store, root, "file", a=b"A")
    (tmp_path / "other").touch()
    for name, before in (("file", {"a": b"A"}), ("other", {})):
        record = hold(store, root, name)
        with store._file.reading() as database:
            [pages] = database.execute("PRAGMA page_count").fetchone()
            database.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(OSError, match="full; make room") as caught:
            store.set_attribute(record, "big", bytes(60_000))
        assert caught.value.errno == errno.ENOSPC
        assert record.attributes == before
        with store._file.reading() as database:
            database.execute("PRAGMA max_page_count = 1000000")
        store.set_attribute(record, "b", b"B")
        release(store, root, record, name)
        store.close()
        assert attributes_of(store, root, name) == before | {"b": b"B"}
    assert marks_of(store, root, "file", "other") == [MARKS, NO_MARKS]


def test_a_volume_that_went_elsewhere(store, root, tmp_path):
    (tmp_path / "file").touch()
    record = hold(store, root, "file")
    moved = tmp_path.rename(f"{tmp_path}-moved")
    tmp_path.mkdir()
    with pytest.raises(FileNotFoundError):
        store.set_marks(record, 1, None)
    assert list(tmp_path.iterdir()) == []
    store.release(record, None)
    tmp_path.rmdir()
    moved.rename(tmp_path)


CRASH = """
import os, sys
sys.path.insert(0, {project!r})
from smbport.posix.attribute_store import AttributeStore
from smbport.posix.walk import Root
root = Root({path!r})
store = AttributeStore(root)
found = os.stat("file", dir_fd=root.fd)
record = store.hold(found, root.fd, b"file", b"file", is_new=False)
store.set_marks(record, 2, None)
{between}
for number in range(1000):
    store.set_attribute(record, str(number), b"x" * 100)
    print(number, flush=True)
"""


@pytest.mark.parametrize("between", ["", "store.sync()"])
def test_the_process_dies(root, tmp_path, between):
    """What was answered is there."""
    (tmp_path / "file").touch()
    project = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))
    script = CRASH.format(project=project, path=str(tmp_path), between=between)
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as process:
        last = 0
        for line in process.stdout:
            last = int(line)
            if last == 30:
                process.kill()
                break
    assert (tmp_path / HIDDEN / f"{DATABASE}-wal").exists()
    with closing(AttributeStore(root)) as store:
        assert marks_of(store, root, "file") == [Marks(2, None)]
        assert {str(number) for number in range(last + 1)} <= set(attributes_of(store, root, "file"))
