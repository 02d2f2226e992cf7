"""smbport.server.handle_store: what is saved is there again, whoever was killed."""

import sqlite3
import subprocess
import sys
from dataclasses import replace

import pytest

from smbport.platform import FileKey
from smbport.server.handle_store import SqliteHandleStore
from smbport.state.persistent import Batch, LeaseRecord, LockChange, PersistentRecord
from smbport.state.ranges import HeldLock

LEASE = LeaseRecord(key=bytes([1]) * 16, state=7, version=2, epoch=3, parent_key=None)
RECORD = PersistentRecord(
    persistent_id=1,
    share="data",
    path="ä/b",
    key=FileKey(2**64 - 1, 2**63),
    owner="ann",
    client_guid=bytes([2]) * 16,
    create_guid=bytes([3]) * 16,
    timeout_ns=60 * 10**9,
    action=2,
    granted_access=0x1F01FF,
    share_access=7,
    create_options=0x42,
    governed=False,
    delete_on_close=True,
    doomed=False,
    oplock_level=0,
    lease=LEASE,
    lock_sequences=bytes(64),
)
LAST = (1 << 64) - 1


def batch(*records, gone=(), locks=()):
    return Batch([*records], [*gone], [*locks])


@pytest.fixture
def path(tmp_path):
    return tmp_path / "handles.db"


@pytest.fixture
def store(path):
    store = SqliteHandleStore(path)
    yield store
    store.close()


def save(store, *records, **rest):
    store.save(batch(*records, **rest), wait=True)


@pytest.mark.parametrize(
    "record",
    [
        RECORD,
        replace(RECORD, lease=None, lock_sequences=b"", oplock_level=9),
        replace(RECORD, lease=replace(LEASE, parent_key=bytes(16))),
        replace(RECORD, persistent_id=2**64 - 2, governed=True, doomed=True, posix=True),
    ],
)
def test_a_record_comes_back_as_it_was(path, record):
    store = SqliteHandleStore(path)
    save(store, record)
    store.close()
    store = SqliteHandleStore(path)
    assert store.load(wait=True) == [(record, [])]
    store.close()


def test_it_is_private(store, path):
    save(store, RECORD)
    assert {found.stat().st_mode & 0o777 for found in path.parent.glob("handles*")} == {0o600}


def test_it_may_not_block_the_event_loop(store):
    with pytest.raises(BlockingIOError):
        store.save(batch())
    with pytest.raises(BlockingIOError):
        store.load()


def test_a_record_replaces_the_one_before(store):
    save(store, RECORD)
    save(store, replace(RECORD, path="new"), replace(RECORD, persistent_id=2))
    assert [record.path for record, _ in store.load(wait=True)] == ["new", RECORD.path]
    save(store, gone=[1, 77])
    assert [record.persistent_id for record, _ in store.load(wait=True)] == [2]


def test_locks(store):
    whole, shared = HeldLock(0, LAST, True), HeldLock(LAST, 0, False)
    changes = [LockChange(1, whole, 1), LockChange(1, shared, 1), LockChange(1, shared, 1), LockChange(2, whole, 1)]
    save(store, RECORD, replace(RECORD, persistent_id=2), locks=changes)
    assert [sorted(locks) for _, locks in store.load(wait=True)] == [[whole, shared, shared], [whole]]
    save(store, locks=[LockChange(1, whole, -1), LockChange(1, shared, -1)])
    assert [locks for _, locks in store.load(wait=True)] == [[shared], [whole]]
    save(store, gone=[1])
    save(store, RECORD)
    assert [locks for _, locks in store.load(wait=True)] == [[], [whole]]


def test_all_or_nothing(store):
    save(store, RECORD)
    with pytest.raises(OSError, match="handle store"):
        save(store, replace(RECORD, path="new"), locks=[LockChange(1, HeldLock(0, 1, True), None)])
    assert store.load(wait=True) == [(RECORD, [])]
    save(store, replace(RECORD, path="newer"))
    assert store.load(wait=True)[0][0].path == "newer"


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from test_handle_store import RECORD, batch
from smbport.server.handle_store import SqliteHandleStore
store = SqliteHandleStore(Path({path!r}))
store.save(batch(RECORD), wait=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_who_is_killed_has_saved(path, request):
    script = KILLED.format(tests=str(request.path.parent), path=str(path))
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == -9
    store = SqliteHandleStore(path)
    assert store.load(wait=True) == [(RECORD, [])]
    store.close()


# What cannot be used ------------------------------------------------------------------------------------------------


def test_two_servers_do_not_share_one(store, path):
    with pytest.raises(OSError, match=r"handle store .* cannot be used: database is locked"):
        SqliteHandleStore(path)


def test_a_place_that_is_not_there(tmp_path):
    with pytest.raises(OSError, match=r"handle store .* cannot be used"):
        SqliteHandleStore(tmp_path / "missing" / "handles.db")


def test_something_else(path):
    path.write_bytes(b"this is no database" * 100)
    with pytest.raises(OSError, match=r"handle store .* cannot be used"):
        SqliteHandleStore(path)


def test_another_format(path):
    database = sqlite3.connect(path)
    database.execute("PRAGMA user_version = 2")
    database.close()
    with pytest.raises(OSError, match=r"it has format 2, not 1; remove it to begin anew"):
        SqliteHandleStore(path)


@pytest.mark.parametrize("text", ["{}", "[", '{"key": 1}'])
def test_a_record_that_is_none(path, text):
    SqliteHandleStore(path).close()
    database = sqlite3.connect(path)
    database.execute("INSERT INTO handle VALUES ('0000000000000001', ?)", (text,))
    database.commit()
    database.close()
    store = SqliteHandleStore(path)
    with pytest.raises(OSError, match=r"cannot be read: .*; remove it to begin anew"):
        store.load(wait=True)
    store.close()
