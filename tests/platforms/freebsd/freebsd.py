"""A personality for `without_linux.py`: this process, as far as Python code can tell, runs on FreeBSD.

Which release, $SMBPORT_FREEBSD_RELEASE says; its C library is the stand-in that $SMBPORT_FREEBSD_STAND_IN names.  That
alone may call what only Linux has.  Python's kqueue is the look-alike that ports without an event loop use.  The
newest release is on ZFS, with lists of NFSv4 and attributes that can be opened; the others are on UFS, with lists of
POSIX.1e.
"""

import ctypes
import os
import select
import socket
import sys
import tempfile
from importlib.metadata import EntryPoint
from pathlib import Path
from types import SimpleNamespace

import psutil  # which needs to know what system it really is on

import smbport.posix.poll_loop
import smbport.registry
import smbport_freebsd.calls
from tests.platforms.freebsd import capability_mode
from tests.platforms.freebsd.standin import Library, StandIn
from tests.platforms.without_linux import find_code

EXEMPT = os.environ["SMBPORT_FREEBSD_STAND_IN"]
RELEASE = int(os.environ["SMBPORT_FREEBSD_RELEASE"])

del select.EPOLLONESHOT
smbport.posix.poll_loop.install()
psutil.net_if_stats = lambda: {
    name: SimpleNamespace(isup=True, speed=0) for _, name in socket.if_nameindex()
}  # as it does on FreeBSD, without /proc
sys.platform = f"freebsd{RELEASE}"

library = Library(Path(EXEMPT))
CODE = find_code(EXEMPT)  # while /proc can be read
if RELEASE >= 15:
    (ctypes.c_char * 16).in_dll(library.loaded, "standin_fstypename").value = b"zfs"
    # Beside the library, and gone with it: to remove what thousands of files had takes longer than a server may.
    named = tempfile.mkdtemp(prefix="named-", dir=Path(EXEMPT).parent)
    (ctypes.c_char * 200).in_dll(library.loaded, "standin_named").value = os.fsencode(named)
smbport_freebsd.calls.load_libc = lambda: library


class Calls(StandIn):
    """With a capability mode that the whole process is in."""

    def enter_capability_mode(self) -> None:
        super().enter_capability_mode()
        capability_mode.enter(CODE)


smbport_freebsd.calls.Calls = Calls
smbport.registry.entry_points = lambda group: [
    EntryPoint("freebsd", "smbport_freebsd:PORT", group),
    EntryPoint("freebsd-capsicum", "smbport_freebsd:CONFINED", group),
]
