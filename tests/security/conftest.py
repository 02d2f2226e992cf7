"""Exchanges that others recorded."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session", autouse=True)
def no_realm():
    """Where pyspnego knows Kerberos, it would ask some KDC for tickets first; here there is none to be asked."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KRB5_CONFIG", "/dev/null")
        yield


@pytest.fixture(scope="session")
def windows_logon():
    """Messages and keys of one logon between Windows machines, by name."""
    lines = (Path(__file__).parents[1] / "data/windows_logon.hex").read_text().splitlines()
    found: dict[str, bytes] = {}
    for line in lines:
        if line.islower() and "#" not in line:
            name, found[line] = line, b""
        elif line and not line.startswith("#"):
            found[name] += bytes.fromhex(line)
    return found
