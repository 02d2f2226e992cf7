"""What is the same for all commands: order of checks, compounds, credits, signing, sealing, CANCEL."""

import pytest

from smbport.commands.dispatch import SIGNED_AT_ONCE
from smbport.state.server import Server
from smbport.state.settings import Limits, Settings, ShareSettings
from smbport.testing.client import Client, DirectLink, FileId
from smbport.testing.direct import DirectConnection, new_server
from smbport.testing.memory import MemoryPlatform
from smbport.users import MemoryUsers
from smbport.wire.constants import (
    Access,
    Command,
    CreateDisposition,
    FileInfo,
    FsControl,
    HeaderFlag,
    InfoType,
    LockFlag,
)
from smbport.wire.create import CreateRequest, pack_create_request
from smbport.wire.echo import CancelRequest, EchoRequest
from smbport.wire.file import CloseRequest, ReadRequest, WriteRequest, pack_read_request, pack_write_request
from smbport.wire.header import Header
from smbport.wire.info import SetInfoRequest, pack_set_info_request
from smbport.wire.ioctl import IoctlRequest, pack_ioctl_request
from smbport.wire.lock import LockElement, LockRequest, pack_lock_request
from smbport.wire.record import BadStructure
from smbport.wire.status import Disconnect, Status, StatusError
from smbport.wire.tree import pack_tree_connect_request

ALL_ONES = (1 << 64) - 1


def new(**settings: object) -> Server:
    share = ShareSettings(name="s", path="v", run_as="server")
    values = {"server_guid": bytes(range(16)), "shares": (share,), **settings}
    return new_server(Settings(**values), MemoryPlatform(), MemoryUsers({"u": "p", "other": "q"}))  # type: ignore[arg-type]


def connect(server: Server, user: str = "u", password: str = "p", dialect: int = 0x0311) -> Client:
    client = Client(DirectLink(DirectConnection(server)))
    client.negotiate([dialect])
    client.log_on(user, password)
    return client


def connection_of(client: Client) -> DirectConnection:
    assert isinstance(client.link, DirectLink)
    return client.link.connection


def send(client: Client, message: bytearray, *, sign: bool = True) -> list[tuple[Header, bytes]]:
    """One frame as it is; every reply in it, split at NextCommand."""
    client.sign = sign
    frames = connection_of(client).receive(client.protect(message))
    client.sign = True
    return [reply for frame in frames for reply in split(frame)]


def split(frame: bytes) -> list[tuple[Header, bytes]]:
    replies = []
    while True:
        header = Header.unpack_from(frame)
        end = header.next_command or len(frame)
        replies.append((header, frame[:end]))
        if not header.next_command:
            return replies
        frame = frame[end:]


ECHO = EchoRequest().pack()


def test_every_command_before_negotiate_ends_the_connection() -> None:
    for command in range(1, 19):
        if command == Command.CANCEL:
            continue
        connection = DirectConnection(new())
        with pytest.raises(Disconnect):
            connection.receive(Client(DirectLink(connection)).message(command, bytes(64)))


def test_every_command_before_a_session_is_refused() -> None:
    for command in set(range(2, 19)) - {Command.CANCEL, Command.ECHO}:
        client = Client(DirectLink(DirectConnection(new())))
        client.negotiate()
        [(header, _)] = send(client, client.message(command, bytes(64)))
        assert header.status == Status.USER_SESSION_DELETED


def test_a_session_is_not_found_from_another_connection() -> None:
    server = new()
    victim, thief = connect(server), connect(server, "other", "q")
    thief.session_id = victim.session_id
    [(header, _)] = send(thief, thief.message(Command.TREE_DISCONNECT, bytes(4), tree_id=1))
    assert header.status == Status.USER_SESSION_DELETED


def test_unsigned_where_signing_is_required() -> None:
    client = connect(new())
    [(header, _)] = send(client, client.message(Command.ECHO, ECHO), sign=False)
    assert header.status == Status.ACCESS_DENIED


@pytest.mark.parametrize("dialect", [0x0202, 0x0210, 0x0300, 0x0302, 0x0311])
def test_a_flipped_bit_anywhere_is_a_bad_signature(dialect: int) -> None:
    client = connect(new(), dialect=dialect)
    for at in (24, 28, 48, 63, 64, 67):  # message id, its upper half, signature, body
        message = client.message(Command.ECHO, ECHO)
        signed = bytearray(client.protect(message))
        signed[at] ^= 1 if at >= 48 else 0
        if at < 48:
            signed[48] ^= 0x80
        [frame] = connection_of(client).receive(signed)
        assert Header.unpack_from(frame).status == Status.ACCESS_DENIED


def test_a_message_id_works_once() -> None:
    client = connect(new())
    message = client.protect(client.message(Command.ECHO, ECHO))
    connection_of(client).receive(message)
    with pytest.raises(Disconnect, match="sequence window"):
        connection_of(client).receive(message)


def test_tree_connect_must_be_signed_on_3_1_1_even_if_signing_is_optional() -> None:
    client = connect(new(signing="offered"))
    with pytest.raises(Disconnect, match="TREE_CONNECT"):
        send(client, client.message(Command.TREE_CONNECT, pack_tree_connect_request("\\\\server\\s")), sign=False)


def create_close(client: Client, tree: int, name: str, *, close_related: bool = True) -> bytearray:
    request = CreateRequest(
        requested_oplock_level=0, impersonation_level=2, desired_access=Access.GENERIC_ALL, file_attributes=0,
        share_access=7, create_disposition=CreateDisposition.OPEN_IF, create_options=0,
    )  # fmt: skip
    first = client.message(Command.CREATE, pack_create_request(request, name), tree_id=tree)
    second = CloseRequest(file_id_persistent=ALL_ONES, file_id_volatile=ALL_ONES).pack()
    flags = HeaderFlag.RELATED_OPERATIONS if close_related else 0
    return chain(client, [first, client.message(Command.CLOSE, second, tree_id=tree, flags=flags)])


def chain(client: Client, elements: list[bytearray]) -> bytearray:
    """Linked and each signed; to be sent with sign=False."""
    whole = bytearray()
    for element in elements[:-1]:
        element += bytes(-len(element) % 8)
        element[20:24] = len(element).to_bytes(4, "little")
    for element in elements:
        whole += client.protect(element)
    return whole


def test_a_related_compound_hands_on_its_file_id() -> None:
    server = new()
    client = connect(server)
    tree = client.tree_connect("s")
    replies = send(client, create_close(client, tree, "f"), sign=False)
    assert [header.status for header, _ in replies] == [Status.SUCCESS, Status.SUCCESS]
    assert all(header.flags & HeaderFlag.SIGNED for header, _ in replies)
    assert replies[0][0].next_command % 8 == 0
    assert server.open_count == 0


def test_every_reply_of_a_compound_is_signed_over_its_padding() -> None:
    client = connect(new())
    replies = send(client, create_close(client, client.tree_connect("s"), "f"), sign=False)
    assert client.signer is not None
    for _, frame in replies:
        assert client.signer.verify(memoryview(bytearray(frame)), from_server=True)


@pytest.mark.parametrize("size", [0, 1, SIGNED_AT_ONCE, SIGNED_AT_ONCE + 1, 65536])
def test_a_payload_of_any_size_is_signed_with_its_header(size: int) -> None:
    client = connect(new())
    tree = client.tree_connect("s")
    file = client.create(tree, "f", access=Access.GENERIC_ALL, disposition=CreateDisposition.CREATE)
    data = bytes(range(256)) * 256
    client.write(file, 0, data)
    request = ReadRequest(length=size, offset=0, file_id_persistent=file.persistent, file_id_volatile=file.volatile)
    [(header, frame)] = send(client, client.message(Command.READ, pack_read_request(request), tree_id=tree))
    assert (header.status, header.flags & HeaderFlag.SIGNED) == (Status.SUCCESS, HeaderFlag.SIGNED)
    assert frame[80 : 80 + size] == data[:size]
    assert client.signer is not None
    assert client.signer.verify(memoryview(bytearray(frame)), from_server=True)


def test_a_failed_create_fails_what_relates_to_it() -> None:
    client = connect(new())
    replies = send(client, create_close(client, client.tree_connect("s"), "no\\such"), sign=False)
    assert [header.status for header, _ in replies] == [Status.OBJECT_PATH_NOT_FOUND] * 2


def test_an_unrelated_element_has_no_file_id_to_inherit() -> None:
    client = connect(new())
    replies = send(client, create_close(client, client.tree_connect("s"), "f", close_related=False), sign=False)
    assert [header.status for header, _ in replies] == [Status.SUCCESS, Status.FILE_CLOSED]


def test_the_first_element_relates_to_nothing() -> None:
    client = connect(new())
    message = client.message(Command.ECHO, ECHO, flags=HeaderFlag.RELATED_OPERATIONS)
    [(header, _)] = send(client, message)
    assert header.status == Status.INVALID_PARAMETER


def test_each_element_of_a_compound_needs_its_own_signature() -> None:
    client = connect(new())
    tree = client.tree_connect("s")
    whole = create_close(client, tree, "f")
    whole[-1] ^= 1
    assert [header.status for header, _ in send(client, whole, sign=False)] == [Status.SUCCESS, Status.ACCESS_DENIED]


def test_too_many_elements() -> None:
    client = connect(new(limits=Limits(compound_elements=4)))
    elements = [client.message(Command.ECHO, ECHO) for _ in range(5)]
    with pytest.raises(Disconnect, match="more than 4"):
        send(client, chain(client, elements), sign=False)


@pytest.mark.parametrize("following", [1, 8, 63, 65, 72 + 1, 80, 0xFFFFFFF8])
def test_next_command_that_lies(following: int) -> None:
    client = connect(new())
    message = client.message(Command.ECHO, ECHO)
    message[20:24] = following.to_bytes(4, "little")
    with pytest.raises((Disconnect, BadStructure)):
        send(client, message)


def test_a_large_request_needs_credits() -> None:
    client = connect(new())
    tree = client.tree_connect("s")
    file = client.create(tree, "f", access=Access.GENERIC_ALL, disposition=CreateDisposition.OPEN_IF)
    request = ReadRequest(length=1 << 20, offset=0, file_id_persistent=file.persistent, file_id_volatile=file.volatile)
    [(header, _)] = send(client, client.message(Command.READ, pack_read_request(request), tree_id=tree, charge=15))
    assert header.status == Status.INVALID_PARAMETER
    [(header, _)] = send(client, client.message(Command.READ, pack_read_request(request), tree_id=tree, charge=16))
    assert header.status == Status.END_OF_FILE


def lock(client: Client, tree: int, persistent: int, volatile: int, flags: int) -> bytearray:
    element = LockElement(offset=0, length=10, flags=flags)
    request = LockRequest(file_id_persistent=persistent, file_id_volatile=volatile)
    return client.message(Command.LOCK, pack_lock_request(request, [element]), tree_id=tree)


def waiting_lock(server: Server) -> tuple[Client, Client, Header, int]:
    """Two clients; the first holds a range that the second waits for."""
    holder, waiter = connect(server), connect(server, "other", "q")
    trees = [client.tree_connect("s") for client in (holder, waiter)]
    files = [
        client.create(tree, "f", access=Access.GENERIC_ALL, disposition=CreateDisposition.OPEN_IF)
        for client, tree in zip((holder, waiter), trees, strict=True)
    ]
    exclusive = LockFlag.EXCLUSIVE
    [(granted, _)] = send(holder, lock(holder, trees[0], files[0].persistent, files[0].volatile, exclusive))
    assert granted.status == Status.SUCCESS
    message = lock(waiter, trees[1], files[1].persistent, files[1].volatile, exclusive)
    [(pending, _)] = send(waiter, message)
    assert pending.status == Status.PENDING
    assert pending.flags & HeaderFlag.ASYNC_COMMAND
    holder.close(files[0])
    return holder, waiter, pending, trees[1]


def test_a_waiting_request_is_answered_when_its_event_comes() -> None:
    _, waiter, pending, _ = waiting_lock(new())
    [frame] = connection_of(waiter).resume()
    header = Header.unpack_from(frame)
    assert header.status == Status.SUCCESS
    assert header.async_id == pending.async_id
    assert header.credits == 0, "the interim response granted them"


@pytest.mark.parametrize("by_async_id", [True, False])
def test_cancel(by_async_id: bool) -> None:
    server = new()
    holder, waiter = connect(server), connect(server, "other", "q")
    trees = [client.tree_connect("s") for client in (holder, waiter)]
    files = [
        client.create(tree, "f", access=Access.GENERIC_ALL, disposition=CreateDisposition.OPEN_IF)
        for client, tree in zip((holder, waiter), trees, strict=True)
    ]
    send(holder, lock(holder, trees[0], files[0].persistent, files[0].volatile, LockFlag.EXCLUSIVE))
    message = lock(waiter, trees[1], files[1].persistent, files[1].volatile, LockFlag.EXCLUSIVE)
    [(pending, _)] = send(waiter, message)
    cancel = waiter.message(
        Command.CANCEL, CancelRequest().pack(), message_id=pending.message_id,
        flags=HeaderFlag.ASYNC_COMMAND if by_async_id else 0,
    )  # fmt: skip
    if by_async_id:
        cancel[32:40] = pending.async_id.to_bytes(8, "little")
    [(header, _)] = send(waiter, cancel)
    assert header.status == Status.CANCELLED
    assert header.message_id == pending.message_id
    assert send(waiter, waiter.message(Command.CANCEL, CancelRequest().pack(), message_id=1)) == []


def test_a_cancel_that_is_not_signed_is_ignored() -> None:
    server = new()
    holder, waiter = connect(server), connect(server, "other", "q")
    trees = [client.tree_connect("s") for client in (holder, waiter)]
    files = [
        client.create(tree, "f", access=Access.GENERIC_ALL, disposition=CreateDisposition.OPEN_IF)
        for client, tree in zip((holder, waiter), trees, strict=True)
    ]
    send(holder, lock(holder, trees[0], files[0].persistent, files[0].volatile, LockFlag.EXCLUSIVE))
    message = lock(waiter, trees[1], files[1].persistent, files[1].volatile, LockFlag.EXCLUSIVE)
    [(pending, _)] = send(waiter, message)
    cancel = waiter.message(Command.CANCEL, CancelRequest().pack(), message_id=pending.message_id)
    assert send(waiter, cancel, sign=False) == []
    assert len(connection_of(waiter).waiting) == 1


def test_sealed_requests_get_sealed_answers() -> None:
    client = connect(new())
    client.seal = True
    frames = connection_of(client).receive(client.protect(client.message(Command.ECHO, ECHO)))
    assert [frame[:4] for frame in frames] == [b"\xfdSMB"]


def test_a_session_that_must_be_sealed_refuses_plain_requests() -> None:
    client = connect(new(encryption="required"))
    with pytest.raises(StatusError) as refusal:
        client.tree_connect("s")
    assert refusal.value.status == Status.ACCESS_DENIED
    client.seal = True
    client.tree_connect("s")


def test_a_share_that_must_be_sealed_is_closed_to_dialects_that_cannot() -> None:
    share = ShareSettings(name="s", path="v", run_as="server", encryption="required")
    client = connect(new(shares=(share,)), dialect=0x0210)
    with pytest.raises(StatusError) as refusal:
        client.tree_connect("s")
    assert refusal.value.status == Status.ACCESS_DENIED


@pytest.mark.parametrize("at", [4, 20, 36, 42, 44, 52, 60])
def test_a_transform_that_lies_ends_the_connection(at: int) -> None:
    client = connect(new())
    client.seal = True
    sealed = bytearray(client.protect(client.message(Command.ECHO, ECHO)))
    sealed[at] ^= 1
    with pytest.raises(Disconnect):
        connection_of(client).receive(sealed)


def test_sealed_for_one_session_naming_another() -> None:
    server = new()
    client = connect(server)
    connection = connection_of(client)
    other = Client(DirectLink(connection))
    other.dialect, other.message_id = 0x0311, client.message_id
    other.signing_algorithm, other.cipher = client.signing_algorithm, client.cipher
    other._preauth = client._preauth
    other.log_on("other", "q")
    message = other.message(Command.TREE_DISCONNECT, bytes(4), tree_id=1)
    message[40:48] = client.session_id.to_bytes(8, "little")
    other.seal = True
    with pytest.raises(Disconnect, match="another session"):
        connection.receive(other.protect(message))


def test_what_was_not_negotiated_ends_the_connection() -> None:
    for magic in (b"\xfcSMB", b"\xffSMB", b"ABCD", b""):
        client = connect(new())
        with pytest.raises(Disconnect):
            connection_of(client).receive(magic + bytes(60))


def test_a_response_from_a_client_ends_the_connection() -> None:
    client = connect(new())
    with pytest.raises(Disconnect):
        send(client, client.message(Command.ECHO, ECHO, flags=HeaderFlag.SERVER_TO_REDIR))


# Channel sequences ----------------------------------------------------------------------------------------------


def changing(client: Client, tree: int, file: FileId) -> dict[int, bytes]:
    """Requests that change something, by command, as they would be sent over the first channel."""
    ids = {"file_id_persistent": file.persistent, "file_id_volatile": file.volatile}
    position = SetInfoRequest(info_type=InfoType.FILE, file_info_class=FileInfo.POSITION, **ids)
    object_id = IoctlRequest(ctl_code=FsControl.CREATE_OR_GET_OBJECT_ID, max_output_response=64, **ids)
    return {
        Command.WRITE: pack_write_request(WriteRequest(length=1, offset=0, **ids), b"x"),
        Command.SET_INFO: pack_set_info_request(position, bytes(8)),
        Command.IOCTL: pack_ioctl_request(object_id, b""),
    }


@pytest.mark.parametrize("command", [Command.WRITE, Command.SET_INFO, Command.IOCTL])
@pytest.mark.parametrize("dialect", [0x0210, 0x0300, 0x0311])
def test_a_change_that_comes_after_its_channel_was_lost(dialect: int, command: int) -> None:
    """The client has tried it again over another one and gone on: it must not be done late.  [MS-SMB2] 3.3.5.2.10"""
    client = connect(new(), dialect=dialect)
    tree = client.tree_connect("s")
    file = client.create(tree, "f", access=Access.GENERIC_ALL, disposition=CreateDisposition.CREATE)
    read = pack_read_request(
        ReadRequest(length=1, offset=0, file_id_persistent=file.persistent, file_id_volatile=file.volatile)
    )

    def status(of: int, body: bytes, sequence: int, flags: int = 0) -> int:
        message = client.message(of, body, tree_id=tree, flags=flags)
        message[8:12] = sequence.to_bytes(4, "little")
        [(header, _)] = send(client, message)
        return header.status

    body = changing(client, tree, file)[command]
    late = Status.FILE_NOT_AVAILABLE if dialect >= 0x0300 else Status.SUCCESS
    assert status(command, body, 0) == Status.SUCCESS
    assert status(command, body, 2) == Status.SUCCESS
    assert status(command, body, 1) == late
    assert status(command, body, 1, HeaderFlag.REPLAY_OPERATION) == late
    assert status(command, body, 2, HeaderFlag.REPLAY_OPERATION) == Status.SUCCESS
    assert status(Command.READ, read, 1) in (Status.SUCCESS, Status.END_OF_FILE)
    client.close(file)
