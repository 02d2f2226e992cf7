"""A server without sockets, threads or an event loop."""

import errno
from dataclasses import replace
from typing import Any

import pytest

from smbport.commands import table
from smbport.state.server import Server
from smbport.state.settings import Settings, ShareSettings
from smbport.testing.client import Client, DirectLink, FileId
from smbport.testing.direct import DirectConnection, PlainEvent, new_server
from smbport.testing.faults import Faults
from smbport.testing.handles import MemoryFile
from smbport.testing.memory import MemoryPlatform
from smbport.users import MemoryUsers
from smbport.wire.constants import Access, Command, CreateDisposition, CreateOption, LockFlag, OplockLevel
from smbport.wire.create import CreateRequest, pack_create_request
from smbport.wire.echo import CancelRequest, EchoRequest
from smbport.wire.file import ReadRequest, pack_read_request
from smbport.wire.header import Header
from smbport.wire.lock import LockElement, LockRequest, pack_lock_request
from smbport.wire.negotiate import NegotiateRequest, pack_negotiate_request, pack_smb1_negotiate_request
from smbport.wire.status import Disconnect, Status, StatusError

NEGOTIATE = NegotiateRequest(security_mode=1, capabilities=0, client_guid=bytes(16))


class Bench:
    """A server with one share in memory."""

    def __init__(self, **settings: Any) -> None:
        self.faults = Faults()
        self.memory = MemoryPlatform()
        share = ShareSettings(name="s", path="v", run_as="server")
        self.server: Server = new_server(
            Settings(server_guid=bytes(range(16)), shares=(share,), **settings),
            self.faults.wrap(self.memory),
            MemoryUsers({"u": "p"}),
        )

    def client(self) -> Client:
        return Client(DirectLink(DirectConnection(self.server)))

    def connect(self) -> tuple[Client, int]:
        client = self.client()
        client.negotiate()
        client.log_on("u", "p")
        return client, client.tree_connect("s")


@pytest.fixture
def bench() -> Bench:
    return Bench()


def connection_of(client: Client) -> DirectConnection:
    assert isinstance(client.link, DirectLink)
    return client.link.connection


def make(client: Client, tree: int, name: str, options: int = 0) -> FileId:
    return client.create(tree, name, access=Access.GENERIC_ALL, disposition=CreateDisposition.OPEN_IF, options=options)


def send(client: Client, message: bytearray) -> list[Header]:
    return [Header.unpack_from(frame) for frame in connection_of(client).receive(client.protect(message))]


def lock(client: Client, file: FileId) -> bytearray:
    request = LockRequest(file_id_persistent=file.persistent, file_id_volatile=file.volatile)
    body = pack_lock_request(request, [LockElement(offset=0, length=1, flags=LockFlag.EXCLUSIVE)])
    return client.message(Command.LOCK, body, tree_id=file.tree_id)


# The server ---------------------------------------------------------------------------------------------------------


def test_events() -> None:
    event = PlainEvent()
    assert not event.is_set()
    event.set()
    event.set()
    assert event.is_set()


def test_the_same_bytes_every_time() -> None:
    """Clock and random numbers are counted."""
    answers = []
    for _ in range(2):
        client = Bench().client()
        message = client.message(Command.NEGOTIATE, pack_negotiate_request(NEGOTIATE, [0x0210]))
        answers.append(connection_of(client).receive(message))
    assert answers[0] == answers[1]


@pytest.mark.parametrize("length", [1, 4, 8, 16, 33])
def test_random_bytes_are_of_their_length_and_differ(bench: Bench, length: int) -> None:
    made = [bench.server.runtime.random_bytes(length) for _ in range(100)]
    assert {len(number) for number in made} == {length}
    assert len(set(made)) == 100
    assert bench.server.runtime.random_bytes(0) == b""


def test_time_passes() -> None:
    server = new_server(Settings(), MemoryPlatform(), MemoryUsers({}), now_ns=10**18)
    assert server.start_ns == 10**18
    assert server.runtime.now_ns() > server.start_ns


@pytest.mark.parametrize(("anonymous", "guest_account"), [("off", None), ("ipc-only", "server")])
def test_who_is_welcome_is_in_the_settings(anonymous: str, guest_account: str | None) -> None:
    authenticator = Bench(anonymous=anonymous, guest_account=guest_account, guest_on_bad_user=True).server.authenticator
    assert (authenticator.anonymous, authenticator.guest) == (anonymous != "off", guest_account is not None)
    assert authenticator.guest_on_bad_user


# One frame in, replies out ------------------------------------------------------------------------------------------


def test_the_frame_itself_is_not_changed(bench: Bench) -> None:
    """Verifying and decrypting work in place, on a copy."""
    client, _ = bench.connect()
    client.seal = True
    sealed = client.protect(client.message(Command.ECHO, EchoRequest().pack()))
    before = bytes(sealed)
    [_] = connection_of(client).receive(sealed)
    assert sealed == before


def test_smb1(bench: Bench) -> None:
    connection = DirectConnection(bench.server)
    [frame] = connection.receive(pack_smb1_negotiate_request([b"SMB 2.???"]))
    assert Header.unpack_from(frame).command == Command.NEGOTIATE


def test_the_end_of_a_connection_is_an_exception(bench: Bench) -> None:
    with pytest.raises(Disconnect, match="frame begins with"):
        DirectConnection(bench.server).receive(b"GET / HTTP/1.1")


def test_a_bug_is_an_exception(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    client, _ = bench.connect()

    async def broken(call: object, request: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setitem(table.RULES, Command.ECHO, replace(table.RULES[Command.ECHO], handler=broken))
    with pytest.raises(ZeroDivisionError):
        send(client, client.message(Command.ECHO, EchoRequest().pack()))


# What would block runs in place -------------------------------------------------------------------------------------


def test_blocking_steps_are_done_at_once(bench: Bench) -> None:
    client, tree = bench.connect()
    bench.faults.force_threads()
    file = make(client, tree, "f")
    assert client.write(file, 0, b"data") == 4
    assert client.read(file, 0, 4) == b"data"


@pytest.mark.parametrize("number", [errno.EIO, errno.EACCES])
def test_their_errors_are_the_handlers(bench: Bench, number: int) -> None:
    client, tree = bench.connect()
    file = make(client, tree, "f")
    client.write(file, 0, b"data")
    bench.faults.force_threads("File.read_at")
    bench.faults.fail("File.read_at", number)
    with pytest.raises(StatusError) as refused:
        client.read(file, 0, 4)
    assert refused.value.status in (Status.UNEXPECTED_IO_ERROR, Status.ACCESS_DENIED)
    assert client.read(file, 0, 4) == b"data"


def test_so_are_their_refusals(bench: Bench) -> None:
    client, tree = bench.connect()
    bench.faults.force_threads()
    with pytest.raises(StatusError) as refused:
        client.create(tree, "nosuch")
    assert refused.value.status == Status.OBJECT_NAME_NOT_FOUND


def test_a_request_within_another(bench: Bench) -> None:
    """While one is in its thread, another comes: both are answered, the inner one first."""
    client, tree = bench.connect()
    file = make(client, tree, "f")
    client.write(file, 0, b"data")
    bench.faults.force_threads("File.read_at")
    inner: list[list[Header]] = []
    bench.faults.do_before(
        "File.read_at", lambda: inner.append(send(client, client.message(Command.ECHO, EchoRequest().pack())))
    )
    assert client.read(file, 0, 4) == b"data"
    assert [[header.command for header in headers] for headers in inner] == [[Command.ECHO]]


def test_file_ranges_are_read(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a transport would send from the file, the bytes are put in; and the open is let go."""

    class ZeroCopy:
        min_length = 1
        needs_cached = True

    monkeypatch.setattr(MemoryFile, "fileno", lambda self: 7)
    bench = Bench(signing="offered")
    bench.memory.zero_copy = ZeroCopy()  # type: ignore[assignment]
    client, tree = bench.connect()
    file = make(client, tree, "f")
    client.write(file, 0, b"data")
    request = ReadRequest(length=4, offset=0, file_id_persistent=file.persistent, file_id_volatile=file.volatile)
    message = client.message(Command.READ, pack_read_request(request), tree_id=tree)
    [frame] = connection_of(client).receive(bytes(message))
    assert frame.endswith(b"data")
    client.close(file)
    assert bench.memory.open_handles == 0


# What would wait stays ----------------------------------------------------------------------------------------------


@pytest.fixture
def waiting(bench: Bench) -> tuple[Client, FileId, Client, Header]:
    """Who has a range with the file, who waits for it, and what that was told."""
    (holder, tree), (waiter, other_tree) = bench.connect(), bench.connect()
    held, wanted = make(holder, tree, "f"), make(waiter, other_tree, "f")
    send(holder, lock(holder, held))
    [pending] = send(waiter, lock(waiter, wanted))
    return holder, held, waiter, pending


def test_it_waits_for_its_event(waiting: tuple[Client, FileId, Client, Header]) -> None:
    holder, held, waiter, pending = waiting
    connection = connection_of(waiter)
    assert pending.status == Status.PENDING
    assert connection.resume() == []
    assert connection.resume(expire=True) == [], "a wait without an end does not expire"
    holder.close(held)
    assert len(connection.state.running) == 1
    [frame] = connection.resume()
    header = Header.unpack_from(frame)
    assert (header.status, header.async_id) == (Status.SUCCESS, pending.async_id)
    assert connection.resume() == []
    assert not connection.state.running


def test_its_answer_comes_with_the_next_frame_too(waiting: tuple[Client, FileId, Client, Header]) -> None:
    holder, held, waiter, _ = waiting
    holder.close(held)
    headers = send(waiter, waiter.message(Command.ECHO, EchoRequest().pack()))
    assert [header.command for header in headers] == [Command.ECHO, Command.LOCK]


def test_it_waits_in_a_queue(waiting: tuple[Client, FileId, Client, Header]) -> None:
    holder, held, waiter, _ = waiting
    later = make(holder, held.tree_id, "f")
    [told] = send(holder, lock(holder, later))
    assert told.status == Status.PENDING
    holder.close(held)
    [frame] = connection_of(waiter).resume()
    assert Header.unpack_from(frame).status == Status.SUCCESS
    assert len(connection_of(holder).waiting) == 1


@pytest.mark.parametrize("cancelled", [False, True])
def test_each_request_of_a_compound_may_wait(bench: Bench, cancelled: bool) -> None:
    """Each is announced with an id of its own, and found by CANCEL."""
    (holder, tree), (waiter, other_tree) = bench.connect(), bench.connect()
    held = [make(holder, tree, name) for name in ("a", "b")]
    wanted = [make(waiter, other_tree, name) for name in ("a", "b")]
    for file in held:
        send(holder, lock(holder, file))
    first, second = (lock(waiter, file) for file in wanted)
    second_id = Header.unpack_from(second).message_id
    first[20:24] = (len(first) + -len(first) % 8).to_bytes(4, "little")
    first += bytes(-len(first) % 8)
    connection = connection_of(waiter)
    [frame] = connection.receive(waiter.protect(first) + waiter.protect(second))
    announced = [Header.unpack_from(frame)]
    holder.close(held[0])
    frames = connection.resume()
    announced.append(Header.unpack_from(frames[-1]))
    assert [header.status for header in announced] == [Status.PENDING] * 2
    assert announced[0].async_id != announced[1].async_id
    if cancelled:
        [end] = send(waiter, waiter.message(Command.CANCEL, CancelRequest().pack(), message_id=second_id))
    else:
        holder.close(held[1])
        [end] = [Header.unpack_from(frame) for frame in connection.resume()]
    assert (end.status, end.async_id) == (Status.CANCELLED if cancelled else Status.SUCCESS, announced[1].async_id)
    assert not connection.state.running


def test_it_can_be_cancelled(waiting: tuple[Client, FileId, Client, Header]) -> None:
    _, _, waiter, pending = waiting
    [header] = send(waiter, waiter.message(Command.CANCEL, CancelRequest().pack(), message_id=pending.message_id))
    assert header.status == Status.CANCELLED
    assert not connection_of(waiter).waiting


def test_a_silent_wait_expires_and_cannot_be_cancelled(bench: Bench) -> None:
    """It is the delay after a failed logon."""
    client = bench.client()
    client.negotiate()
    connection = connection_of(client)
    seen: list[int] = []
    original = connection.resume

    def cancel_first(*, expire: bool = False) -> list[bytes]:
        if expire:
            [waiter] = connection.waiting
            waiter.cancel()
            seen.append(len(original()))
        return original(expire=expire)

    connection.resume = cancel_first  # type: ignore[method-assign]
    with pytest.raises(StatusError) as refused:
        client.log_on("u", "wrong")
    assert refused.value.status == Status.LOGON_FAILURE
    assert seen == [0]


def test_what_another_connection_causes_is_kept(bench: Bench) -> None:
    """An oplock break that one client's request makes the server send to another."""
    (holder, tree), (second, other_tree) = bench.connect(), bench.connect()
    make(holder, tree, "f")
    holder.create(tree, "f", oplock=OplockLevel.LEVEL_II)
    second.write(make(second, other_tree, "f"), 0, b"x")
    [frame] = connection_of(holder).resume()
    assert Header.unpack_from(frame).command == Command.OPLOCK_BREAK


# The end ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("in_threads", [False, True])
def test_everything_is_released(bench: Bench, in_threads: bool) -> None:
    client, tree = bench.connect()
    make(client, tree, "f")
    make(client, tree, "doomed", CreateOption.DELETE_ON_CLOSE)
    if in_threads:
        bench.faults.force_threads()
    connection_of(client).close()
    assert not bench.server.sessions
    assert (bench.server.open_count, len(bench.server.files), bench.memory.open_handles) == (0, 0, 0)
    root = bench.memory.open_volume("v").open("", 1)
    assert root.is_directory
    assert [entry.name for entry in root.entries(10)] == ["f"]


def test_what_waits_is_released_too(bench: Bench, waiting: tuple[Client, FileId, Client, Header]) -> None:
    holder, held, waiter, _ = waiting
    connection = connection_of(waiter)
    connection.close()
    assert not connection.waiting
    assert not connection.state.running
    holder.close(held)
    assert (bench.server.open_count, bench.memory.open_handles) == (0, 0)


def test_what_goes_on_without_its_connection_does_so(bench: Bench) -> None:
    """The session has another connection, and ends on that."""
    (holder, tree), (waiter, other_tree) = bench.connect(), bench.connect()
    held = holder.create(tree, "f", disposition=CreateDisposition.CREATE, oplock=OplockLevel.BATCH)
    other = bench.client()
    other.negotiate()
    other.bind(waiter, "u", "p")
    request = CreateRequest(
        requested_oplock_level=0, impersonation_level=2, desired_access=Access.FILE_ALL_ACCESS, file_attributes=0,
        share_access=7, create_disposition=CreateDisposition.OPEN, create_options=0,
    )  # fmt: skip
    body = pack_create_request(request, "f")
    [pending] = send(waiter, waiter.message(Command.CREATE, body, tree_id=other_tree))
    assert pending.status == Status.PENDING
    connection = connection_of(waiter)
    connection.close()
    [channel] = connection.state.channels.values()
    session = channel.session
    assert len(session.live_channels()) == len(connection.waiting) == 1
    holder.close(held)
    connection.resume()
    assert not connection.waiting
    assert not connection.state.channels
    assert len(session.opens) == 1
    connection_of(other).close()
    assert (bench.server.open_count, bench.memory.open_handles) == (0, 0)
