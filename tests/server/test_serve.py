"""smbport.server.serve: a server inside another trio program."""

import socket

import pytest
import trio

import smbport
from smbport.registry import PlatformError
from smbport.security.auth import UserRecord, nt_hash
from smbport.server.listener import Listener
from smbport.state.settings import Settings, ShareSettings
from smbport.testing.client import Client, SocketLink
from smbport.testing.memory import MemoryPlatform
from smbport.users import MemoryUsers
from smbport.wire.constants import Access, CreateDisposition

USERS = {"alice": "secret"}


def log_on(port: int, user: str = "alice", password: str = "secret") -> Client:
    client = Client(SocketLink.connect("127.0.0.1", port))
    client.negotiate()
    client.log_on(user, password)
    return client


def work(port: int) -> bytes:
    """What a client does all day."""
    client = log_on(port)
    tree = client.tree_connect("data")
    file = client.create(tree, "f", access=Access.GENERIC_ALL, disposition=CreateDisposition.OPEN_IF)
    client.write(file, 0, b"hello")
    content = client.read(file, 0, 100)
    client.close(file)
    client.link.close()
    return content


class CountingPlatform(MemoryPlatform):
    """Knows which volumes and sockets are open."""

    def __init__(self, *, inherited=()) -> None:
        super().__init__()
        self.volumes: list = []
        self.listening: list[socket.socket] = []
        self.sockets = self  # type: ignore[assignment]
        self._inherited = inherited
        self._real = MemoryPlatform().sockets

    def open_volume(self, path: str):
        if path == "missing":
            raise FileNotFoundError(2, "No such file or directory")
        volume = super().open_volume(path)
        self.volumes.append(volume)
        return volume

    def listen(self, host: str | None, port: int):
        self.listening += (sockets := self._real.listen(host, port))
        return sockets

    def inherited(self):
        return self._inherited

    def tune(self, sock: socket.socket) -> None:
        self._real.tune(sock)

    def ready_set(self):
        return self._real.ready_set()

    def is_all_closed(self) -> bool:
        return not any(volume._open for volume in self.volumes) and all(sock.fileno() == -1 for sock in self.listening)


async def test_a_client_is_served_and_nothing_listens_afterwards() -> None:
    platform = CountingPlatform()
    async with smbport.serve({"data": "v"}, users=USERS, platform=platform) as server:
        assert server.port == server.addresses[0][1] > 0
        assert await trio.to_thread.run_sync(work, server.port) == b"hello"
        assert not platform.is_all_closed()
    assert platform.is_all_closed()
    assert platform.open_handles == 0
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", server.port))


async def test_several_addresses_and_free_ports() -> None:
    listen = (("127.0.0.1", 0), ("127.0.0.2", 0))
    async with smbport.serve({"data": "v"}, users=USERS, platform=CountingPlatform(), listen=listen) as server:
        assert [host for host, _ in server.addresses] == ["127.0.0.1", "127.0.0.2"]
        for address in server.addresses:
            socket.create_connection(address).close()


async def test_shares_and_users_in_every_form() -> None:
    users = MemoryUsers({})
    users.put(UserRecord("bob", nt_hash("word")))
    given = [ShareSettings(name="second", path="b", run_as="server")]
    settings = Settings(shares=(ShareSettings(name="first", path="a", run_as="server"),))
    async with smbport.serve(given, users=users, settings=settings, platform="memory") as server:
        assert [share.name for share in server.state.shares.values()] == ["first", "second"]

        def use(port: int) -> None:
            client = log_on(port, "bob", "word")
            assert client.tree_connect("first") != client.tree_connect("second")
            client.link.close()

        await trio.to_thread.run_sync(use, server.port)


async def test_every_run_is_another_server_to_clients_unless_it_is_told_which() -> None:
    guids = []
    for settings in (None, None, Settings(server_guid=b"0123456789abcdef")):
        async with smbport.serve(users=USERS, settings=settings, platform=CountingPlatform()) as server:
            guids.append(server.state.settings.server_guid)
    assert len(set(guids)) == 3
    assert bytes(16) not in guids
    assert guids[2] == b"0123456789abcdef"


async def test_inherited_sockets_are_taken_instead_of_new_ones() -> None:
    with socket.create_server(("127.0.0.1", 0)) as inherited:
        platform = CountingPlatform(inherited=[inherited])
        async with smbport.serve({"data": "v"}, users=USERS, platform=platform) as server:
            assert server.addresses == [inherited.getsockname()]
            assert platform.listening == []
            assert await trio.to_thread.run_sync(work, server.port) == b"hello"
        assert inherited.fileno() == -1


async def test_there_is_no_such_platform() -> None:
    with pytest.raises(PlatformError, match="no port 'amiga'"):
        async with smbport.serve(users=USERS, platform="amiga"):
            pytest.fail("it must not start")


async def test_a_share_that_is_not_there() -> None:
    with pytest.raises(FileNotFoundError, match="share 'data': cannot serve 'missing'"):
        async with smbport.serve({"data": "missing"}, users=USERS, platform=CountingPlatform()):
            pytest.fail("it must not start")


async def test_an_address_that_cannot_be_had_leaves_nothing_open() -> None:
    platform = CountingPlatform()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = (("127.0.0.1", 0), taken.getsockname())
        with pytest.raises(OSError, match="Address already in use"):
            async with smbport.serve({"data": "v"}, users=USERS, platform=platform, listen=listen):
                pytest.fail("it must not start")
    assert len(platform.listening) == 1
    assert platform.is_all_closed()


@pytest.mark.parametrize("error", [ValueError("mine"), KeyboardInterrupt()])
async def test_what_the_block_raises_comes_out_as_it_is(error: BaseException) -> None:
    platform = CountingPlatform()
    error.__cause__ = cause = LookupError()
    with pytest.raises(type(error)) as caught:
        async with smbport.serve({"data": "v"}, users=USERS, platform=platform):
            raise error
    assert caught.value is error
    assert caught.value.__cause__ is cause
    assert platform.is_all_closed()


async def test_a_group_of_the_callers_own_stays_one() -> None:
    error = ExceptionGroup("mine", [ValueError()])
    with pytest.raises(ExceptionGroup, match="mine") as caught:
        async with smbport.serve(users=USERS, platform=CountingPlatform()):
            raise error
    assert caught.value.exceptions == error.exceptions


async def test_cancelling_the_block_stops_the_server() -> None:
    platform = CountingPlatform()
    with trio.CancelScope() as scope:
        async with smbport.serve({"data": "v"}, users=USERS, platform=platform) as server:
            assert await trio.to_thread.run_sync(work, server.port) == b"hello"
            scope.cancel()
            await trio.sleep_forever()
    assert scope.cancelled_caught
    assert platform.is_all_closed()


async def test_clients_that_stay_do_not_keep_it_from_stopping() -> None:
    platform = CountingPlatform()
    async with smbport.serve({"data": "v"}, users=USERS, platform=platform) as server:
        client = await trio.to_thread.run_sync(log_on, server.port)
        assert len(server.listener.connections) == 1
    with pytest.raises(ConnectionError):
        await trio.to_thread.run_sync(client.tree_connect, "data")
    client.link.close()
    assert platform.is_all_closed()


async def test_a_bug_in_the_server_itself_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    async def break_down(self: Listener) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Listener, "_watch_time", break_down)
    platform = CountingPlatform()
    with pytest.raises(ExceptionGroup) as caught:
        async with smbport.serve({"data": "v"}, users=USERS, platform=platform):
            await trio.sleep_forever()
    assert caught.value.split(ZeroDivisionError)[1] is None
    assert platform.is_all_closed()
