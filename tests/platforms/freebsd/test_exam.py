"""T2: the port passes the exam over the stand-in, as FreeBSD 13, 14 and 15."""

from pathlib import Path

import pytest

from smbport.testing.kit import CHECKS, examine
from smbport_freebsd.platform import FreeBSDPlatform


@pytest.mark.parametrize("check", CHECKS)
def test_port(platform: FreeBSDPlatform, share: Path, check: str):
    (finding,) = examine(platform, str(share), [check]).findings
    assert finding.outcome != "failed", finding.detail
    assert list(share.iterdir()) == []
