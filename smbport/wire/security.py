"""Security identifiers, access control lists and security descriptors.  [MS-DTYP] 2.4

Everything is a frozen value.  Parsing trusts no length, offset or count: what leaves its container, overlaps a
header or does not add up is BadStructure, wherever the bytes came from.
"""

import re
from dataclasses import dataclass
from struct import Struct
from typing import ClassVar, Final, Self

from smbport.wire.constants import Access, AceType, SecurityInformation
from smbport.wire.record import U8, U16, U32, BadStructure, Buffer, Pad1, Pad2, Record, field, record

__all__ = [
    "MAX_ACES", "MAX_ACL_SIZE", "MAX_DESCRIPTOR_SIZE", "Ace", "Acl", "SecurityControl", "SecurityDescriptor", "Sid",
    "WellKnownSid", "descriptor_of_mode", "unix_group_sid", "unix_user_sid",
]  # fmt: skip

MAX_SUB_AUTHORITIES: Final = 15  # [MS-DTYP] 2.4.2.2
MAX_ACL_SIZE: Final = 0xFFFC  # AclSize has 16 bits, and ACEs are multiples of 4
MAX_ACES: Final = 1820  # as many ACEs with a domain account's SID (36 bytes) as fit an ACL
MAX_DESCRIPTOR_SIZE: Final = 65536  # what Windows' file systems store at most

_SUB_AUTHORITIES: Final = [Struct(f"<{count}I") for count in range(MAX_SUB_AUTHORITIES + 1)]


@dataclass(frozen=True, slots=True)
class Sid:
    """SID, revision 1.  [MS-DTYP] 2.4.2"""

    authority: int  # 48 bits
    sub_authorities: tuple[int, ...]  # at most 15, of 32 bits

    REVISION: ClassVar[int] = 1
    MIN_SIZE: ClassVar[int] = 8

    def __post_init__(self) -> None:
        values = self.sub_authorities
        fits = min(values, default=0) >= 0 and max(values, default=0) < 1 << 32 and len(values) <= MAX_SUB_AUTHORITIES
        if not fits or not 0 <= self.authority < 1 << 48:
            raise ValueError(f"no such SID: authority {self.authority}, sub-authorities {values}")

    @property
    def size(self) -> int:
        """Bytes on the wire."""
        return self.MIN_SIZE + 4 * len(self.sub_authorities)

    @classmethod
    def parse(cls, buffer: Buffer, offset: int = 0) -> Self:
        """The SID at `offset`; what follows is not looked at.  [MS-DTYP] 2.4.2.2"""
        head = field(buffer, offset, cls.MIN_SIZE, after=0)
        revision, count = head[0], head[1]
        if revision != cls.REVISION or count > MAX_SUB_AUTHORITIES:
            raise BadStructure(f"SID of revision {revision} with {count} sub-authorities")
        rest = field(buffer, offset + cls.MIN_SIZE, 4 * count, after=0)
        return cls(int.from_bytes(head[2:], "big"), _SUB_AUTHORITIES[count].unpack(rest))

    @classmethod
    def from_string(cls, text: str) -> Self:
        """`S-1-5-32-544`.  Raises ValueError if it is none.  [MS-DTYP] 2.4.2.1"""
        found = re.fullmatch(r"S-1-(0x[0-9A-F]{12}|[0-9]{1,10})((?:-[0-9]{1,10})*)", text, re.ASCII | re.IGNORECASE)
        if found is None:
            raise ValueError(f"not a SID: {text!r}")
        return cls(int(found[1], 16 if "x" in found[1].lower() else 10), tuple(map(int, found[2].split("-")[1:])))

    def pack(self) -> bytes:
        count = len(self.sub_authorities)
        head = bytes((self.REVISION, count)) + self.authority.to_bytes(6, "big")
        return head + _SUB_AUTHORITIES[count].pack(*self.sub_authorities)

    def __str__(self) -> str:
        authority = self.authority if self.authority < 1 << 32 else f"0x{self.authority:012X}"
        return "-".join(map(str, ("S", self.REVISION, authority, *self.sub_authorities)))


class WellKnownSid:
    """[MS-DTYP] 2.4.2.4"""

    NULL: Final = Sid(0, (0,))
    EVERYONE: Final = Sid(1, (0,))
    CREATOR_OWNER: Final = Sid(3, (0,))
    CREATOR_GROUP: Final = Sid(3, (1,))
    OWNER_RIGHTS: Final = Sid(3, (4,))
    NETWORK: Final = Sid(5, (2,))
    INTERACTIVE: Final = Sid(5, (4,))
    ANONYMOUS: Final = Sid(5, (7,))
    AUTHENTICATED_USERS: Final = Sid(5, (11,))
    SYSTEM: Final = Sid(5, (18,))
    BUILTIN_ADMINISTRATORS: Final = Sid(5, (32, 544))
    BUILTIN_USERS: Final = Sid(5, (32, 545))
    BUILTIN_GUESTS: Final = Sid(5, (32, 546))


def unix_user_sid(uid: int) -> Sid:
    """S-1-22-1-uid: how Samba, and so everybody, names a POSIX user that has no SID of its own."""
    return Sid(22, (1, uid))


def unix_group_sid(gid: int) -> Sid:
    """S-1-22-2-gid."""
    return Sid(22, (2, gid))


@record()
class AceHeader(Record):
    """ACE_HEADER, and the mask that follows it in every type of ACE.  [MS-DTYP] 2.4.4.1"""

    ace_type: U8
    ace_flags: U8
    ace_size: U16
    mask: U32


# [MS-DTYP] 2.4.4.1.  A SID follows the mask: allowed, denied, audit, alarm; callback allowed, denied, audit;
# mandatory label, resource attribute, scoped policy.
_TYPES_WITH_SID: Final = frozenset((0x00, 0x01, 0x02, 0x03, 0x09, 0x0A, 0x0D, 0x11, 0x12, 0x13))
_OBJECT_TYPES: Final = frozenset((0x05, 0x06, 0x07, 0x08, 0x0B, 0x0C, 0x0F, 0x10))


@dataclass(frozen=True, slots=True)
class Ace:
    """ACE.  [MS-DTYP] 2.4.4

    Object ACEs, which mean something in Active Directory only, and types unknown to us have no `sid`: all that is
    behind their mask stays in `data`, so that what a client stores it gets back.
    """

    type: int  # AceType
    flags: int  # AceFlag
    mask: int
    sid: Sid | None
    data: bytes = b""  # condition or attribute behind the SID; for other types all behind the mask

    @classmethod
    def parse(cls, buffer: Buffer) -> Self:
        """An ACE that takes all of `buffer`, as its size says."""
        head = AceHeader.unpack_from(buffer)
        if head.ace_size != len(buffer) or head.ace_size % 4:
            raise BadStructure(f"ACE of {head.ace_size} bytes in {len(buffer)}")
        if head.ace_type not in _TYPES_WITH_SID:
            if head.ace_type in _OBJECT_TYPES and head.ace_size < head.SIZE + 4 + Sid.MIN_SIZE:
                raise BadStructure(f"object ACE of {head.ace_size} bytes")
            return cls(head.ace_type, head.ace_flags, head.mask, None, bytes(buffer[head.SIZE :]))
        sid = Sid.parse(buffer, head.SIZE)
        return cls(head.ace_type, head.ace_flags, head.mask, sid, bytes(buffer[head.SIZE + sid.size :]))

    def pack(self) -> bytes:
        body = (b"" if self.sid is None else self.sid.pack()) + self.data
        body += bytes(-len(body) % 4)
        head = AceHeader(ace_type=self.type, ace_flags=self.flags, ace_size=AceHeader.SIZE + len(body), mask=self.mask)
        return head.pack() + body


@record()
class AclHeader(Record):
    """ACL, fixed part.  [MS-DTYP] 2.4.5"""

    acl_revision: U8
    sbz1: ClassVar[Pad1]
    acl_size: U16
    ace_count: U16
    sbz2: ClassVar[Pad2]


@dataclass(frozen=True, slots=True)
class Acl:
    """ACL; an empty one grants nothing.  [MS-DTYP] 2.4.5"""

    aces: tuple[Ace, ...] = ()
    revision: int = 2  # 4 if it holds object ACEs

    @classmethod
    def parse(cls, buffer: Buffer, offset: int = 0) -> Self:
        """The ACL at `offset`; room that it leaves behind its last ACE is dropped."""
        head = AclHeader.unpack_from(buffer, offset)
        if head.acl_revision not in (2, 3, 4) or head.acl_size < head.SIZE or head.ace_count > MAX_ACES:
            raise BadStructure(f"ACL revision {head.acl_revision}, size {head.acl_size}, {head.ace_count} ACEs")
        acl = field(buffer, offset, head.acl_size, after=0)
        aces: list[Ace] = []
        position = head.SIZE
        for _ in range(head.ace_count):
            size = AceHeader.unpack_from(acl, position).ace_size
            aces.append(Ace.parse(field(acl, position, size, after=0)))
            position += size
        return cls(tuple(aces), head.acl_revision)

    def pack(self) -> bytes:
        """Raises ValueError above MAX_ACES or MAX_ACL_SIZE, which merging and inheriting can lead to."""
        body = b"".join(ace.pack() for ace in self.aces)
        size = AclHeader.SIZE + len(body)
        if size > MAX_ACL_SIZE or len(self.aces) > MAX_ACES:
            raise ValueError(f"ACL of {len(self.aces)} ACEs, {size} bytes")
        return AclHeader(acl_revision=self.revision, acl_size=size, ace_count=len(self.aces)).pack() + body


class SecurityControl:
    """[MS-DTYP] 2.4.6, Control"""

    OWNER_DEFAULTED: Final = 0x0001
    GROUP_DEFAULTED: Final = 0x0002
    DACL_PRESENT: Final = 0x0004
    DACL_DEFAULTED: Final = 0x0008
    SACL_PRESENT: Final = 0x0010
    SACL_DEFAULTED: Final = 0x0020
    DACL_TRUSTED: Final = 0x0040
    SERVER_SECURITY: Final = 0x0080
    DACL_AUTO_INHERIT_REQ: Final = 0x0100
    SACL_AUTO_INHERIT_REQ: Final = 0x0200
    DACL_AUTO_INHERITED: Final = 0x0400
    SACL_AUTO_INHERITED: Final = 0x0800
    DACL_PROTECTED: Final = 0x1000
    SACL_PROTECTED: Final = 0x2000
    RM_CONTROL_VALID: Final = 0x4000
    SELF_RELATIVE: Final = 0x8000


_DACL_CONTROL: Final = 0x154C  # the bits of SecurityControl that say something about the DACL
_SACL_CONTROL: Final = 0x2A30  # ... about the SACL


@record()
class SecurityDescriptorHeader(Record):
    """SECURITY_DESCRIPTOR, fixed part, self-relative; offset 0 is "absent".  [MS-DTYP] 2.4.6"""

    revision: U8
    sbz1: ClassVar[Pad1]
    control: U16
    offset_owner: U32
    offset_group: U32
    offset_sacl: U32
    offset_dacl: U32


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityDescriptor:
    """SECURITY_DESCRIPTOR in the self-relative form.  [MS-DTYP] 2.4.6

    `control` always has the flags that follow from the parts.  With DACL_PRESENT, `dacl` None is a NULL DACL, which
    grants everything to everyone; `Acl()` grants nothing.
    """

    owner: Sid | None = None
    group: Sid | None = None
    sacl: Acl | None = None
    dacl: Acl | None = None
    control: int = 0  # SecurityControl

    REVISION: ClassVar[int] = 1

    def __post_init__(self) -> None:
        present = SecurityControl.SELF_RELATIVE
        present |= 0 if self.sacl is None else SecurityControl.SACL_PRESENT
        present |= 0 if self.dacl is None else SecurityControl.DACL_PRESENT
        object.__setattr__(self, "control", self.control | present)

    @classmethod
    def parse(cls, buffer: Buffer) -> Self:
        """A whole buffer; parts may lie in any order, and an ACL whose PRESENT flag is off is not looked at."""
        if len(buffer) > MAX_DESCRIPTOR_SIZE:
            raise BadStructure(f"security descriptor of {len(buffer)} bytes")
        head = SecurityDescriptorHeader.unpack_from(buffer)
        if head.revision != cls.REVISION or not head.control & SecurityControl.SELF_RELATIVE:
            raise BadStructure(f"security descriptor of revision {head.revision}, control 0x{head.control:04x}")
        has_sacl = head.control & SecurityControl.SACL_PRESENT and head.offset_sacl
        has_dacl = head.control & SecurityControl.DACL_PRESENT and head.offset_dacl
        for offset in (head.offset_owner, head.offset_group, has_sacl, has_dacl):
            if 0 < offset < head.SIZE:
                raise BadStructure(f"part of a security descriptor at {offset}, inside its header")
        return cls(
            owner=Sid.parse(buffer, head.offset_owner) if head.offset_owner else None,
            group=Sid.parse(buffer, head.offset_group) if head.offset_group else None,
            sacl=Acl.parse(buffer, head.offset_sacl) if has_sacl else None,
            dacl=Acl.parse(buffer, head.offset_dacl) if has_dacl else None,
            control=head.control & ~SecurityControl.RM_CONTROL_VALID,  # its byte means nothing to files
        )

    def pack(self) -> bytes:
        """In the order in which Windows writes the parts: SACL, DACL, owner, group ([MS-DTYP] 2.5.1.4)."""
        out = bytearray(SecurityDescriptorHeader.SIZE)
        offsets: list[int] = []
        for part in (self.sacl, self.dacl, self.owner, self.group):
            offsets.append(0 if part is None else len(out))
            out += b"" if part is None else part.pack()
        sacl, dacl, owner, group = offsets
        SecurityDescriptorHeader(
            revision=self.REVISION,
            control=self.control,
            offset_owner=owner,
            offset_group=group,
            offset_sacl=sacl,
            offset_dacl=dacl,
        ).pack_into(out, 0)
        return bytes(out)

    def select(self, information: int) -> "SecurityDescriptor":
        """The parts that a query asks for by SecurityInformation."""
        wants_sacl = information & SecurityInformation.SACL
        wants_dacl = information & SecurityInformation.DACL
        control = (_SACL_CONTROL if wants_sacl else 0) | (_DACL_CONTROL if wants_dacl else 0)
        return SecurityDescriptor(
            owner=self.owner if information & SecurityInformation.OWNER else None,
            group=self.group if information & SecurityInformation.GROUP else None,
            sacl=self.sacl if wants_sacl else None,
            dacl=self.dacl if wants_dacl else None,
            control=self.control & control,
        )


# What stat() tells anybody who can reach the name, whatever the mode.
_ALWAYS: Final = Access.READ_ATTRIBUTES | Access.READ_CONTROL | Access.SYNCHRONIZE
# What only the owner may do, whatever the mode: utimes(), chmod(), chgrp().
_OWNER_ALWAYS: Final = _ALWAYS | Access.WRITE_ATTRIBUTES | Access.WRITE_DAC | Access.WRITE_OWNER


def descriptor_of_mode(mode: int, owner: Sid, group: Sid, is_directory: bool) -> SecurityDescriptor:
    """What a plain POSIX mode means, for a file without an ACL of its own.

    As in Samba's classic mapping, r, w and x become the generic rights of owner, group and everyone, w of a
    directory includes DELETE_CHILD, and nothing is inherited.  Unlike it, only the owner may change the
    descriptor, even where all of rwx is set, and DELETE is in no ACE: that is up to the directory above.

    A class with fewer rights than a later one (as in 0o604) gets a deny ACE for the difference, right before
    its own ACE, because POSIX looks at the first class that matches and Windows at all.
    """
    everyone_mask = _ALWAYS | _rights_of_bits(mode, is_directory)
    group_mask = _ALWAYS | _rights_of_bits(mode >> 3, is_directory)
    owner_mask = _OWNER_ALWAYS | _rights_of_bits(mode >> 6, is_directory)
    aces = (
        Ace(AceType.ACCESS_DENIED, 0, (group_mask | everyone_mask) & ~owner_mask, owner),
        Ace(AceType.ACCESS_ALLOWED, 0, owner_mask, owner),
        Ace(AceType.ACCESS_DENIED, 0, everyone_mask & ~group_mask, group),
        Ace(AceType.ACCESS_ALLOWED, 0, group_mask, group),
        Ace(AceType.ACCESS_ALLOWED, 0, everyone_mask, WellKnownSid.EVERYONE),
    )
    dacl = Acl(tuple(ace for ace in aces if ace.mask))
    return SecurityDescriptor(owner=owner, group=group, dacl=dacl, control=SecurityControl.DACL_PROTECTED)


def _rights_of_bits(bits: int, is_directory: bool) -> int:
    rights = Access.FILE_GENERIC_READ if bits & 4 else 0
    if bits & 2:
        rights |= Access.FILE_GENERIC_WRITE | (Access.DELETE_CHILD if is_directory else 0)
    if bits & 1:
        rights |= Access.FILE_GENERIC_EXECUTE
    return rights
