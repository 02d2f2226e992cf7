"""smbport.config.keys: every field is a key."""

from dataclasses import MISSING, fields

import pytest

from smbport.config.keys import KEYS, RUN_KEYS, Configuration, share_path
from smbport.state.settings import Limits, Settings, ShareSettings


@pytest.mark.parametrize(
    ("table", "settings", "elsewhere", "more"),
    [
        (
            "server",
            Settings,
            {"server_guid", "shares", "limits"},
            {"min_dialect", "max_dialect", "platform", "listen", "users", "log"},
        ),
        ("limits", Limits, set(), set()),
        ("share.NAME", ShareSettings, {"name"}, set()),
    ],
)
def test_every_field_is_a_key(table, settings, elsewhere, more):
    assert set(KEYS[table]) == {field.name for field in fields(settings)} - elsewhere | more


def test_only_the_path_of_a_share_has_no_default():
    assert [(table, key) for table, keys in KEYS.items() for key in keys if keys[key].default is MISSING] == [
        ("share.NAME", "path")
    ]


def test_run_keys_are_the_other_fields_of_the_configuration():
    assert {"settings", *RUN_KEYS.values()} == {field.name for field in fields(Configuration)}


@pytest.mark.parametrize(
    ("name", "path"), [("data", "share.data"), ("a$", 'share."a$"'), ("My Docs", 'share."My Docs"'), ("é", 'share."é"')]
)
def test_paths_of_shares_are_as_in_toml(name, path):
    assert share_path(name) == path
