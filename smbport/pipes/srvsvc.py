"""The server service: which shares there are, and what time it is.  [MS-SRVS]

Levels that Windows keeps for administrators (2, 502, 503) are answered to every user: they hold the path as clients
see it and no security descriptor.  Guests and the anonymous learn names, kinds and comments.  Sessions, connections
and open files are nobody's business over this pipe.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from smbport.pipes.levels import PLATFORM_NT, Win32Error, answer_level
from smbport.pipes.ndr import NdrReader, NdrWriter, Row, row_size
from smbport.pipes.rpc import Interface, Operation, uuid_bytes
from smbport.pipes.server_info import ServerInfo, ShareInfo
from smbport.wire.record import BadStructure

__all__ = ["SRVSVC"]

_SPECIAL: Final = 0x80000000  # STYPE_SPECIAL, [MS-SRVS] 2.2.2.4
_UNLIMITED: Final = 0xFFFFFFFF  # uses of a share, users of a server; as PreferedMaximumLength: all of it
_SERVER_TYPE: Final = 0x00009003  # workstation, server, NT, NT server.  [MS-SRVS] 2.2.2.7
_IDLE_MINUTES: Final = 15  # Windows' autodisconnect
_FOR_USERS: Final = frozenset({2, 502, 503})  # levels of shares that others are not told; lists neither at 501
_DISKS: Final = ("C:",)  # of the paths as clients see them
_NO_ZONE: Final = 0xFFFFFFFF  # [MS-SRVS] 2.2.4.105
_TICK: Final = 310  # ten-thousandths of a second; what Windows says

# Discriminants that the unions of [MS-SRVS] 2.2.3 have an arm for; levels beside them cannot be carried.
_CONNECTION_ENUM_ARMS: Final = frozenset({0, 1})
_FILE_ENUM_ARMS: Final = frozenset({2, 3})
_SESSION_ENUM_ARMS: Final = frozenset({0, 1, 2, 10, 502})
_SHARE_ENUM_ARMS: Final = frozenset({0, 1, 2, 501, 502, 503})
_SHARE_ARMS: Final = frozenset({0, 1, 2, 501, 502, 503, 1004, 1005, 1006, 1501})
_SERVER_ARMS: Final = frozenset({100, 101, 102, 103, 502, 503, 599, 1005, 1010, 1016, 1017, 1018, 1107}).union(
    range(1501, 1557)
)


def _share_row_2(share: ShareInfo) -> Row:
    """SHARE_INFO_2: permissions and password are not used.  [MS-SRVS] 2.2.4.24"""
    return share.name, share.kind, share.comment, 0, _UNLIMITED, share.current_uses, share.path, ""


# SHARE_INFO_n, [MS-SRVS] 2.2.4.22 and following
_SHARE_ROWS: Final[Mapping[int, Callable[[ShareInfo], Row]]] = {
    0: lambda share: (share.name,),
    1: lambda share: (share.name, share.kind, share.comment),
    2: _share_row_2,
    501: lambda share: (share.name, share.kind, share.comment, share.flags),
    502: lambda share: (*_share_row_2(share), 0, None),
    503: lambda share: (*_share_row_2(share), "*", 0, None),  # "*": the share belongs to no particular server name
    1005: lambda share: (share.flags,),
}

# SERVER_INFO_n, [MS-SRVS] 2.2.4.40 and following
_SERVER_ROWS: Final[Mapping[int, Callable[[ServerInfo], Row]]] = {
    100: lambda server: (PLATFORM_NT, server.name),
    101: lambda server: (PLATFORM_NT, server.name, server.major, server.minor, _SERVER_TYPE, server.comment),
    102: lambda server: (
        *_SERVER_ROWS[101](server),
        _UNLIMITED,
        _IDLE_MINUTES,
        0,  # visible
        240,  # announced every 240 s, give or take 3 s: Windows' defaults
        3000,
        0,  # licences
        "C:\\",
    ),
}


@dataclass(frozen=True, slots=True)
class _Enumeration:
    """The part that all enumerating requests end with.  [MS-SRVS] 3.1.4.8

    Of a level without an arm nothing can be read behind the level.
    """

    level: int
    preferred_length: int = 0
    resume: int | None = None

    @classmethod
    def parse(cls, stub: NdrReader, arms: frozenset[int]) -> "_Enumeration":
        level = stub.u32()
        if stub.u32() != level:
            raise BadStructure("discriminant and level differ")
        if level not in arms:
            return cls(level)
        if stub.u32():
            stub.u32()  # EntriesRead is for the answer
            if stub.u32() and stub.u32():
                raise BadStructure("entries in a request")
        return cls(level, stub.u32(), stub.optional_u32())

    def answer(
        self, arms: frozenset[int], status: int, rows: Sequence[Row] = (), total: int = 0, resume: int = 0
    ) -> bytes:
        out = NdrWriter()
        out.u32(self.level)
        out.u32(self.level)
        if self.level in arms:
            out.pointer(True)
            out.u32(len(rows))
            out.pointer(bool(rows))
            if rows:
                out.u32(len(rows))
                out.rows(rows)
        out.u32(total)
        out.optional_u32(None if self.resume is None else resume)
        out.u32(status)
        return out.getvalue()


def _refuse_enumeration(names: int, arms: frozenset[int]) -> Operation:
    """An operation that lists what no client may see; `names` strings come before the level."""

    def refuse(server: ServerInfo, stub: NdrReader) -> bytes:
        for _ in range(names):
            stub.optional_string()
        return _Enumeration.parse(stub, arms).answer(arms, Win32Error.ACCESS_DENIED)

    return refuse


def _enumerate(server: ServerInfo, stub: NdrReader) -> bytes:
    """NetrShareEnum.  [MS-SRVS] 3.1.4.8"""
    stub.optional_string()
    request = _Enumeration.parse(stub, _SHARE_ENUM_ARMS)
    return _list_shares(server, request, server.shares, _SHARE_ENUM_ARMS)


def _enumerate_sticky(server: ServerInfo, stub: NdrReader) -> bytes:
    """NetrShareEnumSticky: shares that somebody configured, and not at level 501.  [MS-SRVS] 3.1.4.9"""
    stub.optional_string()
    request = _Enumeration.parse(stub, _SHARE_ENUM_ARMS)
    sticky = [share for share in server.shares if not share.kind & _SPECIAL]
    return _list_shares(server, request, sticky, _SHARE_ENUM_ARMS - {501})


def _list_shares(
    server: ServerInfo, request: _Enumeration, shares: Sequence[ShareInfo], levels: frozenset[int]
) -> bytes:
    """As many of the shares behind the resume handle as fit; the handle is the index of the next one."""
    if request.level not in levels:
        return request.answer(_SHARE_ENUM_ARMS, Win32Error.INVALID_LEVEL)
    if server.restricted and request.level in _FOR_USERS | {501}:
        return request.answer(_SHARE_ENUM_ARMS, Win32Error.ACCESS_DENIED)
    remaining = shares[request.resume or 0 :]
    rows: list[Row] = []
    room = request.preferred_length
    for share in remaining:
        row = _SHARE_ROWS[request.level](share)
        room -= row_size(row)
        if room < 0 and request.preferred_length != _UNLIMITED:
            break
        rows.append(row)
    if len(rows) == len(remaining):
        return request.answer(_SHARE_ENUM_ARMS, Win32Error.SUCCESS, rows, len(remaining))
    status = Win32Error.MORE_DATA if rows else Win32Error.BUFFER_TOO_SMALL
    return request.answer(_SHARE_ENUM_ARMS, status, rows, len(remaining), (request.resume or 0) + len(rows))


def _share_information(server: ServerInfo, stub: NdrReader) -> bytes:
    """NetrShareGetInfo.  [MS-SRVS] 3.1.4.10"""
    stub.optional_string()
    name = stub.string().casefold()
    level = stub.u32()
    if server.restricted and level in _FOR_USERS:
        return answer_level(level, _SHARE_ROWS, None, _SHARE_ARMS, absent=Win32Error.ACCESS_DENIED)
    share = next((share for share in server.shares if share.name.casefold() == name), None)
    return answer_level(level, _SHARE_ROWS, share, _SHARE_ARMS, absent=Win32Error.NET_NAME_NOT_FOUND)


def _server_information(server: ServerInfo, stub: NdrReader) -> bytes:
    """NetrServerGetInfo.  [MS-SRVS] 3.1.4.17"""
    stub.optional_string()
    return answer_level(stub.u32(), _SERVER_ROWS, server, _SERVER_ARMS)


def _check_share(server: ServerInfo, stub: NdrReader) -> bytes:
    """NetrShareCheck: the kind of the share that a device, which may be a path, is offered by.  [MS-SRVS] 3.1.4.13"""
    stub.optional_string()
    device = stub.string().casefold()
    share = next((share for share in server.shares if share.path.casefold() == device), None)
    out = NdrWriter()
    out.u32(0 if share is None else share.kind)
    out.u32(Win32Error.DEVICE_NOT_SHARED if share is None else Win32Error.SUCCESS)
    return out.getvalue()


def _list_disks(server: ServerInfo, stub: NdrReader) -> bytes:
    """NetrServerDiskEnum.  [MS-SRVS] 3.1.4.19"""
    stub.optional_string()
    level = stub.u32()
    if stub.u32():
        raise BadStructure("disks in a request")
    if stub.u32() and any(stub.u32() for _ in range(3)):
        raise BadStructure("an array of disks that is longer than they are many")
    stub.u32()  # as much room as anybody has is enough
    resume = stub.optional_u32()
    disks = _DISKS if level == 0 else ()
    out = NdrWriter()
    out.u32(len(disks))
    out.pointer(bool(disks))
    if disks:
        for number in (len(disks), 0, len(disks)):
            out.u32(number)
        for disk in disks:
            out.varying_string(disk)
    out.u32(len(disks))
    out.optional_u32(None if resume is None else 0)
    out.u32(Win32Error.SUCCESS if level == 0 else Win32Error.INVALID_LEVEL)
    return out.getvalue()


def _tell_time(server: ServerInfo, stub: NdrReader) -> bytes:
    """NetrRemoteTOD, in UTC.  [MS-SRVS] 3.1.4.21"""
    stub.optional_string()
    seconds, rest_ns = divmod(server.now_ns, 10**9)
    now = datetime.fromtimestamp(seconds, UTC)
    up_ms = (server.now_ns - server.start_ns) // 10**6
    out = NdrWriter()
    out.pointer(True)
    for number in (
        seconds & 0xFFFFFFFF, up_ms & 0xFFFFFFFF, now.hour, now.minute, now.second, rest_ns // 10**7, _NO_ZONE, _TICK,
        now.day, now.month, now.year, now.isoweekday() % 7,
    ):  # fmt: skip
        out.u32(number)
    out.u32(Win32Error.SUCCESS)
    return out.getvalue()


SRVSVC: Final = Interface(
    uuid_bytes("4b324fc8-1670-01d3-1278-5a47bf6ee188"),
    3,
    0,
    {
        8: _refuse_enumeration(2, _CONNECTION_ENUM_ARMS),  # NetrConnectionEnum, [MS-SRVS] 3.1.4.1
        9: _refuse_enumeration(3, _FILE_ENUM_ARMS),  # NetrFileEnum, [MS-SRVS] 3.1.4.2
        12: _refuse_enumeration(3, _SESSION_ENUM_ARMS),  # NetrSessionEnum, [MS-SRVS] 3.1.4.5
        15: _enumerate,
        16: _share_information,
        20: _check_share,
        21: _server_information,
        23: _list_disks,
        28: _tell_time,
        36: _enumerate_sticky,
    },
)
