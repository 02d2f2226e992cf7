"""Who may do what with a file: lists of the file system, and room for Windows' descriptors."""

from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol

from smbport.platform.volumes import Node

__all__ = ["AccessControl", "AclEntry", "AclTag", "AclType"]


class AclTag:
    """Whom an entry of an access control list is about; the numbers are Linux' and FreeBSD's."""

    USER_OBJ: Final = 0x01  # the owner
    USER: Final = 0x02
    GROUP_OBJ: Final = 0x04  # the group of the file
    GROUP: Final = 0x08
    MASK: Final = 0x10  # the most that USER, GROUP_OBJ and GROUP get
    OTHER: Final = 0x20
    EVERYONE: Final = 0x40  # in NFSv4 lists, which have neither MASK nor OTHER


class AclType:
    """What an entry does."""

    POSIX: Final = 0  # as POSIX.1e has it: the first class that matches decides
    ALLOW: Final = 1  # in NFSv4 lists, as in those of Windows
    DENY: Final = 2


class AclEntry(NamedTuple):
    """One entry of an access control list: of POSIX.1e, or of NFSv4, where the order counts.  [RFC7530] 6.2.1"""

    tag: int  # one of AclTag
    permissions: int  # of POSIX.1e: 4 read, 2 write, 1 execute; of NFSv4: its access mask, which is that of Windows
    id: int = -1  # uid of a USER, gid of a GROUP
    type: int = AclType.POSIX  # the same family in all entries of a list
    flags: int = 0  # of NFSv4: how it is handed down, in the numbers of [MS-DTYP] 2.4.4.1


class AccessControl(Protocol):
    """Who may do what with a file, beyond its mode: the file system's own lists, and room for a descriptor.

    A descriptor is kept under a name, for servers that do not share one; what it says is nothing to the system.
    """

    names: Sequence[str]  # names that a descriptor can be kept under; local users cannot change it under the first

    def lists(self, node: Node, *, wait: bool = False) -> tuple[Sequence[AclEntry], Sequence[AclEntry]]:
        """The access control list, and the one that is handed down in a directory; empty: there is none.

        In the order of the system, which in POSIX.1e is that of `AclTag`; USER and GROUP by id.
        """

    def set_list(self, node: Node, acl: Sequence[AclEntry], *, wait: bool = False) -> None:
        """Replace the access control list, and with it the permission bits of the mode; () leaves only these.

        OSError(ENOTSUP) if the file system has none of this family.
        """

    def descriptor(self, node: Node, name: str, *, wait: bool = False) -> bytes | None:
        """What was stored under that name; None if nothing was."""

    def set_descriptor(self, node: Node, name: str, value: bytes, *, wait: bool = False) -> None:
        """Store, as the server itself.  OSError(ENOSPC) or OSError(E2BIG) if it does not fit, OSError(EPERM) if
        this name takes a right that the server lacks."""
