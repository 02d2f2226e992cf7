"""smbport.config.options: settings on the command line."""

import re

import pytest

from smbport.config import ConfigError, parse_listen, parse_share_option
from smbport.state.settings import ShareSettings


@pytest.mark.parametrize(
    ("text", "share"),
    [
        ("data=/srv/data", ShareSettings(name="data", path="/srv/data")),
        ("data=/srv,ro", ShareSettings(name="data", path="/srv", read_only=True)),
        ("data=/srv,guest,ro", ShareSettings(name="data", path="/srv", read_only=True, guest=True)),
        ("My Docs=.", ShareSettings(name="My Docs", path=".")),
        ("a=/x=y", ShareSettings(name="a", path="/x=y")),
        ("a=/srv/Smith, John", ShareSettings(name="a", path="/srv/Smith, John")),
        ("a=/srv/b,c/d,ro", ShareSettings(name="a", path="/srv/b,c/d", read_only=True)),
        ("a=/srv/b,ro/", ShareSettings(name="a", path="/srv/b,ro/")),
        ("a=/srv/b,,ro", ShareSettings(name="a", path="/srv/b,", read_only=True)),
        ("a=/odd\nname\udcff", ShareSettings(name="a", path="/odd\nname\udcff")),
    ],
)
def test_shares(text, share):
    assert parse_share_option(text) == share


@pytest.mark.parametrize(
    ("text", "fix"),
    [
        ("", "must be NAME=PATH, NAME=PATH,ro"),
        ("/srv", "must be NAME=PATH, NAME=PATH,ro"),
        ("data=", "must be NAME=PATH, NAME=PATH,ro"),
        ("data=/srv,rw", "the options are ro and guest, not rw; if it is part of the path, write / behind it"),
        ("data=/srv,ro,hidden", "the options are ro and guest, not hidden"),
        ("=/srv", "the name of a share has 1 to 80 characters"),
        ("IPC$=/srv", "IPC$ is always there"),
        ("a/b=/srv", "the name of a share must not contain '/'"),
    ],
)
def test_bad_shares(text, fix):
    with pytest.raises(ConfigError, match=f'^command line: --share = "{re.escape(text)}": {re.escape(fix)}'):
        parse_share_option(text)


def test_listeners():
    assert parse_listen("4450") == (None, 4450)
    assert parse_listen("[::1]:445") == ("::1", 445)
    with pytest.raises(ConfigError, match=r'^command line: --listen = "host": "host" must be PORT'):
        parse_listen("host")
