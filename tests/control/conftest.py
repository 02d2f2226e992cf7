"""A platform with a kernel's server that there is none of, and what it takes to answer its questions."""

import pytest

from smbport.config import parse
from smbport.control.answers import Answers
from smbport.control.rules import find_rules
from smbport.platform import Account
from smbport.security.auth import UserRecord, nt_hash
from smbport.server.logon import new_authenticator
from smbport.testing.kernel import FakeKernel
from smbport.testing.memory import MemoryPlatform
from smbport.users import MemoryUsers

ALICE = Account("alice", 1001, 1001, (1001, 3000))


@pytest.fixture
def users():
    users = MemoryUsers({"Alice": "secret", "bob": "secret", "mapped": "secret"})
    users.put(UserRecord("gone", nt_hash("secret"), disabled=True))
    users.put(UserRecord("mapped", nt_hash("secret"), account="alice"))
    return users


@pytest.fixture
def platform():
    """`bob` is a user, but has no account here."""
    accounts = [ALICE, Account("Alice", 1001, 1001, (1001, 3000)), Account("nobody", 65534, 65534, (65534,))]
    platform = MemoryPlatform(account=Account("root", 0, 0), accounts=accounts, groups={"team": 3000})
    platform.kernel = FakeKernel()
    return platform


@pytest.fixture
def rules_of(platform):
    async def rules_of(text):
        return await find_rules(parse(text, "test.toml").settings, platform, platform.identity, "test.toml")

    return rules_of


@pytest.fixture
def answers_of(platform, users, rules_of):
    async def answers_of(text):
        rules = await rules_of(text)
        return Answers(rules, new_authenticator(rules.settings, users), platform.identity, (7, 8, 9))

    return answers_of
