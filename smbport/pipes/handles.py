"""Context handles that hold nothing: what one stands for is written in it, so there is nothing to run out of.

Who makes one up has what he would have got by asking, for every call checks who asks.
"""

from typing import Final, NamedTuple

from smbport.pipes.ndr import HANDLE_SIZE, NdrReader
from smbport.wire.status import Status, StatusError

__all__ = ["CLOSED", "Handle", "open_handle"]

CLOSED: Final = bytes(HANDLE_SIZE)
_MARK: Final = b"smbport\0"


class Handle(NamedTuple):
    """What a client has open."""

    kind: bytes  # four letters
    value: int = 0

    def pack(self) -> bytes:
        return bytes(4) + self.kind + self.value.to_bytes(4, "little") + _MARK


def open_handle(stub: NdrReader, *kinds: bytes) -> Handle:
    """The handle that a request begins with.  Raises StatusError(INVALID_HANDLE) if it is of no such kind."""
    data = stub.handle()
    handle = Handle(data[4:8], int.from_bytes(data[8:12], "little"))
    if handle.pack() != data or handle.kind not in kinds:
        raise StatusError(Status.INVALID_HANDLE)
    return handle
