"""Running handlers: inline as long as they need not wait, then as a task.

`begin` is the fast path: one `send` into the coroutine, and nearly always it is finished.  `finish` is for those that
wait for others, and for what is no request: it runs all steps from there on in a task, and throws what they raise
into the handler.  Between the two, `server/conversation.py` leaves steps that block to threads, without a task.
"""

import math
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

import trio

from smbport.commands.steps import Blocking, Manner, Step, Waiting
from smbport.state.connection import Running
from smbport.state.ledger import NO_STEP, Ledger
from smbport.state.lookout import Lookout
from smbport.wire.status import Status, StatusError

__all__ = ["Wait", "begin", "finish", "run"]

Handler = Coroutine[Step, Any, None]


def begin(handler: Handler) -> Step | None:
    """Run a handler up to its end (None) or to its first waiting step."""
    # Not send(None): that it has ended would be an exception to be made and caught, a tenth of an ECHO.
    return next(handler.__await__(), None)


async def finish(
    handler: Handler, step: Step, wait: "Wait", threads: trio.CapacityLimiter, steps: Lookout | Ledger
) -> None:
    """Run the rest of a handler.  Cancelling the task closes the handler, so that its `finally` clauses run."""
    try:
        while True:
            number = steps.begin() if isinstance(step, Blocking) else NO_STEP
            try:
                value = await _take(step, wait, threads)
            except (OSError, StatusError) as error:
                steps.resume(number)
                step = handler.throw(error)
            else:
                steps.resume(number)
                step = handler.send(value)
            finally:
                steps.end(number)  # by now the handler has noted what it changed
    except StopIteration:
        return
    finally:
        handler.close()


async def run(handler: Handler, threads: trio.CapacityLimiter, steps: Lookout | Ledger) -> None:
    """From begin to end, for what is no request: nobody is told of its waits, and nobody cancels them."""
    step = begin(handler)
    if step is not None:
        await finish(handler, step, Wait(Running(-1, None, lambda: None), lambda _, interim: None), threads, steps)


async def _take(step: Step, wait: "Wait", threads: trio.CapacityLimiter) -> object:
    if isinstance(step, Blocking):
        function = partial(step.function, *step.args, **step.keywords, wait=True)
        return await trio.to_thread.run_sync(function, limiter=threads)
    if isinstance(step, Waiting):
        return await wait.until(step)
    raise TypeError(f"a handler awaited {step!r}, but it may await only blocking() and waiting()")


class Wait:
    """How one request waits; see `Manner`."""

    __slots__ = ("_announce", "_cancelled", "_scope", "running")

    def __init__(self, running: Running, announce: Callable[[Running, bool], None]) -> None:
        """`announce` counts what waits and, if its second argument says so, tells the client, once for each request."""
        self.running = running
        self._announce = announce
        self._cancelled = False
        self._scope: trio.CancelScope | None = None
        running.cancel = self.cancel

    def cancel(self) -> None:
        """The client does not want the answer any more, or goes away.  Harmless when nothing waits."""
        self._cancelled = True
        if self._scope is not None:
            self._scope.cancel()

    async def until(self, step: Waiting) -> bool:
        """Whether the event was set in time.  Raises StatusError(CANCELLED) if the request was cancelled."""
        event = step.event
        assert isinstance(event, trio.Event)
        timeout_s = math.inf if step.timeout_s is None else step.timeout_s
        if step.manner is Manner.SHIELDED:
            # A delay that the client has to bear, or for a request that ends by itself: neither CANCEL nor hanging
            # up cuts it short, or passwords could be guessed without it.
            with trio.move_on_after(timeout_s, shield=True):
                await event.wait()
            return event.is_set()
        self.running.outlives = step.manner is not Manner.PENDING
        self._announce(self.running, step.manner is not Manner.SILENT)
        if not self._cancelled:
            with trio.move_on_after(timeout_s) as self._scope:
                await event.wait()
            self._scope = None
        if self._cancelled and not event.is_set():
            self._cancelled = False  # the next request of the chain is another one
            raise StatusError(Status.CANCELLED)
        return event.is_set()
