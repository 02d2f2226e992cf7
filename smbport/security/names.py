"""Names of SIDs, and SIDs of names, as clients ask for them through lsarpc and samr.  [MS-LSAT] 3.1.1.1, [MS-SAMR]

What is known: this server's own users, the few groups that every Windows has, well-known SIDs, and users and
groups of the system, which have a name even if the system knows none: their number.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from smbport.security.auth import UserRecord
from smbport.security.sids import Rid, machine_sid, relative_id, unix_id
from smbport.wire.security import Sid, WellKnownSid, unix_group_sid, unix_user_sid

__all__ = ["BUILTIN", "Names", "SidName", "SidUse"]

BUILTIN: Final = Sid(5, (32,))
UNIX_USERS: Final = "Unix User"
UNIX_GROUPS: Final = "Unix Group"
MAX_ID: Final = 0xFFFFFFFF


class SidUse:
    """What a SID stands for.  [MS-LSAT] 2.2.13, SID_NAME_USE"""

    USER: Final = 1
    GROUP: Final = 2
    DOMAIN: Final = 3
    ALIAS: Final = 4
    WELL_KNOWN_GROUP: Final = 5
    UNKNOWN: Final = 8


class SidName(NamedTuple):
    """A SID with its name; that of a domain has no `name`."""

    sid: Sid
    domain: str
    name: str
    use: int


_ALIASES: Final = {544: "Administrators", 545: "Users", 546: "Guests"}
_GROUPS: Final = {Rid.USERS: "None", Rid.GUESTS: "Domain Guests"}  # "None" is what a Windows in no domain says
_USERS: Final = {Rid.ADMINISTRATOR: "Administrator", Rid.GUEST: "Guest"}
_WELL_KNOWN: Final = (
    (WellKnownSid.NULL, "", "NULL SID"),
    (WellKnownSid.EVERYONE, "", "Everyone"),
    (WellKnownSid.CREATOR_OWNER, "", "CREATOR OWNER"),
    (WellKnownSid.CREATOR_GROUP, "", "CREATOR GROUP"),
    (WellKnownSid.OWNER_RIGHTS, "", "OWNER RIGHTS"),
    (WellKnownSid.NETWORK, "NT AUTHORITY", "NETWORK"),
    (WellKnownSid.INTERACTIVE, "NT AUTHORITY", "INTERACTIVE"),
    (WellKnownSid.ANONYMOUS, "NT AUTHORITY", "ANONYMOUS LOGON"),
    (WellKnownSid.AUTHENTICATED_USERS, "NT AUTHORITY", "Authenticated Users"),
    (WellKnownSid.SYSTEM, "NT AUTHORITY", "SYSTEM"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """What one server knows, at one moment."""

    machine_id: tuple[int, int, int]
    server: str
    users: Sequence[UserRecord] = ()
    administrators: frozenset[Sid] = frozenset((WellKnownSid.BUILTIN_ADMINISTRATORS,))  # who have privileges
    unix_users: Mapping[int, str]  # of the system, by number
    unix_groups: Mapping[int, str]

    @property
    def domain(self) -> Sid:
        """This server as a domain."""
        return machine_sid(self.machine_id)

    def user_of(self, rid: int) -> UserRecord | None:
        """The user with that RID."""
        return next((user for user in self.users if user.rid == rid), None)

    def accounts(self) -> list[tuple[int, str]]:
        """(RID, name) of every user of this server."""
        return sorted((user.rid, user.name) for user in self.users)

    def groups(self) -> list[tuple[int, str]]:
        """(RID, name) of the groups of this server."""
        return [(Rid.USERS, _GROUPS[Rid.USERS])]

    def aliases(self) -> list[tuple[int, str]]:
        """(RID, name) of the groups that every machine has in the domain BUILTIN."""
        return list(_ALIASES.items())

    def name_of(self, sid: Sid) -> SidName | None:
        """The name of a SID; None if it is somebody elsewhere."""
        for known, domain, name in _WELL_KNOWN:
            if sid == known:
                return SidName(sid, domain, name, SidUse.WELL_KNOWN_GROUP)
        if sid in (self.domain, BUILTIN):
            return SidName(sid, "BUILTIN" if sid == BUILTIN else self.server, "", SidUse.DOMAIN)
        rid = relative_id(sid, BUILTIN)
        if rid in _ALIASES:
            return SidName(sid, "BUILTIN", _ALIASES[rid], SidUse.ALIAS)
        rid = relative_id(sid, self.domain)
        return self._unix_name_of(sid) if rid is None else self._own_name_of(sid, rid)

    def _own_name_of(self, sid: Sid, rid: int) -> SidName | None:
        user = self.user_of(rid)
        if user is not None:
            return SidName(sid, self.server, user.name, SidUse.USER)
        for table, use in ((_USERS, SidUse.USER), (_GROUPS, SidUse.GROUP)):
            if rid in table:
                return SidName(sid, self.server, table[rid], use)
        return None

    def _unix_name_of(self, sid: Sid) -> SidName | None:
        uid, gid = unix_id(sid, group=False), unix_id(sid, group=True)
        if uid is not None:
            return SidName(sid, UNIX_USERS, self.unix_users.get(uid, str(uid)), SidUse.USER)
        if gid is not None:
            return SidName(sid, UNIX_GROUPS, self.unix_groups.get(gid, str(gid)), SidUse.GROUP)
        return None

    def find(self, text: str) -> SidName | None:
        """Who that is: "name", "DOMAIN\\name" or "name@DOMAIN", in whatever case.  None if there is nobody."""
        domain, separator, name = text.rpartition("\\")
        if not separator and "@" in text:
            name, _, domain = text.partition("@")
        domain, name = domain.casefold(), name.casefold()
        for each in self._all():
            if each.name.casefold() == name and domain in ("", each.domain.casefold()):
                return each
        return self._find_number(domain, name) or self._find_domain(name if not domain else "")

    def _all(self) -> list[SidName]:
        """Everybody, those first who are meant if only a name is given."""
        known = [self._own_name_of(machine_sid(self.machine_id, rid), rid) for rid, _ in self.accounts()]
        known += [self.name_of(sid) for sid, _, _ in _WELL_KNOWN]
        known += [self.name_of(Sid(5, (32, rid))) for rid in _ALIASES]
        known += [self.name_of(machine_sid(self.machine_id, rid)) for rid in (*_USERS, *_GROUPS)]
        known += [self.name_of(unix_user_sid(uid)) for uid in self.unix_users]
        known += [self.name_of(unix_group_sid(gid)) for gid in self.unix_groups]
        return [each for each in known if each is not None]

    def _find_number(self, domain: str, name: str) -> SidName | None:
        if not (name.isascii() and name.isdigit()) or int(name) > MAX_ID:
            return None
        if domain == UNIX_USERS.casefold():
            return self.name_of(unix_user_sid(int(name)))
        return self.name_of(unix_group_sid(int(name))) if domain == UNIX_GROUPS.casefold() else None

    def _find_domain(self, name: str) -> SidName | None:
        domains = {self.server.casefold(): self.domain, "builtin": BUILTIN}
        return self.name_of(domains[name]) if name in domains else None
