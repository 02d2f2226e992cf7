"""smbport.server.drive: inline while nothing waits, in threads and waits afterwards, closed whatever happens."""

import threading
from collections.abc import Callable

import pytest
import trio

from smbport.commands.steps import Manner, blocking, waiting
from smbport.server.drive import Handler, Wait, begin, finish
from smbport.state.connection import Running
from smbport.state.ledger import Ledger
from smbport.wire.status import Status, StatusError

LOOP_THREAD = threading.main_thread()


def nothing() -> None: ...


class Log:
    """What happened to one handler."""

    def __init__(self) -> None:
        self.events: list[object] = []
        self.announced: list[bool] = []
        self.running = Running(7, None, nothing)
        self.wait = Wait(self.running, self._announce)
        self.announce_error: StatusError | None = None

    def _announce(self, running: Running, interim: bool) -> None:
        assert running is self.running
        self.announced.append(interim)
        if self.announce_error is not None:
            raise self.announce_error

    async def finish(self, handler: Handler) -> None:
        """Begin it, and go on if it does not end by itself."""
        step = begin(handler)
        assert step is not None
        await finish(handler, step, self.wait, trio.CapacityLimiter(1), Ledger())


def at_once(*, wait: bool = False) -> str:
    return f"{wait} {threading.current_thread() is LOOP_THREAD}"


def in_a_thread(*, wait: bool = False) -> str:
    if not wait:
        raise BlockingIOError
    return at_once(wait=wait)


def failing(error: Exception) -> Callable[..., None]:
    def function(*, wait: bool = False) -> None:
        if not wait:
            raise BlockingIOError
        raise error

    return function


def test_a_handler_that_need_not_wait_ends_at_once() -> None:
    log = Log()

    async def handler() -> None:
        log.events.append(await blocking(at_once))

    assert begin(handler()) is None
    assert log.events == ["False True"]


def test_an_error_of_a_handler_is_not_touched() -> None:
    async def handler() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        begin(handler())


async def test_what_would_block_is_called_again_in_a_thread() -> None:
    log = Log()

    async def handler() -> None:
        log.events.append(await blocking(in_a_thread))
        log.events.append(await blocking(at_once))
        log.events.append(await blocking(in_a_thread))

    await log.finish(handler())
    assert log.events == ["True False", "False True", "True False"]
    assert not log.announced


async def test_an_error_in_the_thread_is_raised_in_the_handler() -> None:
    log = Log()

    async def handler() -> None:
        for error in (FileNotFoundError(2, "gone"), StatusError(Status.NOT_FOUND)):
            try:
                await blocking(failing(error))
            except (FileNotFoundError, StatusError) as caught:
                log.events.append(caught is error)

    await log.finish(handler())
    assert log.events == [True, True]


async def test_a_bug_in_the_thread_closes_the_handler() -> None:
    log = Log()

    async def handler() -> None:
        try:
            await blocking(failing(ZeroDivisionError()))
        except ZeroDivisionError:
            log.events.append("a handler must not see bugs")
        finally:
            log.events.append("closed")

    with pytest.raises(ZeroDivisionError):
        await log.finish(handler())
    assert log.events == ["closed"]


async def test_a_wait_ends_when_the_event_is_set(nursery) -> None:
    log, event = Log(), trio.Event()

    async def handler() -> None:
        log.events.append(await waiting(event))

    nursery.start_soon(log.finish, handler())
    await trio.testing.wait_all_tasks_blocked()
    assert log.announced == [True]
    assert log.events == []
    event.set()
    await trio.testing.wait_all_tasks_blocked()
    assert log.events == [True]


TOLD = {Manner.PENDING: [True], Manner.LASTING: [True], Manner.SILENT: [False], Manner.SHIELDED: []}


@pytest.mark.parametrize("manner", Manner)
async def test_a_wait_ends_when_its_time_is_over(autojump_clock, manner: Manner) -> None:
    log, begun = Log(), trio.current_time()

    async def handler() -> None:
        log.events.append(await waiting(trio.Event(), 35, manner))

    await log.finish(handler())
    assert log.events == [False]
    assert trio.current_time() - begun == 35
    assert log.announced == TOLD[manner]


@pytest.mark.parametrize("manner", [Manner.PENDING, Manner.LASTING, Manner.SILENT])
async def test_a_cancelled_wait_raises_in_the_handler(nursery, manner: Manner) -> None:
    log = Log()

    async def handler() -> None:
        try:
            await waiting(trio.Event(), manner=manner)
        except StatusError as error:
            log.events.append(error.status)

    nursery.start_soon(log.finish, handler())
    await trio.testing.wait_all_tasks_blocked()
    assert log.running.outlives == (manner is not Manner.PENDING)
    log.running.cancel()
    await trio.testing.wait_all_tasks_blocked()
    assert log.events == [Status.CANCELLED]
    log.running.cancel()  # harmless


async def test_a_cancel_that_comes_before_the_wait(nursery) -> None:
    log = Log()

    async def handler() -> None:
        for _ in range(2):
            try:
                log.events.append(await waiting(trio.Event(), 0))
            except StatusError as error:
                log.events.append(error.status)

    log.running.cancel()
    await log.finish(handler())
    assert log.events == [Status.CANCELLED, False], "the second request of a chain is not the one that was cancelled"


async def test_a_shielded_wait_is_not_cut_short(autojump_clock, nursery) -> None:
    """Otherwise a CANCEL, or hanging up, would save password guessers the delay of a failed logon."""
    log, begun = Log(), trio.current_time()
    log.running.cancel()

    async def handler() -> None:
        log.events.append(await waiting(trio.Event(), 2, Manner.SHIELDED))
        log.events.append(trio.current_time() - begun)

    with trio.CancelScope() as connection:
        nursery.start_soon(trio.testing.wait_all_tasks_blocked)
        connection.cancel()
        await log.finish(handler())
    assert log.events == [False, 2]
    assert not log.announced


async def test_the_announcement_may_be_refused(nursery) -> None:
    log = Log()
    log.announce_error = StatusError(Status.INSUFFICIENT_RESOURCES)

    async def handler() -> None:
        try:
            await waiting(trio.Event())
        except StatusError as error:
            log.events.append(error.status)

    await log.finish(handler())
    assert log.events == [Status.INSUFFICIENT_RESOURCES]


@pytest.mark.parametrize("manner", Manner)
async def test_cancelling_the_task_runs_the_finally_clauses(manner: Manner) -> None:
    log = Log()

    async def handler() -> None:
        try:
            await waiting(trio.Event(), 0 if manner is Manner.SHIELDED else None, manner)
            await waiting(trio.Event())
        finally:
            log.events.append("released")

    with trio.CancelScope() as scope:
        scope.cancel()
        await log.finish(handler())
    assert scope.cancelled_caught
    assert log.events == ["released"]


async def test_a_thread_is_waited_for_even_if_nobody_wants_its_result() -> None:
    """It uses handles that would be closed under it."""
    log, entered, gate = Log(), threading.Event(), threading.Event()

    def slow(*, wait: bool = False) -> None:
        if not wait:
            raise BlockingIOError
        entered.set()
        gate.wait()
        log.events.append("thread ended")

    async def handler() -> None:
        try:
            await blocking(slow)
            log.events.append("handler went on")
        finally:
            log.events.append("handler ended")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(log.finish, handler())
        while not entered.is_set():
            await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()
        with trio.CancelScope(shield=True):
            await trio.testing.wait_all_tasks_blocked()
        assert log.events == []
        gate.set()
    assert log.events == ["thread ended", "handler went on", "handler ended"]


async def test_a_handler_cannot_await_trio() -> None:
    async def handler() -> None:
        await trio.lowlevel.checkpoint()

    waiter = handler()
    with pytest.raises(TypeError, match="may await only"):
        await finish(waiter, begin(waiter), Log().wait, trio.CapacityLimiter(1), Ledger())  # type: ignore[arg-type]
