"""Previous versions: a share as it was when a snapshot of its volume was taken.  [MS-SMB2] 2.2.13.2.7, 3.3.5.9

A client asks for one with a create context, or by a part of a name such as @GMT-2026.01.31-18.30.00.  What it opens
then belongs to a tree of its own: `enter_snapshot` makes it, with a volume that lives as long as the open.

A program that asks for the right to write gets it, as on Windows; what it writes is refused.
"""

import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from smbport.commands.call import Call
from smbport.commands.contexts.request import Contexts
from smbport.commands.steps import blocking
from smbport.platform import SnapshotLayout, Snapshots
from smbport.state.tree import TreeConnect
from smbport.wire.constants import OplockLevel
from smbport.wire.create import CreateRequest
from smbport.wire.status import Status, StatusError
from smbport.wire.text import ns_from_filetime

__all__ = [
    "TOKEN_MARK",
    "ask_nothing_lasting",
    "enter_snapshot",
    "find_times",
    "names_snapshot",
    "split_token",
    "token",
]

TOKEN_MARK: Final = "@GMT-"
FORMAT: Final = "@GMT-%Y.%m.%d-%H.%M.%S"
SECOND_NS: Final = 10**9
_TOKEN: Final = re.compile(
    r"(?:^|\\)@GMT-([0-9]{4})\.([0-9]{2})\.([0-9]{2})-([0-9]{2})\.([0-9]{2})\.([0-9]{2})(?=\\|$)"
)


def token(time_ns: int) -> str:
    """The name of a snapshot as clients know it."""
    return datetime.fromtimestamp(time_ns // SECOND_NS, UTC).strftime(FORMAT)


def split_token(text: str) -> tuple[str, int | None]:
    """A name without the part that names a snapshot, and the time that this says; None if there is no such part."""
    found = _TOKEN.search(text)
    if found is None:
        return text, None
    year, month, day, hour, minute, second = map(int, found.groups())
    try:
        taken = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:  # it names a thirteenth month, so it is the name of something else
        return text, None
    rest = text[: found.start()] + text[found.end() :]
    return rest.removeprefix("\\"), int(taken.timestamp()) * SECOND_NS


def names_snapshot(text: str) -> bool:
    """Whether a part of a name does so."""
    return split_token(text)[1] is not None


def _power(call: Call, tree: TreeConnect) -> tuple[Snapshots, SnapshotLayout] | None:
    snapshots, layout = call.server.platform.snapshots, tree.share.snapshots
    return None if snapshots is None or layout is None else (snapshots, layout)


async def find_times(call: Call, tree: TreeConnect) -> list[int]:
    """When snapshots of a share were taken, in nanoseconds, newest first."""
    power = _power(call, tree)
    if power is None:
        return []
    snapshots, layout = power
    return await blocking(snapshots.times, tree.share.settings.path, layout)


async def enter_snapshot(call: Call, tree: TreeConnect, filetime: int, time_ns: int | None) -> TreeConnect:
    """The tree as it was at a time, that of the create context if there is one.  Raises OBJECT_NAME_NOT_FOUND.

    The caller closes it unless an open takes it over.
    """
    power = _power(call, tree)
    if power is None:
        raise StatusError(Status.OBJECT_NAME_NOT_FOUND, "no snapshots")
    snapshots, layout = power
    if filetime or time_ns is None:
        time_ns = ns_from_filetime(filetime)
    time_ns -= time_ns % SECOND_NS
    try:
        volume = await blocking(snapshots.open, tree.share.settings.path, layout, time_ns)
    except (FileNotFoundError, NotADirectoryError):
        raise StatusError(Status.OBJECT_NAME_NOT_FOUND, "no snapshot of that time") from None
    return tree.as_of(volume, time_ns)


def ask_nothing_lasting(request: CreateRequest, contexts: Contexts) -> Contexts:
    """Nothing changes in a snapshot, but it may go any time: nobody caches what is in it, or keeps it open."""
    request.requested_oplock_level = OplockLevel.NONE
    return replace(contexts, timewarp=0, lease=None, durable=False, durable_v2=None, app_instance_id=None)
