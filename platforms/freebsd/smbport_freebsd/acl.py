"""Access control lists, and room for Windows' descriptors.

A file system of FreeBSD has lists of one family: NFSv4 (ZFS always, UFS if it is mounted so), POSIX.1e (UFS if it is
mounted so), or none.  FreeBSD numbers the rights of NFSv4 in an order of its own.

A descriptor is an extended attribute.  Only root may write to the namespace `system`, and only root may read it.
"""

import os
from collections.abc import Sequence
from errno import E2BIG, EINVAL, ENOTSUP, EOPNOTSUPP
from stat import S_IMODE
from typing import Final

from smbport.platform import AclEntry, AclTag, AclType, Node
from smbport.posix.walk import error
from smbport_freebsd.attributes import reach, replace_attribute
from smbport_freebsd.calls import (
    ACL_ENTRY_TYPE_ALLOW,
    ACL_ENTRY_TYPE_DENY,
    ACL_MAX_ENTRIES,
    ACL_TYPE_ACCESS,
    ACL_TYPE_DEFAULT,
    ACL_TYPE_NFS4,
    ACL_UNDEFINED_ID,
    EXTATTR_NAMESPACE_SYSTEM,
    EXTATTR_NAMESPACE_USER,
    AclRow,
    Calls,
)
from smbport_freebsd.files import FreeBSDDirectory, FreeBSDNode

__all__ = ["FLAGS", "RIGHTS", "FreeBSDAccessControl", "find_acl_type", "from_row", "to_row"]

RIGHTS: Final = {
    0x000001: 0x0008,  # READ_DATA
    0x000002: 0x0010,  # WRITE_DATA
    0x000004: 0x0020,  # APPEND_DATA
    0x000008: 0x0040,  # READ_NAMED_ATTRS
    0x000010: 0x0080,  # WRITE_NAMED_ATTRS
    0x000020: 0x0001,  # EXECUTE
    0x000040: 0x0100,  # DELETE_CHILD
    0x000080: 0x0200,  # READ_ATTRIBUTES
    0x000100: 0x0400,  # WRITE_ATTRIBUTES
    0x010000: 0x0800,  # DELETE
    0x020000: 0x1000,  # READ_ACL
    0x040000: 0x2000,  # WRITE_ACL
    0x080000: 0x4000,  # WRITE_OWNER
    0x100000: 0x8000,  # SYNCHRONIZE
}
"""Rights of NFSv4, which are Windows' -> FreeBSD's numbers for them."""

FLAGS: Final = {0x01: 0x01, 0x02: 0x02, 0x04: 0x04, 0x08: 0x08, 0x10: 0x80}
"""How an entry is handed down, in Windows' numbers -> in FreeBSD's; the last: it has been."""

TYPES: Final = {AclType.POSIX: 0, AclType.ALLOW: ACL_ENTRY_TYPE_ALLOW, AclType.DENY: ACL_ENTRY_TYPE_DENY}
OUR_TYPES: Final = {theirs: ours for ours, theirs in TYPES.items()}
WITH_ID: Final = (AclTag.USER, AclTag.GROUP)
NONE: Final = 0  # for the family of the lists where there are none
BASE: Final = 3  # entries of a POSIX.1e list that says no more than the mode
# So many entries may stand in a list: of NFSv4 fewer, because chmod(2) splits each in two and adds six.
MAX_ENTRIES: Final = {ACL_TYPE_ACCESS: ACL_MAX_ENTRIES, ACL_TYPE_NFS4: (ACL_MAX_ENTRIES - 6) // 2}
NAMES: Final = {
    "security.NTACL": (EXTATTR_NAMESPACE_SYSTEM, b"NTACL"),
    "user.NTACL": (EXTATTR_NAMESPACE_USER, b"NTACL"),
}

# What permission bits mean in NFSv4, as acl_nfs4_trivial_from_mode(9) has it.
ALWAYS: Final = 0x120088  # READ_ATTRIBUTES, READ_NAMED_ATTRS, READ_ACL, SYNCHRONIZE
OWNER: Final = 0x0C0110  # WRITE_ATTRIBUTES, WRITE_NAMED_ATTRS, WRITE_ACL, WRITE_OWNER
BITS: Final = {4: 0x01, 2: 0x06, 1: 0x20}


class FreeBSDAccessControl:
    """The power `acl`."""

    __slots__ = ("names",)

    def __init__(self) -> None:
        self.names: Sequence[str] = tuple(NAMES) if os.geteuid() == 0 else ("user.NTACL",)

    def lists(self, node: Node, *, wait: bool = False) -> tuple[Sequence[AclEntry], Sequence[AclEntry]]:
        own = reach(node, wait=wait)
        family = own.acl_type
        if family == NONE:
            return (), ()
        with own.usable() as fd:
            access = [from_row(row) for row in own.calls.get_acl(fd, family)]
            if family == ACL_TYPE_NFS4:
                return tuple(access), ()
            default = own.calls.get_acl(fd, ACL_TYPE_DEFAULT) if isinstance(own, FreeBSDDirectory) else ()
        return tuple(access) if len(access) > BASE else (), tuple(map(from_row, default))

    def set_list(self, node: Node, acl: Sequence[AclEntry], *, wait: bool = False) -> None:
        own = reach(node, wait=wait)
        family = own.acl_type
        if acl and (family == NONE or (acl[0].type == AclType.POSIX) != (family == ACL_TYPE_ACCESS)):
            raise error(ENOTSUP)
        if family == NONE:
            return
        if len(acl) > MAX_ENTRIES[family]:
            raise error(E2BIG)
        with own.usable() as fd:
            rows = [to_row(entry) for entry in (acl or base_list(own, fd, family))]
            own.calls.set_acl(fd, family, rows if family == ACL_TYPE_NFS4 else sorted(rows))

    def descriptor(self, node: Node, name: str, *, wait: bool = False) -> bytes | None:
        own = reach(node, wait=wait)
        with own.usable() as fd:
            try:
                return own.calls.get_attribute(fd, *NAMES[name])
            except OSError as reason:
                if reason.errno == EOPNOTSUPP:
                    return None
                raise

    def set_descriptor(self, node: Node, name: str, value: bytes, *, wait: bool = False) -> None:
        own = reach(node, wait=wait)
        with own.usable() as fd:
            replace_attribute(own.calls, fd, *NAMES[name], value)


def find_acl_type(calls: Calls, fd: int) -> int:
    """The family of the lists on the file system that `fd` is on; NONE if it has none."""
    for family in (ACL_TYPE_NFS4, ACL_TYPE_ACCESS):
        try:
            calls.get_acl(fd, family)
        except OSError as reason:
            if reason.errno not in (EINVAL, EOPNOTSUPP):
                raise
        else:
            return family
    return NONE


def base_list(node: FreeBSDNode, fd: int, family: int) -> Sequence[AclEntry]:
    """A list that says what the mode says."""
    mode = S_IMODE(node.calls.state(fd).st_mode)
    classes = ((AclTag.USER_OBJ, mode >> 6 & 7), (AclTag.GROUP_OBJ, mode >> 3 & 7), (AclTag.OTHER, mode & 7))
    if family == ACL_TYPE_ACCESS:
        return [AclEntry(tag, bits) for tag, bits in classes]
    return list(describe_mode(classes))


def describe_mode(classes: Sequence[tuple[int, int]]) -> Sequence[AclEntry]:
    """NFSv4 counts all that matches, so who has less than a later class is denied the difference."""
    entries = []
    for index, (tag, bits) in enumerate(classes):
        who = AclTag.EVERYONE if tag == AclTag.OTHER else tag
        later = 0
        for _, others in classes[index + 1 :]:
            later |= others
        if later & ~bits:
            entries.append(AclEntry(who, rights_of(later & ~bits), -1, AclType.DENY))
        mask = rights_of(bits) | ALWAYS | (OWNER if tag == AclTag.USER_OBJ else 0)
        entries.append(AclEntry(who, mask, -1, AclType.ALLOW))
    return entries


def rights_of(bits: int) -> int:
    return sum(mask for bit, mask in BITS.items() if bits & bit)


def from_row(row: AclRow) -> AclEntry:
    """An entry of FreeBSD's in the numbers of the interface; its types for auditing, which do nothing, deny nothing."""
    tag, id, permissions, kind, flags = row
    number = id if tag in WITH_ID else -1
    if kind == TYPES[AclType.POSIX]:
        return AclEntry(tag, permissions, number)
    mask = sum(ours for ours, theirs in RIGHTS.items() if permissions & theirs)
    handed = sum(ours for ours, theirs in FLAGS.items() if flags & theirs)
    if kind not in OUR_TYPES:
        mask, kind = 0, ACL_ENTRY_TYPE_DENY
    return AclEntry(tag, mask, number, OUR_TYPES[kind], handed)


def to_row(entry: AclEntry) -> AclRow:
    """The reverse."""
    number = entry.id if entry.tag in WITH_ID else ACL_UNDEFINED_ID
    if entry.type == AclType.POSIX:
        return AclRow(entry.tag, number, entry.permissions, 0, 0)
    permissions = sum(theirs for ours, theirs in RIGHTS.items() if entry.permissions & ours)
    flags = sum(theirs for ours, theirs in FLAGS.items() if entry.flags & ours)
    return AclRow(entry.tag, number, permissions, TYPES[entry.type], flags)
