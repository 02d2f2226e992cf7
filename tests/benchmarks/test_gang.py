"""Processes that work together, with gates and with failures."""

from functools import partial

import pytest

from benchmarks.gang import Gang, LoadError
from benchmarks.sample import Share
from smbport.wire.status import Status, StatusError


def work(gate, operations: int) -> Share:
    gate()
    gate()
    return Share(operations, 1.0, 0.5)


def refuse(gate) -> Share:
    gate()
    raise StatusError(Status.ACCESS_DENIED)


def break_down(gate) -> Share:
    raise ConnectionResetError("the server hung up")


@pytest.fixture(scope="module")
def gang():
    with Gang(2) as gang:
        yield gang


def test_all_stand_at_each_gate_before_any_goes_on(gang) -> None:
    stops: list[str] = []
    shares = gang.run(
        [partial(work, operations=3), partial(work, operations=4)], lambda: stops.append("a"), lambda: stops.append("b")
    )
    assert [share.operations for share in shares] == [3, 4]
    assert stops == ["a", "b"]


def test_there_may_be_fewer_tasks_than_processes(gang) -> None:
    assert len(gang) == 2
    assert len(gang.run([partial(work, operations=1)], lambda: None, lambda: None)) == 1


def test_a_failure_of_one_stops_the_others_and_the_next_task_works(gang) -> None:
    stops: list[str] = []
    with pytest.raises(LoadError, match="STATUS_ACCESS_DENIED"):
        gang.run([partial(work, operations=1), refuse], lambda: stops.append("a"), lambda: stops.append("b"))
    assert stops == ["a"]
    with pytest.raises(LoadError, match="hung up"):
        gang.run([break_down, partial(work, operations=1)], lambda: None, lambda: None)
    assert gang.run([partial(work, operations=7)], lambda: None, lambda: None)[0].operations == 7
