"""Access control lists of POSIX.1e in their text form, which takes none of QNX's numbers; and room for descriptors.

QNX has lists of access only: directories hand none down.
"""

import grp
import os
import pwd
from collections.abc import Sequence
from errno import EINVAL, ENOSYS, ENOTSUP, EOPNOTSUPP
from typing import Final

from smbport.platform import AclEntry, AclTag, AclType, Node
from smbport.posix.kept import KeptAcl
from smbport.posix.nodes import PosixNode, check_wait
from smbport.posix.walk import error
from smbport_qnx.calls import Calls

__all__ = ["QnxAccessControl", "pack_text", "parse_text"]

NO_LISTS: Final = (ENOSYS, ENOTSUP, EOPNOTSUPP)
BASE: Final = 3  # entries of a list that says no more than the mode
KINDS: Final = {
    AclTag.USER_OBJ: "user",
    AclTag.USER: "user",
    AclTag.GROUP_OBJ: "group",
    AclTag.GROUP: "group",
    AclTag.MASK: "mask",
    AclTag.OTHER: "other",
}
NAMED: Final = {AclTag.USER: "user", AclTag.GROUP: "group"}  # that have a qualifier
TAGS: Final = {(kind, tag in NAMED): tag for tag, kind in KINDS.items()}
BITS: Final = {"r": 4, "w": 2, "x": 1}


class QnxAccessControl(KeptAcl):
    """The power `acl`."""

    __slots__ = ("_calls",)

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def lists(self, node: Node, *, wait: bool = False) -> tuple[Sequence[AclEntry], Sequence[AclEntry]]:
        check_wait(wait)
        fd = find_descriptor(node)
        if fd is None:
            return (), ()
        try:
            entries = parse_text(self._calls.acl_text(fd))
        except OSError as reason:
            if reason.errno not in NO_LISTS:
                raise
            return (), ()
        return entries if len(entries) > BASE else (), ()

    def set_list(self, node: Node, acl: Sequence[AclEntry], *, wait: bool = False) -> None:
        fd = find_descriptor(node)
        if not acl and not self.lists(node, wait=wait)[0]:
            return
        if fd is None or any(entry.type != AclType.POSIX for entry in acl):
            raise error(ENOTSUP)
        check_wait(wait)
        try:
            self._calls.set_acl_text(fd, pack_text(acl or entries_of_mode(os.fstat(fd).st_mode)))
        except OSError as reason:
            raise error(ENOTSUP if reason.errno in NO_LISTS else reason.errno or EINVAL) from None


def find_descriptor(node: Node) -> int | None:
    """Of what is open; None for what could only be named."""
    if not isinstance(node, PosixNode):
        raise error(EINVAL)
    target, directory = node.where()
    return target if directory is None and isinstance(target, int) else None


def entries_of_mode(mode: int) -> list[AclEntry]:
    """The list that says no more."""
    return [
        AclEntry(AclTag.USER_OBJ, mode >> 6 & 7),
        AclEntry(AclTag.GROUP_OBJ, mode >> 3 & 7),
        AclEntry(AclTag.OTHER, mode & 7),
    ]


def pack_text(acl: Sequence[AclEntry]) -> str:
    """`tag:qualifier:rwx`, a line each, with numbers for users and groups."""
    lines = []
    for entry in sorted(acl, key=place):
        qualifier = entry.id if entry.tag in NAMED else ""
        permissions = "".join(letter if entry.permissions & bit else "-" for letter, bit in BITS.items())
        lines.append(f"{KINDS[entry.tag]}:{qualifier}:{permissions}\n")
    return "".join(lines)


def parse_text(text: str) -> list[AclEntry]:
    """In the order of `AclTag`, users and groups by number.  OSError(EINVAL) for what is no list."""
    entries = []
    for line in text.splitlines():
        entry = line.partition("#")[0].strip()  # what follows says which rights are effective
        if entry:
            entries.append(parse_entry(entry))
    return sorted(entries, key=place)


def place(entry: AclEntry) -> tuple[int, int]:
    """By what a list is in order."""
    return entry.tag, entry.id


def parse_entry(text: str) -> AclEntry:
    kind, _, rest = text.partition(":")
    qualifier, _, letters = rest.rpartition(":")  # of names, nobody says what may not be in them
    tag = TAGS.get((kind, bool(qualifier)))
    if tag is None or set(letters) - {*BITS, "-"}:
        raise error(EINVAL)
    return AclEntry(tag, sum(BITS[letter] for letter in set(letters) & set(BITS)), find_number(kind, qualifier))


def find_number(kind: str, qualifier: str) -> int:
    """Of a user or group; -1 for entries without one.  OSError(EINVAL) if there is none of that name."""
    if not qualifier:
        return -1
    if qualifier.isdecimal():
        return int(qualifier)
    try:
        return pwd.getpwnam(qualifier).pw_uid if kind == "user" else grp.getgrnam(qualifier).gr_gid
    except KeyError:
        raise error(EINVAL) from None
