"""QUERY_INFO and SET_INFO of security descriptors, as far as a mode can hold one.  [MS-SMB2] 3.3.5.20.3, 3.3.5.21.3

A descriptor says what owner, group and mode mean.  One that is set must mean an owner, a group and a mode in turn,
exactly: whatever else it holds would be dropped in silence, so it is refused instead.
"""

from typing import Final

from smbport.commands.call import Call, Reply
from smbport.commands.rights import Right, security_query_access, security_set_access
from smbport.commands.steps import blocking
from smbport.platform import Node
from smbport.state.open import FileOpen
from smbport.wire.constants import Access, AceFlag, AceType, Dialect, SecurityInformation
from smbport.wire.error import ErrorId, pack_error_contexts, pack_error_response
from smbport.wire.info import QueryInfoRequest, pack_query_info_response
from smbport.wire.record import BadStructure, Buffer
from smbport.wire.security import (
    Acl,
    SecurityDescriptor,
    Sid,
    WellKnownSid,
    descriptor_of_mode,
    unix_group_sid,
    unix_user_sid,
)
from smbport.wire.status import Status, StatusError

__all__ = ["query_security", "set_security"]

_CHANGES: Final = Right(changes=True)
_BITS: Final = ((Access.READ_DATA, 4), (Access.WRITE_DATA, 2), (Access.EXECUTE, 1))
_IN_SACL: Final = (
    SecurityInformation.SACL | SecurityInformation.LABEL | SecurityInformation.ATTRIBUTE | SecurityInformation.SCOPE
)


def query_security(call: Call, opened: FileOpen, request: QueryInfoRequest) -> Reply:
    """[MS-SMB2] 3.3.5.20.3"""
    information = request.additional_information
    _require_all(opened, security_query_access(information))
    data = _describe(opened).select(information).pack()
    if len(data) <= request.output_buffer_length:
        return Reply(pack_query_info_response(data))
    needed = len(data).to_bytes(4, "little")
    if call.connection.dialect == Dialect.SMB_3_1_1:
        body = pack_error_response(pack_error_contexts([(ErrorId.DEFAULT, needed)]), 1)
    else:
        body = pack_error_response(needed)
    return Reply(body, None, Status.BUFFER_TOO_SMALL)


async def set_security(opened: FileOpen, information: int, buffer: Buffer) -> None:
    """[MS-SMB2] 3.3.5.21.3"""
    _require_all(opened, security_set_access(information))
    _CHANGES.check(opened)
    try:
        wanted = SecurityDescriptor.parse(buffer)
    except BadStructure as error:
        raise StatusError(Status.INVALID_SECURITY_DESCR, str(error)) from None
    if information & _IN_SACL and wanted.sacl is not None and wanted.sacl.aces:
        raise StatusError(Status.NOT_SUPPORTED, "no auditing, no labels")
    stat = opened.node.stat()
    uid, gid, mode = stat.uid, stat.gid, stat.mode & 0o777
    if information & SecurityInformation.OWNER:
        uid = _find_id(wanted.owner, unix_user_sid(0))
    if information & SecurityInformation.GROUP:
        gid = _find_id(wanted.group, unix_group_sid(0))
    if information & SecurityInformation.DACL:
        mode = _mode_of(wanted.dacl, unix_user_sid(uid), unix_group_sid(gid), opened.is_directory)
    await blocking(
        _apply,
        opened.node,
        uid if uid != stat.uid else None,
        gid if gid != stat.gid else None,
        stat.mode & ~0o777 | mode if mode != stat.mode & 0o777 else None,
    )


def _require_all(opened: FileOpen, access: int) -> None:
    if opened.granted_access & access != access:
        raise StatusError(Status.ACCESS_DENIED, f"access 0x{access:x} is needed")


def _describe(opened: FileOpen) -> SecurityDescriptor:
    stat = opened.node.stat()
    return descriptor_of_mode(stat.mode, unix_user_sid(stat.uid), unix_group_sid(stat.gid), opened.is_directory)


def _find_id(sid: Sid | None, sibling: Sid) -> int:
    """The number in a SID of the same family as `sibling`: S-1-22-1-uid or S-1-22-2-gid."""
    family = sibling.sub_authorities[:-1]
    if sid is None or sid.authority != sibling.authority or sid.sub_authorities[:-1] != family:
        raise StatusError(Status.INVALID_SID, f"{sid} is no account of this system")
    return sid.sub_authorities[-1]


def _mode_of(dacl: Acl | None, owner: Sid, group: Sid, is_directory: bool) -> int:
    """The mode that is described by just these entries, in whatever order.  NOT_SUPPORTED if there is none."""
    shifts = {owner: 6, group: 3, WellKnownSid.EVERYONE: 0}
    mode = 0
    entries = set()
    for ace in dacl.aces if dacl is not None else ():
        if ace.type == AceType.ACCESS_ALLOWED and ace.sid in shifts:
            mode |= sum(bit for right, bit in _BITS if ace.mask & right) << shifts[ace.sid]
        entries.add((ace.type, ace.flags & ~AceFlag.INHERITED, ace.mask, ace.sid))
    described = descriptor_of_mode(mode, owner, group, is_directory).dacl
    assert described is not None
    if entries != {(ace.type, ace.flags, ace.mask, ace.sid) for ace in described.aces}:
        raise StatusError(Status.NOT_SUPPORTED, "a mode cannot hold this access control list")
    return mode


def _apply(node: Node, uid: int | None, gid: int | None, mode: int | None, *, wait: bool = False) -> None:
    """Ownership first: giving a file away clears bits of its mode."""
    if uid is not None or gid is not None:
        node.set_owner(uid, gid, wait=wait)
    if mode is not None:
        node.set_mode(mode, wait=wait)
