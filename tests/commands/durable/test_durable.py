"""smbport.commands.durable through whole connections: who is promised what, and who gets it back."""

from typing import Any

import pytest

from smbport.security.auth import LogonUser
from smbport.state.settings import Limits
from smbport.wire.constants import (
    Access,
    Command,
    CreateAction,
    CreateOption,
    Dialect,
    LockFlag,
    OplockLevel,
    ShareAccess,
)
from smbport.wire.lock import LockElement, LockRequest, pack_lock_request
from smbport.wire.status import Status, StatusError

CLIENT, OTHER_CLIENT = bytes([1]) * 16, bytes([2]) * 16
GUID, OTHER_GUID = bytes([3]) * 16, bytes([5]) * 16
OTHER_KEY = bytes([6]) * 16
NOW = LockFlag.EXCLUSIVE | LockFlag.FAIL_IMMEDIATELY


# Promises -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("share_access", [0, 7])
@pytest.mark.parametrize(
    ("level", "granted"),
    [
        (OplockLevel.NONE, False),
        (OplockLevel.LEVEL_II, False),
        (OplockLevel.EXCLUSIVE, False),
        (OplockLevel.BATCH, True),
    ],
)
def test_by_oplock(world: Any, level: int, granted: bool, share_access: int) -> None:
    peer = world.come()
    first = world.create(peer, "f", world.durable, requested_oplock_level=level, share_access=share_access)
    assert first.durable is granted
    second = world.create(peer, "g", world.durable_v2(), requested_oplock_level=level, share_access=share_access)
    assert (second.v2 is not None) is granted


@pytest.mark.parametrize(("state", "granted"), [("R", False), ("RW", False), ("RH", True), ("RWH", True)])
def test_by_lease(world: Any, state: str, granted: bool) -> None:
    peer = world.come()
    assert world.create(peer, "f", world.durable, world.lease(state)).durable is granted
    assert (world.create(peer, "g", world.durable_v2(), world.lease(state, OTHER_KEY)).v2 is not None) is granted


@pytest.mark.parametrize(
    ("asked_ms", "granted_ms"), [(0, 60_000), (1, 1), (299_999, 299_999), (300_001, 300_000), (2**32 - 1, 300_000)]
)
def test_the_time_out(world: Any, asked_ms: int, granted_ms: int) -> None:
    granted = world.create(world.come(), "f", world.durable_v2(timeout=asked_ms))
    assert (granted.v2.timeout, granted.v2.flags) == (granted_ms, 0)


def test_the_administrator_may_want_less(new_world: Any) -> None:
    world = new_world(limits=Limits(durable_timeout_s=2))
    peer = world.come()
    assert world.create(peer, "f", world.durable_v2()).v2.timeout == 2000
    world.create(peer, "g", world.durable)
    peer.connection.close()
    world.pass_time(1.9)
    assert len(world.server.durable) == 2
    world.pass_time(0.2)
    assert len(world.server.durable) == 0


def test_a_directory_is_not_durable(world: Any) -> None:
    peer = world.come()
    made = world.create(peer, "d", world.durable_v2(), world.lease("RH"), create_options=CreateOption.DIRECTORY_FILE)
    assert made.lease == "RH"
    assert made.v2 is None


def test_a_guest_is_promised_nothing(world: Any) -> None:
    """Anybody could come back for what he has."""
    peer = world.come()
    world.server.sessions[peer.session_id].user = LogonUser("guest", "", "guest", None)
    assert world.create(peer, "f", world.durable_v2()).v2 is None
    assert not world.create(peer, "g", world.durable).durable


def test_the_second_version_is_for_dialects_3(world: Any) -> None:
    peer = world.come(dialect=Dialect.SMB_2_1)
    made = world.create(peer, "f", world.durable_v2())
    assert made.v2 is None
    assert world.server.durable.find_created(CLIENT, GUID) is None
    reopened = world.create(peer, "f", world.again_v2(made.file), requested_oplock_level=0)
    assert reopened.status == "SUCCESS"
    assert reopened.file.persistent != made.file.persistent


@pytest.mark.parametrize("mixture", ["QQ2", "Q C2", "C Q2", "C C2", "Q2 C2"])
def test_contexts_that_exclude_each_other(world: Any, mixture: str) -> None:
    peer = world.come()
    file = world.create(peer, "f", world.durable_v2()).file
    again = world.come_back(peer)
    parts = {"Q2": world.durable_v2(), "C2": world.again_v2(file), "Q": world.durable, "C": world.again(file)}
    contexts = [parts["Q"], parts["Q2"]] if mixture == "QQ2" else [parts[name] for name in mixture.split()]
    assert world.create(again, "f", *contexts).status == "INVALID_PARAMETER"
    assert world.create(again, "f", world.again_v2(file)).status == "SUCCESS"


# Coming back --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [1, 2])
def test_a_connection_is_lost(world: Any, version: int) -> None:
    peer = world.come()
    made = world.create(peer, "f", world.durable if version == 1 else world.durable_v2())
    peer.write(made.file, 0, b"before")
    assert world.lock(peer, made.file, (2, 1, NOW)) == "SUCCESS"
    again = world.come_back(peer)
    back = world.create(again, "f", world.again(made.file) if version == 1 else world.again_v2(made.file))
    assert back.status == "SUCCESS"
    assert back.file.persistent == made.file.persistent
    assert back.file.volatile != made.file.volatile
    assert (back.action, back.level) == (CreateAction.OPENED, OplockLevel.BATCH)
    assert (back.durable, back.v2) == (False, None)
    assert again.read(back.file, 0, 10) == b"before"
    assert world.lock(again, back.file, (2, 1, NOW)) == "LOCK_NOT_GRANTED"
    assert world.lock(again, back.file, (2, 1, LockFlag.UNLOCK)) == "SUCCESS"
    again.close(back.file)
    world.wire.check_nothing_is_open()


def test_the_request_for_it_counts_for_nothing(world: Any) -> None:
    """Only what finds the open is looked at; a request for a durable open beside it is ignored."""
    peer = world.come()
    made = world.create(peer, "f", world.durable)
    again = world.come_back(peer)
    back = world.create(
        again,
        "no such name?*",
        world.again(made.file),
        world.durable,
        impersonation_level=0x12345678,
        desired_access=0x12345678,
        file_attributes=0x12345678,
        share_access=0x12345678,
        create_disposition=0x12345678,
        create_options=0x12345678,
        requested_oplock_level=0x78,
    )
    assert back.status == "SUCCESS"
    assert not back.durable


def test_a_lease_comes_back_with_it(world: Any) -> None:
    peer = world.come()
    made = world.create(peer, "f", world.durable_v2(), world.lease())
    again = world.come_back(peer)
    back = world.create(again, "f", world.again_v2(made.file), world.lease(""))
    assert (back.status, back.lease, back.level) == ("SUCCESS", "RWH", OplockLevel.LEASE)
    assert back.file.lease.epoch == made.file.lease.epoch


def test_after_a_logoff_and_with_another_session_in_its_place(world: Any) -> None:
    peer = world.come()
    made = world.create(peer, "f", world.durable)
    peer.call(2, b"\x04\0\0\0")
    again = world.come()
    back = world.create(again, "f", world.again(made.file))
    assert back.status == "SUCCESS"
    third = world.wire.client()
    third.client_guid = CLIENT
    third.negotiate()
    third.log_on("u", "p", previous_session_id=again.session_id)
    third.tree = third.tree_connect("s")
    assert world.create(third, "f", world.again(back.file)).status == "SUCCESS"


def test_not_after_a_close_or_a_tree_disconnect(world: Any) -> None:
    peer = world.come()
    closed, left = (world.create(peer, name, world.durable).file for name in "fg")
    peer.close(closed)
    peer.call(4, b"\x04\0\0\0", tree_id=peer.tree)
    again = world.come_back(peer)
    for file in (closed, left):
        assert world.create(again, "f", world.again(file)).status == "OBJECT_NAME_NOT_FOUND"


def test_not_while_it_is_connected(world: Any) -> None:
    peer = world.come()
    file = world.create(peer, "f", world.durable_v2()).file
    for contexts in ([world.again(file)], [world.again_v2(file)]):
        assert world.create(world.come(), "f", *contexts).status == "OBJECT_NAME_NOT_FOUND"


@pytest.mark.parametrize(
    ("how", "status"),
    [
        ({"user": "other"}, "ACCESS_DENIED"),
        ({"guid": OTHER_GUID}, "OBJECT_NAME_NOT_FOUND"),
        ({"lease": True}, "OBJECT_NAME_NOT_FOUND"),
        ({"persistent": True}, "SUCCESS"),  # on this share the flag means nothing
        ({"client": OTHER_CLIENT}, "SUCCESS"),
    ],
    ids=["user", "guid", "lease", "persistent", "client"],
)
def test_who_gets_it(world: Any, how: dict[str, Any], status: str) -> None:
    peer = world.come()
    file = world.create(peer, "f", world.durable_v2()).file
    other = world.come_back(peer, how.get("client", CLIENT), how.get("user", "u"))
    contexts = [world.again_v2(file, how.get("guid", GUID), persistent=how.get("persistent", False))]
    if how.get("lease"):
        contexts.append(world.lease())
    assert world.create(other, "f", *contexts).status == status
    if status != "SUCCESS":
        assert world.create(world.come(), "f", world.again_v2(file)).status == "SUCCESS"


def test_there_must_be_room_in_the_session(new_world: Any) -> None:
    world = new_world(limits=Limits(opens_per_session=1))
    peer = world.come()
    file = world.create(peer, "f", world.durable).file
    again = world.come_back(peer)
    other = world.create(again, "g")
    assert world.create(again, "f", world.again(file)).status == "TOO_MANY_OPENED_FILES"
    again.close(other.file)
    assert world.create(again, "f", world.again(file)).status == "SUCCESS"


def test_a_lock_that_nobody_was_told_of_is_none(world: Any) -> None:
    """It is granted and its client is lost before it can be told: then it has to ask again."""
    peer, holder = world.come(), world.come(OTHER_CLIENT)
    file = world.create(peer, "f", world.durable_v2(), world.lease("RH")).file
    other = world.create(holder, "f", requested_oplock_level=0).file
    assert world.lock(holder, other, (0, 1, NOW)) == "SUCCESS"
    world.create(peer, "f", world.lease("RH"))  # what the lock took is back
    [opened] = [found for found in world.server.sessions[peer.session_id].opens.values() if found.durability]
    request = LockRequest(file_id_persistent=file.persistent, file_id_volatile=file.volatile)
    body = pack_lock_request(request, [LockElement(offset=0, length=1, flags=LockFlag.EXCLUSIVE)])
    peer.start(Command.LOCK, body, tree_id=peer.tree)
    assert len(opened.shared.locks.queue) == 1
    assert world.lock(holder, other, (0, 1, LockFlag.UNLOCK)) == "SUCCESS"
    assert opened.shared.locks.count(opened) == 1
    peer.connection.close()
    assert opened.shared.locks.count(opened) == 0


# What ends it -------------------------------------------------------------------------------------------------------


def test_time(world: Any) -> None:
    peer = world.come()
    made = world.create(peer, "f", world.durable_v2(timeout=5000))
    peer.connection.close()
    world.pass_time(4.9)
    assert len(world.server.durable) == 1
    world.pass_time(0.2)
    world.wire.check_nothing_is_open()
    assert world.create(world.come(), "f", world.again_v2(made.file)).status == "OBJECT_NAME_NOT_FOUND"


def test_time_deletes_what_was_to_be_deleted(world: Any) -> None:
    peer = world.come()
    world.create(peer, "f", world.durable_v2(), create_options=CreateOption.DELETE_ON_CLOSE)
    peer.connection.close()
    assert world.wire.names() == ["f"]
    world.pass_time(61)
    assert world.wire.names() == []
    world.wire.check_nothing_is_open()


def test_somebody_opens_the_file(world: Any) -> None:
    """The batch oplock would have to be broken, and nobody is there to be told."""
    peer = world.come()
    file = world.create(peer, "f", world.durable, share_access=0).file
    peer.connection.close()
    other = world.come(OTHER_CLIENT)
    opened = world.create(other, "f")
    assert (opened.status, opened.level) == ("SUCCESS", OplockLevel.BATCH)
    assert world.create(world.come(), "f", world.again(file)).status == "OBJECT_NAME_NOT_FOUND"


def test_somebody_opens_what_is_deleted_by_that(world: Any) -> None:
    peer = world.come()
    world.create(peer, "f", world.durable, create_options=CreateOption.DELETE_ON_CLOSE)
    peer.connection.close()
    other = world.come(OTHER_CLIENT)
    opened = world.create(other, "f", desired_access=Access.GENERIC_READ, share_access=ShareAccess.READ)
    assert (opened.status, opened.action) == ("SUCCESS", CreateAction.CREATED)
    assert world.wire.names() == ["f"]


@pytest.mark.parametrize(
    ("held", "how", "kept"),
    [
        ("RH", {"desired_access": Access.READ_ATTRIBUTES}, True),
        ("RWH", {"desired_access": Access.READ_ATTRIBUTES}, True),
        ("RH", {}, True),
        ("RWH", {}, False),
        ("RH", {"share_access": 0}, False),
    ],
)
def test_somebody_opens_a_file_with_a_lease(world: Any, held: str, how: dict[str, int], kept: bool) -> None:
    peer = world.come()
    file = world.create(peer, "f", world.durable_v2(), world.lease(held)).file
    peer.connection.close()
    other = world.come(OTHER_CLIENT)
    assert world.create(other, "f", requested_oplock_level=0, **how).status == "SUCCESS"
    back = world.create(world.come(), "f", world.again_v2(file), world.lease(held))
    assert back.status == ("SUCCESS" if kept else "OBJECT_NAME_NOT_FOUND")


def test_somebody_writes(world: Any) -> None:
    peer, other = world.come(), world.come(OTHER_CLIENT)
    file = world.create(peer, "f", world.durable_v2(), world.lease("RH")).file
    opened = world.create(other, "f", requested_oplock_level=0)
    peer.connection.close()
    assert len(world.server.durable) == 1
    other.write(opened.file, 0, b"x")
    assert len(world.server.durable) == 0
    assert world.create(world.come(), "f", world.again_v2(file), world.lease("RH")).status == "OBJECT_NAME_NOT_FOUND"


def test_a_lease_that_is_connected_through_another_open_is_told(world: Any) -> None:
    peer = world.come()
    file = world.create(peer, "f", world.durable_v2(), world.lease()).file
    again = world.come_back(peer)
    world.create(again, "f", world.lease())
    other = world.come(OTHER_CLIENT)
    pending = world.start(other, "f", requested_oplock_level=0)
    assert len(world.server.durable) == 1
    told = again.wait_for_break()
    again.acknowledge_lease_break(again.tree, told.lease_key, told.new_lease_state)
    assert world.finish(other, pending).status == "SUCCESS"
    back = world.create(again, "f", world.again_v2(file), world.lease())
    assert (back.status, back.lease) == ("SUCCESS", "RH")


def test_a_lock_with_a_lease_that_does_not_cover_it(world: Any) -> None:
    peer = world.come()
    file = world.create(peer, "f", world.durable_v2(), world.lease("RH")).file
    assert world.lock(peer, file, (0, 1, NOW)) == "SUCCESS"
    peer.connection.close()
    world.wire.check_nothing_is_open()


def test_the_server_stops(world: Any) -> None:
    peer = world.come()
    world.create(peer, "f", world.durable, create_options=CreateOption.DELETE_ON_CLOSE)
    world.create(peer, "g", world.durable)
    peer.connection.close()
    world.stop()
    assert world.wire.names() == ["g"]
    world.wire.check_nothing_is_open()


# Replay -------------------------------------------------------------------------------------------------------------


def test_a_create_replayed(world: Any) -> None:
    peer = world.come()
    made = world.create(peer, "f", world.durable_v2(timeout=7000))
    again = world.create(peer, "f", world.durable_v2(timeout=7000), replay=True)
    assert again.file == made.file
    assert (again.action, again.level, again.v2.timeout) == (CreateAction.CREATED, OplockLevel.BATCH, 7000)
    assert world.server.open_count == 1


def test_a_create_replayed_with_another_level(world: Any) -> None:
    """The answer is made for the request, the open stays what it is.  Windows"""
    peer = world.come()
    made = world.create(peer, "f", world.durable_v2())
    again = world.create(peer, "f", world.durable_v2(), replay=True, requested_oplock_level=OplockLevel.NONE)
    assert (again.file.persistent, again.level, again.v2) == (made.file.persistent, OplockLevel.NONE, None)


def test_the_guid_without_the_flag(world: Any) -> None:
    peer = world.come()
    world.create(peer, "f", world.durable_v2())
    assert world.create(peer, "f", world.durable_v2()).status == "DUPLICATE_OBJECTID"
    assert world.create(peer, "g", world.durable_v2()).status == "DUPLICATE_OBJECTID"


def test_another_client_may_use_the_same_guid(world: Any) -> None:
    world.create(world.come(), "f", world.durable_v2())
    assert world.create(world.come(OTHER_CLIENT), "g", world.durable_v2()).status == "SUCCESS"


def test_another_session_may_not(world: Any) -> None:
    world.create(world.come(), "f", world.durable_v2())
    assert world.create(world.come(), "f", world.durable_v2(), replay=True).status == "DUPLICATE_OBJECTID"


def test_an_open_that_was_used_is_not_replayed(world: Any) -> None:
    peer = world.come()
    made = world.create(peer, "f", world.durable_v2())
    peer.write(made.file, 0, b"x")
    assert world.create(peer, "f", world.durable_v2(), replay=True, create_disposition=2).status == (
        "OBJECT_NAME_COLLISION"
    )


@pytest.mark.parametrize(("key", "status"), [(OTHER_KEY, "ACCESS_DENIED"), (None, "SUCCESS")])
def test_a_replay_with_another_lease(world: Any, key: bytes | None, status: str) -> None:
    peer = world.come()
    made = world.create(peer, "f", world.durable_v2(), world.lease())
    contexts = [world.lease(key=key)] if key is not None else [world.lease()]
    assert world.create(peer, "f", world.durable_v2(), *contexts, replay=True).status == status
    assert made.lease == "RWH"


def test_a_replay_with_a_lease_where_there_is_an_oplock(world: Any) -> None:
    peer = world.come()
    world.create(peer, "f", world.durable_v2())
    assert world.create(peer, "f", world.durable_v2(), world.lease(), replay=True).status == "ACCESS_DENIED"


def test_a_create_whose_answer_was_lost_with_the_connection(world: Any) -> None:
    peer = world.come()
    made = world.create(peer, "f", world.durable_v2())
    again = world.come_back(peer)
    back = world.create(again, "f", world.durable_v2(), replay=True)
    assert back.file.persistent == made.file.persistent
    assert (back.action, back.v2.timeout) == (CreateAction.CREATED, 60_000)


def test_a_replay_of_what_still_runs(world: Any) -> None:
    holder, peer = world.come(OTHER_CLIENT), world.come()
    held = world.create(holder, "f")
    pending = world.start(peer, "f", world.durable_v2())
    assert world.create(peer, "f", world.durable_v2(), replay=True).status == "FILE_NOT_AVAILABLE"
    assert world.create(peer, "g", world.durable_v2()).status == "FILE_NOT_AVAILABLE"
    holder.close(held.file)
    assert world.finish(peer, pending).status == "SUCCESS"
    assert world.create(peer, "f", world.durable_v2(), replay=True).status == "SUCCESS"


def test_a_create_that_failed_can_be_tried_again(world: Any) -> None:
    peer = world.come()
    assert world.create(peer, "f", world.durable_v2(), create_disposition=1).status == "OBJECT_NAME_NOT_FOUND"
    assert world.create(peer, "f", world.durable_v2(), replay=True).status == "SUCCESS"


# Application instances ----------------------------------------------------------------------------------------------


def test_an_instance_moves(world: Any) -> None:
    old, new = world.come(), world.come(OTHER_CLIENT)
    made = world.create(old, "f", world.durable_v2(), *world.app_instance(1), share_access=0)
    moved = world.create(new, "F", world.durable_v2(), *world.app_instance(1), share_access=0)
    assert (moved.status, moved.level, moved.action) == ("SUCCESS", OplockLevel.BATCH, CreateAction.OPENED)
    assert not old.breaks
    with pytest.raises(StatusError) as refusal:
        old.close(made.file)
    assert refusal.value.status == Status.FILE_CLOSED


def test_an_instance_moves_and_its_file_goes_with_it(world: Any) -> None:
    old, new = world.come(), world.come(OTHER_CLIENT)
    options = {"create_options": CreateOption.DELETE_ON_CLOSE}
    world.create(old, "f", world.durable_v2(), *world.app_instance(1), **options)
    moved = world.create(new, "f", world.durable_v2(), *world.app_instance(1))
    assert (moved.status, moved.action) == ("SUCCESS", CreateAction.CREATED)


@pytest.mark.parametrize(
    ("old_version", "new_version", "status"),
    [((1, 0), (1, 1), "SUCCESS"), ((1, 0), (1, 0), "FILE_FORCED_CLOSED"), (None, (0, 1), "SUCCESS")],
)
def test_versions_of_instances(world: Any, old_version: Any, new_version: Any, status: str) -> None:
    old, new = world.come(), world.come(OTHER_CLIENT)
    world.create(old, "f", world.durable_v2(), *world.app_instance(1, old_version), share_access=0)
    assert world.create(new, "f", world.durable_v2(), *world.app_instance(1, new_version), share_access=0).status == (
        status
    )


def test_an_instance_without_a_durable_open_means_nothing(world: Any) -> None:
    world.create(world.come(), "f", *world.app_instance(1), requested_oplock_level=0, share_access=0)
    other = world.come(OTHER_CLIENT)
    assert world.create(other, "f", *world.app_instance(1), requested_oplock_level=0).status == "SHARING_VIOLATION"
