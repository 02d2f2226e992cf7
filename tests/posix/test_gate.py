"""smbport.posix.gate"""

import subprocess

import pytest

from smbport.posix import gate
from smbport.posix.gate import ChangeGate


@pytest.fixture
def clock(monkeypatch):
    """The time, and how often the thread has waited."""

    class Clock:
        now_ns, waits = 10**9, 7

    monkeypatch.setattr(gate, "monotonic_ns", lambda: Clock.now_ns)
    monkeypatch.setattr(gate, "count_waits", lambda: Clock.waits)
    return Clock


@pytest.mark.pure_only  # puts functions in the place of the module's
def test_after_a_change_that_had_to_wait_it_is_closed_for_a_while(clock):
    changes = ChangeGate()
    entered_ns = changes.enter()
    clock.now_ns += gate.SLOW_NS + 1001
    clock.waits += 1
    changes.leave(entered_ns, 1000)
    with pytest.raises(BlockingIOError):
        changes.enter()
    clock.now_ns += gate.PAUSE_NS
    assert changes.enter() == clock.now_ns


@pytest.mark.pure_only  # puts functions in the place of the module's
def test_what_is_longer_may_take_longer(clock):
    changes = ChangeGate()
    entered_ns = changes.enter()
    clock.now_ns += gate.SLOW_NS + 1000
    clock.waits += 1
    changes.leave(entered_ns, 1000)
    assert changes.enter() == clock.now_ns


@pytest.mark.pure_only  # puts functions in the place of the module's
def test_to_lose_the_core_is_not_to_wait_for_the_disk(clock):
    changes = ChangeGate()
    entered_ns = changes.enter()
    clock.now_ns += 100 * gate.SLOW_NS
    changes.leave(entered_ns, 0)
    assert changes.enter() == clock.now_ns


def test_waits_of_the_thread_are_counted():
    before = gate.count_waits()
    subprocess.run(["true"], check=True)  # waits for its end
    assert gate.count_waits() > before
