"""smbport.state.throttle: as many waits at once as there may be, for each address on its own."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smbport.state.throttle import LogonThrottle


@given(st.integers(0, 4), st.lists(st.tuples(st.sampled_from("abc"), st.booleans())))
def test_counts_as_a_list_would(limit, steps):
    throttle = LogonThrottle(limit)
    waiting = []
    for address, enters in steps:
        if enters:
            expected = waiting.count(address) < limit
            assert throttle.enter(address) is expected
            if expected:
                waiting.append(address)
        elif address in waiting:
            throttle.leave(address)
            waiting.remove(address)


def test_addresses_are_forgotten_when_nothing_waits():
    throttle = LogonThrottle(2)
    for number in range(1000):
        assert throttle.enter(f"192.0.2.{number}")
    for number in range(1000):
        throttle.leave(f"192.0.2.{number}")
    assert not throttle._pending


@pytest.mark.parametrize("attempts", [3, 300])
def test_those_that_may_not_wait_do_not_lengthen_the_line(attempts):
    throttle = LogonThrottle(1)
    assert throttle.enter("a")
    assert not any(throttle.enter("a") for _ in range(attempts))
    throttle.leave("a")
    assert throttle.enter("a")
