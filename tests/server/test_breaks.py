"""Breaks of oplocks over real sockets: what one connection does is heard on another."""

import pytest

from smbport.testing.client import FileId
from smbport.wire.constants import Access, Command, CreateDisposition, OplockLevel
from smbport.wire.create import CreateRequest, pack_create_request
from smbport.wire.status import Status

II, BATCH = OplockLevel.LEVEL_II, OplockLevel.BATCH


async def hold(world):
    """A client with a batch oplock, and another client."""
    one, tree = await world.log_on()
    other, _ = await world.log_on()
    file = await one.do(
        one.create, tree, "f", access=Access.FILE_ALL_ACCESS, disposition=CreateDisposition.OPEN_IF, oplock=BATCH
    )
    assert file.oplock_level == BATCH
    return one, other, file


def opening(peer, file: FileId):
    request = CreateRequest(
        requested_oplock_level=BATCH, impersonation_level=2, desired_access=Access.FILE_ALL_ACCESS, file_attributes=0,
        share_access=7, create_disposition=CreateDisposition.OPEN, create_options=0,
    )  # fmt: skip
    return peer.request(Command.CREATE, pack_create_request(request, "f"), tree_id=file.tree_id)


async def test_a_break_is_heard_on_one_connection_and_waited_for_on_another(start) -> None:
    world = await start()
    one, other, file = await hold(world)
    [message_id] = other.send(opening(other, file))
    assert (await other.answer()).status == Status.PENDING
    notification = await one.do(one.wait_for_break)
    assert (notification.file_id_volatile, notification.oplock_level) == (file.volatile, II)
    assert await one.do(one.acknowledge_break, file, II) == II
    assert await other.answers(1) == {message_id: Status.SUCCESS}
    assert world.server.bugs == 0


async def test_a_wait_ends_when_its_time_is_over(start) -> None:
    world = await start(oplock_break_timeout_s=0.01)
    one, other, file = await hold(world)
    [message_id] = other.send(opening(other, file))
    assert await other.answers(1) == {message_id: Status.SUCCESS}
    await one.do(one.wait_for_break)
    with pytest.raises(Exception, match="INVALID_OPLOCK_PROTOCOL"):
        await one.do(one.acknowledge_break, file, II)


@pytest.mark.parametrize("who", ["holder", "waiter"])
async def test_either_may_vanish(start, who) -> None:
    world = await start()
    one, other, file = await hold(world)
    [message_id] = other.send(opening(other, file))
    assert (await other.answer()).status == Status.PENDING
    if who == "holder":
        one.reset()
        assert await other.answers(1) == {message_id: Status.SUCCESS}
        other.reset()
    else:
        other.reset()
        await world.until(lambda: len(world.listener.connections) == 1)
        assert await one.do(one.acknowledge_break, file, II) == II
        one.reset()
    await world.until_alone()
    assert world.server.bugs == 0
