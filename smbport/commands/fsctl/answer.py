"""What a handler of an FSCTL looks like."""

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from smbport.commands.call import Call
from smbport.wire.ioctl import IoctlRequest
from smbport.wire.status import Status

__all__ = ["Answer", "Fsctl"]


class Answer(NamedTuple):
    """The output, and with which status; unlike other commands, an IOCTL that fails may have an output."""

    output: bytes = b""
    status: int = Status.SUCCESS


Fsctl = Callable[[Call, IoctlRequest, memoryview], Awaitable[Answer]]
"""(call, request, input).  One on an open finds it in `call.opened`, where it is pinned and its rights are checked."""
