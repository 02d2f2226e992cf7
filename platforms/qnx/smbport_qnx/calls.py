"""Every number, structure and call of QNX that Python's `os` lacks.  The only module with ctypes and with numbers.

QNX's headers come with a licence and an account only, so no compiler has checked this.  Prototypes and libraries are
those of the C Library Reference (7.1 and 8.0, qnx.com/developers/docs); numbers and structures those that the Rust
crate `libc` has for 64-bit QNX 7.1 (`unix/nto`), which its authors test against the headers.
`tests/platforms/qnx/test_numbers.py` compares with that crate where it is installed.

`Calls` is made with the libraries, so that tests can give it others.
"""

import ctypes
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from ctypes import c_char, c_char_p, c_int, c_uint, c_uint8, c_uint64, c_ulong, c_void_p
from errno import EINTR, ENOSYS
from ipaddress import IPv4Address, IPv6Address
from typing import Any, Final

__all__ = [
    "AF_INET", "AF_INET6", "Calls", "IFF_LOOPBACK", "IFF_UP", "IN_ATTRIB", "IN_CREATE", "IN_DELETE",
    "IN_DONT_FOLLOW", "IN_IGNORED", "IN_ISDIR", "IN_MODIFY", "IN_MOVED_FROM", "IN_MOVED_TO", "IN_MOVE_SELF",
    "IN_ONLYDIR", "IN_Q_OVERFLOW", "LIBRARIES", "PROTOTYPES", "STRUCTURES", "load_libraries",
]  # fmt: skip

LIBRARIES: Final = (
    None,  # what this process has loaded already: libc, which in 7.1 has inotify as well
    "libfsnotify.so.1",  # inotify in 8.0
    "libsocket.so.4",  # of io-sock
    "libsocket.so.3",  # of io-pkt
)

IN_MODIFY: Final = 0x2
IN_ATTRIB: Final = 0x4
IN_MOVED_FROM: Final = 0x40
IN_MOVED_TO: Final = 0x80
IN_CREATE: Final = 0x100
IN_DELETE: Final = 0x200
IN_MOVE_SELF: Final = 0x800
IN_Q_OVERFLOW: Final = 0x4000
IN_IGNORED: Final = 0x8000
IN_ONLYDIR: Final = 0x1000000
IN_DONT_FOLLOW: Final = 0x2000000
IN_ISDIR: Final = 0x40000000
# IN_EXCL_UNLINK is documented, but its number is published nowhere.

AF_INET: Final = 2
AF_INET6: Final = 24

IFF_UP: Final = 0x1
IFF_LOOPBACK: Final = 0x8


class StatvfsStruct(ctypes.Structure):
    """`struct statvfs`."""

    _fields_ = (
        ("f_bsize", c_ulong),
        ("f_frsize", c_ulong),
        ("f_blocks", c_uint64),
        ("f_bfree", c_uint64),
        ("f_bavail", c_uint64),
        ("f_files", c_uint64),
        ("f_ffree", c_uint64),
        ("f_favail", c_uint64),
        ("f_fsid", c_ulong),
        ("f_basetype", c_char * 16),
        ("f_flag", c_ulong),
        ("f_namemax", c_ulong),
        ("f_filler", c_uint * 21),
    )


class SockaddrStruct(ctypes.Structure):
    """The beginning of `struct sockaddr_in` and `struct sockaddr_in6`; `v6` is there in the second only."""

    _fields_ = (
        ("sa_len", c_uint8),
        ("sa_family", c_uint8),
        ("port", c_uint8 * 2),
        ("v4", c_uint8 * 4),  # in IPv6, the flow
        ("v6", c_uint8 * 16),
    )


class IfaddrsStruct(ctypes.Structure):
    """`struct ifaddrs`."""

    _fields_ = (
        ("ifa_next", c_void_p),
        ("ifa_name", c_char_p),
        ("ifa_flags", c_uint),
        ("ifa_addr", c_void_p),
        ("ifa_netmask", c_void_p),
        ("ifa_dstaddr", c_void_p),
        ("ifa_data", c_void_p),
    )


STRUCTURES: Final[dict[str, type[ctypes.Structure]]] = {
    "statvfs": StatvfsStruct,
    "sockaddr": SockaddrStruct,
    "ifaddrs": IfaddrsStruct,
}
"""The C name of each structure -> its fields here."""

PROTOTYPES: Final[dict[str, tuple[Any, tuple[Any, ...]]]] = {
    "fstatvfs": (c_int, (c_int, c_void_p)),
    "inotify_init": (c_int, ()),
    "inotify_add_watch": (c_int, (c_int, c_char_p, c_int)),
    "inotify_rm_watch": (c_int, (c_int, c_int)),
    "getifaddrs": (c_int, (c_void_p,)),
    "freeifaddrs": (None, (c_void_p,)),
    "acl_get_fd": (c_void_p, (c_int,)),
    "acl_set_fd": (c_int, (c_int, c_void_p)),
    "acl_to_text": (c_void_p, (c_void_p, c_void_p)),
    "acl_from_text": (c_void_p, (c_char_p,)),
    "acl_free": (c_int, (c_void_p,)),
}
"""What each function returns and takes."""


def load_libraries(names: Sequence[str | None] = LIBRARIES) -> list[ctypes.CDLL]:
    """Those of the libraries that this system has."""
    found = []
    for name in names:
        try:
            found.append(ctypes.CDLL(name, use_errno=True))
        except OSError:  # another release has it
            continue
    return found


class Calls:
    """The calls, each as QNX documents it, with OSError for what went wrong: ENOSYS if no library has it."""

    def __init__(self, libraries: Sequence[ctypes.CDLL]) -> None:
        self._functions: dict[str, Any] = {}
        for name, (result, arguments) in PROTOTYPES.items():
            function = next((getattr(library, name) for library in libraries if hasattr(library, name)), None)
            if function is not None:
                function.restype, function.argtypes = result, arguments
                self._functions[name] = function

    def _call(self, name: str, *arguments: object) -> int:
        function = self._functions.get(name)
        if function is None:
            raise failure(ENOSYS)
        while (result := function(*arguments)) < 0:
            if ctypes.get_errno() != EINTR:
                raise failure(ctypes.get_errno())
        return int(result)

    def file_system(self, fd: int) -> str:
        """The type of the file system that something open is on, as mount(1) names it; "" if it cannot be told.

        Python knows the other fields: where it reads another value, this is not the structure that we think it is.
        """
        found, known = StatvfsStruct(), os.fstatvfs(fd)
        self._call("fstatvfs", fd, ctypes.byref(found))
        agrees = (found.f_bsize, found.f_blocks, found.f_namemax) == (known.f_bsize, known.f_blocks, known.f_namemax)
        return str(found.f_basetype.decode("ascii", "replace")) if agrees else ""

    def inotify_init(self) -> int:
        """A new inotify descriptor, non-blocking.  QNX has no inotify_init1."""
        fd = self._call("inotify_init")
        os.set_inheritable(fd, False)
        os.set_blocking(fd, False)
        return fd

    def inotify_add_watch(self, fd: int, path: bytes, mask: int) -> int:
        """Watch what `path` leads to; the number of the watch."""
        return self._call("inotify_add_watch", fd, path, mask)

    def inotify_remove_watch(self, fd: int, watch: int) -> None:
        """Watch it no more.  If the watch is over already, nothing happens."""
        self._functions["inotify_rm_watch"](fd, watch)

    def acl_text(self, fd: int) -> str:
        """The access control list of something open, in the long text form, with names where there are some."""
        with self._made("acl_get_fd", fd) as acl, self._made("acl_to_text", acl, None) as text:
            return os.fsdecode(ctypes.string_at(text))

    def set_acl_text(self, fd: int, text: str) -> None:
        """Replace it."""
        with self._made("acl_from_text", text.encode()) as acl:
            self._call("acl_set_fd", fd, acl)

    @contextmanager
    def _made(self, name: str, *arguments: object) -> Iterator[int]:
        """What a function of access control lists has made; it is freed afterwards."""
        function = self._functions.get(name)
        if function is None:
            raise failure(ENOSYS)
        made = function(*arguments)
        if not made:
            raise failure(ctypes.get_errno())
        try:
            yield made
        finally:
            self._functions["acl_free"](made)

    def interface_addresses(self) -> list[tuple[str, int, str]]:
        """Name, IFF_ flags and address of each interface, once for every IPv4 and IPv6 address it has."""
        first = c_void_p()
        self._call("getifaddrs", ctypes.byref(first))
        try:
            return list(walk_addresses(first.value))
        finally:
            self._functions["freeifaddrs"](first)


def walk_addresses(pointer: int | None) -> Iterator[tuple[str, int, str]]:
    while pointer:
        entry = IfaddrsStruct.from_address(pointer)
        address = read_address(entry.ifa_addr)
        if address:
            yield os.fsdecode(entry.ifa_name), entry.ifa_flags, address
        pointer = entry.ifa_next


def read_address(pointer: int | None) -> str:
    """The text of an IPv4 or IPv6 address; "" if it is of another kind."""
    if not pointer:
        return ""
    found = SockaddrStruct.from_address(pointer)  # which looks at no field until it is asked for
    if found.sa_family == AF_INET:
        return str(IPv4Address(bytes(found.v4)))
    if found.sa_family == AF_INET6:
        return str(IPv6Address(bytes(found.v6)))
    return ""


def failure(number: int) -> OSError:
    return OSError(number, os.strerror(number))
