"""Extended attributes: the namespace `user` of Linux, less what servers keep there for themselves."""

import os
from errno import EINVAL, ENAMETOOLONG, ENODATA, ENOENT, EPERM, ERANGE
from typing import Final

from smbport.platform import Node
from smbport.posix.dosattrib import ATTRIBUTE_NAME
from smbport.posix.files import PosixNode
from smbport.posix.walk import error

__all__ = ["LinuxAttributes", "StreamValues"]

PREFIX: Final = "user."
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


def is_public(name: str) -> bool:
    return name.startswith(PREFIX) and name != ATTRIBUTE_NAME and not name.startswith(PRIVATE)


def encode(name: str) -> bytes:
    if "\0" in name:
        raise error(EINVAL)
    try:
        return os.fsencode(PREFIX + name)
    except UnicodeEncodeError:
        raise error(EINVAL) from None
