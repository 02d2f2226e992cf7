"""What is written down of persistent opens, so that they outlive the process.  [MS-SMB2] 3.3.1.10, 3.3.5.9.12

    something about such an open changes          Unsaved.note
    before the request that did it is answered    commands/persistent.py saves it
    the server starts                             commands/persistent.py opens the files again for their clients

The store itself does I/O and is therefore the server's (server/handle_store.py); here is what it has to keep.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

from smbport.platform import FileKey
from smbport.state.ranges import HeldLock

if TYPE_CHECKING:
    from smbport.state.open import FileOpen
    from smbport.state.server import Event

__all__ = ["Batch", "HandleStore", "LeaseRecord", "LockChange", "PersistentRecord", "Unsaved", "record_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseRecord:
    """A lease, as far as it cannot be told from the open."""

    key: bytes
    state: int
    version: int
    epoch: int
    parent_key: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PersistentRecord:
    """One persistent open."""

    persistent_id: int
    share: str
    path: str
    key: FileKey  # what the path must still stand for
    owner: str
    client_guid: bytes
    create_guid: bytes
    timeout_ns: int
    action: int
    granted_access: int
    share_access: int
    create_options: int
    governed: bool  # opened by its security descriptor, not by the rights of the user's system account
    delete_on_close: bool
    doomed: bool  # its name goes with the last open
    oplock_level: int
    lease: LeaseRecord | None
    lock_sequences: bytes
    posix: bool = False  # opened with the POSIX extensions


class LockChange(NamedTuple):
    """A byte-range lock that came or went."""

    persistent_id: int
    lock: HeldLock
    delta: int  # 1 or -1: the same lock can be held more than once


class Batch(NamedTuple):
    """What is saved in one go."""

    records: list[PersistentRecord]  # each in place of what was known under its id
    gone: list[int]  # closed
    locks: list[LockChange]


class HandleStore(Protocol):
    """Where records are kept.  Its calls may take long and follow the rule of platform calls for `wait`."""

    def save(self, batch: Batch, *, wait: bool = False) -> None:
        """All of it, or nothing and OSError.  It is on stable storage when this returns."""

    def load(self, *, wait: bool = False) -> list[tuple[PersistentRecord, list[HeldLock]]]:
        """Everything that is kept, in the order of the ids."""

    def close(self) -> None:
        """No more calls follow."""


class Unsaved:
    """What has changed and is not saved yet."""

    __slots__ = ("_gone", "_locks", "_opens", "_taken", "count", "saving")

    def __init__(self) -> None:
        self.count = 0  # of changes, ever: who finds another number than before has something to save
        self.saving: Event | None = None  # set when the save that runs is over
        self._opens: dict[int, FileOpen] = {}
        self._gone: list[int] = []  # what was restored in vain
        self._locks: list[LockChange] = []
        self._taken: tuple[dict[int, FileOpen], list[int], list[LockChange]] = ({}, [], [])

    def __len__(self) -> int:
        return len(self._opens) + len(self._gone) + len(self._locks)

    def note(self, opened: "FileOpen") -> None:
        """Something about an open has changed; only persistent ones count."""
        if opened.is_persistent:
            self.count += 1
            self._opens[opened.persistent_id] = opened

    def note_lock(self, opened: "FileOpen", lock: HeldLock, delta: int) -> None:
        """A lock came or went, and with it a lock sequence."""
        if opened.is_persistent:
            self.note(opened)
            self._locks.append(LockChange(opened.persistent_id, lock, delta))

    def forget(self, persistent_id: int) -> None:
        """A record that nothing came of."""
        self.count += 1
        self._gone.append(persistent_id)

    def take(self) -> Batch:
        """Everything, to be saved now.  Followed by `settle`."""
        self._taken = self._opens, self._gone, self._locks
        opens, gone, locks = self._taken
        self._opens, self._gone, self._locks = {}, [], []
        records = [record_of(opened) for opened in opens.values() if not opened.closed]
        closed = [persistent_id for persistent_id, opened in opens.items() if opened.closed]
        return Batch(records, closed + gone, locks)

    def settle(self, *, saved: bool) -> None:
        """What was taken is saved; or it is not, and is to be tried again."""
        opens, gone, locks = self._taken
        self._taken = ({}, [], [])
        if not saved:
            self._opens = opens | self._opens
            self._gone = gone + self._gone
            self._locks = locks + self._locks


def record_of(opened: "FileOpen") -> PersistentRecord:
    """An open as it is now."""
    durability, lease = opened.durability, opened.lease
    assert durability is not None
    assert durability.create_guid is not None
    lease_record = None
    if lease is not None:
        lease_record = LeaseRecord(
            key=lease.key, state=lease.state, version=lease.version, epoch=lease.epoch, parent_key=lease.parent_key
        )
    return PersistentRecord(
        persistent_id=opened.persistent_id,
        share=opened.tree.share.name,
        path=opened.path,
        key=opened.shared.key,
        owner=durability.owner,
        client_guid=durability.client_guid,
        create_guid=durability.create_guid,
        timeout_ns=durability.timeout_ns,
        action=durability.action,
        granted_access=opened.granted_access,
        share_access=opened.share_access,
        create_options=opened.create_options,
        governed=opened.governed,
        delete_on_close=opened.delete_on_close,
        doomed=opened.shared.doomed_by is opened,
        oplock_level=opened.oplock.level if opened.oplock is not None else 0,
        lease=lease_record,
        lock_sequences=bytes(opened.lock_sequences.numbers) if opened.lock_sequences is not None else b"",
        posix=opened.posix,
    )
