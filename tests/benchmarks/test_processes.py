"""Figures of processes from /proc: of this one, and of children whose doings are known."""

import os
import subprocess
import sys

from benchmarks.processes import count, cpu_seconds, machine_seconds, proportional_bytes, settle, steady_bytes
from benchmarks.sample import Clock, Share, Watch, combine, percentile_us

# Uses a second of CPU, tells it, and waits; as large as it is told to be.
CHILD = """
import sys, time
held = bytearray(b"x") * int(sys.argv[1])
while time.process_time() < float(sys.argv[2]):
    pass
print("done", flush=True)
sys.stdin.read()
"""


class Child:
    def __init__(self, size: int = 0, cpu_s: float = 0.0) -> None:
        command = [sys.executable, "-c", CHILD, str(size), str(cpu_s)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def __enter__(self) -> int:
        assert self.process.stdout is not None
        self.process.stdout.readline()
        return self.process.pid

    def __exit__(self, *_: object) -> None:
        self.process.communicate()


def test_cpu_time_of_descendants_counts_while_they_live_and_after() -> None:
    before = cpu_seconds(os.getpid())
    with Child(cpu_s=0.2) as pid:
        assert cpu_seconds(pid) >= 0.19
        assert cpu_seconds(os.getpid()) - before >= 0.19
    assert cpu_seconds(os.getpid()) - before >= 0.19


def test_memory_is_that_of_the_whole_tree() -> None:
    with Child(size=50 << 20) as pid:
        assert proportional_bytes(pid) > 50 << 20
        assert proportional_bytes(os.getpid()) > proportional_bytes(pid)
        assert steady_bytes(pid) > 50 << 20


def test_processes_are_counted_and_waited_for() -> None:
    alone = count(os.getpid())
    with Child():
        assert count(os.getpid()) == alone + 1
        assert settle(os.getpid(), alone, timeout_s=0) == alone + 1
    assert settle(os.getpid(), alone) == alone


def test_the_machine_is_at_least_as_busy_as_a_process() -> None:
    before = machine_seconds()
    with Child(cpu_s=0.2):
        pass
    assert machine_seconds() - before >= 0.15


def test_a_watch_tells_the_server_from_what_it_began_with() -> None:
    with Child(cpu_s=0.2) as pid:
        watch = Watch(pid)
        watch.begin()
        watch.end()
        assert watch.server_s <= 0.1
        assert watch.others >= 0


def test_shares_are_combined() -> None:
    watch = Watch(os.getpid())
    watch.server_s, watch.others = 3.0, 0.25
    shares = [Share(10, 2.0, 0.5, [1000, 3000], "cold"), Share(30, 2.5, 1.5, [2000], "cold")]
    sample = combine(shares, watch)
    assert (sample.operations, sample.elapsed_s, sample.server_cpu_s) == (40, 2.5, 3.0)
    assert (sample.load_cpu_s, sample.load_busiest_s, sample.others) == (2.0, 1.5, 0.25)
    assert (sample.p50_us, sample.p99_us, sample.note) == (2.0, 3.0, "cold")
    assert combine([Share(1, 1.0, 0.1)], watch).p50_us is None


def test_percentiles_are_times_that_occurred() -> None:
    times = list(range(1000, 101_000, 1000))
    assert [percentile_us(times, share) for share in (0.5, 0.99, 1.0)] == [50.0, 99.0, 100.0]


def test_a_clock_adds_up() -> None:
    clock = Clock()
    with clock:
        pass
    first = clock.elapsed_s
    with clock:
        pass
    assert clock.elapsed_s > first > 0
