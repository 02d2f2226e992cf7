"""One client connection: receive, answer inline what can be, send.  The only place with a broad `except`."""

import logging
import socket
from collections.abc import Callable

import trio

from smbport.commands.call import Chain
from smbport.commands.close import delete_name
from smbport.commands.dispatch import accept, answer_chain, pack_interim, pack_replies
from smbport.commands.negotiate import answer_smb1
from smbport.commands.steps import Step
from smbport.server.drive import Handler, Wait, begin, finish
from smbport.server.transport import BufferPool, Receiver, Sender
from smbport.state.connection import Connection, Running
from smbport.state.open import FileOpen
from smbport.state.server import Server
from smbport.wire.header import SMB1_MAGIC
from smbport.wire.status import Disconnect, Status, StatusError

__all__ = ["ClientConnection"]

log = logging.getLogger("smbport")

FRAME_OVERHEAD = 65536  # headers, contexts and compound elements around the largest payload
HEX_BYTES = 256  # of a request that met a bug, in the log


def _harmless() -> None:
    """What cancels a request that does not wait."""


class ClientConnection:
    """Joins a socket to the protocol."""

    def __init__(
        self, server: Server, sock: socket.socket, address: str, pool: BufferPool, threads: trio.CapacityLimiter
    ) -> None:
        self.state = Connection(server, address)
        self.server = server
        self.last_received = trio.current_time()
        self.started = self.last_logged_on = self.last_received
        self._socket = sock
        self._threads = threads
        self._receiver = Receiver(sock, pool)
        self._scope = trio.CancelScope()
        self._in_threads = 0  # chains that left for a thread
        self._less_busy = trio.lowlevel.ParkingLot()
        self._reason = ""
        self._stopping = False

    async def run(self) -> None:
        """Serve until the client goes, breaks the protocol, or `end` is called; then release everything."""
        try:
            with self._scope:
                async with trio.open_nursery() as nursery:
                    self._nursery = nursery
                    self._sender = Sender(self._socket, self.server, nursery.start_soon, self.end)
                    await self._serve()
                    nursery.cancel_scope.cancel()
        except Disconnect as reason:
            self._reason = str(reason)
        except ExceptionGroup as group:
            self._reason = self._reason_of(group)
        except OSError as error:
            self._reason = error.strerror or str(error)
        finally:
            with trio.CancelScope(shield=True):
                await self._release()

    def end(self, reason: str) -> None:
        """End the connection from outside."""
        self._reason = self._reason or reason
        self._scope.cancel()

    async def stop(self, grace_s: float) -> None:
        """Take no more requests, let those that run finish for at most `grace_s`, send their answers, end."""
        self._stopping = True
        self.state.cancel_requests()
        with trio.move_on_after(grace_s):
            while self._in_threads:
                await self._less_busy.park()
            await self._sender.wait_for_space(0)
        self.end("the server stops")

    # Receiving --------------------------------------------------------------------------------------------------

    async def _serve(self) -> None:
        limits = self.server.settings.limits
        while await self._receiver.receive():
            self.last_received = trio.current_time()
            for frame in self._receiver.frames(self._frame_limit()):
                if self._stopping:
                    return
                self._on_frame(frame)
                if self._sender.wants_flush:
                    self._sender.flush()
                    await self._sender.wait_for_space(limits.queued_bytes)
                while self._in_threads >= limits.running_requests:
                    await self._less_busy.park()
            self._sender.flush()
            if self._sender.queued_bytes > limits.queued_bytes:
                await self._sender.wait_for_space(limits.queued_bytes)

    def _frame_limit(self) -> int:
        """How long a frame may be now; little before anybody is logged on."""
        state = self.state
        if not state.negotiated or not state.has_session():
            return self.server.settings.limits.frame_before_session
        return max(state.max_write, state.max_transact) + FRAME_OVERHEAD

    def _on_frame(self, frame: memoryview) -> None:
        """Answer one frame, or start a task for it if it must wait."""
        try:
            if bytes(frame[:4]) == SMB1_MAGIC:
                self._sender.queue([*answer_smb1(self.state, frame)])
                return
            chain = accept(self.state, frame)
            if chain is None:
                return
            handler = answer_chain(chain)
            step = begin(handler)
            if step is None:
                self._sender.queue(pack_replies(chain))
            else:
                self._leave(chain, handler, step)
        except (Disconnect, trio.Cancelled):
            raise
        except Exception as bug:  # noqa: BLE001 - the one place: a bug costs this connection, never the server
            self._on_bug(bug, frame)

    def _on_bug(self, bug: Exception, frame: memoryview) -> None:
        self.server.bugs += 1
        # Only the header: what follows may hold names, data or proofs.
        log.error("bug while answering %s; header %s", self.state.address, bytes(frame[:64]).hex(), exc_info=bug)
        raise Disconnect("an internal error")

    # Waiting ----------------------------------------------------------------------------------------------------

    def _leave(self, chain: Chain, handler: Handler, step: Step) -> None:
        """Give a half-run handler a task of its own; it keeps the frame it reads from."""
        self._receiver.abandon()
        call = chain.calls[chain.current]
        session = call.channel.session if call.channel is not None else None
        running = Running(call.header.message_id, session, _harmless)
        self.state.running[running.message_id] = running
        self._in_threads += 1
        self._nursery.start_soon(self._finish, chain, handler, step, running)

    async def _finish(self, chain: Chain, handler: Handler, step: Step, running: Running) -> None:
        try:
            await finish(handler, step, Wait(running, self._announcer(chain)), self._threads)
            self._sender.queue(pack_replies(chain))
            self._sender.flush()
        except (Disconnect, trio.Cancelled):
            raise
        except Exception as bug:  # noqa: BLE001 - see _on_frame
            self._on_bug(bug, chain.calls[chain.current].message)
        finally:
            self.state.running.pop(running.message_id, None)
            if not running.async_id:
                self._in_threads -= 1
            self._less_busy.unpark_all()

    def _announcer(self, chain: Chain) -> Callable[[Running], None]:
        def announce(running: Running) -> None:
            waiting = sum(other.async_id != 0 for other in self.state.running.values())
            if waiting >= self.server.settings.limits.async_requests:
                raise StatusError(Status.INSUFFICIENT_RESOURCES, "too many requests wait")
            running.async_id = self.state.next_async_id
            self.state.next_async_id += 1
            self._in_threads -= 1  # it waits for the client's own doing now and holds no thread
            self._sender.queue(pack_interim(chain, running.async_id))
            self._sender.flush()

        return announce

    # Ending -----------------------------------------------------------------------------------------------------

    def _reason_of(self, group: ExceptionGroup[Exception]) -> str:
        """Disconnects and socket errors end a connection; anything else in the group is a bug of ours."""
        expected, rest = group.split((Disconnect, OSError))
        if rest is not None:
            self.server.bugs += 1
            log.error("bug on the connection of %s", self.state.address, exc_info=rest)
        leaf: BaseException = expected if expected is not None else group
        while isinstance(leaf, BaseExceptionGroup):
            leaf = leaf.exceptions[0]
        return str(leaf)

    async def _release(self) -> None:
        """Everything this connection held: buffers, socket, and the sessions that have no other channel."""
        self._sender.close()
        self._receiver.release()
        self._socket.close()
        if self._reason:
            log.info("connection of %s ended: %s", self.state.address, self._reason)
        for session in self.state.sessions_lost():
            for opened in session.close():
                await self._delete(opened)

    async def _delete(self, opened: FileOpen) -> None:
        handler = delete_name(self.server, opened)
        step = begin(handler)
        if step is not None:
            running = Running(0, None, _harmless)
            await finish(handler, step, Wait(running, lambda _: None), self._threads)
