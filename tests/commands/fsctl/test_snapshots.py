"""Previous versions: which there are.  [MS-SMB2] 3.3.5.15.1"""

from collections.abc import Callable
from typing import Any

import pytest

from smbport.wire.constants import Access, FsControl
from smbport.wire.fsctl import SnapshotArray

SNAPSHOTS = FsControl.SRV_ENUMERATE_SNAPSHOTS
TIMES = (1_700_000_000 * 10**9, 1_600_000_000 * 10**9)
NAMES = "@GMT-2023.11.14-22.13.20\0@GMT-2020.09.13-12.26.40\0\0".encode("utf-16-le")
COUNTED, WITH_NAMES = bytes.fromhex("02000000 00000000 66000000"), bytes.fromhex("02000000 02000000 66000000")


@pytest.fixture
def kept(new_wire: Callable[..., Any]) -> Any:
    """A client of a share with two snapshots."""
    wire = new_wire(share={"snapshots": "%Y%m%d"})
    wire.make("f")
    for time_ns in reversed(TIMES):
        wire.memory.take_snapshot("v", time_ns)
    return wire.connect()


def test_none(wire: Any, peer: Any) -> None:
    wire.make_directory("d")
    for name in ("d", ""):
        assert peer.fsctl(SNAPSHOTS, file=peer.open(name), room=16) == ("SUCCESS", bytes(16))


def test_none_yet(new_wire: Callable[..., Any]) -> None:
    peer = new_wire(share={"snapshots": "%Y%m%d"}).connect()
    assert peer.fsctl(SNAPSHOTS, file=peer.open("")) == ("SUCCESS", bytes(16))


def test_needs(peer: Any) -> None:
    assert peer.fsctl(SNAPSHOTS, file=peer.open(""), room=15)[0] == "INVALID_PARAMETER"
    assert peer.fsctl(SNAPSHOTS, file=peer.open("", Access.READ_ATTRIBUTES))[0] == "ACCESS_DENIED"


@pytest.mark.parametrize("name", ["f", "", "@GMT-2023.11.14-22.13.20\\f"])
def test_names(kept: Any, name: str) -> None:
    assert kept.fsctl(SNAPSHOTS, file=kept.open(name)) == ("SUCCESS", WITH_NAMES + NAMES)


def test_all_names_have_room_or_none(kept: Any) -> None:
    room = SnapshotArray.SIZE + len(NAMES)
    assert kept.fsctl(SNAPSHOTS, file=kept.open("f"), room=room) == ("SUCCESS", WITH_NAMES + NAMES)
    for less in (room - 1, 16):
        assert kept.fsctl(SNAPSHOTS, file=kept.open("f"), room=less) == ("SUCCESS", COUNTED + bytes(4))
