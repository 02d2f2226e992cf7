"""Serving in capability mode, capsicum(4): who takes this process over reaches what it has open, and nothing else.

The mode is entered when the first client has connected and nothing was read from it: then all is open that is needed.
From there on no path can be named but beneath a share, and whatever else Python wants to open is refused.
"""

import codecs
import logging
import os
import time
from collections.abc import Sequence
from socket import socket
from typing import Final

from smbport.platform import Interface
from smbport.posix.interfaces import find_interfaces
from smbport.posix.sockets import PosixSockets
from smbport_freebsd.calls import Calls
from smbport_freebsd.platform import FreeBSDPlatform

__all__ = ["ConfinedSockets", "confine"]

NO_SNAPSHOTS: Final = "In capability mode a snapshot cannot be looked for: it is another file system."
CODECS: Final = ("ascii", "latin-1", "utf-8", "utf-16-le", "idna")  # modules of Python that are loaded when asked for
WARNING: Final = (
    "capability mode begins with the first client: no previous versions, no Kerberos, a log to standard error only;"
    " network interfaces are those of that moment, and other settings take a new start"
)

log = logging.getLogger("smbport")


class ConfinedSockets(PosixSockets):
    """Those of the system, and the moment to enter the mode."""

    __slots__ = ("_calls", "_found")

    def __init__(self, calls: Calls) -> None:
        super().__init__(find_interfaces)
        self._calls = calls
        self._found: Sequence[Interface] | None = None

    def tune(self, sock: socket) -> None:
        if self._found is None:
            for name in CODECS:
                codecs.lookup(name)
            time.tzset()  # for the log
            found = find_interfaces()
            self._calls.enter_capability_mode()
            self._found = found
            log.info("capability mode entered by process %d", os.getpid())
        super().tune(sock)

    def interfaces(self) -> Sequence[Interface]:
        return super().interfaces() if self._found is None else self._found


def confine(platform: FreeBSDPlatform) -> FreeBSDPlatform:
    """The same platform for a process that is going to be confined.  OSError if this kernel cannot do that."""
    platform.calls.check_capability_mode()
    platform.name = "freebsd-capsicum"
    platform.sockets = ConfinedSockets(platform.calls)
    platform.snapshots = None
    platform.absent = {**platform.absent, "snapshots": NO_SNAPSHOTS}
    log.warning(WARNING)
    return platform
