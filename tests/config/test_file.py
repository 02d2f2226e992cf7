"""smbport.config.file: TOML to settings, and errors that say what to write."""

import re

import pytest

from smbport.config import ConfigError, Configuration, load, parse
from smbport.state.settings import ALL_DIALECTS, Limits, Settings, ShareSettings
from smbport.wire.constants import Cipher, Dialect


def test_an_empty_file_has_all_the_defaults():
    assert parse("", "x") == Configuration() == Configuration(settings=Settings(), listen=())


def test_every_table():
    configuration = parse(
        """
        [server]
        server_name = "HOME"
        ciphers = ["aes-256-gcm"]
        platform = "memory"
        listen = ["127.0.0.1:4450", "[::1]:4450"]
        users = "/etc/users.db"
        log = "debug"
        [share.data]
        path = "/srv/data"
        create_mask = "0640"
        valid_users = ["alice"]
        [share."My Docs"]
        path = "docs"
        [limits]
        read_size = "1MiB"
        idle_timeout_s = 0.5
        """,
        "x",
    )
    assert configuration == Configuration(
        settings=Settings(
            server_name="HOME",
            ciphers=(Cipher.AES_256_GCM,),
            shares=(
                ShareSettings(name="data", path="/srv/data", create_mask=0o640, valid_users=("alice",)),
                ShareSettings(name="My Docs", path="docs"),
            ),
            limits=Limits(read_size=1 << 20, idle_timeout_s=0.5),
        ),
        platform="memory",
        listen=(("127.0.0.1", 4450), ("::1", 4450)),
        user_database="/etc/users.db",
        log_level="debug",
    )


@pytest.mark.parametrize(
    ("text", "dialects"),
    [
        ('min_dialect = "3.0"', ALL_DIALECTS[2:]),
        ('max_dialect = "2.1"', ALL_DIALECTS[:2]),
        ('min_dialect = "3.0.2"\nmax_dialect = "3.0.2"', (Dialect.SMB_3_0_2,)),
        ('dialects = ["2.1", "3.1.1"]', (Dialect.SMB_2_1, Dialect.SMB_3_1_1)),
    ],
)
def test_dialects(text, dialects):
    assert parse(f"[server]\n{text}", "x").settings.dialects == dialects


ERRORS = [
    ("a =", "x: is not TOML: Invalid value"),
    ("a = " + "1" * 5000, "x: is not TOML: Exceeds the limit"),
    ("a = " + "[" * 5000, "x: is not TOML: maximum recursion depth"),
    ("[servr]", "x: servr: there is no such key; did you mean server?"),
    ("[zzz]", "x: zzz: there is no such key; the keys are server, limits, share"),
    ('server_name = "A"', "x: server_name: belongs in the table [server]"),
    ("server = 5", "x: server = 5: must be a table; write [server] above its keys"),
    ("share = 5", "x: share = 5: must be a table; write [share.NAME] above its keys"),
    ('[share]\npath = "/"', 'x: share.path = "/": must be a table; write [share.NAME] above its keys'),
    ("[server]\nsigningg = true", "x: server.signingg = true: there is no such key; did you mean signing?"),
    ("[server]\nread_size = 1", "x: server.read_size = 1: belongs in the table [limits]"),
    ("[limits]\nzzz = 1", "x: limits.zzz = 1: there is no such key; the keys are connections, unauthenticated_"),
    ('[share."a b"]\npth = 1', 'x: share."a b".pth = 1: there is no such key; did you mean path?'),
    ("[share.a]", "x: share.a.path: is missing; it must be text"),
    ('[server]\nsigning = "on"', 'x: server.signing = "on": must be one of "required", "offered"'),
    ("[limits]\nopens = 1979-05-27", 'x: limits.opens = "1979-05-27": must be a whole number'),
    ("[share.a]\ncreate_mask = 640", "x: share.a.create_mask = 640: must be at most 0o777 as a number"),
    ('[server]\nlisten = "445"', 'x: server.listen = "445": must be a list such as ["0.0.0.0:445", "[::]:445"]'),
    ("[server]\nlisten = []", "x: server.listen = []: must be a list such as"),
    ('[server]\nlisten = ["a"]', 'x: server.listen = ["a"]: "a" must be PORT, :PORT, HOST:PORT or [IPV6]:PORT'),
    ('[server]\nlisten = ["445", ":445"]', 'x: server.listen = ["445", ":445"]: must not have anything twice'),
    ('[server]\nlog = "loud"', 'x: server.log = "loud": must be one of "debug", "info", "warning", "error"'),
    ('[server]\nusers = ""', 'x: server.users = "": must be text, not empty'),
    (
        '[server]\nmin_dialect = "3.0"\nmax_dialect = "2.1"',
        "x: server.min_dialect: must not be newer than max_dialect",
    ),
    (
        '[server]\nmin_dialect = "3.0"\ndialects = ["3.0"]',
        "x: server.dialects: not together with min_dialect or max_dialect; leave one out",
    ),
    ("[limits]\nconnections = 0", "x: limits.connections = 0: must be from 1 to 2147483647"),
]


@pytest.mark.parametrize(("text", "message"), ERRORS)
def test_errors_name_the_place_the_value_and_the_fix(text, message):
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}"):
        parse(text, "x")


def test_load(tmp_path):
    path = tmp_path / "smbport.toml"
    path.write_text('[share."dätä"]\npath = "/srv"', "utf-8")
    assert load(path).settings.shares[0].name == "dätä"
    path.write_text("[zzz]")
    with pytest.raises(ConfigError, match=f"^{re.escape(str(path))}: zzz: "):
        load(str(path))


def test_a_file_that_cannot_be_read(tmp_path):
    with pytest.raises(ConfigError, match=r"no\.toml: cannot be read: No such file or directory$"):
        load(tmp_path / "no.toml")
    (tmp_path / "latin.toml").write_bytes(b"# \xe4")
    with pytest.raises(ConfigError, match=r"latin\.toml: byte 2 is not UTF-8; save the file as UTF-8$"):
        load(tmp_path / "latin.toml")
