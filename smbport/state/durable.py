"""Opens that outlive their connection, and the replay of what made them.  [MS-SMB2] 3.3.1.10, 3.3.5.9.6-12, 3.3.7.1

    promise      asked by                 granted to                           kept without a connection for
    DURABLE      DHnQ                     a batch oplock or a lease with H     16 minutes
    DURABLE_V2   DH2Q                     the same                             as asked, at most 5 minutes; 0 means 1
    RESILIENT    LMR_REQUEST_RESILIENCY   every file                           as asked, at most 5 minutes; 0 means 2
    PERSISTENT   DH2Q and its flag        everything on a share that is        like DURABLE_V2, and through the
                                          continuously available               death of the server
    NONE         DH2Q, not granted                                             not at all; its CREATE can be replayed

    state          event                          DURABLE, DURABLE_V2   RESILIENT           PERSISTENT
    connected      CLOSE, TREE_DISCONNECT         closed                closed              closed
    connected      connection lost, LOGOFF        disconnected, if it   disconnected        disconnected
                                                  still has what it
                                                  was granted to, and
                                                  W if it has locks;
                                                  else closed
    disconnected   DHnC, DH2C, DH2Q replayed      connected             connected           connected
    disconnected   its caching must be broken     closed                loses it            the other one waits or is
                                                                                            refused
    disconnected   deadline, app instance moved   closed                closed              closed

A disconnected open keeps locks, share modes, delete-on-close, oplock and lease.  It keeps its persistent id for
ever; connected again, it gets a new volatile one.
"""

from collections import Counter
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final, NamedTuple

from smbport.state.oplocks import HANDLE, WRITE, is_stat_open
from smbport.wire.status import Status, StatusError

if TYPE_CHECKING:
    from smbport.state.open import FileOpen
    from smbport.state.sharing import SharedFile
    from smbport.state.tree import Share

__all__ = [
    "V1_TIMEOUT_NS", "Durability", "DurableOpens", "Promise", "Reconnect", "durable_v2_timeout_ns",
    "resilient_timeout_ns",
]  # fmt: skip

SECOND_NS: Final = 1_000_000_000
MILLISECOND_NS: Final = 1_000_000
V1_TIMEOUT_NS: Final = 960 * SECOND_NS  # Windows; a client cannot ask for another
V2_TIMEOUT_NS: Final = 60 * SECOND_NS  # for who asks for 0  [MS-SMB2] 3.3.5.9.10, Windows
RESILIENT_TIMEOUT_NS: Final = 120 * SECOND_NS  # for who asks for 0  [MS-SMB2] 3.3.5.15.9, Windows
LONGEST_TIMEOUT_NS: Final = 300 * SECOND_NS  # of what can be asked for; Windows


class Promise(Enum):
    """What an open was promised; the table above."""

    NONE = "none"
    DURABLE = "durable"
    DURABLE_V2 = "durable v2"
    RESILIENT = "resilient"
    PERSISTENT = "persistent"


@dataclass(slots=True, kw_only=True)
class Durability:
    """What an open was promised, and to whom."""

    promise: Promise
    owner: str  # DurableOwner: nobody else can have it
    client_guid: bytes
    create_guid: bytes | None = None  # None: it was not asked for by DH2Q
    lease_key: bytes | None = None  # None: no lease
    timeout_ns: int = 0
    deadline_ns: int | None = None  # when it ends; None while it is connected
    action: int = 0  # CreateAction, for a replay

    @property
    def is_disconnected(self) -> bool:
        """Whether it waits for its client."""
        return self.deadline_ns is not None

    @property
    def is_promised(self) -> bool:
        """Whether it was promised anything at all."""
        return self.promise != Promise.NONE

    @property
    def is_durable(self) -> bool:
        """Promised by DHnQ or DH2Q, and good only as long as the caching it was promised for."""
        return self.promise in (Promise.DURABLE, Promise.DURABLE_V2)


class Reconnect(NamedTuple):
    """What a client says of the open that it wants back."""

    persistent_id: int
    create_guid: bytes | None  # None: DHnC, which also takes back what DH2Q made
    persistent: bool  # the flag of DH2C
    owner: str
    client_guid: bytes
    lease_key: bytes | None
    share: "Share"
    path: str


def durable_v2_timeout_ns(asked_ms: int) -> int:
    """The time-out that DH2Q is answered with.  [MS-SMB2] 3.3.5.9.10"""
    return min(asked_ms * MILLISECOND_NS, LONGEST_TIMEOUT_NS) if asked_ms else V2_TIMEOUT_NS


def resilient_timeout_ns(asked_ms: int) -> int:
    """The time-out of a resilient open.  INVALID_PARAMETER if it is too long.  [MS-SMB2] 3.3.5.15.9"""
    if asked_ms * MILLISECOND_NS > LONGEST_TIMEOUT_NS:
        raise StatusError(Status.INVALID_PARAMETER, f"resilient for {asked_ms} ms")
    return asked_ms * MILLISECOND_NS if asked_ms else RESILIENT_TIMEOUT_NS


class DurableOpens:
    """Every open with a `Durability`: those that are disconnected, and those whose CREATE may be replayed."""

    __slots__ = ("_by_file", "_by_guid", "_disconnected", "_earliest_ns", "_per_owner", "limit", "limit_per_owner")

    def __init__(self, limit: int, limit_per_owner: int) -> None:
        self.limit = limit  # of disconnected opens
        self.limit_per_owner = limit_per_owner
        self._disconnected: dict[int, FileOpen] = {}  # by persistent id
        self._by_file: dict[SharedFile, dict[FileOpen, None]] = {}
        self._per_owner: Counter[str] = Counter()
        self._earliest_ns = 0  # no deadline is before it
        self._by_guid: dict[tuple[bytes, bytes], FileOpen | None] = {}  # (client, create); None: CREATE still runs

    def __len__(self) -> int:
        """How many are disconnected."""
        return len(self._disconnected)

    def disconnected(self) -> "list[FileOpen]":
        """All of them, for the status and for the end of the server."""
        return list(self._disconnected.values())

    def knows(self, persistent_id: int) -> bool:
        """Whether this id is a disconnected open's."""
        return persistent_id in self._disconnected

    def of_file(self, shared: "SharedFile") -> "tuple[FileOpen, ...]":
        """Those of one file."""
        return tuple(self._by_file.get(shared, ()))

    def check_available(self, shared: "SharedFile", granted_access: int) -> None:
        """Raises FILE_NOT_AVAILABLE if a persistent open whose client is away must not be disturbed by another one.

        What its lease keeps from happening can wait until the client is back: handles with H, locks with W.  Anything
        else would come to pass behind its back.  Windows
        """
        if is_stat_open(granted_access):
            return
        for other in self._by_file.get(shared, ()):
            kept = HANDLE | WRITE if shared.locks.count(other) else HANDLE
            if other.is_persistent and (other.lease is None or kept & ~other.caching):
                raise StatusError(Status.FILE_NOT_AVAILABLE, f"{other.path} waits for {other.session_name}")

    # Replay of CREATE ---------------------------------------------------------------------------------------

    def find_created(self, client_guid: bytes, create_guid: bytes) -> "FileOpen | None":
        """What an earlier CREATE with this guid made, if its client did not use it yet.

        Raises FILE_NOT_AVAILABLE while that CREATE still runs: the client asks again later.
        """
        key = (client_guid, create_guid)
        opened = self._by_guid.get(key)
        if opened is None and key in self._by_guid:
            raise StatusError(Status.FILE_NOT_AVAILABLE, "the CREATE with this guid still runs")
        return opened

    def reserve(self, client_guid: bytes, create_guid: bytes) -> None:
        """A CREATE with this guid begins; `find_created` has found none.  Followed by `add` or `abandon`."""
        self._by_guid[client_guid, create_guid] = None

    def abandon(self, client_guid: bytes, create_guid: bytes) -> None:
        """It failed.  Harmless after `add`."""
        key = (client_guid, create_guid)
        if key in self._by_guid and self._by_guid[key] is None:
            del self._by_guid[key]

    def add(self, opened: "FileOpen") -> None:
        """An open got its durability; until it is used, its CREATE may be replayed."""
        durability = opened.durability
        if durability is not None and durability.create_guid is not None:
            self._by_guid[durability.client_guid, durability.create_guid] = opened
            opened.replayable = True

    def note_use(self, opened: "FileOpen") -> None:
        """Its client knows its id, so it has seen the answer to its CREATE and will not replay it."""
        opened.replayable = False
        durability = opened.durability
        if durability is not None and durability.create_guid is not None:
            key = (durability.client_guid, durability.create_guid)
            if self._by_guid.get(key) is opened:
                del self._by_guid[key]

    # Losing and finding again -------------------------------------------------------------------------------

    def try_disconnect(self, opened: "FileOpen", now_ns: int, *, keeps: bool) -> bool:
        """Keep an open whose connection is gone; False if it must be closed instead.

        `keeps`: it still has what DURABLE and DURABLE_V2 are granted to.
        """
        durability = opened.durability
        if durability is None or not durability.is_promised or (durability.is_durable and not keeps):
            return False
        if len(self) >= self.limit or self._per_owner[durability.owner] >= self.limit_per_owner:
            return False
        self._keep(opened, now_ns)
        return True

    def _keep(self, opened: "FileOpen", now_ns: int) -> None:
        durability = opened.durability
        assert durability is not None
        durability.deadline_ns = now_ns + durability.timeout_ns
        self._earliest_ns = min(self._earliest_ns, durability.deadline_ns) if self else durability.deadline_ns
        self._disconnected[opened.persistent_id] = opened
        self._by_file.setdefault(opened.shared, {})[opened] = None
        self._per_owner[durability.owner] += 1

    def restore(self, opened: "FileOpen", now_ns: int) -> None:
        """It was open in the life of another process, and is disconnected in this one."""
        self._keep(opened, now_ns)
        self.add(opened)

    def find(self, wanted: Reconnect) -> "FileOpen":
        """The disconnected open that a client may have back; nothing is changed.  [MS-SMB2] 3.3.5.9.7, 3.3.5.9.12"""
        opened = self._disconnected.get(wanted.persistent_id)
        durability = opened.durability if opened is not None else None
        if opened is None or durability is None or opened.tree.share is not wanted.share:
            raise _unknown("no such open is disconnected")
        if wanted.create_guid is not None and wanted.create_guid != (durability.create_guid or bytes(16)):
            raise _unknown("made with another create guid")
        if wanted.lease_key != durability.lease_key:
            raise _unknown("another lease key, or a lease on one side only")
        if durability.lease_key is not None and wanted.client_guid != durability.client_guid:
            raise _unknown("the lease is another client's")
        if wanted.owner != durability.owner:
            raise StatusError(Status.ACCESS_DENIED, "opened by another user")
        persistent = durability.promise == Promise.PERSISTENT
        if wanted.persistent and not persistent:
            raise StatusError(Status.INVALID_PARAMETER, "it is not persistent")
        if persistent and not wanted.persistent:
            raise _unknown("it is persistent")
        if durability.lease_key is not None and not opened.tree.share.is_same_path(opened.path, wanted.path):
            raise StatusError(Status.INVALID_PARAMETER, f"it is called {opened.path!r}")
        return opened

    def reconnect(self, opened: "FileOpen") -> None:
        """It has a connection again."""
        durability = opened.durability
        assert durability is not None
        del self._disconnected[opened.persistent_id]
        self._leave(opened, durability)
        durability.deadline_ns = None

    def forget(self, opened: "FileOpen") -> None:
        """It is closed, connected or not."""
        self.note_use(opened)
        durability = opened.durability
        if durability is not None and self._disconnected.pop(opened.persistent_id, None) is not None:
            self._leave(opened, durability)

    def expired(self, now_ns: int) -> "list[FileOpen]":
        """Those whose time is over, for the caller to close."""
        if not self._disconnected or now_ns < self._earliest_ns:
            return []
        over: list[FileOpen] = []
        rest: list[int] = []
        for opened in self._disconnected.values():
            deadline_ns = _deadline_ns(opened)
            if deadline_ns <= now_ns:
                over.append(opened)
            else:
                rest.append(deadline_ns)
        self._earliest_ns = min(rest, default=0)
        return over

    def _leave(self, opened: "FileOpen", durability: Durability) -> None:
        del self._by_file[opened.shared][opened]
        if not self._by_file[opened.shared]:
            del self._by_file[opened.shared]
        self._per_owner[durability.owner] -= 1
        if not self._per_owner[durability.owner]:
            del self._per_owner[durability.owner]


def _unknown(why: str) -> StatusError:
    return StatusError(Status.OBJECT_NAME_NOT_FOUND, why)


def _deadline_ns(opened: "FileOpen") -> int:
    durability = opened.durability
    assert durability is not None
    assert durability.deadline_ns is not None
    return durability.deadline_ns
