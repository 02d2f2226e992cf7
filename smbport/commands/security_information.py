"""QUERY_INFO and SET_INFO of security descriptors.  [MS-SMB2] 3.3.5.20.3, 3.3.5.21.3, [MS-FSA] 2.1.5.14, 2.1.5.17

Where descriptors are stored, they are shown, merged and stored.  Elsewhere a descriptor says what owner, group,
mode and list of the file mean.  One that is set there must mean owner, group, mode and list in turn, exactly:
whatever else it holds would be dropped in silence, so it is refused instead.
"""

from collections.abc import Sequence
from typing import Final

from smbport.commands.call import Call, Reply
from smbport.commands.governed import keep_attributes
from smbport.commands.macos import add_nfs_aces, shows_modes, take_nfs_aces
from smbport.commands.posix import find_mode, find_posix_id
from smbport.commands.rights import Right, security_query_access, security_set_access
from smbport.commands.steps import blocking
from smbport.platform import ACCESS_NONE, AccessControl, AclEntry, Node
from smbport.security.inheritance import merge_descriptor
from smbport.security.nfs4_acl import is_nfs4
from smbport.security.ntacl import SystemState
from smbport.security.posix_acl import describe, list_of, mode_of
from smbport.security.sids import unix_id
from smbport.state.descriptors import Descriptors
from smbport.state.open import FileOpen
from smbport.wire.constants import Dialect, SecurityInformation
from smbport.wire.error import ErrorId, pack_error_contexts, pack_error_response
from smbport.wire.info import QueryInfoRequest, pack_query_info_response
from smbport.wire.record import BadStructure, Buffer
from smbport.wire.security import Acl, SecurityDescriptor, Sid
from smbport.wire.status import Status, StatusError

__all__ = ["query_security", "set_security"]

_CHANGES: Final = Right(changes=True)
_IN_SACL: Final = (
    SecurityInformation.SACL | SecurityInformation.LABEL | SecurityInformation.ATTRIBUTE | SecurityInformation.SCOPE
)


async def query_security(call: Call, opened: FileOpen, request: QueryInfoRequest) -> Reply:
    """[MS-SMB2] 3.3.5.20.3"""
    information = request.additional_information
    _require_all(opened, security_query_access(information))
    descriptors = opened.tree.descriptors
    if descriptors is not None:
        descriptor = await blocking(descriptors.describe, opened.base)
    else:
        state = await blocking(_read_state, opened.base, call.server.platform.acl)
        descriptor = describe(state)
        if shows_modes(opened.tree, state) and not opened.posix:
            descriptor = add_nfs_aces(descriptor, state)
    data = descriptor.select(information).pack()
    if len(data) <= request.output_buffer_length:
        return Reply(pack_query_info_response(data))
    needed = len(data).to_bytes(4, "little")
    if call.connection.dialect == Dialect.SMB_3_1_1:
        body = pack_error_response(pack_error_contexts([(ErrorId.DEFAULT, needed)]), 1)
    else:
        body = pack_error_response(needed)
    return Reply(body, None, Status.BUFFER_TOO_SMALL)


async def set_security(call: Call, opened: FileOpen, information: int, buffer: Buffer) -> None:
    """[MS-SMB2] 3.3.5.21.3"""
    _require_all(opened, security_set_access(information))
    _CHANGES.check(opened)
    try:
        wanted = SecurityDescriptor.parse(buffer)
    except BadStructure as error:
        raise StatusError(Status.INVALID_SECURITY_DESCR, str(error)) from None
    descriptors = opened.tree.descriptors
    if descriptors is not None:
        await blocking(_merge, descriptors, opened, wanted, information)
    else:
        await _set_system(call.server.platform.acl, opened, wanted, information)


def _require_all(opened: FileOpen, access: int) -> None:
    if opened.granted_access & access != access:
        raise StatusError(Status.ACCESS_DENIED, f"access 0x{access:x} is needed")


# Where descriptors are stored -----------------------------------------------------------------------------------


def _merge(
    descriptors: Descriptors, opened: FileOpen, wanted: SecurityDescriptor, information: int, *, wait: bool = False
) -> None:
    """With a handle of the server's own, because the user's may be of an account that cannot give files away."""
    node = descriptors.volume.open(opened.path, ACCESS_NONE, wait=wait)
    try:
        if node.stat().key != opened.shared.key:
            raise StatusError(Status.FILE_CLOSED, "the name stands for another file")
        merged = merge_descriptor(descriptors.describe(node, wait=wait), wanted, information, descriptors.token)
        try:
            merged.pack()
        except ValueError as error:
            raise StatusError(Status.INVALID_ACL, str(error)) from None
        keep_attributes(descriptors.volume, node, opened.path, wait=wait)
        descriptors.store(node, merged, wait=wait)
    finally:
        node.close()


# Where the system decides alone ---------------------------------------------------------------------------------


async def _set_system(
    acl: AccessControl | None, opened: FileOpen, wanted: SecurityDescriptor, information: int
) -> None:
    if information & _IN_SACL and wanted.sacl is not None and wanted.sacl.aces:
        raise StatusError(Status.NOT_SUPPORTED, "no auditing, no labels")
    state = await blocking(_read_state, opened.base, acl)
    uid, gid = state.uid, state.gid
    if information & SecurityInformation.OWNER:
        uid = _find_id(opened, wanted.owner, group=False)
    if information & SecurityInformation.GROUP:
        gid = _find_id(opened, wanted.group, group=True)
    entries: Sequence[AclEntry] | None = None
    sets_list, dacl, mode = False, wanted.dacl, None
    if information & SecurityInformation.DACL:
        sets_list, dacl, mode = _find_list(opened, state, dacl)
    if sets_list:
        meant = SystemState(uid, gid, state.mode, state.access, state.default, state.is_directory)
        entries = list_of(dacl, meant)
        if entries is None or (acl is None and len(entries) > 3):
            raise StatusError(Status.NOT_SUPPORTED, "this access control list cannot be stored here")
    owner = (uid if uid != state.uid else None), (gid if gid != state.gid else None)
    await blocking(_apply, opened.base, acl, state, owner, entries)
    if mode is not None:
        await blocking(opened.base.set_mode, mode)


def _find_list(opened: FileOpen, state: SystemState, dacl: Acl | None) -> tuple[bool, Acl | None, int | None]:
    """Whether there is a list to be set, which, and a mode for after it or in its place."""
    if opened.posix:
        mode = find_mode(dacl)
        return mode is None, dacl, mode
    if dacl is None or not shows_modes(opened.tree, state):
        return True, dacl, None
    rest, mode = take_nfs_aces(dacl)
    if rest.aces and mode == state.mode & 0o7777:
        mode = None  # it comes along as it was read: only the list is another one
    return bool(rest.aces) or rest == dacl, rest, mode


def _read_state(node: Node, acl: AccessControl | None, *, wait: bool = False) -> SystemState:
    access, default = acl.lists(node, wait=wait) if acl is not None else ((), ())
    return SystemState.of(node.stat(), access, default)


def _find_id(opened: FileOpen, sid: Sid | None, *, group: bool) -> int:
    """The number of a user or group of the system."""
    number = find_posix_id(sid, group=group) if opened.posix else unix_id(sid, group=group)
    if number is None:
        raise StatusError(Status.INVALID_SID, f"{sid} is no account of this system")
    return number


def _apply(
    node: Node,
    acl: AccessControl | None,
    state: SystemState,
    owner: tuple[int | None, int | None],
    entries: Sequence[AclEntry] | None,
    *,
    wait: bool = False,
) -> None:
    """Ownership first: giving a file away clears bits of its mode."""
    if owner != (None, None):
        node.set_owner(*owner, wait=wait)
    if entries is None:
        return
    if acl is not None and (len(entries) > 3 or is_nfs4(tuple(entries))):
        acl.set_list(node, entries, wait=wait)
        return
    if state.access and acl is not None:
        acl.set_list(node, (), wait=wait)
    mode = state.mode & 0o7000 | mode_of(entries)
    if mode != state.mode & 0o7777 or state.access:
        node.set_mode(mode, wait=wait)
