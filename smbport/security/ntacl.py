"""Security descriptors as they are stored beside a file: the attribute NTACL of Samba and ksmbd.

The value is NDR, little-endian: a version, then in version 4

    reference, reference, hash type, hash[64], description, time, hash of the system's own list[64], descriptor

where the hash is SHA-256 over what the system itself said about the file when the descriptor was stored: owner,
group, mode and POSIX.1e lists.  If that has changed since, somebody changed it locally, and the descriptor no
longer holds.  Versions 1 to 3 are read, 4 is written.
"""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from struct import Struct
from typing import Final

from smbport.platform import AclEntry, AclTag, AclType, Kind, Stat
from smbport.wire.record import BadStructure, Buffer, field
from smbport.wire.security import SecurityDescriptor, SecurityDescriptorHeader

__all__ = ["NTACL_NAMES", "StoredDescriptor", "SystemState", "pack_stored", "parse_stored"]

NTACL_NAMES: Final = ("security.NTACL", "user.NTACL")
"""Where it is kept: the first takes privileges to write, the second does not, nor does it keep local users out."""

HEAD: Final = Struct("<HHI")  # version, version again as the union's discriminant, reference
POINTER: Final = Struct("<I")
HASH_TYPE: Final = Struct("<H")
HASH_SIZE: Final = 64  # of which SHA-256 takes the first half
SHA256: Final = 1
DESCRIPTION: Final = b"posix_acl\0"
REFERENT: Final = 0x00020000
MAX_VERSION: Final = 4
UNHASHED_OFFSETS: Final = {1: 8, 2: 28, 3: 80}  # of the descriptor, in versions without a text of any length


@dataclass(frozen=True, slots=True)
class SystemState:
    """What the system itself says about who may use a file."""

    uid: int
    gid: int
    mode: int  # with the bits of the kind of file
    access: tuple[AclEntry, ...] = ()  # (): the mode says it all
    default: tuple[AclEntry, ...] = ()  # of directories
    is_directory: bool = False

    @classmethod
    def of(cls, stat: Stat, access: Sequence[AclEntry] = (), default: Sequence[AclEntry] = ()) -> "SystemState":
        is_directory = stat.kind == Kind.DIRECTORY
        kind = 0o040000 if is_directory else 0o100000
        return cls(stat.uid, stat.gid, stat.mode | kind, tuple(access), tuple(default), is_directory)

    def digests(self) -> tuple[bytes, bytes]:
        """As smbd takes it, and as ksmbd does: the latter leaves out lists that only repeat the mode."""
        access = self.access or _list_of_mode(self.mode)
        default = self.default if self.is_directory else None
        smbd = _hash(self, access, default)
        return smbd, _hash(self, self.access or None, self.default or None)


@dataclass(frozen=True, slots=True)
class StoredDescriptor:
    """A descriptor as it was found."""

    descriptor: SecurityDescriptor
    version: int
    system_digest: bytes | None  # None: it holds whatever the system says

    def holds_for(self, state: SystemState) -> bool:
        """Whether nobody changed the file's own owner, mode or lists since it was stored."""
        if self.system_digest is None:
            return True
        return any(hmac.compare_digest(self.system_digest, digest) for digest in state.digests())


def parse_stored(value: Buffer) -> StoredDescriptor:
    """Raises BadStructure for a value that lies, has a version or a hash unknown here, or no descriptor."""
    version, discriminant, _ = HEAD.unpack(field(value, 0, HEAD.size, after=0))
    if version != discriminant or not 1 <= version <= MAX_VERSION:
        raise BadStructure(f"stored descriptor of version {version}")
    if version < 3:
        return StoredDescriptor(_parse_descriptor(value, UNHASHED_OFFSETS[version]), version, None)
    at = HEAD.size + POINTER.size
    (hash_type,) = HASH_TYPE.unpack(field(value, at, HASH_TYPE.size, after=0))
    at += HASH_TYPE.size
    mapped = bytes(field(value, at, HASH_SIZE, after=0))
    at += HASH_SIZE
    if hash_type != SHA256:
        raise BadStructure(f"stored descriptor with hash type {hash_type}")
    if version == 3:
        # Its hash is over Samba's own rendering of the list, which nobody else can repeat, so that it never holds;
        # but without a hash it is from a server that was told to ignore the system's lists.
        return StoredDescriptor(_parse_descriptor(value, UNHASHED_OFFSETS[3]), version, b"" if any(mapped) else None)
    rest = bytes(field(value, at, len(value) - at, after=0))
    text = rest.find(b"\0") + 1
    if not text:
        raise BadStructure("stored descriptor whose description does not end")
    at += text
    at += -at % 8 + 8  # a time that nobody reads
    digest = bytes(field(value, at, HASH_SIZE, after=0))[: sha256().digest_size]
    return StoredDescriptor(_parse_descriptor(value, at + HASH_SIZE), version, digest)


def _parse_descriptor(value: Buffer, at: int) -> SecurityDescriptor:
    """The descriptor at `at`, whose offsets count from the beginning of the value."""
    head = SecurityDescriptorHeader.unpack_from(value, at)
    moved = bytearray(memoryview(value)[at:])
    for name in ("offset_owner", "offset_group", "offset_sacl", "offset_dacl"):
        offset = getattr(head, name)
        if offset:
            if offset < at:
                raise BadStructure(f"part of a stored descriptor at {offset}, before it")
            setattr(head, name, offset - at)
    head.pack_into(moved, 0)
    return SecurityDescriptor.parse(moved)


def pack_stored(descriptor: SecurityDescriptor, state: SystemState) -> bytes:
    """Version 4, as smbd writes it; the first hash, over Samba's rendering of the list, is left empty."""
    out = bytearray(HEAD.pack(4, 4, REFERENT))
    out += POINTER.pack(REFERENT + 4) + HASH_TYPE.pack(SHA256) + bytes(HASH_SIZE) + DESCRIPTION
    out += bytes(-len(out) % 8 + 8)
    out += state.digests()[0].ljust(HASH_SIZE, b"\0")
    start = len(out)
    packed = bytearray(descriptor.pack())
    head = SecurityDescriptorHeader.unpack_from(packed)
    for name in ("offset_owner", "offset_group", "offset_sacl", "offset_dacl"):
        offset = getattr(head, name)
        setattr(head, name, offset + start if offset else 0)
    head.pack_into(packed, 0)
    return bytes(out + packed)


# The hash: NDR of smb_acl_wrapper, with Samba's numbers for the tags ----------------------------------------------

TAGS: Final = {
    AclTag.USER: 1, AclTag.USER_OBJ: 2, AclTag.GROUP: 3, AclTag.GROUP_OBJ: 4, AclTag.OTHER: 5, AclTag.MASK: 6,
    AclTag.EVERYONE: 7,
}  # fmt: skip
WITH_ID: Final = (AclTag.USER, AclTag.GROUP)
OWNERSHIP: Final = Struct("<QQI")


def _list_of_mode(mode: int) -> tuple[AclEntry, ...]:
    """The list that says no more than permission bits."""
    return (
        AclEntry(AclTag.USER_OBJ, mode >> 6 & 7),
        AclEntry(AclTag.GROUP_OBJ, mode >> 3 & 7),
        AclEntry(AclTag.OTHER, mode & 7),
    )


def _hash(state: SystemState, access: Sequence[AclEntry] | None, default: Sequence[AclEntry] | None) -> bytes:
    out = bytearray()
    lists = [acl for acl in (access, default) if acl is not None]
    for index, acl in enumerate((access, default)):
        out += POINTER.pack(0 if acl is None else REFERENT + (4 * index if access is not None else 0))
    out += OWNERSHIP.pack(state.uid, state.gid, state.mode)
    for acl in lists:
        out += POINTER.pack(len(acl))
        out += bytes(-len(out) % 8) + POINTER.pack(len(acl)) + POINTER.pack(0)
        for entry in acl:
            tag = HASH_TYPE.pack(TAGS[entry.tag])
            out += bytes(-len(out) % 8) + tag + tag
            if entry.tag in WITH_ID:
                out += bytes(-len(out) % 8) + entry.id.to_bytes(8, "little")
            out += bytes(-len(out) % 4) + POINTER.pack(entry.permissions)
            if entry.type != AclType.POSIX:  # ours alone: Samba has no hash of such lists
                out += POINTER.pack(entry.type) + POINTER.pack(entry.flags)
    return sha256(out).digest()
