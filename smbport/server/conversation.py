"""What a client and the server say to each other: receive, answer, send, as far as nobody has to wait.

A chain of requests that must wait is handed over to a task of its own, and only counted here; tasks, and what ends a
connection, are in `server/connection.py`.
"""

import logging
import socket
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Protocol

import trio

from smbport.commands.call import Chain
from smbport.commands.compression import CompressedFrame
from smbport.commands.dispatch import accept, answer_chain, pack_interim, pack_replies
from smbport.commands.negotiate import answer_smb1
from smbport.commands.steps import Blocking, Step
from smbport.server.drive import Handler, Wait, begin
from smbport.server.transport import BufferPool, Receiver, Sender
from smbport.state.connection import Connection, Running
from smbport.state.ledger import NO_STEP
from smbport.state.server import Server
from smbport.wire.frame import frame_magic
from smbport.wire.header import SMB1_MAGIC
from smbport.wire.record import Buffer
from smbport.wire.status import Disconnect, Status, StatusError

__all__ = ["Conversation", "Lost", "Tasks", "Unfinished"]

log = logging.getLogger("smbport")

FRAME_OVERHEAD: Final = 65536  # headers, contexts and compound elements around the largest payload
CREDIT_BYTES: Final = 65536  # what one credit pays for, in either direction

Lost = Callable[[], None]
"""Called when the client did not get something."""


def _harmless() -> None:
    """What cancels a request that does not wait."""


class Tasks(Protocol):
    """What a conversation leaves to those who can wait."""

    def send(self, function: Callable[..., Awaitable[None]], *args: object) -> None:
        """Start it for something that is to be sent; it ends with the socket."""

    def work(self, unfinished: "Unfinished") -> None:
        """Have a thread `perform` its step, and then `go_on` called."""

    def finish(self, unfinished: "Unfinished") -> None:
        """Start a task that runs the rest of it, and tells how that went: `conclude` or `on_bug`, then `forget`."""

    def watch(self, position: int, lost: Lost) -> None:
        """Start a task that calls `lost` unless what is sent up to `position` is delivered."""

    def is_at_work(self) -> bool:
        """Whether the task that runs now is one of this connection."""

    def end(self, reason: str) -> None:
        """End the connection at once."""


class Unfinished:
    """A chain of requests that must wait, half-run."""

    __slots__ = ("chain", "cost", "failure", "handler", "number", "step", "value", "wait")

    def __init__(self, chain: Chain, handler: Handler, step: Step, wait: Wait, cost: int) -> None:
        self.chain = chain
        self.handler = handler
        self.step = step  # that it has come to
        self.wait = wait
        self.cost = cost  # bytes that it holds or will answer with, at most
        self.number = NO_STEP  # of the step, for the lookout
        self.value: object = None  # what the step brought
        self.failure: Exception | None = None

    def perform(self) -> None:
        """Take its step, which blocks, in a thread; it does not raise."""
        step = self.step
        assert isinstance(step, Blocking)
        try:
            self.value = step.function(*step.args, **step.keywords, wait=True)
        except Exception as failure:  # noqa: BLE001 - it belongs to the handler
            self.failure = failure

    def resume(self) -> Step | None:
        """Go on after `perform`, up to the end (None) or to the next step.  What is a bug is raised here."""
        value, failure = self.value, self.failure
        self.value = self.failure = None
        try:
            if failure is None:
                return self.handler.send(value)
            if isinstance(failure, OSError | StatusError):
                return self.handler.throw(failure)
        except StopIteration:
            return None
        raise failure


class Conversation:
    """Joins what a socket carries to the protocol.  Nothing here waits."""

    def __init__(self, server: Server, sock: socket.socket, address: str, pool: BufferPool, tasks: Tasks) -> None:
        self.state = Connection(server, address)
        self.state.send = self._notify
        self.server = server
        self.receiver = Receiver(sock, pool)
        self.sender = Sender(sock, server, tasks.send, tasks.end)
        self._now = trio.lowlevel.current_clock().current_time  # trio's own function looks for the clock each time
        self.last_received = self._now()
        self.at_end = False  # of what the client sends
        self.failure: Exception | None = None  # of the last turn
        self.compressed: CompressedFrame | None = None  # to be expanded before anything else is answered
        self.change = trio.lowlevel.ParkingLot()  # for those who wait until less is running or waiting
        self._limits = server.settings.limits
        self._tasks = tasks
        self._running = 0  # chains that left for a thread and do not wait for another client's doing
        self._running_bytes = 0  # what they hold or may answer
        self._waiting = 0  # chains that wait, or have waited, for that
        self._unasked: deque[tuple[Sequence[Buffer], Lost | None]] = deque()
        self._answering = False
        self.in_threads = 0  # chains whose step a thread takes
        self.abandons = False  # chains do not go on

    # Receiving --------------------------------------------------------------------------------------------------

    def on_readable(self) -> bool:
        """Receive and answer; False if something must be waited for, or if it is over.  It never raises."""
        try:
            return self._take_turn()
        except Exception as failure:  # noqa: BLE001 - it belongs to this connection, and another's task calls
            self.failure = failure
            return False

    def _take_turn(self) -> bool:
        receiver = self.receiver
        while True:
            try:
                if not receiver.receive():
                    self.at_end = True
                    return False
            except BlockingIOError:
                receiver.rest()
                return True
            self.last_received = self._now()
            if not self.answer_received():
                return False
            if not receiver.rest_is_due:
                receiver.rest()
                return True

    def answer_received(self) -> bool:
        """Everything that is there; False if something must be waited for first."""
        sender, limit = self.sender, self._frame_limit()
        while (frame := self.receiver.next_frame(limit)) is not None:
            self.compressed = self.answer(frame)
            if sender.wants_flush:
                sender.flush()
            if self.compressed is not None or self._is_congested():
                return False
        sender.flush()
        return not self._is_congested()

    def _is_congested(self) -> bool:
        return self.sender.queued_bytes > self._limits.queued_bytes or self.has_enough_running()

    def has_enough_running(self) -> bool:
        """Whether some of what runs must end before more is begun."""
        if not self._running:
            return False
        limits = self._limits
        return self._running >= limits.running_requests or self._running_bytes > limits.queued_bytes

    def _frame_limit(self) -> int:
        """How long a frame may be now; little before anybody is logged on."""
        state = self.state
        if not state.negotiated or not state.has_session():
            return self._limits.frame_before_session
        return max(state.max_write, state.max_transact) + FRAME_OVERHEAD

    # Answering --------------------------------------------------------------------------------------------------

    def answer(self, frame: memoryview, chain: Chain | None = None) -> CompressedFrame | None:
        """Answer one frame, or hand it over if it must wait; or give it back if it is to be expanded first.

        `chain` is what it belongs to once it is expanded.
        """
        self._answering = True
        try:
            if not self.state.negotiated and frame_magic(frame) == SMB1_MAGIC:
                self.sender.queue([*answer_smb1(self.state, frame)])
                return None
            accepted = accept(self.state, frame, chain)
            if not isinstance(accepted, Chain):
                return accepted
            handler = answer_chain(accepted)
            step = begin(handler)
            if step is None:
                self._queue_replies(accepted)
            else:
                self._hand_over(accepted, handler, step)
        except Disconnect:
            raise
        except Exception as bug:  # noqa: BLE001 - the one place: a bug costs this connection, never the server
            raise self.on_bug(bug, frame) from None
        finally:
            self._answering = False
        return None

    def on_bug(self, bug: Exception, frame: memoryview) -> Disconnect:
        """Note that the answer to a frame met a bug; what is to be raised."""
        self.server.bugs += 1
        # Only the header: what follows may hold names, data or proofs.
        log.error("bug while answering %s; header %s", self.state.address, bytes(frame[:64]).hex(), exc_info=bug)
        return Disconnect("an internal error")

    def _queue_replies(self, chain: Chain) -> None:
        self.sender.queue(pack_replies(chain))
        chain.replies_are_out()
        self._send_unasked()
        # Chain and calls know each other.  Left alone, they would keep frame and answer until the next collection.
        chain.calls.clear()

    # Unasked ----------------------------------------------------------------------------------------------------

    def _notify(self, parts: Sequence[Buffer], lost: Lost | None) -> None:
        """Send something that the client did not ask for.

        It may come from the task of another connection.  If it comes of what this client has just asked, the answer
        to that goes first.
        """
        self._unasked.append((parts, lost))
        if not self._answering and not self._tasks.is_at_work():
            self._send_unasked()

    def _send_unasked(self) -> None:
        sender = self.sender
        while self._unasked:
            parts, lost = self._unasked.popleft()
            sender.queue([*parts])
            end = sender.taken_bytes + sender.queued_bytes
            sender.flush()
            if lost is not None and sender.closed:
                lost()
            elif lost is not None:
                self._tasks.watch(end, lost)

    # Chains that wait -------------------------------------------------------------------------------------------

    def _hand_over(self, chain: Chain, handler: Handler, step: Step) -> None:
        """Give a half-run handler a task of its own; it keeps the frame it reads from, if it still does."""
        if chain.holds_frame:
            self.receiver.abandon()
        running = Running(-1, None, _harmless)
        self._follow(chain, running)
        cost = self._cost(chain)
        self._count_running(1, cost)
        wait = Wait(running, self._announcer(chain, cost))  # now: a CANCEL may be the next frame
        self._follow_up(Unfinished(chain, handler, step, wait, cost))
        self._send_unasked()

    def _follow_up(self, unfinished: Unfinished) -> None:
        """Its step is taken by a thread; if it waits for another client's doing, a task sees to the rest."""
        if not isinstance(unfinished.step, Blocking):
            self._tasks.finish(unfinished)
            return
        self.in_threads += 1
        unfinished.number = self.server.lookout.begin()
        self._tasks.work(unfinished)

    def go_on(self, unfinished: Unfinished) -> None:
        """A thread has taken its step.  It never raises."""
        lookout, number = self.server.lookout, unfinished.number
        self.in_threads -= 1
        lookout.resume(number)
        goes_on = not self.abandons and self._resume(unfinished)
        lookout.end(number)  # by now the handler has noted what it changed
        if goes_on:
            self._follow_up(unfinished)
        else:
            unfinished.handler.close()
            self.forget(unfinished)

    def _resume(self, unfinished: Unfinished) -> bool:
        """Whether it has come to another step."""
        self._answering = True
        try:
            step = unfinished.resume()
            if step is not None:
                unfinished.step = step
                return True
            self.conclude(unfinished)
        except Disconnect as why:
            self._tasks.end(str(why))
        except Exception as bug:  # noqa: BLE001 - see `answer`
            self._tasks.end(str(self.on_bug(bug, unfinished.chain.calls[unfinished.chain.current].message)))
        finally:
            self._answering = False
        return False

    def _cost(self, chain: Chain) -> int:
        """What its credits pay for."""
        if not self.state.multi_credit:
            return CREDIT_BYTES * len(chain.calls)
        return CREDIT_BYTES * sum(max(call.header.credit_charge, 1) for call in chain.calls)

    def _count_running(self, chains: int, cost: int) -> None:
        self._running += chains
        self._running_bytes += cost
        self.change.unpark_all()

    def _follow(self, chain: Chain, running: Running) -> None:
        """Let a CANCEL find the chain by the request that it has come to."""
        call = chain.calls[chain.current]
        self.state.running.pop(running.message_id, None)
        running.message_id = call.header.message_id
        running.async_id = call.async_id
        running.session = call.channel.session if call.channel is not None else None
        self.state.running[running.message_id] = running

    def _announcer(self, chain: Chain, cost: int) -> Callable[[Running, bool], None]:
        def announce(running: Running, interim: bool) -> None:
            self._send_unasked()
            if not running.waits:
                if self._waiting >= self._limits.async_requests:
                    raise StatusError(Status.INSUFFICIENT_RESOURCES, "too many requests wait")
                running.waits = True
                self._waiting += 1
                self._count_running(-1, -cost)  # it waits for others' doing now and holds no thread
            self._follow(chain, running)
            self.change.unpark_all()  # it may have to end with its connection
            if not interim or running.async_id:
                return
            running.async_id = self.server.new_async_id()
            self.sender.queue(pack_interim(chain, running.async_id))
            chain.replies_are_out()
            self.sender.flush()

        return announce

    def conclude(self, unfinished: Unfinished) -> None:
        """Its answers are there."""
        self._queue_replies(unfinished.chain)
        self.sender.flush()

    def forget(self, unfinished: Unfinished) -> None:
        """It is over, answered or not."""
        running = unfinished.wait.running
        self.state.running.pop(running.message_id, None)
        running.cancel = _harmless
        if running.waits:
            self._waiting -= 1
        else:
            self._count_running(-1, -unfinished.cost)
        self.change.unpark_all()
