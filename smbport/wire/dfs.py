"""Referrals of the distributed file system.  [MS-DFSC] 2.2

A referral says that the first part of a path (`path_consumed` bytes of it) is another name for each of the targets.
Strings stand behind all entries, and entries say how far behind their own beginning.
"""

from collections.abc import Sequence
from typing import ClassVar, Final, NamedTuple

from smbport.wire.record import U16, U32, BadStructure, Buffer, Pad16, Record, field, record
from smbport.wire.text import decode_utf16, encode_utf16

__all__ = [
    "IO_REPARSE_TAG_DFS", "NEWEST_REFERRAL", "DfsReferralV1", "DfsReferralV2", "DfsReferralV3", "EntryFlag", "Referral",
    "ReferralFlag", "ReferralHeader", "ReferralRequest", "ReferralRequestEx", "ServerType", "Target", "pack_referral",
    "pack_referral_request", "pack_referral_request_ex", "parse_referral", "parse_referral_request",
    "parse_referral_request_ex",
]  # fmt: skip

IO_REPARSE_TAG_DFS: Final = 0x8000000A  # what a link is in a listing: [MS-FSCC] 2.1.2.1
NEWEST_REFERRAL: Final = 4


class ReferralFlag:
    """ReferralHeaderFlags.  [MS-DFSC] 2.2.4"""

    REFERRAL_SERVERS: Final = 0x00000001  # the targets are roots: they give referrals themselves
    STORAGE_SERVERS: Final = 0x00000002  # the targets can be opened
    TARGET_FAILBACK: Final = 0x00000004


class ServerType:
    """[MS-DFSC] 2.2.5.1"""

    LINK: Final = 0x0000
    ROOT: Final = 0x0001


class EntryFlag:
    """ReferralEntryFlags.  [MS-DFSC] 2.2.5.3, 2.2.5.4"""

    TARGET_SET_BOUNDARY: Final = 0x0004  # version 4: the first of those that are equally good


# Requests -------------------------------------------------------------------------------------------------------


@record()
class ReferralRequest(Record):
    """REQ_GET_DFS_REFERRAL; the path follows.  [MS-DFSC] 2.2.2"""

    max_referral_level: U16


@record()
class ReferralRequestEx(Record):
    """REQ_GET_DFS_REFERRAL_EX; the names follow, each behind its length.  [MS-DFSC] 2.2.3"""

    max_referral_level: U16
    request_flags: U16
    request_data_length: U32


def parse_referral_request(data: Buffer) -> tuple[int, str]:
    """The newest version that the client knows, and the path.  What is behind the terminator does not count."""
    fixed = ReferralRequest.unpack_from(data)
    return fixed.max_referral_level, _terminated(memoryview(data)[fixed.SIZE :])


def parse_referral_request_ex(data: Buffer) -> tuple[int, str]:
    """The same.  The name of the client's site is not looked at."""
    fixed = ReferralRequestEx.unpack_from(data)
    names = field(data, fixed.SIZE, fixed.request_data_length, after=fixed.SIZE)
    if len(names) < 2:
        raise BadStructure("no room for the length of a path")
    path = field(names, 2, int.from_bytes(names[:2], "little"), after=2)
    return fixed.max_referral_level, decode_utf16(path).partition("\0")[0]


def pack_referral_request(max_referral_level: int, path: str) -> bytes:
    """The whole request."""
    return ReferralRequest(max_referral_level=max_referral_level).pack() + encode_utf16(path + "\0")


def pack_referral_request_ex(max_referral_level: int, path: str) -> bytes:
    """The whole request, without a site."""
    name = encode_utf16(path + "\0")
    data = len(name).to_bytes(2, "little") + name
    fixed = ReferralRequestEx(max_referral_level=max_referral_level, request_flags=0, request_data_length=len(data))
    return fixed.pack() + data


def _terminated(data: memoryview) -> str:
    """UTF-16 up to its terminator, which must be there."""
    for end in range(0, len(data) - 1, 2):
        if data[end] == data[end + 1] == 0:
            return decode_utf16(data[:end])
    raise BadStructure("a name without its end")


# Responses ------------------------------------------------------------------------------------------------------


@record()
class ReferralHeader(Record):
    """RESP_GET_DFS_REFERRAL without its entries.  [MS-DFSC] 2.2.4"""

    path_consumed: U16  # bytes
    number_of_referrals: U16
    referral_header_flags: U32


@record()
class DfsReferralV1(Record):
    """DFS_REFERRAL_V1; the target follows.  [MS-DFSC] 2.2.5.1"""

    version_number: U16
    size: U16  # with the target
    server_type: U16
    referral_entry_flags: U16


@record()
class DfsReferralV2(Record):
    """DFS_REFERRAL_V2.  [MS-DFSC] 2.2.5.2"""

    version_number: U16
    size: U16
    server_type: U16
    referral_entry_flags: U16
    proximity: U32
    time_to_live: U32
    dfs_path_offset: U16
    dfs_alternate_path_offset: U16
    network_address_offset: U16


@record()
class DfsReferralV3(Record):
    """DFS_REFERRAL_V3 and V4, of a root or a link.  [MS-DFSC] 2.2.5.3.1, 2.2.5.4"""

    version_number: U16
    size: U16
    server_type: U16
    referral_entry_flags: U16
    time_to_live: U32
    dfs_path_offset: U16
    dfs_alternate_path_offset: U16
    network_address_offset: U16
    service_site_guid: ClassVar[Pad16]


class Target(NamedTuple):
    """Where one entry leads."""

    dfs_path: str
    network_address: str


class Referral(NamedTuple):
    """A whole response.  In version 1 there is no path and no time to live."""

    path: str  # what of the request the targets stand for
    targets: Sequence[str]  # `\\\\server\\share\\folder` with one backslash in front
    server_type: int
    flags: int
    time_to_live_s: int


def pack_referral(referral: Referral, version: int) -> bytes:
    """The response in a version from 1 to 4."""
    header = ReferralHeader(
        path_consumed=len(encode_utf16(referral.path)),
        number_of_referrals=len(referral.targets),
        referral_header_flags=referral.flags,
    )
    return header.pack() + (_pack_v1(referral) if version == 1 else _pack_entries(referral, version))


def _pack_v1(referral: Referral) -> bytes:
    out = b""
    for target in referral.targets:
        name = encode_utf16(target + "\0")
        out += DfsReferralV1(
            version_number=1,
            size=DfsReferralV1.SIZE + len(name),
            server_type=referral.server_type,
            referral_entry_flags=0,
        ).pack()
        out += name
    return out


def _pack_entries(referral: Referral, version: int) -> bytes:
    """The path once, then each target; an entry finds both."""
    kind = DfsReferralV2 if version == 2 else DfsReferralV3
    path = encode_utf16(referral.path + "\0")
    entries, strings = b"", path
    for number, target in enumerate(referral.targets):
        behind = (len(referral.targets) - number) * kind.SIZE  # from this entry to the strings
        entries += _pack_entry(referral, version, first=number == 0, path_at=behind, target_at=behind + len(strings))
        strings += encode_utf16(target + "\0")
    return entries + strings


def _pack_entry(referral: Referral, version: int, *, first: bool, path_at: int, target_at: int) -> bytes:
    if version == 2:
        return DfsReferralV2(
            version_number=2,
            size=DfsReferralV2.SIZE,
            server_type=referral.server_type,
            referral_entry_flags=0,
            proximity=0,
            time_to_live=referral.time_to_live_s,
            dfs_path_offset=path_at,
            dfs_alternate_path_offset=path_at,
            network_address_offset=target_at,
        ).pack()
    return DfsReferralV3(
        version_number=version,
        size=DfsReferralV3.SIZE,
        server_type=referral.server_type,
        referral_entry_flags=EntryFlag.TARGET_SET_BOUNDARY if version == 4 and first else 0,
        time_to_live=referral.time_to_live_s,
        dfs_path_offset=path_at,
        dfs_alternate_path_offset=path_at,
        network_address_offset=target_at,
    ).pack()


def parse_referral(data: Buffer) -> tuple[ReferralHeader, list[Target]]:
    """What a client understands: the header, and where each entry leads."""
    header = ReferralHeader.unpack_from(data)
    targets = []
    at = header.SIZE
    for _ in range(header.number_of_referrals):
        entry = DfsReferralV1.unpack_from(data, at)
        if entry.size < entry.SIZE:
            raise BadStructure(f"an entry of {entry.size} bytes")
        targets.append(_parse_entry(memoryview(data)[at:], entry))
        at += entry.size
    return header, targets


def _parse_entry(view: memoryview, entry: DfsReferralV1) -> Target:
    """`view` begins with the entry."""
    if entry.version_number == 1:
        return Target("", _terminated(view[entry.SIZE : entry.size]))
    if entry.version_number not in (2, 3, 4):
        raise BadStructure(f"a referral of version {entry.version_number}")
    fixed = (DfsReferralV2 if entry.version_number == 2 else DfsReferralV3).unpack_from(view)
    if min(fixed.dfs_path_offset, fixed.network_address_offset) < fixed.SIZE:
        raise BadStructure("a name inside the entry")
    return Target(_terminated(view[fixed.dfs_path_offset :]), _terminated(view[fixed.network_address_offset :]))
