"""FreeBSD's capability mode, as far as a filter on system calls of x86_64 Linux has it.

Refused with ECAPMODE are the calls that take a path and no descriptor, and those that take one when it is AT_FDCWD.  A
filter sees no paths, so absolute ones beside a descriptor are refused to Python's `open`, of which there is an event;
the stand-in sees to its own.
"""

import ctypes
import os
import struct
import sys
from pathlib import Path

import pytest

from tests.platforms import without_linux as filters
from tests.platforms.freebsd.standin import NUMBERS

WITHOUT_DESCRIPTOR = {
    "open": 2, "stat": 4, "lstat": 6, "access": 21, "connect": 42, "bind": 49, "execve": 59, "truncate": 76,
    "chdir": 80, "rename": 82, "mkdir": 83, "rmdir": 84, "creat": 85, "link": 86, "unlink": 87, "symlink": 88,
    "readlink": 89, "chmod": 90, "chown": 92, "lchown": 94, "utime": 132, "mknod": 133, "statfs": 137, "utimes": 235,
}  # fmt: skip
WITH_DESCRIPTOR = (
    # openat, mkdirat, mknodat, fchownat, newfstatat, unlinkat, readlinkat, fchmodat, faccessat, utimensat, faccessat2
    *((number, 0) for number in (257, 258, 259, 260, 262, 263, 267, 268, 269, 280, 439)),
    *((number, argument) for number in (264, 265) for argument in (0, 2)),  # renameat, linkat
    (266, 1),  # symlinkat
)
"""(call, which of its arguments is a descriptor)."""

AT_FDCWD = 0xFFFFFF9C
SECCOMP, SET_MODE_FILTER, OF_ALL_THREADS = 317, 1, 1
REFUSAL = filters.RET_ERRNO | NUMBERS["ECAPMODE"]


def build_filter(exempt: range) -> bytes:
    """Code at the addresses of `exempt` may do everything."""
    code = [(filters.LOAD, 0, 0, filters.CALLER + 4), (filters.JUMP_IF_EQUAL, 0, 4, exempt.start >> 32)]
    code += [(filters.LOAD, 0, 0, filters.CALLER), (filters.JUMP_IF_AT_LEAST, 0, 2, exempt.start & 0xFFFFFFFF)]
    code += [(filters.JUMP_IF_AT_LEAST, 1, 0, exempt.stop & 0xFFFFFFFF), (filters.RETURN, 0, 0, filters.RET_ALLOW)]
    code += [(filters.LOAD, 0, 0, filters.CALL_NUMBER)]
    for number in WITHOUT_DESCRIPTOR.values():
        code += [(filters.JUMP_IF_EQUAL, 0, 1, number), (filters.RETURN, 0, 0, REFUSAL)]
    for number, argument in WITH_DESCRIPTOR:
        code += [(filters.LOAD, 0, 0, filters.CALL_NUMBER), (filters.JUMP_IF_EQUAL, 0, 3, number)]
        code += [(filters.LOAD, 0, 0, filters.ARGUMENTS + 8 * argument), (filters.JUMP_IF_EQUAL, 0, 1, AT_FDCWD)]
        code += [(filters.RETURN, 0, 0, REFUSAL)]
    code += [(filters.RETURN, 0, 0, filters.RET_ALLOW)]
    return b"".join(struct.pack("=HBBI", *each) for each in code)


def refuse_absolute(event: str, arguments: tuple[object, ...]) -> None:
    """An audit hook."""
    path = arguments[0] if event in ("open", "os.listdir", "os.scandir") else None
    if isinstance(path, str | bytes | Path) and os.fsencode(path).startswith(b"/"):
        raise OSError(NUMBERS["ECAPMODE"], f"{event} of {path!r} in capability mode")


def enter(exempt: range) -> None:
    """For all threads, from now on."""
    code = ctypes.create_string_buffer(build_filter(exempt))
    program = struct.pack("@HxxxxxxP", len(code) // 8, ctypes.addressof(code))
    libc = ctypes.CDLL(None, use_errno=True)
    assert not libc.prctl(filters.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    assert not libc.syscall(SECCOMP, SET_MODE_FILTER, OF_ALL_THREADS, program), os.strerror(ctypes.get_errno())
    sys.addaudithook(refuse_absolute)
    for look in (os.stat, os.listdir, open):  # without this, a filter that refuses nothing would prove nothing
        with pytest.raises(OSError, match=r"capability|Socket type"):
            look("/")
