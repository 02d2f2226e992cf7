"""CHANGE_NOTIFY.  [MS-SMB2] 3.3.5.19

What a directory has heard is in `state/watches.py`; who tells it is in `state/changes.py`.
"""

from smbport.commands.call import Call, Reply
from smbport.commands.lookout import attend_watched
from smbport.commands.steps import waiting
from smbport.state.open import FileOpen
from smbport.state.watches import Answer, Waiter, Watch
from smbport.wire.change import ChangeNotifyFlag, ChangeNotifyRequest, pack_change_notify_response
from smbport.wire.status import Status, StatusError

__all__ = ["change_notify"]


async def change_notify(call: Call, request: ChangeNotifyRequest) -> Reply:
    """[MS-SMB2] 3.3.5.19"""
    opened, room = call.file, request.output_buffer_length
    if not opened.is_directory or room > call.connection.max_transact:
        raise StatusError(Status.INVALID_PARAMETER, "no directory, or a buffer larger than was negotiated")
    if opened.shared.delete_pending:
        raise StatusError(Status.DELETE_PENDING)
    answer = opened.watch.ask(room) if opened.watch is not None else None
    if answer is None:
        answer = await _wait(call, opened, request)
    if answer.status != Status.SUCCESS:
        raise StatusError(answer.status)
    return Reply(pack_change_notify_response(answer.data))


async def _wait(call: Call, opened: FileOpen, request: ChangeNotifyRequest) -> Answer:
    """Wait for news, or for the end of the watch.  A CANCEL that crosses the answer comes too late."""
    if call is not call.chain.calls[-1]:
        raise StatusError(Status.INTERNAL_ERROR, "only the last request of a compound may wait")  # as Windows does
    is_first = opened.watch is None
    watch = opened.watch or _start_watch(call, opened, request)
    waiter = Waiter(call.server.runtime.new_event(), request.output_buffer_length)
    watch.wait(waiter)
    try:
        if is_first:
            await attend_watched(call, opened, tree=watch.tree)
        call.chain.let_go_of_frame()
        await waiting(waiter.event)
    except StatusError as error:
        if waiter.answer is None:
            watch.leave(waiter)
            if is_first and error.status == Status.INSUFFICIENT_RESOURCES and not watch.is_waited_for:
                opened.end_watch(error.status)  # whoever was refused must not watch all the same
            raise
    finally:
        watch.leave(waiter)
    assert waiter.answer is not None
    return waiter.answer


def _start_watch(call: Call, opened: FileOpen, request: ChangeNotifyRequest) -> Watch:
    """The first request of an open says what it wants to hear of, and how much of it is kept for later requests."""
    limits = call.server.settings.limits
    watches = sum(isinstance(other, FileOpen) and other.watch is not None for other in call.session.opens.values())
    if watches >= limits.watches_per_session:
        raise StatusError(Status.INSUFFICIENT_RESOURCES, "too many directories are watched")
    capacity = min(request.output_buffer_length, limits.notify_size)
    tree = bool(request.flags & ChangeNotifyFlag.WATCH_TREE)
    watch = Watch(request.completion_filter, capacity, tree=tree)
    opened.start_watch(watch)
    return watch
