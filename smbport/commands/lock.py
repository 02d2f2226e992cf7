"""LOCK: byte ranges.  [MS-SMB2] 3.3.5.14"""

from collections.abc import Sequence
from typing import Final

from smbport.commands.call import Call, Reply
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
        _unlock(call, opened, elements)
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


def _unlock(call: Call, opened: FileOpen, elements: Sequence[LockElement]) -> None:
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
    """Lock every element or none; a single one may wait."""
    if not _try_all(opened, elements):
        if elements[0].flags & LockFlag.FAIL_IMMEDIATELY:
            raise StatusError(Status.LOCK_NOT_GRANTED)
        await _wait_for(call, opened, elements[0])
    for element in elements:
        call.server.unsaved.note_lock(opened, _wanted(element), 1)
    if opened.shared.oplocks:
        stop_caching(call.server, opened)


def _wanted(element: LockElement) -> HeldLock:
    return HeldLock(element.offset, element.length, element.flags in _EXCLUSIVE)


def _try_all(opened: FileOpen, elements: Sequence[LockElement]) -> bool:
    locks = opened.shared.locks
    for index, element in enumerate(elements):
        exclusive = element.flags in _EXCLUSIVE
        if not locks.try_lock(opened, element.offset, element.length, exclusive=exclusive):
            for granted in elements[:index]:
                locks.unlock_newest(opened, granted.offset, granted.length)
            return False
    return True


async def _wait_for(call: Call, opened: FileOpen, element: LockElement) -> None:
    """Wait in the queue.  A close of the open ends the wait with RANGE_NOT_LOCKED, as Windows does."""
    locks = opened.shared.locks
    if len(locks.queue) >= call.server.settings.limits.lock_waits_per_file:
        raise StatusError(Status.INSUFFICIENT_RESOURCES, "too many locks are waited for")
    wanted = _wanted(element)
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
