"""smbport.config.rules: what is possible."""

import math
import re
from dataclasses import fields

import pytest

from smbport.config import ConfigError, check_settings
from smbport.config.rules import share_name_problem
from smbport.state.dfs import DfsLink
from smbport.state.settings import ALL_DIALECTS, Limits, Settings, ShareSettings
from smbport.wire.constants import Cipher, Dialect, SigningAlgorithm


def refuses(settings, message):
    with pytest.raises(ConfigError, match=f"^settings: {re.escape(message)}"):
        check_settings(settings)


def with_share(server=None, **share):
    return Settings(shares=(ShareSettings(**({"name": "a", "path": "/a"} | share)),), **(server or {}))


def test_the_defaults_are_possible():
    check_settings(Settings())
    check_settings(with_share())


GOOD = [
    Settings(server_name="A", workgroup="X" * 15, comment=""),
    Settings(encryption="off", ciphers=()),
    Settings(guest_account="nobody", guest_on_bad_user=True),
    Settings(encryption="required", dialects=(Dialect.SMB_3_0,)),
    Settings(encryption="required", ciphers=(Cipher.AES_256_GCM,)),
    Settings(limits=Limits(failed_logon_delay_s=0)),
    Settings(limits=Limits(read_size=65536, write_size=65536, transact_size=65536, credits=1, credits_initial=1)),
    with_share({"guest_account": "nobody"}, guest=True),
    with_share(encryption="required", run_as="www", force_group="staff", create_mask=0o7777),
    with_share(read_only=True, valid_users=("Alice", "bob"), write_users=("alice",)),
    Settings(shares=(ShareSettings(name="a", path="/"), ShareSettings(name="b", path="/"))),
]


def test_kerberos():
    check_settings(Settings(kerberos_keytab="/k", kerberos_principal="cifs/a@A", kerberos_realms=("A", "B")))
    refuses(Settings(kerberos_principal="cifs/a"), 'server.kerberos_principal = "cifs/a": needs server.kerberos_keytab')
    refuses(Settings(kerberos_realms=("A",)), 'server.kerberos_realms = ["A"]: needs server.kerberos_keytab')
    for realm in ("", "u@A"):
        refuses(
            Settings(kerberos_keytab="/k", kerberos_realms=("A", realm)),
            f'server.kerberos_realms = ["A", "{realm}"]: must be realms, such as "EXAMPLE.COM"',
        )


LINK = DfsLink("a/b", ("one\\x",))


def test_links():
    check_settings(with_share(dfs=(LINK, DfsLink("a/c", ("one\\x\\y z", "two\\x")))))
    for path in ("", "a//b", "a/..", "a:b", "a\n"):
        with pytest.raises(ConfigError, match=r"must be a path in the share"):
            check_settings(with_share(dfs=(DfsLink(path, ("one\\x",)),)))
    for path in ("A/b", "A/B/c", "a"):
        with pytest.raises(ConfigError, match=r"share\.a\.dfs = .* is, or is below, another link"):
            check_settings(with_share(dfs=(LINK, DfsLink(path, ("one\\x",)))))
    for target in ("", "one", "one\\", "one\\..", "one\\x:y", "one\\\\x"):
        with pytest.raises(ConfigError, match=r"must be a share of a server"):
            check_settings(with_share(dfs=(DfsLink("a", (target,)),)))


def test_snapshots():
    check_settings(with_share(snapshots=".zfs/snapshot/%Y-%m-%d"))
    check_settings(with_share(snapshots=".snapshots/*/snapshot", snapshot_times="snapper"))
    refuses(with_share(snapshots="a/b"), 'share.a.snapshots = "a/b": must be a path of which exactly one part has')
    refuses(with_share(snapshots="%Y/*"), 'share.a.snapshots = "%Y/*": must be a path of which exactly one part has')
    refuses(with_share(snapshots="*"), 'share.a.snapshots = "*": must have %Y, %m and %d, or %s, in the part that')
    refuses(with_share(snapshot_times="local"), 'share.a.snapshot_times = "local": needs snapshots, the path where')


@pytest.mark.parametrize("settings", GOOD, ids=range(len(GOOD)))
def test_good_settings(settings):
    check_settings(settings)


@pytest.mark.parametrize("key", ["server_name", "workgroup"])
@pytest.mark.parametrize("name", ["", "A" * 16, ".A", "A B", "A/B", "Ä", "A\n"])
def test_netbios_names(key, name):
    with pytest.raises(ConfigError, match=rf"^settings: server\.{key} = .*: must be 1 to 15 of A-Z"):
        check_settings(Settings(**{key: name}))


def test_servers():
    refuses(Settings(comment="a\nb"), 'server.comment = "a\\nb": must be one line of at most 256 characters')
    refuses(Settings(comment="a" * 257), f'server.comment = "{"a" * 257}": must be one line')
    refuses(Settings(dialects=()), "server.dialects = []: must not be empty; leave the key out to allow all")
    refuses(Settings(signing_algorithms=()), "server.signing_algorithms = []: must not be empty")
    refuses(Settings(ciphers=()), "server.ciphers = []: must not be empty")
    refuses(
        Settings(signing_algorithms=(SigningAlgorithm.AES_CMAC,) * 2),
        'server.signing_algorithms = ["aes-cmac", "aes-cmac"]: must not name anything twice',
    )
    refuses(Settings(guest_account=""), 'server.guest_account = "": must be a system account or "server"')
    refuses(Settings(guest_on_bad_user=True), "server.guest_on_bad_user = true: needs server.guest_account")


NO_3X = {"dialects": ALL_DIALECTS[:2]}
ONLY_3_0_WITHOUT_CCM = {"dialects": (Dialect.SMB_3_0,), "ciphers": (Cipher.AES_128_GCM,)}


@pytest.mark.parametrize("server", [NO_3X, ONLY_3_0_WITHOUT_CCM])
def test_encryption_needs_a_dialect_that_can(server):
    refuses(
        Settings(encryption="required", **server), 'server.encryption = "required": needs dialect "3.1.1", or "3.0"'
    )
    refuses(with_share(server, encryption="required"), 'share.a.encryption = "required": needs dialect "3.1.1"')


def test_a_share_cannot_require_what_the_server_does_not_offer():
    refuses(
        with_share({"encryption": "off"}, encryption="required"),
        'share.a.encryption = "required": needs server.encryption = "offered"',
    )


@pytest.mark.parametrize("key", [field.name for field in fields(Limits)])
@pytest.mark.parametrize("value", [-1, 2**63, math.nan, math.inf])
def test_limits_are_bounded(key, value):
    with pytest.raises(ConfigError, match=rf"^settings: limits\.{key} = .*: must be from "):
        check_settings(Settings(limits=Limits(**{key: value})))


MAY_BE_ZERO = ("busy_wait_us", "failed_logon_delay_s")


@pytest.mark.parametrize("key", [field.name for field in fields(Limits) if field.name not in MAY_BE_ZERO])
def test_limits_are_positive(key):
    with pytest.raises(ConfigError, match=rf"^settings: limits\.{key} = 0: must be from "):
        check_settings(Settings(limits=Limits(**{key: 0})))


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"read_size": 65535}, 'limits.read_size = 65535: must be from "64KiB" to "8MiB"'),
        ({"write_size": (8 << 20) + 1}, 'limits.write_size = 8388609: must be from "64KiB" to "8MiB"'),
        ({"frame_before_session": 1 << 24}, 'limits.frame_before_session = "16MiB": must be from "16KiB" to 16777215'),
        (
            {"connections": 100},
            "limits.unauthenticated_connections = 128: must not be above limits.connections, which is 100; set both",
        ),
        ({"connections_per_address": 1025}, "limits.connections_per_address = 1025: must not be above limits.conn"),
        ({"unauthenticated_per_address": 65}, "limits.unauthenticated_per_address = 65: must not be above"),
        ({"sessions": 63}, "limits.sessions_per_connection = 64: must not be above limits.sessions"),
        ({"opens": 1000}, "limits.opens_per_session = 16384: must not be above limits.opens"),
        ({"credits": 511}, "limits.credits_initial = 512: must not be above limits.credits"),
        (
            {"queued_bytes": 1 << 20},
            'limits.read_size = "8MiB": must not be above limits.queued_bytes, which is "1MiB"',
        ),
        ({"credits": 127, "credits_initial": 1}, "limits.credits = 127: must be at least 128, or clients cannot ask"),
    ],
)
def test_limits_fit_together(limits, message):
    refuses(Settings(limits=Limits(**limits)), message)


@pytest.mark.parametrize("name", ["", " ", "a" * 81, "ipc$", "IPC$", "a\tb", "a\x7f", "\ud800", *'\\/:*?"<>|'])
def test_bad_names_of_shares(name):
    assert share_name_problem(name)
    with pytest.raises(ConfigError, match=re.escape(share_name_problem(name))):
        check_settings(with_share(name=name))


@pytest.mark.parametrize("name", ["a", "a" * 80, "My Docs", "hidden$", "Ünïcödé", "a.b,c;d=e"])
def test_good_names_of_shares(name):
    assert share_name_problem(name) is None


def test_names_of_shares_differ_in_more_than_case():
    shares = ShareSettings(name="data", path="/a"), ShareSettings(name="DATA", path="/b")
    refuses(Settings(shares=shares), 'share.DATA = "DATA": is another share\'s name as well')


@pytest.mark.parametrize(
    ("share", "message"),
    [
        ({"path": ""}, 'share.a.path = "": must be the path of a directory'),
        ({"path": "/a\0"}, 'share.a.path = "/a\\u0000": must be the path of a directory'),
        ({"comment": "\x1b[31m"}, 'share.a.comment = "\\u001b[31m": must be one line'),
        ({"create_mask": 0o10000}, 'share.a.create_mask = "10000": must be octal permission bits up to "7777"'),
        ({"force_mode": -1}, 'share.a.force_mode = "-001": must be octal permission bits'),
        ({"run_as": ""}, 'share.a.run_as = "": must not be empty; leave the key out'),
        ({"force_group": ""}, 'share.a.force_group = "": must not be empty; leave the key out'),
        ({"run_as": "server", "force_group": "b"}, 'share.a.force_group = "b": needs run_as = "client" or an account'),
        ({"guest": True}, "share.a.guest = true: needs server.guest_account"),
        (
            {"valid_users": ("@staff",)},
            "share.a.valid_users = [\"@staff\"]: '@staff': a user name must not contain '@'",
        ),
        ({"valid_users": ("al", "AL")}, 'share.a.valid_users = ["al", "AL"]: must not name anybody twice'),
        ({"write_users": ("al",)}, 'share.a.write_users = ["al"]: needs read_only = true; without it, all users may'),
        (
            {"read_only": True, "valid_users": ("al",), "write_users": ("Al", "Bo")},
            'share.a.write_users = ["Al", "Bo"]: \'bo\' cannot connect; add the name to valid_users',
        ),
    ],
)
def test_bad_shares(share, message):
    refuses(with_share(**share), message)


@pytest.mark.parametrize(("server", "share"), [("required", "offered"), ("offered", "required")])
def test_guests_cannot_encrypt(server, share):
    settings = with_share({"guest_account": "nobody", "encryption": server}, guest=True, encryption=share)
    refuses(settings, "share.a.guest = true: guests have no key to encrypt with")


def test_the_source_is_named():
    with pytest.raises(ConfigError, match=r"^embedded: server\.dialects"):
        check_settings(Settings(dialects=()), "embedded")


def test_short_names_have_no_case():
    check_settings(with_share(short_names=True))
    message = "share.a.short_names = true: names of the form 8.3 have no case; set it or case_sensitive to false"
    refuses(with_share(short_names=True, case_sensitive=True), message)


def test_time_machine_needs_macos():
    check_settings(with_share(macos=True, time_machine=True, time_machine_size=1 << 40))
    refuses(with_share(time_machine=True), "share.a.time_machine = true: needs macos = true")
    message = 'share.a.time_machine_size = "1GiB": needs time_machine = true'
    refuses(with_share(macos=True, time_machine_size=1 << 30), message)
    message = "share.a.time_machine_size = -1: must not be negative"
    refuses(with_share(macos=True, time_machine=True, time_machine_size=-1), message)
