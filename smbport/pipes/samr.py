"""The security account manager: which users and groups there are.  [MS-SAMR]

Two domains, this server and BUILTIN, to be listed and looked up; nothing can be changed, and no secret is told.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from smbport.pipes.answering import answering, names_of
from smbport.pipes.handles import CLOSED, Handle
from smbport.pipes.ndr import NdrReader, NdrWriter
from smbport.pipes.rpc import Interface, uuid_bytes
from smbport.pipes.server_info import ServerInfo
from smbport.security.auth import UserRecord
from smbport.security.names import BUILTIN, Names, SidName, SidUse
from smbport.security.sids import Rid
from smbport.wire.record import BadStructure
from smbport.wire.security import Sid
from smbport.wire.status import Status, StatusError

__all__ = ["SAMR"]

_SERVER, _DOMAIN, _BUILTIN, _USER = b"sams", b"samd", b"samb", b"samu"
_PAGE: Final = 256  # entries in one answer (guessed); the client asks on
_MAX_LOOKUP: Final = 1000  # [MS-SAMR] 3.1.5.11.1
_MORE_ENTRIES: Final = 0x00000105
_NO_SUCH_DOMAIN: Final = 0xC00000DF
_GROUP_ATTRIBUTES: Final = 0x7  # mandatory, enabled by default, enabled.  [MS-SAMR] 2.2.1.10
_NEVER: Final = bytes(4) + b"\0\0\0\x80"  # the time that no time is; a FILETIME in two halves
_NORMAL_ACCOUNT, _ACCOUNT_DISABLED, _PASSWORD_KEEPS = 0x10, 0x01, 0x200  # [MS-SAMR] 2.2.1.12


def _connect(server: ServerInfo, stub: NdrReader, out: NdrWriter) -> int:
    """SamrConnect, SamrConnect2, SamrConnect4.  [MS-SAMR] 3.1.5.1.2 to 3.1.5.1.4"""
    names_of(server)
    out.raw(stub.handles.open(_SERVER))
    return Status.SUCCESS


def _connect_5(server: ServerInfo, stub: NdrReader, out: NdrWriter) -> int:
    """SamrConnect5.  [MS-SAMR] 3.1.5.1.1"""
    names_of(server)
    for number in (1, 1, 3, 0):  # OutVersion; its union: revision 3, no features
        out.u32(number)
    out.raw(stub.handles.open(_SERVER))
    return Status.SUCCESS


def _close(server: ServerInfo, stub: NdrReader, out: NdrWriter) -> int:
    """SamrCloseHandle.  [MS-SAMR] 3.1.5.13.1"""
    stub.close_handle()
    out.raw(CLOSED)
    return Status.SUCCESS


# Lists ----------------------------------------------------------------------------------------------------------


def _write_page(stub_resume: int, rows: Sequence[tuple[int, str]], out: NdrWriter) -> int:
    """SAMPR_ENUMERATION_BUFFER behind the resume handle, which is the index of the next row.  [MS-SAMR] 2.2.7.1"""
    page = rows[stub_resume : stub_resume + _PAGE]
    done = stub_resume + len(page)
    out.u32(done)
    out.pointer(True)
    out.u32(len(page))
    out.pointer(bool(page))
    if page:
        out.u32(len(page))
        for number, name in page:
            out.u32(number)
            out.unicode_string(name)
        out.bodies()
    out.u32(len(page))
    return _MORE_ENTRIES if done < len(rows) else Status.SUCCESS


def _enumerate_domains(server: ServerInfo, stub: NdrReader, out: NdrWriter) -> int:
    """SamrEnumerateDomainsInSamServer.  [MS-SAMR] 3.1.5.2.1"""
    names = names_of(server)
    stub.handle(_SERVER)
    return _write_page(stub.u32(), [(0, names.server), (0, "Builtin")], out)


def _enumerate_users(server: ServerInfo, stub: NdrReader, out: NdrWriter) -> int:
    """SamrEnumerateUsersInDomain.  [MS-SAMR] 3.1.5.2.5"""
    names = names_of(server)
    domain = stub.handle(_DOMAIN, _BUILTIN)
    resume, wanted = stub.u32(), stub.u32()
    asked = not wanted or wanted & _NORMAL_ACCOUNT
    return _write_page(resume, names.accounts() if domain.kind == _DOMAIN and asked else [], out)


def _enumerate_groups(server: ServerInfo, stub: NdrReader, out: NdrWriter) -> int:
    """SamrEnumerateGroupsInDomain.  [MS-SAMR] 3.1.5.2.3"""
    names = names_of(server)
    domain = stub.handle(_DOMAIN, _BUILTIN)
    return _write_page(stub.u32(), names.groups() if domain.kind == _DOMAIN else [], out)


def _enumerate_aliases(server: ServerInfo, stub: NdrReader, out: NdrWriter) -> int:
    """SamrEnumerateAliasesInDomain.  [MS-SAMR] 3.1.5.2.4"""
    names = names_of(server)
    domain = stub.handle(_DOMAIN, _BUILTIN)
    return _write_page(stub.u32(), names.aliases() if domain.kind == _BUILTIN else [], out)


# Domains --------------------------------------------------------------------------------------------------------


def _look_up_domain(server: ServerInfo, stub: NdrReader, out: NdrWriter) -> int:
    """SamrLookupDomainInSamServer.  [MS-SAMR] 3.1.5.11.1"""
    names = names_of(server)
    stub.handle(_SERVER)
    (name,) = stub.unicode_strings(1)
    domains = {names.server.casefold(): names.domain, "builtin": BUILTIN}
    sid = domains.get(name.casefold())
    if sid is None:
        raise StatusError(_NO_SUCH_DOMAIN)
    out.sid_pointer(sid)
    out.bodies()
    return Status.SUCCESS


def _open_domain(server: ServerInfo, stub: NdrReader, out: NdrWriter) -> int:
    """SamrOpenDomain.  [MS-SAMR] 3.1.5.1.5"""
    names = names_of(server)
    stub.handle(_SERVER)
    stub.u32()
    kind = {names.domain: _DOMAIN, BUILTIN: _BUILTIN}.get(stub.sid())
    if kind is None:
        raise StatusError(_NO_SUCH_DOMAIN)
    out.raw(stub.handles.open(kind))
    return Status.SUCCESS


def _domain_sid(names: Names, domain: Handle) -> Sid:
    return names.domain if domain.kind == _DOMAIN else BUILTIN


def _look_up_names(server: ServerInfo, stub: NdrReader, out: NdrWriter) -> int:
    """SamrLookupNamesInDomain.  [MS-SAMR] 3.1.5.11.2"""
    names = names_of(server)
    domain = stub.handle(_DOMAIN, _BUILTIN)
    count = _read_array(stub)
    prefix = names.server if domain.kind == _DOMAIN else "BUILTIN"
    found = [names.find(f"{prefix}\\{text}") for text in stub.unicode_strings(count)]
    _write_numbers(out, [0 if each is None else each.sid.sub_authorities[-1] for each in found])
    _write_numbers(out, [SidUse.UNKNOWN if each is None else each.use for each in found])
    return _mapped(found)


def _look_up_rids(server: ServerInfo, stub: NdrReader, out: NdrWriter) -> int:
    """SamrLookupIdsInDomain.  [MS-SAMR] 3.1.5.11.3"""
    names = names_of(server)
    sid = _domain_sid(names, stub.handle(_DOMAIN, _BUILTIN))
    count = _read_array(stub)
    found = [names.name_of(Sid(sid.authority, (*sid.sub_authorities, stub.u32()))) for _ in range(count)]
    out.u32(count)
    out.pointer(bool(found))
    if found:
        out.u32(count)
        for each in found:
            out.unicode_string(None if each is None else each.name)
        out.bodies()
    _write_numbers(out, [SidUse.UNKNOWN if each is None else each.use for each in found])
    return _mapped(found)


def _read_array(stub: NdrReader) -> int:
    """The head of an array of `count` that claims room for a thousand."""
    count = stub.u32()
    if stub.u32() != _MAX_LOOKUP or stub.u32() or stub.u32() != count or count > _MAX_LOOKUP:
        raise BadStructure(f"a question about {count} names or RIDs")
    return count


def _write_numbers(out: NdrWriter, numbers: Sequence[int]) -> None:
    """SAMPR_ULONG_ARRAY.  [MS-SAMR] 2.2.7.4"""
    out.u32(len(numbers))
    out.pointer(bool(numbers))
    for number in (len(numbers), *numbers) if numbers else ():
        out.u32(number)


def _mapped(found: Sequence[SidName | None]) -> int:
    if all(found):
        return Status.SUCCESS
    return 0x00000107 if any(found) else Status.NONE_MAPPED


# Users ----------------------------------------------------------------------------------------------------------


def _open_user(server: ServerInfo, stub: NdrReader, out: NdrWriter) -> int:
    """SamrOpenUser.  [MS-SAMR] 3.1.5.1.9"""
    names = names_of(server)
    domain = stub.handle(_DOMAIN, _BUILTIN)
    stub.u32()
    rid = stub.u32()
    if domain.kind != _DOMAIN or names.user_of(rid) is None:
        raise StatusError(Status.NO_SUCH_USER)
    out.raw(stub.handles.open(_USER, rid))
    return Status.SUCCESS


def _user_of(server: ServerInfo, stub: NdrReader) -> UserRecord:
    user = names_of(server).user_of(stub.handle(_USER).value)
    if user is None:  # removed since
        raise StatusError(Status.NO_SUCH_USER)
    return user


def _query_user(server: ServerInfo, stub: NdrReader, out: NdrWriter) -> int:
    """SamrQueryInformationUser, SamrQueryInformationUser2.  [MS-SAMR] 3.1.5.5.5, 3.1.5.5.6"""
    user = _user_of(server, stub)
    level = stub.u16()
    if level not in _USER_LEVELS:
        raise StatusError(Status.INVALID_INFO_CLASS)
    out.pointer(True)
    out.u16(level)
    _USER_LEVELS[level](user, out)
    out.bodies()
    return Status.SUCCESS


def _flags(user: UserRecord) -> int:
    return _NORMAL_ACCOUNT | _PASSWORD_KEEPS | (_ACCOUNT_DISABLED if user.disabled else 0)


def _general(user: UserRecord, out: NdrWriter) -> None:
    """SAMPR_USER_GENERAL_INFORMATION.  [MS-SAMR] 2.2.6.7"""
    _strings(out, user.name, "")
    out.u32(Rid.USERS)
    _strings(out, "", "")


def _strings(out: NdrWriter, *texts: str) -> None:
    for text in texts:
        out.unicode_string(text)


def _all_of(user: UserRecord, out: NdrWriter) -> None:
    """SAMPR_USER_ALL_INFORMATION.  [MS-SAMR] 2.2.6.6"""
    nothing, forever = bytes(8), b"\xff\xff\xff\xff\xff\xff\xff\x7f"
    for time in (nothing, nothing, nothing, forever, nothing, forever):
        out.raw(time)
    _strings(out, user.name, *[""] * 8)  # full name, home, drive, script, profile, description, workstations, comment
    for _ in range(4):  # parameters, two hashes, private data: not told
        out.unicode_string(None)
    out.u32(0)  # and no descriptor
    out.pointer(False)
    for number in (user.rid, Rid.USERS, _flags(user), _FIELDS):
        out.u32(number)
    out.u16(0)  # logon hours: any
    out.pointer(False)
    for number in (0, 0, 0, 0):  # bad passwords, logons, country, code page
        out.u16(number)
    out.raw(bytes(4))  # passwords set, password expired, private data sensitive


# Which of them are meant: names, RIDs, texts and flags.  [MS-SAMR] 2.2.1.8
_FIELDS: Final = 0x001007FF
_USER_LEVELS: Final[Mapping[int, Callable[[UserRecord, NdrWriter], None]]] = {
    1: _general,
    6: lambda user, out: _strings(out, user.name, ""),
    7: lambda user, out: _strings(out, user.name),
    8: lambda user, out: _strings(out, ""),
    9: lambda user, out: out.u32(Rid.USERS),
    13: lambda user, out: _strings(out, ""),
    16: lambda user, out: out.u32(_flags(user)),
    17: lambda user, out: out.raw(_NEVER),
    21: _all_of,
}


def _groups_of_user(server: ServerInfo, stub: NdrReader, out: NdrWriter) -> int:
    """SamrGetGroupsForUser.  [MS-SAMR] 3.1.5.9.1"""
    _user_of(server, stub)
    out.pointer(True)
    out.u32(1)
    out.pointer(True)
    for number in (1, Rid.USERS, _GROUP_ATTRIBUTES):
        out.u32(number)
    return Status.SUCCESS


def _alias_membership(server: ServerInfo, stub: NdrReader, out: NdrWriter) -> int:
    """SamrGetAliasMembership: of the aliases, only Administrators has members by name.  [MS-SAMR] 3.1.5.9.2"""
    names = names_of(server)
    domain = stub.handle(_DOMAIN, _BUILTIN)
    sids = stub.sids()
    privileged = domain.kind == _BUILTIN and any(sid in names.administrators for sid in sids)
    _write_numbers(out, [544] if privileged else [])
    return Status.SUCCESS


_NO_ENUMERATION: Final = bytes(12)  # resume handle, no buffer, no entries
_NO_NUMBERS: Final = bytes(8)

SAMR: Final = Interface(
    uuid_bytes("12345778-1234-abcd-ef00-0123456789ac"),
    1,
    0,
    {
        0: answering(_connect, CLOSED),
        1: answering(_close, CLOSED),
        5: answering(_look_up_domain, bytes(4)),
        6: answering(_enumerate_domains, _NO_ENUMERATION),
        7: answering(_open_domain, CLOSED),
        11: answering(_enumerate_groups, _NO_ENUMERATION),
        13: answering(_enumerate_users, _NO_ENUMERATION),
        15: answering(_enumerate_aliases, _NO_ENUMERATION),
        16: answering(_alias_membership, _NO_NUMBERS),
        17: answering(_look_up_names, bytes(16)),
        18: answering(_look_up_rids, bytes(16)),
        34: answering(_open_user, CLOSED),
        36: answering(_query_user, bytes(4)),
        39: answering(_groups_of_user, bytes(4)),
        47: answering(_query_user, bytes(4)),
        57: answering(_connect, CLOSED),
        62: answering(_connect, CLOSED),
        64: answering(_connect_5, b"\1\0\0\0" * 2 + bytes(8) + CLOSED),
    },
)
