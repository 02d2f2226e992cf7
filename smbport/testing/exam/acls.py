"""The exam for the power `acl`."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from smbport.platform import AccessControl, AclEntry, AclTag, AclType, Node, Platform
from smbport.testing.exam.bench import open_bench, require
from smbport.testing.exam.powers import find_power

__all__ = ["check_acl"]

ID: Final = 4711  # of nobody in particular
LIST: Final = (
    AclEntry(AclTag.USER_OBJ, 6),
    AclEntry(AclTag.USER, 4, ID),
    AclEntry(AclTag.GROUP_OBJ, 4),
    AclEntry(AclTag.GROUP, 6, ID),
    AclEntry(AclTag.MASK, 6),
    AclEntry(AclTag.OTHER, 0),
)
NFS4: Final = (
    AclEntry(AclTag.USER, 0x000002, ID, AclType.DENY),
    AclEntry(AclTag.USER_OBJ, 0x0C019B, -1, AclType.ALLOW),
    AclEntry(AclTag.GROUP, 0x020081, ID, AclType.ALLOW),
    AclEntry(AclTag.EVERYONE, 0x020081, -1, AclType.ALLOW),
)


def check_acl(platform: Platform, path: str) -> str:
    """Descriptors beside files and directories, and the lists of the file system, where it has any."""
    find_power(platform, "acl", platform.acl)
    remarks: set[str] = set()
    with open_bench(platform, path) as bench:
        acl = bench.platform.acl
        assert acl is not None
        for node in (bench.create("file"), bench.volume.make_directory(bench.at("directory"), 0o755)):
            check_descriptors(acl, node)
            remarks |= check_lists(acl, node)
            node.close()
    return ", ".join(sorted(remarks))


def check_descriptors(acl: AccessControl, node: Node) -> None:
    require(bool(acl.names), "there is at least one name that a descriptor can be kept under")
    for name in acl.names:
        require(acl.descriptor(node, name, wait=True) is None, "descriptor() is None where nothing was stored")
        for value in (b"first", b"", b"\0\xffthird, longer than the first"):
            acl.set_descriptor(node, name, value, wait=True)
            require(acl.descriptor(node, name, wait=True) == value, "descriptor() gives what set_descriptor stored")


def check_lists(acl: AccessControl, node: Node) -> set[str]:
    access, default = acl.lists(node, wait=True)
    if access and access[0].type != AclType.POSIX:
        return check_nfs4_lists(acl, node, access)
    require(not access and not default, "a new file has no list, as far as its directory hands none down")
    with suppress(OSError):
        acl.set_list(node, LIST, wait=True)
        found, _ = acl.lists(node, wait=True)
        require(tuple(found) == LIST, "lists() gives what set_list set, in order")
        require(node.stat().mode & 0o777 == 0o660, "the mode follows the list: owner, mask, others")
        acl.set_list(node, (), wait=True)
        require(not acl.lists(node, wait=True)[0], "set_list of nothing takes the list away")
        return set()
    return {"the file system has no lists"}


def check_nfs4_lists(acl: AccessControl, node: Node, access: Sequence[AclEntry]) -> set[str]:
    require(all(entry.type != AclType.POSIX for entry in access), "a list is of one family")
    acl.set_list(node, NFS4, wait=True)
    require(tuple(acl.lists(node, wait=True)[0]) == NFS4, "lists() gives what set_list set, in order")
    require(node.stat().mode & 0o777 == 0o644, "the mode follows the list: what owner, group and others may")
    acl.set_list(node, (), wait=True)
    found, _ = acl.lists(node, wait=True)
    require(all(entry.tag not in (AclTag.USER, AclTag.GROUP) for entry in found), "set_list of nothing names nobody")
    return {"lists of NFSv4"}
