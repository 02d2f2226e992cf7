"""Object ids."""

from typing import Any

from smbport.wire.constants import Access, FsControl
from smbport.wire.ioctl import FileObjectIdBuffer

OBJECT_ID = FsControl.CREATE_OR_GET_OBJECT_ID


def object_id(peer: Any, file: Any) -> FileObjectIdBuffer:
    status, output = peer.fsctl(OBJECT_ID, file=file, room=64)
    assert (status, len(output)) == ("SUCCESS", 64)
    return FileObjectIdBuffer.unpack_from(output)


def test_an_object_id_stays_with_the_file(wire: Any, peer: Any) -> None:
    first, second = peer.make("f"), peer.make("g")
    found = object_id(peer, first)
    assert found.object_id == found.birth_object_id
    assert found.birth_volume_id == wire.volume.features.serial.to_bytes(16, "little")
    assert found.object_id != object_id(peer, second).object_id
    peer.close(first)
    wire.volume.rename("f", "renamed", replace=False)
    assert object_id(peer, peer.open("renamed", Access.READ_ATTRIBUTES)) == found


def test_an_object_id_needs_its_room(peer: Any) -> None:
    assert peer.fsctl(OBJECT_ID, file=peer.make("f"), room=63)[0] == "INVALID_PARAMETER"
