"""The named pipes of IPC$: a fixed table of names, and the pipe that an open holds.  [MS-RPCE] 2.1.1.2"""

from collections.abc import Callable, Mapping
from typing import Final

from smbport.pipes.lsarpc import LSARPC
from smbport.pipes.rpc import Association, Interface
from smbport.pipes.samr import SAMR
from smbport.pipes.server_info import ServerInfo, ShareInfo
from smbport.pipes.srvsvc import SRVSVC
from smbport.pipes.wkssvc import WKSSVC
from smbport.wire.record import Buffer
from smbport.wire.status import Status, StatusError

__all__ = ["Pipe", "ServerInfo", "ShareInfo", "open_pipe"]

_INTERFACES: Final[Mapping[str, Interface]] = {
    "lsarpc": LSARPC,
    "samr": SAMR,
    "srvsvc": SRVSVC,
    "wkssvc": WKSSVC,
}

_MAX_WRITE: Final = 65536  # bytes in one write (guessed): clients write a fragment at a time, no time for more


def open_pipe(
    name: str, describe: Callable[[], ServerInfo], *, max_fragment: int = 4280, max_request: int = 4 << 20
) -> "Pipe | None":
    """The pipe of that name, in any spelling clients use: "srvsvc", "\\srvsvc", "PIPE\\srvsvc".  None: no such pipe.

    `describe` is called once per call that a client makes.  `max_fragment` bounds the PDUs we send and announce,
    at least 1024 bytes; `max_request` the stub of one request.
    """
    bare = name.lower().removeprefix("\\").removeprefix("pipe\\")
    interface = _INTERFACES.get(bare)
    if interface is None:
        return None
    return Pipe(bare, Association(interface, f"\\PIPE\\{bare}", describe, max_fragment, max_request))


class Pipe:
    """A pipe in message mode: one answer PDU is one message.

    A broken pipe still hands out what was answered before it broke, and then raises PIPE_BROKEN.
    """

    __slots__ = ("_association", "_offset", "name")

    def __init__(self, name: str, association: Association) -> None:
        self.name = name
        self._association = association
        self._offset = 0  # of what is still to be read of the oldest answer

    def write(self, data: Buffer) -> None:
        """Take PDUs or parts of PDUs, and answer the requests that are complete.

        Raises StatusError: PIPE_BROKEN, or INVALID_PARAMETER for more bytes than any client writes at once.
        """
        if self._association.closed:
            raise StatusError(Status.PIPE_BROKEN)
        if len(data) > _MAX_WRITE:
            raise StatusError(Status.INVALID_PARAMETER, f"{len(data)} bytes to a pipe")
        self._association.feed(data)

    def read(self, max_length: int) -> tuple[bytes, bool]:
        """Bytes of the oldest answer, and whether more of the same answer remains; (b"", False): none is there."""
        answers = self._association.answers
        if not answers:
            if self._association.closed:
                raise StatusError(Status.PIPE_BROKEN)
            return b"", False
        message = answers[0]
        start, end = self._offset, self._offset + max_length
        if end < len(message):
            self._offset = end
            return message[start:end], True
        self._offset = 0
        answers.popleft()
        return message[start:], False

    def available(self) -> int:
        """Bytes of all answers not yet read."""
        return sum(map(len, self._association.answers)) - self._offset

    def is_ready(self) -> bool:
        """Whether `read` has an answer, or raises PIPE_BROKEN."""
        return bool(self._association.answers) or self._association.closed

    def transceive(self, data: Buffer, max_length: int) -> tuple[bytes, bool]:
        """A write and a read in one.  PIPE_BUSY if an earlier answer was not read.  [MS-FSCC] 2.3.48"""
        if self._association.answers:
            raise StatusError(Status.PIPE_BUSY)
        self.write(data)
        return self.read(max_length)
