import pytest

from smbport.platform import Account
from smbport.security.access import Privilege
from smbport.security.sids import Person, Rid, machine_sid, make_token, relative_id, unix_id
from smbport.wire.security import Sid, WellKnownSid, unix_group_sid, unix_user_sid

MACHINE = (1, 2, 3)
ALICE = Account("alice", 1000, 100, (100, 200))


def test_the_scheme():
    assert str(machine_sid(MACHINE)) == "S-1-5-21-1-2-3"
    assert str(machine_sid(MACHINE, 1000)) == "S-1-5-21-1-2-3-1000"
    assert relative_id(machine_sid(MACHINE, 1000), machine_sid(MACHINE)) == 1000


@pytest.mark.parametrize("sid", [None, Sid(5, (21, 1, 2, 4, 1000)), Sid(5, (21, 1, 2, 3)), Sid(1, (21, 1, 2, 3, 7))])
def test_sids_of_other_domains_have_no_rid_here(sid):
    assert relative_id(sid, machine_sid(MACHINE)) is None


def test_numbers_of_the_system():
    assert unix_id(unix_user_sid(7), group=False) == 7
    assert unix_id(unix_group_sid(7), group=True) == 7
    assert unix_id(unix_user_sid(7), group=True) is None
    assert unix_id(WellKnownSid.EVERYONE, group=False) is None


def test_a_user_with_an_account_is_known_by_both_names():
    token = make_token(MACHINE, Person("user", 1000), ALICE)
    assert token.user == machine_sid(MACHINE, 1000)
    assert (token.owner, token.group) == (unix_user_sid(1000), unix_group_sid(100))
    assert token.sids == {
        token.user, machine_sid(MACHINE, Rid.USERS), token.owner, unix_group_sid(100), unix_group_sid(200),
        WellKnownSid.EVERYONE, WellKnownSid.NETWORK, WellKnownSid.AUTHENTICATED_USERS, WellKnownSid.BUILTIN_USERS,
    }  # fmt: skip
    assert token.privileges == 0


def test_a_user_whose_account_is_everybodys_has_but_one():
    token = make_token(MACHINE, Person("user", 1000), None)
    assert token.owner == token.user
    assert token.group == machine_sid(MACHINE, Rid.USERS)


def test_guests_and_the_anonymous_are_no_users():
    guest = make_token(MACHINE, Person("guest", 0), None)
    assert guest.user == machine_sid(MACHINE, Rid.GUEST)
    assert guest.group == machine_sid(MACHINE, Rid.GUESTS)
    assert WellKnownSid.BUILTIN_GUESTS in guest.sids
    assert WellKnownSid.AUTHENTICATED_USERS not in guest.sids
    nobody = make_token(MACHINE, Person("anonymous", 0), None)
    assert nobody.user == WellKnownSid.ANONYMOUS
    assert WellKnownSid.AUTHENTICATED_USERS not in nobody.sids


def test_administrators():
    token = make_token(MACHINE, Person("user", 1000, administrator=True), None)
    assert WellKnownSid.BUILTIN_ADMINISTRATORS in token.sids
    assert token.privileges == Privilege.ALL
