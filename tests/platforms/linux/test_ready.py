import socket

import pytest
import trio

from smbport_linux.ready import LinuxReadySet


@pytest.fixture
def ready():
    made = LinuxReadySet()
    yield made
    made.close()


@pytest.fixture
def pair():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def test_who_can_be_read_is_named_until_he_was(ready, pair):
    ours, theirs = pair
    ready.add(ours.fileno())
    assert not ready.wait(0, 8)
    theirs.send(b"x")
    for _ in range(2):
        assert [descriptor for descriptor, _ in ready.wait(0, 8)] == [ours.fileno()]
    ours.recv(1)
    assert not ready.wait(0, 8)
    theirs.close()
    assert [descriptor for descriptor, _ in ready.wait(60, 8)] == [ours.fileno()]


def test_who_was_removed_is_not_named(ready, pair):
    ours, theirs = pair
    ready.add(ours.fileno())
    theirs.send(b"x")
    ready.remove(ours.fileno())
    assert not ready.wait(0, 8)


async def test_trio_can_wait_for_it(ready, pair):
    ours, theirs = pair
    ready.add(ours.fileno())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.lowlevel.wait_readable, ready.fileno())
        await trio.lowlevel.checkpoint()
        theirs.send(b"x")
    assert ready.wait(0, 1)
