"""smbport.state.session: users, channels, and one way to die."""

import pytest

from smbport.state.connection import Running
from smbport.state.ranges import HeldLock
from smbport.state.session import Session
from smbport.wire.constants import CreateOption


def test_a_session_is_nobody_before_the_logon(world):
    session = Session(world.server, 5)
    assert not session.valid
    assert (session.user_name, session.listed_name) == ("", "")
    assert not session.is_guest_or_anonymous
    assert not session.signing_required | session.encrypt


@pytest.mark.parametrize(("kind", "trusted"), [("user", True), ("guest", False), ("anonymous", False)])
def test_guests_have_a_name_and_are_on_no_list(world, kind, trusted):
    session = world.session("ann", kind)
    assert session.user_name == "ann"
    assert session.listed_name == ("ann" if trusted else "")
    assert session.is_guest_or_anonymous is not trusted


def test_a_channel_begins_without_keys(world):
    session, connection = Session(world.server, 5), world.connection()
    channel = world.channel(session, connection)
    assert (channel.session, channel.connection) == (session, connection)
    assert (channel.signer, channel.exchange, channel.binding) == (None, None, False)


def test_a_channel_that_leaves_is_gone_on_both_sides(world):
    session, connection = world.session(), world.connection()
    channel = world.channel(session, connection)
    for _ in range(2):
        channel.leave()
        assert (session.channels, connection.channels) == ([], {})


class Wire:
    """What a connection was given to send, and who wants to know if that does not arrive."""

    def __init__(self, connection):
        connection.send = self.send
        self.sent, self.lost = [], None

    def send(self, parts, lost):
        self.sent.append(b"".join(parts))
        self.lost = lost


def test_what_nobody_asked_for_goes_over_the_first_channel(world):
    session = world.session()
    assert not session.notify([b"break"])
    connections = [world.connection(f"192.0.2.{number}") for number in range(3)]
    channels = [world.channel(session, connection) for connection in connections]
    wires = [Wire(connection) for connection in connections]
    channels[0].signer = None  # it is about to be bound
    assert session.live_channels() == channels[1:]
    assert session.notify([b"a ", b"break"])
    assert [wire.sent for wire in wires] == [[], [b"a break"], []]


def test_what_does_not_arrive_goes_over_the_next_channel_that_is_left(world):
    session = world.session()
    connections = [world.connection(f"192.0.2.{number}") for number in range(4)]
    channels = [world.channel(session, connection) for connection in connections]
    wires = [Wire(connection) for connection in connections]
    session.notify([b"break"])
    wires[0].lost()
    assert [len(wire.sent) for wire in wires] == [1, 1, 0, 0]
    channels[2].leave()
    wires[1].lost()
    assert [len(wire.sent) for wire in wires] == [1, 1, 0, 1]
    assert wires[3].lost is None  # there is nothing else to be tried


def test_what_does_not_arrive_before_the_session_ends_is_forgotten(world):
    session = world.session()
    connections = [world.connection(f"192.0.2.{number}") for number in range(2)]
    wires = [Wire(connection) for connection in connections if world.channel(session, connection)]
    session.notify([b"break"])
    session.close()
    wires[0].lost()
    assert [len(wire.sent) for wire in wires] == [1, 0]


@pytest.mark.parametrize(("expires_ns", "expired"), [(None, False), (18, False), (17, True), (16, True)])
def test_a_logon_may_be_good_for_some_time_only(world, expires_ns, expired):
    """In the world of these tests it is 17 ns past 1970."""
    session = world.session()
    session.expires_ns = expires_ns
    assert session.expired is expired


@pytest.mark.parametrize("end", [Session.close, Session.lose])
def test_the_end_cancels_what_waits_on_every_channel(world, end):
    session, other = world.session("ann"), world.session("bob")
    connections = [world.connection(f"192.0.2.{number}") for number in range(2)]
    cancelled = []
    for number, connection in enumerate(connections):
        world.channel(session, connection)
        for of in (session, other, None):
            name = (number, of and of.user_name)
            connection.running[len(connection.running)] = Running(0, of, lambda name=name: cancelled.append(name))
    assert end(session) == []
    assert cancelled == [(0, "ann"), (1, "ann")]


def test_a_tree_takes_its_opens_along_and_no_others(world):
    session = world.session()
    ipc, data, more = (world.tree(session, name) for name in ("IPC$", "data", "more"))
    pipe = world.open_pipe(ipc)
    gone = world.open(data, "a", inode=1)
    doomed = world.open(data, "b", inode=2, options=CreateOption.DELETE_ON_CLOSE)
    kept = world.open(more, "c", inode=3, options=CreateOption.DELETE_ON_CLOSE)
    assert session.close_tree(data) == [doomed]
    assert set(session.trees.values()) == {ipc, more}
    assert set(session.opens.values()) == {pipe, kept}
    assert gone.closed
    assert doomed.closed
    assert not kept.closed
    assert gone.node.closed == doomed.node.closed == 1
    assert session.close_tree(ipc) == []
    assert pipe.closed
    assert world.server.open_count == 1


def test_closing_releases_everything(world):
    session, other = world.session("ann"), world.session("bob")
    connections = [world.connection(), world.connection("192.0.2.2")]
    for connection in connections:
        world.channel(session, connection)
        world.channel(other, connection)
    tree = world.tree(session)
    doomed = world.open(tree, "a", inode=1, options=CreateOption.DELETE_ON_CLOSE)
    world.open(tree, "b", inode=2)
    world.open_pipe(world.tree(session, "IPC$"))
    others = world.open(world.tree(other), "b", inode=2)
    assert session.close() == [doomed]
    assert not session.valid
    assert (session.trees, session.opens, session.channels) == ({}, {}, [])
    assert world.server.sessions == {other.session_id: other}
    assert [set(connection.channels) for connection in connections] == [{other.session_id}] * 2
    assert len(other.channels) == 2
    assert not others.closed
    assert world.server.open_count == 1
    assert session.close() == []


def test_a_session_in_the_middle_of_its_first_logon_can_end(world):
    connection = world.connection()
    session = Session(world.server, 5)
    world.server.sessions[5] = session
    world.channel(session, connection)
    assert session.close() == []
    assert connection.channels == {}


def test_the_last_open_says_which_name_goes(world):
    """Marked through one name, closed last through another: it is the first name that was to be deleted."""
    tree = world.tree(world.session())
    marked = world.open(tree, "one", inode=1, options=CreateOption.DELETE_ON_CLOSE)
    world.open(tree, "other", inode=1)
    assert tree.session.close() == [marked]
    assert marked.path == "one"


def test_locks_and_waiters_go_with_the_session(world):
    session, other = world.session("ann"), world.session("bob")
    opened = world.open(world.tree(session), "a", inode=1)
    others = world.open(world.tree(other), "a", inode=1)
    assert opened.shared.locks.try_lock(opened, 0, 10, exclusive=True)
    waiter = others.shared.locks.wait(others, HeldLock(0, 10, True), world.Event())
    session.close()
    assert waiter.granted
    assert waiter.event.is_set()
    assert others.shared.locks.count(others) == 1
