"""Clients that lose their connections and come back."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from smbport.commands.durable import let_go, sweep
from smbport.commands.persistent import restore
from smbport.commands.steps import Blocking, Step
from smbport.state.persistent import Batch, PersistentRecord
from smbport.state.ranges import HeldLock
from smbport.testing.client import FileId
from smbport.testing.direct import new_server
from smbport.wire.constants import Capability, Command, ContextTag, Dialect, HeaderFlag, OplockLevel
from smbport.wire.create import CreateResponse, create_contexts
from smbport.wire.create_contexts import (
    AppInstanceId,
    AppInstanceVersion,
    DurableFlag,
    DurableHandleReconnect,
    DurableHandleReconnectV2,
    DurableHandleRequest,
    DurableHandleRequestV2,
    DurableHandleResponseV2,
    LeaseContextV2,
    LeaseState,
)
from smbport.wire.header import HEADER_SIZE, Header
from smbport.wire.lock import LockElement, LockRequest, pack_lock_request
from smbport.wire.status import status_name

CLIENT = bytes([1]) * 16
GUID = bytes([3]) * 16
KEY = bytes([4]) * 16
BITS = {"R": LeaseState.READ_CACHING, "W": LeaseState.WRITE_CACHING, "H": LeaseState.HANDLE_CACHING}
Context = tuple[bytes, bytes]


class MemoryStore:
    """A handle store that can be told to fail."""

    def __init__(self) -> None:
        self.records: dict[int, PersistentRecord] = {}
        self.locks: dict[int, list[HeldLock]] = {}
        self.failing = False
        self.saves = 0

    def save(self, batch: Batch, *, wait: bool = False) -> None:
        if not wait:
            raise BlockingIOError
        if self.failing:
            raise OSError(28, "no space")
        self.saves += 1
        for record in batch.records:
            self.records[record.persistent_id] = record
        for persistent_id, lock, delta in batch.locks:
            held = self.locks.setdefault(persistent_id, [])
            held.append(lock) if delta > 0 else held.remove(lock)
        for persistent_id in batch.gone:
            self.records.pop(persistent_id, None)
            self.locks.pop(persistent_id, None)

    def load(self, *, wait: bool = False) -> list[tuple[PersistentRecord, list[HeldLock]]]:
        if not wait:
            raise BlockingIOError
        return [(record, self.locks.get(key, [])) for key, record in sorted(self.records.items())]

    def close(self) -> None:
        raise AssertionError("the one who opened it closes it")


class World:
    """A wire whose share can be continuously available, and everything that a durable client says."""

    def __init__(
        self, new_wire: Callable[..., Any], *, available: bool = False, local_locks: bool = False, **settings: Any
    ) -> None:
        share = {"continuous_availability": available, "local_locks": local_locks}
        self.wire = new_wire(share=share, **settings)
        self.store = MemoryStore()
        self.server.handle_store = self.store

    @property
    def server(self) -> Any:
        return self.wire.server

    # Contexts ---------------------------------------------------------------------------------------------------

    durable = (ContextTag.DURABLE_REQUEST, DurableHandleRequest().pack())

    @staticmethod
    def durable_v2(guid: bytes = GUID, *, timeout: int = 0, persistent: bool = False) -> Context:
        flags = DurableFlag.PERSISTENT if persistent else 0
        asked = DurableHandleRequestV2(timeout=timeout, flags=flags, create_guid=guid)
        return ContextTag.DURABLE_REQUEST_V2, asked.pack()

    @staticmethod
    def again(file: FileId) -> Context:
        asked = DurableHandleReconnect(file_id_persistent=file.persistent, file_id_volatile=file.volatile)
        return ContextTag.DURABLE_RECONNECT, asked.pack()

    @staticmethod
    def again_v2(file: FileId, guid: bytes = GUID, *, persistent: bool = False) -> Context:
        asked = DurableHandleReconnectV2(
            file_id_persistent=file.persistent,
            file_id_volatile=file.volatile,
            create_guid=guid,
            flags=DurableFlag.PERSISTENT if persistent else 0,
        )
        return ContextTag.DURABLE_RECONNECT_V2, asked.pack()

    @staticmethod
    def lease(state: str = "RWH", key: bytes = KEY) -> Context:
        bits = sum(BITS[letter] for letter in state)
        return ContextTag.LEASE, LeaseContextV2(lease_key=key, lease_state=bits, parent_lease_key=bytes(16)).pack()

    @staticmethod
    def app_instance(number: int, version: tuple[int, int] | None = None) -> list[Context]:
        contexts = [(ContextTag.APP_INSTANCE_ID, AppInstanceId(app_instance_id=bytes([number]) * 16).pack())]
        if version is not None:
            high, low = version
            data = AppInstanceVersion(app_instance_version_high=high, app_instance_version_low=low).pack()
            contexts.append((ContextTag.APP_INSTANCE_VERSION, data))
        return contexts

    # Clients ----------------------------------------------------------------------------------------------------

    def come(self, client: bytes = CLIENT, user: str = "u", *, dialect: int = Dialect.SMB_3_1_1) -> Any:
        """A client that is logged on and has a tree."""
        peer = self.wire.client()
        peer.client_guid = client
        peer.capabilities |= Capability.PERSISTENT_HANDLES
        peer.negotiate([dialect])
        peer.log_on(user, {"u": "p", "other": "q"}[user])
        peer.tree = peer.tree_connect("s")
        return peer

    def come_back(self, peer: Any, client: bytes = CLIENT, user: str = "u", **how: Any) -> Any:
        """Its connection is lost; the next one."""
        peer.connection.close()
        return self.come(client, user, **how)

    def create(self, peer: Any, name: str, *contexts: Context, replay: bool = False, **fields: Any) -> Any:
        """CREATE: status, and what the response says."""
        pending = self.start(peer, name, *contexts, replay=replay, **fields)
        return self.finish(peer, pending)

    def start(self, peer: Any, name: str, *contexts: Context, replay: bool = False, **fields: Any) -> int:
        """Send a CREATE; its message id."""
        leased = any(tag == ContextTag.LEASE for tag, _ in contexts)
        fields.setdefault("requested_oplock_level", OplockLevel.LEASE if leased else OplockLevel.BATCH)
        fields.setdefault("create_disposition", 3)
        body = peer.create_body(name, contexts, **fields)
        flags = HeaderFlag.REPLAY_OPERATION if replay else 0
        message = peer.message(Command.CREATE, body, tree_id=peer.tree, flags=flags)
        peer.link.send(peer.protect(message))
        return Header.unpack_from(message).message_id

    def finish(self, peer: Any, message_id: int) -> Any:
        """Its final response."""
        header, frame = peer.finish(message_id)
        answer = SimpleNamespace(status=status_name(header.status).removeprefix("STATUS_"))
        if header.status:
            return answer
        response = CreateResponse.unpack_from(frame, HEADER_SIZE)
        answer.contexts = dict(create_contexts(frame, response, limit=64))
        answer.file = peer.file_id(peer.tree, frame)
        answer.action, answer.level = response.create_action, response.oplock_level
        answer.durable = ContextTag.DURABLE_REQUEST in answer.contexts
        granted = answer.contexts.get(ContextTag.DURABLE_REQUEST_V2)
        answer.v2 = DurableHandleResponseV2.unpack_from(granted) if granted is not None else None
        state = answer.file.lease.lease_state if answer.file.lease is not None else 0
        answer.lease = "".join(letter for letter, bit in BITS.items() if state & bit)
        return answer

    def lock(self, peer: Any, file: FileId, *elements: tuple[int, int, int], sequence: int = 0) -> str:
        """LOCK: the status."""
        request = LockRequest(
            file_id_persistent=file.persistent, file_id_volatile=file.volatile, lock_sequence=sequence
        )
        packed = [LockElement(offset=offset, length=length, flags=flags) for offset, length, flags in elements]
        return status_name(peer.status(Command.LOCK, pack_lock_request(request, packed))).removeprefix("STATUS_")

    # The server -------------------------------------------------------------------------------------------------

    def pass_time(self, seconds: float) -> None:
        """So much later, the server looks who has not come back."""
        runtime = self.server.runtime
        later = runtime.now_ns() + round(seconds * 1e9)
        object.__setattr__(runtime, "now_ns", lambda: later)
        self.sweep()

    def sweep(self) -> None:
        drive(sweep(self.server))

    def stop(self) -> None:
        """An orderly end."""
        drive(let_go(self.server))

    def die_and_live_again(self) -> None:
        """The process is gone; another one has the same files and the same store."""
        old = self.server
        self.wire.server = new_server(old.settings, self.wire.faults.wrap(self.wire.memory), self.wire.users)
        self.server.handle_store = self.store
        drive(restore(self.server))


def drive(handler: Any) -> None:
    """Run something to its end; what would go to a thread runs here."""
    try:
        step: Step = handler.send(None)
        while True:
            assert isinstance(step, Blocking)
            try:
                value = step.function(*step.args, **step.keywords, wait=True)
            except OSError as error:
                step = handler.throw(error)
            else:
                step = handler.send(value)
    except StopIteration:
        return


@pytest.fixture
def new_world(new_wire: Callable[..., Any]) -> Callable[..., World]:
    return lambda **settings: World(new_wire, **settings)


@pytest.fixture
def world(new_world: Callable[..., World]) -> World:
    return new_world()


@pytest.fixture
def available(new_world: Callable[..., World]) -> World:
    """With a share that is continuously available."""
    return new_world(available=True)
