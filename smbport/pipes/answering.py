"""What operations that end with an NTSTATUS have in common, and whom they answer."""

from collections.abc import Callable

from smbport.pipes.ndr import NdrReader, NdrWriter
from smbport.pipes.rpc import Operation
from smbport.pipes.server_info import ServerInfo
from smbport.security.names import Names
from smbport.wire.status import Status, StatusError

__all__ = ["answering", "names_of"]


def answering(operation: Callable[[ServerInfo, NdrReader, NdrWriter], int], empty: bytes) -> Operation:
    """The operation with its status behind the answer; `empty` is the answer of one that is refused."""

    def answer(server: ServerInfo, stub: NdrReader) -> bytes:
        out = NdrWriter()
        try:
            status = operation(server, stub, out)
        except StatusError as error:
            return empty + error.status.to_bytes(4, "little")
        out.u32(status)
        return out.getvalue()

    return answer


def names_of(server: ServerInfo) -> Names:
    """What may be asked for; ACCESS_DENIED for the anonymous."""
    if server.names is None:
        raise StatusError(Status.ACCESS_DENIED)
    return server.names
