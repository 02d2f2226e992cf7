"""Leases: a cache that all opens of one client with one key share.  [MS-SMB2] 3.3.1.11, 3.3.1.12

What a lease allows, and what breaks it, is in oplocks.py.  Here is what it is beside that:

    key       the client chose it, for one file; with another file it is an error while the lease lives
    life      from the first open that asks for it to the last one's close, whether it allows anything or not
    epoch     in the second version, counted up by each grant that adds something and each break, so that the client
              knows which came last; the steps of one break do not count
    parent    in the second version, the key of the client's lease on the directory: it is not broken by what is
              done through this one
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from smbport.state.names import fold
from smbport.state.oplocks import Cache, Contention, is_stat_open

if TYPE_CHECKING:
    from smbport.state.changes import Listener
    from smbport.state.open import FileOpen
    from smbport.state.sharing import SharedFile
    from smbport.state.tree import Share

__all__ = ["Lease", "Leases"]


class Lease(Cache):
    """One lease."""

    __slots__ = ("active", "client_guid", "epoch", "key", "opens", "parent_key", "shared", "version")

    is_lease = True

    def __init__(
        self,
        shared: "SharedFile",
        client_guid: bytes,
        key: bytes,
        *,
        version: int,
        epoch: int,
        parent_key: bytes | None,
    ) -> None:
        super().__init__()
        self.shared = shared
        self.client_guid = client_guid
        self.key = key
        self.version = version  # 1 or 2, as it was first asked for
        self.epoch = epoch
        self.parent_key = parent_key  # None: none was given
        self.opens: dict[FileOpen, Listener | None] = {}  # and what listens for it to the changes in a directory
        self.active = 0  # how many opens are no stat opens

    @property
    def path(self) -> str:
        """Where the file is, by the name of its first open."""
        return next(iter(self.opens)).path

    def is_at(self, share: "Share", path: str) -> bool:
        """Whether that is what a client calls so."""
        first = next(iter(self.opens))
        if share is not first.tree.share:
            return False
        return first.path == path or (share.spellings is not None and fold(first.path) == fold(path))

    def left_by(self, contention: Contention) -> int:
        """All that is not taken."""
        return self.state if contention.spares_leases else self.state & ~contention.takes

    def is_spared(self, contention: Contention, by: Cache | None) -> bool:
        """Nothing that is done under the same key disturbs it."""
        return self is by or contention.spares_leases

    def advance(self) -> None:
        """One more."""
        self.epoch = self.epoch + 1 & 0xFFFF


class Leases:
    """Every lease of the server."""

    __slots__ = ("_by_client",)

    def __init__(self) -> None:
        self._by_client: dict[bytes, dict[bytes, Lease]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._by_client.values()))

    def find(self, client_guid: bytes, key: bytes) -> Lease | None:
        """The lease of a client with this key."""
        leases = self._by_client.get(client_guid)
        return leases.get(key) if leases is not None else None

    def of_client(self, client_guid: bytes) -> Iterable[Lease]:
        """All that it has, in the order they came."""
        return self._by_client.get(client_guid, {}).values()

    def join(self, lease: Lease, opened: "FileOpen", listener: "Listener | None" = None) -> None:
        """One more open shares the lease.  `listener` is its ear on a directory, already added to the changes."""
        self._by_client.setdefault(lease.client_guid, {})[lease.key] = lease
        lease.opens[opened] = listener
        lease.active += not is_stat_open(opened.granted_access)
        opened.lease = lease

    def leave(self, opened: "FileOpen") -> None:
        """The open is closed.  With the last one, the lease ends."""
        lease = opened.lease
        assert lease is not None
        listener = lease.opens.pop(opened)
        lease.active -= not is_stat_open(opened.granted_access)
        if listener is not None:
            opened.tree.share.changes.remove(opened.path, listener)
        if not lease.opens:
            lease.shared.oplocks.release(lease)
            leases = self._by_client[lease.client_guid]
            del leases[lease.key]
            if not leases:
                del self._by_client[lease.client_guid]
