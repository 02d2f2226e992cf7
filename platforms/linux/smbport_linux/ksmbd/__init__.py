"""The port to Linux with the data in the kernel: ksmbd, told what to do over generic netlink.

`netlink.py` carries messages, `messages.py` has what is in them, `upcalls.py` answers what the kernel asks,
`control.py` is /sys/class/ksmbd-control, `server.py` starts and stops; `settings.py` says what ksmbd cannot do,
`releases.py` which kernels do it wrong.
"""

import os
import sys
from typing import Final

from smbport.platform import Platform

__all__ = ["PORT", "KsmbdPort"]


class KsmbdPort:
    """The entry point `linux-kernel`."""

    name = "linux-kernel"

    def matches(self) -> bool:
        return False  # the port in user space is meant unless somebody asks for this one

    def probe(self) -> Platform:
        if sys.platform != "linux":
            raise RuntimeError("ksmbd is a part of Linux; try --platform posix")
        if sys.byteorder != "little":
            raise RuntimeError(
                "the messages of ksmbd are laid out here for little-endian machines; try --platform linux"
            )
        from smbport_linux.ksmbd.platform import probe

        return probe(os.uname().release)


PORT: Final = KsmbdPort()
