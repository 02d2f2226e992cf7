"""Bursts on one connection, against a server in this process."""

import socket
import struct
from functools import partial

import pytest

from benchmarks import burst, requests
from benchmarks import operations as op
from benchmarks.burst import Replies, pipelined, run_once
from benchmarks.logon import logged_on, protect
from smbport.wire.constants import Access, HeaderFlag
from smbport.wire.header import HEADER_SIZE
from smbport.wire.status import Status

PROTECTIONS = ("plain", "gmac", "cmac", "hmac", "gcm", "ccm")


def response(status: int = Status.SUCCESS, flags: int = HeaderFlag.SERVER_TO_REDIR, following: int = 0, size: int = 4):
    """A frame with its prefix: a header of which only what is looked at is set, and so many bytes behind it."""
    header = bytearray(HEADER_SIZE)
    struct.pack_into("<I4xII", header, 8, status, flags, following)
    message = bytes(header) + bytes(size)
    return len(message).to_bytes(4, "big") + message


@pytest.mark.parametrize("protection", PROTECTIONS)
@pytest.mark.parametrize("depth", [1, 5])
async def test_each_protection_at_each_depth(server, do, populate, gates, protection, depth) -> None:
    await populate("data")
    share = await do(
        pipelined, lambda: gates.append("gate"), server, 0.001,
        prepare=partial(op.read_onwards, size=100_000), depth=depth, protection=protection, burst=16,
    )  # fmt: skip
    assert gates == ["gate", "gate"]
    assert share.operations == len(share.latencies_ns) > 0
    assert all(time_ns > 0 for time_ns in share.latencies_ns)
    assert share.elapsed_s > 0


OPERATIONS = {
    "echo": op.echo,
    "create_among": partial(op.create_among, entries=1000),
    "open_close": op.open_close,
    "stat": op.stat,
    "create_write_delete": op.create_write_delete,
    "write_flush": op.write_flush,
    "read_anywhere": partial(op.read_anywhere, size=4096),
    "write_anywhere": partial(op.write_anywhere, size=4096),
    "write_onwards": partial(op.write_onwards, size=1 << 20),
    "list_directory": partial(op.list_directory, entries=1000),
}


@pytest.mark.parametrize("name", OPERATIONS)
async def test_each_operation_is_answered_with_success(server, do, populate, name) -> None:
    await populate("data", "entries-1000")
    share = await do(
        pipelined, lambda: None, server, 0.001, prepare=OPERATIONS[name], depth=1, protection="plain", burst=2
    )
    assert share.operations == len(share.latencies_ns) > 0


async def test_what_is_made_and_deleted_is_gone(server, do) -> None:
    def names() -> bytes:
        with logged_on(server) as (client, sock, tree_id):
            make = op.create_write_delete(client, tree_id)
            protect(client, "plain")
            run_once(client, sock, tree_id, [[frame] for frame in make()], 1)
            return client.query_directory(client.create(tree_id, ""))

    assert ".tmp".encode("utf-16-le") not in await do(names)


async def test_a_note_of_what_is_done_before_each_burst(server, do) -> None:
    seen = []
    share = await do(
        pipelined, lambda: None, server, 0.001, prepare=op.echo, depth=1, protection="plain", burst=3,
        before=lambda server: seen.append(server.name) or "cold",
    )  # fmt: skip
    assert share.note == "cold"
    assert set(seen) == {"smbport"}


async def test_a_failure_is_raised_with_its_status(server, do) -> None:
    def missing(client, tree_id):
        return lambda: [[requests.create("nothing", Access.FILE_GENERIC_READ), requests.close()]]

    with pytest.raises(ConnectionError, match="STATUS_OBJECT_NAME_NOT_FOUND"):
        await do(pipelined, lambda: None, server, 0.001, prepare=missing, depth=1, protection="plain", burst=1)


def test_latencies_are_those_of_whole_operations() -> None:
    moments = burst._Moments()
    moments.sent = [(0, 2), (10, 3), (25, 4)]
    moments.answered = [(10, 1), (25, 2), (40, 4)]
    assert moments.latencies_ns(1) == [10, 25, 30, 15]
    assert moments.latencies_ns(2) == [25, 30]


def test_answers_are_counted_however_they_arrive() -> None:
    interim = response(Status.PENDING, HeaderFlag.ASYNC_COMMAND | HeaderFlag.SERVER_TO_REDIR)
    long = response(size=20_000)
    stream = response() + interim + response() + long + response(Status.NO_MORE_FILES)
    for piece in (1, 7, 100, len(stream)):
        ours, theirs = socket.socketpair()
        with ours, theirs:
            replies, count = Replies(ours, None), 0
            for begin in range(0, len(stream), piece):
                theirs.sendall(stream[begin : begin + piece])
                count += replies.take()
            while count < 4:
                count += replies.take()
        assert count == 4


def test_a_compound_counts_for_each_response() -> None:
    first = response(following=72, size=8)[4:]
    message = first + response()[4:]
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(len(message).to_bytes(4, "big") + message)
        assert Replies(ours, None).take() == 2


def test_a_server_that_hangs_up() -> None:
    ours, theirs = socket.socketpair()
    with ours:
        theirs.close()
        with pytest.raises(ConnectionResetError):
            Replies(ours, None).take()
