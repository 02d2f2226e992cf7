"""Extended attributes: the namespace `user` of Linux, less what servers keep there for themselves."""

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from errno import EINVAL, ENAMETOOLONG, ENODATA, ENOENT, EPERM, ERANGE
from types import MappingProxyType
from typing import Final

from smbport.platform import Directory, Entry, Node
from smbport.posix.dosattrib import ATTRIBUTE_NAME
from smbport.posix.files import PosixNode, check_wait
from smbport.posix.walk import error
from smbport_linux.files import LinuxDirectory
from smbport_linux.stats import list_entry_attributes

__all__ = ["LinuxAttributes", "StreamValues"]

PREFIX: Final = "user."
PREFIX_BYTES: Final = PREFIX.encode()
ONLY_MARKS: Final = ATTRIBUTE_NAME.encode() + b"\0"
NONE: Final[Mapping[str, int]] = MappingProxyType({})
STREAMS: Final = PREFIX + "DosStream."
MAX_VALUE: Final = 65536  # XATTR_SIZE_MAX; ext4 has room for about 4000 bytes
MAX_NAME: Final = 255  # XATTR_NAME_MAX, with the prefix
# Besides the DOS attributes: descriptors, which decide who may do what, streams, inherited ACL entries and reparse
# points as Samba and ksmbd keep them.
PRIVATE: Final = (PREFIX + "NTACL", STREAMS, PREFIX + "SAMBA_PAI", PREFIX + "SmbReparse")


class LinuxAttributes:
    """The power `attributes`."""

    __slots__ = ()
    max_value = MAX_VALUE

    def names(self, node: Node, *, wait: bool = False) -> list[str]:
        _, target = reach(node, wait=wait)
        found = os.listxattr(target)  # which takes no right; changing the identity would cost twenty times as much
        return [name.removeprefix(PREFIX) for name in found if is_public(name)]

    def get(self, node: Node, name: str, *, wait: bool = False) -> bytes | None:
        if not is_public(PREFIX + name):
            return None
        posix, target = reach(node, wait=wait)
        try:
            with posix.home.rights:
                return os.getxattr(target, encode(name))
        except OSError as reason:
            if reason.errno != ENODATA:
                raise
            return None

    def lengths(
        self, directory: Directory, entries: Sequence[Entry], *, wait: bool = False
    ) -> list[Mapping[str, int] | None]:
        check_wait(wait)
        if not isinstance(directory, LinuxDirectory):
            raise error(EINVAL)
        fd, _ = directory.where()
        assert isinstance(fd, int)  # else it could not be listed
        bare, links = directory.home.bare, directory.links
        found: list[Mapping[str, int] | None] = [NONE] * len(entries)
        unknown = []
        for index, (name, stat) in enumerate(entries):
            if links and name in links:
                found[index] = None
            elif stat is not None and not bare.find(stat):
                unknown.append((index, os.fsencode(name), stat))
        paths = []
        lists = list_entry_attributes(fd, [encoded for _, encoded, _ in unknown])
        for (index, encoded, stat), attributes in zip(unknown, lists, strict=True):
            public = public_names(attributes)
            if public:
                paths.append((index, b"/proc/self/fd/%d/%s" % (fd, encoded), public))
            else:
                bare.keep(stat, True)
        if paths:
            with directory.home.rights:
                for index, path, public in paths:
                    found[index] = measure(path, public)
        return found

    def set(self, node: Node, name: str, value: bytes, *, wait: bool = False) -> None:
        if not is_public(PREFIX + name):
            raise error(EPERM)
        posix, target = reach(node, wait=wait)
        with posix.home.rights:
            os.setxattr(target, encode(name), value)

    def remove(self, node: Node, name: str, *, wait: bool = False) -> None:
        if not is_public(PREFIX + name):
            raise error(ENOENT)
        posix, target = reach(node, wait=wait)
        try:
            with posix.home.rights:
                os.removexattr(target, encode(name))
        except OSError as reason:
            raise error(ENOENT if reason.errno == ENODATA else reason.errno or EPERM) from None


class StreamValues:
    """Where named streams are kept.  Who may use one was decided when it was opened, so this is done as the server."""

    __slots__ = ()
    max_value = MAX_VALUE
    max_name = MAX_NAME - len(STREAMS)

    def names(self, node: PosixNode) -> list[str]:
        return [name.removeprefix(STREAMS) for name in os.listxattr(node.where()[0]) if name.startswith(STREAMS)]

    def get(self, node: PosixNode, name: str) -> bytes | None:
        try:
            return os.getxattr(node.where()[0], STREAMS + name)
        except OSError as reason:
            if reason.errno != ENODATA:
                raise
            return None

    def create(self, node: PosixNode, name: str, value: bytes) -> None:
        try:
            with node.home.rights:
                os.setxattr(node.where()[0], STREAMS + name, value, os.XATTR_CREATE)
        except OSError as reason:
            raise error(ENAMETOOLONG if reason.errno == ERANGE else reason.errno or EPERM) from None

    def set(self, node: PosixNode, name: str, value: bytes, *, replace: bool = True) -> None:
        os.setxattr(node.where()[0], STREAMS + name, value, 0 if replace else os.XATTR_CREATE)

    def remove(self, node: PosixNode, name: str) -> None:
        try:
            os.removexattr(node.where()[0], STREAMS + name)
        except OSError as reason:
            raise error(ENOENT if reason.errno == ENODATA else reason.errno or EPERM) from None


def reach(node: Node, *, wait: bool = True) -> tuple[PosixNode, int | str | bytes]:
    """The node, and what names it to the kernel.  Inline where marks are read and changed inline, too."""
    if not isinstance(node, PosixNode):
        raise error(EINVAL)
    node.check_change(wait)
    return node, node.where()[0]


def public_names(attributes: bytes) -> list[str]:
    """Those of a list as the kernel gives it that clients may see; nearly always none."""
    if PREFIX_BYTES not in attributes or attributes == ONLY_MARKS:
        return []
    return [name for name in os.fsdecode(attributes).split("\0") if is_public(name)]


def measure(path: bytes, attributes: Sequence[str]) -> dict[str, int]:
    """How long the values of a file are that may be read."""
    found = {}
    for name in attributes:
        with suppress(OSError):
            found[name.removeprefix(PREFIX)] = len(os.getxattr(path, name, follow_symlinks=False))
    return found


def is_public(name: str) -> bool:
    return name.startswith(PREFIX) and name != ATTRIBUTE_NAME and not name.startswith(PRIVATE)


def encode(name: str) -> bytes:
    if "\0" in name:
        raise error(EINVAL)
    try:
        return os.fsencode(PREFIX + name)
    except UnicodeEncodeError:
        raise error(EINVAL) from None
