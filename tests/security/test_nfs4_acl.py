import pytest

from smbport.platform import AclEntry, AclTag, AclType
from smbport.security import posix_acl
from smbport.security.nfs4_acl import describe, is_nfs4, list_of
from smbport.security.ntacl import SystemState, pack_stored, parse_stored
from smbport.wire.constants import Access, AceFlag, AceType
from smbport.wire.security import Ace, Acl, SecurityControl, Sid, WellKnownSid, unix_group_sid, unix_user_sid

UID, GID = 1000, 100
OWNER, GROUP = unix_user_sid(UID), unix_group_sid(GID)
BOB, STAFF = unix_user_sid(1001), unix_group_sid(200)
ALLOW, DENY = AclType.ALLOW, AclType.DENY
READ, WRITE = Access.READ_DATA, Access.WRITE_DATA
BOTH = AceFlag.OBJECT_INHERIT | AceFlag.CONTAINER_INHERIT

PLAIN = [  # an entry, and the ACE that means the same in both directions
    (AclEntry(AclTag.USER_OBJ, READ, -1, ALLOW), (AceType.ACCESS_ALLOWED, 0, READ, OWNER)),
    (AclEntry(AclTag.GROUP_OBJ, READ, -1, ALLOW), (AceType.ACCESS_ALLOWED, 0, READ, GROUP)),
    (AclEntry(AclTag.EVERYONE, READ, -1, ALLOW), (AceType.ACCESS_ALLOWED, 0, READ, WellKnownSid.EVERYONE)),
    (AclEntry(AclTag.USER, WRITE, 1001, DENY), (AceType.ACCESS_DENIED, 0, WRITE, BOB)),
    (AclEntry(AclTag.GROUP, READ, 200, ALLOW, BOTH), (AceType.ACCESS_ALLOWED, BOTH, READ, STAFF)),
    (
        AclEntry(AclTag.USER_OBJ, READ, -1, ALLOW, BOTH | AceFlag.INHERIT_ONLY),
        (AceType.ACCESS_ALLOWED, BOTH | AceFlag.INHERIT_ONLY, READ, WellKnownSid.CREATOR_OWNER),
    ),
    (
        AclEntry(AclTag.GROUP_OBJ, READ, -1, ALLOW, BOTH | AceFlag.INHERIT_ONLY),
        (AceType.ACCESS_ALLOWED, BOTH | AceFlag.INHERIT_ONLY, READ, WellKnownSid.CREATOR_GROUP),
    ),
    (
        AclEntry(AclTag.USER, READ, 1000, ALLOW, AceFlag.OBJECT_INHERIT),
        (AceType.ACCESS_ALLOWED, AceFlag.OBJECT_INHERIT, READ, OWNER),
    ),
]


def state(*entries):
    return SystemState(UID, GID, 0o100644, entries)


@pytest.mark.parametrize(("entry", "ace"), PLAIN, ids=lambda each: str(each))
def test_one_entry(entry, ace):
    kind, flags, mask, sid = ace
    waits = Access.SYNCHRONIZE if kind == AceType.ACCESS_ALLOWED else 0
    assert describe((entry,), UID, GID).dacl == Acl((Ace(kind, flags, mask | waits, sid),))
    for given in (mask, mask | Access.SYNCHRONIZE):
        assert list_of(Acl((Ace(kind, flags, given, sid),)), UID, GID, exactly=True) == (entry,)


def test_the_owner_of_a_directory_and_those_of_what_is_made_in_it():
    described = describe((AclEntry(AclTag.USER_OBJ, READ, -1, ALLOW, BOTH | AceFlag.INHERITED),), UID, GID)
    mask = READ | Access.SYNCHRONIZE
    assert described.dacl.aces == (
        Ace(AceType.ACCESS_ALLOWED, AceFlag.INHERITED, mask, OWNER),
        Ace(
            AceType.ACCESS_ALLOWED, BOTH | AceFlag.INHERITED | AceFlag.INHERIT_ONLY, mask, WellKnownSid.CREATOR_OWNER
        ),
    )  # fmt: skip
    assert not described.control & SecurityControl.DACL_PROTECTED


def test_what_is_inherited_from_nobody_is_protected():
    described = describe((AclEntry(AclTag.EVERYONE, READ, -1, ALLOW),), UID, GID)
    assert described.control & SecurityControl.DACL_PROTECTED
    assert (described.owner, described.group) == (OWNER, GROUP)


STRANGERS = [
    Ace(AceType.ACCESS_ALLOWED, 0, READ, Sid(5, (21, 1, 2, 3, 1000))),
    Ace(AceType.ACCESS_ALLOWED, 0, READ, WellKnownSid.CREATOR_OWNER),  # which is about nothing that is there
    Ace(AceType.ACCESS_ALLOWED, 0, READ, WellKnownSid.AUTHENTICATED_USERS),
    Ace(AceType.SYSTEM_AUDIT, 0, READ, WellKnownSid.EVERYONE),
]


@pytest.mark.parametrize("stranger", STRANGERS, ids=lambda ace: str(ace.sid))
def test_others_than_the_systems_users(stranger):
    known = Ace(AceType.ACCESS_ALLOWED, 0, READ, BOB)
    assert list_of(Acl((stranger, known)), UID, GID, exactly=True) is None
    assert list_of(Acl((stranger, known)), UID, GID, exactly=False) == (AclEntry(AclTag.USER, READ, 1001, ALLOW),)


def test_lists_of_nothing_and_no_list():
    nobody = (AclEntry(AclTag.EVERYONE, 0, -1, ALLOW),)
    assert list_of(Acl(()), UID, GID, exactly=True) == nobody
    assert list_of(Acl((STRANGERS[0],)), UID, GID, exactly=False) == nobody
    (everything,) = list_of(None, UID, GID, exactly=True)
    assert everything.permissions | Access.SYNCHRONIZE == Access.FILE_ALL_ACCESS


def test_generic_rights_are_spelled_out():
    (entry,) = list_of(Acl((Ace(AceType.ACCESS_ALLOWED, 0, Access.GENERIC_ALL, BOB),)), UID, GID, exactly=True)
    assert entry.permissions | Access.SYNCHRONIZE == Access.FILE_ALL_ACCESS


def test_which_family_a_list_is_of():
    assert is_nfs4((AclEntry(AclTag.EVERYONE, 0, -1, ALLOW),))
    assert not is_nfs4((AclEntry(AclTag.OTHER, 0),))
    assert not is_nfs4(())


def test_the_calls_for_both_families_take_this_one():
    entries = (AclEntry(AclTag.USER, WRITE, 1001, DENY), AclEntry(AclTag.EVERYONE, READ | WRITE, -1, ALLOW))
    described = posix_acl.describe(state(*entries))
    assert described == describe(entries, UID, GID)
    assert posix_acl.list_of(described.dacl, state(*entries)) == entries
    assert posix_acl.approximate(described, state(*entries)) == entries


def test_a_stored_descriptor_holds_until_the_list_changes():
    entry = AclEntry(AclTag.EVERYONE, READ, -1, ALLOW)
    stored = parse_stored(pack_stored(describe((entry,), UID, GID), state(entry)))
    assert stored.holds_for(state(entry))
    for other in (entry._replace(permissions=WRITE), entry._replace(type=DENY), entry._replace(flags=BOTH)):
        assert not stored.holds_for(state(other))
