"""The file of a `AttributeStore`: an SQLite database, with one user at a time.

A transaction is in the kernel when it is done, and on stable storage after `sync`.  A file that is damaged, of another
format, or in use is an OSError that says what to do; it is never taken for an empty one.
"""

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from errno import EBUSY, EIO, ENOENT, ENOSPC, EROFS
from threading import Lock
from typing import Any, Final

from smbport.posix.walk import HIDDEN, MAX_RACES, Root, error

__all__ = ["DATABASE", "SWEEP", "StoreFile", "ask", "delete", "next_rows", "signed"]

DATABASE: Final = "attributes.sqlite"
FORMAT: Final = 1
APPLICATION: Final = 0x736D6270  # "smbp"
MANY: Final = 500  # inodes in one question; SQLite takes at least 999
SWEEP: Final = 1000  # rows that are looked at in one go

ERRNO_OF: Final = {
    sqlite3.SQLITE_FULL: ENOSPC, sqlite3.SQLITE_READONLY: EROFS, sqlite3.SQLITE_BUSY: EBUSY,
    sqlite3.SQLITE_LOCKED: EBUSY,
}  # fmt: skip
"""Primary result code -> errno; anything else is EIO."""

FIXES: Final = {
    ENOSPC: "make room on the disk",
    EROFS: "let the account of the server write it",
    EBUSY: "stop the other server that uses it",
    EIO: "restore it from a backup, or remove it to begin with nothing",
}

TABLES: Final = f"""
CREATE TABLE file (
    inode INTEGER PRIMARY KEY, parent INTEGER NOT NULL, name BLOB NOT NULL, path BLOB NOT NULL,
    directory INTEGER NOT NULL, birth_ns INTEGER, size INTEGER NOT NULL, write_ns INTEGER NOT NULL,
    access_ns INTEGER NOT NULL, change_ns INTEGER NOT NULL, dos_attributes INTEGER, create_100ns INTEGER,
    missed_s INTEGER NOT NULL
);
CREATE INDEX file_by_path ON file (path);
CREATE TABLE attribute (inode INTEGER NOT NULL, name TEXT NOT NULL, value BLOB NOT NULL, PRIMARY KEY (inode, name));
CREATE TABLE content (inode INTEGER NOT NULL, token TEXT NOT NULL, PRIMARY KEY (inode, token)) WITHOUT ROWID;
CREATE TABLE place (inode INTEGER NOT NULL, swept_file INTEGER NOT NULL, swept_content INTEGER NOT NULL);
PRAGMA application_id = {APPLICATION};
PRAGMA user_version = {FORMAT};
"""


class StoreFile:
    """Opened when it is needed, and made when something is to be put into it."""

    def __init__(self, root: Root) -> None:
        found = os.fstat(root.fd)
        self._key = (found.st_dev, found.st_ino)
        self._root = root.path
        self._folder = os.path.join(root.path, os.fsencode(HIDDEN))
        self._path = os.path.join(self._folder, os.fsencode(DATABASE))
        self._lock = Lock()
        self._database: sqlite3.Connection | None = None
        self._unsynced = False

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection | None]:
        """Alone with the database, if there is one."""
        with self._lock, self._translated():
            yield self._connect(make=False)

    @contextmanager
    def changing(self, *, make: bool) -> Iterator[sqlite3.Connection | None]:
        """Alone with the database, in a transaction."""
        with self._lock, self._translated():
            database = self._connect(make=make)
            if database is None:
                yield None
                return
            database.execute("BEGIN IMMEDIATE")
            try:
                yield database
                database.execute("COMMIT")
                self._unsynced = True
            except BaseException:  # also a KeyboardInterrupt: half a change must not stay open
                if database.in_transaction:
                    database.execute("ROLLBACK")
                raise

    def sync(self) -> None:
        """Return when all that was changed is on stable storage."""
        with self._lock, self._translated():
            database = self._database
            if database is not None and self._unsynced:
                database.execute("PRAGMA synchronous = FULL")  # the next commit waits for itself and all before
                try:
                    database.execute(f"PRAGMA user_version = {FORMAT}")
                finally:
                    database.execute("PRAGMA synchronous = NORMAL")
                self._unsynced = False

    def close(self, tables: Sequence[str]) -> None:
        """Give it up until it is needed again.  If these tables are empty, it goes."""
        with self._lock:
            database, self._database = self._database, None
            if database is None:
                return
            is_empty = False
            with suppress(sqlite3.Error):
                is_empty = not any(
                    database.execute(f"SELECT EXISTS (SELECT * FROM {table})").fetchone()[0] for table in tables
                )
            database.close()
            if is_empty:
                with suppress(OSError):
                    os.unlink(self._path)
                    os.rmdir(self._folder)

    def _connect(self, *, make: bool) -> sqlite3.Connection | None:
        """The connection; None if there is no database and none is to be made."""
        if self._database is None and (make or os.path.lexists(self._path)):
            was_cut = os.path.exists(self._path + b"-wal")
            if not os.path.lexists(self._path):
                self._make()
            database = sqlite3.connect(os.fsdecode(self._path), 1, isolation_level=None, check_same_thread=False)
            with ExitStack() as failing:
                failing.callback(database.close)
                prepare(database, signed(os.stat(self._path).st_ino), check=was_cut)
                failing.pop_all()
            self._database = database
        return self._database

    def _make(self) -> None:
        found = os.stat(self._root)
        if (found.st_dev, found.st_ino) != self._key:
            raise error(ENOENT)  # the volume is not where it was
        for _ in range(MAX_RACES):
            with suppress(FileExistsError):
                os.mkdir(self._folder, 0o700)
            with suppress(FileNotFoundError):  # somebody has removed the directory because it was empty
                os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
                break
        for path in (self._folder, self._root):
            sync_directory(path)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Around whatever SQLite may refuse."""
        try:
            yield
        except sqlite3.Error as reason:
            number = ERRNO_OF.get(getattr(reason, "sqlite_errorcode", 0) & 0xFF, EIO)
            name = os.fsdecode(self._path)
            text = f"the store of attributes {name!r} cannot be used: {reason}; {FIXES[number]}"
            raise OSError(number, text) from reason


def prepare(database: sqlite3.Connection, inode: int, *, check: bool) -> None:
    """Lock it, and see that it is one of ours; `check` all of it if the last user did not close it.

    `inode` is its own: with a copy of the files, which have other numbers now, it is of no use.
    """
    database.execute("PRAGMA locking_mode = EXCLUSIVE")  # which also spares us shared memory
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = NORMAL")  # `sync` is what waits for the disk
    database.execute("BEGIN IMMEDIATE")  # takes the lock that EXCLUSIVE keeps
    if not database.execute("SELECT EXISTS (SELECT * FROM sqlite_master)").fetchone()[0]:
        for statement in TABLES.split(";"):
            database.execute(statement)
        lowest = -(1 << 63)
        database.execute("INSERT INTO place VALUES (?, ?, ?)", (inode, lowest, lowest))
    [application] = database.execute("PRAGMA application_id").fetchone()
    [found] = database.execute("PRAGMA user_version").fetchone()
    if application != APPLICATION:
        raise sqlite3.DatabaseError("it is something else")
    if found != FORMAT:
        raise sqlite3.DatabaseError(f"it has format {found}, and this version of the server knows {FORMAT}")
    if check:
        [[verdict], *_] = database.execute("PRAGMA quick_check(1)").fetchall()
        if verdict != "ok":
            raise sqlite3.DatabaseError(verdict)
    if database.execute("SELECT inode FROM place").fetchone() != (inode,):
        raise sqlite3.DatabaseError("it is a copy, and the numbers of files that it knows are those of the original")
    database.execute("COMMIT")


def next_rows(database: sqlite3.Connection, table: str, columns: str) -> list[tuple[Any, ...]]:
    """Some rows, from where the last look ended; `columns` begin with the inode."""
    swept = f"swept_{table}"
    question = f"SELECT {columns} FROM {table} WHERE inode >= (SELECT {swept} FROM place) ORDER BY inode LIMIT {SWEEP}"
    rows = database.execute(question).fetchall()
    database.execute(f"UPDATE place SET {swept} = ?", (rows[-1][0] if len(rows) == SWEEP else -(1 << 63),))
    return rows


def ask(database: sqlite3.Connection, question: str, keys: Sequence[int]) -> Iterator[tuple[Any, ...]]:
    """The answers for many keys; the question has {} for a list of them."""
    for at in range(0, len(keys), MANY):
        some = keys[at : at + MANY]
        yield from database.execute(question.format(",".join("?" * len(some))), some)


def delete(database: sqlite3.Connection, key: int, *, contents: bool) -> None:
    for table in ("file", "attribute", "content") if contents else ("file", "attribute"):
        database.execute(f"DELETE FROM {table} WHERE inode = ?", (key,))


def sync_directory(path: bytes) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def signed(inode: int) -> int:
    """SQLite's integers are signed."""
    return inode - (1 << 64) if inode >> 63 else inode
