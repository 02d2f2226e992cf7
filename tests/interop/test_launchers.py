"""The ways to start servers, and the table of what personalities cannot do."""

import re
from pathlib import Path

import pytest

from tests.interop.launchers import LAUNCHERS, Difference, chosen, differences

HERE = Path(__file__).parent


@pytest.mark.parametrize("row", differences(), ids=lambda row: row.test)
def test_a_difference_is_of_a_test_that_there_is(row):
    assert set(row.platforms.split(",")) <= set(LAUNCHERS)
    assert row.reason
    assert row.run in ("always", "never")
    file, _, name = row.test.partition("::")
    assert f"def {re.match(r'[^[*?]*', name)[0]}" in (HERE / file).read_text()


def test_whom_a_difference_concerns():
    row = Difference("posix,qnx8-model", "test_a.py::test_b*", "because", "always")
    assert row.concerns("posix", "test_a.py::test_b[c]")
    assert not row.concerns("linux", "test_a.py::test_b[c]")
    assert not row.concerns("posix", "test_a.py::test_c")


def test_a_platform_that_there_is_not(monkeypatch):
    monkeypatch.setenv("SMBPORT_TEST_PLATFORM", "freebsd12-model")
    with pytest.raises(ValueError, match="none of linux"):
        chosen.__wrapped__()
