import pytest

from smbport.security.access import INVALID_OWNER, INVALID_PRIMARY_GROUP, Privilege, Token
from smbport.security.inheritance import create_descriptor, default_descriptor, inherit_acl, merge_descriptor
from smbport.wire.constants import Access, AceFlag, AceType, SecurityInformation
from smbport.wire.security import Ace, Acl, SecurityControl, SecurityDescriptor, Sid, WellKnownSid
from smbport.wire.status import StatusError

ALICE, BOB = Sid(5, (21, 1, 2, 3, 1000)), Sid(5, (21, 1, 2, 3, 1001))
USERS = Sid(5, (21, 1, 2, 3, 513))
OI, CI = AceFlag.OBJECT_INHERIT, AceFlag.CONTAINER_INHERIT
NP, IO, ID = AceFlag.NO_PROPAGATE_INHERIT, AceFlag.INHERIT_ONLY, AceFlag.INHERITED
CREATOR = WellKnownSid.CREATOR_OWNER
READ, ALL = Access.FILE_GENERIC_READ, Access.FILE_ALL_ACCESS
TOKEN = Token(ALICE, USERS, ALICE, frozenset({ALICE, USERS, WellKnownSid.EVERYONE}))
DEFAULT = SecurityDescriptor(owner=ALICE, dacl=Acl((Ace(AceType.ACCESS_ALLOWED, 0, ALL, ALICE),)))
AUTO, PROTECTED = SecurityControl.DACL_AUTO_INHERITED, SecurityControl.DACL_PROTECTED
REQUEST, PRESENT = SecurityControl.DACL_AUTO_INHERIT_REQ, SecurityControl.DACL_PRESENT


def allow(sid, flags=0, mask=READ, kind=AceType.ACCESS_ALLOWED):
    return Ace(kind, flags, mask, sid)


def heirs(*aces, is_directory, mark=False):
    acl = inherit_acl(Acl(aces), ALICE, USERS, is_directory=is_directory, mark=mark)
    return None if acl is None else [(ace.sid, ace.flags, ace.mask) for ace in acl.aces]


@pytest.mark.parametrize("flags", [0, CI, NP, IO, CI | IO, CI | NP])
def test_files_take_nothing_that_is_not_for_objects(flags):
    assert heirs(allow(BOB, flags), is_directory=False) is None


@pytest.mark.parametrize("flags", [OI, OI | CI, OI | NP, OI | IO, OI | CI | NP | IO])
def test_files_take_what_is_for_objects_and_hand_nothing_on(flags):
    assert heirs(allow(BOB, flags), is_directory=False) == [(BOB, 0, READ)]
    assert heirs(allow(CREATOR, flags, Access.GENERIC_ALL), is_directory=False) == [(ALICE, 0, ALL)]
    group = WellKnownSid.CREATOR_GROUP
    assert heirs(allow(group, flags), is_directory=False, mark=True) == [(USERS, ID, READ)]


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (0, None),
        (OI, [(BOB, OI | IO, READ)]),
        (OI | NP, None),
        (CI, [(BOB, CI, READ)]),
        (OI | CI, [(BOB, OI | CI, READ)]),
        (CI | IO, [(BOB, CI, READ)]),
        (CI | NP, [(BOB, 0, READ)]),
        (OI | CI | NP | IO, [(BOB, 0, READ)]),
    ],
)
def test_directories(flags, expected):
    assert heirs(allow(BOB, flags), is_directory=True) == expected


def test_directories_keep_the_creator_for_those_below():
    assert heirs(allow(CREATOR, CI), is_directory=True) == [(ALICE, 0, READ), (CREATOR, CI | IO, READ)]
    assert heirs(allow(CREATOR, CI | NP), is_directory=True) == [(ALICE, 0, READ)]
    assert heirs(allow(CREATOR, OI), is_directory=True, mark=True) == [(CREATOR, OI | IO | ID, READ)]
    generic = allow(BOB, OI | CI, Access.GENERIC_ALL)
    assert heirs(generic, is_directory=True) == [(BOB, 0, ALL), (BOB, OI | CI | IO, Access.GENERIC_ALL)]


def test_the_same_twice_is_inherited_once():
    assert heirs(allow(BOB, OI), allow(BOB, OI | CI), is_directory=False) == [(BOB, 0, READ)]


def test_nothing_comes_of_no_list():
    assert inherit_acl(None, ALICE, USERS, is_directory=True, mark=True) is None


def test_audit_entries_keep_what_they_audit():
    audit = Ace(AceType.SYSTEM_AUDIT, OI | AceFlag.FAILED_ACCESS, READ, BOB)
    assert heirs(audit, is_directory=False) == [(BOB, AceFlag.FAILED_ACCESS, READ)]
    unknown = Ace(AceType.ACCESS_ALLOWED_OBJECT, OI, READ, None, bytes(16))
    assert heirs(unknown, is_directory=False) == [(None, 0, READ)]


def make(parent=None, given=None, token=TOKEN, *, is_directory=False):
    return create_descriptor(parent, given, token, is_directory=is_directory, default=DEFAULT)


def test_a_new_file_inherits():
    above = SecurityDescriptor(owner=BOB, dacl=Acl((allow(CREATOR, OI),)))
    made = make(above)
    assert (made.owner, made.group) == (ALICE, USERS)
    assert made.dacl == Acl((allow(ALICE),))
    assert not made.control & AUTO


def test_a_new_file_is_marked_if_its_directory_takes_part_in_inheritance():
    audit = Ace(AceType.SYSTEM_AUDIT, OI, READ, BOB)
    control = AUTO | SecurityControl.SACL_AUTO_INHERITED
    above = SecurityDescriptor(dacl=Acl((allow(BOB, OI),)), sacl=Acl((audit,)), control=control)
    made = make(above)
    assert made.dacl == Acl((allow(BOB, ID),))
    assert made.sacl == Acl((Ace(AceType.SYSTEM_AUDIT, ID, READ, BOB),))
    assert made.control & control == control


def test_a_new_file_without_heritage_has_the_default():
    assert make().dacl == DEFAULT.dacl
    assert make(SecurityDescriptor(dacl=Acl((allow(BOB, CI),)))).dacl == DEFAULT.dacl


def test_the_maker_may_say_what_he_wants():
    above = SecurityDescriptor(dacl=Acl((allow(BOB, OI),)), control=AUTO)
    own = Acl((allow(ALICE, 0, Access.GENERIC_ALL),))
    made = make(above, SecurityDescriptor(dacl=own, group=BOB, control=PROTECTED))
    assert made.dacl == Acl((allow(ALICE, 0, ALL),))
    assert (made.group, made.control & (PROTECTED | AUTO)) == (BOB, PROTECTED)
    null = make(above, SecurityDescriptor(control=PRESENT))
    assert null.dacl is None
    assert null.control & PRESENT
    only_owner = make(above, SecurityDescriptor(owner=ALICE))
    assert only_owner.dacl == Acl((allow(BOB, ID),))
    audited = make(above, SecurityDescriptor(sacl=Acl()))
    assert audited.sacl == Acl()


def test_the_maker_may_ask_for_what_is_inherited_besides():
    above = SecurityDescriptor(dacl=Acl((allow(BOB, OI),)), control=AUTO)
    own = Acl((allow(ALICE), allow(USERS, ID)))
    made = make(above, SecurityDescriptor(dacl=own, control=REQUEST | AUTO))
    assert made.dacl == Acl((allow(ALICE), allow(BOB, ID)))
    assert made.control & AUTO
    assert make(above, SecurityDescriptor(dacl=own, control=REQUEST | PROTECTED)).dacl == own
    assert make(None, SecurityDescriptor(dacl=own, control=REQUEST)).dacl == own


def test_the_maker_cannot_give_it_away():
    with pytest.raises(StatusError) as caught:
        make(given=SecurityDescriptor(owner=BOB))
    assert caught.value.status == INVALID_OWNER


def test_the_default_is_the_owners():
    def masks(mode, is_directory):
        found = default_descriptor(TOKEN, mode, is_directory=is_directory)
        assert found.dacl is not None
        return {ace.sid: ace.mask for ace in found.dacl.aces}

    assert masks(0, False) == {ALICE: ALL, WellKnownSid.SYSTEM: ALL}
    shown = masks(0o764, False)
    assert shown[USERS] == READ | Access.FILE_GENERIC_WRITE | Access.EXECUTE
    assert shown[WellKnownSid.EVERYONE] == READ | Access.EXECUTE
    assert masks(0o070, True)[USERS] & Access.DELETE_CHILD


CURRENT = SecurityDescriptor(owner=ALICE, group=USERS, dacl=Acl((allow(BOB),)), sacl=Acl(), control=PROTECTED)


def merge(wanted, information, token=TOKEN):
    return merge_descriptor(CURRENT, wanted, information, token)


def test_only_the_named_parts_change():
    other = SecurityDescriptor(owner=BOB, group=BOB, dacl=Acl(), sacl=None)
    assert merge(other, 0) == CURRENT
    assert merge(other, SecurityInformation.GROUP).group == BOB
    assert merge(other, SecurityInformation.DACL).dacl == Acl()
    assert merge(other, SecurityInformation.SACL).sacl is None
    assert merge(other, SecurityInformation.SACL).dacl == CURRENT.dacl


def test_owners_and_groups_are_checked():
    assert merge(SecurityDescriptor(owner=ALICE), SecurityInformation.OWNER).owner == ALICE
    for wanted in (SecurityDescriptor(owner=BOB), SecurityDescriptor()):
        with pytest.raises(StatusError) as caught:
            merge(wanted, SecurityInformation.OWNER)
        assert caught.value.status == INVALID_OWNER
    restore = Token(ALICE, USERS, ALICE, frozenset({ALICE}), Privilege.RESTORE)
    assert merge(SecurityDescriptor(owner=BOB), SecurityInformation.OWNER, restore).owner == BOB
    unchanged = merge_descriptor(
        SecurityDescriptor(owner=BOB), SecurityDescriptor(owner=BOB), SecurityInformation.OWNER, TOKEN
    )
    assert unchanged.owner == BOB
    with pytest.raises(StatusError) as caught:
        merge(SecurityDescriptor(), SecurityInformation.GROUP)
    assert caught.value.status == INVALID_PRIMARY_GROUP


@pytest.mark.parametrize(
    ("asked", "kept"),
    [(0, 0), (AUTO, 0), (REQUEST, 0), (AUTO | REQUEST, AUTO), (PROTECTED, PROTECTED)],
)
def test_automatic_inheritance_is_believed_of_who_asks_for_it(asked, kept):
    merged = merge(SecurityDescriptor(dacl=Acl(), control=asked), SecurityInformation.DACL)
    assert merged.control & (AUTO | REQUEST | PROTECTED) == kept
    sacl = merge(SecurityDescriptor(sacl=Acl(), control=asked << 1), SecurityInformation.SACL)
    assert sacl.control & (AUTO | REQUEST | PROTECTED) << 1 == kept << 1


def test_protection_can_be_asked_for_apart():
    plain = SecurityDescriptor(dacl=Acl(), sacl=Acl())
    dacl, sacl = SecurityInformation.DACL, SecurityInformation.SACL
    assert merge(plain, dacl | 0x80000000).control & PROTECTED
    assert not merge(SecurityDescriptor(dacl=Acl(), control=PROTECTED), dacl | 0x20000000).control & PROTECTED
    assert merge(plain, sacl | 0x40000000).control & SecurityControl.SACL_PROTECTED
    guarded = SecurityDescriptor(sacl=Acl(), control=SecurityControl.SACL_PROTECTED)
    assert not merge(guarded, sacl | 0x10000000).control & SecurityControl.SACL_PROTECTED


def test_a_list_that_is_taken_away_is_a_null_one():
    merged = merge(SecurityDescriptor(), SecurityInformation.DACL)
    assert merged.dacl is None
    assert merged.control & PRESENT
