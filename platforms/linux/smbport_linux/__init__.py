"""The port to Linux, in user space."""

import sys
from typing import Final

from smbport.platform import Platform

__all__ = ["PORT", "LinuxPort"]


class LinuxPort:
    """The entry point `linux`."""

    name = "linux"

    def matches(self) -> bool:
        return sys.platform == "linux"

    def probe(self) -> Platform:
        if sys.maxsize < 1 << 32:
            raise RuntimeError("The Linux port is for 64-bit systems; try --platform posix.")
        try:
            from smbport_linux.platform import probe
        except AttributeError as reason:  # by ctypes: the C library lacks a function
            raise RuntimeError(f"The C library is too old for the Linux port: {reason}") from reason
        return probe()


PORT: Final = LinuxPort()
