import itertools

import pytest

from smbport.platform import AclEntry, AclTag, AclType
from smbport.security.access import Token, maximal_access
from smbport.security.ntacl import SystemState
from smbport.security.posix_acl import approximate, describe, list_of, mode_of, replace_sids
from smbport.wire.constants import Access, AceFlag, AceType
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

OWNER, GROUP = unix_user_sid(1000), unix_group_sid(100)
BOB, STAFF = unix_user_sid(1001), unix_group_sid(200)


def entries(owner, bob, group, staff, mask, other):
    return (
        AclEntry(AclTag.USER_OBJ, owner),
        AclEntry(AclTag.USER, bob, 1001),
        AclEntry(AclTag.GROUP_OBJ, group),
        AclEntry(AclTag.GROUP, staff, 200),
        AclEntry(AclTag.MASK, mask),
        AclEntry(AclTag.OTHER, other),
    )


def posix_grants(acl, uid, gids):
    """What POSIX.1e grants, written down straight from the standard."""
    by = {(entry.tag, entry.id): entry.permissions for entry in acl}
    mask = by[AclTag.MASK, -1]
    if uid == 1000:
        return by[AclTag.USER_OBJ, -1]
    if (AclTag.USER, uid) in by:
        return by[AclTag.USER, uid] & mask
    groups = [by[AclTag.GROUP_OBJ, -1]] if 100 in gids else []
    groups += [by[AclTag.GROUP, gid] for gid in gids if (AclTag.GROUP, gid) in by]
    if groups:
        granted = 0
        for each in groups:
            granted |= each & mask
        return granted
    return by[AclTag.OTHER, -1]


def grants(descriptor, uid, gids):
    sids = frozenset({unix_user_sid(uid), WellKnownSid.EVERYONE, *map(unix_group_sid, gids)})
    allowed = maximal_access(descriptor, Token(BOB, GROUP, BOB, sids))
    bits = ((Access.READ_DATA, 4), (Access.WRITE_DATA, 2), (Access.EXECUTE, 1))
    return sum(bit for right, bit in bits if allowed & right)


@pytest.mark.parametrize("values", list(itertools.product((0, 6), (2, 7), (1, 4), (3, 6), (5, 7), (0, 4))))
def test_a_list_is_described_as_the_system_reads_it(values):
    acl = entries(*values)
    descriptor = describe(SystemState(1000, 100, 0o100600, acl))
    for uid, gids in (
        (1000, (100,)),
        (1001, (100, 200)),
        (1002, (100,)),
        (1002, (200,)),
        (1002, (300,)),
    ):
        assert grants(descriptor, uid, gids) == posix_grants(acl, uid, gids)
    assert (descriptor.owner, descriptor.group) == (OWNER, GROUP)


def test_several_groups_grant_together():
    descriptor = describe(SystemState(1000, 100, 0o100600, entries(6, 0, 4, 2, 7, 0)))
    assert grants(descriptor, 1002, (100, 200)) == 6


def test_without_a_list_the_mode_is_described():
    assert describe(SystemState(1000, 100, 0o100640)) == descriptor_of_mode(0o640, OWNER, GROUP, False)


@pytest.mark.parametrize("mode", [0o000, 0o644, 0o604, 0o750, 0o777, 0o077])
@pytest.mark.parametrize("is_directory", [False, True])
def test_the_description_of_a_mode_is_understood(mode, is_directory):
    state = SystemState(1000, 100, mode, is_directory=is_directory)
    found = list_of(describe(state).dacl, state)
    assert found is not None
    assert len(found) == 3
    assert mode_of(found) == mode


@pytest.mark.parametrize("values", [(7, 6, 4, 2, 6, 0), (6, 4, 0, 5, 5, 4), (0, 7, 7, 7, 7, 7)])
def test_the_description_of_a_list_is_understood(values):
    state = SystemState(1000, 100, 0o600, entries(*values))
    assert list_of(describe(state).dacl, state) == entries(*values)


def test_entries_may_come_in_any_order_and_inherited():
    state = SystemState(1000, 100, 0o640)
    dacl = describe(state).dacl
    assert dacl is not None
    shuffled = Acl(tuple(Ace(ace.type, AceFlag.INHERITED, ace.mask, ace.sid) for ace in reversed(dacl.aces)))
    assert mode_of(list_of(shuffled, state) or ()) == 0o640


@pytest.mark.parametrize(
    "dacl",
    [
        None,
        Acl(),
        Acl((Ace(AceType.ACCESS_ALLOWED, 0, Access.FILE_ALL_ACCESS, WellKnownSid.EVERYONE),)),
        Acl((Ace(AceType.ACCESS_ALLOWED, 0, Access.READ_DATA, WellKnownSid.SYSTEM),)),
        Acl((Ace(AceType.ACCESS_ALLOWED, 0, Access.READ_DATA, None, bytes(16)),)),
    ],
)
def test_what_says_more_than_a_list_can_is_none(dacl):
    assert list_of(dacl, SystemState(1000, 100, 0o640)) is None


def allow(sid: Sid, mask: int) -> Ace:
    return Ace(AceType.ACCESS_ALLOWED, 0, mask, sid)


def test_local_programs_get_about_the_same():
    descriptor = SecurityDescriptor(
        owner=OWNER,
        dacl=Acl((
            Ace(AceType.ACCESS_DENIED, 0, Access.FILE_GENERIC_WRITE, BOB),
            allow(OWNER, Access.FILE_ALL_ACCESS),
            allow(BOB, Access.FILE_ALL_ACCESS),
            allow(STAFF, Access.FILE_GENERIC_READ | Access.FILE_GENERIC_WRITE),
            allow(Sid(5, (21, 1, 2, 3, 1000)), Access.FILE_ALL_ACCESS),
            allow(WellKnownSid.AUTHENTICATED_USERS, Access.FILE_GENERIC_READ),
        )),
    )  # fmt: skip
    assert approximate(descriptor, SystemState(1000, 100, 0o600)) == (
        AclEntry(AclTag.USER_OBJ, 7),
        AclEntry(AclTag.USER, 5, 1001),
        AclEntry(AclTag.GROUP_OBJ, 4),
        AclEntry(AclTag.GROUP, 6, 200),
        AclEntry(AclTag.MASK, 7),
        AclEntry(AclTag.OTHER, 4),
    )


def test_the_owner_by_another_name_is_the_owner():
    user = Sid(5, (21, 1, 2, 3, 1000))
    descriptor = SecurityDescriptor(owner=user, dacl=Acl((allow(user, Access.FILE_GENERIC_READ),)))
    assert mode_of(approximate(descriptor, SystemState(1000, 100, 0o777))) == 0o400
    assert mode_of(approximate(SecurityDescriptor(), SystemState(1000, 100, 0o600))) == 0o777


def test_users_are_called_as_the_system_knows_them():
    windows = Sid(5, (21, 1, 2, 3, 1001))
    descriptor = SecurityDescriptor(
        owner=windows,
        group=GROUP,
        dacl=Acl((allow(windows, 1), allow(STAFF, 2), Ace(AceType.ACCESS_ALLOWED, 0, 4, None))),
    )
    known = replace_sids(descriptor, {windows: BOB})
    assert known.owner == BOB
    assert known.group == GROUP
    assert known.dacl == Acl((allow(BOB, 1), allow(STAFF, 2), Ace(AceType.ACCESS_ALLOWED, 0, 4, None)))
    assert replace_sids(SecurityDescriptor(), {windows: BOB}) == SecurityDescriptor()


def test_a_list_of_nfsv4_is_read_and_written_as_one():
    listed = (AclEntry(AclTag.USER_OBJ, Access.READ_DATA, -1, AclType.ALLOW),)
    state = SystemState(1000, 100, 0o100400, listed)
    descriptor = describe(state)
    assert descriptor.dacl == Acl((allow(OWNER, Access.READ_DATA | Access.SYNCHRONIZE),))
    assert list_of(descriptor.dacl, state) == approximate(descriptor, state) == listed
