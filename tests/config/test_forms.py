"""smbport.config.forms: how values are written."""

import datetime
from dataclasses import fields
from ipaddress import ip_network
from typing import get_type_hints

import pytest

from smbport.config.forms import form_of, one_of, read_listener, toml
from smbport.state.dfs import DfsLink
from smbport.state.settings import Limits, Settings, ShareSettings
from smbport.wire.constants import Cipher, Dialect, SigningAlgorithm


def form(settings, field):
    return form_of(field, get_type_hints(settings)[field])


GOOD = [
    (Settings, "guest_on_bad_user", True, True),
    (Settings, "comment", "", ""),
    (Settings, "guest_account", "nobody", "nobody"),
    (Settings, "signing", "offered", "offered"),
    (Settings, "dialects", ["2.1", "3.0.2", "3.1.1"], (Dialect.SMB_2_1, Dialect.SMB_3_0_2, Dialect.SMB_3_1_1)),
    (Settings, "ciphers", ["aes-256-gcm", "aes-128-ccm"], (Cipher.AES_256_GCM, Cipher.AES_128_CCM)),
    (Settings, "signing_algorithms", ["hmac-sha256"], (SigningAlgorithm.HMAC_SHA256,)),
    (Limits, "connections", 5, 5),
    (Limits, "idle_timeout_s", 5, 5),
    (Limits, "idle_timeout_s", 0.5, 0.5),
    (Limits, "read_size", 65537, 65537),
    (Limits, "read_size", "64KiB", 65536),
    (Limits, "queued_bytes", "2GiB", 2 << 30),
    (Limits, "frame_before_session", "1MiB", 1 << 20),
    (ShareSettings, "create_mask", "0640", 0o640),
    (ShareSettings, "force_directory_mode", "2775", 0o2775),
    (ShareSettings, "valid_users", ["alice", "bob"], ("alice", "bob")),
    (Settings, "hosts_allow", ["192.0.2.1", "fd00::/8"], (ip_network("192.0.2.1/32"), ip_network("fd00::/8"))),
    (ShareSettings, "hosts_deny", ["0.0.0.0/0", "::1"], (ip_network("0.0.0.0/0"), ip_network("::1"))),
    (ShareSettings, "dfs", {}, ()),
    (ShareSettings, "dfs", {"a/b": ["//one/x", "//two/x/y"]}, (DfsLink("a/b", ("one\\x", "two\\x\\y")),)),
]


@pytest.mark.parametrize(("settings", "field", "written", "value"), GOOD)
def test_values_are_read_and_written_back(settings, field, written, value):
    read = form(settings, field).read(written)
    assert read == value
    assert type(read) is type(value)
    assert form(settings, field).write(value) == written


@pytest.mark.parametrize(
    ("settings", "field", "written", "value"),
    [
        (Limits, "read_size", "65 KiB", 65 << 10),
        (ShareSettings, "create_mask", "640", 0o640),
        (ShareSettings, "create_mask", 0o640, 0o640),
        (ShareSettings, "create_mask", "00640", 0o640),
        (ShareSettings, "dfs", {"\\a\\b\\": ["\\\\one\\x\\", "one/x"]}, (DfsLink("a/b", ("one\\x", "one\\x")),)),
    ],
)
def test_other_ways_to_write(settings, field, written, value):
    assert form(settings, field).read(written) == value


BAD = [
    (Settings, "guest_on_bad_user", 1),
    (Settings, "comment", 5),
    (Settings, "guest_account", ""),
    (Settings, "guest_account", False),
    (Settings, "signing", "Required"),
    (Settings, "signing", ["required"]),
    (Settings, "dialects", "3.1.1"),
    (Settings, "dialects", ["3.1"]),
    (Settings, "dialects", [311]),
    (Settings, "ciphers", [["aes-128-gcm"]]),
    (Limits, "connections", True),
    (Limits, "connections", 5.0),
    (Limits, "connections", "5"),
    (Limits, "idle_timeout_s", True),
    (Limits, "idle_timeout_s", "5s"),
    (Limits, "read_size", True),
    (Limits, "read_size", "8MB"),
    (Limits, "read_size", "-8MiB"),
    (Limits, "read_size", "٣KiB"),
    (Limits, "read_size", 1.5),
    (ShareSettings, "create_mask", "rwxr-x---"),
    (ShareSettings, "create_mask", "0o640"),
    (ShareSettings, "create_mask", "0888"),
    (ShareSettings, "create_mask", 640.0),
    (ShareSettings, "create_mask", True),
    (ShareSettings, "valid_users", "alice"),
    (ShareSettings, "valid_users", [1]),
    (ShareSettings, "hosts_allow", "192.0.2.1"),
    (ShareSettings, "hosts_allow", [3221225985]),
    (ShareSettings, "dfs", "//one/x"),
    (ShareSettings, "dfs", {"a": "//one/x"}),
    (ShareSettings, "dfs", {"a": []}),
    (ShareSettings, "dfs", {"a": [1]}),
]


@pytest.mark.parametrize(("settings", "field", "written"), BAD)
def test_other_values_are_refused(settings, field, written):
    with pytest.raises(ValueError, match=r"^$"):  # "must be {type}" is all there is to say
        form(settings, field).read(written)


@pytest.mark.parametrize("written", [640, 644, 755, 777, 0o1000])
def test_a_mask_with_the_prefix_forgotten_is_refused(written):
    with pytest.raises(ValueError, match="at most 0o777 as a number"):
        form(ShareSettings, "create_mask").read(written)


@pytest.mark.parametrize("text", ["192.0.2.1/24", "192.0.2.0/33", "files.example", "192.0.2.", "fe80::1%eth0/64", ""])
def test_what_is_no_network(text):
    with pytest.raises(ValueError, match=r'must be an address, or a network .* such as "192\.168\.1\.0/24"'):
        form(Settings, "hosts_deny").read([text])


@pytest.mark.parametrize("settings", [Settings, ShareSettings, Limits])
def test_every_default_can_be_written(settings):
    for field in fields(settings):
        if isinstance(field.default, (bool, int, float, str, tuple)) and field.name != "shares":
            each = form(settings, field.name)
            assert each.read(each.write(field.default)) == field.default, field.name


def test_a_value_without_a_word_is_shown_as_it_is():
    assert one_of({"a": 1}).write(2) == 2
    assert form(Settings, "dialects").write((0x9999,)) == [0x9999]


@pytest.mark.parametrize(
    ("text", "listener"),
    [
        ("445", (None, 445)),
        (":0", (None, 0)),
        ("192.0.2.1:65535", ("192.0.2.1", 65535)),
        ("files.example:445", ("files.example", 445)),
        ("[::]:445", ("::", 445)),
        ("[fe80::1%eth0]:445", ("fe80::1%eth0", 445)),
    ],
)
def test_listeners(text, listener):
    assert read_listener(text) == listener


@pytest.mark.parametrize(
    "text",
    ["", ":", "host", "host:", "host:smb", "host:65536", "::1:445", "[::1]", "*:445", " 445", "445\n", "٤٤٥", 445],
)
def test_bad_listeners(text):
    with pytest.raises(ValueError, match=r"must be PORT, :PORT, HOST:PORT or \[IPV6\]:PORT"):
        read_listener(text)


@pytest.mark.parametrize("text", ["[192.0.2.1]:445", "[host]:445", "[:::]:445"])
def test_brackets_are_for_ipv6(text):
    with pytest.raises(ValueError, match="must have an IPv6 address in its brackets"):
        read_listener(text)


@pytest.mark.parametrize(
    ("value", "text"),
    [(True, "true"), ("ä\n", '"ä\\n"'), ([1, "2"], '[1, "2"]'), (datetime.date(2025, 1, 2), '"2025-01-02"')],
)
def test_values_in_errors_look_as_in_the_file(value, text):
    assert toml(value) == text
