"""Referrals: what a path leads to.  [MS-SMB2] 3.3.5.15.2, [MS-DFSC] 3.2.5"""

from collections.abc import Callable
from typing import Any

import pytest

from smbport.state.dfs import DfsLink
from smbport.wire.constants import FsControl
from smbport.wire.dfs import (
    DfsReferralV3,
    ReferralFlag,
    ReferralHeader,
    ServerType,
    Target,
    pack_referral_request,
    pack_referral_request_ex,
    parse_referral,
)

LINKS = (DfsLink("projects", ("one\\p",)), DfsLink("Teams/Design", ("one\\d", "two\\d\\e")))


@pytest.fixture
def peer(new_wire: Callable[..., Any]) -> Any:
    """A client of IPC$, on a server whose share `s` has links."""
    return new_wire(share={"dfs": LINKS}).connect(share="IPC$")


def ask(peer: Any, path: str, *, level: int = 4, extended: bool = False, room: int = 4096) -> tuple[str, bytes]:
    code = FsControl.DFS_GET_REFERRALS_EX if extended else FsControl.DFS_GET_REFERRALS
    pack = pack_referral_request_ex if extended else pack_referral_request
    found: tuple[str, bytes] = peer.fsctl(code, pack(level, path), room=room)
    return found


@pytest.mark.parametrize("code", [FsControl.DFS_GET_REFERRALS, FsControl.DFS_GET_REFERRALS_EX])
@pytest.mark.parametrize("share", ["s", "IPC$"])
def test_there_is_no_dfs(wire: Any, code: int, share: str) -> None:
    assert wire.connect(share=share).fsctl(code, bytes(20))[0] == "FS_DRIVER_REQUIRED"


@pytest.mark.parametrize("extended", [False, True])
def test_a_link(peer: Any, extended: bool) -> None:
    status, output = ask(peer, "\\srv\\S\\teams\\design\\a\\b", extended=extended)
    header, targets = parse_referral(output)
    consumed = "\\srv\\S\\teams\\design"
    assert status == "SUCCESS"
    assert header == ReferralHeader(
        path_consumed=2 * len(consumed), number_of_referrals=2, referral_header_flags=ReferralFlag.STORAGE_SERVERS
    )
    assert targets == [Target(consumed, "\\one\\d"), Target(consumed, "\\two\\d\\e")]
    assert DfsReferralV3.unpack_from(output, header.SIZE).server_type == ServerType.LINK


def test_the_share_is_a_root_of_its_own(peer: Any) -> None:
    for path in ("\\srv\\s", "\\srv\\s\\", "\\\\srv\\s"):
        status, output = ask(peer, path)
        header, targets = parse_referral(output)
        assert status == "SUCCESS"
        assert targets == [Target("\\srv\\s", "\\srv\\s")]
        assert header.path_consumed == 2 * len("\\srv\\s")
        assert header.referral_header_flags == ReferralFlag.STORAGE_SERVERS | ReferralFlag.REFERRAL_SERVERS
        assert DfsReferralV3.unpack_from(output, header.SIZE).server_type == ServerType.ROOT


@pytest.mark.parametrize(
    "path", ["", "\\", "\\domain", "\\srv\\none", "\\srv\\IPC$", "\\srv\\s\\teams", "\\srv\\s\\a\\b"]
)
def test_what_is_not_found(peer: Any, path: str) -> None:
    assert ask(peer, path)[0] == "NOT_FOUND"


@pytest.mark.parametrize(("level", "version"), [(1, 1), (2, 2), (3, 3), (4, 4), (9, 4)])
def test_the_newest_version_that_the_client_knows(peer: Any, level: int, version: int) -> None:
    _, output = ask(peer, "\\srv\\s\\projects", level=level)
    assert int.from_bytes(output[8:10], "little") == version


def test_requests_that_are_none(peer: Any) -> None:
    assert ask(peer, "\\srv\\s", level=0)[0] == "INVALID_PARAMETER"
    for data in (b"", b"\4", b"\4\0a\0"):
        assert peer.fsctl(FsControl.DFS_GET_REFERRALS, data)[0] == "INVALID_PARAMETER"
    for data in (b"", b"\4\0\0\0", b"\4\0\0\0\xff\0\0\0a\0"):
        assert peer.fsctl(FsControl.DFS_GET_REFERRALS_EX, data)[0] == "INVALID_PARAMETER"


def test_what_has_no_room_is_cut(peer: Any) -> None:
    _, whole = ask(peer, "\\srv\\s\\projects")
    assert ask(peer, "\\srv\\s\\projects", room=len(whole) - 1) == ("BUFFER_OVERFLOW", whole[:-1])


def test_links_are_for_those_who_may_connect(new_wire: Callable[..., Any]) -> None:
    wire = new_wire(share={"dfs": LINKS, "valid_users": ("u",)})
    assert ask(wire.connect(share="IPC$"), "\\srv\\s\\projects")[0] == "SUCCESS"
    other = wire.connect("other", "q", share="IPC$")
    for path in ("\\srv\\s\\projects", "\\srv\\s"):
        assert ask(other, path)[0] == "NOT_FOUND"
