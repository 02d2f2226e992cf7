"""Extended attributes: the namespace `user` of FreeBSD, less what servers keep there for themselves."""

import os
from errno import E2BIG, EINVAL, ENOENT, EPERM
from typing import Final

from smbport.platform import Node
from smbport.posix.files import check_wait
from smbport.posix.walk import error
from smbport_freebsd.calls import EXTATTR_NAMESPACE_USER
from smbport_freebsd.files import FreeBSDNode
from smbport_freebsd.stats import DOSATTRIB

__all__ = ["FreeBSDAttributes"]

# What Samba keeps beside the DOS attributes: descriptors, streams, inherited ACL entries, reparse points.
PRIVATE: Final = (b"NTACL", b"DosStream.", b"SAMBA_PAI", b"SmbReparse")
MAX_VALUE: Final = 65536  # ZFS takes more, UFS somewhat less for all attributes of a file together


class FreeBSDAttributes:
    """The power `attributes`."""

    __slots__ = ()
    max_value = MAX_VALUE

    def names(self, node: Node, *, wait: bool = False) -> list[str]:
        own = reach(node, wait=wait)
        with own.usable() as fd:
            found = own.calls.list_attributes(fd, EXTATTR_NAMESPACE_USER)
        return [os.fsdecode(name) for name in found if is_public(name)]

    def get(self, node: Node, name: str, *, wait: bool = False) -> bytes | None:
        encoded = encode(name)
        if not is_public(encoded):
            return None
        own = reach(node, wait=wait)
        with own.usable() as fd:
            return own.calls.get_attribute(fd, EXTATTR_NAMESPACE_USER, encoded)

    def set(self, node: Node, name: str, value: bytes, *, wait: bool = False) -> None:
        encoded = encode(name)
        if not is_public(encoded):
            raise error(EPERM)
        if len(value) > MAX_VALUE:
            raise error(E2BIG)
        own = reach(node, wait=wait)
        with own.usable() as fd:
            own.calls.set_attribute(fd, EXTATTR_NAMESPACE_USER, encoded, value)

    def remove(self, node: Node, name: str, *, wait: bool = False) -> None:
        encoded = encode(name)
        if not is_public(encoded):
            raise error(ENOENT)
        own = reach(node, wait=wait)
        with own.usable() as fd:
            own.calls.remove_attribute(fd, EXTATTR_NAMESPACE_USER, encoded)


def reach(node: Node, *, wait: bool) -> FreeBSDNode:
    check_wait(wait)
    if not isinstance(node, FreeBSDNode):
        raise error(EINVAL)
    return node


def is_public(name: bytes) -> bool:
    return name != DOSATTRIB and not name.startswith(PRIVATE)


def encode(name: str) -> bytes:
    if "\0" in name:
        raise error(EINVAL)
    try:
        return os.fsencode(name)
    except UnicodeEncodeError:
        raise error(EINVAL) from None
