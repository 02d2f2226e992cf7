"""smbport.state.session: users, channels, and one way to die."""

import pytest

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
    session, connection = world.session(), world.connection()
    channel = world.channel(session, connection)
    assert (channel.session, channel.connection) == (session, connection)
    assert (channel.signer, channel.exchange, channel.binding) == (None, None, False)


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
    event = world.Event()
    others.shared.waiters.append(event)
    session.close()
    assert event.is_set()
    assert others.shared.locks.try_lock(others, 0, 10, exclusive=True)
