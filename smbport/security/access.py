"""May they?  Tokens, and the check of a token against a security descriptor.  [MS-DTYP] 2.5.2, 2.5.3.2

Nothing here knows files, names or users: a token is a set of SIDs with a few privileges, a descriptor is a value,
and the answer is a mask of rights.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from smbport.wire.constants import Access, AceFlag, AceType
from smbport.wire.security import Ace, Acl, SecurityDescriptor, Sid, WellKnownSid
from smbport.wire.status import Status, StatusError

__all__ = [
    "INVALID_OWNER", "INVALID_PRIMARY_GROUP", "Privilege", "Token", "check_access", "map_generic", "map_generic_acl",
    "maximal_access",
]  # fmt: skip

INVALID_OWNER: Final = 0xC000005A  # [MS-ERREF] 2.3.1
INVALID_PRIMARY_GROUP: Final = 0xC000005B


class Privilege:
    """What a token may do whatever a descriptor says; bits of our own.  [MS-LSAD] 3.1.1.2.1"""

    SECURITY: Final = 0x1  # read and write SACLs
    TAKE_OWNERSHIP: Final = 0x2  # become the owner of anything
    BACKUP: Final = 0x4  # read anything that is opened for backup
    RESTORE: Final = 0x8  # write anything that is opened for backup, and name any owner
    ALL: Final = 0xF


# What SeBackupPrivilege and SeRestorePrivilege grant.  [MS-FSA] 2.1.5.1.2
BACKUP_ACCESS: Final = Access.READ_CONTROL | Access.ACCESS_SYSTEM_SECURITY | Access.FILE_GENERIC_READ | Access.TRAVERSE
RESTORE_ACCESS: Final = (
    Access.WRITE_DAC | Access.WRITE_OWNER | Access.ACCESS_SYSTEM_SECURITY | Access.FILE_GENERIC_WRITE
    | Access.ADD_FILE | Access.ADD_SUBDIRECTORY | Access.DELETE
)  # fmt: skip
OWNER_ACCESS: Final = Access.READ_CONTROL | Access.WRITE_DAC

# The same mapping serves files and directories: TRAVERSE is EXECUTE, ADD_FILE is WRITE_DATA, and so on.
GENERIC: Final = (
    (Access.GENERIC_READ, Access.FILE_GENERIC_READ),
    (Access.GENERIC_WRITE, Access.FILE_GENERIC_WRITE),
    (Access.GENERIC_EXECUTE, Access.FILE_GENERIC_EXECUTE),
    (Access.GENERIC_ALL, Access.FILE_ALL_ACCESS),
)
ANY_GENERIC: Final = 0xF0000000


@dataclass(frozen=True, slots=True)
class Token:
    """Who asks.  [MS-DTYP] 2.5.2"""

    user: Sid
    group: Sid  # primary
    owner: Sid  # whom new files belong to: `user`, or another name of his that other servers understand too
    sids: frozenset[Sid]  # all that ACEs may name: these three among them
    privileges: int = 0  # Privilege

    def holds(self, privilege: int) -> bool:
        """Whether it has that privilege."""
        return bool(self.privileges & privilege)

    def may_own(self, sid: Sid) -> bool:
        """Whether it may make `sid` the owner of something it has WRITE_OWNER on.  [MS-FSA] 2.1.5.17"""
        if self.holds(Privilege.RESTORE) or sid in (self.user, self.owner):
            return True
        return sid == WellKnownSid.BUILTIN_ADMINISTRATORS and sid in self.sids

    def may_give_to_group(self, sid: Sid) -> bool:
        """Whether it may give a file of the system to that group, as chgrp() has it."""
        return sid in self.sids or self.holds(Privilege.RESTORE)


def map_generic(mask: int) -> int:
    """Generic rights as the rights of files that they stand for.  [MS-DTYP] 2.4.3, [MS-SMB2] 2.2.13.1"""
    if mask & ANY_GENERIC:
        for generic, meaning in GENERIC:
            if mask & generic:
                mask = mask & ~generic | meaning
    return mask


def map_generic_acl(acl: Acl | None) -> Acl | None:
    """An ACL as it is stored: what counts for the file itself is spelled out, what is for heirs only stays generic."""
    if acl is None or not any(ace.mask & ANY_GENERIC and not ace.flags & AceFlag.INHERIT_ONLY for ace in acl.aces):
        return acl
    return Acl(tuple(_spelled_out(acl.aces)), acl.revision)


def _spelled_out(aces: Iterable[Ace]) -> Iterator[Ace]:
    """An ACE that heirs get too is split, because for them the generic rights must stay.  [MS-DTYP] 2.5.3.4.4"""
    for ace in aces:
        if ace.flags & AceFlag.INHERIT_ONLY or not ace.mask & ANY_GENERIC:
            yield ace
            continue
        yield Ace(ace.type, ace.flags & ~_PASSED_ON, map_generic(ace.mask), ace.sid, ace.data)
        if ace.flags & (AceFlag.OBJECT_INHERIT | AceFlag.CONTAINER_INHERIT):
            yield Ace(ace.type, ace.flags | AceFlag.INHERIT_ONLY, ace.mask, ace.sid, ace.data)


_PASSED_ON: Final = AceFlag.OBJECT_INHERIT | AceFlag.CONTAINER_INHERIT | AceFlag.NO_PROPAGATE_INHERIT


def check_access(
    descriptor: SecurityDescriptor, token: Token, desired: int, *, backup: bool = False, also: int = 0
) -> int:
    """The rights that an open gets who wants `desired`: just these; with MAXIMUM_ALLOWED, all that there are.

    `backup` says that the file is opened for backup, so that the privileges for it count; `also` is what something
    else than the descriptor grants.
    Raises ACCESS_DENIED, or PRIVILEGE_NOT_HELD if the SACL is asked for.  [MS-DTYP] 2.5.3.2
    """
    desired = map_generic(desired)
    wanted = desired & ~Access.MAXIMUM_ALLOWED
    if wanted & Access.ACCESS_SYSTEM_SECURITY and not token.holds(Privilege.SECURITY):
        raise StatusError(Status.PRIVILEGE_NOT_HELD)
    maximal = maximal_access(descriptor, token, backup=backup) | also
    missing = wanted & ~maximal & ~Access.ACCESS_SYSTEM_SECURITY
    if missing:
        raise StatusError(Status.ACCESS_DENIED, f"the descriptor does not grant 0x{missing:x} of 0x{wanted:x}")
    return wanted | maximal if desired & Access.MAXIMUM_ALLOWED else wanted


def maximal_access(descriptor: SecurityDescriptor, token: Token, *, backup: bool = False) -> int:
    """All rights that the descriptor grants, but for the one on the SACL.  [MS-DTYP] 2.5.3.2, [MS-SMB2] 3.3.5.9.5

    One pass with two masks is the whole algorithm: the first ACE that says something about a bit decides it.
    """
    dacl = descriptor.dacl
    if dacl is None:  # NULL, or none at all
        granted = Access.FILE_ALL_ACCESS
    else:
        granted = _granted_by(dacl, descriptor.owner, token)
    if token.holds(Privilege.TAKE_OWNERSHIP):
        granted |= Access.WRITE_OWNER
    if backup:
        granted |= BACKUP_ACCESS if token.holds(Privilege.BACKUP) else 0
        granted |= RESTORE_ACCESS if token.holds(Privilege.RESTORE) else 0
    return granted & ~Access.ACCESS_SYSTEM_SECURITY


def _granted_by(dacl: Acl, owner: Sid | None, token: Token) -> int:
    owns = owner in token.sids
    sids = token.sids
    granted = denied = 0
    if owns:
        if any(ace.sid == WellKnownSid.OWNER_RIGHTS and not ace.flags & AceFlag.INHERIT_ONLY for ace in dacl.aces):
            sids = sids | {WellKnownSid.OWNER_RIGHTS}  # these say what the owner may do, instead of what he always may
        else:
            granted = OWNER_ACCESS
    for ace in dacl.aces:
        if ace.flags & AceFlag.INHERIT_ONLY or ace.sid not in sids:
            continue
        if ace.type == AceType.ACCESS_ALLOWED:
            granted |= map_generic(ace.mask) & ~denied
        elif ace.type in _DENYING:
            denied |= map_generic(ace.mask) & ~granted
    return granted


# A conditional ACE whose condition cannot be evaluated denies, and does not allow.  [MS-DTYP] 2.5.3.2
_DENYING: Final = (AceType.ACCESS_DENIED, AceType.ACCESS_DENIED_CALLBACK)
