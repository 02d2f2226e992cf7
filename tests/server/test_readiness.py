"""smbport.server.readiness: sockets that are served when there is something to read, by one task for all of them."""

import socket
from collections.abc import AsyncIterator
from functools import partial

import pytest
import trio
import trio.testing

from smbport.platform import ReadySet
from smbport.posix.sockets import PosixSockets
from smbport.server.readiness import PlainReadiness, Readiness, new_readiness
from smbport.server.shared_readiness import SharedReadiness
from smbport.server.workers import Workers
from smbport_linux.platform import probe


def ready_set() -> ReadySet:
    made = probe().sockets.ready_set()
    assert made is not None
    return made


KINDS = [
    pytest.param(lambda workers: SharedReadiness(ready_set(), trio.CapacityLimiter(1), workers, 50), id="shared"),
    pytest.param(
        lambda workers: SharedReadiness(ready_set(), trio.CapacityLimiter(1), workers, 0), id="shared, always asleep"
    ),
    pytest.param(lambda _: PlainReadiness(), id="plain"),
]


@pytest.fixture(params=KINDS)
async def readiness(request: pytest.FixtureRequest, workers: Workers) -> AsyncIterator[Readiness]:
    """It runs."""
    made = request.param(workers)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(made.run)
        yield made
        nursery.cancel_scope.cancel()
    made.close()


class Echo:
    """Sends back what it gets, until that is a full stop."""

    def __init__(self) -> None:
        self.ours, self.theirs = socket.socketpair()
        self.ours.setblocking(False)
        self.calls = 0
        self.left = 0

    def __enter__(self) -> "Echo":
        return self

    def __exit__(self, *_: object) -> None:
        self.ours.close()
        self.theirs.close()

    def call(self) -> bool:
        self.calls += 1
        data = self.ours.recv(1)
        self.ours.send(data)
        return data not in (b".", b"")

    def leave(self) -> None:
        self.left += 1

    def attend(self, readiness: Readiness) -> None:
        readiness.attend(self.ours.fileno(), self.call, self.leave)

    async def ask(self, data: bytes = b"?") -> None:
        self.theirs.send(data)
        await trio.lowlevel.wait_readable(self.theirs)
        assert self.theirs.recv(9) == data


async def test_each_is_called_until_it_has_enough(readiness: Readiness) -> None:
    with Echo() as one, Echo() as other:
        one.attend(readiness)
        other.attend(readiness)
        for _ in range(3):
            await one.ask()
        await one.ask(b".")
        assert (one.left, other.left) == (1, 0)
        one.theirs.send(b"!")  # nobody listens
        await other.ask()
        await other.ask(b".")
        assert (one.calls, other.calls) == (4, 2)
        assert (one.left, other.left) == (1, 1)


async def test_they_take_turns(readiness: Readiness) -> None:
    turns: list[Echo] = []
    with Echo() as one, Echo() as other:
        for echo in (one, other):
            echo.theirs.send(b"?????????.")
            readiness.attend(echo.ours.fileno(), lambda e=echo: turns.append(e) or e.call())
        while len(turns) < 20:
            await trio.lowlevel.checkpoint()
    assert [set(turns[at : at + 2]) for at in range(0, 20, 2)] == [{one, other}] * 10


async def test_who_has_had_enough_can_attend_again(readiness: Readiness) -> None:
    with Echo() as echo:
        for times in (1, 2):
            echo.attend(readiness)
            await echo.ask(b".")
            assert echo.left == times


async def test_who_has_had_enough_can_be_closed_at_once(readiness: Readiness) -> None:
    """The next one may have the same descriptor."""
    for _ in range(3):
        with Echo() as echo:
            readiness.attend(echo.ours.fileno(), echo.call, echo.ours.close)
            await echo.ask()
            await echo.ask(b".")


async def test_who_leaves_is_not_called_any_more(readiness: Readiness) -> None:
    with Echo() as echo:
        echo.attend(readiness)
        await echo.ask()
        readiness.leave(echo.ours.fileno())
        readiness.leave(echo.ours.fileno())
        echo.theirs.send(b"?")
        await trio.testing.wait_all_tasks_blocked()
        assert (echo.calls, echo.left) == (1, 0)


async def test_who_leaves_when_both_are_ready_is_not_called_any_more(readiness: Readiness) -> None:
    with Echo() as one, Echo() as other:
        for echo, rival in ((one, other), (other, one)):
            echo.theirs.send(b"??")
            leave = partial(readiness.leave, rival.ours.fileno())
            readiness.attend(echo.ours.fileno(), lambda call=echo.call, leave=leave: leave() is None and call())
        await trio.testing.wait_all_tasks_blocked()
        assert sorted((one.calls, other.calls)) == [0, 2]


async def test_who_leaves_before_anything_came_can_be_closed_at_once(readiness: Readiness) -> None:
    with Echo() as echo:
        echo.attend(readiness)
        readiness.leave(echo.ours.fileno())
    with Echo() as echo:
        echo.attend(readiness)
        await trio.testing.wait_all_tasks_blocked()
        readiness.leave(echo.ours.fileno())
        echo.ours.close()
        await trio.testing.wait_all_tasks_blocked()
        assert (echo.calls, echo.left) == (0, 0)


async def test_a_system_without_such_a_set(workers: Workers) -> None:
    threads = trio.CapacityLimiter(1)
    assert isinstance(new_readiness(PosixSockets(), threads, workers, 50), PlainReadiness)
    shared = new_readiness(probe().sockets, threads, workers, 50)
    assert isinstance(shared, SharedReadiness)
    shared.close()
