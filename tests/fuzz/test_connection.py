"""Hypothesis drives the whole connection; see connection.py for what a program is."""

import importlib.util
import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

_SPEC = importlib.util.spec_from_file_location("fuzz_connection", Path(__file__).with_name("connection.py"))
assert _SPEC is not None
assert _SPEC.loader is not None
fuzz = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(fuzz)


@settings(max_examples=300, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.binary(max_size=1200))
def test_any_bytes_are_answered_or_end_the_connection(data: bytes) -> None:
    fuzz.drive(data)


@pytest.mark.parametrize("seed", range(8))
def test_longer_programs(seed: int) -> None:
    """Uniform bytes reach further than hypothesis' small examples: three hundred programs a seed."""
    source = random.Random(seed)
    for _ in range(300):
        fuzz.drive(source.randbytes(source.randrange(2000)))
