"""Extended attributes: the namespace `user` of Linux."""

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from errno import EINVAL, ENAMETOOLONG, ENODATA, ENOENT, EPERM, ERANGE
from types import MappingProxyType
from typing import Final

from smbport.platform import Directory, Entry, Node, Stat
from smbport.posix.attributes import STREAMS, PosixAttributes, is_public, reach
from smbport.posix.dosattrib import ATTRIBUTE_NAME
from smbport.posix.nodes import PosixNode, check_wait
from smbport.posix.walk import error
from smbport_linux.directories import LinuxDirectory
from smbport_linux.files import home_of
from smbport_linux.stats import list_entry_attributes

__all__ = ["LinuxAttributes", "LinuxValues", "new_stream_values"]

PREFIX: Final = "user."
PREFIX_BYTES: Final = PREFIX.encode()
ONLY_MARKS: Final = ATTRIBUTE_NAME.encode() + b"\0"
NONE: Final[Mapping[str, int]] = MappingProxyType({})
MAX_VALUE: Final = 65536  # XATTR_SIZE_MAX; ext4 has room for about 4000 bytes
MAX_NAME: Final = 255  # XATTR_NAME_MAX, with the prefix


class LinuxValues:
    """The attributes whose names begin with a prefix, which is left out here; with the rights that the thread has."""

    __slots__ = ("_prefix", "max_name")
    max_value = MAX_VALUE

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self.max_name = MAX_NAME - len(prefix)

    def names(self, node: PosixNode) -> list[str]:
        prefix = self._prefix
        return [name.removeprefix(prefix) for name in os.listxattr(node.where()[0]) if name.startswith(prefix)]

    def get(self, node: PosixNode, name: str) -> bytes | None:
        try:
            return os.getxattr(node.where()[0], self._prefix + name)
        except OSError as reason:
            if reason.errno != ENODATA:
                raise
            return None

    def create(self, node: PosixNode, name: str, value: bytes) -> None:
        try:
            with node.home.rights:
                self.set(node, name, value, replace=False)
        except OSError as reason:
            raise error(ENAMETOOLONG if reason.errno == ERANGE else reason.errno or EPERM) from None

    def set(self, node: PosixNode, name: str, value: bytes, *, replace: bool = True) -> None:
        os.setxattr(node.where()[0], self._prefix + name, value, 0 if replace else os.XATTR_CREATE)

    def remove(self, node: PosixNode, name: str) -> None:
        try:
            os.removexattr(node.where()[0], self._prefix + name)
        except OSError as reason:
            raise error(ENOENT if reason.errno == ENODATA else reason.errno or EPERM) from None


def new_stream_values() -> LinuxValues:
    """Where named streams are kept.  Who may use one was decided when it was opened, so that is done as the server."""
    return LinuxValues(PREFIX + STREAMS)


class LinuxAttributes(PosixAttributes):
    """The power `attributes`."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(LinuxValues(PREFIX))

    def names(self, node: Node, *, seen: Stat | None = None, wait: bool = False) -> list[str]:
        bare = home_of(reach(node, wait=wait)).bare
        if seen is not None and bare.find(seen):
            return []
        found = super().names(node, wait=wait)
        if seen is not None and not found:
            bare.keep(seen, True)
        return found

    def lengths(
        self, directory: Directory, entries: Sequence[Entry], *, wait: bool = False
    ) -> list[Mapping[str, int] | None]:
        check_wait(wait)
        if not isinstance(directory, LinuxDirectory):
            raise error(EINVAL)
        fd, _ = directory.where()
        assert isinstance(fd, int)  # else it could not be listed
        bare, links = home_of(directory).bare, directory.links
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


def public_names(attributes: bytes) -> list[str]:
    """Those of a list as the kernel gives it that clients may see; nearly always none."""
    if PREFIX_BYTES not in attributes or attributes == ONLY_MARKS:
        return []
    names = os.fsdecode(attributes).split("\0")
    return [name for name in names if name.startswith(PREFIX) and is_public(name.removeprefix(PREFIX))]


def measure(path: bytes, attributes: Sequence[str]) -> dict[str, int]:
    """How long the values of a file are that may be read."""
    found = {}
    for name in attributes:
        with suppress(OSError):
            found[name.removeprefix(PREFIX)] = len(os.getxattr(path, name, follow_symlinks=False))
    return found
