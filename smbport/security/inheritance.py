"""Where descriptors come from: inherited from a directory, given by who creates, changed in parts.  [MS-DTYP] 2.5.3.4

As NTFS does it, which differs from the letter in one point: ACEs of a child are marked INHERITED only if the
directory says that its own ACL takes part in automatic inheritance (DACL_AUTO_INHERITED).
"""

from typing import Final

from smbport.security.access import (
    INVALID_OWNER,
    INVALID_PRIMARY_GROUP,
    Token,
    map_generic,
    map_generic_acl,
)
from smbport.wire.constants import Access, AceFlag, AceType, SecurityInformation
from smbport.wire.security import Ace, Acl, SecurityControl, SecurityDescriptor, Sid, WellKnownSid
from smbport.wire.status import StatusError

__all__ = ["create_descriptor", "default_descriptor", "inherit_acl", "merge_descriptor"]

INHERITABLE: Final = AceFlag.OBJECT_INHERIT | AceFlag.CONTAINER_INHERIT
AUDIT: Final = AceFlag.SUCCESSFUL_ACCESS | AceFlag.FAILED_ACCESS
# AdditionalInformation of SET_INFO, beside the parts.  [MS-DTYP] 2.4.7
PROTECTED_DACL: Final = 0x80000000
PROTECTED_SACL: Final = 0x40000000
UNPROTECTED_DACL: Final = 0x20000000
UNPROTECTED_SACL: Final = 0x10000000


def inherit_acl(acl: Acl | None, owner: Sid, group: Sid, *, is_directory: bool, mark: bool) -> Acl | None:
    """What a child gets of its directory's ACL; None if that holds nothing for it.  [MS-DTYP] 2.5.3.4.4

    `mark` sets INHERITED.  CREATOR OWNER and CREATOR GROUP become `owner` and `group`.
    """
    creators = {WellKnownSid.CREATOR_OWNER: owner, WellKnownSid.CREATOR_GROUP: group}
    aces: list[Ace] = []
    for ace in acl.aces if acl is not None else ():
        if is_directory:
            handed_down = _for_directory(ace, creators)
        else:
            handed_down = [_effective(ace, creators)] if ace.flags & AceFlag.OBJECT_INHERIT else []
        for each in handed_down:
            marked = Ace(each.type, each.flags | (AceFlag.INHERITED if mark else 0), each.mask, each.sid, each.data)
            if marked not in aces:
                aces.append(marked)
    return Acl(tuple(aces), acl.revision) if aces and acl is not None else None


def _effective(ace: Ace, creators: dict[Sid, Sid]) -> Ace:
    """An ACE as it counts for the child itself, and for none below."""
    sid = ace.sid if ace.sid is None else creators.get(ace.sid, ace.sid)
    return Ace(ace.type, ace.flags & AUDIT, map_generic(ace.mask), sid, ace.data)


def _for_directory(ace: Ace, creators: dict[Sid, Sid]) -> list[Ace]:
    passes_on = not ace.flags & AceFlag.NO_PROPAGATE_INHERIT
    kept = ace.flags & (INHERITABLE | AUDIT)
    if not ace.flags & AceFlag.CONTAINER_INHERIT:  # only files below care
        only_passed_on = bool(ace.flags & AceFlag.OBJECT_INHERIT and passes_on)
        return [Ace(ace.type, kept | AceFlag.INHERIT_ONLY, ace.mask, ace.sid, ace.data)] if only_passed_on else []
    effective = _effective(ace, creators)
    if not passes_on:
        return [effective]
    if (effective.sid, effective.mask) == (ace.sid, ace.mask):  # it means the same here and below
        return [Ace(ace.type, kept, ace.mask, ace.sid, ace.data)]
    return [effective, Ace(ace.type, kept | AceFlag.INHERIT_ONLY, ace.mask, ace.sid, ace.data)]


def default_descriptor(token: Token, mode: int = 0, *, is_directory: bool) -> SecurityDescriptor:
    """For what nothing is inherited by: the owner and the system may do everything.  [MS-DTYP] 2.5.3.4.1

    `mode` adds what POSIX permission bits give to group and others.
    """
    masks = (
        (token.owner, Access.FILE_ALL_ACCESS),
        (WellKnownSid.SYSTEM, Access.FILE_ALL_ACCESS),
        (token.group, _rights_of_bits(mode >> 3, is_directory)),
        (WellKnownSid.EVERYONE, _rights_of_bits(mode, is_directory)),
    )
    aces = tuple(Ace(AceType.ACCESS_ALLOWED, 0, mask, sid) for sid, mask in masks if mask)
    return SecurityDescriptor(owner=token.owner, group=token.group, dacl=Acl(aces))


def _rights_of_bits(bits: int, is_directory: bool) -> int:
    """Whoever reads may execute: clients ask for both, and what runs on the client is not the server's to say."""
    rights = Access.FILE_GENERIC_READ | Access.FILE_GENERIC_EXECUTE if bits & 4 else 0
    if bits & 2:
        rights |= Access.FILE_GENERIC_WRITE | (Access.DELETE_CHILD if is_directory else 0)
    return rights


def create_descriptor(
    parent: SecurityDescriptor | None,
    given: SecurityDescriptor | None,
    token: Token,
    *,
    is_directory: bool,
    default: SecurityDescriptor,
) -> SecurityDescriptor:
    """The descriptor of a new file.  [MS-DTYP] 2.5.3.4.1, 2.5.3.4.2

    `parent` is its directory's, `given` comes from who creates it; `default` is for what neither says.
    Raises INVALID_OWNER if the owner that is given may not be one.
    """
    wish = given if given is not None else SecurityDescriptor()
    owner = wish.owner if wish.owner is not None else token.owner
    if not token.may_own(owner):
        raise StatusError(INVALID_OWNER, f"{owner} cannot be made an owner")
    group = wish.group if wish.group is not None else token.group
    above = parent if parent is not None else SecurityDescriptor()
    mark = bool(above.control & SecurityControl.DACL_AUTO_INHERITED)
    inherited = inherit_acl(above.dacl, owner, group, is_directory=is_directory, mark=mark)
    if wish.control & SecurityControl.DACL_PRESENT:
        control = _settled(wish.control, _DACL_BITS) | SecurityControl.DACL_PRESENT
        dacl = map_generic_acl(wish.dacl)
        asks = wish.control & (SecurityControl.DACL_AUTO_INHERIT_REQ | SecurityControl.DACL_PROTECTED)
        if asks == SecurityControl.DACL_AUTO_INHERIT_REQ and dacl is not None and inherited is not None:
            dacl = Acl((*(ace for ace in dacl.aces if not ace.flags & AceFlag.INHERITED), *inherited.aces))
    elif inherited is not None:
        control, dacl = SecurityControl.DACL_AUTO_INHERITED if mark else 0, inherited
    else:
        control, dacl = default.control, default.dacl
    mark_sacl = bool(above.control & SecurityControl.SACL_AUTO_INHERITED)
    sacl = wish.sacl
    if not wish.control & SecurityControl.SACL_PRESENT:
        sacl = inherit_acl(above.sacl, owner, group, is_directory=is_directory, mark=mark_sacl)
        control |= SecurityControl.SACL_AUTO_INHERITED if mark_sacl and sacl is not None else 0
    return SecurityDescriptor(owner=owner, group=group, dacl=dacl, sacl=sacl, control=control)


# PRESENT, AUTO_INHERIT_REQ, AUTO_INHERITED, PROTECTED; and the requests to protect or not
_DACL_BITS: Final = (0x0004, 0x0100, 0x0400, 0x1000)
_SACL_BITS: Final = (0x0010, 0x0200, 0x0800, 0x2000)


def _settled(control: int, bits: tuple[int, int, int, int]) -> int:
    """Control as it is stored: AUTO_INHERITED is believed of who asks for it, as Windows does.  [MS-DTYP] 2.4.6"""
    _, request, inherited, protected = bits
    return control & protected | (inherited if control & request and control & inherited else 0)


def merge_descriptor(
    current: SecurityDescriptor, wanted: SecurityDescriptor, information: int, token: Token
) -> SecurityDescriptor:
    """`current` with the parts of `wanted` that `information` names.  [MS-FSA] 2.1.5.17

    Raises INVALID_OWNER if the token may not make that owner, INVALID_PRIMARY_GROUP if a group is to be none.
    """
    owner, group, dacl, sacl, control = current.owner, current.group, current.dacl, current.sacl, current.control
    if information & SecurityInformation.OWNER:
        owner = wanted.owner
        if owner is None or (owner != current.owner and not token.may_own(owner)):
            raise StatusError(INVALID_OWNER, f"{owner} cannot be made the owner")
    if information & SecurityInformation.GROUP:
        group = wanted.group
        if group is None:
            raise StatusError(INVALID_PRIMARY_GROUP)
    if information & SecurityInformation.DACL:
        dacl = map_generic_acl(wanted.dacl)
        control = control & ~sum(_DACL_BITS) | _settled(wanted.control, _DACL_BITS) | SecurityControl.DACL_PRESENT
        if information & (PROTECTED_DACL | UNPROTECTED_DACL):
            control &= ~SecurityControl.DACL_PROTECTED
            control |= SecurityControl.DACL_PROTECTED if information & PROTECTED_DACL else 0
    if information & SecurityInformation.SACL:
        sacl = map_generic_acl(wanted.sacl)
        control = control & ~sum(_SACL_BITS) | _settled(wanted.control, _SACL_BITS)
        if information & (PROTECTED_SACL | UNPROTECTED_SACL):
            control &= ~SecurityControl.SACL_PROTECTED
            control |= SecurityControl.SACL_PROTECTED if information & PROTECTED_SACL else 0
    return SecurityDescriptor(owner=owner, group=group, dacl=dacl, sacl=sacl, control=control)
