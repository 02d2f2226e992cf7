"""What is attached to files where the file system has no room for it: a database at the root of the volume.

    .smbport-streams/attributes.sqlite    DOS attributes, creation times, attributes, descriptors, small streams

A file is known by its inode, so it keeps what it has when it is renamed, by whomever.  Whether the inode still is that
file is told by `smbport.posix.sight`.  While a handle is open what belongs to its file is held in memory, and questions
about it never wait.

A change is in the kernel when it is answered, so it survives this process, and on stable storage after `sync`.  Of a
file that others have removed the rows stay, for nobody to see; a look at the start finds them, and some at a time go
when they have not been seen for long.  No two servers can use one database.
"""

import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from errno import ENOENT, ENOSPC
from stat import S_ISDIR
from threading import Lock
from typing import Any, Final

from smbport.posix.attribute_file import StoreFile, ask, delete, next_rows, signed
from smbport.posix.dosattrib import NO_MARKS, Marks
from smbport.posix.sight import Sight, is_same
from smbport.posix.walk import Root, error

__all__ = ["AttributeStore", "Record"]

MAX_BYTES: Final = 1 << 20  # of all attributes of one file, which are held in memory while it is open; guessed
ATTRIBUTE_COST: Final = 64  # bytes that one takes beside its name and value; guessed
PATIENCE_S: Final = 90 * 86400  # guessed: whoever moves files past the server looks at them sooner or later
UNIT_NS: Final = 100  # of creation times, as in SMB: in nanoseconds SQLite's integers end in the year 2262
MAX_LATE: Final = 1000  # sights that wait to be written, about 300 kB
SIGHT: Final = "parent, name, path, directory, birth_ns, size, write_ns, access_ns, change_ns"
SET_SIGHT: Final = ", ".join(f"{column} = ?" for column in SIGHT.split(", "))


class Record:
    """What belongs to one file, while somebody has it open."""

    __slots__ = ("attributes", "is_gone", "key", "marks", "now", "store", "stored", "users")

    def __init__(self, store: "AttributeStore", key: int, now: Sight) -> None:
        self.store = store
        self.key = key  # the inode, as the database has it
        self.marks = NO_MARKS
        self.attributes: dict[str, bytes] = {}
        self.now = now
        self.stored: Sight | None = None  # None: nothing is stored
        self.is_gone = False  # it has no name any more, so nothing is stored
        self.users = 0


class AttributeStore:
    """The database of one volume.  All but `release` may wait for a disk."""

    def __init__(self, root: Root) -> None:
        """OSError with a sentence if there is a database that cannot be used."""
        found = os.fstat(root.fd)
        self.device = found.st_dev
        self.key = (found.st_dev, found.st_ino)
        self.volumes = 0
        self._root = root.path
        self._file = StoreFile(root)
        self._changes = Lock()  # of what records say
        self._table = Lock()  # of the two below; nobody waits for anything else with it
        self._held: dict[int, Record] = {}
        self._late: dict[int, Sight] = {}  # sights that go into the database with the next change
        with self._file.reading():
            pass  # for its errors

    @contextmanager
    def _changing(self, *, make: bool = False) -> Iterator[sqlite3.Connection | None]:
        """Alone with the database, in a transaction, into which late sights go first."""
        late: dict[int, Sight] = {}
        try:
            with self._file.changing(make=make) as database:
                if database is not None:
                    with self._table:
                        late, self._late = self._late, late
                    change = f"UPDATE file SET {SET_SIGHT}, missed_s = 0 WHERE inode = ?"
                    database.executemany(change, [(*sight, key) for key, sight in late.items()])
                yield database
        except BaseException:  # also a KeyboardInterrupt: sights that were not written must not be lost
            with self._table:
                self._late = late | self._late
            raise

    def _write_late(self) -> None:
        with self._changing():
            pass

    # What files have

    def hold(self, found: os.stat_result, parent: int, name: bytes, path: bytes, *, is_new: bool) -> Record:
        """What belongs to the file, until `release`.  `parent` is its directory, open."""
        key = signed(found.st_ino)
        now = Sight.of(found, signed(os.fstat(parent).st_ino), name, path)
        if is_new:
            self.forget(found.st_ino)  # what is known by this number was another one's
        elif self._late:
            self._write_late()
        with self._file.reading() as database:
            with self._table:
                record = self._held.get(key)
                if record is not None:
                    record.users += 1
                    return record
            record = Record(self, key, now)
            if database is not None and not is_new:
                self._load(database, record, parent)
            with self._table:
                record.users += 1
                self._held[key] = record
        return record

    def _load(self, database: sqlite3.Connection, record: Record, parent: int) -> None:
        row = database.execute(
            f"SELECT {SIGHT}, dos_attributes, create_100ns FROM file WHERE inode = ?", (record.key,)
        ).fetchone()
        if row is None:
            return
        stored = Sight.make(row)
        if not is_same(stored, record.now, parent):
            return
        record.stored = stored
        record.marks = marks_in(row)
        found = database.execute("SELECT name, value FROM attribute WHERE inode = ?", (record.key,))
        record.attributes = dict(found.fetchall())
        self._notice(record)

    def release(self, record: Record, found: os.stat_result | None) -> None:
        """One user less.  `found` is how the file is left.  Does not wait."""
        with self._table:
            self._see(record, found)
            record.users -= 1
            if not record.users and self._held.get(record.key) is record:
                del self._held[record.key]

    def _see(self, record: Record, found: os.stat_result | None) -> None:
        """Remember how the file looks now, if anything is stored of it; None: it cannot have changed."""
        if found is not None and record.stored is not None and not record.is_gone:
            now = record.now.at(found)
            if now != record.stored:
                record.now = record.stored = self._late[record.key] = now

    def _notice(self, record: Record) -> None:
        """Remember how and where the file was found."""
        assert record.stored is not None
        record.now = record.now.keep_place(record.stored)
        if record.now != record.stored:
            with self._table:
                record.stored = self._late[record.key] = record.now

    def find_marks(self, states: Sequence[os.stat_result | None], names: Sequence[bytes], parent: int) -> list[Marks]:
        """The marks of entries of the directory that is open as `parent`."""
        keys = self._keys_of(states)
        if len(self._late) > MAX_LATE:
            self._write_late()
        with self._file.reading() as database:
            rows = self._find_rows(database, keys, states, names, parent) if database is not None else {}
        with self._table:
            held = {key: self._held[key].marks for key in self._held.keys() & keys}
        return [held.get(key) or (marks_in(rows[key]) if key in rows else NO_MARKS) for key in keys]

    def find_lengths(
        self, states: Sequence[os.stat_result | None], names: Sequence[bytes], parent: int, prefix: str
    ) -> list[dict[str, int]]:
        """Likewise, how long their attributes are whose names begin with `prefix`."""
        lengths: dict[int, dict[str, int]] = {}
        keys = self._keys_of(states)
        with self._file.reading() as database:
            if database is not None:
                rows = self._find_rows(database, keys, states, names, parent)
                question = "SELECT inode, name, length(value) FROM attribute WHERE inode IN ({})"
                for key, name, length in ask(database, question, list(rows)):
                    if name.startswith(prefix):
                        lengths.setdefault(key, {})[name.removeprefix(prefix)] = length
        return [lengths.get(key, {}) for key in keys]

    def _keys_of(self, states: Sequence[os.stat_result | None]) -> list[int]:
        """The inodes; 0, which no file has, where nothing can be known."""
        device = self.device
        return [signed(found.st_ino) if found is not None and found.st_dev == device else 0 for found in states]

    def _find_rows(
        self,
        database: sqlite3.Connection,
        keys: Sequence[int],
        states: Sequence[os.stat_result | None],
        names: Sequence[bytes],
        parent: int,
    ) -> dict[int, tuple[Any, ...]]:
        """The rows of entries that still are the same files, by inode."""
        question = f"SELECT inode, {SIGHT}, dos_attributes, create_100ns FROM file WHERE inode IN ({{}})"
        rows = {row[0]: row[1:] for row in ask(database, question, keys)}
        number, same = signed(os.fstat(parent).st_ino) if rows else 0, {}
        for key, found, name in zip(keys, states, names, strict=True):
            row = rows.get(key)
            if found is None or row is None:
                continue
            if looks_like(row, found, number, name) or self._still_is(key, row, found, number, name, parent):
                same[key] = row
        return same

    def _still_is(
        self, key: int, row: tuple[Any, ...], found: os.stat_result, number: int, name: bytes, parent: int
    ) -> bool:
        """Whether it is the same file though it has changed; then it is remembered how it looks now."""
        with self._table:
            if key in self._held:
                return True
            stored = self._late.get(key) or Sight.make(row)
            now = Sight.of(found, number, name, stored.path).keep_place(stored)
            same = is_same(stored, now, parent)
            if same and (found.st_nlink == 1 or now.is_directory):
                self._late[key] = now
        return same

    # Changing it

    def set_marks(self, record: Record, dos_attributes: int | None, birth_ns: int | None) -> None:
        """None keeps what is stored."""
        with self._changes:
            marks = record.marks.changed(dos_attributes, None if birth_ns is None else birth_ns // UNIT_NS * UNIT_NS)
            change = "UPDATE file SET dos_attributes = ?, create_100ns = ? WHERE inode = ?"
            created = None if marks.birth_ns is None else marks.birth_ns // UNIT_NS
            self._store(record, change, marks.dos_attributes, created, record.key)
            record.marks = marks

    def set_attribute(self, record: Record, name: str, value: bytes) -> None:
        """Make or replace.  OSError(ENOSPC) if the file has too much already."""
        with self._changes:
            others = sum(cost(other, kept) for other, kept in record.attributes.items() if other != name)
            if others + cost(name, value) > MAX_BYTES:
                raise error(ENOSPC)
            self._store(record, "INSERT OR REPLACE INTO attribute VALUES (?, ?, ?)", record.key, name, value)
            record.attributes = record.attributes | {name: value}

    def remove_attribute(self, record: Record, name: str) -> None:
        """FileNotFoundError if there is none of that name."""
        with self._changes:
            if name not in record.attributes:
                raise error(ENOENT)
            self._store(record, "DELETE FROM attribute WHERE inode = ? AND name = ?", record.key, name)
            record.attributes = {other: value for other, value in record.attributes.items() if other != name}

    def _store(self, record: Record, change: str, *values: object) -> None:
        """Change something of a file, which has a row then, and nothing of another one.  One transaction."""
        with self._changing(make=not record.is_gone) as database:
            if database is None or record.is_gone:
                return
            if record.stored is None:
                delete(database, record.key, contents=False)
                first = (record.key, *record.now)
                database.execute(f"INSERT INTO file VALUES ({'?, ' * len(first)}NULL, NULL, 0)", first)
            database.execute(change, values)
        if record.stored is None:
            record.stored = record.now

    def forget(self, inode: int) -> None:
        """The file of that number has no name any more."""
        key = signed(inode)
        with self._table:
            record = self._held.pop(key, None)
            if record is not None:
                record.is_gone = True
            self._late.pop(key, None)
        with self._changing() as database:
            if database is not None:
                delete(database, key, contents=True)

    def moved(self, inode: int, parent: int, old: bytes, new: bytes, *, is_directory: bool) -> None:
        """A name has become another, by us."""
        key, number, name = signed(inode), signed(os.fstat(parent).st_ino), new.rpartition(b"/")[2]
        with self._table:
            for record in self._held.values() if is_directory else ():
                record.now = record.now._replace(path=follow(record.now.path, old, new))
            held = self._held.get(key)
            if held is not None:
                held.now = held.now._replace(parent=number, name=name, path=new)
        with self._changing() as database:
            if database is not None:
                change = "UPDATE file SET parent = ?, name = ?, path = ? WHERE inode = ?"
                database.execute(change, (number, name, new, key))
                if is_directory:
                    change = "UPDATE file SET path = CAST(? || substr(path, ?) AS BLOB) WHERE path >= ? AND path < ?"
                    database.execute(change, (new, len(old) + 1, old + b"/", old + b"0"))  # "0" comes after "/"

    # Contents in the side store

    def note_content(self, inode: int, token: str) -> None:
        """Before anything leads to a content: if nothing ever does, it is found by this."""
        with self._changing(make=True) as database:
            assert database is not None
            database.execute("INSERT OR IGNORE INTO content VALUES (?, ?)", (signed(inode), token))

    def drop_content(self, inode: int, token: str) -> None:
        with self._changing() as database:
            if database is not None:
                database.execute("DELETE FROM content WHERE inode = ? AND token = ?", (signed(inode), token))

    def sweep(self, is_used: Callable[[str, Iterable[bytes]], bool], remove: Callable[[int, str], None]) -> None:
        """Look for what belongs to nothing any more: rows that are not where they were, contents that nothing names.

        `is_used` says whether values of attributes name a content, `remove` removes one.
        """
        unnamed = []
        with self._changing() as database:
            if database is None:
                return
            self._look_for_files(database)
            for key, token in next_rows(database, "content", "inode, token"):
                values = database.execute("SELECT value FROM attribute WHERE inode = ?", (key,)).fetchall()
                if not is_used(token, [value for (value,) in values]):
                    unnamed.append((key, token))
        for key, token in unnamed:
            remove(key & (1 << 64) - 1, token)

    def _look_for_files(self, database: sqlite3.Connection) -> None:
        now_s = int(time.time())
        for key, path, missed_s in next_rows(database, "file", "inode, path, missed_s"):
            with suppress(OSError):
                found = os.stat(os.path.join(self._root, path))
                if self._keys_of([found]) == [key]:
                    database.execute("UPDATE file SET missed_s = 0 WHERE inode = ?", (key,))
                    continue
            if not missed_s:
                database.execute("UPDATE file SET missed_s = ? WHERE inode = ?", (now_s, key))
            elif now_s - missed_s > PATIENCE_S:
                delete(database, key, contents=False)

    # The end

    def sync(self, record: Record | None = None, found: os.stat_result | None = None) -> None:
        """Return when all that was changed is on stable storage, with how this file looks, which is there already."""
        with self._table:
            if record is not None:
                self._see(record, found)
        if self._late:
            self._write_late()
        self._file.sync()

    def close(self) -> None:
        """Give the database up until it is needed again; one with nothing in it goes."""
        with suppress(OSError):
            self._write_late()
        self._file.close(("file", "content"))


def marks_in(row: tuple[Any, ...]) -> Marks:
    """From the columns behind the Sight."""
    dos_attributes, created = row[9:]
    return Marks(dos_attributes, None if created is None else created * UNIT_NS)


def looks_like(row: tuple[Any, ...], found: os.stat_result, parent: int, name: bytes) -> bool:
    """Whether a file is exactly as its row has it, which most are: without a Sight, which costs more."""
    times = found.st_size, found.st_mtime_ns, found.st_atime_ns, found.st_ctime_ns
    return row[5:9] == times and row[0] == parent and row[1] == name and row[3] == S_ISDIR(found.st_mode)


def follow(path: bytes, old: bytes, new: bytes) -> bytes:
    """The path of what is perhaps below `old`, which gets the path `new`."""
    return new + path[len(old) :] if path.startswith(old + b"/") else path


def cost(name: str, value: bytes) -> int:
    return len(name) + len(value) + ATTRIBUTE_COST
