"""A run: round after round, in each of them row after row, and the servers in turn, so that all meet the same noise."""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from fnmatch import fnmatchcase
from pathlib import Path

from benchmarks.cold import warm
from benchmarks.gang import Gang, LoadError
from benchmarks.logon import logged_on
from benchmarks.processes import count, settle, steady_bytes
from benchmarks.rows import Row
from benchmarks.sample import Absent, Sample, Watch, combine
from benchmarks.servers import Server, ServerError, starter
from benchmarks.share import make
from smbport.wire.status import StatusError

__all__ = ["Results", "Round", "measure_row", "measured"]

Round = Mapping[str, Sample | Absent]  # by the server's name, in the order of the columns
Results = Mapping[str, Sequence[Round]]  # by the row's name

Say = Callable[[str], None]


def measured(
    gang: Gang, servers: Mapping[str, Server], rows: Sequence[Row], rounds: int, seconds: float, directory: Path,
    files: int, say: Say,
) -> Iterator[tuple[str, Round]]:  # fmt: skip
    """All rows on all servers, which run already: the name of a row, and what a round of it gave.

    `files` is how many a process may have open.
    """
    hopeless: dict[tuple[str, str], Absent] = {}  # what was in vain once is not tried again
    for number in range(rounds):
        order = list(servers)[:: 1 if number % 2 == 0 else -1]
        for row in rows:
            if number >= row.rounds:
                continue
            found: dict[str, Sample | Absent] = {}
            for name in order:
                say(f"round {number + 1} of {rounds}: {row.name} on {name}")
                absence = hopeless.get((row.name, name)) or _absence(servers[name], row, files)
                found[name] = absence or _measure(gang, servers[name], row, seconds, directory)
                if isinstance(outcome := found[name], Absent):
                    hopeless[row.name, name] = outcome
            yield row.name, {name: found[name] for name in servers}


def _absence(server: Server, row: Row, files: int) -> Absent | None:
    for pattern, reason in server.lacks.items():
        if fnmatchcase(row.name, pattern):
            return Absent(reason)
    if server.path is not None and row.files > files:
        return Absent(f"it needs {row.files:,} open files, and the system lets a process have {files:,} (ulimit -Hn)")
    return None


def _measure(gang: Gang, server: Server, row: Row, seconds: float, directory: Path) -> Sample | Absent:
    """On the server that runs, or on one started for this row on the same share.  A failure is an answer too."""
    try:
        with ExitStack() as stack:
            if row.held:
                apart = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=directory)))
                server = stack.enter_context(starter(server.name, server.python)(apart, server.path))
            for need in row.needs:
                with logged_on(server) as connection:
                    make(connection, need, server.path)
            if "data" in row.needs:
                warm(server)
            return measure_row(gang, server, row, seconds)
    except (LoadError, ServerError, OSError, StatusError) as error:
        return Absent(f"failed: {error}".partition("\n")[0])


def measure_row(gang: Gang, server: Server, row: Row, seconds: float) -> Sample | Absent:
    """One row on one server.  Raises LoadError if it fails."""
    if row.tasks is None:
        assert row.foreign is not None
        return row.foreign(server, seconds)
    watch, before, after, processes = Watch(server.pid), 0, 0, 0

    def begin() -> None:
        nonlocal before, processes
        before = steady_bytes(server.pid) if row.held else 0
        processes = count(server.pid)
        watch.begin()

    def end() -> None:
        nonlocal after
        if row.ends:
            settle(server.pid, processes)
        watch.end()
        after = steady_bytes(server.pid) if row.held else 0

    sample = combine(gang.run(row.tasks(server, seconds, len(gang)), begin, end), watch)
    if row.held:
        sample.item_bytes, sample.total_bytes = (after - before) / sample.operations, after
    return sample
