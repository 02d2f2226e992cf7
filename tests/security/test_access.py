import pytest

from smbport.security.access import (
    INVALID_OWNER,
    Privilege,
    Token,
    check_access,
    map_generic,
    map_generic_acl,
    maximal_access,
)
from smbport.wire.constants import Access, AceFlag, AceType
from smbport.wire.security import Ace, Acl, SecurityDescriptor, Sid, WellKnownSid
from smbport.wire.status import Status, StatusError

ALICE = Sid(5, (21, 1, 2, 3, 1000))
BOB = Sid(5, (21, 1, 2, 3, 1001))
STAFF = Sid(5, (21, 1, 2, 3, 1100))
USERS = Sid(5, (21, 1, 2, 3, 513))
READ, WRITE, ALL = Access.FILE_GENERIC_READ, Access.FILE_GENERIC_WRITE, Access.FILE_ALL_ACCESS
OWNERS = Access.READ_CONTROL | Access.WRITE_DAC


def token(user: Sid = ALICE, *sids: Sid, privileges: int = 0) -> Token:
    return Token(user, USERS, user, frozenset({user, USERS, WellKnownSid.EVERYONE, *sids}), privileges)


def allow(sid: Sid, mask: int, flags: int = 0) -> Ace:
    return Ace(AceType.ACCESS_ALLOWED, flags, mask, sid)


def deny(sid: Sid, mask: int, flags: int = 0) -> Ace:
    return Ace(AceType.ACCESS_DENIED, flags, mask, sid)


def owned_by(owner: Sid | None, *aces: Ace) -> SecurityDescriptor:
    return SecurityDescriptor(owner=owner, dacl=Acl(aces))


def refused(descriptor: SecurityDescriptor, who: Token, desired: int, **options: object) -> int:
    with pytest.raises(StatusError) as caught:
        check_access(descriptor, who, desired, **options)
    return caught.value.status


def test_generic_rights_are_those_of_files():
    assert map_generic(Access.GENERIC_ALL) == ALL
    assert map_generic(Access.GENERIC_READ | Access.GENERIC_WRITE) == READ | WRITE
    assert map_generic(Access.GENERIC_EXECUTE | Access.DELETE) == Access.FILE_GENERIC_EXECUTE | Access.DELETE
    assert map_generic(Access.READ_DATA) == Access.READ_DATA


@pytest.mark.parametrize(
    ("aces", "granted"),
    [
        ((), 0),
        ((allow(ALICE, READ),), READ),
        ((allow(BOB, READ),), 0),
        ((allow(WellKnownSid.EVERYONE, Access.GENERIC_ALL),), ALL),
        ((deny(ALICE, WRITE), allow(ALICE, ALL)), ALL & ~WRITE),
        # The order is what counts, canonical or not: what was allowed before a deny stays allowed.
        ((allow(ALICE, ALL), deny(ALICE, WRITE)), ALL),
        ((allow(USERS, Access.READ_DATA), deny(ALICE, READ), allow(ALICE, ALL)), ALL & ~READ | Access.READ_DATA),
        ((allow(ALICE, ALL, AceFlag.INHERIT_ONLY),), 0),
        ((deny(ALICE, ALL, AceFlag.INHERIT_ONLY), allow(ALICE, READ)), READ),
        # What depends on a condition that cannot be evaluated denies, and does not allow.
        ((Ace(AceType.ACCESS_ALLOWED_CALLBACK, 0, ALL, ALICE), allow(ALICE, READ)), READ),
        ((Ace(AceType.ACCESS_DENIED_CALLBACK, 0, WRITE, ALICE), allow(ALICE, ALL)), ALL & ~WRITE),
        ((Ace(AceType.ACCESS_ALLOWED_OBJECT, 0, ALL, None, bytes(16)),), 0),
    ],
)
def test_the_first_ace_about_a_bit_decides(aces, granted):
    assert maximal_access(owned_by(BOB, *aces), token()) == granted


def test_null_grants_all_and_empty_grants_nothing():
    assert maximal_access(SecurityDescriptor(owner=BOB), token()) == ALL
    assert maximal_access(SecurityDescriptor(owner=BOB, dacl=Acl()), token()) == 0


def test_an_owner_may_always_see_and_change_the_descriptor():
    assert maximal_access(owned_by(ALICE), token()) == OWNERS
    assert maximal_access(owned_by(ALICE, deny(ALICE, ALL)), token()) == OWNERS
    assert maximal_access(owned_by(STAFF), token(ALICE, STAFF)) == OWNERS  # a group may own, too
    assert maximal_access(owned_by(None), token()) == 0


def test_owner_rights_say_what_the_owner_may_do_instead():
    rights = allow(WellKnownSid.OWNER_RIGHTS, Access.READ_DATA)
    assert maximal_access(owned_by(ALICE, rights), token()) == Access.READ_DATA
    assert maximal_access(owned_by(BOB, rights), token()) == 0
    assert maximal_access(owned_by(ALICE, deny(WellKnownSid.OWNER_RIGHTS, ALL), allow(ALICE, ALL)), token()) == 0
    for_heirs = allow(WellKnownSid.OWNER_RIGHTS, 0, AceFlag.INHERIT_ONLY)
    assert maximal_access(owned_by(ALICE, for_heirs), token()) == OWNERS


def test_a_check_grants_just_what_was_asked_for():
    descriptor = owned_by(BOB, allow(ALICE, READ | WRITE))
    assert check_access(descriptor, token(), Access.READ_DATA) == Access.READ_DATA
    assert check_access(descriptor, token(), Access.GENERIC_READ) == READ
    assert refused(descriptor, token(), Access.READ_DATA | Access.DELETE) == Status.ACCESS_DENIED
    assert check_access(descriptor, token(), Access.READ_DATA | Access.DELETE, also=Access.DELETE) == (
        Access.READ_DATA | Access.DELETE
    )


def test_maximum_allowed_grants_the_rest_but_spares_nothing_that_was_named():
    descriptor = owned_by(BOB, allow(ALICE, READ))
    assert check_access(descriptor, token(), Access.MAXIMUM_ALLOWED) == READ
    assert check_access(descriptor, token(), Access.MAXIMUM_ALLOWED | Access.READ_DATA) == READ
    assert refused(descriptor, token(), Access.MAXIMUM_ALLOWED | Access.WRITE_DATA) == Status.ACCESS_DENIED
    assert check_access(owned_by(BOB), token(), Access.MAXIMUM_ALLOWED) == 0


def test_the_sacl_takes_a_privilege():
    descriptor = owned_by(BOB, allow(ALICE, ALL | Access.ACCESS_SYSTEM_SECURITY))
    assert refused(descriptor, token(), Access.ACCESS_SYSTEM_SECURITY) == Status.PRIVILEGE_NOT_HELD
    auditor = token(privileges=Privilege.SECURITY)
    assert check_access(owned_by(BOB), auditor, Access.ACCESS_SYSTEM_SECURITY) == Access.ACCESS_SYSTEM_SECURITY
    assert not check_access(descriptor, auditor, Access.MAXIMUM_ALLOWED) & Access.ACCESS_SYSTEM_SECURITY


def test_privileges_go_beyond_the_descriptor():
    assert maximal_access(owned_by(BOB), token(privileges=Privilege.TAKE_OWNERSHIP)) == Access.WRITE_OWNER
    backup = token(privileges=Privilege.BACKUP)
    assert maximal_access(owned_by(BOB), backup) == 0
    assert check_access(owned_by(BOB), backup, READ, backup=True) == READ
    assert refused(owned_by(BOB), backup, WRITE, backup=True) == Status.ACCESS_DENIED
    restore = token(privileges=Privilege.RESTORE)
    assert check_access(owned_by(BOB), restore, WRITE | Access.WRITE_OWNER, backup=True) == WRITE | Access.WRITE_OWNER
    assert refused(owned_by(BOB), restore, Access.READ_DATA, backup=True) == Status.ACCESS_DENIED


def test_who_may_be_made_an_owner():
    assert INVALID_OWNER == 0xC000005A
    assert token().may_own(ALICE)
    assert not token().may_own(BOB)
    assert not token(ALICE, STAFF).may_own(STAFF)
    administrators = WellKnownSid.BUILTIN_ADMINISTRATORS
    assert not token().may_own(administrators)
    assert token(ALICE, administrators).may_own(administrators)
    assert token(privileges=Privilege.RESTORE).may_own(BOB)
    assert token(ALICE, STAFF).may_give_to_group(STAFF)
    assert not token().may_give_to_group(STAFF)
    assert token(privileges=Privilege.RESTORE).may_give_to_group(STAFF)


def test_generic_rights_are_spelled_out_when_they_are_stored():
    plain = Acl((allow(ALICE, READ), allow(ALICE, Access.GENERIC_ALL, AceFlag.INHERIT_ONLY)))
    assert map_generic_acl(None) is None
    assert map_generic_acl(plain) is plain
    both = AceFlag.OBJECT_INHERIT | AceFlag.CONTAINER_INHERIT
    mapped = map_generic_acl(
        Acl((allow(BOB, WRITE), allow(ALICE, Access.GENERIC_READ), allow(ALICE, Access.GENERIC_ALL, both)))
    )
    assert mapped == Acl((
        allow(BOB, WRITE),
        allow(ALICE, READ),
        allow(ALICE, ALL),
        allow(ALICE, Access.GENERIC_ALL, both | AceFlag.INHERIT_ONLY),
    ))  # fmt: skip
