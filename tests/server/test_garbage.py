"""What requests leave behind goes at once and waits for no collector of cycles; but for names that were deleted."""

import gc
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from smbport.wire.constants import Access

ROUNDS = 5


@contextmanager
def garbage_of_ours() -> Iterator[Counter[str]]:
    """Counts what the collector finds of the server's own classes."""
    found: Counter[str] = Counter()
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        yield found
        gc.collect()
        of_server = ("smbport.state", "smbport.commands", "smbport.server", "smbport.posix", "smbport_linux")
        found.update(type(one).__qualname__ for one in gc.garbage if type(one).__module__.startswith(of_server))
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


def open_and_close(peer, tree):
    peer.close(peer.open(tree, "f"))


def read_and_write(peer, tree):
    file = peer.open(tree, "f")
    peer.write(file, 0, b"data")
    peer.read(file, 0, 4)
    peer.flush(file)
    peer.close(file)


def list_all(peer, tree):
    directory = peer.create(tree, "", access=Access.FILE_GENERIC_READ)
    assert peer.query_directory(directory)
    peer.close(directory)


@pytest.mark.parametrize("work", [open_and_close, read_and_write, list_all])
async def test_the_collector_finds_nothing(start, work) -> None:
    world = await start()
    peer, tree = await world.log_on()
    await peer.do(work, peer, tree)
    with garbage_of_ours() as found:
        for _ in range(ROUNDS):
            await peer.do(work, peer, tree)
    assert found == {}
