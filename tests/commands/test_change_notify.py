"""CHANGE_NOTIFY, of a server that does not watch: it says so, and who may not ask hears that first."""

from typing import Any

import pytest

from smbport.wire.change import ChangeNotifyFlag, ChangeNotifyRequest
from smbport.wire.constants import Access, Command
from smbport.wire.status import Status, status_name


def body(file: Any, *, length: int = 4096, **fields: int) -> bytes:
    ids = {"file_id_persistent": file.persistent, "file_id_volatile": file.volatile}
    return ChangeNotifyRequest(output_buffer_length=length, completion_filter=0xFFF, **{**ids, **fields}).pack()


def status(peer: Any, file: Any, length: int = 4096, **fields: int) -> str:
    header, _ = peer.ask(
        Command.CHANGE_NOTIFY, body(file, length=length, **fields), tree_id=peer.tree, payload=min(length, 8 << 20)
    )
    return status_name(header.status)


@pytest.mark.parametrize("flags", [0, ChangeNotifyFlag.WATCH_TREE])
def test_a_directory_is_not_watched(wire: Any, peer: Any, flags: int) -> None:
    """The answer is final: nothing waits."""
    root = peer.open("", Access.GENERIC_READ)
    assert status(peer, root, flags=flags) == "STATUS_NOT_SUPPORTED"
    assert not peer.connection.waiting


def test_a_file_is_no_directory(peer: Any) -> None:
    assert status(peer, peer.make("f")) == "STATUS_INVALID_PARAMETER"


def test_a_buffer_larger_than_was_negotiated(wire: Any, peer: Any) -> None:
    root = peer.open("", Access.GENERIC_READ)
    limit = wire.server.settings.limits.transact_size
    assert status(peer, root, limit) == "STATUS_NOT_SUPPORTED"
    assert status(peer, root, limit + 1) == "STATUS_INVALID_PARAMETER"


def test_who_may_not_list_may_not_watch(peer: Any) -> None:
    """It would tell the names."""
    for access in (Access.READ_ATTRIBUTES, Access.GENERIC_WRITE, Access.TRAVERSE):
        assert status(peer, peer.open("", access)) == "STATUS_ACCESS_DENIED"


def test_a_pipe_is_no_directory(wire: Any) -> None:
    peer = wire.connect(share="IPC$")
    pipe = peer.create(peer.tree, "srvsvc", access=Access.GENERIC_ALL)
    assert status(peer, pipe) == "STATUS_INVALID_DEVICE_REQUEST"


def test_an_open_that_is_none(peer: Any) -> None:
    root = peer.open("", Access.GENERIC_READ)
    peer.close(root)
    assert status(peer, root) == "STATUS_FILE_CLOSED"


def test_a_request_that_lies(peer: Any) -> None:
    whole = body(peer.open("", Access.GENERIC_READ))
    assert peer.lie(Command.CHANGE_NOTIFY, whole, least=len(whole)) == {Status.INVALID_PARAMETER}
