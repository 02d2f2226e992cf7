"""POSIX access control lists, and room for Windows' descriptors: both are extended attributes.  acl(5), xattr(7)"""

import os
from collections.abc import Sequence
from errno import EAGAIN, EINVAL, ENODATA, EOPNOTSUPP
from struct import Struct
from typing import Final

from smbport.platform import AclEntry, AclTag, Node
from smbport.posix.nodes import PosixNode
from smbport.posix.walk import error
from smbport_linux.identity import find_effective_capabilities

__all__ = ["LinuxAccessControl", "why_no_acl"]

ACCESS: Final = "system.posix_acl_access"
DEFAULT: Final = "system.posix_acl_default"
NAMES: Final = ("security.NTACL", "user.NTACL")
CAP_SYS_ADMIN: Final = 1 << 21
VERSION: Final = Struct("<I")
ENTRY: Final = Struct("<HHI")
NO_ID: Final = 0xFFFFFFFF
WITH_ID: Final = (AclTag.USER, AclTag.GROUP)


class LinuxAccessControl:
    """The power `acl`.  Who is not root of the whole machine cannot write attributes of the namespace `security`."""

    __slots__ = ("names",)

    def __init__(self) -> None:
        may_administer = find_effective_capabilities() & CAP_SYS_ADMIN
        self.names: Sequence[str] = NAMES if may_administer else NAMES[1:]

    def lists(self, node: Node, *, wait: bool = False) -> tuple[Sequence[AclEntry], Sequence[AclEntry]]:
        target = reach(node, wait)
        access = parse(read(target, ACCESS))
        return access, parse(read(target, DEFAULT)) if node_is_directory(node) else ()

    def set_list(self, node: Node, acl: Sequence[AclEntry], *, wait: bool = False) -> None:
        target = reach_for_change(node, wait)
        with own(node).home.rights:
            if acl:
                os.setxattr(target, ACCESS, pack(acl))
            elif read(target, ACCESS) is not None:
                os.removexattr(target, ACCESS)

    def descriptor(self, node: Node, name: str, *, wait: bool = False) -> bytes | None:
        return read(reach(node, wait), name)

    def set_descriptor(self, node: Node, name: str, value: bytes, *, wait: bool = False) -> None:
        os.setxattr(reach_for_change(node, wait), name, value)


def own(node: Node) -> PosixNode:
    if not isinstance(node, PosixNode):
        raise error(EINVAL)
    return node


def reach(node: Node, wait: bool) -> int | str | bytes:
    """What names the node to the kernel, for reading what lies in its inode or in the block beside it."""
    if not wait and not own(node).inline:
        raise error(EAGAIN)
    return own(node).where()[0]


def reach_for_change(node: Node, wait: bool) -> int | str | bytes:
    own(node).check_change(wait)
    return own(node).where()[0]


def node_is_directory(node: Node) -> bool:
    return bool(getattr(node, "is_directory", False))


def read(target: int | str | bytes, name: str) -> bytes | None:
    try:
        return os.getxattr(target, name)
    except OSError as reason:
        if reason.errno in (ENODATA, EOPNOTSUPP):
            return None
        raise


def parse(value: bytes | None) -> tuple[AclEntry, ...]:
    if value is None:
        return ()
    return tuple(
        AclEntry(tag, permissions, id if tag in WITH_ID else -1)
        for tag, permissions, id in ENTRY.iter_unpack(value[VERSION.size :])
    )


def pack(acl: Sequence[AclEntry]) -> bytes:
    entries = sorted(acl, key=lambda entry: (entry.tag, entry.id))  # the kernel takes no other order
    return VERSION.pack(2) + b"".join(
        ENTRY.pack(entry.tag, entry.permissions, entry.id if entry.tag in WITH_ID else NO_ID) for entry in entries
    )


def why_no_acl() -> str | None:
    """A sentence if extended attributes cannot be had at all, as under some filters of system calls."""
    try:
        read("/", "security.NTACL")
    except OSError as reason:
        return f"The system does not let this process read extended attributes: {reason.strerror}."
    return None
