"""LMR_REQUEST_RESILIENCY: what it takes, and that it keeps an open through the loss of its connection."""

from typing import Any

import pytest

from smbport.commands.fsctl.resiliency import NetworkResiliencyRequest
from smbport.security.auth import LogonUser
from smbport.wire.constants import Command, ContextTag, CreateOption, Dialect, FsControl, LockFlag
from smbport.wire.create_contexts import DurableHandleReconnect
from smbport.wire.lock import LockElement, LockRequest, pack_lock_request
from smbport.wire.status import Status, StatusError


def ask(peer: Any, file: Any, timeout: int = 0, data: bytes | None = None) -> str:
    data = NetworkResiliencyRequest(timeout=timeout).pack() if data is None else data
    status, output = peer.fsctl(FsControl.LMR_REQUEST_RESILIENCY, data, file=file)
    assert output == b""
    return status


def back(peer: Any, file: Any) -> Any:
    asked = DurableHandleReconnect(file_id_persistent=file.persistent, file_id_volatile=file.volatile)
    return peer.open("f", contexts=[(ContextTag.DURABLE_RECONNECT, asked.pack())])


@pytest.mark.parametrize("dialect", [Dialect.SMB_2_1, Dialect.SMB_3_1_1])
def test_it_survives_the_connection_without_any_oplock(wire: Any, dialect: int) -> None:
    wire.make("f", b"data")
    peer = wire.connect(dialect=dialect)
    file = peer.open("f", share=0)
    assert ask(peer, file, 1000) == "SUCCESS"
    peer.connection.close()
    other = wire.connect()
    with pytest.raises(StatusError) as refusal:
        other.open("f")
    assert refusal.value.status == Status.SHARING_VIOLATION
    again = back(wire.connect(dialect=dialect), file)
    assert again.persistent == file.persistent


def test_the_time_out_is_the_last_one_asked_for(wire: Any) -> None:
    wire.make("f")
    peer = wire.connect()
    file = peer.open("f")
    [opened] = wire.server.sessions[peer.session_id].opens.values()
    for asked, granted in ((0, 120), (1000, 1), (300_000, 300)):
        assert ask(peer, file, asked) == "SUCCESS"
        assert opened.durability.timeout_ns == granted * 10**9
    assert ask(peer, file, 300_001) == "INVALID_PARAMETER"
    assert opened.durability.timeout_ns == 300 * 10**9


def test_a_break_takes_its_oplock_only(wire: Any) -> None:
    wire.make("f")
    peer = wire.connect()
    file = peer.open("f", oplock=9)
    assert file.oplock_level == 9
    assert ask(peer, file) == "SUCCESS"
    peer.connection.close()
    other = wire.connect()
    other.close(other.open("f"))
    assert back(wire.connect(), file).oplock_level == 0


def test_who_cannot_ask(wire: Any) -> None:
    wire.make("f")
    peer = wire.connect()
    file = peer.open("f")
    for end in range(NetworkResiliencyRequest.SIZE):
        assert ask(peer, file, data=bytes(end)) == "INVALID_PARAMETER"
    wire.server.sessions[peer.session_id].user = LogonUser("guest", "", "guest", None)
    assert ask(peer, file) == "ACCESS_DENIED"
    old = wire.connect(dialect=Dialect.SMB_2_0_2)
    assert ask(old, old.open("f")) == "INVALID_DEVICE_REQUEST"
    peer = wire.connect()
    directory = peer.make("d", options=CreateOption.DIRECTORY_FILE)
    assert ask(peer, directory) == "INVALID_DEVICE_REQUEST"


def test_locks_are_replayed(wire: Any) -> None:
    """A resilient open has lock sequences, whatever else its client can do."""
    wire.make("f")
    peer = wire.connect(dialect=Dialect.SMB_2_1)
    file = peer.open("f")
    assert ask(peer, file) == "SUCCESS"
    request = LockRequest(lock_sequence=1 << 4 | 5, file_id_persistent=file.persistent, file_id_volatile=file.volatile)
    element = LockElement(offset=0, length=1, flags=LockFlag.EXCLUSIVE | LockFlag.FAIL_IMMEDIATELY)
    for _ in range(2):
        assert peer.status(Command.LOCK, pack_lock_request(request, [element])) == Status.SUCCESS
