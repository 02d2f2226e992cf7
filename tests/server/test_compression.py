"""Compressed requests on real connections: large ones are expanded in a thread, and nothing overtakes them."""

import threading

import pytest
import trio

from smbport.commands.compression import LARGE, CompressedFrame
from smbport.state.settings import Settings, ShareSettings
from smbport.wire.compression import unchained_head
from smbport.wire.constants import CompressionAlgorithm
from smbport.wire.status import Status

TEXT = b"".join(b"line %d of a text that says the same, but not again\n" % number for number in range(3000))
SETTINGS = Settings(
    server_guid=bytes(range(16)),
    shares=(ShareSettings(name="s", path="v", run_as="server", compression=True),),
)


async def connect(world):
    peer = world.connect()
    await peer.do(peer.negotiate, [0x0311], compression=(CompressionAlgorithm.LZ77,))
    await peer.do(peer.log_on, "u", "p")
    tree = await peer.do(peer.tree_connect, "s")
    return peer, await peer.do(peer.open, tree, "f")


def send_compressed(peer, *requests) -> list[int]:
    """`requests` must be made by functions, so that they are compressed."""
    peer.compress = True
    made = [make() for make in requests]
    peer.compress = False
    return peer.send(*made)


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch, gate):
    """Frames wait at the gate before they are expanded in a thread; the threads that they are expanded in."""
    threads = []
    expand = CompressedFrame.expand

    def wait_and_expand(compressed: CompressedFrame) -> memoryview:
        threads.append(threading.get_ident())
        if compressed.is_large():
            gate.pass_through()
        return expand(compressed)

    monkeypatch.setattr(CompressedFrame, "expand", wait_and_expand)
    return threads


@pytest.mark.pure_only
async def test_a_small_one_is_expanded_at_once(start, held) -> None:
    world = await start(settings=SETTINGS)
    peer, file = await connect(world)
    [sent] = send_compressed(peer, lambda: peer.writing(file, 0, bytes(500_000)))
    assert await peer.answers(1) == {sent: Status.SUCCESS}
    assert held == [threading.get_ident()]


async def test_a_large_one_keeps_nobody_waiting_but_its_own_connection(start, held, gate) -> None:
    world = await start(settings=SETTINGS)
    peer, file = await connect(world)
    other, _ = await connect(world)
    first = peer.echo()
    peer.compress = True
    write = peer.writing(file, 0, TEXT)
    assert len(write.frame) > LARGE
    peer.compress = False
    behind = peer.reading(file, 0, len(TEXT))
    sent = peer.send(first, write, behind)
    assert list(await peer.answers(1)) == [first.message_id]
    await world.until(lambda: gate.arrived)
    other.send(other.echo())
    assert len(await other.answers(1)) == 1
    await trio.testing.wait_all_tasks_blocked()
    gate.open()
    assert await peer.answers(2) == dict.fromkeys(sent[1:], Status.SUCCESS)
    assert held[0] != threading.get_ident()
    assert await peer.do(peer.read, file, 0, len(TEXT)) == TEXT  # in the order of asking, or the read were too early


async def test_sealed_ones_go_to_threads_too(start, held, gate) -> None:
    gate.open()
    world = await start(settings=SETTINGS)
    peer, file = await connect(world)
    peer.seal = True
    sent = send_compressed(peer, *(lambda at=at: peer.writing(file, at * len(TEXT), TEXT) for at in range(5)))
    assert await peer.answers(5) == dict.fromkeys(sent, Status.SUCCESS)
    assert len(held) == 5
    assert threading.get_ident() not in held
    assert await peer.do(peer.read, file, 4 * len(TEXT), len(TEXT)) == TEXT


@pytest.mark.parametrize("inside", [b"\xfeSMB" * 2000, b"\xffSMB" * 2000], ids=["promises more", "another protocol"])
async def test_a_bad_one_ends_its_connection_with_one_line(start, held, gate, caplog, inside: bytes) -> None:
    gate.open()
    world = await start(settings=SETTINGS)
    peer, _ = await connect(world)
    caplog.set_level("INFO")
    frame = unchained_head(inside, CompressionAlgorithm.LZ77, int(inside[:1] == b"\xfe"))
    peer.sock.sendall(len(frame).to_bytes(4, "big") + frame)
    assert await peer.is_gone()
    await world.until_alone()
    assert [record.message.count("compressed message") for record in caplog.records] == [1]
    assert not world.server.bugs


async def test_what_is_expanded_for_a_connection_that_ends_is_not_answered(start, held, gate) -> None:
    world = await start(settings=SETTINGS)
    peer, file = await connect(world)
    [connection] = world.listener.connections
    send_compressed(peer, lambda: peer.writing(file, 0, TEXT))
    await world.until(lambda: gate.arrived)
    connection.end("enough")
    gate.open()
    assert await peer.is_gone()
    await world.until_alone()
    volume = world.server.find_share("s").volume
    assert volume.stat("f").size == 0
