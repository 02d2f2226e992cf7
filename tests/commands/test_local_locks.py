"""Locks of clients and of local programs stand in each other's way, on shares where they are to."""

import errno
from collections.abc import Callable
from typing import Any

import pytest

from smbport.platform import ACCESS_READ, ACCESS_WRITE
from smbport.wire.constants import Access, Command, LockFlag
from smbport.wire.echo import CancelRequest
from smbport.wire.header import Header
from smbport.wire.lock import LockElement, LockRequest, pack_lock_request
from smbport.wire.status import Status, status_name

SHARED, EXCLUSIVE, UNLOCK, NOW = LockFlag.SHARED, LockFlag.EXCLUSIVE, LockFlag.UNLOCK, LockFlag.FAIL_IMMEDIATELY
Element = tuple[int, int, int]  # offset, length, flags


class Local:
    """A program of this machine with the file open."""

    def __init__(self, wire: Any) -> None:
        self.locks = wire.memory.range_locks
        self.file = wire.volume.open("f", ACCESS_READ | ACCESS_WRITE)

    def lock(self, offset: int, length: int = 1, *, exclusive: bool = True) -> bool:
        return bool(self.locks.lock(self.file, offset, length, exclusive=exclusive))

    def is_free(self, offset: int, *, exclusive: bool = True) -> bool:
        free = self.lock(offset, exclusive=exclusive)
        if free:
            self.locks.unlock(self.file, offset, 1)
        return free


@pytest.fixture
def wire(new_wire: Callable[..., Any]) -> Any:
    wire = new_wire(share={"local_locks": True})
    wire.make("f", bytes(100))
    return wire


@pytest.fixture
def local(wire: Any) -> Local:
    return Local(wire)


@pytest.fixture
def peer(wire: Any) -> Any:
    return opened(wire)


def opened(wire: Any) -> Any:
    peer = wire.connect()
    peer.file = peer.open("f", Access.GENERIC_ALL)
    return peer


def ask(peer: Any, *elements: Element) -> list[Header]:
    request = LockRequest(file_id_persistent=peer.file.persistent, file_id_volatile=peer.file.volatile)
    packed = [LockElement(offset=offset, length=length, flags=flags) for offset, length, flags in elements]
    return [header for header, _ in peer.send(Command.LOCK, pack_lock_request(request, packed))]


def lock(peer: Any, *elements: Element) -> str:
    [header] = ask(peer, *elements)
    return status_name(header.status).removeprefix("STATUS_")


def test_a_local_program_finds_what_clients_have_locked(peer: Any, local: Local) -> None:
    assert lock(peer, (10, 10, EXCLUSIVE | NOW), (30, 10, SHARED | NOW)) == "SUCCESS"
    assert [local.is_free(offset) for offset in (9, 10, 19, 20, 30)] == [True, False, False, True, False]
    assert local.is_free(30, exclusive=False)
    assert lock(peer, (10, 10, UNLOCK)) == "SUCCESS"
    assert local.is_free(10)
    peer.close(peer.file)
    assert local.is_free(30)


def test_not_on_other_shares(new_wire: Callable[..., Any]) -> None:
    wire = new_wire()
    wire.make("f")
    peer, local = opened(wire), Local(wire)
    assert local.lock(0)
    assert lock(peer, (0, 1, EXCLUSIVE | NOW)) == "SUCCESS"


def test_unlocking_one_of_two_that_overlap(peer: Any, local: Local) -> None:
    assert lock(peer, (10, 10, SHARED | NOW), (15, 10, SHARED | NOW)) == "SUCCESS"
    assert lock(peer, (10, 10, UNLOCK)) == "SUCCESS"
    assert [local.is_free(offset) for offset in (10, 14, 15, 24, 25)] == [True, True, False, False, True]


def test_a_shared_lock_on_an_exclusive_one_does_not_weaken_it(peer: Any, local: Local) -> None:
    assert lock(peer, (10, 10, EXCLUSIVE | NOW)) == "SUCCESS"
    assert lock(peer, (10, 10, SHARED | NOW)) == "SUCCESS"
    assert not local.is_free(10, exclusive=False)
    assert lock(peer, (10, 10, UNLOCK)) == "SUCCESS"  # the exclusive one goes first
    assert local.is_free(10, exclusive=False)
    assert not local.is_free(10)


def test_a_local_lock_refuses_who_cannot_wait(wire: Any, peer: Any, local: Local) -> None:
    """All or nothing, for other clients too."""
    assert local.lock(20)
    assert lock(peer, (0, 5, EXCLUSIVE | NOW), (20, 1, SHARED | NOW)) == "LOCK_NOT_GRANTED"
    assert local.is_free(0)
    assert lock(opened(wire), (0, 30, SHARED | NOW)) == "LOCK_NOT_GRANTED"
    assert lock(opened(wire), (0, 20, EXCLUSIVE | NOW)) == "SUCCESS"


def test_what_was_held_before_a_refusal_stays(peer: Any, local: Local) -> None:
    assert lock(peer, (10, 10, SHARED | NOW)) == "SUCCESS"
    assert local.lock(25)
    assert lock(peer, (12, 20, SHARED | NOW)) == "LOCK_NOT_GRANTED"
    assert [local.is_free(offset) for offset in (9, 10, 12, 19, 20)] == [True, False, False, False, True]


def test_waiting_for_a_local_program(wire: Any, peer: Any, local: Local) -> None:
    assert local.lock(0)
    [pending] = ask(peer, (0, 1, EXCLUSIVE))
    assert pending.status == Status.PENDING
    assert peer.connection.resume(expire=True) == []  # asked again, and it is still locked
    assert lock(opened(wire), (0, 1, EXCLUSIVE | NOW)) == "LOCK_NOT_GRANTED"
    local.locks.unlock(local.file, 0, 1)
    [frame] = peer.connection.resume(expire=True)
    assert Header.unpack_from(frame).status == Status.SUCCESS
    assert not local.is_free(0)


def test_giving_up_waiting_for_a_local_program(peer: Any, local: Local) -> None:
    assert local.lock(0)
    [pending] = ask(peer, (0, 1, EXCLUSIVE))
    [(answer, _)] = peer.frames(peer.message(Command.CANCEL, CancelRequest().pack(), message_id=pending.message_id))
    assert answer.status == Status.CANCELLED
    local.locks.unlock(local.file, 0, 1)
    assert local.is_free(0)


def test_a_close_ends_the_wait(wire: Any, peer: Any, local: Local) -> None:
    assert local.lock(0)
    [pending] = ask(peer, (0, 1, EXCLUSIVE))
    assert pending.status == Status.PENDING
    peer.close(peer.file)
    [frame] = peer.connection.resume(expire=True)
    assert Header.unpack_from(frame).status == Status.RANGE_NOT_LOCKED
    local.file.close()
    wire.check_nothing_is_open()


def test_a_system_that_has_no_locks_left(wire: Any, peer: Any, local: Local) -> None:
    wire.faults.fail("RangeLocks.lock", errno.ENOSPC)
    assert lock(peer, (0, 1, EXCLUSIVE | NOW)) == "DISK_FULL"
    wire.faults.clear()
    assert lock(opened(wire), (0, 1, EXCLUSIVE | NOW)) == "SUCCESS"
