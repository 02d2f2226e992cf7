"""A log-on that is done again, against a server in this process, whose own state says what came of it."""

import pytest

from benchmarks import rehearsal
from benchmarks.rehearsal import rehearse
from benchmarks.servers import Server
from smbport.wire.constants import Dialect
from smbport.wire.status import Status, StatusError


@pytest.fixture(params=[Dialect.SMB_2_0_2, Dialect.SMB_3_1_1])
def spoken(request: pytest.FixtureRequest, server: Server) -> Server:
    """The server, as it is asked in the oldest dialect and in the newest."""
    return Server(server.name, "0", server.port, server.pid, server.user, server.password, None, dialect=request.param)


async def test_sessions_are_made_with_a_tree_connect_each(spoken: Server, listener, do) -> None:
    again = await do(rehearse, spoken)
    before = set(listener.connections)
    socks = [await do(again.connect) for _ in range(3)]
    states = [connection.state for connection in listener.connections - before]
    assert {state.dialect for state in states} == {spoken.dialect}
    sessions = [channel.session for state in states for channel in state.channels.values()]
    assert [session.user_name for session in sessions] == ["u"] * 3
    assert [len(session.trees) for session in sessions] == [1] * 3
    assert len({session.keys.signing for session in sessions}) == (3 if spoken.dialect == Dialect.SMB_3_1_1 else 1)
    for sock in socks:
        sock.close()


async def test_the_proof_is_of_the_password(spoken: Server, do) -> None:
    again = await do(rehearse, spoken)
    again._response_key = bytes(16)
    with pytest.raises(StatusError) as refused:
        await do(again.connect)
    assert refused.value.status == Status.LOGON_FAILURE


async def test_clients_are_different_ones(server: Server, listener, do) -> None:
    again = await do(rehearse, server)
    before = set(listener.connections)
    socks = [await do(again.connect) for _ in range(2)]
    assert len({connection.state.client_guid for connection in listener.connections - before}) == 2
    for sock in socks:
        sock.close()


async def test_what_cannot_be_computed_again_is_no_load(server: Server, do, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rehearsal, "user_hash", lambda server: bytes(16))
    with pytest.raises(ConnectionError, match="cannot be computed again"):
        await do(rehearse, server)


async def test_a_server_that_hangs_up(server: Server, do, monkeypatch: pytest.MonkeyPatch) -> None:
    again = await do(rehearse, server)
    again._negotiate = b"GET " + again._negotiate[4:]
    with pytest.raises(ConnectionResetError, match="hung up"):
        await do(again.connect)
