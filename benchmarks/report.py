"""From samples to a table: medians of the quieter rounds, and ratios of servers that were measured in turn."""

import os
import platform
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from statistics import median
from typing import Final

from benchmarks.load import Memory, Sample

__all__ = ["Round", "as_json", "format_report", "quieter"]

Round = Mapping[str, Sample | Memory]  # by the server's name, in the order of the columns

QUIET_ROUNDS: Final = 3  # at least so many count
BUSY: Final = 0.8  # of a core: above, the load generator may be what limits a row
DISTURBED: Final = 0.2  # cores that others used: above, a row is marked
HEADINGS: Final = ("op/s", "CPU us/op", "p50 us", "p99 us", "busy %: server/load")
KEY: Final = (
    "op/s: median of the quieter rounds.  CPU us/op: user and system time of all processes of the server.",
    "p50, p99: latency, at depth 1 only.  x: smbport / Samba, median over the rounds; op/s above 1 and CPU below 1 are",
    "good for smbport.  busy: share of one core; '!' the load generator had more than 80 % and may be the limit.",
    "'~' other programs took more than a fifth of a core meanwhile.",
)


# Figures --------------------------------------------------------------------------------------------------------


def quieter(rounds: Sequence[Round]) -> list[Round]:
    """The half of the rounds, three at least, in which others disturbed the machine least."""
    keep = max((len(rounds) + 1) // 2, QUIET_ROUNDS)
    return sorted(rounds, key=_disturbance)[:keep]


def _disturbance(one: Round) -> float:
    return max((sample.others for sample in one.values() if isinstance(sample, Sample)), default=0.0)


def _rate(sample: Sample) -> float:
    return sample.operations / sample.elapsed_s


def _cpu_us(sample: Sample) -> float:
    return sample.server_cpu_s / sample.operations * 1e6


def _samples(rounds: Sequence[Round], server: str) -> list[Sample]:
    return [sample for one in rounds if isinstance(sample := one[server], Sample)]


def _ratio(rounds: Sequence[Round], figure: Callable[[Sample], float]) -> str:
    """The first server's figure over the second's, round by round: what disturbs a round disturbs both."""
    ours, theirs = (map(figure, _samples(rounds, server)) for server in rounds[0])
    ratios = [our / their for our, their in zip(ours, theirs, strict=True) if their]
    return f"{median(ratios):.2f}" if ratios else ""


# The table ------------------------------------------------------------------------------------------------------


def format_report(results: Mapping[str, Sequence[Round]], versions: Mapping[str, str]) -> str:
    """All rows aligned under their headings, and what the marks mean."""
    names = list(versions)
    compared = len(names) == 2
    groups = [[*names, "x"] if compared and index < 2 else names for index in range(len(HEADINGS))]
    table = [["row", *(name for group in groups for name in group), ""]]
    memory = []
    for row, rounds in results.items():
        if isinstance(rounds[0][names[0]], Memory):
            memory.append(_memory_line(row, rounds, names))
        else:
            table.append(_cells(row, quieter(rounds), names, compared))
    machine = f"{os.cpu_count()} cores, Linux {platform.release()}, Python {platform.python_version()}"
    lines = [", ".join(f"{name} {version}" for name, version in versions.items()) + f"; {machine}", ""]
    if len(table) > 1:
        lines += [*_align(table, [len(group) for group in groups]), ""]
    lines += [*memory, "", *KEY]
    return "\n".join(lines)


def _cells(row: str, rounds: Sequence[Round], names: Sequence[str], compared: bool) -> list[str]:
    samples = {name: _samples(rounds, name) for name in names}
    cells = [row]
    for figure in (_rate, _cpu_us):
        cells += [_number(median(map(figure, samples[name]))) for name in names]
        if compared:
            cells.append(_ratio(rounds, figure))
    for index in (0, 1):
        cells += [_latency(samples[name], index) for name in names]
    cells += [_busy(samples[name]) for name in names]
    cells.append("~" if median(map(_disturbance, rounds)) > DISTURBED else "")
    return cells


def _latency(samples: Sequence[Sample], index: int) -> str:
    known = [sample.latencies_us[index] for sample in samples if sample.latencies_us]
    return _number(median(known)) if known else ""


def _busy(samples: Sequence[Sample]) -> str:
    server = median(sample.server_cpu_s / sample.elapsed_s for sample in samples)
    load = median(sample.load_cpu_s / sample.elapsed_s for sample in samples)
    return f"{server:.0%}/{load:.0%}".replace("%", "") + ("!" if load > BUSY else "")


def _memory_line(row: str, rounds: Sequence[Round], names: Sequence[str]) -> str:
    sizes = {
        name: median(m.kib_per_connection for one in rounds if isinstance(m := one[name], Memory)) for name in names
    }
    return f"{row}: " + ", ".join(f"{name} {size:.1f} KiB" for name, size in sizes.items()) + " per connection"


def _number(value: float) -> str:
    return f"{value:.1f}" if value < 100 else f"{value:,.0f}"


def _align(table: Sequence[Sequence[str]], groups: Sequence[int]) -> list[str]:
    """Columns as wide as their widest cell; above the first line the headings, each over its group."""
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    begin, heading = 1, " " * widths[0]
    for count, text in zip(groups, HEADINGS, strict=True):
        last = begin + count - 1
        missing = len(text) - sum(widths[begin : begin + count]) - 2 * (count - 1)
        widths[last] += max(missing, 0)
        heading += "  " + text.ljust(sum(widths[begin : begin + count]) + 2 * (count - 1))
        begin += count
    lines = [
        "  ".join(
            [line[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True))]
        )
        for line in table
    ]
    return [text.rstrip() for text in (heading, *lines)]


# Raw figures ----------------------------------------------------------------------------------------------------


def as_json(results: Mapping[str, Sequence[Round]], versions: Mapping[str, str]) -> dict[str, object]:
    """Every sample, for comparing runs."""
    return {
        "command": sys.argv[1:],
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "versions": dict(versions),
        "rows": {
            row: [{server: asdict(sample) for server, sample in one.items()} for one in rounds]
            for row, rounds in results.items()
        },
    }
