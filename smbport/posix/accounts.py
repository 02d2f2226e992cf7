"""Accounts of the system: pwd and grp, which every POSIX system has."""

import grp
import os
import pwd
from collections.abc import Mapping

from smbport.platform import Account
from smbport.posix.nodes import check_wait

__all__ = ["PosixAccounts", "process_account"]


class PosixAccounts:
    """All of the power `identity` but acting as somebody."""

    __slots__ = ()

    def find_account(self, name: str, *, wait: bool = False) -> Account | None:
        check_wait(wait)  # for a directory service on the network, perhaps
        try:
            entry = pwd.getpwnam(name)
        except (KeyError, ValueError):  # ValueError: no system account can have such a name, with NUL for one
            return None
        groups = os.getgrouplist(entry.pw_name, entry.pw_gid)
        return Account(entry.pw_name, entry.pw_uid, entry.pw_gid, tuple(groups))

    def find_group(self, name: str, *, wait: bool = False) -> int | None:
        check_wait(wait)
        try:
            return grp.getgrnam(name).gr_gid
        except (KeyError, ValueError):
            return None

    def names(self, *, wait: bool = False) -> tuple[Mapping[int, str], Mapping[int, str]]:
        check_wait(wait)
        # The first name of a number is the one that the system itself shows.
        users = {entry.pw_uid: entry.pw_name for entry in reversed(pwd.getpwall())}
        return users, {entry.gr_gid: entry.gr_name for entry in reversed(grp.getgrall())}


def process_account() -> Account:
    """The account that this process runs as, with a number for a name if it has none."""
    uid, gid = os.geteuid(), os.getegid()
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        name = str(uid)
    return Account(name, uid, gid, tuple(os.getgroups()))
