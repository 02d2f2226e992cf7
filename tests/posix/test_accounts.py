"""smbport.posix.accounts"""

import grp
import os
import pwd

import pytest

from smbport.posix.accounts import PosixAccounts, process_account


def test_finding_accounts():
    power = PosixAccounts()
    entry = pwd.getpwuid(1)
    found = power.find_account(entry.pw_name, wait=True)
    assert found is not None
    assert (found.name, found.uid, found.gid) == (entry.pw_name, entry.pw_uid, entry.pw_gid)
    assert set(found.groups) == set(os.getgrouplist(entry.pw_name, entry.pw_gid))
    for name in ("no such account", "root\0", "\ud800", ""):
        assert power.find_account(name, wait=True) is None
        assert power.find_group(name, wait=True) is None
    assert power.find_group(grp.getgrgid(1).gr_name, wait=True) == 1
    users, groups = power.names(wait=True)
    assert (users[0], groups[0]) == (pwd.getpwuid(0).pw_name, grp.getgrgid(0).gr_name)
    with pytest.raises(BlockingIOError):
        power.names()
    for function in (power.find_account, power.find_group):
        with pytest.raises(BlockingIOError):
            function("root")


def test_the_account_of_the_process(monkeypatch):
    account = process_account()
    assert (account.uid, account.gid) == (os.geteuid(), os.getegid())
    assert account.name == pwd.getpwuid(os.geteuid()).pw_name
    monkeypatch.setattr(os, "geteuid", lambda: 987654321)
    assert process_account().name == "987654321"
