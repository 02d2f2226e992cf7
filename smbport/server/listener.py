"""Accepting connections within limits, watching their time-outs, and stopping in order."""

import logging
import socket
from collections import Counter
from collections.abc import Sequence

import trio

from smbport.server.connection import ClientConnection
from smbport.server.transport import BufferPool
from smbport.state.server import Server

__all__ = ["Listener"]

log = logging.getLogger("smbport")

TICK_S = 1.0  # how often time-outs are looked at: none of them needs to be exact
ACCEPT_PAUSE_S = 0.1  # after running out of descriptors (guessed)
GRACE_S = 10.0  # for requests that run when the server stops
THREADS = 40  # worker threads for steps that block (trio's own default)


class Listener:
    """All sockets and connections of one server."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.connections: set[ClientConnection] = set()
        self._by_address: Counter[str] = Counter()
        self._pool = BufferPool()
        self._threads = trio.CapacityLimiter(THREADS)

    async def serve(
        self, sockets: Sequence[socket.socket], task_status: "trio.TaskStatus[None]" = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Serve until cancelled; then stop in order: no new requests, answers out, files closed."""
        async with trio.open_nursery() as clients:
            try:
                async with trio.open_nursery() as acceptors:
                    for sock in sockets:
                        sock.setblocking(False)
                        acceptors.start_soon(self._accept, sock, clients)
                    acceptors.start_soon(self._watch_time)
                    task_status.started()
            finally:
                with trio.CancelScope(shield=True):
                    for sock in sockets:
                        sock.close()
                    await self._stop_all()

    async def _stop_all(self) -> None:
        async with trio.open_nursery() as nursery:
            for connection in list(self.connections):
                nursery.start_soon(connection.stop, GRACE_S)

    async def _accept(self, listening: socket.socket, clients: trio.Nursery) -> None:
        while True:
            await trio.lowlevel.wait_readable(listening.fileno())
            try:
                sock, peer = listening.accept()
            except BlockingIOError:
                continue
            except OSError as error:  # EMFILE and friends: the waiting client may be served later
                log.warning("cannot accept: %s", error.strerror)
                await trio.sleep(ACCEPT_PAUSE_S)
                continue
            address = str(peer[0])
            refusal = self._refusal(address)
            if refusal:
                log.warning("connection from %s refused: %s", address, refusal)
                sock.close()
                continue
            sock.setblocking(False)
            self.server.platform.sockets.tune(sock)
            clients.start_soon(self._run, sock, address)

    def _refusal(self, address: str) -> str:
        """Why one more connection of this address is too much; "" if it is not."""
        limits = self.server.settings.limits
        if len(self.connections) >= limits.connections:
            return f"limits.connections is {limits.connections}"
        if self._by_address[address] >= limits.connections_per_address:
            return f"limits.connections_per_address is {limits.connections_per_address}"
        strangers = [connection for connection in self.connections if not connection.state.has_session()]
        if len(strangers) >= limits.unauthenticated_connections:
            return f"limits.unauthenticated_connections is {limits.unauthenticated_connections}"
        if sum(other.state.address == address for other in strangers) >= limits.unauthenticated_per_address:
            return f"limits.unauthenticated_per_address is {limits.unauthenticated_per_address}"
        return ""

    async def _run(self, sock: socket.socket, address: str) -> None:
        connection = ClientConnection(self.server, sock, address, self._pool, self._threads)
        self.connections.add(connection)
        self._by_address[address] += 1
        try:
            await connection.run()
        finally:
            self.connections.discard(connection)
            self._by_address[address] -= 1
            if not self._by_address[address]:
                del self._by_address[address]

    async def _watch_time(self) -> None:
        """End connections that do not get on with it."""
        limits = self.server.settings.limits
        while True:
            await trio.sleep(TICK_S)
            now = trio.current_time()
            for connection in list(self.connections):
                state = connection.state
                age_s = now - connection.started
                if not state.negotiated:
                    if age_s > limits.negotiate_timeout_s:
                        connection.end(f"no NEGOTIATE in {limits.negotiate_timeout_s:g} s")
                elif not state.has_session():
                    if now - connection.last_logged_on > limits.session_timeout_s:
                        connection.end(f"no session in {limits.session_timeout_s:g} s")
                elif now - connection.last_received > limits.idle_timeout_s and not state.has_opens():
                    connection.end(f"idle without opens for {limits.idle_timeout_s:g} s")
                if state.has_session():
                    connection.last_logged_on = now
