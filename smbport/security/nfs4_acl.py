"""NFSv4 access control lists in terms of descriptors, and back.  [RFC7530] 6.2.1

Both speak the same language, but for whom an entry is about: where Windows names the owner by his SID, and the owner
of what is yet to be made by CREATOR OWNER, NFSv4 says OWNER@ of both.

describe   what a list means
list_of    the list of what a descriptor says, as far as it is about users and groups of the system
"""

from collections.abc import Iterator
from typing import Final

from smbport.platform import AclEntry, AclTag, AclType
from smbport.security.access import map_generic
from smbport.security.sids import unix_id
from smbport.wire.constants import Access, AceFlag, AceType
from smbport.wire.security import (
    Ace,
    Acl,
    SecurityControl,
    SecurityDescriptor,
    Sid,
    WellKnownSid,
    unix_group_sid,
    unix_user_sid,
)

__all__ = ["describe", "is_nfs4", "list_of"]

HANDED_DOWN: Final = AceFlag.OBJECT_INHERIT | AceFlag.CONTAINER_INHERIT
FLAGS: Final = HANDED_DOWN | AceFlag.NO_PROPAGATE_INHERIT | AceFlag.INHERIT_ONLY | AceFlag.INHERITED
ACE_TYPES: Final = {AclType.ALLOW: AceType.ACCESS_ALLOWED, AclType.DENY: AceType.ACCESS_DENIED}
TYPES: Final = {ace_type: type for type, ace_type in ACE_TYPES.items()}
CREATORS: Final = {AclTag.USER_OBJ: WellKnownSid.CREATOR_OWNER, AclTag.GROUP_OBJ: WellKnownSid.CREATOR_GROUP}
NOBODY: Final = (AclEntry(AclTag.EVERYONE, 0, -1, AclType.ALLOW),)  # a list of no entries is no list


def is_nfs4(entries: tuple[AclEntry, ...]) -> bool:
    """Whether a list is of this family."""
    return bool(entries) and entries[0].type != AclType.POSIX


def describe(entries: tuple[AclEntry, ...], uid: int, gid: int) -> SecurityDescriptor:
    """A list and the owners of its file as a descriptor.

    Who is allowed anything may also wait: without SYNCHRONIZE, Windows does not rename, and no list keeps it.
    """
    owner, group = unix_user_sid(uid), unix_group_sid(gid)
    aces = tuple(ace for entry in entries for ace in _aces(entry, owner, group))
    is_heir = any(ace.flags & AceFlag.INHERITED for ace in aces)
    control = 0 if is_heir else SecurityControl.DACL_PROTECTED
    return SecurityDescriptor(owner=owner, group=group, dacl=Acl(aces), control=control)


def _aces(entry: AclEntry, owner: Sid, group: Sid) -> Iterator[Ace]:
    kind = ACE_TYPES[entry.type]
    mask = entry.permissions | (Access.SYNCHRONIZE if kind == AceType.ACCESS_ALLOWED else 0)
    if entry.tag not in CREATORS:
        yield Ace(kind, entry.flags, mask, _named(entry))
        return
    if not entry.flags & AceFlag.INHERIT_ONLY:
        yield Ace(kind, entry.flags & AceFlag.INHERITED, mask, owner if entry.tag == AclTag.USER_OBJ else group)
    if entry.flags & HANDED_DOWN:
        yield Ace(kind, entry.flags | AceFlag.INHERIT_ONLY, mask, CREATORS[entry.tag])


def _named(entry: AclEntry) -> Sid:
    if entry.tag == AclTag.EVERYONE:
        return WellKnownSid.EVERYONE
    return unix_user_sid(entry.id) if entry.tag == AclTag.USER else unix_group_sid(entry.id)


def list_of(dacl: Acl | None, uid: int, gid: int, *, exactly: bool) -> tuple[AclEntry, ...] | None:
    """The list for the system.  What is about others than its users and groups is left out; `exactly`, it is None."""
    if dacl is None:  # which keeps nobody out
        return (AclEntry(AclTag.EVERYONE, Access.FILE_ALL_ACCESS & ~Access.SYNCHRONIZE, -1, AclType.ALLOW),)
    owner, group = unix_user_sid(uid), unix_group_sid(gid)
    entries = []
    for ace in dacl.aces:
        who = _whom(ace, owner, group)
        if who is not None and ace.type in TYPES:
            tag, number = who
            mask = map_generic(ace.mask) & Access.FILE_ALL_ACCESS & ~Access.SYNCHRONIZE
            entries.append(AclEntry(tag, mask, number, TYPES[ace.type], ace.flags & FLAGS))
        elif exactly:
            return None
    return tuple(entries) or NOBODY


def _whom(ace: Ace, owner: Sid, group: Sid) -> tuple[int, int] | None:
    """Tag and number.  OWNER@ in what is handed down would be the owner of what is made, so there the SID counts."""
    for tag, creator in CREATORS.items():
        if ace.sid == creator:
            return (tag, -1) if ace.flags & AceFlag.INHERIT_ONLY else None
    if ace.sid == WellKnownSid.EVERYONE:
        return AclTag.EVERYONE, -1
    if not ace.flags & HANDED_DOWN and ace.sid in (owner, group):
        return (AclTag.USER_OBJ if ace.sid == owner else AclTag.GROUP_OBJ), -1
    for tag, is_group in ((AclTag.USER, False), (AclTag.GROUP, True)):
        number = unix_id(ace.sid, group=is_group)
        if number is not None:
            return tag, number
    return None
