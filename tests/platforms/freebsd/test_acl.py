"""Access control lists of both families, over the stand-in: "ufs" has POSIX.1e, "zfs" NFSv4, others have none."""

import errno
import os
import re
from contextlib import contextmanager
from pathlib import Path

import pytest

from smbport.platform import ACCESS_NONE, AclEntry, AclTag, AclType
from smbport.security.ntacl import SystemState
from smbport.security.posix_acl import describe
from smbport.testing.kit import CHECKS, examine
from smbport.wire.constants import Access, AceFlag
from smbport_freebsd.acl import FLAGS, RIGHTS, from_row, to_row
from smbport_freebsd.calls import (
    ACL_ENTRY_TYPE_ALLOW,
    ACL_ENTRY_TYPE_DENY,
    ACL_TYPE_NFS4,
    ACL_UNDEFINED_ID,
    AclRow,
)
from tests.platforms.freebsd.standin import NUMBERS

ALLOW, DENY = AclType.ALLOW, AclType.DENY


@contextmanager
def opened(platform, share, file_system=b"zfs", *, directory=False):
    with platform.calls.on(file_system):
        volume = platform.open_volume(str(share))
        if directory:
            made = volume.make_directory("node", 0o750, wait=True)
        else:
            made = volume.create("node", ACCESS_NONE, 0o640, wait=True)
        made.close()
        node = volume.open("node", ACCESS_NONE, wait=True)
        try:
            yield node
        finally:
            node.close()
            volume.close()


@contextmanager
def refused(number):
    with pytest.raises(OSError, match=re.escape(os.strerror(number))) as raised:
        yield
    assert raised.value.errno == number


# Numbers ------------------------------------------------------------------------------------------------------------


def test_every_right_is_that_of_the_headers():
    ours = {name: value for name, value in vars(Access).items() if re.fullmatch("[A-Z_]+", name)}
    others = {
        "READ_NAMED_ATTRS": "READ_EA", "WRITE_NAMED_ATTRS": "WRITE_EA", "READ_ACL": "READ_CONTROL",
        "WRITE_ACL": "WRITE_DAC",
    }  # fmt: skip
    rights = [name for name, value in NUMBERS.items() if re.fullmatch("ACL_[A-Z_]+", name)]
    rights = [
        name for name in rights
        if not re.match("ACL_(TYPE|ENTRY|MAX|UNDEFINED|USER|GROUP|MASK|OTHER|EVERYONE)", name)
    ]  # fmt: skip
    assert len(rights) == len(RIGHTS) == 14
    for name in rights:
        right = name.removeprefix("ACL_")
        assert RIGHTS[ours[others.get(right, right)]] == NUMBERS[name]


def test_every_tag_and_flag_is_that_of_the_headers():
    for tag in ("USER_OBJ", "USER", "GROUP_OBJ", "GROUP", "MASK", "OTHER", "EVERYONE"):
        assert getattr(AclTag, tag) == NUMBERS[f"ACL_{tag}"]
    names = {
        AceFlag.OBJECT_INHERIT: "FILE_INHERIT", AceFlag.CONTAINER_INHERIT: "DIRECTORY_INHERIT",
        AceFlag.NO_PROPAGATE_INHERIT: "NO_PROPAGATE_INHERIT", AceFlag.INHERIT_ONLY: "INHERIT_ONLY",
        AceFlag.INHERITED: "INHERITED",
    }  # fmt: skip
    assert {flag: NUMBERS[f"ACL_ENTRY_{name}"] for flag, name in names.items()} == FLAGS


ENTRIES = [
    AclEntry(AclTag.USER_OBJ, 6),
    AclEntry(AclTag.USER, 4, 1001),
    *(AclEntry(AclTag.USER, right, 1001, ALLOW) for right in RIGHTS),
    *(AclEntry(AclTag.EVERYONE, 1, -1, DENY, flag) for flag in FLAGS),
]


@pytest.mark.parametrize("entry", ENTRIES, ids=str)
def test_an_entry_goes_there_and_back(entry):
    row = to_row(entry)
    assert from_row(row) == entry
    assert row.id == (entry.id if entry.tag == AclTag.USER else ACL_UNDEFINED_ID)


def test_an_entry_for_auditing_does_nothing():
    assert from_row(AclRow(AclTag.EVERYONE, ACL_UNDEFINED_ID, 8, 0x400, 0)) == AclEntry(AclTag.EVERYONE, 0, -1, DENY)
    assert (ACL_ENTRY_TYPE_ALLOW, ACL_ENTRY_TYPE_DENY) == (0x100, 0x200)


# Lists --------------------------------------------------------------------------------------------------------------

NFS4 = (
    AclEntry(AclTag.USER, Access.WRITE_DATA, 4711, DENY),
    AclEntry(AclTag.USER_OBJ, Access.READ_DATA | Access.WRITE_DATA | Access.WRITE_DAC, -1, ALLOW),
    AclEntry(AclTag.GROUP, Access.READ_DATA, 4711, ALLOW, AceFlag.OBJECT_INHERIT | AceFlag.CONTAINER_INHERIT),
    AclEntry(AclTag.EVERYONE, Access.READ_DATA, -1, ALLOW, AceFlag.INHERITED),
)


@pytest.mark.parametrize("directory", [False, True], ids=["file", "directory"])
def test_nfs4(platform, share, directory):
    with opened(platform, share, directory=directory) as node:
        access, default = platform.acl.lists(node, wait=True)
        assert {entry.tag for entry in access} == {AclTag.USER_OBJ, AclTag.GROUP_OBJ, AclTag.EVERYONE}
        assert default == ()
        platform.acl.set_list(node, NFS4, wait=True)
        assert platform.acl.lists(node, wait=True) == (NFS4, ())
        assert node.stat().mode == 0o644  # the group reads because everyone does


def test_nothing_but_the_mode(newest, share):
    with opened(newest, share) as node:
        newest.acl.set_list(node, NFS4, wait=True)
        node.set_mode(0o604, wait=True)
        newest.acl.set_list(node, (), wait=True)
        access, _ = newest.acl.lists(node, wait=True)
        assert [(entry.tag, entry.type) for entry in access] == [
            (AclTag.USER_OBJ, ALLOW), (AclTag.GROUP_OBJ, DENY), (AclTag.GROUP_OBJ, ALLOW), (AclTag.EVERYONE, ALLOW),
        ]  # fmt: skip
        assert node.stat().mode == 0o604


def test_the_other_family_is_refused(newest, share):
    posix = (AclEntry(AclTag.USER_OBJ, 6), AclEntry(AclTag.GROUP_OBJ, 4), AclEntry(AclTag.OTHER, 0))
    for file_system, entries in ((b"zfs", posix), (b"ufs", NFS4), (b"msdosfs", posix)):
        with opened(newest, share, file_system) as node, refused(errno.ENOTSUP):
            newest.acl.set_list(node, entries, wait=True)
        (share / "node").unlink()


def test_a_file_system_without_lists(newest, share):
    with opened(newest, share, b"msdosfs") as node:
        assert newest.acl.lists(node, wait=True) == ((), ())
        newest.acl.set_list(node, (), wait=True)


def test_too_many_entries(newest, share):
    """124 are the most that the kernel takes of NFSv4; whoever asks for more is told so, not of a full disk."""
    many = (NFS4[3],) * 125
    with opened(newest, share) as node:
        with refused(errno.E2BIG):
            newest.acl.set_list(node, many, wait=True)
        newest.acl.set_list(node, many[1:], wait=True)
        assert len(newest.acl.lists(node, wait=True)[0]) == 124
        rows = [to_row(entry) for entry in many]
        with node.usable() as fd, refused(errno.ENOSPC):
            newest.calls.set_acl(fd, ACL_TYPE_NFS4, rows)


def test_posix_lists_of_a_directory(newest, share):
    with opened(newest, share, b"ufs", directory=True) as node:
        assert newest.acl.lists(node, wait=True) == ((), ())
        default = bytes.fromhex("02000000 0100 0700 ffffffff 0400 0500 ffffffff 2000 0000 ffffffff")
        os.setxattr(share / "node", "system.posix_acl_default", default)
        _, found = newest.acl.lists(node, wait=True)
        assert found == (AclEntry(AclTag.USER_OBJ, 7), AclEntry(AclTag.GROUP_OBJ, 5), AclEntry(AclTag.OTHER, 0))


def test_a_list_means_something_to_windows(newest, share):
    with opened(newest, share) as node:
        newest.acl.set_list(node, NFS4, wait=True)
        access, default = newest.acl.lists(node, wait=True)
        described = describe(SystemState.of(node.stat(), access, default))
    assert described.dacl.aces[0].mask == Access.WRITE_DATA
    assert len(described.dacl.aces) == len(NFS4)  # the owner's is not handed down


@pytest.mark.parametrize("check", CHECKS)
def test_the_exam_on_zfs(newest, share, check):
    with newest.calls.on(b"zfs"):
        (finding,) = examine(newest, str(share), [check]).findings
    assert finding.outcome != "failed", finding.detail


# Descriptors ----------------------------------------------------------------------------------------------------------


def test_where_descriptors_are_kept(newest, share: Path):
    with opened(newest, share) as node:
        newest.acl.set_descriptor(node, "user.NTACL", b"value", wait=True)
        assert newest.acl.descriptor(node, "user.NTACL", wait=True) == b"value"
        assert newest.attributes.names(node, wait=True) == []  # clients do not see it
    assert os.getxattr(share / "node", "user.NTACL") == b"value"


def test_only_root_has_the_namespace_of_the_system(newest, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert type(newest.acl)().names == ("user.NTACL",)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert type(newest.acl)().names == ("security.NTACL", "user.NTACL")
