"""Byte ranges that local programs must see locked, on shares with `local_locks`.

Clients are kept apart by `state.ranges`, which knows the rules of SMB; what an open has locked there is locked in the
system as well, for programs that ask for it (fcntl locks are advisory).  The system knows other rules: locks of one
handle replace each other, and a wait there cannot be cancelled.  So after every change the bytes in question are set
to what the open still holds of them, and who has to wait for a local program asks again and again.
"""

from collections.abc import Sequence
from typing import Final

from smbport.commands.steps import blocking
from smbport.platform import File, RangeLocks
from smbport.state.open import FileOpen
from smbport.state.ranges import HeldLock, Part
from smbport.state.server import Server

__all__ = ["ASK_AGAIN_S", "lock_locally", "unlock_locally"]

ASK_AGAIN_S: Final = 0.25  # guessed: what a person does not notice, and costs a thousandth of a processor


async def lock_locally(server: Server, opened: FileOpen, locks: Sequence[HeldLock]) -> bool:
    """Lock for local programs what the open was granted; False, and nothing of it, if one of them stands against it."""
    power = _power(server, opened)
    if power is None:
        return True
    parts = [part for lock in locks for part in opened.shared.locks.parts(opened, lock.offset, lock.length)]
    return await blocking(_set, power, opened.file, parts)


async def unlock_locally(server: Server, opened: FileOpen, lock: HeldLock) -> None:
    """What `lock` covered is locked for local programs only as far as other locks of the open cover it."""
    power = _power(server, opened)
    if power is not None:
        await blocking(_set, power, opened.file, opened.shared.locks.parts(opened, lock.offset, lock.length))


def _power(server: Server, opened: FileOpen) -> RangeLocks | None:
    return server.platform.range_locks if opened.tree.share.settings.local_locks else None


def _set(power: RangeLocks, file: File, parts: Sequence[Part], *, wait: bool = False) -> bool:
    for part in parts:
        offset, length = part.start, part.end - part.start
        if part.exclusive is None:
            power.unlock(file, offset, length, wait=wait)
        elif not power.lock(file, offset, length, exclusive=part.exclusive, wait=wait):
            return False
    return True
