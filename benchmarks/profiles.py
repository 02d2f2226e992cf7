"""Where the server's time goes in a row that does not reach its goal."""

import json
import os
import signal
import sysconfig
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

from benchmarks.gang import Gang, LoadError
from benchmarks.goals import Verdict
from benchmarks.limits import LIMITS
from benchmarks.logon import logged_on
from benchmarks.rows import ROWS, Row
from benchmarks.sample import Watch, combine
from benchmarks.servers import Server, ServerError, smbport
from benchmarks.share import make
from benchmarks.table import format_table
from smbport.wire.status import StatusError

__all__ = ["Profile", "Spent", "format_profiles", "profile", "read_profile", "unreached"]

SECONDS: Final = 4.0  # of profiling: at the 250 ticks a second that many kernels have, 1 % is 10 of them
SHOWN: Final = 14  # functions
TIMEOUT_S: Final = 30
POLL_S: Final = 0.02
INTRODUCTION: Final = """\
What the process does in the rows in which a build does not reach its goal: a sample of the interpreted one for each
tick of CPU time that it uses. "Itself" is a function with the system calls that it makes, but without the functions
that it calls; the microseconds are its own, for each operation. What worker threads do is counted where the one that
serves waits: `EpollIOManager.get_events`.
"""


@dataclass(frozen=True, slots=True)
class Spent:
    """What one function took: ticks of CPU time."""

    function: str
    itself: int
    with_callees: int


@dataclass(frozen=True, slots=True)
class Profile:
    """Of one row; the text says why there is none."""

    row: str
    cpu_us: float  # for each operation
    spent: Sequence[Spent]  # the dearest first
    failure: str = ""


def unreached(verdicts: Sequence[Verdict]) -> list[Row]:
    """The rows that are measured against a goal in vain."""
    names = {name for verdict in verdicts if verdict.reached is False for name in verdict.rows}
    return [row for row in ROWS if row.name in names and row.tasks is not None]


def profile(gang: Gang, row: Row, directory: Path) -> Profile:
    """Run a row on a server of its own that is profiled."""
    try:
        with tempfile.TemporaryDirectory(dir=directory) as place:
            output = Path(place) / "profile"
            with smbport(Path(place), profile=output) as server:
                for need in row.needs:
                    with logged_on(server) as connection:
                        make(connection, need, server.path)
                return Profile(row.name, _run(gang, server, row, output), read_profile(output))
    except (LoadError, ServerError, OSError, StatusError) as error:
        return Profile(row.name, 0, (), f"failed: {error}".partition("\n")[0])


def _run(gang: Gang, server: Server, row: Row, output: Path) -> float:
    """The server's CPU time for each operation, in microseconds."""
    assert row.tasks is not None
    watch = Watch(server.pid)

    def begin() -> None:
        os.kill(server.pid, signal.SIGUSR1)
        watch.begin()

    def end() -> None:
        watch.end()
        os.kill(server.pid, signal.SIGUSR2)

    sample = combine(gang.run(row.tasks(server, SECONDS, len(gang)), begin, end), watch)
    deadline = time.monotonic() + TIMEOUT_S
    while not output.exists():
        if time.monotonic() > deadline:
            raise ServerError("the server wrote no profile")
        time.sleep(POLL_S)
    return sample.server_cpu_s / sample.operations * 1e6


def read_profile(file: Path) -> list[Spent]:
    """What `benchmarks.profiled_server` wrote."""
    found = [Spent(_name(place, function), *ticks) for place, function, *ticks in json.loads(file.read_text())]
    return sorted(found, key=lambda one: -one.itself)


def _name(file: str, function: str) -> str:
    """As short as it can be understood."""
    for root in (*map(str, Path(__file__).parents[1:2]), *map(sysconfig.get_paths().get, ("purelib", "stdlib"))):
        file = file.removeprefix(f"{root}{os.sep}")
    return f"{file} {function}"


# The page -------------------------------------------------------------------------------------------------------


def format_profiles(profiles: Sequence[Profile]) -> str:
    """A section for each row."""
    return "\n".join([INTRODUCTION, *map(_section, profiles)])


def _section(one: Profile) -> str:
    said = [f"{text.strip()}\n" for pattern, text in LIMITS.items() if fnmatchcase(one.row, pattern)]
    total = sum(spent.itself for spent in one.spent)
    if not total:
        return "\n".join([f"## {one.row}\n", *said, f"No profile: {one.failure or 'it took too little time'}\n"])
    lines = [
        (
            f"`{spent.function}`",
            f"{spent.itself / total:.1%}",
            f"{spent.with_callees / total:.1%}",
            f"{spent.itself / total * one.cpu_us:.1f}",
        )
        for spent in one.spent[:SHOWN]
    ]
    rest = sum(spent.itself for spent in one.spent[SHOWN:])
    lines.append((f"{len(one.spent[SHOWN:])} others", f"{rest / total:.1%}", "", f"{rest / total * one.cpu_us:.1f}"))
    head = f"## {one.row}\n\n{one.cpu_us:,.1f} µs of CPU for each operation; {total:,} samples.\n"
    return "\n".join([head, *said, format_table(("function", "itself", "with callees", "µs"), lines)])
