"""What is held, against a server in this process: the server's own state says that it is."""

import pytest

from benchmarks import holding, requests
from benchmarks.connects import come_and_go
from benchmarks.holding import hold_connections, hold_leases, hold_locks, hold_opens
from benchmarks.logon import logged_on
from benchmarks.share import FILE, entry
from smbport.server.connection import ClientConnection
from smbport.wire.constants import Access
from smbport.wire.status import Status


async def test_connections_are_held_between_the_gates_only(server, listener, do) -> None:
    seen: list[set[ClientConnection]] = []

    def gate() -> None:
        seen.append({connection for connection in list(listener.connections) if connection.state.has_session()})

    share = await do(hold_connections, gate, server, count=7)
    before, then = seen
    assert len(then - before) == 7
    assert share.operations == 7


async def test_opens_are_held(server, do, populate) -> None:
    await populate("entries-1000")
    assert (await do(hold_opens, lambda: None, server, count=1000)).operations == 1000


async def test_locks_are_held_and_keep_others_out(server, do, populate) -> None:
    await populate("data")
    kept: list[bool] = []

    def gate() -> None:
        """The last lock of the first five is held at the second gate, and not at the first."""
        with logged_on(server) as (client, _, tree_id):
            file = client.create(tree_id, FILE, access=Access.GENERIC_ALL)
            request = requests.lock(8, 1, file)
            header, _ = client.ask(request.command, request.body, tree_id=tree_id)
            kept.append(header.status == Status.LOCK_NOT_GRANTED)
            client.close(file)

    assert (await do(hold_locks, gate, server, count=5)).operations == 5
    assert kept == [False, True]


async def test_a_server_that_takes_too_long_is_stopped(server, do, populate, monkeypatch) -> None:
    await populate("entries-1000")
    monkeypatch.setattr(holding, "LIMIT_S", 0.0)
    monkeypatch.setattr(holding, "AT_ONCE", 10)
    share = await do(hold_opens, lambda: None, server, count=1000)
    assert share.operations == 0
    assert share.note == "0 of 1,000 after 0.0 s"


async def test_leases_are_granted_in_full(server, do, populate) -> None:
    await populate("entries-1000")
    share = await do(hold_leases, lambda: None, server, numbers=range(5, 9), entries=1000)
    assert share.operations == 4


async def test_a_lease_that_is_not_granted_in_full_is_a_failure(server, do, populate) -> None:
    await populate("entries-1000")

    def hold_it_beside_another() -> None:
        with logged_on(server) as (client, _, tree_id):
            client.create(tree_id, entry(1000, 0))
            hold_leases(lambda: None, server, numbers=range(1), entries=1000)

    with pytest.raises(ConnectionError, match="not everything"):
        await do(hold_it_beside_another)


async def test_connections_come_and_go(server, do, gates) -> None:
    share = await do(come_and_go, lambda: gates.append("gate"), server, 0.001)
    assert gates == ["gate", "gate"]
    assert share.operations == len(share.latencies_ns) > 0
