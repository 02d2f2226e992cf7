"""The port to FreeBSD 13, 14 and 15."""

import sys
from typing import Final

from smbport.platform import Platform

__all__ = ["PORT", "FreeBSDPort"]


class FreeBSDPort:
    """The entry point `freebsd`."""

    name = "freebsd"

    def matches(self) -> bool:
        return sys.platform.startswith("freebsd")  # Python up to 3.13 adds the release: freebsd14

    def probe(self) -> Platform:
        if not self.matches() or sys.maxsize < 1 << 32:
            raise RuntimeError("The FreeBSD port is for 64-bit FreeBSD; try --platform posix.")
        from smbport_freebsd.calls import Calls, load_libc
        from smbport_freebsd.platform import probe

        try:
            return probe(Calls(load_libc()))
        except AttributeError as reason:  # by ctypes: the C library lacks a function
            raise RuntimeError(f"This FreeBSD is older than 13.1: {reason}") from reason


PORT: Final = FreeBSDPort()
