"""What is measured: the table of rows.  A name says what is done, how much at a time, and how it is protected."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Final

from benchmarks import operations as op
from benchmarks.burst import Prepare, pipelined
from benchmarks.cold import cool
from benchmarks.connects import come_and_go
from benchmarks.fleet import Script, fleet
from benchmarks.gang import Task
from benchmarks.holding import hold_connections, hold_leases, hold_locks, hold_opens
from benchmarks.logon import Protection
from benchmarks.office import office
from benchmarks.sample import Absent, Sample, Share
from benchmarks.servers import Server
from benchmarks.share import directory
from benchmarks.torture import run_torture

__all__ = ["ROWS", "Row"]

Tasks = Callable[[Server, float, int], Sequence[Task]]  # a server, seconds, and how many processes there are
Foreign = Callable[[Server, float], Sample | Absent]

SMALL, MIDDLE, LARGE = 4 << 10, 64 << 10, 1 << 20
PROTECTIONS: Final[tuple[Protection, ...]] = ("plain", "gmac", "cmac", "hmac", "gcm", "ccm")
SIZES: Final = (1_000, 10_000, 100_000)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the report."""

    name: str
    tasks: Tasks | None = None  # made of functions of modules, for they run in other processes
    foreign: Foreign | None = None  # or a load that is not ours
    needs: tuple[str, ...] = ()  # what must be on the share
    items: int = 1  # that one operation works on
    held: int = 0  # what is held at the end of the measurement: its memory is taken, of a server started for that
    files: int = 0  # that a server with a file system below must be able to have open
    rounds: int = 99  # at most, because it takes long
    ends: bool = False  # the processes that the server starts for it end with it, and then they count


def _alone(server: Server, seconds: float, processes: int, *, task: Callable[..., Share]) -> list[Task]:
    """One process does it."""
    return [partial(task, server=server, seconds=seconds)]


def _bursts(
    name: str, prepare: Prepare, depths: Sequence[int], protections: Sequence[Protection], burst: int, need: str = "",
    items: int = 1, rounds: int = 99,
) -> list[Row]:  # fmt: skip
    """NAME/DEPTH/PROTECTION, one for each of both."""
    return [
        Row(
            f"{name}/{depth}/{protection}",
            partial(
                _alone,
                task=partial(pipelined, prepare=prepare, depth=depth, protection=protection, burst=burst),
            ),
            needs=(need,) if need else (),
            items=items,
            rounds=rounds,
        )
        for protection in protections
        for depth in depths
    ]


def _cold(depth: int) -> Row:
    prepare = partial(op.read_anywhere, size=MIDDLE)
    task = partial(pipelined, prepare=prepare, depth=depth, protection="plain", burst=512, before=cool)
    return Row(f"cold-read-64k/{depth}/plain", partial(_alone, task=task), needs=("data",))


def _listing(entries: int, protections: Sequence[Protection]) -> list[Row]:
    burst = max(20_000 // entries, 1)
    prepare, need = partial(op.list_directory, entries=entries), directory(entries)
    return _bursts(f"list-{entries}", prepare, (1,), protections, burst, need, entries, _rounds(entries))


def _rounds(entries: int) -> int:
    """The largest directories take a minute to be made."""
    return 1 if entries == SIZES[-1] else 99


def _creating(entries: int, depths: Sequence[int]) -> list[Row]:
    prepare = partial(op.create_among, entries=entries)
    return _bursts(f"creates-{entries}", prepare, depths, ("plain",), 100, directory(entries), rounds=_rounds(entries))


def _spread(server: Server, seconds: float, processes: int, *, count: int, script: Script) -> list[Task]:
    """Connections, dealt to all processes."""
    return [
        partial(fleet, server=server, seconds=seconds, numbers=numbers, script=script)
        for numbers in _deal(count, processes)
    ]


def _connects(server: Server, seconds: float, processes: int, *, count: int) -> list[Task]:
    return [partial(come_and_go, server=server, seconds=seconds) for _ in range(min(count, processes))]


def _idle(server: Server, _: float, processes: int, *, count: int) -> list[Task]:
    return [partial(hold_connections, server=server, count=len(numbers)) for numbers in _deal(count, processes)]


def _leases(server: Server, _: float, processes: int, *, count: int) -> list[Task]:
    return [
        partial(hold_leases, server=server, numbers=numbers, entries=SIZES[0]) for numbers in _deal(count, processes)
    ]


def _holding(server: Server, _: float, processes: int, *, task: Callable[..., Share], count: int) -> list[Task]:
    return [partial(task, server=server, count=count)]


def _deal(count: int, processes: int) -> list[range]:
    """Numbers below `count`, in so many parts of about the same size, none of them empty."""
    edges = [count * part // processes for part in range(processes + 1)]
    return [range(begin, end) for begin, end in pairwise(edges) if begin < end]


def _torture(name: str, leaf: str, counted: str, connections: int, depth: int) -> Row:
    run = partial(run_torture, leaf=leaf, counted=counted, connections=connections, depth=depth)
    return Row(f"torture-{name}/{connections}x{depth}", foreign=run, rounds=2)


ROWS: Final = (
    *_bursts("echo", op.echo, (1, 16), ("plain", "gmac"), 2000),
    *_bursts("open-close", op.open_close, (1, 16), ("plain", "gmac"), 500, directory(SIZES[0])),
    *_bursts("stat", op.stat, (1,), ("plain", "gmac"), 500, directory(SIZES[0])),
    *_bursts("create-write-delete", op.create_write_delete, (1,), ("plain",), 200),
    *_creating(SIZES[0], (1, 16)),
    *_creating(SIZES[1], (1, 16)),
    *_creating(SIZES[2], (1,)),
    *_bursts("write-flush", op.write_flush, (1,), ("plain",), 20, "data"),
    *_listing(SIZES[0], ("plain", "gmac")),
    *_listing(SIZES[1], ("plain",)),
    *_listing(SIZES[2], ("plain",)),
    *_bursts("read-4k", partial(op.read_anywhere, size=SMALL), (1, 16, 64), ("plain",), 1000, "data"),
    *_bursts("read-4k", partial(op.read_anywhere, size=SMALL), (16,), ("gmac",), 1000, "data"),
    *_bursts("write-4k", partial(op.write_anywhere, size=SMALL), (1, 16, 64), ("plain",), 1000, "data"),
    *_bursts("write-4k", partial(op.write_anywhere, size=SMALL), (16,), ("gmac",), 1000, "data"),
    *_bursts("read-64k", partial(op.read_onwards, size=MIDDLE), (8,), PROTECTIONS, 512, "data"),
    *_bursts("write-64k", partial(op.write_onwards, size=MIDDLE), (8,), PROTECTIONS, 256, "data"),
    *_bursts("read-1m", partial(op.read_onwards, size=LARGE), (4,), PROTECTIONS, 64, "data"),
    *_bursts("write-1m", partial(op.write_onwards, size=LARGE), (4,), PROTECTIONS, 64, "data"),
    _cold(1),
    _cold(16),
    *(Row(f"many-{count}", partial(_spread, count=count, script=op.read_in_script), needs=("data",))
      for count in (16, 100, 1000)),
    *(Row(f"office/{count}", partial(_spread, count=count, script=office), needs=("office",)) for count in (1, 8)),
    *(Row(f"connect/{count}", partial(_connects, count=count), ends=True) for count in (1, 2)),
    *(Row(f"idle-{count}", partial(_idle, count=count), held=count, rounds=2 if count < 5000 else 1)
      for count in (100, 1000, 5000)),
    *(Row(f"opens-{count}", partial(_holding, task=hold_opens, count=count), needs=(directory(count),), held=count,
          files=count, rounds=1 if count > 10_000 else 2) for count in SIZES),
    *(Row(f"locks-{count}", partial(_holding, task=hold_locks, count=count), needs=("data",), held=count,
          rounds=1 if count > 10_000 else 2) for count in SIZES),
    Row("leases-1000", partial(_leases, count=1000), needs=(directory(SIZES[0]),), held=1000, rounds=2),
    _torture("echo", "echo", "echo", 1, 16),
    _torture("read-4k", "read", "read", 1, 16),
    _torture("open-close", "path-contention-shared", "open", 1, 1),
    _torture("session-setup", "session-setup", "setup", 1, 4),
)  # fmt: skip
