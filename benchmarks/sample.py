"""What one run of one row on one server took, and how that is taken."""

import math
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from benchmarks.processes import cpu_seconds, machine_seconds

__all__ = ["Absent", "Clock", "Sample", "Share", "Watch", "combine", "percentile_us"]


@dataclass(slots=True)
class Sample:
    """Figures.  `None` is a figure that this row does not have."""

    operations: int = 0
    elapsed_s: float = 0.0
    server_cpu_s: float = 0.0  # user and system, all processes of the server
    load_cpu_s: float = 0.0  # of the generator, while the clock ran
    load_busiest_s: float = 0.0  # of the process of the generator that had most
    others: float = 0.0  # cores that other processes of the machine kept busy
    p50_us: float | None = None
    p99_us: float | None = None
    item_bytes: float | None = None  # memory for each connection, open, lock …
    total_bytes: int | None = None  # memory of the whole server with all of them
    note: str = ""


@dataclass(frozen=True, slots=True)
class Absent:
    """Why a server has no figures in a row."""

    reason: str


@dataclass(slots=True)
class Share:
    """What one process of the generator did."""

    operations: int
    elapsed_s: float
    load_cpu_s: float
    latencies_ns: Sequence[int] = ()
    note: str = ""


class Clock:
    """Adds up the time, and the CPU time of this process, of `with` blocks."""

    __slots__ = ("_begun", "cpu_s", "elapsed_s")

    def __init__(self) -> None:
        self.elapsed_s = 0.0
        self.cpu_s = 0.0

    def __enter__(self) -> None:
        self._begun = time.perf_counter(), time.process_time()

    def __exit__(self, *_: object) -> None:
        self.elapsed_s += time.perf_counter() - self._begun[0]
        self.cpu_s += time.process_time() - self._begun[1]


class Watch:
    """CPU time of a server, and of everything but the benchmark and what it started, between `begin` and `end`."""

    def __init__(self, server_pid: int) -> None:
        self._pid: Final = server_pid
        self.server_s = self.others = 0.0

    def begin(self) -> None:
        self._begun_s = time.perf_counter()
        self._before = self._read()

    def end(self) -> None:
        server_s, others_s = (now - then for now, then in zip(self._read(), self._before, strict=True))
        self.server_s = server_s
        self.others = max(others_s, 0.0) / (time.perf_counter() - self._begun_s)

    def _read(self) -> tuple[float, float]:
        return cpu_seconds(self._pid), machine_seconds() - cpu_seconds(os.getpid())


def combine(shares: Sequence[Share], watch: Watch) -> Sample:
    """One sample of what several processes did at the same time."""
    latencies_ns = sorted(time_ns for share in shares for time_ns in share.latencies_ns)
    return Sample(
        operations=sum(share.operations for share in shares),
        elapsed_s=max(share.elapsed_s for share in shares),
        server_cpu_s=watch.server_s,
        load_cpu_s=sum(share.load_cpu_s for share in shares),
        load_busiest_s=max(share.load_cpu_s for share in shares),
        others=watch.others,
        p50_us=percentile_us(latencies_ns, 0.5) if latencies_ns else None,
        p99_us=percentile_us(latencies_ns, 0.99) if latencies_ns else None,
        note="; ".join(sorted({share.note for share in shares if share.note})),
    )


def percentile_us(ordered_ns: Sequence[int], share: float) -> float:
    """The nearest rank, so that it is a time that occurred, in microseconds."""
    return ordered_ns[math.ceil(share * len(ordered_ns)) - 1] / 1000
