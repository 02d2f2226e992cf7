"""The life of one client connection: its tasks, what they wait for, and its end.

What is said on it is in `server/conversation.py`, which runs inline.  A client who is never to wait for anything comes
and goes without a task: one, with its nurseries and scopes, costs a third of what logging on does.
"""

import logging
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial

import trio

from smbport.commands.close import delete_name
from smbport.server.conversation import Conversation, Lost, Unfinished
from smbport.server.drive import finish, run
from smbport.server.readiness import Readiness
from smbport.server.transport import BufferPool
from smbport.server.workers import Workers
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
    """The tasks of a conversation: none before something must be waited for, then the main task, which stays."""

    def __init__(
        self, server: Server, sock: socket.socket, address: str, pool: BufferPool, threads: trio.CapacityLimiter,
        readiness: Readiness, workers: Workers,
    ) -> None:  # fmt: skip
        self.conversation = Conversation(server, sock, address, pool, self)
        self.state = self.conversation.state
        self.server = server
        self.started = self.last_logged_on = self.conversation.last_received
        self._socket = sock
        self._threads = threads
        self._readiness = readiness
        self._workers = workers
        self._attends = False
        self._has_task = False
        self._early: list[Callable[[], None]] = []  # what starts the tasks that had to wait for the main task
        self._requests: trio.Nursery | None = None
        self._nursery: trio.Nursery | None = None  # ends with the socket
        self._reason = ""

    def begin(self, nursery: trio.Nursery, ended: Callable[["ClientConnection"], None]) -> None:
        """Serve until the client goes, breaks the protocol, or `end` or `stop` is called; then release everything.

        `nursery` is for the main task.  `ended` is called when everything is over.
        """
        self._everybody = nursery
        self._ended = ended
        self._attend()

    def end(self, reason: str) -> None:
        """End the connection at once."""
        if not self.state.ended:
            self._reason = self._reason or reason
            self._need_task()
            self._talking.cancel()

    def stop(self, grace_s: float) -> None:
        """Take no more requests, let those that run finish for at most `grace_s`, send their answers, end."""
        self._reason = self._reason or "the server stops"
        self._need_task()
        self._scope.deadline = self._talking.deadline = trio.current_time() + grace_s
        self._receiving.cancel()
        self.state.closing = True
        self.conversation.change.unpark_all()

    # Without a task ---------------------------------------------------------------------------------------------

    def _attend(self) -> None:
        self._attends = True
        self._readiness.attend(self._socket.fileno(), self.conversation.on_readable, self._on_left)

    def _on_left(self) -> None:
        """Something must be waited for, or it is over."""
        self._attends = False
        if self._has_task:
            self._left.unpark_all()
        elif self._can_end_now():
            self._end_now()
        else:
            self._need_task()

    def _can_end_now(self) -> bool:
        """Whether it is over, nothing runs, and all is sent."""
        conversation = self.conversation
        if not conversation.at_end and conversation.failure is None:
            return False
        conversation.sender.flush()
        return not (conversation.sender.queued_bytes or self.state.running)

    def _end_now(self) -> None:
        """What the main task does at its end."""
        doomed: list[FileOpen] = []
        with self._outliving_bugs():
            try:
                self.conversation.sender.close()
                self._hang_up(self._take_failure())
            finally:
                doomed = self._lose_sessions()
        if doomed:
            self._start(self._end_later, doomed)
        else:
            self._ended(self)

    async def _end_later(self, doomed: list[FileOpen]) -> None:
        try:
            await self._delete(doomed)
        finally:
            self._ended(self)

    def _take_failure(self) -> Exception | None:
        failure, self.conversation.failure = self.conversation.failure, None
        return failure

    # The main task ----------------------------------------------------------------------------------------------

    def _need_task(self) -> None:
        """Have it from now on."""
        if not self._has_task:
            self._start(self._run)

    def _start(self, main: Callable[..., Awaitable[None]], *args: object) -> None:
        self._has_task = True
        # Shielded: who cancels the server must not cut off answers that are on their way; `stop` ends it in order.
        self._scope = trio.CancelScope(shield=True)  # everything
        self._talking = trio.CancelScope(shield=True)  # the socket
        self._receiving = trio.CancelScope()
        self._left = trio.lowlevel.ParkingLot()
        self._everybody.start_soon(main, *args)

    async def _run(self) -> None:
        """To the end.  Some requests go on without their connection, and only then it is over.  [MS-SMB2] 3.3.7.1"""
        try:
            with self._outliving_bugs(), self._scope:
                async with trio.open_nursery() as self._requests:
                    await self._talk()
                    await self._end_requests()
                    await self._delete(self._lose_sessions())
                    while self.state.running:
                        self.state.cancel_lost()
                        await self.conversation.change.park()
            await self._leave_threads()
            await self._delete(self._lose_sessions())
        finally:
            self._ended(self)

    async def _talk(self) -> None:
        """Everything that needs the socket."""
        sender = self.conversation.sender
        failure: Exception | None = None
        try:
            with self._talking:
                async with trio.open_nursery() as self._nursery:
                    try:
                        while self._early:
                            self._early.pop(0)()
                        with self._receiving:
                            await self._serve()
                        await self._wind_up()
                    finally:
                        sender.flush()  # what was asked before the fault is answered
                        sender.close()
        except Exception as error:  # noqa: BLE001 - whatever happens here, the server lives
            failure = error
        finally:
            self._hang_up(failure)

    async def _serve(self) -> None:
        """Wait here for what must be waited for before more is received."""
        conversation = self.conversation
        try:
            while True:
                while self._attends:
                    await self._left.park()
                failure = self._take_failure()
                if failure is not None:
                    raise failure
                if conversation.at_end:
                    return
                await self._make_way()
                while not conversation.answer_received():
                    await self._make_way()
                self._attend()
        finally:
            self._readiness.leave(self._socket.fileno())

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
        if self._nursery is None:
            self._early.append(lambda: self.send(function, *args))
            self._need_task()
        else:
            self._nursery.start_soon(function, *args)

    def work(self, unfinished: Unfinished) -> None:
        """Have a thread take a step that blocks."""
        self._workers.start(unfinished.perform, partial(self.conversation.go_on, unfinished))

    def finish(self, unfinished: Unfinished) -> None:
        """Start a task for a chain of requests that must wait; it may outlive the socket."""
        if self._requests is None:
            self._early.append(lambda: self.finish(unfinished))
            self._need_task()
        else:
            self._requests.start_soon(self._finish, unfinished)

    def watch(self, position: int, lost: Lost) -> None:
        """Call `lost` unless what is sent up to `position` arrives in time.  [MS-SMB2] 3.3.4.6: another channel"""
        self.send(self._watch_delivery, position, lost)

    def is_at_work(self) -> bool:
        """Whether the task that runs now is the main task or one of a request."""
        task, requests = trio.lowlevel.current_task(), self._requests
        return requests is not None and (task is requests.parent_task or task.parent_nursery is requests)

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

    def _hang_up(self, failure: Exception | None) -> None:
        """Give back buffers and socket."""
        if failure is not None:
            self._reason = self._reason_of(failure)
        self.conversation.receiver.release()
        self._socket.close()
        if self._reason:
            log.info("connection of %s ended: %s", self.state.address, self._reason)

    async def _end_requests(self) -> None:
        """Those that do not go on without the connection."""
        while self.state.cancel_lost():
            await self.conversation.change.park()

    async def _leave_threads(self) -> None:
        """No handle may be closed while a thread works with it, however late it is."""
        self.conversation.abandons = True
        with trio.CancelScope(shield=True):
            while self.conversation.in_threads:
                await self.conversation.change.park()

    def _lose_sessions(self) -> list[FileOpen]:
        """Those that have no other channel.  Returns opens whose name is to be deleted."""
        doomed: list[FileOpen] = []
        for session in self.state.sessions_lost():
            with self._outliving_bugs():
                doomed += session.lose()
        return doomed

    async def _delete(self, doomed: list[FileOpen]) -> None:
        with trio.CancelScope(shield=True):
            for opened in doomed:
                with self._outliving_bugs():
                    await run(delete_name(self.server, opened), self._threads, self.server.lookout)

    def _outliving_bugs(self) -> AbstractContextManager[None]:
        """A bug in the release of one thing must not keep the others."""
        return outliving_bugs(self.server, f"on the connection of {self.state.address}")
