"""The local security authority: which name is which SID.  [MS-LSAT], [MS-LSAD]

Only what it takes to show names and to find them; nothing can be changed.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from smbport.pipes.answering import answering, names_of
from smbport.pipes.handles import CLOSED
from smbport.pipes.ndr import NdrReader, NdrWriter
from smbport.pipes.rpc import Interface, uuid_bytes
from smbport.pipes.server_info import ServerInfo
from smbport.security.names import Names, SidName, SidUse
from smbport.wire.record import BadStructure
from smbport.wire.security import Sid
from smbport.wire.status import Status, StatusError

__all__ = ["LSARPC"]

_POLICY: Final = b"lsap"
_MAX_LOOKUP: Final = 1000  # [MS-LSAT] 3.1.4.5
_DOMAINS_ROOM: Final = 32  # a number that means nothing, and that every server answers.  [MS-LSAT] 2.2.12
_SOME_NOT_MAPPED: Final = 0x00000107
_NO_DOMAIN: Final = 0xFFFFFFFF
_BUILTIN_NAME: Final = "BUILTIN"  # what Windows finds where no name is given


class PolicyClass:
    """[MS-LSAD] 2.2.4.1"""

    PRIMARY_DOMAIN: Final = 3
    ACCOUNT_DOMAIN: Final = 5
    SERVER_ROLE: Final = 6
    DNS_DOMAIN: Final = 12


def _open_policy(server: ServerInfo, stub: NdrReader, out: NdrWriter) -> int:
    """LsarOpenPolicy, LsarOpenPolicy2.  [MS-LSAD] 3.1.4.4.1, 3.1.4.4.2"""
    names_of(server)
    out.raw(stub.handles.open(_POLICY))
    return Status.SUCCESS


def _close(server: ServerInfo, stub: NdrReader, out: NdrWriter) -> int:
    """LsarClose.  [MS-LSAD] 3.1.4.3"""
    stub.close_handle()
    out.raw(CLOSED)
    return Status.SUCCESS


# Domains --------------------------------------------------------------------------------------------------------


def _query_policy(server: ServerInfo, stub: NdrReader, out: NdrWriter) -> int:
    """LsarQueryInformationPolicy, LsarQueryInformationPolicy2.  [MS-LSAD] 3.1.4.4.3, 3.1.4.4.4"""
    names = names_of(server)
    stub.handle(_POLICY)
    level = stub.u16()
    if level not in _POLICIES:
        raise StatusError(Status.INVALID_INFO_CLASS)
    out.pointer(True)
    out.u16(level)
    _POLICIES[level](server, names, out)
    out.bodies()
    return Status.SUCCESS


def _primary_domain(server: ServerInfo, names: Names, out: NdrWriter) -> None:
    """Of a machine in a workgroup it has a name and no SID.  [MS-LSAD] 2.2.4.5"""
    out.unicode_string(server.domain, terminated=True)
    out.sid_pointer(None)


def _account_domain(server: ServerInfo, names: Names, out: NdrWriter) -> None:
    """[MS-LSAD] 2.2.4.6"""
    out.unicode_string(names.server, terminated=True)
    out.sid_pointer(names.domain)


def _server_role(server: ServerInfo, names: Names, out: NdrWriter) -> None:
    """[MS-LSAD] 2.2.4.9"""
    out.u32(3)


def _dns_domain(server: ServerInfo, names: Names, out: NdrWriter) -> None:
    """[MS-LSAD] 2.2.4.14"""
    out.unicode_string(server.domain, terminated=True)
    out.unicode_string(None)
    out.unicode_string(None)
    out.raw(bytes(16))
    out.sid_pointer(None)


_POLICIES: Final[Mapping[int, Callable[[ServerInfo, Names, NdrWriter], None]]] = {
    PolicyClass.PRIMARY_DOMAIN: _primary_domain,
    PolicyClass.ACCOUNT_DOMAIN: _account_domain,
    PolicyClass.SERVER_ROLE: _server_role,
    PolicyClass.DNS_DOMAIN: _dns_domain,
}


def _domain_of(found: SidName) -> Sid:
    """The SID of the domain that a SID is of: all but its last part."""
    return found.sid if found.use == SidUse.DOMAIN else Sid(found.sid.authority, found.sid.sub_authorities[:-1])


def _write_domains(out: NdrWriter, found: Sequence[SidName | None]) -> list[int]:
    """LSAPR_REFERENCED_DOMAIN_LIST; the index in it for each that was found.  [MS-LSAT] 2.2.12"""
    domains: dict[tuple[str, Sid], int] = {}
    indexes = []
    for each in found:
        key = None if each is None else (each.domain, _domain_of(each))
        indexes.append(_NO_DOMAIN if key is None else domains.setdefault(key, len(domains)))
    out.pointer(True)
    out.u32(len(domains))
    out.pointer(bool(domains))
    out.u32(_DOMAINS_ROOM)
    if domains:
        out.u32(len(domains))
        for name, sid in domains:
            out.unicode_string(name, terminated=True)
            out.sid_pointer(sid)
        out.bodies()
    return indexes


def _mapped(found: Sequence[SidName | None]) -> tuple[int, int]:
    """How many were found, and the status that says so.  [MS-LSAT] 3.1.4.5"""
    count = sum(each is not None for each in found)
    if count == len(found):
        return count, Status.SUCCESS
    return count, _SOME_NOT_MAPPED if count else Status.NONE_MAPPED


# SIDs to names --------------------------------------------------------------------------------------------------


def _look_up_sids(server: ServerInfo, stub: NdrReader, out: NdrWriter, *, extended: bool) -> int:
    """LsarLookupSids and its successor.  [MS-LSAT] 3.1.4.10, 3.1.4.11"""
    names = names_of(server)
    sids = stub.sids()
    found = [names.name_of(sid) for sid in sids]
    indexes = _write_domains(out, found)
    out.u32(len(found))
    out.pointer(bool(found))
    if found:
        out.u32(len(found))
    for sid, each, index in zip(sids, found, indexes, strict=True):
        out.u16(SidUse.UNKNOWN if each is None else each.use)
        out.unicode_string(str(sid) if each is None else each.name)
        out.u32(index)
        if extended:
            out.u32(0)
    out.bodies()
    count, status = _mapped(found)
    out.u32(count)
    return status


def _lookup_sids(server: ServerInfo, stub: NdrReader, out: NdrWriter) -> int:
    """[MS-LSAT] 3.1.4.11"""
    stub.handle(_POLICY)
    return _look_up_sids(server, stub, out, extended=False)


def _lookup_sids_2(server: ServerInfo, stub: NdrReader, out: NdrWriter) -> int:
    """[MS-LSAT] 3.1.4.10"""
    stub.handle(_POLICY)
    return _look_up_sids(server, stub, out, extended=True)


# Names to SIDs --------------------------------------------------------------------------------------------------


def _look_up_names(server: ServerInfo, stub: NdrReader, out: NdrWriter, *, version: int) -> int:
    """LsarLookupNames and its successors, which give a RID (1, 2) or a SID (3).  [MS-LSAT] 3.1.4.6 to 3.1.4.8"""
    names = names_of(server)
    count = stub.u32()
    if stub.u32() != count or count > _MAX_LOOKUP:
        raise BadStructure(f"a question about {count} names")
    found = [names.find(text.removesuffix("\\") or _BUILTIN_NAME) for text in stub.unicode_strings(count)]
    indexes = _write_domains(out, found)
    out.u32(len(found))
    out.pointer(bool(found))
    if found:
        out.u32(len(found))
    for each, index in zip(found, indexes, strict=True):
        out.u16(SidUse.UNKNOWN if each is None else each.use)
        if version == 3:
            out.sid_pointer(None if each is None else each.sid)
        else:
            out.u32(0xFFFFFFFF if each is None or each.use == SidUse.DOMAIN else each.sid.sub_authorities[-1])
        out.u32(index)
        if version > 1:
            out.u32(0)
    out.bodies()
    mapped, status = _mapped(found)
    out.u32(mapped)
    return status


def _lookup_names(server: ServerInfo, stub: NdrReader, out: NdrWriter) -> int:
    """[MS-LSAT] 3.1.4.8"""
    stub.handle(_POLICY)
    return _look_up_names(server, stub, out, version=1)


def _lookup_names_2(server: ServerInfo, stub: NdrReader, out: NdrWriter) -> int:
    """[MS-LSAT] 3.1.4.7"""
    stub.handle(_POLICY)
    return _look_up_names(server, stub, out, version=2)


def _lookup_names_3(server: ServerInfo, stub: NdrReader, out: NdrWriter) -> int:
    """[MS-LSAT] 3.1.4.6"""
    stub.handle(_POLICY)
    return _look_up_names(server, stub, out, version=3)


def _refuse_lookup(server: ServerInfo, stub: NdrReader, out: NdrWriter) -> int:
    """LsarLookupSids3, LsarLookupNames4: for the secure channel of domain members.  [MS-LSAT] 3.1.4.9, 3.1.4.5"""
    raise StatusError(Status.ACCESS_DENIED)


# Who asks -------------------------------------------------------------------------------------------------------


def _get_user_name(server: ServerInfo, stub: NdrReader, out: NdrWriter) -> int:
    """LsarGetUserName.  [MS-LSAT] 3.1.4.4"""
    names = names_of(server)
    stub.optional_string()
    if stub.u32():
        stub.unicode_strings(1)
    wants_domain = bool(stub.u32())
    out.pointer(True)
    out.unicode_string(server.user)
    out.bodies()
    out.pointer(wants_domain)
    if wants_domain:
        out.pointer(True)
        out.unicode_string(names.server)
        out.bodies()
    return Status.SUCCESS


_PRIVILEGES: Final = (
    "SeSecurityPrivilege", "SeTakeOwnershipPrivilege", "SeBackupPrivilege", "SeRestorePrivilege",
)  # fmt: skip


def _enumerate_rights(server: ServerInfo, stub: NdrReader, out: NdrWriter) -> int:
    """LsarEnumerateAccountRights.  [MS-LSAD] 3.1.4.5.10"""
    names = names_of(server)
    stub.handle(_POLICY)
    sid = stub.sid()
    if sid not in names.administrators:
        raise StatusError(Status.OBJECT_NAME_NOT_FOUND)
    out.u32(len(_PRIVILEGES))
    out.pointer(True)
    out.u32(len(_PRIVILEGES))
    for privilege in _PRIVILEGES:
        out.unicode_string(privilege, terminated=True)
    out.bodies()
    return Status.SUCCESS


_NO_HANDLE: Final = CLOSED
_NOTHING: Final = bytes(4)  # a null pointer
_NO_LOOKUP: Final = bytes(16)  # no domains; no entries; none mapped
_NO_ROWS: Final = bytes(8)

LSARPC: Final = Interface(
    uuid_bytes("12345778-1234-abcd-ef00-0123456789ab"),
    0,
    0,
    {
        0: answering(_close, _NO_HANDLE),
        6: answering(_open_policy, _NO_HANDLE),
        7: answering(_query_policy, _NOTHING),
        14: answering(_lookup_names, _NO_LOOKUP),
        15: answering(_lookup_sids, _NO_LOOKUP),
        36: answering(_enumerate_rights, _NO_ROWS),
        44: answering(_open_policy, _NO_HANDLE),
        45: answering(_get_user_name, _NO_ROWS),
        46: answering(_query_policy, _NOTHING),
        57: answering(_lookup_sids_2, _NO_LOOKUP),
        58: answering(_lookup_names_2, _NO_LOOKUP),
        68: answering(_lookup_names_3, _NO_LOOKUP),
        76: answering(_refuse_lookup, _NO_LOOKUP),
        77: answering(_refuse_lookup, _NO_LOOKUP),
    },
)
