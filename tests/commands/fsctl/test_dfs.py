"""Referrals."""

from typing import Any

import pytest

from smbport.wire.constants import FsControl


@pytest.mark.parametrize("code", [FsControl.DFS_GET_REFERRALS, FsControl.DFS_GET_REFERRALS_EX])
@pytest.mark.parametrize("share", ["s", "IPC$"])
def test_there_is_no_dfs(wire: Any, code: int, share: str) -> None:
    assert wire.connect(share=share).fsctl(code, bytes(20))[0] == "FS_DRIVER_REQUIRED"
