"""Change notification over real sockets: what waits for days must cost little and can be cancelled at once."""

import pytest
import trio

from smbport.server.transport import BufferPool
from smbport.testing.client import FileId
from smbport.wire.change import ChangeNotifyRequest, CompletionFilter
from smbport.wire.constants import Command
from smbport.wire.status import Status


def watching(peer, directory: FileId):
    body = ChangeNotifyRequest(
        output_buffer_length=4096, completion_filter=CompletionFilter.FILE_NAME,
        file_id_persistent=directory.persistent, file_id_volatile=directory.volatile,
    ).pack()  # fmt: skip
    return peer.request(Command.CHANGE_NOTIFY, body, tree_id=directory.tree_id)


async def test_what_one_client_does_another_hears(start) -> None:
    world = await start()
    peer, tree = await world.log_on()
    other, other_tree = await world.log_on()
    sent = peer.send(watching(peer, await peer.do(peer.create, tree, "")))
    assert (await peer.answer()).status == Status.PENDING
    await other.do(other.open, other_tree, "new")
    assert await peer.answers(1) == dict.fromkeys(sent, Status.SUCCESS)


async def test_a_cancel_right_behind_the_request(start) -> None:
    """Both are read before the request waits."""
    world = await start()
    peer, tree = await world.log_on()
    root = await peer.do(peer.create, tree, "")
    request = watching(peer, root)
    peer.send(request, peer.cancelling(request.message_id))
    assert await peer.answers(1) == {request.message_id: Status.CANCELLED}
    peer.send(peer.cancelling(request.message_id))
    await peer.do(peer.open, tree, "new")
    again = watching(peer, root)
    peer.send(again)
    assert await peer.answers(1) == {again.message_id: Status.SUCCESS}


async def test_requests_that_wait_for_changes_keep_no_buffers(start, monkeypatch: pytest.MonkeyPatch) -> None:
    held = set()
    take, give_back = BufferPool.take, BufferPool.give_back

    def counted_take(pool, *args):
        buffer = take(pool, *args)
        held.add(id(buffer))
        return buffer

    def counted_give_back(pool, buffer):
        held.discard(id(buffer))
        give_back(pool, buffer)

    monkeypatch.setattr(BufferPool, "take", counted_take)
    monkeypatch.setattr(BufferPool, "give_back", counted_give_back)
    world = await start()
    peer, tree = await world.log_on()
    root = await peer.do(peer.create, tree, "")
    sent = []
    for _ in range(10):
        sent += peer.send(watching(peer, root))
        assert (await peer.answer()).status == Status.PENDING
        await trio.testing.wait_all_tasks_blocked()
        assert len(held) <= 1, "that which the connection receives into"
    await peer.do(peer.close, root)
    assert await peer.answers(10) == dict.fromkeys(sent, Status.NOTIFY_CLEANUP)
