"""LOGOFF."""

from typing import Any

import pytest

from smbport.wire.constants import Access, Command, CreateOption, HeaderFlag, LockFlag
from smbport.wire.echo import EchoRequest
from smbport.wire.file import FlushRequest
from smbport.wire.header import HEADER_SIZE, Header
from smbport.wire.lock import LockElement, LockRequest, pack_lock_request
from smbport.wire.session import LogoffRequest, LogoffResponse
from smbport.wire.status import Status
from smbport.wire.tree import TreeDisconnectRequest, pack_tree_connect_request

BYE = LogoffRequest().pack()
TREE = pack_tree_connect_request("\\\\server\\s")


@pytest.mark.parametrize("sealed", [False, True])
def test_the_answer_is_still_protected(wire: Any, sealed: bool) -> None:
    """By the keys of the session that it ends."""
    peer = wire.connect()
    peer.seal = sealed
    [reply] = peer.connection.receive(peer.protect(peer.message(Command.LOGOFF, BYE)))
    if sealed:
        assert reply[:4] == b"\xfdSMB"
        reply = bytes(peer.sealer.unseal(memoryview(bytearray(reply))))
    else:
        assert peer._is_authentic(reply)
    assert Header.unpack_from(reply).status == Status.SUCCESS
    assert reply[HEADER_SIZE:] == LogoffResponse().pack()


def test_everything_goes(wire: Any) -> None:
    peer = wire.connect()
    peer.make("f")
    peer.make("doomed", options=CreateOption.DELETE_ON_CLOSE)
    ipc = peer.tree_connect("IPC$")
    peer.create(ipc, "srvsvc", access=Access.GENERIC_ALL)
    assert peer.status(Command.LOGOFF, BYE) == Status.SUCCESS
    assert not wire.server.sessions
    assert not peer.connection.state.channels
    assert wire.names() == ["f"]
    wire.check_nothing_is_open()


@pytest.mark.parametrize(
    ("command", "body"),
    [
        (Command.LOGOFF, BYE),
        (Command.TREE_CONNECT, TREE),
        (Command.TREE_DISCONNECT, TreeDisconnectRequest().pack()),
        (Command.FLUSH, FlushRequest(file_id_persistent=1, file_id_volatile=1).pack()),
    ],
)
def test_nothing_works_afterwards(peer: Any, command: int, body: bytes) -> None:
    peer.status(Command.LOGOFF, BYE)
    [(header, _)] = peer.send(command, body)
    assert header.status == Status.USER_SESSION_DELETED


def test_what_is_pipelined_behind_it_is_too_late(wire: Any) -> None:
    """In one frame: before it works, it works, behind it does not; each is answered once."""
    peer = wire.connect()
    elements = []
    for command, body in ((Command.TREE_CONNECT, TREE), (Command.LOGOFF, BYE), (Command.TREE_CONNECT, TREE)):
        element = peer.message(command, body)
        if len(elements) < 2:
            element += bytes(-len(element) % 8)
            element[20:24] = len(element).to_bytes(4, "little")
        elements.append(peer.protect(element))
    [frame] = peer.connection.receive(b"".join(elements))
    statuses = []
    while True:
        header = Header.unpack_from(frame)
        statuses.append(header.status)
        if not header.next_command:
            break
        frame = frame[header.next_command :]
    assert statuses == [Status.SUCCESS, Status.SUCCESS, Status.USER_SESSION_DELETED]


def test_others_on_the_connection_stay(wire: Any) -> None:
    first = wire.connect()
    second = first.beside()
    second.log_on("other", "q")
    second.tree = second.tree_connect("s")
    first.status(Command.LOGOFF, BYE)
    assert second.make("f")
    assert len(wire.server.sessions) == 1


def test_it_must_be_signed(peer: Any) -> None:
    [(header, _)] = peer.frames(peer.message(Command.LOGOFF, BYE), plain=True)
    assert header.status == Status.ACCESS_DENIED
    assert peer.status(Command.ECHO, EchoRequest().pack()) == Status.SUCCESS


def test_a_client_may_log_on_again(peer: Any) -> None:
    old = peer.session_id
    peer.status(Command.LOGOFF, BYE)
    peer.session_id, peer.signer = 0, None
    peer.log_on("other", "q")
    assert peer.session_id != old
    assert peer.tree_connect("s")


def test_a_lock_that_waits_is_answered(wire: Any) -> None:
    holder, waiter = wire.connect(), wire.connect("other", "q")
    files = [holder.make("f"), waiter.open("f")]
    element = LockElement(offset=0, length=1, flags=LockFlag.EXCLUSIVE)

    def lock(peer: Any, file: Any) -> list[tuple[Header, bytes]]:
        request = LockRequest(file_id_persistent=file.persistent, file_id_volatile=file.volatile)
        replies: list[tuple[Header, bytes]] = peer.send(Command.LOCK, pack_lock_request(request, [element]))
        return replies

    assert lock(holder, files[0])[0][0].status == Status.SUCCESS
    assert lock(waiter, files[1])[0][0].status == Status.PENDING
    replies = waiter.send(Command.LOGOFF, BYE)
    found = {header.command: header for header, _ in replies}
    assert found[Command.LOGOFF].status == Status.SUCCESS
    assert found[Command.LOCK].status == Status.RANGE_NOT_LOCKED
    assert found[Command.LOCK].flags & HeaderFlag.ASYNC_COMMAND
    assert len(replies) == 2
    assert not waiter.connection.waiting


def test_deleting_may_take_threads(wire: Any) -> None:
    wire.faults.force_threads()
    peer = wire.connect()
    for name in ("a", "b"):
        peer.make(name, options=CreateOption.DELETE_ON_CLOSE)
    assert peer.status(Command.LOGOFF, BYE) == Status.SUCCESS
    assert wire.names() == []
    wire.check_nothing_is_open()


def test_a_request_that_lies(wire: Any, peer: Any) -> None:
    assert peer.lie(Command.LOGOFF, BYE, least=len(BYE)) == {Status.INVALID_PARAMETER}
    assert len(wire.server.sessions) == 1
