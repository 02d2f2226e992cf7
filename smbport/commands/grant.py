"""What a new open may cache: oplocks and leases.  [MS-SMB2] 3.3.5.9, 3.3.5.9.8, 3.3.5.9.11

    asked_lease     the lease that a CREATE asks for, if this client can have one
    find_lease      the one that it has already under that key
    grant           once the open has joined

What breaks them is decided in state/oplocks.py.
"""

from smbport.commands.call import Call
from smbport.commands.contexts.request import Contexts
from smbport.commands.open_node import CREATING, Opened, Plan
from smbport.state.breaks import DirectoryEar
from smbport.state.leases import Lease
from smbport.state.open import FileOpen
from smbport.state.oplocks import HANDLE, READ, WRITE, is_stat_open
from smbport.state.server import Server
from smbport.state.tree import Share
from smbport.wire.constants import CreateAction, Dialect, OplockLevel
from smbport.wire.create import CreateRequest
from smbport.wire.create_contexts import LeaseContext, LeaseContextV2, LeaseFlag
from smbport.wire.status import Status, StatusError

__all__ = ["AskedLease", "asked_lease", "check_lease_key", "find_lease", "grant", "may_cache"]

AskedLease = LeaseContext | LeaseContextV2


def may_cache(server: Server, share: Share, opened: FileOpen) -> bool:
    """Whether anything at all may be cached of this file: whoever changes it, the server must hear of it."""
    if share.settings.local_changes == "none":
        return True
    return server.lookout.find(share, opened.path) is not None if opened.is_directory else opened.held is not None


def asked_lease(call: Call, request: CreateRequest, contexts: Contexts) -> AskedLease | None:
    """The lease context, where it means anything."""
    asked = contexts.lease
    if asked is None or request.requested_oplock_level != OplockLevel.LEASE or not call.server.settings.leases:
        return None
    since = Dialect.SMB_3_0 if isinstance(asked, LeaseContextV2) else Dialect.SMB_2_1
    return asked if call.connection.dialect >= since else None


def find_lease(call: Call, asked: AskedLease | None) -> Lease | None:
    """The lease that the client has already under the key it asks with."""
    return call.server.leases.find(call.connection.client_guid, asked.lease_key) if asked is not None else None


def check_lease_key(call: Call, asked: AskedLease, plan: Plan) -> None:
    """A key stands for one file.  Raises INVALID_PARAMETER before another one is made under it."""
    lease = find_lease(call, asked)
    if lease is not None and plan.disposition in CREATING and not lease.is_at(call.tree_connect.share, plan.path):
        raise StatusError(Status.INVALID_PARAMETER, f"the lease key of {lease.path}")


def grant(call: Call, joined: FileOpen, opened: Opened, level: int, asked: AskedLease | None) -> None:
    """Let the client cache as much as it wants and can have."""
    if not may_cache(call.server, joined.tree.share, joined):
        return
    # A lock of bytes that the file does not have keeps nobody from caching those it has.
    locked = joined.shared.locks.begin_before(max(opened.stat.size, opened.stat.allocated))
    if asked is not None:
        _grant_lease(call, joined, asked, locked=locked)
    else:
        _grant_oplock(call, joined, opened, level, locked=locked)
    if not joined.caching:
        call.server.lookout.let_go(joined)


def _grant_oplock(call: Call, joined: FileOpen, opened: Opened, level: int, *, locked: bool) -> None:
    """[MS-SMB2] 3.3.5.9, [MS-FSA] 2.1.5.18.  Stat opens of what exists get none.

    Linux' client, speaking 3.x, takes a break for old news if it carries no epoch, and only those of leases do: it
    went on reading from its cache (6.1 and 6.12).  So where it is not offered leases, 3.x gets no oplocks either.
    """
    settings, shared = call.server.settings, joined.shared
    offered = settings.oplocks and (settings.leases or call.connection.dialect < Dialect.SMB_3_0)
    looks_only = opened.action == CreateAction.OPENED and is_stat_open(joined.granted_access)
    if offered and not looks_only and not joined.is_directory:
        joined.oplock = shared.oplocks.grant_oplock(joined, level, sole=shared.is_sole(joined), locked=locked)


def _grant_lease(call: Call, joined: FileOpen, asked: AskedLease, *, locked: bool) -> None:
    """[MS-SMB2] 3.3.5.9.8, 3.3.5.9.11.  Directories have leases of the second version, without WRITE."""
    server, shared = call.server, joined.shared
    wanted = asked.lease_state & (READ | WRITE | HANDLE)
    if joined.is_directory:
        if not isinstance(asked, LeaseContextV2):
            return
        wanted &= ~WRITE
    lease = find_lease(call, asked)
    first = lease is None
    if lease is None:
        lease = _new_lease(call, joined, asked)
    elif lease.shared is not shared:  # the client was quicker to use its key for another file
        return
    ear = None
    if joined.is_directory:
        ear = DirectoryEar(server, lease)
        joined.tree.share.changes.add(joined.path, ear, tree=False)
    server.leases.join(lease, joined, ear)
    shared.oplocks.expire(server.runtime.now_ns())
    shared.oplocks.grant_lease(lease, wanted, first=first, sole=shared.is_sole(joined), locked=locked)


def _new_lease(call: Call, joined: FileOpen, asked: AskedLease) -> Lease:
    if not isinstance(asked, LeaseContextV2):
        return Lease(joined.shared, call.connection.client_guid, asked.lease_key, version=1, epoch=0, parent_key=None)
    parent_key = asked.parent_lease_key if asked.lease_flags & LeaseFlag.PARENT_LEASE_KEY_SET else None
    return Lease(
        joined.shared,
        call.connection.client_guid,
        asked.lease_key,
        version=2,
        epoch=asked.epoch,
        parent_key=parent_key,
    )
