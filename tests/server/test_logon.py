"""smbport.server.logon: settings become rules of logging on."""

import pytest

from smbport.security.auth import LogonFailure
from smbport.server.logon import new_authenticator
from smbport.state.settings import Settings
from smbport.users import MemoryUsers

USERS = MemoryUsers({"alice": "secret"})


def test_defaults_let_users_in_only():
    authenticator = new_authenticator(Settings(server_name="A", workgroup="B"), USERS)
    assert (authenticator.server_name, authenticator.domain) == ("A", "B")
    assert authenticator.look_up("alice").kind == "user"
    for name in ("", "guest", "stranger"):
        with pytest.raises(LogonFailure):
            authenticator.look_up(name)


def test_what_is_allowed():
    settings = Settings(anonymous="ipc-only", guest_account="nobody", guest_on_bad_user=True)
    authenticator = new_authenticator(settings, USERS)
    assert [authenticator.look_up(name).kind for name in ("", "guest", "stranger")] == ["anonymous", "guest", "guest"]
