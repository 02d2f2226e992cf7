"""smbtorture's own benchmarks, smb2.bench.*, as a second load: a C client that none of us wrote."""

import os
import re
import resource
import subprocess
from typing import Final

from benchmarks.processes import count, settle
from benchmarks.sample import Absent, Sample, Watch
from benchmarks.servers import Server

__all__ = ["parse_rate", "run_torture"]

PATIENCE_S: Final = 60


def run_torture(
    server: Server, seconds: float, *, leaf: str, counted: str, connections: int, depth: int
) -> Sample | Absent:
    """Run a leaf for so many whole seconds; an operation is what it calls `counted`."""
    # Here, not above: the tests know where the suite of the backports is kept, and are not needed for anything else.
    from tests.interop.torture.suite import NEWER, SuiteMissing, find_suite

    try:
        suite = find_suite(NEWER)
    except SuiteMissing as error:
        return Absent(str(error))
    whole_s = max(round(seconds), 1)
    command = [
        suite.program, f"//{server.host}/{server.share}", "-p", str(server.port),
        "-U", f"{server.user}%{server.password}",
        f"--option=torture:nprocs={connections}", f"--option=torture:qdepth={depth}",
        f"--option=torture:timelimit={whole_s}", "--option=torture:progress=no", f"smb2.bench.{leaf}",
    ]  # fmt: skip
    watch, before_s, processes = Watch(server.pid), _children_s(), count(server.pid)
    watch.begin()
    done = subprocess.run(
        command, capture_output=True, text=True, errors="replace", timeout=PATIENCE_S, check=False,
        env=os.environ | dict(suite.environment), stdin=subprocess.DEVNULL,
    )  # fmt: skip
    settle(server.pid, processes)  # the CPU time of those that end with their connections counts then
    watch.end()
    rate = parse_rate(done.stdout + done.stderr, counted)
    if rate is None:
        return Absent(f"smbtorture failed: {done.stdout.strip().splitlines()[-1:]}")
    load_s = _children_s() - before_s
    return Sample(rate * whole_s, whole_s, watch.server_s, load_s, load_s, watch.others)


def parse_rate(output: str, counted: str) -> int | None:
    """Operations per second, from what smbtorture says at the end; None if it does not."""
    found = re.findall(rf"{re.escape(counted)}\[num/s=([\d,]+)", output)
    return int(found[-1].replace(",", "")) if found else None


def _children_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
