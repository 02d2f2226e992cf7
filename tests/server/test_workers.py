"""smbport.server.workers: what blocks is done in threads, and told on the thread that asked."""

import threading
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
import trio

from smbport.server.workers import Workers

MOST = 3


@pytest.fixture
def workers() -> Iterator[Workers]:
    with closing(Workers(MOST)) as made:
        yield made
    for thread in threads():
        thread.join(10)
    assert threads() == [], "they end with it"


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "smbport-worker"]


def pass_through(gate: threading.Event) -> None:
    assert gate.wait(10)


async def deliver(workers: Workers, heard: list[object], count: int) -> None:
    """Until so much is heard."""
    with trio.fail_after(10):
        while len(heard) < count:
            await trio.lowlevel.wait_readable(workers.fileno())
            assert workers.deliver()


async def test_work_is_done_in_a_thread_and_its_end_told_here(workers: Workers) -> None:
    done_by: list[str] = []
    told_by: list[threading.Thread] = []
    workers.start(
        lambda: done_by.append(threading.current_thread().name), lambda: told_by.append(threading.current_thread())
    )
    assert workers.at_work == 1
    await deliver(workers, told_by, 1)
    assert (done_by, told_by) == (["smbport-worker"], [threading.current_thread()])
    assert workers.at_work == 0


async def test_no_more_threads_than_may_be(workers: Workers) -> None:
    gate, begun = threading.Event(), threading.Barrier(MOST + 1)
    order: list[int] = []
    told: list[int] = []

    def work(number: int) -> Callable[[], None]:
        def wait_for_the_gate() -> None:
            if number < MOST:
                begun.wait(10)
            pass_through(gate)
            order.append(number)

        return wait_for_the_gate

    for number in range(3 * MOST):
        workers.start(work(number), lambda number=number: told.append(number))
    begun.wait(10)  # as many as may be are at work at the same time
    assert len(threads()) == MOST
    assert workers.at_work == 3 * MOST
    gate.set()
    await deliver(workers, told, 3 * MOST)
    assert sorted(order) == sorted(told) == list(range(3 * MOST))


async def test_a_thread_is_used_again(workers: Workers) -> None:
    told: list[int] = []
    for number in range(5):
        workers.start(lambda: None, lambda number=number: told.append(number))
        await deliver(workers, told, number + 1)
    assert told == list(range(5))
    assert len(threads()) == 1


async def test_who_is_told_may_ask_for_more(workers: Workers) -> None:
    told: list[str] = []

    def first() -> None:
        told.append("first")
        workers.start(lambda: None, lambda: told.append("second"))

    workers.start(lambda: None, first)
    await deliver(workers, told, 2)
    assert told == ["first", "second"]


async def test_a_thread_that_has_nothing_to_do_is_dismissed() -> None:
    told: list[int] = []
    with closing(Workers(1, idle_s=0.001)) as workers:
        for number in range(2):
            workers.start(lambda: None, lambda number=number: told.append(number))
            await deliver(workers, told, number + 1)
            [thread] = threads()
            with trio.fail_after(10):
                while workers._threads:
                    await trio.lowlevel.wait_readable(workers.fileno())
                    workers.deliver()
            thread.join(10)
            assert not thread.is_alive()


async def test_a_thread_that_is_needed_stays(workers: Workers) -> None:
    gate = threading.Event()
    told: list[int] = []
    workers.start(lambda: pass_through(gate), lambda: told.append(1))
    workers._tell(None)
    workers.deliver()
    assert len(threads()) == 1
    gate.set()
    await deliver(workers, told, 1)


def test_nothing_to_deliver(workers: Workers) -> None:
    assert workers.deliver()


def test_a_thread_that_notices_too_late_that_it_has_nothing_to_do() -> None:
    workers = Workers(1)
    workers.close()
    workers._tell(None)
    assert workers.fileno() == -1
