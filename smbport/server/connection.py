"""The life of one client connection: its tasks, what they wait for, and its end.

What is said on it is in `server/conversation.py`, which runs inline.
"""

import logging
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import trio

from smbport.commands.close import delete_name
from smbport.server.conversation import Conversation, Lost, Unfinished
from smbport.server.drive import finish, run
from smbport.server.readiness import Readiness
from smbport.server.transport import BufferPool
from smbport.state.open import FileOpen
from smbport.state.server import Server
from smbport.wire.status import Disconnect

__all__ = ["ClientConnection", "outliving_bugs"]

log = logging.getLogger("smbport")

DELIVERY_TIMEOUT_S = 3.0  # until TCP has tried four times: a break of 35 s leaves room for some channels
DELIVERY_TICK_S = 0.1


@contextmanager
def outliving_bugs(server: Server, where: str) -> Iterator[None]:
    """What is done in the block can fail without ending more than itself."""
    try:
        yield
    except Exception as bug:  # see Conversation.answer
        server.bugs += 1
        log.error("bug %s", where, exc_info=bug)


class ClientConnection:
    """The tasks of a conversation."""

    def __init__(
        self, server: Server, sock: socket.socket, address: str, pool: BufferPool, threads: trio.CapacityLimiter,
        readiness: Readiness,
    ) -> None:  # fmt: skip
        self.conversation = Conversation(server, sock, address, pool, self)
        self.state = self.conversation.state
        self.server = server
        self.started = self.last_logged_on = self.conversation.last_received
        self._socket = sock
        self._threads = threads
        self._readiness = readiness
        # Shielded: who cancels the server must not cut off answers that are on their way; `stop` ends it in order.
        self._scope = trio.CancelScope(shield=True)  # everything
        self._talking = trio.CancelScope(shield=True)  # the socket
        self._receiving = trio.CancelScope()
        self._reason = ""

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
                    await self.conversation.change.park()
        await self._lose_sessions()

    async def _talk(self) -> None:
        """Everything that needs the socket."""
        sender = self.conversation.sender
        try:
            with self._talking:
                async with trio.open_nursery() as self._nursery:
                    try:
                        with self._receiving:
                            await self._serve()
                        await self._wind_up()
                    finally:
                        sender.flush()  # what was asked before the fault is answered
                        sender.close()
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
        self.conversation.change.unpark_all()

    # The main task ----------------------------------------------------------------------------------------------

    async def _serve(self) -> None:
        """Have requests answered as they come; wait here for what must be waited for."""
        conversation = self.conversation
        while True:
            await self._readiness.attend(self._socket.fileno(), conversation.on_readable)
            failure, conversation.failure = conversation.failure, None
            if failure is not None:
                raise failure
            if conversation.at_end:
                return
            await self._make_way()
            while not conversation.answer_received():
                await self._make_way()

    async def _make_way(self) -> None:
        """Wait until more can be answered."""
        conversation = self.conversation
        compressed, conversation.compressed = conversation.compressed, None
        conversation.sender.flush()
        if compressed is not None:
            # Meanwhile no other frame is taken, so that none overtakes it.
            frame = await trio.to_thread.run_sync(compressed.expand, limiter=self._threads)
            await trio.lowlevel.checkpoint_if_cancelled()
            conversation.answer(frame, compressed.chain)
            conversation.sender.flush()
        await conversation.sender.wait_for_space(self.server.settings.limits.queued_bytes)
        while conversation.has_enough_running():
            await conversation.change.park()

    async def _wind_up(self) -> None:
        """No more requests come: what waits is cancelled, what runs ends by itself, and the answers go out."""
        sender = self.conversation.sender
        sender.flush()
        await self._end_requests()
        await sender.wait_for_space(0)

    # Tasks of the conversation, see `Tasks` ---------------------------------------------------------------------

    def send(self, function: Callable[..., Awaitable[None]], *args: object) -> None:
        """Start it for something that is to be sent; it ends with the socket."""
        self._nursery.start_soon(function, *args)

    def finish(self, unfinished: Unfinished) -> None:
        """Start a task for a chain of requests that must wait; it may outlive the socket."""
        self._requests.start_soon(self._finish, unfinished)

    def watch(self, position: int, lost: Lost) -> None:
        """Call `lost` unless what is sent up to `position` arrives in time.  [MS-SMB2] 3.3.4.6: another channel"""
        self._nursery.start_soon(self._watch_delivery, position, lost)

    def is_at_work(self) -> bool:
        """Whether the task that runs now is the main task or one of a request."""
        task = trio.lowlevel.current_task()
        return task is self._requests.parent_task or task.parent_nursery is self._requests

    async def _finish(self, unfinished: Unfinished) -> None:
        chain, conversation = unfinished.chain, self.conversation
        try:
            await finish(unfinished.handler, unfinished.step, unfinished.wait, self._threads, self.server.lookout)
            conversation.conclude(unfinished)
        except Disconnect as why:
            self.end(str(why))
        except Exception as bug:  # noqa: BLE001 - see Conversation.answer
            self.end(str(conversation.on_bug(bug, chain.calls[chain.current].message)))
        finally:
            conversation.forget(unfinished)

    async def _watch_delivery(self, position: int, lost: Lost) -> None:
        sender = self.conversation.sender
        try:
            with trio.move_on_after(DELIVERY_TIMEOUT_S):
                # Systems tell when asked, but do not call.
                while not sender.has_delivered(position):  # noqa: ASYNC110
                    await trio.sleep(DELIVERY_TICK_S)
        finally:
            if not sender.has_delivered(position):
                lost()

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
        self.conversation.receiver.release()
        self._socket.close()
        if self._reason:
            log.info("connection of %s ended: %s", self.state.address, self._reason)

    async def _end_requests(self) -> None:
        """Those that do not go on without the connection."""
        while self.state.cancel_lost():
            await self.conversation.change.park()

    async def _lose_sessions(self) -> None:
        """Those that have no other channel."""
        lost = self.state.sessions_lost()
        if not lost:
            return
        with trio.CancelScope(shield=True):
            for session in lost:
                with self._outliving_bugs():
                    for opened in session.lose():
                        await self._delete(opened)

    def _outliving_bugs(self) -> AbstractContextManager[None]:
        """A bug in the release of one thing must not keep the others."""
        return outliving_bugs(self.server, f"on the connection of {self.state.address}")

    async def _delete(self, opened: FileOpen) -> None:
        with self._outliving_bugs():
            await run(delete_name(self.server, opened), self._threads, self.server.lookout)
