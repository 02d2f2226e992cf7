"""LOCK: byte ranges.  [MS-SMB2] 3.3.5.14"""

from collections.abc import Sequence
from typing import Final

from smbport.commands.call import Call, Reply
from smbport.commands.local_locks import ASK_AGAIN_S, lock_locally, unlock_locally
from smbport.commands.oplock_break import stop_caching
from smbport.commands.steps import waiting
from smbport.state.lock_sequences import LockSequences
from smbport.state.open import FileOpen
from smbport.state.ranges import HeldLock
from smbport.wire.constants import Capability, LockFlag
from smbport.wire.lock import LockElement, LockRequest, LockResponse, lock_elements
from smbport.wire.status import Status, StatusError

__all__ = ["lock"]

_EXCLUSIVE: Final = (LockFlag.EXCLUSIVE, LockFlag.EXCLUSIVE | LockFlag.FAIL_IMMEDIATELY)
_SHARED: Final = (LockFlag.SHARED, LockFlag.SHARED | LockFlag.FAIL_IMMEDIATELY)
_REPLY: Final = Reply(LockResponse())


async def lock(call: Call, request: LockRequest) -> Reply:
    """[MS-SMB2] 3.3.5.14"""
    opened = call.file
    elements = lock_elements(call.message, request)
    if not elements:
        raise StatusError(Status.INVALID_PARAMETER, "no lock elements")
    if opened.is_directory:
        raise StatusError(Status.INVALID_DEVICE_REQUEST)
    sequences = _sequences(call, opened)
    if sequences is not None and sequences.is_replay(request.lock_sequence):
        return _REPLY
    if elements[0].flags & LockFlag.UNLOCK:
        await _unlock(call, opened, elements)
    elif call.session.expired:
        raise StatusError(Status.NETWORK_SESSION_EXPIRED)
    else:
        _check_elements(elements)
        _check_room(call, opened, len(elements))
        await _lock(call, opened, elements)
    if sequences is not None:
        sequences.note(request.lock_sequence)
    return _REPLY


def _sequences(call: Call, opened: FileOpen) -> LockSequences | None:
    """The lock sequences of an open whose client may have to send a LOCK twice.

    As the specification has it: Windows looks at them only for resilient and persistent opens.
    """
    durability = opened.durability
    promised = durability is not None and durability.is_promised
    if not promised and not call.connection.capabilities & Capability.MULTI_CHANNEL:
        return None
    if opened.lock_sequences is None:
        opened.lock_sequences = LockSequences()
    return opened.lock_sequences


async def _unlock(call: Call, opened: FileOpen, elements: Sequence[LockElement]) -> None:
    """Release range by range; what was released before a bad element stays released.  [MS-SMB2] 3.3.5.14.1"""
    locks = opened.shared.locks
    try:
        for element in elements:
            if element.flags != LockFlag.UNLOCK:
                raise StatusError(Status.INVALID_PARAMETER, "locks and unlocks in one request")
            unlocked = locks.unlock(opened, element.offset, element.length)
            if unlocked is None:
                raise StatusError(Status.RANGE_NOT_LOCKED)
            call.server.unsaved.note_lock(opened, unlocked, -1)
            await unlock_locally(call.server, opened, unlocked)
    finally:
        locks.grant_waiting()


def _check_elements(elements: Sequence[LockElement]) -> None:
    """[MS-SMB2] 3.3.5.14.2, [MS-FSA] 2.1.5.8"""
    for element in elements:
        if element.flags not in _EXCLUSIVE + _SHARED:
            raise StatusError(Status.INVALID_PARAMETER, f"lock flags 0x{element.flags:x}")
        if len(elements) > 1 and not element.flags & LockFlag.FAIL_IMMEDIATELY:
            raise StatusError(Status.INVALID_PARAMETER, "only a single lock may wait")
        if element.length and element.offset + element.length > 1 << 64:
            raise StatusError(Status.INVALID_LOCK_RANGE)


def _check_room(call: Call, opened: FileOpen, wanted: int) -> None:
    """Nobody may fill the memory with locks, alone or together."""
    limits, locks = call.server.settings.limits, opened.shared.locks
    if locks.count(opened) + wanted > limits.locks_per_open or len(locks) + wanted > limits.locks_per_file:
        raise StatusError(Status.INSUFFICIENT_RESOURCES, "too many locks")


async def _lock(call: Call, opened: FileOpen, elements: Sequence[LockElement]) -> None:
    """Lock every element or none; a single one may wait, for other clients and then for local programs."""
    wanted = [HeldLock(element.offset, element.length, element.flags in _EXCLUSIVE) for element in elements]
    patient = not elements[0].flags & LockFlag.FAIL_IMMEDIATELY
    while not await _grant(call, opened, wanted, patient=patient):
        await waiting(call.server.runtime.new_event(), ASK_AGAIN_S)
        if opened.closed:
            raise StatusError(Status.RANGE_NOT_LOCKED)
    for lock in wanted:
        call.server.unsaved.note_lock(opened, lock, 1)
    if opened.shared.oplocks:
        stop_caching(call.server, opened)


async def _grant(call: Call, opened: FileOpen, wanted: Sequence[HeldLock], *, patient: bool) -> bool:
    """Who is patient waits for other clients here; False if he has to wait for a local program, and has nothing yet."""
    if not _try_all(opened, wanted):
        if not patient:
            raise StatusError(Status.LOCK_NOT_GRANTED)
        await _wait_for(call, opened, wanted[0])
    granted = False
    failure: BaseException | None = None
    try:
        granted = await lock_locally(call.server, opened, wanted)
    except (OSError, StatusError, GeneratorExit) as error:  # the last one ends requests of lost connections
        failure = error
    if not granted:
        await _give_back(call, opened, wanted)
    if failure is not None:
        raise failure
    if opened.closed:
        raise StatusError(Status.RANGE_NOT_LOCKED)
    if not granted and not patient:
        raise StatusError(Status.LOCK_NOT_GRANTED)
    return granted


def _try_all(opened: FileOpen, wanted: Sequence[HeldLock]) -> bool:
    locks = opened.shared.locks
    for index, lock in enumerate(wanted):
        if not locks.try_lock(opened, lock.offset, lock.length, exclusive=lock.exclusive):
            for granted in wanted[:index]:
                locks.unlock_newest(opened, granted.offset, granted.length)
            return False
    return True


async def _give_back(call: Call, opened: FileOpen, granted: Sequence[HeldLock]) -> None:
    """Other clients do not stand against it, but a local program does."""
    if opened.closed:
        return
    locks = opened.shared.locks
    for lock in granted:
        locks.unlock_newest(opened, lock.offset, lock.length)
    for lock in granted:
        await unlock_locally(call.server, opened, lock)
    locks.grant_waiting()


async def _wait_for(call: Call, opened: FileOpen, wanted: HeldLock) -> None:
    """Wait in the queue.  A close of the open ends the wait with RANGE_NOT_LOCKED, as Windows does."""
    locks = opened.shared.locks
    if len(locks.queue) >= call.server.settings.limits.lock_waits_per_file:
        raise StatusError(Status.INSUFFICIENT_RESOURCES, "too many locks are waited for")
    waiter = locks.wait(opened, wanted, call.server.runtime.new_event())
    waited = False
    try:
        await waiting(waiter.event)
        waited = True
    finally:
        locks.stop_waiting(waiter)
        if waiter.granted and not waited and not opened.closed:  # the lock and a CANCEL crossed: the client has none
            locks.unlock_newest(opened, wanted.offset, wanted.length)
            locks.grant_waiting()
    if opened.closed or not waiter.granted:
        raise StatusError(Status.RANGE_NOT_LOCKED)
