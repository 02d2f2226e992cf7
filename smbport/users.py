"""SMB users: a name, an NT hash, a system account and a RID each, in one SQLite file that only its owner may read.

An NT hash is as good as the password to whoever reads it, so the file has mode 0600 from its first moment and
one that others can read is refused.  The password itself is never stored.  The file is in WAL mode: a server
that looks a user up never waits for `smbport user passwd`, and sees the change at the next logon.
"""

import errno
import os
import re
import sqlite3
import unicodedata
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from struct import Struct
from typing import Final, Self
from urllib.parse import quote

from smbport.security.auth import UserRecord, nt_hash
from smbport.wire.security import Sid

__all__ = [
    "MAX_NAME_LENGTH", "MAX_PASSWORD_LENGTH", "MemoryUsers", "UserError", "UserStore", "check_user",
    "default_store_path", "user_name_problem",
]  # fmt: skip

MAX_NAME_LENGTH: Final = 64  # characters; guessed: Windows has 20 for old names and 64 for the part before an "@"
MAX_PASSWORD_LENGTH: Final = 127  # UTF-16 units, as many as the logon dialogs of Windows take

UNPRINTABLE: Final = r"\x00-\x1f\x7f\ud800-\udfff"  # control characters and halves of UTF-16 pairs

APPLICATION_ID: Final = int.from_bytes(b"SMBu")
SCHEMA_VERSION: Final = 2
FIRST_RID: Final = 1000  # below are those that mean the same everywhere.  [MS-DTYP] 2.4.2.4
USERS: Final = """
CREATE TABLE IF NOT EXISTS users (
    key TEXT NOT NULL PRIMARY KEY, -- the name in the form in which names are compared
    name TEXT NOT NULL,
    nt_hash BLOB NOT NULL CHECK (length(nt_hash) = 16),
    disabled INTEGER NOT NULL DEFAULT 0 CHECK (disabled IN (0, 1)),
    account TEXT, -- the system account; NULL: the one of the same name
    created INTEGER NOT NULL DEFAULT (CAST(strftime('%s', 'now') AS INTEGER)), -- seconds since 1970
    changed INTEGER NOT NULL DEFAULT (CAST(strftime('%s', 'now') AS INTEGER))
) WITHOUT ROWID;
"""
# Version 2: SIDs.  A RID is given to each new user by the store itself, and never again.
SIDS: Final = f"""
ALTER TABLE users ADD COLUMN rid INTEGER CHECK (rid BETWEEN {FIRST_RID} AND 4294967295);
CREATE UNIQUE INDEX users_rid ON users (rid);
CREATE TABLE machine (
    only_row INTEGER NOT NULL PRIMARY KEY CHECK (only_row = 1),
    id BLOB NOT NULL CHECK (length(id) = 12), -- three numbers of 32 bits, little-endian
    next_rid INTEGER NOT NULL
);
INSERT INTO machine VALUES (1, randomblob(12), {FIRST_RID});
CREATE TRIGGER new_user AFTER INSERT ON users WHEN NEW.rid IS NULL BEGIN
    UPDATE users SET rid = (SELECT next_rid FROM machine) WHERE key = NEW.key;
    UPDATE machine SET next_rid = next_rid + 1;
END;
CREATE TRIGGER known_user AFTER INSERT ON users WHEN NEW.rid IS NOT NULL BEGIN
    UPDATE machine SET next_rid = max(next_rid, NEW.rid + 1);
END;
UPDATE users SET rid = {FIRST_RID}
    + (SELECT count(*) FROM users AS older WHERE (older.created, older.key) < (users.created, users.key));
UPDATE machine SET next_rid = {FIRST_RID} + (SELECT count(*) FROM users);
"""
COMMIT: Final = f"""
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {SCHEMA_VERSION};
COMMIT;
"""
UPGRADES: Final = {1: SIDS}  # from the version before each
MAX_FOUND: Final = 1024  # guessed; more are only read more often
MACHINE_ID: Final = Struct("<3I")
MEMORY_MACHINE_ID: Final = (0x736D6270, 0x6F727420, 0x6D656D6F)  # any numbers do
CHANGED: Final = "changed = CAST(strftime('%s', 'now') AS INTEGER) WHERE key = ?"
SELECT: Final = "SELECT name, nt_hash, disabled, account, rid FROM users"
Rows = list[tuple[str, bytes, int, str | None, int]]
Records = list[UserRecord]  # the name `list` is taken inside `UserStore`


class UserError(Exception):
    """A name, a password or a store that cannot be used; the text says why and what to do."""


def user_name_problem(name: str) -> str | None:
    """The rule that `name` breaks as a user name, or None.  The characters are those that Windows refuses."""
    if not name:
        return "a user name must not be empty"
    if len(name) > MAX_NAME_LENGTH:
        return f"a user name has at most {MAX_NAME_LENGTH} characters"
    if found := re.search(rf'["/\\\[\]:;|=,+*?<>@{UNPRINTABLE}]', name):
        return f"a user name must not contain {found[0]!r}"
    if name != name.strip() or name.endswith("."):
        return "a user name must not begin or end with a space, nor end with a dot"
    return None


def default_store_path() -> Path:
    """Where the store is if nobody says: the system's for root, else the user's own ($XDG_DATA_HOME)."""
    if os.geteuid() == 0:
        return Path("/var/lib/smbport/users.db")
    data_home = os.environ.get("XDG_DATA_HOME", "")
    base = Path(data_home) if os.path.isabs(data_home) else Path.home() / ".local/share"
    return base / "smbport/users.db"


class UserStore:
    """The users in a file.  One thread at a time; any number of processes."""

    def __init__(self, path: str, connection: sqlite3.Connection) -> None:
        self.path = path
        self._connection = connection
        self._found: dict[str, UserRecord] = {}  # by the name asked for: as it is in this version of the file
        self._version = -1

    @classmethod
    def open(cls, path: str | os.PathLike[str], create: bool = False) -> Self:
        """Open a store, with `create` also one that is not there yet.

        UserError if it is missing, can be read by others, or is no user store; OSError as it comes.
        """
        path = os.fspath(path)
        if create:
            _make_private_file(path)
        _check_private(path)
        uri = f"file:{quote(os.fsencode(path))}?mode=rw"  # rw: SQLite must not create it, with another mode
        try:
            store = cls(path, sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False))
        except sqlite3.Error as error:
            raise _failure(path, error) from error
        with ExitStack() as on_error:
            on_error.callback(store.close)
            store._prepare(create)
            on_error.pop_all()
        return store

    def close(self) -> None:
        """Close the file; may be called twice."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def machine_id(self) -> tuple[int, int, int]:
        """What the SIDs of all users of this store begin with, after S-1-5-21: made once, with the store."""
        return MACHINE_ID.unpack(self._run("SELECT id FROM machine").fetchone()[0])

    def add(self, name: str, password: str, account: str | None = None, sid: str | None = None) -> None:
        """Make a new user, who acts as the system account `account` (None: the one of the same name).

        `sid` is who he was on another server, whose files are to be served here; None: somebody new.
        """
        _check_name(name)
        if account is not None and not re.fullmatch(f"[^{UNPRINTABLE}]+", account):
            raise UserError(f"user {name!r}: {account!r} cannot be the name of a system account")
        rid = None if sid is None else self._adopt(name, sid)
        statement = "INSERT INTO users (key, name, nt_hash, account, rid) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
        if not self._write(statement, (_key(name), name, _hash(password), account, rid)):
            raise UserError(f"user {name!r} is in {self.path} already; names that differ only in case are the same")

    def _adopt(self, name: str, text: str) -> int:
        """The RID in a SID; the first user of a store brings all the rest of it with him."""
        machine_id, rid = _parse_sid(text)
        if rid < FIRST_RID:
            known = f"S-1-5-21-A-B-C-RID with a RID from {FIRST_RID}"
            raise UserError(f"user {name!r}: {text!r} is no SID of a user, {known}")
        if machine_id != self.machine_id:
            if self.list():
                ours = "-".join(map(str, self.machine_id))
                raise UserError(f"user {name!r}: the SIDs of other users in {self.path} begin with S-1-5-21-{ours}")
            self._write("UPDATE machine SET id = ?", (MACHINE_ID.pack(*machine_id),))
        if self._run("SELECT 1 FROM users WHERE rid = ?", (rid,)).fetchone():
            raise UserError(f"user {name!r}: another user in {self.path} has RID {rid}")
        return rid

    def set_password(self, name: str, password: str) -> None:
        """Give an existing user another password."""
        self._change(name, f"UPDATE users SET nt_hash = ?, {CHANGED}", _hash(password))

    def disable(self, name: str) -> None:
        """Refuse further logons of this user."""
        self._change(name, f"UPDATE users SET disabled = 1, {CHANGED}")

    def enable(self, name: str) -> None:
        """Allow logons again."""
        self._change(name, f"UPDATE users SET disabled = 0, {CHANGED}")

    def remove(self, name: str) -> None:
        """Forget a user."""
        self._change(name, "DELETE FROM users WHERE key = ?")

    def list(self) -> Records:
        """All users in the order of their names."""
        return _records(self._execute(f"{SELECT} ORDER BY key"))

    def find_user(self, name: str) -> UserRecord | None:
        """The user of that name in whatever case, as the file has it now; None if there is none."""
        version = self._run("PRAGMA data_version").fetchone()[0]  # another one when others have changed the file
        if version != self._version or len(self._found) > MAX_FOUND:
            self._found.clear()
            self._version = version
        if name not in self._found and not user_name_problem(name):  # names come from the network
            for record in _records(self._execute(f"{SELECT} WHERE key = ?", (_key(name),))):
                self._found[name] = record
        return self._found.get(name)

    def _change(self, name: str, statement: str, *values: bytes) -> None:
        """Run a statement that ends with the key of an existing user."""
        if user_name_problem(name) or not self._write(statement, (*values, _key(name))):
            raise UserError(f"there is no user {name!r} in {self.path}")

    def _write(self, statement: str, values: tuple[str | bytes | int | None, ...]) -> int:
        """Run one statement; the number of rows that it changed."""
        self._found.clear()
        changed = self._run(statement, values).rowcount
        # Bring the change into the file itself: a copy of the file is complete, and the old hash is overwritten.
        self._execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return changed

    def _execute(self, statement: str, values: tuple[str, ...] = ()) -> Rows:
        return self._run(statement, values).fetchall()

    def _run(self, statement: str, values: tuple[str | bytes | int | None, ...] = ()) -> sqlite3.Cursor:
        try:
            return self._connection.execute(statement, values)
        except sqlite3.Error as error:
            raise _failure(self.path, error) from error

    def _prepare(self, create: bool) -> None:
        """Set the connection up and make sure that the file is ours and of a version that we know."""
        try:
            if create and not self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                self._connection.execute("PRAGMA journal_mode = WAL")
                self._connection.executescript(f"BEGIN IMMEDIATE; {USERS} {SIDS} {COMMIT}")
            self._connection.execute("PRAGMA secure_delete = ON")
            identity = self._connection.execute("PRAGMA application_id").fetchone()[0]
            version = self._connection.execute("PRAGMA user_version").fetchone()[0]
        except sqlite3.OperationalError as error:
            raise _failure(self.path, error) from error
        except sqlite3.DatabaseError as error:
            raise UserError(f"{self.path} is not a user store: {error}") from error
        if identity != APPLICATION_ID:
            raise UserError(f"{self.path} is not a user store of smbport; name another file, or remove this one")
        if version in UPGRADES:
            self._upgrade(version)
        elif version != SCHEMA_VERSION:
            raise UserError(f"{self.path} has format {version}, but this smbport knows {SCHEMA_VERSION}; upgrade it")

    def _upgrade(self, version: int) -> None:
        """Bring a store of an older version up to date, unless another process did so in between."""
        try:
            self._connection.executescript(f"BEGIN IMMEDIATE; {UPGRADES[version]} {COMMIT}")
        except sqlite3.Error as error:
            if self._connection.in_transaction:
                self._run("ROLLBACK")
            if self._run("PRAGMA user_version").fetchone()[0] != SCHEMA_VERSION:
                raise _failure(self.path, error) from error


class MemoryUsers:
    """Users in memory, for programs that embed the server and for tests: `MemoryUsers({"alice": "password"})`."""

    def __init__(self, passwords: Mapping[str, str]) -> None:
        self._records: dict[str, UserRecord] = {}
        self._next_rid = FIRST_RID
        for name, password in passwords.items():
            self.put(UserRecord(name, _hash(password)))

    @property
    def machine_id(self) -> tuple[int, int, int]:
        """Always the same: these users are nobody beyond this process."""
        return MEMORY_MACHINE_ID

    def put(self, record: UserRecord) -> None:
        """Add a user, or replace the one of that name, who keeps his RID; one without a RID is given the next."""
        _check_name(record.name)
        known = self._records.get(_key(record.name))
        if not record.rid:
            record = replace(record, rid=self._next_rid if known is None else known.rid)
        self._next_rid = max(self._next_rid, record.rid + 1)
        self._records[_key(record.name)] = record

    def list(self) -> Records:
        """All users in the order in which they came."""
        return list(self._records.values())

    def find_user(self, name: str) -> UserRecord | None:
        """The user of that name in whatever case; None if there is none."""
        return self._records.get(_key(name))


def _key(name: str) -> str:
    """The form in which names are compared: without case, and composed (macOS sends either)."""
    return unicodedata.normalize("NFC", name).casefold()


def _records(rows: Rows) -> Records:
    return [UserRecord(name, nt_hash, bool(disabled), account, rid) for name, nt_hash, disabled, account, rid in rows]


def check_user(name: str, password: str) -> None:
    """UserError if there can be no user of that name, or none with that password."""
    _check_name(name)
    _hash(password)


def _parse_sid(text: str) -> tuple[tuple[int, ...], int]:
    """The parts of S-1-5-21-A-B-C-RID: A, B and C, and the RID; that is 0 of any other text."""
    try:
        sid = Sid.from_string(text)
    except ValueError:
        return (), 0
    kind, machine_id = sid.sub_authorities[:1], sid.sub_authorities[1:-1]
    fits = sid.authority == 5 and kind == (21,) and len(machine_id) == 3
    return machine_id, sid.sub_authorities[-1] if fits else 0


def _check_name(name: str) -> None:
    if problem := user_name_problem(name):
        raise UserError(f"user {name!r}: {problem}")


def _hash(password: str) -> bytes:
    """The NT hash of a password that a client can send.  The text of an error never has the password in it."""
    if not password:
        raise UserError("the password must not be empty")
    if re.search(f"[{UNPRINTABLE}]", password):
        raise UserError("the password must not contain control characters (is there a line end in it?)")
    if len(password.encode("utf-16-le")) > 2 * MAX_PASSWORD_LENGTH:
        raise UserError(f"the password must have at most {MAX_PASSWORD_LENGTH} characters, as many as Windows sends")
    return nt_hash(password)


def _failure(path: str, error: sqlite3.Error) -> OSError:
    return OSError(errno.EIO, f"user store: {error}", path)


def _make_private_file(path: str) -> None:
    """Make an empty file of mode 0600, and the directory for it, unless there is something already."""
    os.makedirs(os.path.dirname(path) or ".", mode=0o700, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        return
    try:
        os.fchmod(descriptor, 0o600)  # a strict umask may have taken even our own rights
    finally:
        os.close(descriptor)


def _check_private(path: str) -> None:
    """UserError if the store is not there, or others can read it or what SQLite keeps beside it."""
    for name in (path, f"{path}-wal", f"{path}-shm", f"{path}-journal"):
        try:
            mode = os.stat(name).st_mode & 0o777
        except FileNotFoundError:
            if name == path:
                raise UserError(f"there is no user store {path}; `smbport user add NAME` makes one") from None
            continue
        if mode & 0o077:
            raise UserError(f"{name} has mode {mode:04o}, so others can use its password hashes; run: chmod 600 {name}")
