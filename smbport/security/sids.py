"""Which SID is whom: the scheme of this server, and the tokens that follow from it.

    S-1-5-21-A-B-C-RID   a user of smbport's own; A-B-C is the store's, the RID is in it
    S-1-5-21-A-B-C       this server as a domain; RIDs below 1000 are those that are the same everywhere
    S-1-22-1-UID         a user of the system, S-1-22-2-GID a group: as Samba and ksmbd name them

A user's token has both his SIDs, so that files are his by either name.  What he makes belongs to the name that
other servers understand too, that of the system account, wherever files are made by one of his own.
"""

from dataclasses import dataclass
from typing import Final, Literal

from smbport.platform import Account
from smbport.security.access import Privilege, Token
from smbport.wire.security import Sid, WellKnownSid, unix_group_sid, unix_user_sid

__all__ = ["Person", "Rid", "account_token", "machine_sid", "make_token", "relative_id", "unix_id"]

UNIX_USERS: Final = Sid(22, (1,))
UNIX_GROUPS: Final = Sid(22, (2,))


class Rid:
    """The last part of SIDs that every machine has.  [MS-DTYP] 2.4.2.4"""

    ADMINISTRATOR: Final = 500
    GUEST: Final = 501
    USERS: Final = 513
    GUESTS: Final = 514


def machine_sid(machine_id: tuple[int, int, int], *rid: int) -> Sid:
    """The SID of this server, or of one of its users."""
    return Sid(5, (21, *machine_id, *rid))


def relative_id(sid: Sid | None, domain: Sid) -> int | None:
    """The RID of a SID in a domain; None if it is not in it."""
    if sid is None or sid.authority != domain.authority or sid.sub_authorities[:-1] != domain.sub_authorities:
        return None
    return sid.sub_authorities[-1]


def unix_id(sid: Sid | None, *, group: bool) -> int | None:
    """The uid in S-1-22-1-uid, or the gid in S-1-22-2-gid; None if the SID is no such one."""
    return relative_id(sid, UNIX_GROUPS if group else UNIX_USERS)


@dataclass(frozen=True, slots=True)
class Person:
    """What tokens are made of."""

    kind: Literal["user", "guest", "anonymous"]
    rid: int
    administrator: bool = False


_NETWORK: Final = frozenset((WellKnownSid.EVERYONE, WellKnownSid.NETWORK))
_EXTRA: Final = {
    "user": (WellKnownSid.AUTHENTICATED_USERS, WellKnownSid.BUILTIN_USERS),
    "guest": (WellKnownSid.BUILTIN_GUESTS,),
    "anonymous": (WellKnownSid.ANONYMOUS,),
}


def make_token(machine_id: tuple[int, int, int], person: Person, account: Account | None) -> Token:
    """The token of who logged on.

    `account` is the system account that his files are made by; None if that is everybody's, and says nothing.
    """
    if person.kind == "anonymous":
        user = group = WellKnownSid.ANONYMOUS
    else:
        guest = person.kind == "guest"
        user = machine_sid(machine_id, Rid.GUEST if guest else person.rid)
        group = machine_sid(machine_id, Rid.GUESTS if guest else Rid.USERS)
    sids = {user, group, *_NETWORK, *_EXTRA[person.kind]}
    owner = user
    if account is not None:
        owner, group = unix_user_sid(account.uid), unix_group_sid(account.gid)
        sids |= {owner, group, *map(unix_group_sid, account.groups)}
    privileges = 0
    if person.administrator:
        sids.add(WellKnownSid.BUILTIN_ADMINISTRATORS)
        privileges = Privilege.ALL
    return Token(user, group, owner, frozenset(sids), privileges)


def account_token(account: Account) -> Token:
    """A system account as it is to the system."""
    user, group = unix_user_sid(account.uid), unix_group_sid(account.gid)
    return Token(user, group, user, frozenset({user, group, *map(unix_group_sid, account.groups), *_NETWORK}))
