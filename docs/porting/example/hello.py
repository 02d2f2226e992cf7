"""A complete port in less than a hundred lines: "hello OS", a POSIX system with one call of its own.

Everything that POSIX has comes from `smbport.posix`.  Hello OS copies from file to file in its kernel, as Linux and
FreeBSD do, so there is one power to add.  In a distribution of its own, this would be named in an entry point:

    [project.entry-points."smbport.platforms"]
    hello = "smbport_hello:PORT"
"""

import os
from dataclasses import dataclass
from errno import EINVAL, ENOSYS, EOPNOTSUPP, EXDEV
from typing import Final

from smbport.platform import POWERS, File, Platform
from smbport.posix import poll_loop
from smbport.posix.data import descriptor
from smbport.posix.nodes import check_wait
from smbport.posix.port import PosixPlatform, check_python

__all__ = ["PORT", "HelloClone", "HelloPlatform", "HelloPort"]


class HelloClone:
    """The power `clone`.  Its contract is in `smbport.platform`; the exam holds us to it."""

    def copy(
        self, source: File, source_offset: int, target: File, target_offset: int, length: int, *, wait: bool = False
    ) -> int:
        check_wait(wait)  # whoever cannot know whether it would block says so: a thread then calls again
        try:
            return os.copy_file_range(
                descriptor(source), descriptor(target), length, offset_src=source_offset, offset_dst=target_offset
            )
        except OSError as reason:
            if reason.errno in (ENOSYS, EOPNOTSUPP):  # this file system cannot: then the core reads and writes
                raise OSError(EXDEV, os.strerror(EXDEV)) from None
            raise

    def reflink(
        self, source: File, source_offset: int, target: File, target_offset: int, length: int, *, wait: bool = False
    ) -> None:
        check_wait(wait)
        raise OSError(EOPNOTSUPP, os.strerror(EOPNOTSUPP))


@dataclass(slots=True, kw_only=True)
class HelloPlatform(PosixPlatform):
    """A probed hello OS."""

    name: str = "hello"


class HelloPort:
    """The entry point `hello`."""

    name = "hello"

    def matches(self) -> bool:
        return os.uname().sysname == "Hello"

    def probe(self) -> Platform:
        """Decide each power by trying it, and say of every other one why it is not there."""
        check_python()
        if not poll_loop.has_event_loop():
            poll_loop.install()  # before anybody imports trio
        absent = dict.fromkeys(POWERS, "Nobody has looked yet whether hello OS has this.")
        why = why_no_clone()
        if why:
            return HelloPlatform(absent=absent | {"clone": why})
        del absent["clone"]
        return HelloPlatform(clone=HelloClone(), absent=absent)


def why_no_clone() -> str:
    """A sentence; "" if the call is there."""
    if not hasattr(os, "copy_file_range"):
        return "This Python was built without copy_file_range()."
    try:
        os.copy_file_range(-1, -1, 1)
    except OSError as reason:
        if reason.errno in (ENOSYS, EINVAL):
            return f"The kernel refuses copy_file_range(): {reason.strerror}."
    return ""


PORT: Final = HelloPort()
