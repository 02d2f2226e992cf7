"""The part of CREATE that talks to the platform where a named stream is meant: the file first, then its stream.

The file is opened as if for itself, with the rights that are asked for of the stream, because a stream has no others.
Only the disposition means the stream; a file that is missing is made with it.  [MS-FSA] 2.1.5.1
"""

from contextlib import suppress
from dataclasses import replace
from typing import Final

from smbport.commands.attributes import file_attributes
from smbport.commands.open_node import CREATING, OVERWRITING, Opened, Plan, open_node, undo
from smbport.platform import Node, Streams, Volume
from smbport.state.names import fold
from smbport.wire.constants import Access, CreateAction, CreateDisposition, FileAttribute
from smbport.wire.status import Status, StatusError

__all__ = ["find_stream", "open_stream", "take_back"]

_ACTIONS: Final = {
    CreateDisposition.OVERWRITE: CreateAction.OVERWRITTEN,
    CreateDisposition.OVERWRITE_IF: CreateAction.OVERWRITTEN,
    CreateDisposition.SUPERSEDE: CreateAction.SUPERSEDED,
}


def open_stream(volume: Volume, plan: Plan, streams: Streams, *, wait: bool = False) -> Opened:
    """Open or make the stream.  Raises StatusError or OSError; then nothing is open and nothing was made."""
    of_file = replace(
        plan,
        disposition=CreateDisposition.OPEN_IF if plan.disposition in CREATING else CreateDisposition.OPEN,
        must_be_file=False,
        allocation_size=0,
        implied=Access.WRITE_DATA if plan.disposition in OVERWRITING else 0,
    )
    opened = open_node(volume, of_file, wait=wait)
    opened.made_file = opened.action == CreateAction.CREATED
    opened.base = opened.node
    try:
        opened.stream = find_stream(streams, opened.node, plan.stream, wait=wait) or ""
        if opened.stream:
            if plan.disposition == CreateDisposition.CREATE:
                raise StatusError(Status.OBJECT_NAME_COLLISION)
            opened.node = streams.open(opened.node, opened.stream, wait=wait)
            opened.action = _ACTIONS.get(plan.disposition, CreateAction.OPENED)
        else:
            _check_making(plan, opened)
            opened.stream = plan.stream
            opened.node = streams.create(opened.node, plan.stream, wait=wait)
            opened.action = CreateAction.CREATED
        opened.stat = opened.node.stat()
    except (StatusError, OSError):
        if opened.made_file:
            governor = plan.descriptors if opened.governed else None
            undo(volume if governor is None else governor.volume, opened.path, opened.node)
        else:
            opened.node.close()
        raise
    return opened


def find_stream(streams: Streams, node: Node, name: str, *, wait: bool = False) -> str | None:
    """The spelling of a stream that the file has; None if it has none of that name."""
    names = [entry.name for entry in streams.entries(node, wait=wait)]
    if name in names:
        return name
    wanted = fold(name)
    return next((other for other in names if fold(other) == wanted), None)


def take_back(streams: Streams, opened: Opened, *, wait: bool = False) -> None:
    """Remove a stream that was made and that nobody is to have."""
    assert opened.base is not None
    with suppress(FileNotFoundError):
        streams.remove(opened.base, opened.stream, wait=wait)


def _check_making(plan: Plan, opened: Opened) -> None:
    """A new stream is written to the file, whatever the client wants to do with it afterwards."""
    if plan.disposition not in CREATING:
        raise StatusError(Status.OBJECT_NAME_NOT_FOUND)
    if not plan.writable:
        raise StatusError(Status.ACCESS_DENIED, "the share is read-only")
    if opened.made_file:
        return
    base = opened.node
    if not base.is_directory and file_attributes(opened.stat, opened.path) & FileAttribute.READONLY:
        raise StatusError(Status.ACCESS_DENIED, "the file is marked read-only")
    if opened.governed and opened.maximal_access is not None and not opened.maximal_access & Access.WRITE_DATA:
        raise StatusError(Status.ACCESS_DENIED, "the descriptor of the file does not let this user write")
