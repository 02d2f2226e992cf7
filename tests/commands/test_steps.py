"""What a handler may await."""

from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from smbport.commands.steps import Blocking, Manner, Waiting, blocking, waiting
from smbport.testing.direct import PlainEvent
from smbport.wire.status import Status, StatusError


def begin(handler: Coroutine[Any, Any, Any]) -> Any:
    return handler.send(None)


def end(handler: Coroutine[Any, Any, Any], value: object) -> Any:
    with pytest.raises(StopIteration) as stop:
        handler.send(value)
    return stop.value.value


async def run(function: Callable[..., Any], *args: Any, **keywords: Any) -> Any:
    return await blocking(function, *args, **keywords)


def test_what_does_not_wait_is_done_at_once() -> None:
    calls = []

    def add(first: int, second: int, *, wait: bool = False) -> int:
        calls.append(wait)
        return first + second

    assert end(run(add, 1, 2), None) == 3
    assert calls == [False]


def test_what_would_wait_becomes_a_step_with_its_arguments() -> None:
    def busy(name: str, *, deep: bool, wait: bool = False) -> str:
        raise BlockingIOError

    handler = run(busy, "a", deep=True)
    step = begin(handler)
    assert isinstance(step, Blocking)
    assert (step.function, step.args, step.keywords) == (busy, ("a",), {"deep": True})
    assert end(handler, "done") == "done"


def test_any_other_error_is_the_handlers() -> None:
    def broken(*, wait: bool = False) -> None:
        raise PermissionError

    with pytest.raises(PermissionError):
        begin(run(broken))


def test_an_error_of_the_thread_is_raised_where_it_is_awaited() -> None:
    def busy(*, wait: bool = False) -> None:
        raise BlockingIOError

    async def handler() -> str:
        try:
            await blocking(busy)
        except FileNotFoundError:
            return "caught"
        return "missed"

    running = handler()
    begin(running)
    with pytest.raises(StopIteration) as stop:
        running.throw(FileNotFoundError())
    assert stop.value.value == "caught"


@pytest.mark.parametrize("happened", [True, False])
def test_waiting_gives_whether_it_happened(happened: bool) -> None:
    event = PlainEvent()

    async def handler() -> bool:
        return await waiting(event, 2.5, Manner.SHIELDED)

    running = handler()
    step = begin(running)
    assert isinstance(step, Waiting)
    assert (step.event, step.timeout_s, step.manner) == (event, 2.5, Manner.SHIELDED)
    assert end(running, happened) is happened


def test_waiting_is_told_and_has_no_end_unless_there_is_another_wish() -> None:
    async def handler() -> bool:
        return await waiting(PlainEvent())

    running = handler()
    step = begin(running)
    assert (step.timeout_s, step.manner) == (None, Manner.PENDING)
    with pytest.raises(StatusError) as cancelled:
        running.throw(StatusError(Status.CANCELLED))
    assert cancelled.value.status == Status.CANCELLED
