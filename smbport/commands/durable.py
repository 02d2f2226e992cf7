"""Durable and persistent opens, as CREATE makes them and finds them again.  [MS-SMB2] 3.3.5.9.6 - 3.3.5.9.13

    find_existing    DHnC, DH2C: the open that a client lost; DH2Q: the one that the same CREATE made before
    creating         DH2Q: as long as a CREATE runs, nobody makes another open with its guid
    displace         an application instance that moved to another client takes its files over
    promise          DHnQ, DH2Q: what a new open was promised
    sweep, let_go    every now and then, and at the end: nobody is waited for for ever

The rules are in state/durable.py and state/app_instances.py.
"""

from dataclasses import replace
from functools import partial
from typing import Final, NamedTuple

from smbport.commands.call import Call, log
from smbport.commands.close import close_untold, delete_doomed, delete_name
from smbport.commands.contexts.request import Contexts
from smbport.commands.contexts.response import maximal_access
from smbport.commands.open_node import Opened
from smbport.commands.persistent import save_changes
from smbport.commands.posix import name_of_create
from smbport.state.app_instances import AppInstance
from smbport.state.breaks import tell_postponed
from smbport.state.durable import V1_TIMEOUT_NS, Durability, DurableOpens, Promise, Reconnect, durable_v2_timeout_ns
from smbport.state.open import FileOpen
from smbport.state.server import Server
from smbport.state.session import Session
from smbport.wire.constants import Access, Capability, CreateAction, CreateOption, Dialect, HeaderFlag, OplockLevel
from smbport.wire.create import CreateRequest
from smbport.wire.create_contexts import DurableFlag, DurableHandleRequestV2
from smbport.wire.status import Status, StatusError

__all__ = ["Found", "creating", "displace", "find_existing", "let_go", "owner_of", "promise", "sweep"]


class Found(NamedTuple):
    """An open that was there already, and what is to be answered."""

    joined: FileOpen
    opened: Opened
    contexts: Contexts
    oplock_level: int | None  # None: what it has


# Opens that are there already -----------------------------------------------------------------------------------


def find_existing(call: Call, request: CreateRequest, contexts: Contexts, text: str) -> Found | None:
    """The open that a client asks for a second time; None if it asks for a new one."""
    if contexts.reconnect is not None:
        return _regain(call, contexts, text, contexts.reconnect.file_id_persistent, None, persistent=False)
    if call.connection.dialect < Dialect.SMB_3_0:
        return None
    again = contexts.reconnect_v2
    if again is not None:
        persistent = bool(again.flags & DurableFlag.PERSISTENT) and _keeps_persistent(call)
        return _regain(call, contexts, text, again.file_id_persistent, again.create_guid, persistent=persistent)
    return _find_replayed(call, request, contexts, text) if contexts.durable_v2 is not None else None


def _regain(
    call: Call, contexts: Contexts, text: str, persistent_id: int, create_guid: bytes | None, *, persistent: bool
) -> Found:
    """[MS-SMB2] 3.3.5.9.7, 3.3.5.9.12.  All the rest of the request counts for nothing."""
    session, server = call.session, call.server
    wanted = Reconnect(
        persistent_id=persistent_id,
        create_guid=create_guid,
        persistent=persistent,
        owner=owner_of(session),
        client_guid=call.connection.client_guid,
        lease_key=contexts.lease.lease_key if contexts.lease is not None else None,
        share=call.tree_connect.share,
        path=_path(contexts, text),
    )
    joined = server.durable.find(wanted)
    if len(session.opens) >= server.settings.limits.opens_per_session:
        raise StatusError(Status.TOO_MANY_OPENED_FILES)
    opened = _describe(joined, CreateAction.OPENED)
    server.regain_open(joined, call.tree_connect)
    if joined.cache is not None:
        call.chain.afterwards.append(partial(tell_postponed, server, joined.cache))
    return Found(joined, opened, contexts, None)


def _find_replayed(call: Call, request: CreateRequest, contexts: Contexts, text: str) -> Found | None:
    """[MS-SMB2] 3.3.5.9.10"""
    asked, client_guid = contexts.durable_v2, call.connection.client_guid
    assert asked is not None
    joined = call.server.durable.find_created(client_guid, asked.create_guid)
    replay = bool(call.flags & HeaderFlag.REPLAY_OPERATION)
    persistent = _asks_persistent(call, asked)
    if joined is None:
        if replay and persistent:  # it may be on its way back to life
            raise StatusError(Status.FILE_NOT_AVAILABLE)
        return None
    durability = joined.durability
    assert durability is not None
    if not replay:
        raise StatusError(Status.DUPLICATE_OBJECTID)
    if durability.is_disconnected:
        found = _regain(call, contexts, text, joined.persistent_id, asked.create_guid, persistent=persistent)
        found.opened.action = durability.action
        return found
    if joined.tree.session is not call.session:
        raise StatusError(Status.DUPLICATE_OBJECTID, "opened by another session")
    if contexts.lease is not None and contexts.lease.lease_key != durability.lease_key:
        raise StatusError(Status.ACCESS_DENIED, "replayed with another lease")
    if durability.promise == Promise.PERSISTENT and not persistent:
        raise StatusError(Status.INVALID_PARAMETER, "replayed without asking for a persistent open")
    level = request.requested_oplock_level
    if level not in (OplockLevel.BATCH, OplockLevel.LEASE) and durability.promise != Promise.PERSISTENT:
        contexts = replace(contexts, durable_v2=None)  # with that level it would not have been granted: Windows
    return Found(joined, _describe(joined, durability.action), contexts, level)


def _describe(joined: FileOpen, action: int) -> Opened:
    return Opened(joined.path, joined.node, joined.node.stat(), action, joined.granted_access)


def _path(contexts: Contexts, text: str) -> str:
    """What the client calls it; only a lease makes it count, so it may be anything."""
    try:
        return name_of_create(contexts, text).path
    except StatusError:
        return text


# New opens ------------------------------------------------------------------------------------------------------


class _Reservation:
    """Keeps a create guid for who has it."""

    __slots__ = ("_client_guid", "_create_guid", "_durable")

    def __init__(self, durable: DurableOpens | None, client_guid: bytes = b"", create_guid: bytes = b"") -> None:
        """Without `durable`, there is nothing to keep."""
        self._durable = durable
        self._client_guid = client_guid
        self._create_guid = create_guid

    def __enter__(self) -> None:
        if self._durable is not None:
            self._durable.reserve(self._client_guid, self._create_guid)

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        if self._durable is not None:
            self._durable.abandon(self._client_guid, self._create_guid)


_UNRESERVED: Final = _Reservation(None)


def creating(call: Call, contexts: Contexts) -> _Reservation:
    """While an open with a create guid is made; `find_existing` has found none."""
    asked = contexts.durable_v2
    if asked is None or call.connection.dialect < Dialect.SMB_3_0:
        return _UNRESERVED
    return _Reservation(call.server.durable, call.connection.client_guid, asked.create_guid)


async def displace(call: Call, contexts: Contexts, path: str) -> None:
    """[MS-SMB2] 3.3.5.9.13, 3.3.5.9.16"""
    instance = _instance(call, contexts)
    if instance is None:
        return
    tree = call.tree_connect
    for old in call.server.app_instances.find_displaced(instance, tree.share, path):
        access = maximal_access(old.node.stat(), tree.account) & tree.maximal_access
        if access & Access.FILE_GENERIC_READ == Access.FILE_GENERIC_READ:
            doomed = call.server.close_open(old)
            if doomed is not None:
                await delete_name(call.server, doomed)


def _instance(call: Call, contexts: Contexts) -> AppInstance | None:
    if contexts.app_instance_id is None or contexts.durable_v2 is None or call.connection.dialect < Dialect.SMB_3_0:
        return None
    version = contexts.app_instance_version
    high_low = (version.app_instance_version_high, version.app_instance_version_low) if version is not None else (0, 0)
    return AppInstance(contexts.app_instance_id, high_low, call.connection.client_guid)


async def promise(call: Call, contexts: Contexts, joined: FileOpen, action: int) -> None:
    """Promise a new open what it asks for, as far as it can be had.  [MS-SMB2] 3.3.5.9.6, 3.3.5.9.10"""
    asked = contexts.durable_v2 if call.connection.dialect >= Dialect.SMB_3_0 else None
    if asked is None and not contexts.durable:
        return
    timeout_ns = V1_TIMEOUT_NS if asked is None else durable_v2_timeout_ns(asked.timeout)
    joined.durability = Durability(
        promise=_promise(call, asked, joined),
        owner=owner_of(call.session),
        client_guid=call.connection.client_guid,
        create_guid=asked.create_guid if asked is not None else None,
        lease_key=joined.lease.key if joined.lease is not None else None,
        timeout_ns=min(timeout_ns, call.server.settings.limits.durable_timeout_ns),
        action=action,
    )
    call.server.durable.add(joined)
    instance = _instance(call, contexts)
    if instance is not None:
        call.server.app_instances.add(joined, instance)
    if joined.is_persistent:
        await _save(call.server, joined)


async def _save(server: Server, joined: FileOpen) -> None:
    """A persistent open that cannot be written down is none, and its client must not believe it."""
    server.unsaved.note(joined)
    failure: OSError | None = None
    try:
        await save_changes(server)
    except OSError as error:
        failure = error
    if failure is not None:
        await close_untold(server, joined)
        raise failure
    if joined.closed:
        raise StatusError(Status.FILE_CLOSED)


def _promise(call: Call, asked: DurableHandleRequestV2 | None, joined: FileOpen) -> Promise:
    if call.session.is_guest_or_anonymous:  # anybody could say that it was his
        return Promise.NONE
    if asked is not None and not joined.stream and _asks_persistent(call, asked):
        joined.create_options |= CreateOption.WRITE_THROUGH  # what is acknowledged may not be lost: Windows
        return Promise.PERSISTENT
    if joined.is_directory or not joined.caches_handle:
        return Promise.NONE
    return Promise.DURABLE if asked is None else Promise.DURABLE_V2


def _asks_persistent(call: Call, asked: DurableHandleRequestV2) -> bool:
    return bool(asked.flags & DurableFlag.PERSISTENT) and _keeps_persistent(call)


def _keeps_persistent(call: Call) -> bool:
    """Whether this connection and this share can have persistent opens."""
    if call.server.handle_store is None or not call.tree_connect.share.settings.continuous_availability:
        return False
    return bool(call.connection.capabilities & Capability.PERSISTENT_HANDLES)


# Afterwards -----------------------------------------------------------------------------------------------------


async def sweep(server: Server) -> None:
    """Close what nobody came back for, and do what there was no time for where it came up."""
    for opened in server.durable.expired(server.runtime.now_ns()):
        log.info("%s of %s is closed: nobody came back for it", opened.path, opened.session_name)
        _give_up(server, opened)
    await delete_doomed(server)
    if server.unsaved:
        try:
            await save_changes(server)
        except OSError:  # logged; the next sweep tries again
            return


def _give_up(server: Server, opened: FileOpen) -> None:
    doomed = server.close_open(opened)
    if doomed is not None:
        server.doomed.append(doomed)


async def let_go(server: Server) -> None:
    """The server stops: only what is persistent waits for the next one."""
    for opened in server.durable.disconnected():
        if not opened.is_persistent:
            _give_up(server, opened)
    await sweep(server)
    for opened in server.durable.disconnected():
        opened.release_handle()


def owner_of(session: Session) -> str:
    """DurableOwner.  Names are compared without case, and the database knows each only once."""
    return session.user_name.casefold()
