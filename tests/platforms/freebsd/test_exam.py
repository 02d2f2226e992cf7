"""T2: the port passes the exam over the stand-in, as FreeBSD 13, 14 and 15, and where attributes can be opened."""

from pathlib import Path

import pytest

from smbport.testing.kit import CHECKS, examine
from smbport_freebsd.platform import FreeBSDPlatform


@pytest.mark.parametrize("check", CHECKS)
def test_port(platform: FreeBSDPlatform, share: Path, check: str):
    (finding,) = examine(platform, str(share), [check]).findings
    assert finding.outcome != "failed", finding.detail
    assert list(share.iterdir()) == []


@pytest.mark.parametrize("check", CHECKS)
def test_port_with_named_attributes(newest: FreeBSDPlatform, share: Path, tmp_path: Path, check: str):
    (tmp_path / "named").mkdir()
    with newest.calls.naming_attributes(tmp_path / "named"):
        (finding,) = examine(newest, str(share), [check]).findings
    assert finding.outcome != "failed", finding.detail
    assert list(share.iterdir()) == []
