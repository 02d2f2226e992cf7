"""Access control lists of the system in terms of descriptors, and back; this for POSIX.1e, `nfs4_acl` for NFSv4.

describe       what owner, group, mode and list mean, for a file without a descriptor of its own
approximate    the list that lets local programs do about what a descriptor grants, and no more
list_of        the list that a descriptor says exactly, for files that have room for nothing else
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Final

from smbport.platform import AclEntry, AclTag
from smbport.security import nfs4_acl
from smbport.security.access import Token, maximal_access
from smbport.security.ntacl import SystemState
from smbport.security.sids import unix_id
from smbport.wire.constants import Access, AceFlag, AceType
from smbport.wire.security import (
    Ace,
    Acl,
    SecurityControl,
    SecurityDescriptor,
    Sid,
    WellKnownSid,
    descriptor_of_mode,
    unix_group_sid,
    unix_user_sid,
)

__all__ = ["approximate", "describe", "list_of", "mode_of", "replace_sids"]

BITS: Final = ((Access.READ_DATA, 4), (Access.WRITE_DATA, 2), (Access.EXECUTE, 1))


def describe(state: SystemState) -> SecurityDescriptor:
    """Owner, group, mode and list of a file as a descriptor.  Nothing in it is inherited by anything.

    POSIX looks at the first class that matches, Windows at all: who has less than a later class would give gets a
    deny ACE for the difference.  Of several groups one is enough, so they deny only after all have granted.
    """
    if nfs4_acl.is_nfs4(state.access):
        return nfs4_acl.describe(state.access, state.uid, state.gid)
    owner, group = unix_user_sid(state.uid), unix_group_sid(state.gid)
    if not state.access:
        return descriptor_of_mode(state.mode, owner, group, state.is_directory)
    mask = next((entry.permissions for entry in state.access if entry.tag == AclTag.MASK), 7)
    rights = _Rights(owner, group, state.is_directory)
    everyone = rights.of(0, next(entry.permissions for entry in state.access if entry.tag == AclTag.OTHER))
    users, groups = [], []
    for entry in state.access:
        if entry.tag == AclTag.USER_OBJ:
            users.append((owner, rights.of(6, entry.permissions)))
        elif entry.tag == AclTag.USER:
            users.append((unix_user_sid(entry.id), rights.of(0, entry.permissions & mask)))
        elif entry.tag in (AclTag.GROUP_OBJ, AclTag.GROUP):
            sid = group if entry.tag == AclTag.GROUP_OBJ else unix_group_sid(entry.id)
            groups.append((sid, rights.of(0, entry.permissions & mask)))
    later = everyone
    for _, granted in groups:
        later |= granted
    aces = tuple(_aces(users, groups, later, everyone))
    return SecurityDescriptor(owner=owner, group=group, dacl=Acl(aces), control=SecurityControl.DACL_PROTECTED)


def _aces(users: list[tuple[Sid, int]], groups: list[tuple[Sid, int]], later: int, everyone: int) -> Iterator[Ace]:
    for sid, granted in users:
        if denied := later & ~granted:
            yield Ace(AceType.ACCESS_DENIED, 0, denied, sid)
        yield Ace(AceType.ACCESS_ALLOWED, 0, granted, sid)
    for sid, granted in groups:
        yield Ace(AceType.ACCESS_ALLOWED, 0, granted, sid)
    for sid, granted in groups:
        if denied := everyone & ~granted:
            yield Ace(AceType.ACCESS_DENIED, 0, denied, sid)
    yield Ace(AceType.ACCESS_ALLOWED, 0, everyone, WellKnownSid.EVERYONE)


class _Rights:
    """Permission bits as rights: what `descriptor_of_mode` says of the class that they are shifted to."""

    def __init__(self, owner: Sid, group: Sid, is_directory: bool) -> None:
        self._owner, self._group, self._is_directory = owner, group, is_directory

    def of(self, shift: int, permissions: int) -> int:
        described = descriptor_of_mode(permissions << shift, self._owner, self._group, self._is_directory)
        sid = self._owner if shift else WellKnownSid.EVERYONE
        assert described.dacl is not None
        return next(ace.mask for ace in described.dacl.aces if ace.sid == sid and ace.type == AceType.ACCESS_ALLOWED)


def _permissions_of(mask: int) -> int:
    """Rights as permission bits: what of rwx they grant."""
    return sum(bit for right, bit in BITS if mask & right)


def approximate(descriptor: SecurityDescriptor, state: SystemState) -> tuple[AclEntry, ...]:
    """The list for local programs: entry by entry, what the descriptor would grant who is this and nobody else.

    Membership in groups that have no number here is unknown, so such ACEs count for nobody.
    """
    if nfs4_acl.is_nfs4(state.access):
        return nfs4_acl.list_of(descriptor.dacl, state.uid, state.gid, exactly=False) or ()
    owner, group = unix_user_sid(state.uid), unix_group_sid(state.gid)
    named = {ace.sid for ace in (descriptor.dacl.aces if descriptor.dacl is not None else ()) if ace.sid is not None}
    entries = [
        AclEntry(AclTag.USER_OBJ, _granted(descriptor, owner, descriptor.owner)),
        AclEntry(AclTag.GROUP_OBJ, _granted(descriptor, group)),
        AclEntry(AclTag.OTHER, _granted(descriptor)),
    ]
    for sid in named - {owner, group}:
        for tag, is_group in ((AclTag.USER, False), (AclTag.GROUP, True)):
            number = unix_id(sid, group=is_group)
            if number is not None:
                entries.append(AclEntry(tag, _granted(descriptor, sid), number))
    if len(entries) > 3:
        entries.append(AclEntry(AclTag.MASK, _union(entries)))
    return tuple(sorted(entries))


def _union(entries: Iterable[AclEntry]) -> int:
    """What the mask must let through."""
    union = 0
    for entry in entries:
        if entry.tag in (AclTag.USER, AclTag.GROUP_OBJ, AclTag.GROUP):
            union |= entry.permissions
    return union


def _granted(descriptor: SecurityDescriptor, *sids: Sid | None) -> int:
    known = {sid for sid in sids if sid is not None}
    everybody = {WellKnownSid.EVERYONE, WellKnownSid.AUTHENTICATED_USERS, WellKnownSid.BUILTIN_USERS}
    nobody = WellKnownSid.NULL
    return _permissions_of(maximal_access(descriptor, Token(nobody, nobody, nobody, frozenset(known | everybody))))


def list_of(dacl: Acl | None, state: SystemState) -> tuple[AclEntry, ...] | None:
    """The list whose description is just this DACL, in whatever order; None if there is none."""
    if nfs4_acl.is_nfs4(state.access):
        return nfs4_acl.list_of(dacl, state.uid, state.gid, exactly=True)
    owner, group = unix_user_sid(state.uid), unix_group_sid(state.gid)
    found: dict[tuple[int, int], int] = {(AclTag.USER_OBJ, -1): 0, (AclTag.GROUP_OBJ, -1): 0, (AclTag.OTHER, -1): 0}
    aces = dacl.aces if dacl is not None else ()
    for ace in aces:
        key = _entry_for(ace.sid, owner, group)
        if key is not None and ace.type == AceType.ACCESS_ALLOWED:
            found[key] = found.get(key, 0) | _permissions_of(ace.mask)
    entries = [AclEntry(tag, permissions, number) for (tag, number), permissions in found.items()]
    if len(entries) > 3:
        entries.append(AclEntry(AclTag.MASK, _union(entries)))
    ordered = tuple(sorted(entries))
    mode = mode_of(ordered)
    meant = describe(
        SystemState(state.uid, state.gid, mode, ordered if len(ordered) > 3 else (), (), state.is_directory)
    )
    assert meant.dacl is not None
    said = {(ace.type, ace.flags & ~AceFlag.INHERITED, ace.mask, ace.sid) for ace in aces}
    return ordered if said == {(ace.type, ace.flags, ace.mask, ace.sid) for ace in meant.dacl.aces} else None


def _entry_for(sid: Sid | None, owner: Sid, group: Sid) -> tuple[int, int] | None:
    known = {owner: AclTag.USER_OBJ, group: AclTag.GROUP_OBJ, WellKnownSid.EVERYONE: AclTag.OTHER}
    if sid in known:
        return known[sid], -1
    for tag, is_group in ((AclTag.USER, False), (AclTag.GROUP, True)):
        number = unix_id(sid, group=is_group)
        if number is not None:
            return tag, number
    return None


def mode_of(entries: Iterable[AclEntry]) -> int:
    """The permission bits that a list without a mask comes down to."""
    shifts = {AclTag.USER_OBJ: 6, AclTag.GROUP_OBJ: 3, AclTag.OTHER: 0}
    return sum(entry.permissions << shifts[entry.tag] for entry in entries if entry.tag in shifts)


def replace_sids(descriptor: SecurityDescriptor, others: Mapping[Sid, Sid]) -> SecurityDescriptor:
    """The same with users under their other names, those that the system knows."""
    dacl = descriptor.dacl
    if dacl is not None:
        aces = (ace if ace.sid is None else replace(ace, sid=others.get(ace.sid, ace.sid)) for ace in dacl.aces)
        dacl = Acl(tuple(aces), dacl.revision)
    owner = None if descriptor.owner is None else others.get(descriptor.owner, descriptor.owner)
    return replace(descriptor, dacl=dacl, owner=owner)
