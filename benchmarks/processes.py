"""What a process and its descendants take: CPU time and memory, read from outside, from /proc."""

import os
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

__all__ = ["count", "cpu_seconds", "machine_seconds", "proportional_bytes", "settle", "steady_bytes"]

TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
POLL_S: Final = 0.02
STEADY_S: Final = 0.3  # memory is steady when it does not change by a percent in this time (guessed)
STEADY_TRIES: Final = 20


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and all its descendants, dead or alive."""
    return sum(_cpu_seconds(member, ticks) for member, ticks in _tree(pid).items())


def _cpu_seconds(pid: int, ticks: Sequence[int]) -> float:
    """Of a process and its dead children.

    Ticks are rounded down, for each of a thousand processes; the scheduler counts nanoseconds, but of living threads
    only.  Neither is ever too much.
    """
    own, children = sum(ticks[:2]) / TICKS_PER_S, sum(ticks[2:]) / TICKS_PER_S
    ns = 0
    with suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
        for thread in os.listdir(f"/proc/{pid}/task"):
            ns += int(Path(f"/proc/{pid}/task/{thread}/schedstat").read_text().split()[0])
    return max(own, ns / 1e9) + children


def count(pid: int) -> int:
    """How many a process and its descendants are."""
    return len(_tree(pid))


def machine_seconds() -> float:
    """CPU time that this machine has spent on anything.  proc_stat(5)"""
    fields = map(int, Path("/proc/stat").read_text().split(maxsplit=9)[1:9])
    user, nice, system, _idle, _iowait, interrupts, soft_interrupts, stolen = fields
    return (user + nice + system + interrupts + soft_interrupts + stolen) / TICKS_PER_S


def proportional_bytes(pid: int) -> int:
    """Memory of a process and all its descendants, with shared pages counted once (PSS).  proc_pid_smaps(5)"""
    kib = 0
    for member in _tree(pid):
        with suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
            for line in Path(f"/proc/{member}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    kib += int(line.split()[1])
    return kib << 10


def steady_bytes(pid: int) -> int:
    """The same, once it no longer changes."""
    size = proportional_bytes(pid)
    for _ in range(STEADY_TRIES):
        time.sleep(STEADY_S)
        last, size = size, proportional_bytes(pid)
        if abs(size - last) <= size // 100:
            break
    return size


def settle(pid: int, processes: int, timeout_s: float = 10) -> int:
    """Wait until a server has at most so many processes; returns how many it has."""
    deadline = time.monotonic() + timeout_s
    while (found := count(pid)) > processes and time.monotonic() < deadline:
        time.sleep(POLL_S)
    return found


def _status(pid: int | str) -> tuple[int, list[int]]:
    """Parent, and ticks of CPU: own user and system, those of children that were waited for.  proc_pid_stat(5)"""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[1]), [int(field) for field in fields[11:15]]


def _tree(pid: int) -> dict[int, list[int]]:
    """Ticks of a process and all its descendants, by process id."""
    ticks: dict[int, list[int]] = {}
    children: dict[int, list[int]] = {}
    for name in filter(str.isdecimal, os.listdir("/proc")):
        with suppress(FileNotFoundError, ProcessLookupError):
            parent, ticks[int(name)] = _status(name)
            children.setdefault(parent, []).append(int(name))
    tree: dict[int, list[int]] = {}
    waiting = [pid]
    while waiting:
        member = waiting.pop()
        if member in ticks:
            tree[member] = ticks[member]
            waiting += children.get(member, ())
    return tree
