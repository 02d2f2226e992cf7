"""smbport_linux.ksmbd.settings: every key of the configuration has a row, and the page shows the table."""

from pathlib import Path

import pytest

from smbport.config import parse
from smbport.config.keys import KEYS
from smbport.control import find_problems, reference
from smbport_linux.ksmbd.platform import Ksmbd
from smbport_linux.ksmbd.releases import parse_release
from smbport_linux.ksmbd.settings import make_settings

NEWEST = make_settings(parse_release("7.3.4"))
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
        '[server]\nlisten = [":1445"]\nsigning = "offered"\nencryption = "required"\nmin_dialect = "3.0"',
        '[server]\nlisten = ["lo:445"]\noplocks = false\nleases = false',
        '[server]\nencryption = "required"\n[share.a]\npath = "v"\nencryption = "required"',
        '[share.a]\npath = "v"\naccess_based_enumeration = true',
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
        ('[share.a]\npath = "v"\nencryption = "required"', 'set server.encryption = "required"'),
        ('[share.a]\npath = "v"\ncase_sensitive = true', "ignores case"),
        ('[server]\nhandle_store = "/srv/handles.db"', "no handles on disk"),
        ('[share.a]\npath = "v"\nacl = "nt"', "takes SIDs for numbers of accounts"),
        ('[server]\ntarget_name = "required"', "looks at no target"),
        ("[limits]\nlocks_per_open = 5", "cannot be told"),
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
