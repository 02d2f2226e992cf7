"""OPLOCK_BREAK: what clients answer to a break, and who waits for it.  [MS-SMB2] 3.3.5.22

Whatever disturbs what others cache goes through here:

    make_way        before something that cannot go on while others cache: breaks that and waits
    stop_caching    after something that makes cached data old: breaks what nobody has to wait for

CREATE takes the two halves of `make_way` apart, because it has a handle to close before it waits.
"""

from smbport.commands.call import Call, Reply, log
from smbport.commands.steps import Manner, waiting
from smbport.state.breaks import break_caches, tell
from smbport.state.leases import Lease
from smbport.state.open import FileOpen
from smbport.state.oplocks import CHANGE, Blocker, Cache, Contention, Oplock
from smbport.state.server import Server
from smbport.state.sharing import SharedFile
from smbport.wire.break_ import (
    LeaseBreakAcknowledgment,
    LeaseBreakResponse,
    OplockBreakAcknowledgment,
    OplockBreakResponse,
    parse_break_acknowledgment,
)
from smbport.wire.constants import OplockLevel
from smbport.wire.record import U16, Record, record
from smbport.wire.status import Status, StatusError

__all__ = ["BreakAcknowledgment", "make_way", "oplock_break", "outlast", "stop_caching"]


# Waiting --------------------------------------------------------------------------------------------------------


async def outlast(server: Server, blocker: Blocker, manner: Manner = Manner.LASTING) -> None:
    """Wait until a break is acknowledged, its opens are closed, or its time is over: then nothing is left of the cache.

    Everything may have changed afterwards.
    """
    cache, deadline_ns = blocker.cache, 0
    while cache.deadline_ns != deadline_ns:  # it is another one when a client that was away has come back
        deadline_ns = cache.deadline_ns
        rest_s = (deadline_ns - server.runtime.now_ns()) / 1e9
        if await waiting(blocker.over, max(rest_s, 0), manner) or cache.over is not blocker.over:
            return
    holder = _holder(cache)
    timeout_s = server.settings.limits.oplock_break_timeout_s
    log.warning("%s did not give up %s within %g s", holder.session_name, holder.path, timeout_s)
    holder.shared.oplocks.release(cache)
    server.unsaved.note(holder)


def _holder(cache: Cache) -> FileOpen:
    """An open that stands for a cache."""
    if isinstance(cache, Lease):
        return next(iter(cache.opens))
    assert isinstance(cache, Oplock)
    return cache.opened


async def make_way(server: Server, shared: SharedFile, contention: Contention, by: Cache | None = None) -> bool:
    """Break what stands against `contention` and wait for it.  True if that took a wait: then look again.

    The client is not told of the wait: it is for SET_INFO, of which Windows says nothing before it is done.
    """
    blocker = break_caches(server, shared, contention, by)
    if blocker is None:
        return False
    await outlast(server, blocker, Manner.SILENT)
    return True


def stop_caching(server: Server, opened: FileOpen) -> None:
    """The contents or the locks of the file were changed through `opened`: what others have read is old.

    To be called afterwards, because whoever opens the file while a thread still writes may cache it too.
    """
    break_caches(server, opened.shared, CHANGE, opened.cache)


# Acknowledgments ------------------------------------------------------------------------------------------------


@record()
class BreakAcknowledgment(Record):
    """As much as the acknowledgments of oplocks and of leases have in common.  [MS-SMB2] 2.2.24"""

    structure_size: U16


async def oplock_break(call: Call, request: BreakAcknowledgment) -> Reply:
    """[MS-SMB2] 3.3.5.22"""
    acknowledgment = parse_break_acknowledgment(call.message)
    if isinstance(acknowledgment, LeaseBreakAcknowledgment):
        return _acknowledge_lease(call, acknowledgment)
    return _acknowledge_oplock(call, acknowledgment)


def _acknowledge_oplock(call: Call, acknowledgment: OplockBreakAcknowledgment) -> Reply:
    """[MS-SMB2] 3.3.5.22.1

    INVALID_OPLOCK_PROTOCOL if no break is pending, where the specification has INVALID_DEVICE_STATE and Windows does
    not.  A level that a break cannot end with ends the oplock; more than the holder was told is taken as that.
    """
    opened = call.find_open(acknowledgment.file_id_persistent, acknowledgment.file_id_volatile)
    oplock = opened.oplock if isinstance(opened, FileOpen) else None
    if oplock is not None:
        oplock.opened.shared.oplocks.expire(call.server.runtime.now_ns())
    if oplock is None or oplock.over is None:
        raise StatusError(Status.INVALID_OPLOCK_PROTOCOL, "no break is pending")
    oplocks = oplock.opened.shared.oplocks
    level = acknowledgment.oplock_level
    if level not in (OplockLevel.NONE, OplockLevel.LEVEL_II):
        oplocks.release(oplock)
        raise StatusError(Status.INVALID_PARAMETER, f"break acknowledged with level {level}")
    state = oplock.told if level else 0
    _go_on(call.server, oplock, state)
    return Reply(
        OplockBreakResponse(
            oplock_level=OplockLevel.LEVEL_II if state else OplockLevel.NONE,
            file_id_persistent=opened.persistent_id,
            file_id_volatile=opened.volatile_id,
        )
    )


def _acknowledge_lease(call: Call, acknowledgment: LeaseBreakAcknowledgment) -> Reply:
    """[MS-SMB2] 3.3.5.22.2"""
    key, state = acknowledgment.lease_key, acknowledgment.lease_state
    lease = call.server.leases.find(call.connection.client_guid, key)
    if lease is None:
        raise StatusError(Status.OBJECT_NAME_NOT_FOUND, "no such lease")
    lease.shared.oplocks.expire(call.server.runtime.now_ns())
    if lease.over is None:
        raise StatusError(Status.UNSUCCESSFUL, "no break is pending")
    if state & ~lease.told:
        raise StatusError(Status.REQUEST_NOT_ACCEPTED, f"break to {lease.told} acknowledged with {state}")
    _go_on(call.server, lease, state)
    return Reply(LeaseBreakResponse(lease_key=key, lease_state=state))


def _go_on(server: Server, cache: Cache, state: int) -> None:
    """The break is over, or goes on if more was taken meanwhile."""
    for opened in cache.opens if isinstance(cache, Lease) else [_holder(cache)]:
        server.unsaved.note(opened)
    told = _holder(cache).shared.oplocks.acknowledge(cache, state)
    if told is not None:
        tell(server, told)
