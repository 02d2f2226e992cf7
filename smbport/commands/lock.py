"""LOCK: byte ranges.  [MS-SMB2] 3.3.5.14"""

from collections.abc import Sequence
from typing import Final

from smbport.commands.call import Call, Reply
from smbport.commands.oplock_break import stop_caching
from smbport.commands.steps import waiting
from smbport.state.open import FileOpen
from smbport.wire.constants import LockFlag
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
    if elements[0].flags & LockFlag.UNLOCK:
        _unlock(opened, elements)
        return _REPLY
    _check_elements(elements)
    if len(opened.shared.locks) + len(elements) > call.server.settings.limits.locks_per_open:
        raise StatusError(Status.INSUFFICIENT_RESOURCES, "too many locks")
    if not _try_all(opened, elements):
        if elements[0].flags & LockFlag.FAIL_IMMEDIATELY:
            raise StatusError(Status.LOCK_NOT_GRANTED)
        await _wait_for(call, opened, elements[0])
    if opened.shared.oplocks:
        stop_caching(call.server, opened)
    return _REPLY


def _unlock(opened: FileOpen, elements: Sequence[LockElement]) -> None:
    """Release range by range; what was released before a bad element stays released.  [MS-SMB2] 3.3.5.14.1"""
    try:
        for element in elements:
            if element.flags != LockFlag.UNLOCK:
                raise StatusError(Status.INVALID_PARAMETER, "locks and unlocks in one request")
            if not opened.shared.locks.unlock(opened, element.offset, element.length):
                raise StatusError(Status.RANGE_NOT_LOCKED)
    finally:
        opened.shared.wake_waiters()


def _check_elements(elements: Sequence[LockElement]) -> None:
    """[MS-SMB2] 3.3.5.14.2, [MS-FSA] 2.1.5.8"""
    for element in elements:
        if element.flags not in _EXCLUSIVE + _SHARED:
            raise StatusError(Status.INVALID_PARAMETER, f"lock flags 0x{element.flags:x}")
        if len(elements) > 1 and not element.flags & LockFlag.FAIL_IMMEDIATELY:
            raise StatusError(Status.INVALID_PARAMETER, "only a single lock may wait")
        if element.length and element.offset + element.length > 1 << 64:
            raise StatusError(Status.INVALID_LOCK_RANGE)


def _try_all(opened: FileOpen, elements: Sequence[LockElement]) -> bool:
    """Lock every element or none."""
    locks = opened.shared.locks
    for index, element in enumerate(elements):
        exclusive = element.flags in _EXCLUSIVE
        if not locks.try_lock(opened, element.offset, element.length, exclusive=exclusive):
            for granted in elements[:index]:
                locks.unlock_newest(opened, granted.offset, granted.length)
            return False
    return True


async def _wait_for(call: Call, opened: FileOpen, element: LockElement) -> None:
    """Wait until the range is free.  A close of the open ends the wait with RANGE_NOT_LOCKED, as Windows does."""
    shared = opened.shared
    while True:
        event = call.server.runtime.new_event()
        shared.waiters.append(event)
        try:
            await waiting(event)
        finally:
            if event in shared.waiters:
                shared.waiters.remove(event)
        if opened.closed:
            raise StatusError(Status.RANGE_NOT_LOCKED)
        if _try_all(opened, [element]):
            return
