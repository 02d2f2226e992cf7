"""The pipes of IPC$ as a kernel hands them over: by number, one fragment at a time, never an error.

An error status from here would make clients give up the connection, so what goes wrong is told inside the pipe, as a
fault of DCE/RPC.  The kernel cuts an answer to what the client asked for and forgets the rest; so no fragment is
longer than clients ask for.
"""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from math import inf
from typing import Final

import trio

from smbport.control.rules import Rules
from smbport.pipes.pipe import Pipe, open_pipe
from smbport.pipes.rpc import Fault, PduFlag, PduHeader, PduType
from smbport.pipes.server_info import ServerInfo, describe_server
from smbport.security.auth import UserDatabase
from smbport.security.names import Names
from smbport.wire.status import StatusError

__all__ = ["KernelPipes", "describe"]

MAX_FRAGMENT: Final = 1024  # bytes: Windows' clients take no more of a pipe at once
MAX_PIPES: Final = 4096  # guessed; each takes memory here and in the kernel
MAX_READ_WAIT_S: Final = 1.5  # ksmbd waits 2
QUIET_S: Final = 0.2  # guessed: longer than a client takes from one write to the next
LITTLE_ENDIAN: Final = b"\x10\x00\x00\x00"  # [C706] 14.1


@dataclass(slots=True)
class KernelPipe:
    """One open pipe."""

    pipe: Pipe | None  # None: a name that nothing answers to
    call_id: int = 0  # of the last request: what a fault is about
    reading: trio.CancelScope | None = None  # of a read that waits
    latest: float = inf  # when it has to end

    def write(self, data: bytes) -> None:
        if self.reading is not None:
            self.reading.deadline = min(self.latest, trio.current_time() + QUIET_S)
        if len(data) >= PduHeader.SIZE:
            self.call_id = int.from_bytes(data[12:16], "little")
        with suppress(StatusError):  # it is broken then, and whoever reads is told
            if self.pipe is not None:
                self.pipe.write(data)

    def read(self) -> bytes:
        try:
            return _fault(self.call_id) if self.pipe is None else self.pipe.read(MAX_FRAGMENT)[0]
        except StatusError:
            return _fault(self.call_id)

    async def read_later(self) -> bytes:
        """An answer that comes while the kernel asks something else of this pipe goes to whoever asked that.

        So whoever reads before writing waits until all is written.
        """
        self.latest = trio.current_time() + MAX_READ_WAIT_S
        with trio.CancelScope(deadline=self.latest) as self.reading:
            await trio.sleep_forever()
        self.reading = None
        return self.read()


class KernelPipes:
    """The open pipes by the kernel's numbers.  One that is not known was opened before this process began."""

    def __init__(self, describe: Callable[[bool], ServerInfo]) -> None:
        """`describe` is called once per call of a client, with whether it is a guest or anonymous."""
        self._describe = describe
        self._pipes: dict[int, KernelPipe] = {}

    def open(self, handle: int, name: str, restricted: bool) -> bool:
        if len(self._pipes) >= MAX_PIPES:
            return False
        pipe = open_pipe(name, lambda: self._describe(restricted), max_fragment=MAX_FRAGMENT)
        self._pipes[handle] = KernelPipe(pipe)
        return True

    def write(self, handle: int, data: bytes) -> None:
        self._find(handle).write(data)

    def read(self, handle: int) -> bytes | Awaitable[bytes]:
        pipe = self._find(handle)
        return pipe.read() or pipe.read_later()

    def transceive(self, handle: int, data: bytes) -> bytes:
        pipe = self._find(handle)
        pipe.write(data)
        return pipe.read() or _fault(pipe.call_id)  # half a request: there is no right answer to it yet

    def close(self, handle: int) -> None:
        self._pipes.pop(handle, None)

    def _find(self, handle: int) -> KernelPipe:
        return self._pipes.get(handle) or KernelPipe(None)


def describe(
    rules: Rules, users: UserDatabase, machine_id: tuple[int, int, int], restricted: bool, *, now_ns: int, start_ns: int
) -> ServerInfo:
    """What clients are told.  The kernel does not say who asks: guests, whoever they are, see what guests may use."""
    shares = [share for share in rules.settings.shares if share.guest or not restricted]
    names = None if restricted else _find_names(rules, users, machine_id)
    return describe_server(
        rules.settings, shares, user="", restricted=restricted, names=names, now_ns=now_ns, start_ns=start_ns
    )


def _find_names(rules: Rules, users: UserDatabase, machine_id: tuple[int, int, int]) -> Names:
    """Users by the SIDs that the kernel makes of the numbers of their accounts."""
    numbers = {name: uid for uid, name in rules.unix_users.items()}
    found = [(user, numbers.get(user.account or user.name)) for user in users.list()]
    return Names(
        machine_id=machine_id,
        server=rules.settings.server_name,
        users=[replace(user, rid=uid) for user, uid in found if uid is not None],
        unix_users=rules.unix_users,
        unix_groups=rules.unix_groups,
    )


def _fault(call_id: int) -> bytes:
    """A fault PDU about what cannot be understood.  [C706] 12.6.4.7"""
    body = (32).to_bytes(4, "little") + bytes(4) + Fault.PROTOCOL.to_bytes(4, "little") + bytes(4)
    header = PduHeader(
        version=5, version_minor=0, pdu_type=PduType.FAULT,
        flags=PduFlag.FIRST_FRAGMENT | PduFlag.LAST_FRAGMENT | PduFlag.DID_NOT_EXECUTE,
        data_representation=LITTLE_ENDIAN, fragment_length=PduHeader.SIZE + len(body), auth_length=0, call_id=call_id,
    )  # fmt: skip
    return header.pack() + body
