"""smbport.state.connection: sessions reachable from here, and requests in progress."""

import pytest

from smbport.security.signing import make_signer
from smbport.state.connection import Connection, Running, network_of
from smbport.state.session import Session
from smbport.wire.constants import Dialect, SigningAlgorithm


@pytest.fixture
def connection(world):
    return world.connection()


def test_a_new_connection_has_agreed_on_nothing(world, connection):
    assert (connection.server, connection.address) == (world.server, "192.0.2.1")
    assert (connection.negotiated, connection.dialect, connection.cipher) == (False, 0, None)
    assert connection.window.outstanding == 1
    assert connection.preauth.value == bytes(64)
    assert not connection.has_session()
    assert not connection.has_opens()
    assert connection.sessions_lost() == []
    connection.send([b"lost"], None)  # there is no transport


@pytest.mark.parametrize(
    ("dialect", "counts"),
    [
        (0, False),
        (Dialect.SMB_2_0_2, False),
        (Dialect.SMB_2_1, True),
        (Dialect.SMB_3_0, True),
        (Dialect.SMB_3_0_2, True),
        (Dialect.SMB_3_1_1, True),
        (Dialect.WILDCARD, False),
    ],
)
def test_when_the_credit_charge_counts(connection, dialect, counts):
    connection.dialect = dialect
    assert connection.multi_credit is counts


def test_a_logon_that_is_not_complete_is_no_session(world, connection):
    session = Session(world.server, 5)
    channel = world.channel(session, connection)
    assert not connection.has_session()
    channel.signer = make_signer(SigningAlgorithm.HMAC_SHA256, bytes(16))
    assert connection.has_session()


def test_a_binding_that_is_not_complete_is_no_session_either(world, connection):
    """Whoever is about to join somebody's session may be anybody."""
    channel = world.channel(world.session(), connection)
    assert connection.has_session()
    channel.signer = None
    assert channel.binding
    assert not connection.has_session()


def test_opens_of_its_sessions(world, connection):
    session = world.session()
    tree = world.tree(session)
    opened = world.open(tree)
    assert not connection.has_opens()
    world.channel(session, connection)
    assert connection.has_opens()
    world.server.close_open(opened)
    assert not connection.has_opens()


def run(connection, message_id, session, cancelled):
    """A request in progress; when it is cancelled it ends at once, as a handler may."""

    def cancel():
        cancelled.append(message_id)
        del connection.running[message_id]

    connection.running[message_id] = running = Running(message_id, session, cancel)
    assert running.async_id == 0


def test_requests_of_one_session_are_cancelled(world, connection):
    ann, bob = world.session("ann"), world.session("bob")
    cancelled = []
    for message_id, session in enumerate((None, ann, bob, ann)):
        run(connection, message_id, session, cancelled)
    connection.cancel_requests(ann)
    assert cancelled == [1, 3]
    connection.cancel_requests(ann)
    assert sorted(connection.running) == [0, 2]


def test_all_requests_are_cancelled(world, connection):
    cancelled = []
    for message_id, session in enumerate((None, world.session())):
        run(connection, message_id, session, cancelled)
    connection.cancel_requests()
    assert cancelled == [0, 1]


def test_the_end_loses_sessions_that_have_no_other_connection(world, connection):
    other = world.connection("192.0.2.2")
    here, both, there = (world.session(name) for name in ("here", "both", "there"))
    for session in (here, both):
        world.channel(session, connection)
    for session in (both, there):
        world.channel(session, other)
    assert connection.sessions_lost() == [here]
    assert connection.channels == {}
    assert connection.sessions_lost() == []
    assert [channel.connection for channel in both.channels] == [other]
    assert set(other.sessions_lost()) == {both, there}


def test_a_binding_that_ends_halfway_costs_nobody_a_session(world, connection):
    session = world.session()
    kept = world.channel(session, Connection(world.server, "192.0.2.2"))
    world.channel(session, connection).signer = None
    assert connection.sessions_lost() == []
    assert session.channels == [kept]


def test_a_binding_does_not_keep_a_session_whose_connections_are_gone(world, connection):
    session = world.session()
    binding = world.connection("192.0.2.2")
    world.channel(session, connection)
    world.channel(session, binding).signer = None
    assert connection.sessions_lost() == [session]
    session.lose()
    assert binding.channels == {}


def test_a_logon_in_progress_is_lost_with_its_connection(world, connection):
    session = Session(world.server, 5)
    world.channel(session, connection)
    assert connection.sessions_lost() == [session]


def lasting(connection, message_id, session):
    """A request that goes on without its connection, if the session has another one."""
    cancelled = []
    running = Running(message_id, session, lambda: cancelled.append(message_id))
    running.outlives = True
    connection.running[message_id] = running
    return cancelled


def test_what_waits_goes_on_if_the_session_has_another_connection(world, connection):
    other = world.connection("192.0.2.2")
    here, both = world.session("here"), world.session("both")
    for session in (here, both):
        world.channel(session, connection)
    world.channel(both, other)
    cancelled = [lasting(connection, number, session) for number, session in enumerate((here, both, None))]
    run(connection, 7, both, cancelled[1])
    assert connection.cancel_lost()
    assert len(both.live_channels()) == 2, "until it has ended"
    assert cancelled == [[0], [7], [2]]
    del connection.running[0], connection.running[2]
    assert not connection.cancel_lost()
    assert connection.sessions_lost() == [here]
    assert set(connection.channels) == {both.session_id}
    assert both.live_channels() == [other.channels[both.session_id]]
    del connection.running[1]
    assert connection.sessions_lost() == []
    assert connection.channels == {}
    assert [channel.connection for channel in both.channels] == [other]


def test_what_goes_on_without_its_connection_ends_with_the_session(world, connection):
    session, other = world.session(), world.connection("192.0.2.2")
    world.channel(session, connection)
    world.channel(session, other)
    cancelled = lasting(connection, 1, session)
    assert connection.sessions_lost() == []
    assert other.sessions_lost() == [session]
    session.lose()
    assert cancelled == [1]
    assert connection.channels == {}
    assert session.channels == []


@pytest.mark.parametrize(
    ("message_id", "async_id", "own", "found"),
    [
        (7, None, True, "waits"),
        (7, None, False, None),
        (8, None, True, "was not announced"),
        (9, None, True, None),
        (0, 70, True, "waits"),
        (0, 70, False, None),
        (0, 71, True, None),
        (8, 0, True, None),
        (10, None, False, "is of no session"),
    ],
)
def test_what_a_cancel_names(world, connection, message_id, async_id, own, found):
    session = world.session()
    names = {None: None}
    for number, announced, of, name in (
        (7, 70, session, "waits"),
        (8, 0, session, "was not announced"),
        (10, 0, None, "is of no session"),
    ):
        connection.running[number] = running = Running(number, of, lambda: None)
        running.async_id = announced
        names[running] = name
    running = connection.find_running(message_id, async_id, session.session_id if own else 99)
    assert names[running] == found


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::1", "::/64"),
        ("memory", "memory"),
        ("", ""),
    ],
)
def test_who_has_one_address_of_a_network_has_them_all(world, address, network):
    assert network_of(address) == network
    assert world.connection(address).network == network
    assert world.connection(address).address == address
