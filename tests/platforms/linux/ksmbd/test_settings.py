"""smbport_linux.ksmbd.settings: every key of the configuration has a row, and the page shows the table."""

from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path

import pytest

from smbport.config import parse
from smbport.config.keys import KEYS, RUN_KEYS
from smbport.control import find_problems, reference
from smbport.control.plan import make_plan
from smbport.control.rules import find_rules
from smbport.platform import Account
from smbport.state.dfs import DfsLink
from smbport.testing.memory import MemoryPlatform
from smbport_linux.ksmbd.platform import Ksmbd
from smbport_linux.ksmbd.releases import parse_release
from smbport_linux.ksmbd.settings import make_settings

NEWEST = make_settings(parse_release("7.3.4"))
OLDEST = make_settings(parse_release("6.12.95"))
PAGE = Path(__file__).parents[4] / "docs/kernel-mode.md"


def test_no_setting_is_missing():
    assert set(NEWEST) == {f"{table}.{key}" for table, keys in KEYS.items() for key in keys}


def test_every_row_says_something():
    assert all(row.how.endswith(".") and "|" not in row.how for row in NEWEST.values())


def test_the_page_has_the_table_as_it_is_now():
    assert reference(NEWEST) in PAGE.read_text(), "put smbport.control.reference(make_settings(...)) of 7.3 there"


def problems(text, release="7.3.4"):
    return [str(problem) for problem in find_problems(parse(text, "test.toml"), Ksmbd(release))]


def test_defaults_are_served():
    assert problems('[share.data]\npath = "/srv"') == []


@pytest.mark.parametrize(
    "text",
    [
        '[server]\nlisten = [":1445"]\nsigning = "offered"\nencryption = "off"\nmin_dialect = "3.0"',
        '[server]\nlisten = ["lo:445"]\noplocks = false\nleases = false',
        '[share.a]\npath = "v"\naccess_based_enumeration = true',
        "[limits]\nconnections = 9\nunauthenticated_connections = 9\nconnections_per_address = 9\n"
        "unauthenticated_per_address = 9",
        "[limits]\nconnections = 2000\nidle_timeout_s = 90\nsessions_per_connection = 3",
    ],
)
def test_what_can_be_honoured(text):
    assert problems(text) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[server]\nlisten = [":0"]', "a free port"),
        ('[server]\nlisten = ["192.0.2.1:445"]', "network devices, not on addresses, and '192.0.2.1' is none"),
        ('[server]\nlisten = ["lo:445", "lo:446"]', "listens on one port"),
        ('[server]\nmax_dialect = "2.0.2"', "does not speak 2.0.2"),
        ('[server]\ndialects = ["2.1", "3.1.1"]', "all dialects between"),
        ('[server]\nsigning_algorithms = ["aes-cmac"]', "lets clients choose"),
        ('[server]\nciphers = ["aes-256-gcm"]', "lets clients choose"),
        ("[server]\noplocks = false", "set server.leases = false as well"),
        ('[server]\nadministrators = ["a"]', "no privileges"),
        ('[server]\nencryption = "required"', "serves clients that do not encrypt all the same"),
        ('[share.a]\npath = "v"\nencryption = "required"', "serves clients that do not encrypt all the same"),
        ('[share.a]\npath = "v"\ncase_sensitive = true', "ignores case"),
        ('[server]\nhandle_store = "/srv/handles.db"', "no handles on disk"),
        ('[share.a]\npath = "v"\nacl = "nt"', "takes SIDs for numbers of accounts"),
        ('[server]\ntarget_name = "required"', "looks at no target"),
        ("[limits]\nlocks_per_open = 5", "cannot be told"),
        (
            "[limits]\nconnections = 9\nunauthenticated_connections = 8\nconnections_per_address = 8\n"
            "unauthenticated_per_address = 8",
            "cannot be told",
        ),
        ("[limits]\nfailed_logon_delay_s = 0", "cannot be told"),
    ],
)
def test_what_cannot(text, said):
    (problem,) = problems(text)
    assert said in problem


def test_what_older_kernels_cannot():
    share = '[share.a]\npath = "v"\naccess_based_enumeration = true\n[limits]\nsessions_per_connection = 3'
    assert problems(share) == []
    assert len(problems(share, "7.2.12")) == 1
    assert len(problems(share, "6.12.95")) == 2


@pytest.mark.parametrize("table", ["server", "share.a"])
@pytest.mark.parametrize("key", ["hosts_allow", "hosts_deny"])
def test_what_newer_kernels_cannot(table, key):
    text = f'[{table}]\n{key} = ["192.0.2.0/24"]\n' + ('path = "v"\n' if table != "server" else "")
    (problem,) = problems(text)
    assert problem == f'{table}.{key} = ["192.0.2.0/24"]: this kernel tells no addresses'
    assert problems(text, "6.12.95") == []


# Every key, changed -----------------------------------------------------------------------------------------------

HERE = {  # what smbport decides and says itself; tests/control has tests of each
    "server.platform", "server.users", "server.log", "server.comment", "server.anonymous", "server.guest_account",
    "server.guest_on_bad_user", "server.min_dialect", "server.max_dialect", "share.NAME.comment",
    "share.NAME.read_only", "share.NAME.guest", "share.NAME.hidden", "share.NAME.valid_users",
    "share.NAME.write_users", "server.hosts_allow", "server.hosts_deny", "share.NAME.hosts_allow",
    "share.NAME.hosts_deny", "server.kerberos_keytab", "server.kerberos_principal", "server.kerberos_realms",
    "limits.sessions", "limits.trees_per_session", "limits.failed_logons_per_connection",
}  # fmt: skip
TAKEN_TO_BE = {"share.NAME.local_changes", "share.NAME.local_locks"}  # their rows say what happens whatever they are
ROOT = Account("root", 0, 0)
OTHERS = {  # where the opposite of the default does not make another value
    "server.listen": (("lo", 1445),),
    "server.dialects": (0x311,),
    "server.encryption": "required",
    "server.hosts_allow": (ip_network("192.0.2.0/24"),),
    "server.hosts_deny": (ip_network("192.0.2.0/24"),),
    "share.NAME.hosts_allow": (ip_network("192.0.2.0/24"),),
    "share.NAME.hosts_deny": (ip_network("192.0.2.0/24"),),
    "share.NAME.path": "/elsewhere",
    "share.NAME.dfs": (DfsLink("a", (r"server\share",)),),
    "share.NAME.encryption": "required",
    "share.NAME.acl": "nt",
    "share.NAME.run_as": "server",
    "share.NAME.force_group": "team",
}


def another(key, default):
    """A value that is not the default."""
    if key in OTHERS:
        return OTHERS[key]
    if isinstance(default, bool):
        return not default
    if isinstance(default, int | float):
        return default + 1
    if isinstance(default, tuple):
        return (*default[1:], "x") if not default else default[1:]
    return "another"


def changed(table, key):
    """A configuration that differs in one key."""
    configuration = parse('[share.a]\npath = "/tmp"', "test.toml")
    settings, (share,) = configuration.settings, configuration.settings.shares
    value = another(f"{table}.{key}", KEYS[table][key].default)
    if table == "limits":
        return replace(configuration, settings=replace(settings, limits=replace(settings.limits, **{key: value})))
    if table == "share.NAME":
        return replace(configuration, settings=replace(settings, shares=(replace(share, **{key: value}),)))
    if key in RUN_KEYS:
        return replace(configuration, **{RUN_KEYS[key]: value})
    return replace(configuration, settings=replace(settings, **{key: value}))


async def told_to_the_kernel(configuration):
    platform = MemoryPlatform(account=ROOT, accounts=[ROOT], groups={"team": 3000})
    rules = await find_rules(configuration.settings, platform, platform.identity, "test.toml")
    return make_plan(configuration, (1, 2, 3)), [kernel_share for _, kernel_share in rules.shares.values()]


@pytest.mark.parametrize("name", sorted(set(NEWEST) - HERE - TAKEN_TO_BE))
@pytest.mark.parametrize("release", ["6.12.95", "7.3.4"])
async def test_no_key_is_ignored(name, release):
    """Each is told to the kernel or refused, if smbport does not see to it itself."""
    table, _, key = name.rpartition(".")
    configuration = changed(table, key)
    if find_problems(configuration, Ksmbd(release)):
        return
    plain = parse('[share.a]\npath = "/tmp"', "test.toml")
    assert await told_to_the_kernel(configuration) != await told_to_the_kernel(plain)


def test_what_smbport_sees_to_itself_is_honoured():
    assert all(OLDEST[name].honoured for name in HERE | TAKEN_TO_BE)
