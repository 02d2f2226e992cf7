"""QUERY_INFO and SET_INFO of security descriptors, against a volume in memory."""

import errno
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from smbport.platform import ACCESS_NONE, AclEntry, AclTag
from smbport.security.ntacl import SystemState
from smbport.security.posix_acl import describe
from smbport.wire.constants import Access, AceFlag, AceType, Dialect, InfoType, SecurityInformation
from smbport.wire.error import ErrorResponse, error_contexts, error_data
from smbport.wire.header import HEADER_SIZE
from smbport.wire.security import (
    Ace,
    Acl,
    SecurityDescriptor,
    Sid,
    WellKnownSid,
    descriptor_of_mode,
    unix_group_sid,
    unix_user_sid,
)
from smbport.wire.status import Status, status_name

Refused = Callable[[int], Any]
OWNER, GROUP = unix_user_sid(1000), unix_group_sid(100)
ALL_PARTS = SecurityInformation.OWNER | SecurityInformation.GROUP | SecurityInformation.DACL


# Reading --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [0o644, 0o750, 0o604])
def test_descriptor_of_the_mode(share: Any, mode: int) -> None:
    share.make("a", mode=mode)
    node = share.volume.open("a", ACCESS_NONE)
    node.set_owner(1000, 100)
    data = share.data(share.open("a"), 0, info_type=InfoType.SECURITY, information=ALL_PARTS)
    wanted = descriptor_of_mode(mode, unix_user_sid(1000), unix_group_sid(100), False)
    assert SecurityDescriptor.parse(data) == wanted


def test_only_what_was_asked_for(share: Any) -> None:
    data = share.data(share.open(""), 0, info_type=InfoType.SECURITY, information=SecurityInformation.OWNER)
    parsed = SecurityDescriptor.parse(data)
    assert parsed.owner is not None
    assert parsed.group is None
    assert parsed.dacl is None


def test_rights_to_read_a_descriptor(share: Any, refused: Refused) -> None:
    share.make("a")
    opened = share.open("a", Access.READ_DATA)
    with refused(Status.ACCESS_DENIED):
        share.query(opened, 0, info_type=InfoType.SECURITY, information=SecurityInformation.DACL)
    assert share.data(opened, 0, info_type=InfoType.SECURITY, information=0)
    opened = share.open("a", Access.READ_CONTROL)
    with refused(Status.ACCESS_DENIED):
        share.query(
            opened, 0, info_type=InfoType.SECURITY, information=SecurityInformation.SACL | SecurityInformation.OWNER
        )


@pytest.mark.parametrize("dialect", [Dialect.SMB_3_1_1, Dialect.SMB_2_1])
def test_too_small_for_a_descriptor(share: Any, dialect: int) -> None:
    share.connection.dialect = dialect
    opened = share.open("")
    whole = share.data(opened, 0, info_type=InfoType.SECURITY, information=ALL_PARTS)
    reply = share.query(opened, 0, info_type=InfoType.SECURITY, information=ALL_PARTS, length=len(whole) - 1)
    assert status_name(reply.status) == "STATUS_BUFFER_TOO_SMALL"
    message = bytes(HEADER_SIZE) + reply.body
    response = ErrorResponse.unpack_from(message, HEADER_SIZE)
    if dialect == Dialect.SMB_3_1_1:
        assert [(kind, bytes(data)) for kind, data in error_contexts(message, response)] == [
            (0, len(whole).to_bytes(4, "little"))
        ]
    else:
        assert response.error_context_count == 0
        assert bytes(error_data(message, response)) == len(whole).to_bytes(4, "little")


# Setting --------------------------------------------------------------------------------------------------------


def set_descriptor(share: Any, opened: Any, descriptor: SecurityDescriptor, information: int = ALL_PARTS) -> None:
    share.set(opened, 0, descriptor.pack(), info_type=InfoType.SECURITY, information=information)


def owned_file(share: Any, *, mode: int = 0o2644) -> Any:
    share.make("a", mode=mode)
    share.volume.open("a", ACCESS_NONE).set_owner(1000, 100)
    return share.open("a")


@pytest.mark.parametrize("mode", [0o644, 0o600, 0o777, 0o604, 0o000, 0o751])
def test_a_descriptor_that_a_mode_can_hold(share: Any, mode: int) -> None:
    opened = owned_file(share)
    set_descriptor(share, opened, descriptor_of_mode(mode, OWNER, GROUP, False))
    stat = opened.node.stat()
    assert (stat.mode, stat.uid, stat.gid) == (0o2000 | mode, 1000, 100)


def test_the_order_of_entries_and_inheritance_do_not_matter(share: Any) -> None:
    opened = owned_file(share)
    described = descriptor_of_mode(0o640, OWNER, GROUP, False)
    assert described.dacl is not None
    aces = tuple(replace(ace, flags=ace.flags | AceFlag.INHERITED) for ace in reversed(described.dacl.aces))
    set_descriptor(share, opened, replace(described, dacl=Acl(aces)), SecurityInformation.DACL)
    assert opened.node.stat().mode == 0o2640


def test_what_was_read_can_be_set_again_and_changes_nothing(share: Any) -> None:
    opened = owned_file(share)
    before = opened.node.stat()
    data = share.data(opened, 0, info_type=InfoType.SECURITY, information=ALL_PARTS)
    share.set(opened, 0, data, info_type=InfoType.SECURITY, information=ALL_PARTS)
    assert opened.node.stat() == before


def test_owner_and_group(share: Any) -> None:
    opened = owned_file(share, mode=0o644)
    wanted = SecurityDescriptor(owner=unix_user_sid(7), group=unix_group_sid(8))
    set_descriptor(share, opened, wanted, SecurityInformation.GROUP)
    assert (opened.node.stat().uid, opened.node.stat().gid) == (1000, 8)
    set_descriptor(share, opened, wanted, SecurityInformation.OWNER)
    assert (opened.node.stat().uid, opened.node.stat().gid) == (7, 8)
    assert opened.node.stat().mode == 0o644


@pytest.mark.parametrize(
    "dacl",
    [
        None,
        Acl(),
        Acl((Ace(AceType.ACCESS_ALLOWED, 0, Access.FILE_ALL_ACCESS, WellKnownSid.EVERYONE),)),
        Acl((Ace(AceType.ACCESS_ALLOWED, 0, Access.FILE_GENERIC_READ, Sid(5, (21, 1, 2, 3, 1000))),)),
    ],
)
def test_a_list_that_no_mode_can_hold(share: Any, refused: Refused, dacl: Acl | None) -> None:
    opened = owned_file(share)
    before = opened.node.stat()
    with refused(Status.NOT_SUPPORTED):
        set_descriptor(share, opened, SecurityDescriptor(dacl=dacl), SecurityInformation.DACL)
    assert opened.node.stat() == before


@pytest.mark.parametrize("sid", [None, WellKnownSid.SYSTEM, unix_group_sid(1), Sid(22, (1, 2, 3))])
def test_an_owner_that_is_no_account(share: Any, refused: Refused, sid: Sid | None) -> None:
    opened = owned_file(share)
    with refused(Status.INVALID_SID):
        set_descriptor(share, opened, SecurityDescriptor(owner=sid), SecurityInformation.OWNER)


def test_rights_to_set_a_descriptor(share: Any, new_share: Any, refused: Refused) -> None:
    share.make("a")
    wanted = descriptor_of_mode(0o644, OWNER, GROUP, False)
    opened = share.open("a", Access.FILE_ALL_ACCESS & ~Access.WRITE_OWNER)
    with refused(Status.ACCESS_DENIED):
        set_descriptor(share, opened, wanted)
    with refused(Status.ACCESS_DENIED):
        set_descriptor(share, opened, wanted, SecurityInformation.SACL)
    with refused(Status.MEDIA_WRITE_PROTECTED):
        read_only = new_share(read_only=True)
        set_descriptor(read_only, read_only.open(""), wanted)


def test_no_auditing(share: Any, refused: Refused) -> None:
    opened = owned_file(share)
    opened.granted_access |= Access.ACCESS_SYSTEM_SECURITY
    audit = Acl((Ace(AceType.SYSTEM_AUDIT, AceFlag.FAILED_ACCESS, Access.FILE_ALL_ACCESS, WellKnownSid.EVERYONE),))
    with refused(Status.NOT_SUPPORTED):
        set_descriptor(share, opened, SecurityDescriptor(sacl=audit), SecurityInformation.SACL)
    set_descriptor(share, opened, SecurityDescriptor(sacl=Acl()), SecurityInformation.SACL)


def test_bytes_that_are_no_descriptor(share: Any, refused: Refused) -> None:
    opened = owned_file(share)
    with refused(Status.INVALID_SECURITY_DESCR):
        share.set(opened, 0, bytes(20), info_type=InfoType.SECURITY, information=SecurityInformation.DACL)


def test_of_another_owner(share: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = owned_file(share)
    share.faults.fail("File.set_mode", errno.EPERM)
    with pytest.raises(PermissionError):
        set_descriptor(share, opened, descriptor_of_mode(0o600, OWNER, GROUP, False), SecurityInformation.DACL)


# Where the system has lists -------------------------------------------------------------------------------------

BOB = unix_user_sid(1001)
LIST = (
    AclEntry(AclTag.USER_OBJ, 6),
    AclEntry(AclTag.USER, 4, 1001),
    AclEntry(AclTag.GROUP_OBJ, 4),
    AclEntry(AclTag.MASK, 4),
    AclEntry(AclTag.OTHER, 0),
)


@pytest.fixture
def lists(share: Any, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The list that the one file of a system with lists has."""
    kept: dict[str, Any] = {"access": ()}
    power = type(share.inner.acl)
    monkeypatch.setattr(power, "lists", lambda self, node, *, wait=False: (kept["access"], ()))
    monkeypatch.setattr(power, "set_list", lambda self, node, acl, *, wait=False: kept.update(access=tuple(acl)))
    return kept


def test_a_list_is_described_and_can_be_set(share: Any, lists: dict[str, Any]) -> None:
    opened = owned_file(share, mode=0o640)
    lists["access"] = LIST
    data = share.data(opened, 0, info_type=InfoType.SECURITY, information=ALL_PARTS)
    described = SecurityDescriptor.parse(data)
    assert described.dacl is not None
    assert BOB in {ace.sid for ace in described.dacl.aces}
    lists["access"] = ()
    set_descriptor(share, opened, described, SecurityInformation.DACL)
    assert lists["access"] == LIST


def test_a_list_goes_when_a_mode_says_it_all(share: Any, lists: dict[str, Any]) -> None:
    opened = owned_file(share, mode=0o2640)
    lists["access"] = LIST
    set_descriptor(share, opened, descriptor_of_mode(0o600, OWNER, GROUP, False), SecurityInformation.DACL)
    assert lists["access"] == ()
    assert opened.node.stat().mode == 0o2600


def test_a_list_where_the_system_has_none(share: Any, refused: Refused, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = owned_file(share, mode=0o640)
    monkeypatch.setattr(share.inner, "acl", None)
    described = describe(SystemState(1000, 100, 0o100640, LIST))
    with refused(Status.NOT_SUPPORTED):
        set_descriptor(share, opened, described, SecurityInformation.DACL)
    set_descriptor(share, opened, descriptor_of_mode(0o600, OWNER, GROUP, False), SecurityInformation.DACL)
    assert opened.node.stat().mode == 0o600
