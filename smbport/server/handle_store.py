"""Persistent opens in an SQLite database.  They outlive the process, and the machine if the disk does.

One row for each open and one for each of its locks.  A file has one writer: two servers with one database would take
each other's opens for their own, so it stays locked as long as it is in use.
"""

import json
import sqlite3
from contextlib import ExitStack
from dataclasses import fields
from pathlib import Path
from threading import Lock
from typing import Final

from smbport.platform import FileKey
from smbport.state.persistent import Batch, LeaseRecord, PersistentRecord
from smbport.state.ranges import HeldLock

__all__ = ["SqliteHandleStore"]

FORMAT: Final = 1
_TABLES: Final = f"""
CREATE TABLE handle (id TEXT PRIMARY KEY, record TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE lock (
    id TEXT NOT NULL, start TEXT NOT NULL, length TEXT NOT NULL, exclusive INTEGER NOT NULL, count INTEGER NOT NULL,
    PRIMARY KEY (id, start, length, exclusive)
) WITHOUT ROWID;
PRAGMA user_version = {FORMAT};
"""
_BYTES: Final = ("client_guid", "create_guid", "lock_sequences")
_LEASE_BYTES: Final = ("key", "parent_key")


class SqliteHandleStore:
    """A `HandleStore`."""

    def __init__(self, path: Path) -> None:
        """Open or make the database.  OSError with a sentence if it cannot be written."""
        self._lock = Lock()
        self._path = path
        try:
            path.touch(mode=0o600)  # what is open is nobody else's business
            self._database = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=1)
            with ExitStack() as failing:
                failing.callback(self._database.close)
                self._prepare()
                failing.pop_all()
        except (OSError, sqlite3.Error) as error:
            raise OSError(f"handle store {str(path)!r} cannot be used: {error}") from error

    def _prepare(self) -> None:
        database = self._database
        database.execute("PRAGMA locking_mode = EXCLUSIVE")
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")  # a commit is on the disk
        [found] = database.execute("PRAGMA user_version").fetchone()
        if found == 0:
            database.executescript(f"BEGIN IMMEDIATE; {_TABLES} COMMIT;")
        elif found != FORMAT:
            raise sqlite3.DatabaseError(f"it has format {found}, not {FORMAT}; remove it to begin anew")
        database.execute("BEGIN IMMEDIATE")  # takes the lock that EXCLUSIVE keeps, and shows that writing is allowed
        database.execute("COMMIT")

    def save(self, batch: Batch, *, wait: bool = False) -> None:
        """One transaction."""
        if not wait:
            raise BlockingIOError
        try:
            with self._lock:
                self._save(batch)
        except sqlite3.Error as error:
            raise OSError(f"handle store {str(self._path)!r}: {error}") from error

    def _save(self, batch: Batch) -> None:
        database = self._database
        database.execute("BEGIN IMMEDIATE")
        try:
            rows = [(_id(record.persistent_id), _pack(record)) for record in batch.records]
            database.executemany("INSERT OR REPLACE INTO handle VALUES (?, ?)", rows)
            changes = [(_id(id_), *map(str, lock[:2]), int(lock.exclusive), delta) for id_, lock, delta in batch.locks]
            database.executemany(
                "INSERT INTO lock VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count",
                changes,
            )
            database.executemany(
                "DELETE FROM lock WHERE id = ? AND start = ? AND length = ? AND exclusive = ? AND count <= 0",
                [change[:4] for change in changes],
            )
            gone = [(_id(persistent_id),) for persistent_id in batch.gone]
            database.executemany("DELETE FROM handle WHERE id = ?", gone)
            database.executemany("DELETE FROM lock WHERE id = ?", gone)
            database.execute("COMMIT")
        except BaseException:  # also a KeyboardInterrupt: half a batch must not stay open
            database.execute("ROLLBACK")
            raise

    def load(self, *, wait: bool = False) -> list[tuple[PersistentRecord, list[HeldLock]]]:
        """Everything, by id."""
        if not wait:
            raise BlockingIOError
        try:
            with self._lock:
                handles = self._database.execute("SELECT id, record FROM handle ORDER BY id").fetchall()
                return [(_unpack(int(id_, 16), text), self._locks(id_)) for id_, text in handles]
        except (sqlite3.Error, ValueError, KeyError, TypeError) as error:
            fix = "remove it to begin anew"
            raise OSError(f"handle store {str(self._path)!r} cannot be read: {error}; {fix}") from error

    def _locks(self, id_: str) -> list[HeldLock]:
        found = self._database.execute("SELECT start, length, exclusive, count FROM lock WHERE id = ?", (id_,))
        locks = [([HeldLock(int(start), int(length), bool(kind))], count) for start, length, kind, count in found]
        return [lock for same, count in locks for lock in same * count]

    def close(self) -> None:
        """Give the file back."""
        with self._lock:
            self._database.close()


def _id(persistent_id: int) -> str:
    """Text, since SQLite's integers are signed."""
    return f"{persistent_id:016x}"


def _pack(record: PersistentRecord) -> str:
    values = {name: getattr(record, name) for name in _names(record) if name not in ("persistent_id", "lease")}
    values |= {name: values[name].hex() for name in _BYTES}
    lease = record.lease
    if lease is not None:
        parts = {name: getattr(lease, name) for name in _names(lease)}
        values["lease"] = parts | {name: parts[name] and parts[name].hex() for name in _LEASE_BYTES}
    return json.dumps(values)


def _names(record: PersistentRecord | LeaseRecord) -> list[str]:
    return [field.name for field in fields(record)]


def _unpack(persistent_id: int, text: str) -> PersistentRecord:
    values = json.loads(text)
    values |= {name: bytes.fromhex(values[name]) for name in _BYTES}
    values["key"] = FileKey(*values["key"])
    lease = values.pop("lease", None)
    if lease is not None:
        lease |= {name: lease[name] and bytes.fromhex(lease[name]) for name in _LEASE_BYTES}
    return PersistentRecord(
        persistent_id=persistent_id, lease=LeaseRecord(**lease) if lease is not None else None, **values
    )
