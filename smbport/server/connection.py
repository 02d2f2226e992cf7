"""One client connection: receive, answer inline what can be, send.  The only place with a broad `except`."""

import logging
import socket
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

import trio

from smbport.commands.call import Chain
from smbport.commands.close import delete_name
from smbport.commands.compression import CompressedFrame
from smbport.commands.dispatch import accept, answer_chain, pack_interim, pack_replies
from smbport.commands.negotiate import answer_smb1
from smbport.commands.steps import Step
from smbport.server.drive import Handler, Wait, begin, finish
from smbport.server.readiness import Readiness
from smbport.server.transport import BufferPool, Receiver, Sender
from smbport.state.connection import Connection, Running
from smbport.state.open import FileOpen
from smbport.state.server import Server
from smbport.wire.header import SMB1_MAGIC
from smbport.wire.record import Buffer
from smbport.wire.status import Disconnect, Status, StatusError

__all__ = ["ClientConnection", "outliving_bugs"]

log = logging.getLogger("smbport")

FRAME_OVERHEAD = 65536  # headers, contexts and compound elements around the largest payload
DELIVERY_TIMEOUT_S = 3.0  # until TCP has tried four times: a break of 35 s leaves room for some channels
DELIVERY_TICK_S = 0.1
CREDIT_BYTES = 65536  # what one credit pays for, in either direction


def _harmless() -> None:
    """What cancels a request that does not wait."""


@contextmanager
def outliving_bugs(server: Server, where: str) -> Iterator[None]:
    """What is done in the block can fail without ending more than itself."""
    try:
        yield
    except Exception as bug:  # see ClientConnection._on_frame
        server.bugs += 1
        log.error("bug %s", where, exc_info=bug)


class ClientConnection:
    """Joins a socket to the protocol."""

    def __init__(
        self, server: Server, sock: socket.socket, address: str, pool: BufferPool, threads: trio.CapacityLimiter,
        readiness: Readiness,
    ) -> None:  # fmt: skip
        self.state = Connection(server, address)
        self.state.send = self._notify
        self.server = server
        self.last_received = trio.current_time()
        self.started = self.last_logged_on = self.last_received
        self._socket = sock
        self._threads = threads
        self._readiness = readiness
        self._receiver = Receiver(sock, pool)
        self._sender = Sender(sock, server, self._start, self.end)
        # Shielded: who cancels the server must not cut off answers that are on their way; `stop` ends it in order.
        self._scope = trio.CancelScope(shield=True)  # everything
        self._talking = trio.CancelScope(shield=True)  # the socket
        self._receiving = trio.CancelScope()
        self._running = 0  # chains that left for a thread and do not wait for another client's doing
        self._running_bytes = 0  # what they hold or may answer
        self._waiting = 0  # chains that wait, or have waited, for that
        self._unasked: deque[tuple[Sequence[Buffer], Callable[[], None] | None]] = deque()
        self._change = trio.lowlevel.ParkingLot()  # for those who look at these numbers
        self._reason = ""
        self._failure: Exception | None = None  # of the last turn
        self._at_end = False  # of what the client sends
        self._compressed: CompressedFrame | None = None  # to be expanded before anything else is answered
        self._answering = False

    async def run(self) -> None:
        """Serve until the client goes, breaks the protocol, or `end` or `stop` is called; then release everything.

        Some requests go on without their connection, and only then it is over.  [MS-SMB2] 3.3.7.1
        """
        with self._outliving_bugs(), self._scope:
            async with trio.open_nursery() as self._requests:
                await self._talk()
                await self._end_requests()
                await self._lose_sessions()
                while self.state.running:
                    self.state.cancel_lost()
                    await self._change.park()
        await self._lose_sessions()

    async def _talk(self) -> None:
        """Everything that needs the socket."""
        try:
            with self._talking:
                async with trio.open_nursery() as self._nursery:
                    try:
                        with self._receiving:
                            await self._serve()
                        await self._wind_up()
                    finally:
                        self._sender.flush()  # what was asked before the fault is answered
                        self._sender.close()
        except Exception as error:  # noqa: BLE001 - whatever happens here, the server lives
            self._reason = self._reason_of(error)
        finally:
            self._hang_up()

    def end(self, reason: str) -> None:
        """End the connection at once."""
        self._reason = self._reason or reason
        self._talking.cancel()

    def stop(self, grace_s: float) -> None:
        """Take no more requests, let those that run finish for at most `grace_s`, send their answers, end."""
        self._reason = self._reason or "the server stops"
        self._scope.deadline = self._talking.deadline = trio.current_time() + grace_s
        self._receiving.cancel()
        self.state.closing = True
        self._change.unpark_all()

    # Receiving --------------------------------------------------------------------------------------------------

    async def _serve(self) -> None:
        """Have requests answered as they come; wait here for what must be waited for."""
        while True:
            await self._readiness.attend(self._socket.fileno(), self._on_readable)
            failure, self._failure = self._failure, None
            if failure is not None:
                raise failure
            if self._at_end:
                return
            await self._make_way()
            while not self._answer_received():
                await self._make_way()

    def _on_readable(self) -> bool:
        """Receive and answer; False if `_serve` has to go on.  It runs in a task that serves all connections."""
        try:
            return self._take_turn()
        except Exception as failure:  # noqa: BLE001 - it belongs to this connection: `_serve` raises it
            self._failure = failure
            return False

    def _take_turn(self) -> bool:
        receiver = self._receiver
        while True:
            try:
                if not receiver.receive():
                    self._at_end = True
                    return False
            except BlockingIOError:
                receiver.rest()
                return True
            self.last_received = trio.current_time()
            if not self._answer_received():
                return False
            if not receiver.rest_is_due:
                receiver.rest()
                return True

    def _answer_received(self) -> bool:
        """Everything that is there; False if something must be waited for first."""
        sender = self._sender
        for frame in self._receiver.frames(self._frame_limit()):
            self._compressed = self._on_frame(frame)
            if sender.wants_flush:
                sender.flush()
            if self._compressed is not None or self._is_congested():
                break
        else:
            sender.flush()
            return not self._is_congested()
        return False

    def _is_congested(self) -> bool:
        limits = self.server.settings.limits
        return (
            self._sender.queued_bytes > limits.queued_bytes
            or self._running >= limits.running_requests
            or self._running_bytes > limits.queued_bytes
        )

    async def _make_way(self) -> None:
        """Wait until more can be answered."""
        compressed, self._compressed = self._compressed, None
        if compressed is not None:
            await self._expand(compressed)
        limits = self.server.settings.limits
        self._sender.flush()
        await self._sender.wait_for_space(limits.queued_bytes)
        while self._running >= limits.running_requests or self._running_bytes > limits.queued_bytes:
            await self._change.park()

    async def _wind_up(self) -> None:
        """No more requests come: what waits is cancelled, what runs ends by itself, and the answers go out."""
        self._sender.flush()
        await self._end_requests()
        await self._sender.wait_for_space(0)

    def _frame_limit(self) -> int:
        """How long a frame may be now; little before anybody is logged on."""
        state = self.state
        if not state.negotiated or not state.has_session():
            return self.server.settings.limits.frame_before_session
        return max(state.max_write, state.max_transact) + FRAME_OVERHEAD

    async def _expand(self, compressed: CompressedFrame) -> None:
        """Answer a frame that takes long to expand.  Meanwhile no other is taken, so that none overtakes it."""
        self._sender.flush()
        frame = await trio.to_thread.run_sync(compressed.expand, limiter=self._threads)
        await trio.lowlevel.checkpoint_if_cancelled()
        self._on_frame(frame, compressed.chain)

    def _on_frame(self, frame: memoryview, chain: Chain | None = None) -> CompressedFrame | None:
        """Answer one frame, or start a task for it if it must wait; or give it back if it is to be expanded first."""
        self._answering = True
        try:
            if bytes(frame[:4]) == SMB1_MAGIC:
                self._sender.queue([*answer_smb1(self.state, frame)])
                return None
            accepted = accept(self.state, frame, chain)
            if not isinstance(accepted, Chain):
                return accepted
            chain = accepted
            handler = answer_chain(chain)
            step = begin(handler)
            if step is None:
                self._queue_replies(chain)
            else:
                self._leave(chain, handler, step)
        except Disconnect:
            raise
        except Exception as bug:  # noqa: BLE001 - the one place: a bug costs this connection, never the server
            raise self._on_bug(bug, frame) from None
        finally:
            self._answering = False
        return None

    def _queue_replies(self, chain: Chain) -> None:
        self._sender.queue(pack_replies(chain))
        chain.replies_are_out()
        self._send_unasked()
        # Chain and calls know each other.  Left alone, they would keep frame and answer until the next collection.
        chain.calls.clear()

    def _notify(self, parts: Sequence[Buffer], lost: Callable[[], None] | None) -> None:
        """Send something that the client did not ask for.

        It may come from the task of another connection.  If it comes of what this client has just asked, the answer
        to that goes first.
        """
        self._unasked.append((parts, lost))
        if self._answering:
            return
        task = trio.lowlevel.current_task()
        if task is not self._requests.parent_task and task.parent_nursery is not self._requests:
            self._send_unasked()

    def _send_unasked(self) -> None:
        sender = self._sender
        while self._unasked:
            parts, lost = self._unasked.popleft()
            sender.queue([*parts])
            end = sender.taken_bytes + sender.queued_bytes
            sender.flush()
            if lost is not None and sender.closed:
                lost()
            elif lost is not None:
                self._start(self._watch_delivery, end, lost)

    async def _watch_delivery(self, position: int, lost: Callable[[], None]) -> None:
        """Call `lost` unless what was sent up to `position` arrives in time.  [MS-SMB2] 3.3.4.6: another channel"""
        try:
            with trio.move_on_after(DELIVERY_TIMEOUT_S):
                # Systems tell when asked, but do not call.
                while not self._sender.has_delivered(position):  # noqa: ASYNC110
                    await trio.sleep(DELIVERY_TICK_S)
        finally:
            if not self._sender.has_delivered(position):
                lost()

    def _on_bug(self, bug: Exception, frame: memoryview) -> Disconnect:
        self.server.bugs += 1
        # Only the header: what follows may hold names, data or proofs.
        log.error("bug while answering %s; header %s", self.state.address, bytes(frame[:64]).hex(), exc_info=bug)
        return Disconnect("an internal error")

    # Waiting ----------------------------------------------------------------------------------------------------

    def _start(self, function: Callable[..., Awaitable[None]], *args: object) -> None:
        self._nursery.start_soon(function, *args)

    def _leave(self, chain: Chain, handler: Handler, step: Step) -> None:
        """Give a half-run handler a task of its own; it keeps the frame it reads from, if it still does."""
        if chain.holds_frame:
            self._receiver.abandon()
        running = Running(-1, None, _harmless)
        self._follow(chain, running)
        cost = self._cost(chain)
        self._count_running(1, cost)
        wait = Wait(running, self._announcer(chain, cost))  # now: a CANCEL may be the next frame
        self._requests.start_soon(self._finish, chain, handler, step, wait, cost)
        self._send_unasked()

    def _cost(self, chain: Chain) -> int:
        """Bytes that a chain holds or will answer with, at most: what its credits pay for."""
        if not self.state.multi_credit:
            return CREDIT_BYTES * len(chain.calls)
        return CREDIT_BYTES * sum(max(call.header.credit_charge, 1) for call in chain.calls)

    def _count_running(self, chains: int, cost: int) -> None:
        self._running += chains
        self._running_bytes += cost
        self._change.unpark_all()

    def _follow(self, chain: Chain, running: Running) -> None:
        """Let a CANCEL find the chain by the request that it has come to."""
        call = chain.calls[chain.current]
        self.state.running.pop(running.message_id, None)
        running.message_id = call.header.message_id
        running.async_id = call.async_id
        running.session = call.channel.session if call.channel is not None else None
        self.state.running[running.message_id] = running

    async def _finish(self, chain: Chain, handler: Handler, step: Step, wait: Wait, cost: int) -> None:
        running = wait.running
        try:
            await finish(handler, step, wait, self._threads, self.server.lookout)
            self._queue_replies(chain)
            self._sender.flush()
        except Disconnect as why:
            self.end(str(why))
        except Exception as bug:  # noqa: BLE001 - see _on_frame
            self.end(str(self._on_bug(bug, chain.calls[chain.current].message)))
        finally:
            self.state.running.pop(running.message_id, None)
            running.cancel = _harmless
            if running.waits:
                self._waiting -= 1
            else:
                self._count_running(-1, -cost)
            self._change.unpark_all()

    def _announcer(self, chain: Chain, cost: int) -> Callable[[Running, bool], None]:
        def announce(running: Running, interim: bool) -> None:
            self._send_unasked()
            if not running.waits:
                if self._waiting >= self.server.settings.limits.async_requests:
                    raise StatusError(Status.INSUFFICIENT_RESOURCES, "too many requests wait")
                running.waits = True
                self._waiting += 1
                self._count_running(-1, -cost)  # it waits for others' doing now and holds no thread
            self._follow(chain, running)
            self._change.unpark_all()  # it may have to end with its connection
            if not interim or running.async_id:
                return
            running.async_id = self.server.new_async_id()
            self._sender.queue(pack_interim(chain, running.async_id))
            chain.replies_are_out()
            self._sender.flush()

        return announce

    # Ending -----------------------------------------------------------------------------------------------------

    def _reason_of(self, error: Exception) -> str:
        """Disconnects and socket errors end a connection; anything else is a bug of ours."""
        group = error if isinstance(error, ExceptionGroup) else ExceptionGroup("", [error])
        expected, rest = group.split((Disconnect, OSError))
        if rest is not None:
            self._log_bug(rest)
        leaf: BaseException = expected or group
        while isinstance(leaf, BaseExceptionGroup):
            leaf = leaf.exceptions[0]
        return str(leaf)

    def _log_bug(self, bug: Exception) -> None:
        self.server.bugs += 1
        log.error("bug on the connection of %s", self.state.address, exc_info=bug)

    def _hang_up(self) -> None:
        """Give back buffers and socket."""
        self._receiver.release()
        self._socket.close()
        if self._reason:
            log.info("connection of %s ended: %s", self.state.address, self._reason)

    async def _end_requests(self) -> None:
        """Those that do not go on without the connection."""
        while self.state.cancel_lost():
            await self._change.park()

    async def _lose_sessions(self) -> None:
        """Those that have no other channel."""
        with trio.CancelScope(shield=True):
            for session in self.state.sessions_lost():
                with self._outliving_bugs():
                    for opened in session.lose():
                        await self._delete(opened)

    def _outliving_bugs(self) -> AbstractContextManager[None]:
        """A bug in the release of one thing must not keep the others."""
        return outliving_bugs(self.server, f"on the connection of {self.state.address}")

    async def _delete(self, opened: FileOpen) -> None:
        with self._outliving_bugs():
            handler = delete_name(self.server, opened)
            step = begin(handler)
            if step is not None:
                running = Running(-1, None, _harmless)
                wait = Wait(running, lambda _, interim: None)
                await finish(handler, step, wait, self._threads, self.server.lookout)
