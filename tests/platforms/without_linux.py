"""Runs smbport as on a system that lacks what only Linux has: x86_64 Linux, with those system calls refused.

    without_linux.py {allow|enosys|kill} PERSONALITY serve --config FILE ...
    without_linux.py {allow|enosys|kill} PERSONALITY exam PLATFORM DIRECTORY
    without_linux.py {allow|enosys|kill} PERSONALITY attempt CALL

PERSONALITY is a Python file that is run first; it names in HAS the refused calls that its system has after all, and in
EXEMPT a library that may make them all, because it stands in for the system's own.  With `enosys` a refused call fails
as on an old kernel, with `kill` the process dies: nothing so much as tries.  Calls that glibc or CPython make by
themselves behind a POSIX function (accept4 behind accept, say) are not refused.
"""

import ctypes
import importlib
import os
import runpy
import shutil
import socket
import struct
import sys
from errno import ENOSYS
from importlib.util import find_spec
from pathlib import Path

PROJECT = Path(__file__).parents[2]

LINUX_ONLY = {
    # waiting
    "epoll_create": 213, "epoll_wait": 232, "epoll_ctl": 233, "epoll_pwait": 281, "epoll_create1": 291,
    "epoll_pwait2": 441, "signalfd": 282, "signalfd4": 289, "timerfd_create": 283, "timerfd_settime": 286,
    "timerfd_gettime": 287, "eventfd": 284, "eventfd2": 290, "io_uring_setup": 425, "io_uring_enter": 426,
    "io_uring_register": 427, "pidfd_send_signal": 424, "pidfd_open": 434, "pidfd_getfd": 438,
    # watching
    "inotify_init": 253, "inotify_add_watch": 254, "inotify_rm_watch": 255, "inotify_init1": 294,
    "fanotify_init": 300, "fanotify_mark": 301,
    # data
    "sendfile": 40, "readahead": 187, "splice": 275, "tee": 276, "sync_file_range": 277, "vmsplice": 278,
    "recvmmsg": 299, "syncfs": 306, "sendmmsg": 307, "memfd_create": 319, "copy_file_range": 326, "preadv2": 327,
    "pwritev2": 328,
    # names and attributes
    "setxattr": 188, "lsetxattr": 189, "fsetxattr": 190, "getxattr": 191, "lgetxattr": 192, "fgetxattr": 193,
    "listxattr": 194, "llistxattr": 195, "flistxattr": 196, "removexattr": 197, "lremovexattr": 198,
    "fremovexattr": 199, "name_to_handle_at": 303, "open_by_handle_at": 304, "renameat2": 316, "statx": 332,
    "openat2": 437, "setxattrat": 463, "getxattrat": 464, "listxattrat": 465, "removexattrat": 466,
    # identity
    "setfsuid": 122, "setfsgid": 123, "unshare": 272, "setns": 308, "landlock_create_ruleset": 444,
    "landlock_add_rule": 445, "landlock_restrict_self": 446,
}  # fmt: skip
"""Calls of x86_64 that no other system has, at least not by the same rules."""

LINUX_FLAGS = (
    (257, 2, 0o30000000),  # openat: O_PATH, O_TMPFILE
    (285, 1, 0xFFFFFFFF),  # fallocate: any mode; without one it is posix_fallocate
    (44, 3, 0x8000),  # sendto: MSG_MORE
    (46, 2, 0x8000),  # sendmsg: MSG_MORE
)
"""(call, number of an argument, bits of it that only Linux has)."""

LINUX_NAMES = {
    os: (
        "O_DIRECT", "O_PATH", "O_TMPFILE", "copy_file_range", "eventfd", "getxattr", "listxattr", "memfd_create",
        "pidfd_open", "removexattr", "setxattr", "splice",
    ),
    socket: ("MSG_MORE", "TCP_USER_TIMEOUT"),
}  # fmt: skip
"""What Python has on Linux only, as far as ports ask for it."""

AUDIT_ARCH_X86_64 = 0xC000003E
RET_ALLOW, RET_ERRNO, RET_KILL_PROCESS = 0x7FFF0000, 0x00050000, 0x80000000
LOAD, JUMP_IF_EQUAL, JUMP_IF_AT_LEAST, JUMP_IF_BITS, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
CALL_NUMBER, ARCHITECTURE, CALLER, ARGUMENTS = 0, 4, 8, 16  # offsets in struct seccomp_data
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2


def build_filter(refused, action, exempt=range(0)):
    """Berkeley packet filter: allow all but the calls of those numbers, and but LINUX_FLAGS.

    Code at the addresses of `exempt` may make them all the same.
    """
    code = [(LOAD, 0, 0, ARCHITECTURE), (JUMP_IF_EQUAL, 1, 0, AUDIT_ARCH_X86_64), (RETURN, 0, 0, RET_KILL_PROCESS)]
    if exempt:
        code += [(LOAD, 0, 0, CALLER + 4), (JUMP_IF_EQUAL, 0, 4, exempt.start >> 32), (LOAD, 0, 0, CALLER)]
        code += [(JUMP_IF_AT_LEAST, 0, 2, exempt.start & 0xFFFFFFFF)]
        code += [(JUMP_IF_AT_LEAST, 1, 0, exempt.stop & 0xFFFFFFFF), (RETURN, 0, 0, RET_ALLOW)]
    code += [(LOAD, 0, 0, CALL_NUMBER)]
    for number in refused:
        code += [(JUMP_IF_EQUAL, 0, 1, number), (RETURN, 0, 0, action)]
    for number, argument, bits in LINUX_FLAGS:
        code += [(LOAD, 0, 0, CALL_NUMBER), (JUMP_IF_EQUAL, 0, 3, number)]
        code += [(LOAD, 0, 0, ARGUMENTS + 8 * argument), (JUMP_IF_BITS, 0, 1, bits), (RETURN, 0, 0, action)]
    code += [(RETURN, 0, 0, RET_ALLOW)]
    return b"".join(struct.pack("=HBBI", *each) for each in code)


def find_code(library):
    """Where the code of a loaded library is."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        if line.endswith(library) and " r-xp " in line:
            start, stop = (int(part, 16) for part in line.split()[0].split("-"))
            assert start >> 32 == stop >> 32  # the filter compares the lower halves
            return range(start, stop)
    raise SystemExit(f"{library} is not loaded")


def refuse(refused, action, exempt):
    """Install the filter, for this thread and those it starts."""
    libc = ctypes.CDLL(None, use_errno=True)
    code = ctypes.create_string_buffer(build_filter(refused, action, exempt))
    program = struct.pack("@HxxxxxxP", len(code) // 8, ctypes.addressof(code))
    for call in ((PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, program, 0, 0)):
        if libc.prctl(*call):
            raise SystemExit(f"no filter can be installed: errno {ctypes.get_errno()}")


def refuse_proc(event, arguments):
    """An audit hook: /proc and /sys are Linux', and no filter sees paths."""
    if event in ("open", "os.listdir", "os.scandir") and isinstance(arguments[0], str | bytes):
        path = arguments[0].encode() if isinstance(arguments[0], str) else arguments[0]
        if path.startswith((b"/proc/", b"/sys/")):
            raise RuntimeError(f"{event} of {path!r}, which only Linux has")


def attempt(number):
    """The errno of a system call that gets nothing it could work with."""
    libc = ctypes.CDLL(None, use_errno=True)
    minus_one = ctypes.c_long(-1)
    libc.syscall(ctypes.c_long(number), *[minus_one] * 6)
    return ctypes.get_errno()


def main(mode, personality, command, *arguments):
    sys.path[:0] = [str(PROJECT), *(str(PROJECT / "platforms" / name) for name in ("freebsd", "qnx"))]
    for module, names in LINUX_NAMES.items():
        for name in names:
            delattr(module, name)
            module.__all__.remove(name)
    found = runpy.run_path(personality)
    importlib.reload(shutil)  # which has looked already what there is
    shutil._USE_CP_SENDFILE = False
    has, exempt = found.get("HAS", ()), find_code(found["EXEMPT"]) if "EXEMPT" in found else range(0)
    if find_spec("cryptography") is not None:  # Rust's own library counts processors by way of /proc
        importlib.import_module("cryptography.hazmat.bindings._rust")

    from smbport import cli, registry

    if mode != "allow":
        action = RET_KILL_PROCESS if mode == "kill" else RET_ERRNO | ENOSYS
        refused = [number for name, number in LINUX_ONLY.items() if name not in has]
        refuse(refused, action, exempt)
        if mode == "enosys":  # without this, a filter that refuses nothing would prove nothing
            assert {attempt(number) for number in refused} == {ENOSYS}
        sys.addaudithook(refuse_proc)
    if command == "attempt":
        return attempt(LINUX_ONLY[arguments[0]])
    if command != "exam":
        return cli.main([command, *arguments])
    from smbport.testing.kit import examine

    name, directory = arguments
    report = examine(registry.find(name), directory)
    print(report)
    return 0 if report.passed else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
