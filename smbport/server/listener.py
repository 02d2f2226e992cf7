"""Accepting connections within limits, watching their time-outs, and stopping in order."""

import logging
import socket
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from functools import partial

import trio

from smbport.server.connection import ClientConnection
from smbport.server.readiness import new_readiness
from smbport.server.transport import BufferPool
from smbport.server.watching import keep_watch
from smbport.server.workers import Workers
from smbport.state.connection import network_of
from smbport.state.hosts import admits
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
        self._strangers: set[ClientConnection] = set()  # nobody was logged on there when we last looked
        self._pool = BufferPool()
        self._threads = trio.CapacityLimiter(THREADS)
        self._workers = Workers(THREADS)
        self._attending = trio.CancelScope(shield=True)
        self._readiness = new_readiness(
            server.platform.sockets, self._threads, self._workers, server.settings.limits.busy_wait_us
        )
        self._complained = False  # that nothing could be accepted

    async def serve(
        self, sockets: Sequence[socket.socket], task_status: "trio.TaskStatus[None]" = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Serve until cancelled; then stop in order: no new requests, answers out, files closed."""
        with closing(self._readiness), closing(self._workers):
            async with trio.open_nursery() as services:
                services.start_soon(self._run_readiness)
                self._readiness.attend(self._workers.fileno(), self._workers.deliver)
                try:
                    await self._serve_clients(sockets, task_status)
                finally:
                    self._attending.cancel()

    async def _run_readiness(self) -> None:
        """Call those who have something to read, until the last connection is over."""
        with self._attending:
            await self._readiness.run()

    async def _serve_clients(self, sockets: Sequence[socket.socket], task_status: "trio.TaskStatus[None]") -> None:
        async with trio.open_nursery() as self._clients:
            try:
                async with trio.open_nursery() as acceptors:
                    for sock in sockets:
                        sock.setblocking(False)
                        self._attend(sock, acceptors)
                    acceptors.start_soon(self._watch_time)
                    acceptors.start_soon(keep_watch, self.server, self._threads)
                    task_status.started()
            finally:
                for sock in sockets:
                    self._readiness.leave(sock.fileno())
                    sock.close()
                for connection in self.connections:
                    connection.stop(GRACE_S)

    def _attend(self, listening: socket.socket, acceptors: trio.Nursery) -> None:
        pause = partial(acceptors.start_soon, self._pause, listening, acceptors)
        self._readiness.attend(listening.fileno(), partial(self._accept, listening), pause)

    def _accept(self, listening: socket.socket) -> bool:
        """Accept one that waits; False if a pause is better."""
        try:
            sock, peer = listening.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return True
        except OSError as error:  # EMFILE and friends: the waiting client may be served later
            if not self._complained:
                log.warning("cannot accept: %s", error.strerror)
            self._complained = True
            return False
        self._complained = False
        self._admit(sock, str(peer[0]))
        return True

    async def _pause(self, listening: socket.socket, acceptors: trio.Nursery) -> None:
        await trio.sleep(ACCEPT_PAUSE_S)
        self._attend(listening, acceptors)

    def _admit(self, sock: socket.socket, address: str) -> ClientConnection | None:
        """Count it from now on, so that whatever comes next sees it; None if it is closed again."""
        refusal = self._refusal(address)
        if refusal:
            log.warning("connection from %s refused: %s", address, refusal)
            sock.close()
            return None
        try:
            sock.setblocking(False)
            self.server.platform.sockets.tune(sock)
        except OSError as error:  # gone again, on some systems
            log.info("connection from %s lost: %s", address, error.strerror)
            sock.close()
            return None
        connection = ClientConnection(
            self.server, sock, address, self._pool, self._threads, self._readiness, self._workers
        )
        self.connections.add(connection)
        self._strangers.add(connection)
        self._by_address[connection.state.network] += 1
        connection.begin(self._clients, self._forget)
        return connection

    def _forget(self, connection: ClientConnection) -> None:
        self.connections.discard(connection)
        self._strangers.discard(connection)
        network = connection.state.network
        self._by_address[network] -= 1
        if not self._by_address[network]:
            del self._by_address[network]

    def _refusal(self, address: str) -> str:
        """Why this address, or one more connection of it, is not welcome; "" if it is."""
        settings, network = self.server.settings, network_of(address)
        limits = settings.limits
        if not admits(address, settings.hosts_allow, settings.hosts_deny):
            return "server.hosts_allow and server.hosts_deny do not admit it"
        if len(self.connections) >= limits.connections:
            return f"limits.connections is {limits.connections}"
        if self._by_address[network] >= limits.connections_per_address:
            return f"limits.connections_per_address is {limits.connections_per_address}"
        if len(self._strangers) < min(limits.unauthenticated_connections, limits.unauthenticated_per_address):
            return ""
        # Only now look who has logged on meanwhile: however many are connected, few are looked at.
        self._strangers = {other for other in self._strangers if not other.state.has_session()}
        if len(self._strangers) >= limits.unauthenticated_connections:
            return f"limits.unauthenticated_connections is {limits.unauthenticated_connections}"
        if sum(other.state.network == network for other in self._strangers) >= limits.unauthenticated_per_address:
            return f"limits.unauthenticated_per_address is {limits.unauthenticated_per_address}"
        return ""

    async def _watch_time(self) -> None:
        """End connections that do not get on with it."""
        while True:
            await trio.sleep(TICK_S)
            self._check_times(trio.current_time())

    def _check_times(self, now: float) -> None:
        for connection in self.connections:
            if connection.state.has_session():
                connection.last_logged_on = now
            else:
                self._strangers.add(connection)  # again, after a LOGOFF
            self._check_time(connection, now)

    def _check_time(self, connection: ClientConnection, now: float) -> None:
        state, limits = connection.state, self.server.settings.limits
        if not state.negotiated:
            if now - connection.started > limits.negotiate_timeout_s:
                connection.end(f"no NEGOTIATE in {limits.negotiate_timeout_s:g} s")
        elif now - connection.last_logged_on > limits.session_timeout_s:
            connection.end(f"no session in {limits.session_timeout_s:g} s")
        elif now - connection.conversation.last_received > limits.idle_timeout_s and not state.has_opens():
            connection.end(f"idle without opens for {limits.idle_timeout_s:g} s")
