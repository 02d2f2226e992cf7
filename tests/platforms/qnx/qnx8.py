"""A personality for `without_linux.py`: this process, as far as Python code can tell, runs on QNX 8.

What Python lacks there is taken away, `cryptography` and what needs it included, and the libraries of QNX are those
that $SMBPORT_QNX_STAND_IN was built to.
"""

import ctypes
import importlib.metadata
import os
import select
import selectors
import socket
import sys
from importlib.metadata import EntryPoint
from types import SimpleNamespace

HAS = ("inotify_init", "inotify_add_watch", "inotify_rm_watch")

ABSENT = {
    os: ("SEEK_DATA", "SEEK_HOLE", "preadv", "pwritev", "sendfile"),
    socket: ("TCP_KEEPCNT", "TCP_KEEPIDLE", "TCP_KEEPINTVL"),
}

for module, names in ABSENT.items():
    for name in names:
        delattr(module, name)
        module.__all__.remove(name)
del select.EPOLLONESHOT

uname = os.uname()
os.uname = lambda: SimpleNamespace(sysname="QNX", nodename=uname.nodename, release="8.0.0", machine="x86_64")
sys.platform = "qnx8"

sys.modules["cryptography"] = sys.modules["spnego"] = None
INSTALLED = {
    "smbport.platforms": EntryPoint("qnx", "smbport_qnx:PORT", "smbport.platforms"),
    "smbport.ciphers": EntryPoint("libcrypto", "smbport.posix.libcrypto", "smbport.ciphers"),
}
importlib.metadata.entry_points = lambda group, name=None: [INSTALLED[group]]

import smbport_qnx.calls  # noqa: E402  (not before the names are gone)

smbport_qnx.calls.load_libraries = lambda: [ctypes.CDLL(os.environ["SMBPORT_QNX_STAND_IN"], use_errno=True)]
assert selectors.DefaultSelector is selectors.EpollSelector  # which the port has to put right
