"""The create contexts of a response.  [MS-SMB2] 2.2.14.2"""

from smbport.commands.contexts.request import Contexts
from smbport.commands.open_node import Opened
from smbport.platform import Account, Kind, Stat
from smbport.state.open import FileOpen
from smbport.wire.constants import Access, ContextTag
from smbport.wire.create_contexts import MaximalAccessResponse, OnDiskIdResponse
from smbport.wire.status import Status
from smbport.wire.text import filetime_from_ns

__all__ = ["maximal_access", "response_contexts"]


def response_contexts(joined: FileOpen, opened: Opened, contexts: Contexts) -> list[tuple[bytes, bytes]]:
    """(tag, data) of each answer."""
    tree = joined.tree
    assert tree.volume is not None
    answers: list[tuple[bytes, bytes]] = []
    if contexts.maximal_access:
        changed = filetime_from_ns(opened.stat.write_ns)
        if contexts.maximal_access_since and contexts.maximal_access_since == changed:
            answer = MaximalAccessResponse(query_status=Status.NONE_MAPPED, maximal_access=0)
        else:
            access = maximal_access(opened.stat, tree.account) & tree.maximal_access | joined.granted_access
            answer = MaximalAccessResponse(query_status=Status.SUCCESS, maximal_access=access)
        answers.append((ContextTag.MAXIMAL_ACCESS, answer.pack()))
    if contexts.on_disk_id:
        disk_id = OnDiskIdResponse(disk_file_id=opened.stat.key.inode, volume_id=tree.volume.features.serial)
        answers.append((ContextTag.ON_DISK_ID, disk_id.pack()))
    return answers


def maximal_access(stat: Stat, account: Account) -> int:
    """What the permission bits grant an account, in NT's terms.  [MS-SMB2] 3.3.5.9.5"""
    if account.uid == 0:
        return Access.FILE_ALL_ACCESS
    if account.uid == stat.uid:
        bits = stat.mode >> 6
    elif stat.gid == account.gid or stat.gid in account.groups:
        bits = stat.mode >> 3
    else:
        bits = stat.mode
    access = Access.READ_ATTRIBUTES | Access.READ_CONTROL | Access.SYNCHRONIZE
    if bits & 4:
        access |= Access.FILE_GENERIC_READ
    if bits & 2:
        access |= Access.FILE_GENERIC_WRITE
        if stat.kind == Kind.DIRECTORY:
            access |= Access.DELETE_CHILD
    if bits & 1:
        access |= Access.FILE_GENERIC_EXECUTE
    if account.uid == stat.uid:
        access |= Access.WRITE_DAC | Access.WRITE_OWNER | Access.WRITE_ATTRIBUTES
    return access
