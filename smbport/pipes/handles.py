"""Context handles: what the client of one pipe has open, in the association's own table.  [C706] 14.2.16.6"""

from itertools import count
from typing import Final, NamedTuple

from smbport.wire.record import BadStructure
from smbport.wire.status import Status, StatusError

__all__ = ["CLOSED", "HANDLE_SIZE", "BadHandle", "Handle", "Handles"]

HANDLE_SIZE: Final = 20
CLOSED: Final = bytes(HANDLE_SIZE)
MAX_HANDLES: Final = 1024  # open on one pipe (guessed); clients close theirs

_NUMBERS: Final = count(1)  # of all pipes, so that the handle of one means nothing on another


class BadHandle(BadStructure):
    """Bytes that stand for nothing that is open here."""


class Handle(NamedTuple):
    """What a client has open."""

    kind: bytes  # four letters
    value: int = 0


class Handles:
    """The open handles of one association.  They grant nothing: every call checks who asks."""

    __slots__ = ("_open",)

    def __init__(self) -> None:
        self._open: dict[bytes, Handle] = {}

    def open(self, kind: bytes, value: int = 0) -> bytes:
        """A new one as it stands on the wire.  Raises StatusError(INSUFFICIENT_RESOURCES) if there are too many."""
        if len(self._open) >= MAX_HANDLES:
            raise StatusError(Status.INSUFFICIENT_RESOURCES, "too many handles")
        data = next(_NUMBERS).to_bytes(HANDLE_SIZE, "big")
        self._open[data] = Handle(kind, value)
        return data

    def find(self, data: bytes, *kinds: bytes) -> Handle:
        """Raises BadHandle if it is not open, and StatusError(INVALID_HANDLE) if it is of no such kind."""
        handle = self._open.get(data)
        if handle is None:
            raise BadHandle("a handle that is not open")
        if handle.kind not in kinds:
            raise StatusError(Status.INVALID_HANDLE)
        return handle

    def close(self, data: bytes) -> None:
        """Raises BadHandle if it is not open."""
        if self._open.pop(data, None) is None:
            raise BadHandle("a handle that is not open")
