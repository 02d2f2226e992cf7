"""smbport.users: the store on disk, and users in memory."""

import os
import re
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from smbport.security.auth import UserRecord, nt_hash
from smbport.users import MAX_FOUND, MemoryUsers, UserError, UserStore, default_store_path, user_name_problem

PASSWORD = "Correct Horse"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "new" / "users.db"


@pytest.fixture
def store(path):
    with UserStore.open(path, create=True) as opened:
        yield opened


def modes(path):
    return {entry.name: stat.S_IMODE(entry.stat().st_mode) for entry in path.parent.iterdir()}


def test_a_user_is_found_in_any_case(store):
    store.add("Zoë", PASSWORD, account="zoe")
    expected = UserRecord("Zoë", nt_hash(PASSWORD), account="zoe", rid=1000)
    assert store.find_user("Zoë") == store.find_user("ZOË") == store.find_user("zoe\u0308") == expected
    assert store.find_user("zoe") is None


def test_passwords_change_and_users_go(store):
    store.add("alice", PASSWORD)
    store.set_password("ALICE", "other")
    assert store.find_user("alice") == UserRecord("alice", nt_hash("other"), rid=1000)
    store.remove("Alice")
    assert store.find_user("alice") is None


def test_a_disabled_user_can_be_enabled_again(store):
    store.add("alice", PASSWORD)
    store.disable("alice")
    assert store.find_user("alice").disabled is True
    store.enable("alice")
    assert store.find_user("alice").disabled is False


def test_list_is_in_order_of_names(store):
    for name in ("bob", "Carol", "alice"):
        store.add(name, PASSWORD)
    assert [record.name for record in store.list()] == ["alice", "bob", "Carol"]


def test_the_same_name_in_another_case_is_refused(store):
    store.add("alice", PASSWORD)
    with pytest.raises(UserError, match=r"'ALICE' is in .*users\.db already"):
        store.add("ALICE", PASSWORD)


@pytest.mark.parametrize("operation", [UserStore.remove, UserStore.disable, UserStore.enable])
@pytest.mark.parametrize("name", ["nobody", "", "\ud800"])
def test_an_unknown_user_is_named(store, operation, name):
    with pytest.raises(UserError, match=rf"^there is no user {re.escape(repr(name))} in "):
        operation(store, name)
    with pytest.raises(UserError, match=r"^there is no user"):
        store.set_password(name, PASSWORD)


@pytest.mark.parametrize(
    "name", ["", "a" * 65, "a@b", "DOM\\a", "a/b", "a\nb", "\ud800", " a", "a ", "a.", *'"[]:;|=,+*?<>']
)
def test_bad_names_are_refused_and_never_found(store, name):
    assert user_name_problem(name)
    with pytest.raises(UserError) as caught:
        store.add(name, PASSWORD)
    assert repr(name) in str(caught.value)
    assert store.find_user(name) is None
    assert MemoryUsers({}).find_user(name) is None


@pytest.mark.parametrize("name", ["a", "a" * 64, "host$", "first.last", "two words", "Łukasz", "山田"])
def test_good_names(store, name):
    store.add(name, PASSWORD)
    assert store.find_user(name).name == name


@pytest.mark.parametrize("account", ["", "a\n", "a\0", "\ud800"])
def test_bad_names_of_system_accounts(store, account):
    with pytest.raises(UserError, match=r"^user 'alice': .* cannot be the name of a system account"):
        store.add("alice", PASSWORD, account=account)


@pytest.mark.parametrize("password", ["", "secret\n", "secret\0", "secret\ud800", "secret" * 22, "𝄞secret" * 16])
def test_bad_passwords_are_refused_without_being_shown(store, password):
    with pytest.raises(UserError, match="password must") as caught:
        store.add("alice", password)
    assert "secret" not in str(caught.value)
    assert store.list() == []


def test_the_longest_password(store):
    store.add("alice", "x" * 127)
    assert store.find_user("alice").nt_hash == nt_hash("x" * 127)


def test_times_are_kept(store, path):
    store.add("alice", PASSWORD)
    with closing(sqlite3.connect(path)) as other:
        other.execute("UPDATE users SET created = 1, changed = 1")
        other.commit()
        store.set_password("alice", "other")
        created, changed = other.execute("SELECT created, changed FROM users").fetchone()
    assert created == 1
    assert changed > 1_700_000_000


def test_nothing_on_disk_has_the_password_or_an_old_hash(store, path):
    store.add("alice", PASSWORD)
    store.set_password("alice", "other")
    content = b"".join(file.read_bytes() for file in path.parent.iterdir())
    assert nt_hash("other") in content
    for secret in (PASSWORD.encode(), PASSWORD.encode("utf-16-le"), b"other", nt_hash(PASSWORD)):
        assert secret not in content


@pytest.mark.parametrize("umask", [0o000, 0o777])
def test_every_file_is_private_whatever_the_umask(path, umask):
    before = os.umask(umask)
    try:
        path.parent.mkdir(mode=0o700)
        path.parent.chmod(0o700)
        with UserStore.open(path, create=True) as store:
            store.add("alice", PASSWORD)
            found = modes(path)
    finally:
        os.umask(before)
    assert set(found) == {"users.db", "users.db-wal", "users.db-shm"}
    assert set(found.values()) == {0o600}


def test_a_new_directory_is_private(store, path):
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize(("suffix", "mode"), [("", 0o640), ("", 0o604), ("-wal", 0o660), ("-journal", 0o644)])
def test_a_store_that_others_can_read_is_refused(path, suffix, mode):
    UserStore.open(path, create=True).close()
    readable = Path(f"{path}{suffix}")
    readable.touch()
    readable.chmod(mode)
    with pytest.raises(UserError) as caught:
        UserStore.open(path, create=True)
    assert f"{readable} has mode {mode:04o}" in str(caught.value)
    assert str(caught.value).endswith(f"chmod 600 {readable}")


def test_a_missing_store_is_made_on_request_only(path):
    with pytest.raises(UserError, match=r"no user store .*users\.db; `smbport user add NAME` makes one"):
        UserStore.open(path)
    assert not path.exists()


def test_names_of_files_are_taken_literally(tmp_path):
    path = tmp_path / "a?b#c%41 \udcff.db"
    with UserStore.open(path, create=True) as store:
        store.add("alice", PASSWORD)
    assert path.exists()
    with UserStore.open(str(path)) as store:
        assert len(store.list()) == 1


def test_a_store_without_a_directory_part(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    UserStore.open("users.db", create=True).close()
    assert (tmp_path / "users.db").exists()


def test_opening_twice_for_creation_keeps_the_users(store, path):
    store.add("alice", PASSWORD)
    with UserStore.open(path, create=True) as second:
        assert second.list() == store.list()


def test_a_file_left_empty_by_a_crash_is_made_good(path):
    path.parent.mkdir()
    path.touch(mode=0o600)
    with pytest.raises(UserError, match="is not a user store of smbport"):
        UserStore.open(path)
    with UserStore.open(path, create=True) as store:
        store.add("alice", PASSWORD)


@pytest.mark.parametrize("create", [False, True])
def test_other_files_are_left_alone(path, create):
    path.parent.mkdir()
    path.write_bytes(b"not a database, but somebody's letter" * 100)
    path.chmod(0o600)
    with pytest.raises(UserError, match="is not a user store: "):
        UserStore.open(path, create=create)
    path.unlink()
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE letters (text)")
    path.chmod(0o600)
    with pytest.raises(UserError, match="is not a user store of smbport"):
        UserStore.open(path, create=create)


def test_a_newer_format_is_refused(store, path):
    with closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA user_version = 3")
    with pytest.raises(UserError, match="has format 3, but this smbport knows 2"):
        UserStore.open(path)


def test_a_directory_is_an_os_error(tmp_path):
    tmp_path.chmod(0o700)
    with pytest.raises(OSError, match="unable to open database file") as caught:
        UserStore.open(tmp_path)
    assert caught.value.filename == str(tmp_path)


def test_a_journal_that_cannot_be_opened_is_an_os_error(path):
    UserStore.open(path, create=True).close()
    Path(f"{path}-wal").mkdir(mode=0o700)
    with pytest.raises(OSError, match="user store: unable to open database file"):
        UserStore.open(path)


@pytest.mark.parametrize(
    "operation", [lambda s: s.find_user("alice"), lambda s: s.add("alice", PASSWORD)], ids=["find", "add"]
)
def test_a_broken_table_is_an_os_error(store, path, operation):
    with closing(sqlite3.connect(path)) as other:
        other.execute("DROP TABLE users")
    with pytest.raises(OSError, match="user store: no such table"):
        operation(store)


def test_two_writers_wait_for_each_other_but_not_for_ever(store, path):
    store._connection.execute("PRAGMA busy_timeout = 0")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(OSError, match="database is locked"):
            store.add("alice", PASSWORD)


def test_a_writer_at_work_does_not_hold_up_the_server(store, path):
    store.add("alice", PASSWORD)
    store._connection.execute("PRAGMA busy_timeout = 0")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        other.execute("DELETE FROM users")
        assert store.find_user("alice")
        other.execute("COMMIT")
    assert store.find_user("alice") is None


def test_a_change_by_another_process_is_seen(store, path):
    store.add("alice", PASSWORD)
    assert store.find_user("alice").nt_hash == nt_hash(PASSWORD)
    script = (
        f"from smbport.users import UserStore\nwith UserStore.open({str(path)!r}) as s: s.set_password('alice', 'new')"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
    assert store.find_user("alice").nt_hash == nt_hash("new")


@pytest.mark.parametrize("journal", ["WAL", "DELETE"])
def test_a_user_is_read_once_until_somebody_changes_the_file(store, path, journal):
    store._connection.execute(f"PRAGMA journal_mode = {journal}")
    store.add("alice", "old")
    statements = []
    store._connection.set_trace_callback(statements.append)

    def reads():
        found = store.find_user("Alice"), store.find_user("Alice")
        assert found[0] == found[1]
        selected = sum(statement.startswith("SELECT") for statement in statements)
        statements.clear()
        return selected, found[0] and (found[0].nt_hash, found[0].disabled)

    assert reads() == (1, (nt_hash("old"), False))
    assert reads() == (0, (nt_hash("old"), False))
    with UserStore.open(path) as other:
        other.set_password("alice", "new")
        assert reads() == (1, (nt_hash("new"), False))
        other.disable("alice")
        assert reads() == (1, (nt_hash("new"), True))
        store.enable("alice")
        assert reads() == (1, (nt_hash("new"), False))
        other.remove("alice")
        assert reads() == (2, None)


def test_not_more_users_are_kept_than_needed(store):
    store.add("a" * 11, "secret")
    for number in range(1 << 11):
        store.find_user("".join("Aa"[number >> bit & 1] for bit in range(11)))
    assert len(store._found) <= MAX_FOUND + 1


def test_looking_up_needs_the_index_only(store):
    plan = store._connection.execute("EXPLAIN QUERY PLAN SELECT name FROM users WHERE key = 'alice'").fetchall()
    assert len(plan) == 1
    assert "SEARCH users USING PRIMARY KEY" in plan[0][3]


def test_default_store_path(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert default_store_path() == Path("/var/lib/smbport/users.db")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("HOME", "/home/alice")
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    assert default_store_path() == Path("/data/smbport/users.db")
    monkeypatch.setenv("XDG_DATA_HOME", "relative/is/ignored")
    assert default_store_path() == Path("/home/alice/.local/share/smbport/users.db")


def test_users_in_memory():
    users = MemoryUsers({"Alice": PASSWORD})
    assert users.find_user("aLICE") == UserRecord("Alice", nt_hash(PASSWORD), rid=1000)
    assert users.find_user("bob") is None
    users.put(UserRecord("alice", nt_hash("x"), disabled=True, account="www"))
    assert users.find_user("Alice") == UserRecord("alice", nt_hash("x"), disabled=True, account="www", rid=1000)
    with pytest.raises(UserError, match="'a:b': a user name must not contain ':'"):
        MemoryUsers({"a:b": PASSWORD})


# SIDs -----------------------------------------------------------------------------------------------------------


def test_every_user_has_a_rid_that_nobody_else_ever_has(store):
    store.add("alice", PASSWORD)
    store.add("bob", PASSWORD)
    store.remove("bob")
    store.add("carol", PASSWORD)
    store.set_password("alice", "other")
    assert {user.name: user.rid for user in store.list()} == {"alice": 1000, "carol": 1002}


def test_users_from_another_server(store):
    store.add("alice", PASSWORD, sid="S-1-5-21-1-2-3-3005")
    assert store.machine_id == (1, 2, 3)
    store.add("bob", PASSWORD)
    store.add("carol", PASSWORD, sid="S-1-5-21-1-2-3-1000")
    store.add("dave", PASSWORD)
    rids = {user.name: user.rid for user in store.list()}
    assert rids == {"alice": 3005, "bob": 3006, "carol": 1000, "dave": 3007}
    with pytest.raises(UserError, match=r"another user in .* has RID 3005"):
        store.add("eve", PASSWORD, sid="S-1-5-21-1-2-3-3005")
    with pytest.raises(UserError, match=r"the SIDs of other users in .* begin with S-1-5-21-1-2-3"):
        store.add("eve", PASSWORD, sid="S-1-5-21-1-2-4-1000")


@pytest.mark.parametrize(
    "sid", ["", "alice", "S-1-1-0", "S-1-5-21-1-2-3", "S-1-5-21-1-2-3-999", "S-1-5-22-1-2-3-1000", "S-1-22-1-1000"]
)
def test_sids_of_no_user(store, sid):
    with pytest.raises(UserError, match="is no SID of a user"):
        store.add("alice", PASSWORD, sid=sid)
    assert store.list() == []


def test_the_machine_keeps_its_id(store, path):
    machine_id = store.machine_id
    assert all(0 <= number < 1 << 32 for number in machine_id)
    with UserStore.open(path) as again:
        assert again.machine_id == machine_id


FIRST_VERSION = """
CREATE TABLE users (
    key TEXT NOT NULL PRIMARY KEY, name TEXT NOT NULL, nt_hash BLOB NOT NULL CHECK (length(nt_hash) = 16),
    disabled INTEGER NOT NULL DEFAULT 0 CHECK (disabled IN (0, 1)), account TEXT,
    created INTEGER NOT NULL DEFAULT (CAST(strftime('%s', 'now') AS INTEGER)),
    changed INTEGER NOT NULL DEFAULT (CAST(strftime('%s', 'now') AS INTEGER))
) WITHOUT ROWID;
INSERT INTO users (key, name, nt_hash, created) VALUES
    ('young', 'Young', randomblob(16), 3), ('b', 'b', randomblob(16), 1), ('a', 'a', randomblob(16), 1);
PRAGMA application_id = 1397572213;
PRAGMA user_version = 1;
"""


@pytest.fixture
def old_path(tmp_path):
    path = tmp_path / "old.db"
    path.touch(0o600)
    with closing(sqlite3.connect(path)) as old:
        old.execute("PRAGMA journal_mode = WAL")
        old.executescript(FIRST_VERSION)
    return path


def test_a_store_of_the_first_version_is_brought_up_to_date(old_path):
    with UserStore.open(old_path) as store:
        assert {user.name: user.rid for user in store.list()} == {"a": 1000, "b": 1001, "Young": 1002}
        store.add("new", PASSWORD)
        found = store.find_user("new")
        assert found is not None
        assert found.rid == 1003
        machine_id = store.machine_id
    with UserStore.open(old_path) as again:
        assert again.machine_id == machine_id


def test_an_upgrade_that_fails_changes_nothing(old_path):
    with closing(sqlite3.connect(old_path)) as old:
        old.execute("CREATE TABLE machine (something_else)")
    with pytest.raises(OSError, match="user store: table machine already exists"):
        UserStore.open(old_path)
    with closing(sqlite3.connect(old_path)) as old:
        assert old.execute("PRAGMA user_version").fetchone() == (1,)
        assert "rid" not in [column[1] for column in old.execute("PRAGMA table_info(users)")]


def test_two_processes_upgrade_at_once(old_path, monkeypatch):
    upgrade = UserStore._upgrade

    def after_another(self, version):
        monkeypatch.undo()
        UserStore.open(old_path).close()
        upgrade(self, version)

    monkeypatch.setattr(UserStore, "_upgrade", after_another)
    with UserStore.open(old_path) as store:
        assert len({user.rid for user in store.list()}) == 3


def test_rids_in_memory():
    users = MemoryUsers({"alice": PASSWORD, "bob": PASSWORD})
    users.put(UserRecord("carol", nt_hash(PASSWORD), rid=2000))
    users.put(UserRecord("dave", nt_hash(PASSWORD)))
    users.put(UserRecord("ALICE", nt_hash("x")))
    assert [(user.name, user.rid) for user in users.list()] == [
        ("ALICE", 1000), ("bob", 1001), ("carol", 2000), ("dave", 2001),
    ]  # fmt: skip
    assert users.machine_id == MemoryUsers({}).machine_id
