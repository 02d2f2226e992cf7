"""FileBasicInformation's -1, -2 and times: which of them stand still for one open.  [MS-FSA] 2.1.5.15.2

Like NTFS, a time that was set stands still as well: a client that caches sets the time of a copy first and writes
what is left of it later.  Not so for clients with the POSIX extensions, whose programs know nothing of this.
CreationTime never moves, and ChangeTime only by what state/change_times.py does not know.
"""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from smbport.commands.call import log
from smbport.commands.steps import blocking
from smbport.state.frozen_times import FrozenTimes
from smbport.state.open import FileOpen
from smbport.wire.fscc import FileBasicInformation, SetTime
from smbport.wire.status import StatusError

__all__ = ["freeze", "held_change_time", "keeping_times"]

T = TypeVar("T")


def held_change_time(opened: FileOpen, asked: int) -> int | None:
    """The ChangeTime that setting FileBasicInformation may not move, in ns; None if it may, or sets another."""
    held = opened.frozen is not None and opened.frozen.change
    if asked == SetTime.FREEZE or (held and asked == SetTime.UNCHANGED):
        return opened.tree.share.change_times.seen(opened.node.stat()).change_ns
    return None


def freeze(opened: FileOpen, wanted: FileBasicInformation) -> None:
    """Note which times are to stand still from now on; those that are times are already set."""
    now = opened.frozen or FrozenTimes(access=False, write=False, change=False)
    stays = FrozenTimes(
        access=_stands(opened, wanted.last_access_time, already=now.access),
        write=_stands(opened, wanted.last_write_time, already=now.write),
        change=_stands(opened, wanted.change_time, already=now.change),
    )
    opened.frozen = stays if stays.access or stays.write or stays.change else None


def _stands(opened: FileOpen, asked: int, *, already: bool) -> bool:
    if asked == SetTime.UNCHANGED or (opened.posix and asked not in (SetTime.FREEZE, SetTime.THAW)):
        return already
    return asked != SetTime.THAW


async def keeping_times(opened: FileOpen, action: Callable[[], Awaitable[T]]) -> T:
    """Do something that moves the times of the file, and put back those that stand still."""
    frozen = opened.frozen
    if frozen is None:
        return await action()
    frozen.begin(opened.tree.share.change_times.seen(opened.node.stat()))
    failure: BaseException | None = None
    try:
        result = await action()
    except (OSError, StatusError, ValueError, GeneratorExit) as error:  # the last one ends requests of lost connections
        failure = error
    await _put_back(opened, frozen)
    if failure is not None:
        raise failure
    return result


async def _put_back(opened: FileOpen, frozen: FrozenTimes) -> None:
    node = opened.node
    access_ns, write_ns = frozen.end()
    try:
        if access_ns is not None or write_ns is not None:
            await blocking(node.set_times, access_ns, write_ns)
    except PermissionError as error:  # what was done stands; only an owner can give a file a time
        log.warning("%s cannot hold the times of %s: %s", opened.session_name, opened.path, error)
        opened.frozen = None
    if frozen.change:
        opened.tree.share.change_times.choose(node.stat(), frozen.change_ns)
