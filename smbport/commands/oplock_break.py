"""OPLOCK_BREAK: telling clients that they lose an oplock, and what they answer.  [MS-SMB2] 3.3.4.6, 3.3.5.22

Whatever disturbs what others cache goes through here:

    make_way        before something that cannot go on while an oplock is held: breaks it and waits
    stop_caching    after something that makes cached data old: breaks what needs no answer

CREATE takes the two halves of `make_way` apart, because it has a handle to close before it waits.
"""

from smbport.commands.call import Call, Reply, log
from smbport.commands.steps import waiting
from smbport.state.open import FileOpen
from smbport.state.oplocks import CHANGE, Blocker, Contention
from smbport.state.server import Server
from smbport.state.sharing import SharedFile
from smbport.wire.break_ import (
    LeaseBreakAcknowledgment,
    OplockBreakNotification,
    OplockBreakResponse,
    parse_break_acknowledgment,
)
from smbport.wire.constants import Command, HeaderFlag
from smbport.wire.header import frame_prefix, response_message
from smbport.wire.record import U16, Record, record
from smbport.wire.status import Status, StatusError

__all__ = ["BreakAcknowledgment", "break_oplocks", "make_way", "oplock_break", "outlast", "stop_caching"]

UNSOLICITED = 0xFFFFFFFFFFFFFFFF  # the MessageId of what is no answer  [MS-SMB2] 3.3.4.6


# Breaking -------------------------------------------------------------------------------------------------------


def break_oplocks(
    server: Server, shared: SharedFile, contention: Contention, by: FileOpen | None = None
) -> Blocker[FileOpen] | None:
    """Break the oplocks on a file that `contention` leaves no room for; returns one to `outlast`, if there is one."""
    for holder, level in shared.oplocks.start_breaks(contention, server.runtime.new_event, by):
        _notify(holder, level)
    return shared.oplocks.find_blocker(contention, by)


async def outlast(server: Server, blocker: Blocker[FileOpen]) -> None:
    """Wait until a break is acknowledged, its open is closed, or its time is over: then the oplock is gone.

    Everything may have changed afterwards.
    """
    timeout_s = server.settings.limits.oplock_break_timeout_s
    if not await waiting(blocker.over, timeout_s):
        holder = blocker.owner
        log.warning("%s did not give up %s within %g s", holder.session_name, holder.path, timeout_s)
        holder.shared.oplocks.release(holder)


async def make_way(server: Server, shared: SharedFile, contention: Contention) -> bool:
    """Break what stands against `contention` and wait for it.  True if that took a wait: then look again."""
    blocker = break_oplocks(server, shared, contention)
    if blocker is None:
        return False
    await outlast(server, blocker)
    return True


def stop_caching(server: Server, opened: FileOpen) -> None:
    """The contents or the locks of the file were changed through `opened`: what others have read is old.

    To be called afterwards, because whoever opens the file while a thread still writes may cache it too.
    """
    break_oplocks(server, opened.shared, CHANGE, opened)


def _notify(holder: FileOpen, level: int) -> None:
    """The notification goes over any connection of the session.  [MS-SMB2] 3.3.4.6, 3.3.4.1.4"""
    session = holder.tree.session
    connection = next((channel.connection for channel in session.channels if channel.signer is not None), None)
    if connection is None:  # the client is gone, and its opens are about to follow
        holder.shared.oplocks.release(holder)
        return
    body = OplockBreakNotification(
        oplock_level=level, file_id_persistent=holder.persistent_id, file_id_volatile=holder.volatile_id
    ).pack()
    message = response_message(
        body, Status.SUCCESS, Command.OPLOCK_BREAK, 0, 0, HeaderFlag.SERVER_TO_REDIR, UNSOLICITED, 0, 0
    )
    if session.sealer is not None and (session.encrypt or holder.tree.encrypt):
        sealed = session.sealer.seal(session.session_id, [memoryview(message)[4:]])
        connection.send([frame_prefix(sum(map(len, sealed))), *sealed])
    else:
        message[:4] = frame_prefix(len(message) - 4)
        connection.send([message])


# Acknowledgments ------------------------------------------------------------------------------------------------


@record()
class BreakAcknowledgment(Record):
    """As much as the acknowledgments of oplocks and of leases have in common.  [MS-SMB2] 2.2.24"""

    structure_size: U16


async def oplock_break(call: Call, request: BreakAcknowledgment) -> Reply:
    """[MS-SMB2] 3.3.5.22.1"""
    acknowledgment = parse_break_acknowledgment(call.message)
    if isinstance(acknowledgment, LeaseBreakAcknowledgment):
        raise StatusError(Status.OBJECT_NAME_NOT_FOUND, "there are no leases")
    opened = call.find_open(acknowledgment.file_id_persistent, acknowledgment.file_id_volatile)
    if not isinstance(opened, FileOpen):
        raise StatusError(Status.INVALID_OPLOCK_PROTOCOL, "pipes have no oplocks")
    level = opened.shared.oplocks.acknowledge(opened, acknowledgment.oplock_level)
    return Reply(
        OplockBreakResponse(
            oplock_level=level, file_id_persistent=opened.persistent_id, file_id_volatile=opened.volatile_id
        )
    )
