"""The port to QNX 7.1 and 8.0."""

import os
import sys
from typing import Final

from smbport.platform import Platform
from smbport.posix import poll_loop
from smbport.posix.port import check_python

__all__ = ["PORT", "QnxPort"]


class QnxPort:
    """The entry point `qnx`."""

    name = "qnx"

    def matches(self) -> bool:
        return os.uname().sysname == "QNX"  # sys.platform depends on who built this Python: qnx8, nto, unknown

    def probe(self) -> Platform:
        if not self.matches() or sys.maxsize < 1 << 32:
            raise RuntimeError("The QNX port is for 64-bit QNX; try --platform posix.")
        check_python()
        poll_loop.install()  # QNX's epoll, where Python has it, knows no one-shot events, which trio needs
        from smbport_qnx.calls import Calls, load_libraries
        from smbport_qnx.platform import probe

        return probe(Calls(load_libraries()))


PORT: Final = QnxPort()
