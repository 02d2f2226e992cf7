import pytest

from smbport.security.auth import UserRecord
from smbport.security.names import BUILTIN, Names, SidUse
from smbport.wire.security import Sid, WellKnownSid, unix_group_sid, unix_user_sid

MACHINE = Sid(5, (21, 1, 2, 3))
NAMES = Names(
    machine_id=(1, 2, 3),
    server="FILES",
    users=(UserRecord("Alice", bytes(16), rid=1000), UserRecord("www", bytes(16), rid=1001)),
    unix_users={0: "root", 33: "www"},
    unix_groups={0: "root", 100: "users"},
)


def own(rid):
    return Sid(5, (21, 1, 2, 3, rid))


@pytest.mark.parametrize(
    ("sid", "domain", "name", "use"),
    [
        (own(1000), "FILES", "Alice", SidUse.USER),
        (own(500), "FILES", "Administrator", SidUse.USER),
        (own(501), "FILES", "Guest", SidUse.USER),
        (own(513), "FILES", "None", SidUse.GROUP),
        (MACHINE, "FILES", "", SidUse.DOMAIN),
        (BUILTIN, "BUILTIN", "", SidUse.DOMAIN),
        (WellKnownSid.BUILTIN_ADMINISTRATORS, "BUILTIN", "Administrators", SidUse.ALIAS),
        (WellKnownSid.EVERYONE, "", "Everyone", SidUse.WELL_KNOWN_GROUP),
        (WellKnownSid.SYSTEM, "NT AUTHORITY", "SYSTEM", SidUse.WELL_KNOWN_GROUP),
        (unix_user_sid(33), "Unix User", "www", SidUse.USER),
        (unix_user_sid(4711), "Unix User", "4711", SidUse.USER),
        (unix_group_sid(100), "Unix Group", "users", SidUse.GROUP),
        (unix_group_sid(4711), "Unix Group", "4711", SidUse.GROUP),
    ],
)
def test_both_ways(sid, domain, name, use):
    found = NAMES.name_of(sid)
    assert found == (sid, domain, name, use)
    text = f"{domain}\\{name}" if name else domain
    assert NAMES.find(text) == found
    assert NAMES.find(text.upper()) == found
    if name and domain:
        assert NAMES.find(f"{name}@{domain}") == found


@pytest.mark.parametrize(
    "sid", [own(1002), Sid(5, (21, 1, 2, 4, 1000)), Sid(5, (32, 999)), Sid(5, (99,)), Sid(22, (3, 1))]
)
def test_somebody_elsewhere(sid):
    assert NAMES.name_of(sid) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "bob",
        "OTHER\\Alice",
        "FILES\\bob",
        "4711",
        "Unix User\\x",
        "Unix User\\4294967296",
        "FILES\\4711",
        "x\\files",
    ],
)
def test_nobody(text):
    assert NAMES.find(text) is None


def test_a_bare_name_is_a_user_of_this_server_first():
    found = NAMES.find("www")
    assert found is not None
    assert found.sid == own(1001)
    root = NAMES.find("ROOT")
    assert root is not None
    assert root.sid == unix_user_sid(0)


def test_lists():
    assert NAMES.accounts() == [(1000, "Alice"), (1001, "www")]
    assert NAMES.groups() == [(513, "None")]
    assert NAMES.aliases() == [(544, "Administrators"), (545, "Users"), (546, "Guests")]
    assert NAMES.user_of(1001) == NAMES.users[1]
    assert NAMES.user_of(7) is None
