"""The port to FreeBSD 13, 14 and 15."""

import sys
from typing import TYPE_CHECKING, Final

from smbport.platform import Platform

if TYPE_CHECKING:
    from smbport_freebsd.platform import FreeBSDPlatform

__all__ = ["CONFINED", "PORT", "ConfinedPort", "FreeBSDPort"]


class FreeBSDPort:
    """The entry point `freebsd`."""

    name = "freebsd"

    def matches(self) -> bool:
        return sys.platform.startswith("freebsd")  # Python up to 3.13 adds the release: freebsd14

    def probe(self) -> Platform:
        return self._probe()

    def _probe(self) -> "FreeBSDPlatform":
        if not FreeBSDPort.matches(self) or sys.maxsize < 1 << 32:
            raise RuntimeError("The FreeBSD port is for 64-bit FreeBSD; try --platform posix.")
        from smbport_freebsd.calls import Calls, load_libc
        from smbport_freebsd.platform import probe

        try:
            return probe(Calls(load_libc()))
        except AttributeError as reason:  # by ctypes: the C library lacks a function
            raise RuntimeError(f"This FreeBSD is older than 13.1: {reason}") from reason


class ConfinedPort(FreeBSDPort):
    """The entry point `freebsd-capsicum`, for who asks for it."""

    name = "freebsd-capsicum"

    def matches(self) -> bool:
        return False

    def probe(self) -> Platform:
        platform = self._probe()
        from smbport_freebsd.confined import confine

        return confine(platform)


PORT: Final = FreeBSDPort()
CONFINED: Final = ConfinedPort()
