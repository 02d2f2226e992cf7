"""SMB users: a name, an NT hash and a system account each, in one SQLite file that only its owner may read.

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
from pathlib import Path
from typing import Final, Self
from urllib.parse import quote

from smbport.security.auth import UserRecord, nt_hash

__all__ = [
    "MAX_NAME_LENGTH", "MAX_PASSWORD_LENGTH", "MemoryUsers", "UserError", "UserStore", "default_store_path",
    "user_name_problem",
]  # fmt: skip

MAX_NAME_LENGTH: Final = 64  # characters; guessed: Windows has 20 for old names and 64 for the part before an "@"
MAX_PASSWORD_LENGTH: Final = 127  # UTF-16 units, as many as the logon dialogs of Windows take

UNPRINTABLE: Final = r"\x00-\x1f\x7f\ud800-\udfff"  # control characters and halves of UTF-16 pairs

APPLICATION_ID: Final = int.from_bytes(b"SMBu")
SCHEMA_VERSION: Final = 1
SCHEMA: Final = f"""
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS users (
    key TEXT NOT NULL PRIMARY KEY, -- the name in the form in which names are compared
    name TEXT NOT NULL,
    nt_hash BLOB NOT NULL CHECK (length(nt_hash) = 16),
    disabled INTEGER NOT NULL DEFAULT 0 CHECK (disabled IN (0, 1)),
    account TEXT, -- the system account; NULL: the one of the same name
    created INTEGER NOT NULL DEFAULT (CAST(strftime('%s', 'now') AS INTEGER)), -- seconds since 1970
    changed INTEGER NOT NULL DEFAULT (CAST(strftime('%s', 'now') AS INTEGER))
) WITHOUT ROWID;
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {SCHEMA_VERSION};
COMMIT;
"""
CHANGED: Final = "changed = CAST(strftime('%s', 'now') AS INTEGER) WHERE key = ?"
SELECT: Final = "SELECT name, nt_hash, disabled, account FROM users"
Rows = list[tuple[str, bytes, int, str | None]]
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

    def add(self, name: str, password: str, account: str | None = None) -> None:
        """Make a new user, who acts as the system account `account` (None: the one of the same name)."""
        _check_name(name)
        if account is not None and not re.fullmatch(f"[^{UNPRINTABLE}]+", account):
            raise UserError(f"user {name!r}: {account!r} cannot be the name of a system account")
        statement = "INSERT INTO users (key, name, nt_hash, account) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING"
        if not self._write(statement, (_key(name), name, _hash(password), account)):
            raise UserError(f"user {name!r} is in {self.path} already; names that differ only in case are the same")

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
        if user_name_problem(name):  # names come from the network
            return None
        return next(iter(_records(self._execute(f"{SELECT} WHERE key = ?", (_key(name),)))), None)

    def _change(self, name: str, statement: str, *values: bytes) -> None:
        """Run a statement that ends with the key of an existing user."""
        if user_name_problem(name) or not self._write(statement, (*values, _key(name))):
            raise UserError(f"there is no user {name!r} in {self.path}")

    def _write(self, statement: str, values: tuple[str | bytes | int | None, ...]) -> int:
        """Run one statement; the number of rows that it changed."""
        try:
            changed = self._connection.execute(statement, values).rowcount
        except sqlite3.Error as error:
            raise _failure(self.path, error) from error
        # Bring the change into the file itself: a copy of the file is complete, and the old hash is overwritten.
        self._execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return changed

    def _execute(self, statement: str, values: tuple[str, ...] = ()) -> Rows:
        try:
            return self._connection.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise _failure(self.path, error) from error

    def _prepare(self, create: bool) -> None:
        """Set the connection up and make sure that the file is ours and of a version that we know."""
        try:
            if create and not self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                self._connection.execute("PRAGMA journal_mode = WAL")
                self._connection.executescript(SCHEMA)
            self._connection.execute("PRAGMA secure_delete = ON")
            identity = self._connection.execute("PRAGMA application_id").fetchone()[0]
            version = self._connection.execute("PRAGMA user_version").fetchone()[0]
        except sqlite3.OperationalError as error:
            raise _failure(self.path, error) from error
        except sqlite3.DatabaseError as error:
            raise UserError(f"{self.path} is not a user store: {error}") from error
        if identity != APPLICATION_ID:
            raise UserError(f"{self.path} is not a user store of smbport; name another file, or remove this one")
        if version != SCHEMA_VERSION:
            raise UserError(f"{self.path} has format {version}, but this smbport knows {SCHEMA_VERSION}; upgrade it")


class MemoryUsers:
    """Users in memory, for programs that embed the server and for tests: `MemoryUsers({"alice": "password"})`."""

    def __init__(self, passwords: Mapping[str, str]) -> None:
        self._records: dict[str, UserRecord] = {}
        for name, password in passwords.items():
            self.put(UserRecord(name, _hash(password)))

    def put(self, record: UserRecord) -> None:
        """Add a user, or replace the one of that name."""
        _check_name(record.name)
        self._records[_key(record.name)] = record

    def find_user(self, name: str) -> UserRecord | None:
        """The user of that name in whatever case; None if there is none."""
        return self._records.get(_key(name))


def _key(name: str) -> str:
    """The form in which names are compared: without case, and composed (macOS sends either)."""
    return unicodedata.normalize("NFC", name).casefold()


def _records(rows: Rows) -> Records:
    return [UserRecord(name, nt_hash, bool(disabled), account) for name, nt_hash, disabled, account in rows]


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
