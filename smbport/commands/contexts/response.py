"""The create contexts of a response.  [MS-SMB2] 2.2.14.2"""

from smbport.commands.contexts.aapl import answer_query
from smbport.commands.contexts.request import Contexts
from smbport.commands.macos import hides_file_ids
from smbport.commands.open_node import Opened
from smbport.commands.posix import create_response
from smbport.platform import Account, Kind, Stat
from smbport.state.durable import Durability, Promise
from smbport.state.leases import Lease
from smbport.state.open import FileOpen
from smbport.wire.constants import Access, ContextTag
from smbport.wire.create_contexts import (
    DurableFlag,
    DurableHandleResponse,
    DurableHandleResponseV2,
    LeaseContext,
    LeaseContextV2,
    LeaseFlag,
    MaximalAccessResponse,
    OnDiskIdResponse,
)
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
            maximal = opened.maximal_access
            if maximal is None:
                maximal = maximal_access(opened.stat, tree.account)
            access = maximal & tree.maximal_access | joined.granted_access
            answer = MaximalAccessResponse(query_status=Status.SUCCESS, maximal_access=access)
        answers.append((ContextTag.MAXIMAL_ACCESS, answer.pack()))
    if contexts.on_disk_id:
        file_id = 0 if hides_file_ids(tree) else opened.stat.key.inode
        disk_id = OnDiskIdResponse(disk_file_id=file_id, volume_id=tree.volume.features.serial)
        answers.append((ContextTag.ON_DISK_ID, disk_id.pack()))
    if contexts.posix_mode is not None:
        answers.append((ContextTag.POSIX, create_response(opened.stat)))
    if contexts.query is not None:
        answers.append((ContextTag.AAPL, answer_query(tree, contexts.query)))
    if joined.lease is not None:
        answers.append((ContextTag.LEASE, _lease_answer(joined.lease)))
    if joined.durability is not None and joined.durability.is_promised:
        answers += _durable_answers(joined.durability, contexts)
    return answers


def _durable_answers(durability: Durability, contexts: Contexts) -> list[tuple[bytes, bytes]]:
    """Only to those who ask for it, not to those who have it back.  [MS-SMB2] 3.3.5.9.6, 3.3.5.9.10"""
    if contexts.durable_v2 is not None:
        flags = DurableFlag.PERSISTENT if durability.promise == Promise.PERSISTENT else 0
        answer = DurableHandleResponseV2(timeout=durability.timeout_ns // 1_000_000, flags=flags)
        return [(ContextTag.DURABLE_REQUEST_V2, answer.pack())]
    if contexts.durable and contexts.reconnect is None:
        return [(ContextTag.DURABLE_REQUEST, DurableHandleResponse().pack())]
    return []


def _lease_answer(lease: Lease) -> bytes:
    """In the version that the lease was first asked for with, whichever this request has.  [MS-SMB2] 3.3.5.9.11"""
    flags = LeaseFlag.BREAK_IN_PROGRESS if lease.over is not None else 0
    if lease.version == 1:
        return LeaseContext(lease_key=lease.key, lease_state=lease.state, lease_flags=flags).pack()
    if lease.parent_key is not None:
        flags |= LeaseFlag.PARENT_LEASE_KEY_SET
    return LeaseContextV2(
        lease_key=lease.key,
        lease_state=lease.state,
        lease_flags=flags,
        parent_lease_key=lease.parent_key or bytes(16),
        epoch=lease.epoch,
    ).pack()


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
