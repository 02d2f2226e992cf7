"""Breaks of oplocks over real sockets: what one connection does is heard on another."""

from functools import partial

import pytest

from smbport.testing.client import FileId
from smbport.testing.faults import Faults
from smbport.testing.memory import MemoryPlatform
from smbport.wire.constants import (
    Access,
    Command,
    ContextTag,
    CreateDisposition,
    FileInfo,
    HeaderFlag,
    OplockLevel,
    ShareAccess,
)
from smbport.wire.create import CreateRequest, pack_create_request
from smbport.wire.create_contexts import LeaseContext, LeaseState
from smbport.wire.fscc import FileRenameInformation, pack_with_name
from smbport.wire.info import SetInfoRequest, pack_set_info_request
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


def opening(peer, file: FileId, disposition: int = CreateDisposition.OPEN):
    request = CreateRequest(
        requested_oplock_level=BATCH, impersonation_level=2, desired_access=Access.FILE_ALL_ACCESS, file_attributes=0,
        share_access=7, create_disposition=disposition, create_options=0,
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


async def test_a_request_that_must_wait_again_is_not_announced_again(start) -> None:
    """Each of two clients keeps it from opening the file until it has closed."""
    world = await start()
    holders = []
    for key in (1, 2):
        peer, tree = await world.log_on()
        lease = LeaseContext(
            lease_key=bytes([key]) * 16, lease_state=LeaseState.READ_CACHING | LeaseState.HANDLE_CACHING
        )
        how = {"oplock": OplockLevel.LEASE, "share": ShareAccess.READ, "disposition": CreateDisposition.OPEN_IF}
        file = await peer.do(peer.create, tree, "f", contexts=[(ContextTag.LEASE, lease.pack())], **how)
        holders.append((peer, file))
    other, _ = await world.log_on()
    [message_id] = other.send(opening(other, file))
    assert (await other.answer()).status == Status.PENDING
    for peer, file in holders:
        await peer.do(peer.close, file)
    assert await other.answers(1) == {message_id: Status.SUCCESS}


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


LEASE = ContextTag.LEASE, LeaseContext(lease_key=bytes(range(16)), lease_state=LeaseState.READ_CACHING).pack()


@pytest.mark.parametrize("threads", [False, True])
async def test_a_break_that_comes_of_what_its_client_asked_comes_after_the_answer(start, threads) -> None:
    faults = Faults()
    world = await start(platform=faults.wrap(MemoryPlatform()))
    peer, tree = await world.log_on()
    create = partial(peer.create, tree, "f", access=Access.FILE_ALL_ACCESS, disposition=CreateDisposition.OPEN_IF)
    file = await peer.do(create)
    await peer.do(peer.write, file, 0, b"data")
    leased = await peer.do(create, oplock=OplockLevel.LEASE, contexts=[LEASE])
    assert leased.lease.lease_state == LeaseState.READ_CACHING
    if threads:
        faults.force_threads()
    await peer.do(peer.write, file, 0, b"more")
    assert peer.breaks == []
    notification = await peer.do(peer.wait_for_break)
    assert (notification.lease_key, notification.new_lease_state) == (bytes(range(16)), LeaseState.NONE)
    await peer.do(peer.close, file)
    await peer.do(peer.close, leased)
    assert world.server.bugs == 0


async def test_the_next_step_of_a_break_comes_after_the_answer_to_the_acknowledgment(start) -> None:
    world = await start()
    one, other, file = await hold(world)
    ids = other.send(opening(other, file), opening(other, file, CreateDisposition.OVERWRITE))
    assert [(await other.answer()).status for _ in ids] == [Status.PENDING] * 2
    assert (await one.do(one.wait_for_break)).oplock_level == II
    assert await one.do(one.acknowledge_break, file, II) == II
    assert one.breaks == []
    assert (await one.do(one.wait_for_break)).oplock_level == OplockLevel.NONE
    assert await other.answers(2) == dict.fromkeys(ids, Status.SUCCESS)


# Renames ---------------------------------------------------------------------------------------------------------


async def replacing(world, count: int = 1):
    """A client that holds g, and its renames of other files to it."""
    peer, tree = await world.log_on()
    how = {"access": Access.FILE_ALL_ACCESS, "disposition": CreateDisposition.OPEN_IF}
    held = await peer.do(peer.create, tree, "g", oplock=BATCH, **how)
    files = [await peer.do(peer.create, tree, f"f{number}", **how) for number in range(count)]
    information = pack_with_name(FileRenameInformation(replace_if_exists=True, root_directory=0), "g")
    renames = []
    for file in files:
        request = SetInfoRequest(
            info_type=1, file_info_class=FileInfo.RENAME, additional_information=0,
            file_id_persistent=file.persistent, file_id_volatile=file.volatile,
        )  # fmt: skip
        renames.append(peer.request(Command.SET_INFO, pack_set_info_request(request, information), tree_id=tree))
    return peer, held, renames


async def test_a_rename_waits_and_says_nothing_and_holds_up_nobody(start) -> None:
    """What it waits for comes over the same connection, which has room for one request that runs."""
    world = await start(running_requests=1)
    peer, held, [rename] = await replacing(world)
    peer.send(rename)
    assert (await peer.do(peer.wait_for_break)).file_id_volatile == held.volatile
    [echo] = peer.send(peer.echo())
    header = await peer.answer()
    assert (header.message_id, header.status) == (echo, Status.SUCCESS)
    await peer.do(peer.close, held)
    header = await peer.answer()
    assert (header.message_id, header.status) == (rename.message_id, Status.SUCCESS)
    assert not header.flags & HeaderFlag.ASYNC_COMMAND


async def test_a_rename_that_waits_can_be_cancelled(start) -> None:
    world = await start()
    peer, _, [rename] = await replacing(world)
    peer.send(rename)
    await peer.do(peer.wait_for_break)
    peer.send(peer.cancelling(rename.message_id))
    assert await peer.answers(1) == {rename.message_id: Status.CANCELLED}


async def test_no_more_renames_wait_than_may(start) -> None:
    world = await start(async_requests=1)
    peer, held, renames = await replacing(world, 2)
    sent = peer.send(*renames)
    [(refused, status)] = (await peer.answers(1)).items()
    assert status == Status.INSUFFICIENT_RESOURCES
    sent.remove(refused)
    await peer.do(peer.close, held)
    assert await peer.answers(1) == {sent[0]: Status.SUCCESS}


@pytest.mark.parametrize("lost", ["reset", "close"])
async def test_a_rename_that_waits_ends_with_its_session(start, lost: str) -> None:
    world = await start()
    peer, _, [rename] = await replacing(world)
    peer.send(rename)
    await peer.do(peer.wait_for_break)
    peer.reset() if lost == "reset" else peer.link.close()
    await world.until_alone()
    directory = world.memory.open_volume("v").open("", 1)
    assert sorted(entry.name for entry in directory.entries(10)) == ["f0", "g"]
    directory.close()
