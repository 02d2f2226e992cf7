"""Breaks on their way to the clients, and to leases on directories.  [MS-SMB2] 3.3.4.6, 3.3.4.7, 3.3.4.18

    break_caches(server, shared, contention)    oplocks.py decides, here the holders are told
    DirectoryEar                                what a lease on a directory hears of share.changes

Nothing here waits: who has to, finds the blocker that `break_caches` returns and awaits it in commands/oplock_break.py.
"""

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Final

from smbport.state.leases import Lease
from smbport.state.oplocks import CHANGE, Blocker, Break, Cache, Contention, Oplock
from smbport.wire.break_ import LeaseBreakFlag, LeaseBreakNotification, OplockBreakNotification
from smbport.wire.change import NotifyAction
from smbport.wire.constants import Command, HeaderFlag, OplockLevel
from smbport.wire.frame import frame_prefix, response_message
from smbport.wire.record import Buffer
from smbport.wire.status import Status

if TYPE_CHECKING:
    from smbport.state.open import FileOpen
    from smbport.state.server import Server
    from smbport.state.session import Session
    from smbport.state.sharing import SharedFile

__all__ = ["DirectoryEar", "break_caches", "tell", "tell_postponed"]

_OF_STREAMS: Final = (NotifyAction.ADDED_STREAM, NotifyAction.REMOVED_STREAM, NotifyAction.MODIFIED_STREAM)
UNSOLICITED: Final = 0xFFFFFFFFFFFFFFFF  # the MessageId of what is no answer  [MS-SMB2] 3.3.4.6


def break_caches(
    server: "Server", shared: "SharedFile", contention: Contention, by: Cache | None = None
) -> Blocker | None:
    """Break what clients cache of a file and `contention` leaves no room for; returns a break to wait for, if any.

    `by` is the cache of the open that contends, or the lease it asks for.
    """
    oplocks = shared.oplocks
    if not oplocks.mind(contention, by):
        return None
    oplocks.expire(server.runtime.now_ns())
    _end_disconnected(server, shared, contention, by)
    for told in oplocks.start_breaks(contention, server.runtime.new_event, _deadline_ns(server), by):
        tell(server, told)
    return oplocks.find_blocker(contention, by)


def _end_disconnected(server: "Server", shared: "SharedFile", contention: Contention, by: Cache | None) -> None:
    """Durable opens without a connection live by what they cache: they are closed before it is taken from them.

    Not if their lease has a connection through another open, which is told as always.  [MS-SMB2] 3.3.4.6, 3.3.4.7
    """
    for opened in server.durable.of_file(shared):
        cache = opened.cache
        if cache is None or opened.durability is None or not opened.durability.is_durable:
            continue
        holders = cache.opens if isinstance(cache, Lease) else (opened,)
        if cache.is_broken_by(contention, by) and all(holder.is_disconnected for holder in holders):
            doomed = server.close_open(opened)
            if doomed is not None:
                server.doomed.append(doomed)


def _deadline_ns(server: "Server") -> int:
    """When a break that begins now is over anyway."""
    return server.runtime.now_ns() + round(server.settings.limits.oplock_break_timeout_s * 1e9)


class DirectoryEar:
    """Breaks the lease on a directory when something changes in it; a Listener of state/changes.py."""

    __slots__ = ("_lease", "_server")

    def __init__(self, server: "Server", lease: Lease) -> None:
        self._server = server
        self._lease = lease

    def changed(self, action: int, name: str, what: int, by: "FileOpen | None") -> None:
        """Not for what was done through a lease that names this one as its parent.

        Windows compares the keys alone, whichever client they are of.
        """
        if action in _OF_STREAMS:
            return  # which no listing shows
        if by is None or by.parent_lease_key != self._lease.key:
            self.lost()

    def lost(self) -> None:
        """Whatever it was: what the client knows of the directory is old."""
        lease, server = self._lease, self._server
        told = lease.shared.oplocks.start_break(lease, CHANGE, server.runtime.new_event, _deadline_ns(server))
        if told is not None:
            tell(server, told)


# Notifications --------------------------------------------------------------------------------------------------


def tell(server: "Server", told: Break) -> None:
    """Send the notification to the client.  Who cannot be reached caches nothing, unless it is sure to come back."""
    cache = told.cache
    if isinstance(cache, Lease):
        opens, body = [*cache.opens], _lease_notification(cache, told)
    else:
        assert isinstance(cache, Oplock)
        opens, body = [cache.opened], _oplock_notification(cache.opened, told)
    first = opens[0]
    if all(opened.early_breaks is not None for opened in opens):  # the client does not know yet what it has
        assert first.early_breaks is not None
        first.early_breaks.append(partial(tell, server, told))
    else:
        reached = any(_send(session, body, seal=first.tree.encrypt) for session in _sessions(server, cache, first))
        if not reached and not _postpone(opens, told):
            first.shared.oplocks.release(cache)
    for opened in opens:
        server.unsaved.note(opened)


def _postpone(opens: "list[FileOpen]", told: Break) -> bool:
    """A persistent open is not robbed while its client is away: it is told when it is back, if it is in time."""
    cache = told.cache
    deadlines = [opened.durability.deadline_ns for opened in opens if opened.is_persistent and opened.durability]
    deadline_ns = max((deadline for deadline in deadlines if deadline is not None), default=None)
    if cache.over is None or deadline_ns is None:
        return False
    cache.deadline_ns = deadline_ns
    cache.postponed = told
    return True


def tell_postponed(server: "Server", cache: Cache) -> None:
    """Its client is back, and has the time that everybody has."""
    told, cache.postponed = cache.postponed, None
    if told is not None and cache.over is not None:
        cache.deadline_ns = _deadline_ns(server)
        tell(server, told)


def _sessions(server: "Server", cache: Cache, opened: "FileOpen") -> "Iterator[Session]":
    """Those over which its holder can be told, best first.

    A lease is the client's, so any session of its user will do; as Windows, the one that has leases for longest.
    """
    if not isinstance(cache, Lease):
        yield opened.tree.session
        return
    for other in server.leases.of_client(cache.client_guid):
        yield from (
            holder.tree.session for holder in other.opens if holder.tree.session.user_name == opened.session_name
        )


def _oplock_notification(opened: "FileOpen", told: Break) -> bytes:
    """[MS-SMB2] 3.3.4.6"""
    return OplockBreakNotification(
        oplock_level=OplockLevel.LEVEL_II if told.left else OplockLevel.NONE,
        file_id_persistent=opened.persistent_id,
        file_id_volatile=opened.volatile_id,
    ).pack()


def _lease_notification(lease: Lease, told: Break) -> bytes:
    """[MS-SMB2] 3.3.4.7"""
    return LeaseBreakNotification(
        new_epoch=lease.epoch if lease.version > 1 else 0,
        flags=LeaseBreakFlag.ACK_REQUIRED if told.must_acknowledge else 0,
        lease_key=lease.key,
        current_lease_state=told.held,
        new_lease_state=told.left,
    ).pack()


def _send(session: "Session", body: bytes, *, seal: bool) -> bool:
    """Send it over a connection of the session, if there is one."""
    message = response_message(
        body, Status.SUCCESS, Command.OPLOCK_BREAK, 0, 0, HeaderFlag.SERVER_TO_REDIR, UNSOLICITED, 0, 0, 0
    )
    if seal or session.encrypt:
        if session.sealer is None:
            return False
        sealed = session.sealer.seal(session.session_id, [message])
        parts: list[Buffer] = [frame_prefix(sum(map(len, sealed))), *sealed]
    else:
        parts = [frame_prefix(len(message)) + message]
    return session.notify(parts)
