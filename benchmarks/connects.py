"""Connections that come and go."""

import socket
import time
from typing import Final

from benchmarks.gang import Gate
from benchmarks.rehearsal import Rehearsal, rehearse
from benchmarks.sample import Clock, Share
from benchmarks.servers import Server

__all__ = ["come_and_go"]

WARM_UP: Final = 3


def come_and_go(gate: Gate, server: Server, seconds: float) -> Share:
    """Connect, log on, connect to the share, hang up and wait until the server has done so too; again and again."""
    clock = Clock()
    latencies_ns: list[int] = []
    rehearsal = rehearse(server)
    for _ in range(WARM_UP):
        _come_and_go(rehearsal)
    gate()
    while clock.elapsed_s < seconds:
        with clock:
            begun_ns = time.perf_counter_ns()
            _come_and_go(rehearsal)
            latencies_ns.append(time.perf_counter_ns() - begun_ns)
    gate()
    return Share(len(latencies_ns), clock.elapsed_s, clock.cpu_s, latencies_ns)


def _come_and_go(rehearsal: Rehearsal) -> None:
    with rehearsal.connect() as sock:
        sock.shutdown(socket.SHUT_WR)
        sock.recv(1)
