"""What is held: connections, opens, locks and leases, and how long each takes to come by.

Each task stands at its first gate when nothing is held, and at its second when all is.
"""

import os
from collections.abc import Callable
from contextlib import ExitStack
from typing import Final

from benchmarks import requests
from benchmarks.burst import CREDITS, Operation, pack_frame, run_once
from benchmarks.gang import Gate
from benchmarks.logon import Connection, gather_credits, logged_on, many_logged_on, protect, reset
from benchmarks.rehearsal import rehearse
from benchmarks.sample import Clock, Share
from benchmarks.servers import Server
from benchmarks.share import FILE, entry
from smbport.testing.client import FileId
from smbport.wire.constants import Access, ContextTag, OplockLevel
from smbport.wire.create_contexts import LeaseContextV2, LeaseState
from smbport.wire.header import Header
from smbport.wire.status import StatusError

__all__ = ["hold_connections", "hold_leases", "hold_locks", "hold_opens"]

AT_ONCE: Final = 500  # operations packed together
DEPTH: Final = 16
LIMIT_S: Final = 20  # then a server has taken too long, and what it has done by then counts
EVERYTHING: Final = LeaseState.READ_CACHING | LeaseState.HANDLE_CACHING | LeaseState.WRITE_CACHING


def hold_connections(gate: Gate, server: Server, *, count: int) -> Share:
    """So many connections, each with a session and a tree connect, which do nothing; one is there before."""
    clock, held, rehearsal = Clock(), 0, rehearse(server)
    with logged_on(server), ExitStack() as stack:
        gate()
        with clock:
            while held < count:
                stack.callback(reset, rehearsal.connect())
                held += 1
        gate()
    return Share(held, clock.elapsed_s, clock.cpu_s)


def hold_opens(gate: Gate, server: Server, *, count: int) -> Share:
    """So many opens of one connection, each of a file of its own."""

    def prepare(_: Connection) -> Callable[[int], Operation]:
        return lambda index: [[requests.create(entry(count, index))]]

    return _hold(gate, server, count, prepare)


def hold_locks(gate: Gate, server: Server, *, count: int) -> Share:
    """So many locks of one open: single bytes, each with a free one behind it."""

    def prepare(connection: Connection) -> Callable[[int], Operation]:
        file = connection.client.create(connection.tree_id, FILE, access=Access.GENERIC_ALL)
        return lambda index: [[requests.lock(index * 2, 1, file)]]

    return _hold(gate, server, count, prepare)


def _hold(gate: Gate, server: Server, count: int, prepare: Callable[[Connection], Callable[[int], Operation]]) -> Share:
    elapsed_s = cpu_s = 0.0
    held = 0
    with logged_on(server) as connection:
        client, sock, tree_id = connection
        make = prepare(connection)
        gather_credits(client, CREDITS)
        protect(client, "plain")
        gate()
        while held < count and elapsed_s < LIMIT_S:
            operations = [make(index) for index in range(held, min(held + AT_ONCE, count))]
            clock = run_once(client, sock, tree_id, operations, DEPTH)
            held += len(operations)
            elapsed_s, cpu_s = elapsed_s + clock.elapsed_s, cpu_s + clock.cpu_s
        gate()
    note = "" if held == count else f"{held:,} of {count:,} after {LIMIT_S} s"
    return Share(held, elapsed_s, cpu_s, note=note)


def hold_leases(gate: Gate, server: Server, *, numbers: range, entries: int) -> Share:
    """A lease of everything on a file of its own for each connection; the connections are there before."""
    clock = Clock()
    with many_logged_on(server, len(numbers)) as connections:
        frames = []
        for number, (client, _, tree_id) in zip(numbers, connections, strict=True):
            lease = LeaseContextV2(lease_key=os.urandom(16), lease_state=EVERYTHING).pack()
            request = requests.create(
                entry(entries, number), oplock=OplockLevel.LEASE, contexts=[(ContextTag.LEASE, lease)]
            )
            protect(client, "plain")
            frames.append(pack_frame(client, tree_id, [request]))
        gate()
        with clock:
            for connection, frame in zip(connections, frames, strict=True):
                connection.client.link.send(frame)
            answers = [connection.client.link.receive() for connection in connections]
        for connection, answer in zip(connections, answers, strict=True):
            _check_granted(connection, answer)
        gate()
    return Share(len(answers), clock.elapsed_s, clock.cpu_s)


def _check_granted(connection: Connection, answer: bytes) -> FileId:
    status = Header.unpack_from(answer).status
    if status:
        raise StatusError(status)
    file = connection.client.file_id(connection.tree_id, answer)
    if file.lease is None or file.lease.lease_state != EVERYTHING:
        raise ConnectionError(f"the server grants {file.lease}, not everything")
    return file
