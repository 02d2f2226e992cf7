"""A whole server on loopback, everything in it within reach, and real clients for it."""

import os
import socket
import struct
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import closing
from typing import NamedTuple

import pytest
import trio

from smbport.security.auth import Authenticator
from smbport.server.listener import Listener
from smbport.server.workers import Workers
from smbport.state.server import Runtime, Server
from smbport.state.settings import Limits, Settings, ShareSettings
from smbport.testing.client import Client, FileId, SocketLink
from smbport.testing.faults import Faults
from smbport.testing.memory import MemoryPlatform
from smbport.users import MemoryUsers
from smbport.wire.constants import Access, Command, CreateDisposition, LockFlag
from smbport.wire.echo import CancelRequest, EchoRequest
from smbport.wire.file import ReadRequest, WriteRequest, pack_read_request, pack_write_request
from smbport.wire.header import Header
from smbport.wire.lock import LockElement, LockRequest, pack_lock_request
from smbport.wire.status import Status

SOCKET_TIMEOUT_S = 60  # of a client that waits for an answer in vain


class Request(NamedTuple):
    """One frame, and what its answer will be known by."""

    message_id: int
    frame: bytes


class Peer(Client):
    """A client that sends as much as it likes before it awaits answers, in a thread."""

    link: SocketLink

    def __init__(self, address: tuple[str, int]) -> None:
        super().__init__(SocketLink.connect(*address, SOCKET_TIMEOUT_S))
        self.sock = self.link.sock

    async def do(self, function, *args, **keywords):
        """Anything that a client does in turns with the server: log on, open, read."""
        return await trio.to_thread.run_sync(lambda: function(*args, **keywords))

    def send(self, *requests: Request) -> list[int]:
        """Send all at once; the message ids."""
        self.sock.sendall(b"".join(len(frame).to_bytes(4, "big") + frame for _, frame in requests))
        return [request.message_id for request in requests]

    async def answer(self) -> Header:
        """The header of the next message."""
        header, _ = await self.do(self.receive)
        return header

    async def answers(self, count: int) -> dict[int, int]:
        """Message ids and statuses of the next final answers, in the order of arrival."""
        found: dict[int, int] = {}
        while len(found) < count:
            header = await self.answer()
            if header.status != Status.PENDING:
                found[header.message_id] = header.status
        return found

    async def is_gone(self) -> bool:
        """Whether the server hangs up; what it says before does not matter."""
        try:
            while await self.do(self.sock.recv, 1 << 20):
                pass
        except ConnectionResetError:
            return True
        return True

    def reset(self) -> None:
        """Go without a farewell: the server meets ECONNRESET."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.link.close()

    def open(self, tree_id: int, name: str) -> FileId:
        return self.create(tree_id, name, access=Access.GENERIC_ALL, disposition=CreateDisposition.OPEN_IF)

    # Requests to be sent.

    def request(self, command: int, body: bytes, **keywords) -> Request:
        message = self.message(command, body, **keywords)
        return Request(Header.unpack_from(message).message_id, self.protect(message))

    def echo(self) -> Request:
        return self.request(Command.ECHO, EchoRequest().pack())

    def reading(self, file: FileId, offset: int, length: int) -> Request:
        request = ReadRequest(length=length, offset=offset, **_ids(file))
        charge = max(1, -(-length // 65536))
        return self.request(Command.READ, pack_read_request(request), tree_id=file.tree_id, charge=charge)

    def writing(self, file: FileId, offset: int, data: bytes) -> Request:
        request = WriteRequest(length=len(data), offset=offset, flags=0, **_ids(file))
        charge = max(1, -(-len(data) // 65536))
        return self.request(Command.WRITE, pack_write_request(request, data), tree_id=file.tree_id, charge=charge)

    def locking(self, file: FileId, offset: int = 0, flags: int = LockFlag.EXCLUSIVE) -> Request:
        body = pack_lock_request(LockRequest(**_ids(file)), [LockElement(offset=offset, length=1, flags=flags)])
        return self.request(Command.LOCK, body, tree_id=file.tree_id)

    def cancelling(self, message_id: int) -> Request:
        return self.request(Command.CANCEL, CancelRequest().pack(), message_id=message_id)


def _ids(file: FileId) -> dict[str, int]:
    return {"file_id_persistent": file.persistent, "file_id_volatile": file.volatile}


class Gate:
    """Threads that come to it wait until it is opened."""

    def __init__(self) -> None:
        self.arrived = 0
        self._opened = threading.Event()
        self._lock = threading.Lock()

    def pass_through(self) -> None:
        with self._lock:
            self.arrived += 1
        self._opened.wait()

    def open(self) -> None:
        self._opened.set()


class World:
    """A server that runs, on a platform that fails on order."""

    def __init__(self, settings: Settings, platform: object | None) -> None:
        self.memory = MemoryPlatform()
        self.faults = Faults()
        self.platform = platform or self.faults.wrap(self.memory)
        random_bytes = os.urandom
        authenticator = Authenticator(
            users=MemoryUsers({"u": "p"}), server_name="S", domain="D", anonymous=False, guest=False,
            random_bytes=random_bytes,
        )  # fmt: skip
        runtime = Runtime(now_ns=lambda: 1_800_000_000 * 10**9, random_bytes=random_bytes, new_event=trio.Event)
        self.server = Server(settings, self.platform, authenticator, runtime)  # type: ignore[arg-type]
        self.listener = Listener(self.server)
        self.listening = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.address: tuple[str, int] = self.listening.getsockname()
        self.scope = trio.CancelScope()
        self.stopped = trio.Event()
        self.peers: list[Peer] = []

    async def run(self, task_status: trio.TaskStatus[None]) -> None:
        with self.scope:
            await self.listener.serve([self.listening], task_status=task_status)
        self.stopped.set()

    def connect(self) -> Peer:
        """A client that has said nothing yet."""
        peer = Peer(self.address)
        self.peers.append(peer)
        return peer

    async def log_on(self, dialect: int = 0x0311) -> tuple[Peer, int]:
        """A client with a session, and the id of its tree."""
        peer = self.connect()
        await peer.do(peer.negotiate, [dialect])
        await peer.do(peer.log_on, "u", "p")
        return peer, await peer.do(peer.tree_connect, "s")

    def hold(self, gate: Gate, name: str) -> None:
        """Send these platform calls to threads, and hold them there."""
        self.faults.force_threads(name)
        self.faults.do_before(name, gate.pass_through, times=None)

    async def until(self, condition: Callable[[], object]) -> None:
        """Let everybody run until it is so."""
        while not condition():
            await trio.lowlevel.checkpoint()

    async def until_alone(self) -> None:
        """Until the last connection has ended; then nothing of any of them may be left."""
        await self.until(lambda: not self.listener.connections)
        assert self.leftovers() == {}

    def leftovers(self) -> dict[str, int]:
        """What clients have or had and the server still holds."""
        server, listener = self.server, self.listener
        counts = {
            "connections": len(listener.connections),
            "strangers": len(listener._strangers),
            "addresses": len(listener._by_address),
            "sessions": len(server.sessions),
            "opens": server.open_count,
            "shared files": len(server.files),
            "delayed logons": len(server.throttle._pending),
            "handles": self.memory.open_handles,
            "threads": listener._threads.borrowed_tokens,
        }
        return {name: count for name, count in counts.items() if count}

    def close(self) -> None:
        for peer in self.peers:
            peer.link.close()
        self.listening.close()
        self.server.lookout.close()
        for share in self.server.shares.values():
            if share.volume is not None:
                share.volume.close()


Start = Callable[..., Awaitable[World]]


@pytest.fixture
async def start(nursery: trio.Nursery) -> AsyncIterator[Start]:
    """`await start(connections=3)` starts a server with these limits."""
    worlds: list[World] = []

    async def start(*, settings: Settings | None = None, platform: object | None = None, **limits: float) -> World:
        settings = settings or Settings(
            server_guid=bytes(range(16)),
            shares=(ShareSettings(name="s", path="v", run_as="server"),),
            limits=Limits(**limits),  # type: ignore[arg-type]
        )
        world = World(settings, platform)
        worlds.append(world)
        await nursery.start(world.run)
        return world

    yield start
    for world in worlds:
        for connection in world.listener.connections:
            connection.end("the test is over")
        world.scope.cancel()
        await world.stopped.wait()
        world.close()


@pytest.fixture
async def gate() -> AsyncIterator[Gate]:
    """Opened at the end of a test whatever happens, or its threads would keep the server from stopping."""
    gate = Gate()
    yield gate
    gate.open()


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two ends of a connection: the server's, which does not block, and the client's."""
    ours, theirs = socket.socketpair()
    with closing(ours), closing(theirs):
        ours.setblocking(False)
        theirs.settimeout(SOCKET_TIMEOUT_S)
        yield ours, theirs


@pytest.fixture
def workers() -> Iterator[Workers]:
    with closing(Workers(1)) as made:
        yield made
