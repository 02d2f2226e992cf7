"""smbport.server.listener: who is let in, how long one may dawdle, and an end in order."""

import errno
import logging
import socket
import threading
from dataclasses import replace
from ipaddress import ip_network

import pytest
import trio

from smbport.server.listener import ACCEPT_PAUSE_S, GRACE_S, TICK_S, Listener
from smbport.wire.constants import Command
from smbport.wire.echo import EchoRequest
from smbport.wire.session import LogoffRequest
from smbport.wire.status import Status

ECHO = EchoRequest().pack()


def refusals(caplog) -> list[str]:
    return [record.getMessage() for record in caplog.records if "refused" in record.getMessage()]


# Limits ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["connections", "connections_per_address"])
async def test_no_more_connections_than_may(start, caplog, name: str) -> None:
    world = await start(**{name: 3})
    peers = [(await world.log_on())[0] for _ in range(3)]
    for _ in range(2):
        assert await world.connect().is_gone()
    assert refusals(caplog) == [f"connection from 127.0.0.1 refused: limits.{name} is 3"] * 2
    for peer in peers:
        assert (await peer.do(peer.ask, Command.ECHO, ECHO))[0].status == Status.SUCCESS
    peers[0].link.close()
    await world.until(lambda: len(world.listener.connections) == 2)
    await world.log_on()


async def test_hosts_that_may_not_connect(start, caplog, monkeypatch) -> None:
    world = await start()
    settings = replace(world.server.settings, hosts_deny=(ip_network("127.0.0.1"),))
    monkeypatch.setattr(world.server, "settings", settings)
    assert await world.connect().is_gone()
    assert refusals(caplog) == [
        "connection from 127.0.0.1 refused: server.hosts_allow and server.hosts_deny do not admit it"
    ]
    with socket.create_connection(world.address, source_address=("127.0.0.2", 0)):
        await world.until(lambda: len(world.listener.connections) == 1)
    await world.until(lambda: len(world.listener.connections) == 0)


@pytest.mark.parametrize("name", ["unauthenticated_connections", "unauthenticated_per_address"])
async def test_no_more_strangers_than_may(start, caplog, mock_clock, name: str) -> None:
    """Those who have logged on are none, and those who have logged off are again."""
    world = await start(**{name: 2})
    peers = [(await world.log_on())[0] for _ in range(4)]
    strangers = [world.connect() for _ in range(2)]
    await world.until(lambda: len(world.listener.connections) == 6)
    assert await world.connect().is_gone()
    assert refusals(caplog) == [f"connection from 127.0.0.1 refused: limits.{name} is 2"]
    strangers[0].link.close()
    await world.until(lambda: len(world.listener.connections) == 5)
    await world.log_on()
    assert (await peers[0].do(peers[0].ask, Command.LOGOFF, LogoffRequest().pack()))[0].status == Status.SUCCESS
    mock_clock.jump(TICK_S)
    await world.until(lambda: len(world.listener._strangers) == 3)
    assert await world.connect().is_gone()


async def test_limits_per_address_are_for_each_address(start) -> None:
    world = await start(connections_per_address=1, unauthenticated_per_address=1)
    await world.log_on()
    assert await world.connect().is_gone()
    with socket.create_connection(world.address, source_address=("127.0.0.2", 0)):
        await world.until(lambda: len(world.listener.connections) == 2)
    await world.until(lambda: len(world.listener.connections) == 1)


@pytest.mark.parametrize("name", ["connections_per_address", "unauthenticated_per_address"])
async def test_limits_per_address_are_for_a_whole_network_of_ipv6(start, caplog, name: str) -> None:
    """Whoever has one address of it has 2**64; IPv4 addresses in IPv6 clothes are IPv4 addresses."""
    world = await start(**{name: 1})
    admit, admitted = world.listener._admit, []
    ends = []
    v4 = ("::ffff:192.0.2.1", "::ffff:192.0.2.2", "192.0.2.2")
    for address in ("2001:db8::1", "2001:db8::2", "2001:db8:0:1::1", *v4):
        ours, theirs = socket.socketpair()
        ends.append(theirs)
        admitted.append(admit(ours, address))
    assert [connection is not None for connection in admitted] == [True, False, True, True, True, False]
    assert refusals(caplog) == [
        f"connection from {address} refused: limits.{name} is 1" for address in ("2001:db8::2", "192.0.2.2")
    ]
    for end in ends:
        end.close()
    await world.until_alone()


async def test_a_flood_of_refused_connections_is_not_compared_with_everybody(start, monkeypatch) -> None:
    world = await start()
    for _ in range(20):
        await world.log_on()
    looked_at = []
    state_type = type(next(iter(world.listener.connections)).state)
    has_session = state_type.has_session
    monkeypatch.setattr(state_type, "has_session", lambda self: looked_at.append(self) or has_session(self))
    limits = world.server.settings.limits
    for _ in range(limits.unauthenticated_per_address):
        assert world.listener._refusal("192.0.2.1") == ""
    assert len(looked_at) <= 20


# Accepting ------------------------------------------------------------------------------------------------------


class Stubborn(socket.socket):
    """A listening socket whose next attempts to accept fail."""

    errors: list[int]
    attempts = 0

    def accept(self):
        self.attempts += 1
        if self.errors:
            number = self.errors.pop(0)
            raise OSError(number, "no luck")
        return super().accept()


@pytest.fixture
async def stubborn(start, nursery):
    """A server that listens on such a socket too."""
    world = await start()
    with Stubborn() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        listening.errors = []
        listener = Listener(world.server)
        world.address = listening.getsockname()
        await nursery.start(listener.serve, [listening])
        world.listener, before = listener, world.listener
        yield world, listening
        world.listener = before
        for connection in listener.connections:
            connection.end("the test is over")


async def test_running_out_of_descriptors_is_survived_with_one_line(stubborn, caplog, mock_clock) -> None:
    world, listening = stubborn
    listening.errors = [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM]
    peer = world.connect()
    for attempts in range(1, 5):
        await world.until(lambda attempts=attempts: listening.attempts == attempts)
        await trio.testing.wait_all_tasks_blocked()
        mock_clock.jump(ACCEPT_PAUSE_S)
    await peer.do(peer.negotiate)
    assert [record.getMessage() for record in caplog.records] == ["cannot accept: no luck"]
    listening.errors = [errno.EMFILE]
    other = world.connect()
    await world.until(lambda: listening.errors == [])
    await trio.testing.wait_all_tasks_blocked()
    mock_clock.jump(ACCEPT_PAUSE_S)
    await other.do(other.negotiate)
    assert len(caplog.records) == 2


async def test_clients_that_are_gone_before_they_are_accepted(stubborn, caplog) -> None:
    world, listening = stubborn
    listening.errors = [errno.ECONNABORTED, errno.EAGAIN, errno.ECONNABORTED]
    peer = world.connect()
    await peer.do(peer.negotiate)
    assert not caplog.records


async def test_a_socket_that_cannot_be_tuned_is_one_that_is_gone(start, caplog) -> None:
    caplog.set_level(logging.INFO, "smbport")
    world = await start()
    world.faults.fail("Sockets.tune", errno.EINVAL)
    assert await world.connect().is_gone()
    assert "connection from 127.0.0.1 lost: Invalid argument" in caplog.text
    await world.log_on()


# Time -----------------------------------------------------------------------------------------------------------


async def test_negotiate_must_come_in_time(start, mock_clock, caplog) -> None:
    caplog.set_level(logging.INFO, "smbport")
    world = await start()
    silent, slow, good = world.connect(), world.connect(), world.connect()
    await world.until(lambda: len(world.listener.connections) == 3)
    await good.do(good.negotiate)
    mock_clock.jump(9)
    slow.sock.sendall(b"\0")
    for _ in range(5):
        await trio.testing.wait_all_tasks_blocked()
    assert len(world.listener.connections) == 3
    mock_clock.jump(2)
    assert await silent.is_gone()
    assert await slow.is_gone()
    assert len(world.listener.connections) == 1
    assert caplog.text.count("ended: no NEGOTIATE in 10 s") == 2


async def test_a_session_must_come_in_time_and_again_after_logoff(start, mock_clock, caplog) -> None:
    caplog.set_level(logging.INFO, "smbport")
    world = await start()
    stranger = world.connect()
    await stranger.do(stranger.negotiate)
    peer, _ = await world.log_on()
    mock_clock.jump(31)
    assert await stranger.is_gone()
    await peer.do(peer.call, Command.LOGOFF, LogoffRequest().pack())
    mock_clock.jump(29)
    for _ in range(5):
        await trio.testing.wait_all_tasks_blocked()
    assert len(world.listener.connections) == 1
    mock_clock.jump(3)
    assert await peer.is_gone()
    assert caplog.text.count("ended: no session in 30 s") == 2


async def test_idle_connections_end_unless_something_is_open(start, mock_clock, caplog) -> None:
    caplog.set_level(logging.INFO, "smbport")
    world = await start()
    idle, _ = await world.log_on()
    busy, _ = await world.log_on()
    holder, tree = await world.log_on()
    file = await holder.do(holder.open, tree, "f")
    mock_clock.jump(600)
    await busy.do(busy.call, Command.ECHO, ECHO)
    mock_clock.jump(301)
    assert await idle.is_gone()
    assert len(world.listener.connections) == 2
    await holder.do(holder.close, file)
    mock_clock.jump(601)
    assert await busy.is_gone()
    mock_clock.jump(300)
    assert await holder.is_gone()
    assert caplog.text.count("ended: idle without opens for 900 s") == 3
    await world.until_alone()


# The end --------------------------------------------------------------------------------------------------------


async def test_what_runs_is_finished_and_answered_when_the_server_stops(start) -> None:
    world = await start()
    gate = threading.Event()
    peer, tree = await world.log_on()
    idle, _ = await world.log_on()
    first, second = await peer.do(peer.open, tree, "f"), await peer.do(peer.open, tree, "f")
    peer.send(peer.locking(first))
    await peer.answers(1)
    [waiting] = peer.send(peer.locking(second))
    await peer.answer()
    world.faults.force_threads("File.write_at")
    world.faults.do_before("File.write_at", gate.wait)
    [writing] = peer.send(peer.writing(first, 0, b"data"))
    await world.until(lambda: world.faults.counts["File.write_at"] == 1)
    world.scope.cancel()
    assert await idle.is_gone()
    assert await peer.answers(1) == {waiting: Status.CANCELLED}
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(world.address)
    peer.send(peer.echo())  # too late, and it must not spoil what runs
    await trio.testing.wait_all_tasks_blocked()
    assert not world.stopped.is_set()
    gate.set()
    assert await peer.answers(1) == {writing: Status.SUCCESS}
    assert await peer.is_gone()
    await world.stopped.wait()
    assert world.leftovers() == {}


async def test_what_does_not_finish_is_given_up(start, mock_clock) -> None:
    """A client that takes no answers cannot keep the server from stopping."""
    world = await start()
    peer, tree = await world.log_on()
    file = await peer.do(peer.open, tree, "f")
    await peer.do(peer.write, file, 0, bytes(1 << 20))
    peer.send(*(peer.reading(file, 0, 1 << 20) for _ in range(20)))
    [connection] = world.listener.connections
    await world.until(lambda: connection.conversation.sender.queued_bytes > 1 << 20)
    world.scope.cancel()
    for _ in range(5):
        await trio.testing.wait_all_tasks_blocked()
    mock_clock.jump(GRACE_S - 1)
    for _ in range(5):
        await trio.testing.wait_all_tasks_blocked()
    assert not world.stopped.is_set()
    mock_clock.jump(2)
    await world.stopped.wait()
    assert world.leftovers() == {}


async def test_stopping_in_every_stage(start) -> None:
    world = await start()
    world.connect()
    negotiated = world.connect()
    await negotiated.do(negotiated.negotiate)
    peer, tree = await world.log_on()
    await peer.do(peer.open, tree, "f")
    peer.sock.sendall(b"\0\0\0")
    world.scope.cancel()
    world.connect()  # perhaps accepted, perhaps not
    await world.stopped.wait()
    assert world.leftovers() == {}
