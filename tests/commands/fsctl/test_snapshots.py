"""Previous versions: there are none."""

from typing import Any

from smbport.wire.constants import Access, FsControl

SNAPSHOTS = FsControl.SRV_ENUMERATE_SNAPSHOTS


def test_none(wire: Any, peer: Any) -> None:
    wire.make_directory("d")
    for name in ("d", ""):
        assert peer.fsctl(SNAPSHOTS, file=peer.open(name), room=16) == ("SUCCESS", bytes(16))


def test_needs(peer: Any) -> None:
    assert peer.fsctl(SNAPSHOTS, file=peer.open(""), room=15)[0] == "INVALID_PARAMETER"
    assert peer.fsctl(SNAPSHOTS, file=peer.open("", Access.READ_ATTRIBUTES))[0] == "ACCESS_DENIED"
