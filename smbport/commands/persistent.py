"""Persistent opens: saved before anybody counts on them, and opened again when the server starts.

save_changes    dispatch calls it when a request has changed something about such an open
restore         once, before the first connection
"""

from smbport.commands.call import log
from smbport.commands.grant import may_cache
from smbport.commands.local_locks import lock_locally
from smbport.commands.lookout import attend_cached
from smbport.commands.open_node import READERS, WRITERS
from smbport.commands.session_setup import map_account
from smbport.commands.steps import Manner, blocking, waiting
from smbport.commands.tree_connect import connect
from smbport.platform import ACCESS_NONE, ACCESS_READ, ACCESS_WRITE, Directory, File, Volume
from smbport.security.auth import LogonUser
from smbport.state.durable import Durability, Promise
from smbport.state.leases import Lease
from smbport.state.lock_sequences import LockSequences
from smbport.state.open import FileOpen
from smbport.state.persistent import PersistentRecord
from smbport.state.ranges import HeldLock
from smbport.state.server import Server
from smbport.state.session import Session
from smbport.state.tree import TreeConnect
from smbport.wire.constants import CreateOption, OplockLevel
from smbport.wire.create_contexts import LeaseState
from smbport.wire.status import Status, StatusError

__all__ = ["restore", "save_changes"]


async def save_changes(server: Server) -> None:
    """Return when everything that has changed so far is on stable storage.

    One save at a time, so that none overtakes another; what comes meanwhile goes together into the next one.  After an
    OSError the changes wait for the next save.
    """
    unsaved, store = server.unsaved, server.handle_store
    assert store is not None
    while unsaved.saving is not None:
        await waiting(unsaved.saving, manner=Manner.SHIELDED)
    if not unsaved:
        return
    batch = unsaved.take()
    unsaved.saving = over = server.runtime.new_event()
    saved = False
    try:
        await blocking(store.save, batch)
        saved = True
    except OSError as error:
        log.error("persistent opens are not safe: %s", error)
        raise
    finally:
        unsaved.settle(saved=saved)
        unsaved.saving = None
        over.set()


# After a start --------------------------------------------------------------------------------------------------


async def restore(server: Server) -> None:
    """Open every file again that was persistently open when the server died; from now on it waits for its client."""
    store = server.handle_store
    assert store is not None
    for record, locks in await blocking(store.load):
        try:
            await _restore(server, record, locks)
        except (OSError, StatusError) as error:
            log.warning("%s of %s on share %s is not open any more: %s", record.path, record.owner, record.share, error)
            server.unsaved.forget(record.persistent_id)
    await save_changes(server)


async def _restore(server: Server, record: PersistentRecord, locks: list[HeldLock]) -> None:
    share = server.find_share(record.share)
    if share is None or share.volume is None or not share.settings.continuous_availability:
        raise StatusError(Status.BAD_NETWORK_NAME, "the share is not continuously available")
    tree = await connect(server, await _absent_session(server, record.owner), share)
    volume = share.volume if record.governed else tree.volume
    assert volume is not None
    node = await blocking(_open_again, volume, record)
    opened = _join(server, tree, record, node)
    for lock in locks:
        opened.shared.locks.try_lock(opened, lock.offset, lock.length, exclusive=lock.exclusive)
    if not opened.is_directory and not await lock_locally(server, opened, locks):
        log.warning("%s: a local program has locked what %s had locked there before", opened.path, record.owner)
    if record.lease is not None or record.oplock_level:
        await attend_cached(server, opened)
        _give_caches(server, opened, record)
    server.durable.restore(opened, server.runtime.now_ns())


async def _absent_session(server: Server, owner: str) -> Session:
    """Stands for the client until it is back: it has the user's rights, and nobody can reach it."""
    user = server.authenticator.users.find_user(owner)
    if user is None or user.disabled:
        raise StatusError(Status.NO_SUCH_USER, f"there is no user {owner!r}")
    session = Session(server, 0)
    session.user = LogonUser(user.name, "", "user", user)
    await map_account(server, session, session.user)
    return session


def _open_again(volume: Volume, record: PersistentRecord, *, wait: bool = False) -> File | Directory:
    """What the path stands for, if it is still the same file."""
    access = ACCESS_READ if record.granted_access & READERS else ACCESS_NONE
    if record.granted_access & WRITERS:
        access |= ACCESS_WRITE
    follow = not (record.posix or record.create_options & CreateOption.OPEN_REPARSE_POINT)
    node = volume.open(record.path, access, follow=follow, wait=wait)
    if node.stat().key != record.key:
        node.close()
        raise FileNotFoundError("another file has its name")
    return node


def _join(server: Server, tree: TreeConnect, record: PersistentRecord, node: File | Directory) -> FileOpen:
    _, volatile_id = server.new_file_id()
    opened = FileOpen(
        tree,
        record.persistent_id,
        volatile_id,
        granted_access=record.granted_access,
        share_access=record.share_access,
        create_options=record.create_options,
        node=node,
        path=record.path,
    )
    opened.governed, opened.posix = record.governed, record.posix
    opened.delete_on_close = record.delete_on_close
    opened.shared = server.files.join(record.key, opened)
    server.open_count += 1
    if record.doomed:
        opened.shared.doom(opened)
    if record.lock_sequences:
        opened.lock_sequences = LockSequences(record.lock_sequences)
    opened.durability = Durability(
        promise=Promise.PERSISTENT,
        owner=record.owner,
        client_guid=record.client_guid,
        create_guid=record.create_guid,
        lease_key=record.lease.key if record.lease is not None else None,
        timeout_ns=record.timeout_ns,
        action=record.action,
    )
    return opened


def _give_caches(server: Server, opened: FileOpen, record: PersistentRecord) -> None:
    """What its client believes to have; less, should that not go with what others got back before."""
    shared, saved = opened.shared, record.lease
    sole, watched = shared.is_sole(opened), may_cache(server, opened.tree.share, opened)
    if saved is None:
        level = record.oplock_level if watched else OplockLevel.NONE
        opened.oplock = shared.oplocks.grant_oplock(opened, level, sole=sole, locked=False)
        return
    lease = server.leases.find(record.client_guid, saved.key)
    if lease is None:
        lease = Lease(
            shared, record.client_guid, saved.key, version=saved.version, epoch=saved.epoch, parent_key=saved.parent_key
        )
        server.leases.join(lease, opened)
        state = saved.state if watched else LeaseState.NONE
        shared.oplocks.grant_lease(lease, state, first=True, sole=sole, locked=False)
        lease.epoch = saved.epoch
    elif lease.shared is shared:
        server.leases.join(lease, opened)
