"""smbport.control.rules: settings with their accounts found."""

import os
import unicodedata

import pytest

from smbport.config import ConfigError
from smbport.control.rules import fold


async def share_of(rules_of, text, name="data"):
    return (await rules_of(text)).find_share(name)


async def test_a_share_of_its_users(rules_of):
    share = await share_of(rules_of, '[share.Data]\npath = "v"')
    assert share.name == "Data"
    assert share.path == f"{os.getcwd()}/v"
    assert (share.uid, share.gid, share.groups) == (None, None, ())
    assert (share.file_mask, share.forced_file_mode) == (0o755, 0)
    assert (share.directory_mask, share.forced_directory_mode) == (0o755, 0)
    assert (share.oplocks, share.hide_unreadable) == (True, False)


async def test_modes_are_those_of_user_space_but_for_execute_bits(rules_of):
    share = await share_of(
        rules_of,
        '[share.data]\npath = "v"\ncreate_mask = "0770"\nforce_mode = "0001"\ndirectory_mask = "0770"\n'
        'force_directory_mode = "2000"\naccess_based_enumeration = true',
    )
    assert (share.file_mask, share.forced_file_mode) == (0o770, 0o001)
    assert (share.directory_mask, share.forced_directory_mode) == (0o770, 0o2000)
    assert share.hide_unreadable


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ('run_as = "server"', (0, 0, ())),
        ('run_as = "alice"', (1001, 1001, (3000,))),
        ('run_as = "alice"\nforce_group = "team"', (1001, 3000, (1001,))),
        ('force_group = "team"', (None, 3000, ())),
    ],
)
async def test_a_share_of_one_account(rules_of, lines, expected):
    share = await share_of(rules_of, f'[share.data]\npath = "v"\n{lines}')
    assert (share.uid, share.gid, share.groups) == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[share.data]\npath = "v"\nrun_as = "eve"', 'test.toml: share.data.run_as = "eve": is no account'),
        ('[share.data]\npath = "v"\nforce_group = "x"', 'test.toml: share.data.force_group = "x": is no group'),
        ('[server]\nguest_account = "eve"\n[share.data]\npath = "v"', 'server.guest_account = "eve": is no account'),
    ],
)
async def test_what_the_system_does_not_have(rules_of, text, said):
    with pytest.raises(ConfigError, match=said):
        await rules_of(text)


async def test_a_directory_that_is_not_there(rules_of, platform, monkeypatch):
    def open_volume(path):
        raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr(platform, "open_volume", open_volume)
    with pytest.raises(OSError, match=r"^\[Errno 2\] share 'data': cannot serve 'v': No such file.*; make it, or"):
        await rules_of('[share.data]\npath = "v"')


@pytest.mark.parametrize(("guest", "uid"), [("server", 0), ("nobody", 65534)])
async def test_guests(rules_of, guest, uid):
    assert (await rules_of(f'[server]\nguest_account = "{guest}"\n[share.data]\npath = "v"')).guest.uid == uid
    assert (await rules_of('[share.data]\npath = "v"')).guest is None


async def test_names_in_whatever_form(rules_of):
    rules = await rules_of('[share."Grüße"]\npath = "v"')
    assert rules.find_share(unicodedata.normalize("NFD", "grüsse")).name == "Grüße"
    assert rules.find_share("ipc$").path is None
    assert rules.find_share("other") is None
    assert fold("IPC$") == "ipc$"
