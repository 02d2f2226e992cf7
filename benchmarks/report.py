"""The report, in Markdown and as JSON."""

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from statistics import median
from typing import Final

from benchmarks.figures import absence, cpu_us, limit, middle, notes, others, quieter, rate, ratio, time_us
from benchmarks.goals import IMPACKET, OURS, SAMBA, Verdict, growth, judge_all
from benchmarks.measure import Results, Round
from benchmarks.sample import Sample
from benchmarks.table import format_table

__all__ = ["GROWING", "PROFILES", "Run", "as_json", "format_report"]

PROFILES: Final = "profiles.md"
DISTURBED: Final = 0.2  # cores that others used: above, a row is marked
GROWING: Final = {"list": "entry of a listing", "creates": "new file among others", "opens": "open", "locks": "lock"}
KEY: Final = """\
**op/s**: median of the quieter rounds. **CPU**: user and system time of all processes of the server, in microseconds
for each operation. **x**: smbport / the other, median over the rounds; op/s above 1 and CPU below 1 are good for it.
**~**: other programs took more than a fifth of a core meanwhile; the CPU columns then tell more than the others.
"""
LIMIT_KEY: Final = """\
What limited a row: `server` or `load` had no time left on a core (above 80 %); they and other programs together had the
whole `machine`; or none of it: they were `waiting` for each other. Behind it, how many cores server and load kept busy.
Latencies are those that the load sees, from sending a request until its answer has come. The load is ours, but for the
rows `torture-*`, where it is smbtorture.
"""


@dataclass(frozen=True, slots=True)
class Run:
    """What was measured, and how."""

    command: str
    moment: datetime
    versions: Mapping[str, str]  # of the servers, in the order of the columns
    skipped: Mapping[str, str]  # servers that cannot be had, and why
    rounds: int
    seconds: float
    results: Results
    stopped: bool = False  # before its end
    profiled: bool = False  # rows that miss their goals


def format_report(run: Run, plots: Sequence[tuple[str, str]] = ()) -> str:
    """All of it; plots are pairs of a title and a file."""
    timed = {row: quieter(rounds) for row, rounds in run.results.items() if not _is_memory(rounds)}
    held = {row: rounds for row, rounds in run.results.items() if _is_memory(rounds)}
    parts = [_head(run), *(f"![{title}]({file})\n" for title, file in plots)]
    parts += [_goals(verdicts, name) for name, verdicts in judge_all(run.results).items()]
    if run.profiled:
        parts.append(f"[Where the time goes]({PROFILES}) in the rows that do not reach their goals, and why.\n")
    if timed:
        parts += ["## Operations and CPU\n\n" + _rates(timed, list(run.versions)), KEY]
        parts += ["## Latency, and what was the limit\n\n" + _latencies(timed, list(run.versions)), LIMIT_KEY]
    if held:
        parts.append("## What is held\n\n" + _memory(held, list(run.versions)))
    if table := _growth(run):
        parts.append("## How it grows\n\nMicroseconds for each, and the server's CPU among them.\n\n" + table)
    if table := _absences(run):
        parts.append("## What has no figures\n\n" + table)
    return "\n".join(parts)


def _goals(verdicts: Sequence[Verdict], build: str) -> str:
    lines = [
        (verdict.what, f"`{verdict.row}`", verdict.wanted, verdict.measured, _word(verdict.reached))
        for verdict in verdicts
    ]
    title = "Goals" if build == OURS else f"Goals: {build}"
    return f"## {title}\n\n" + format_table(("goal", "row", "wanted", "measured", ""), lines, left=4)


def _head(run: Run) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in run.versions.items())
    machine = f"{os.cpu_count()} cores ({_processor()}), Linux {platform.release()}, Python {platform.python_version()}"
    text = (
        f"{versions}; {machine}; {run.moment:%Y-%m-%d %H:%M}, {run.rounds} rounds of {run.seconds:g} s for each row and"
        f" server.\n\n    {run.command}\n"
    )
    if run.stopped:
        text += "\n**Stopped before its end:** some rows have fewer rounds, or are not here.\n"
    busy = median(others(quieter(rounds)) for rounds in run.results.values())
    if busy > DISTURBED:
        text += (
            f"\n**Disturbed:** other programs kept {busy:.1f} cores busy (median of the rows). Rates, latencies and"
            "\nwhat is said of goals are not to be relied on; CPU and memory are, roughly.\n"
        )
    return text


def _processor() -> str:
    with open("/proc/cpuinfo") as file:
        return next((line.partition(":")[2].strip() for line in file if line.startswith("model name")), "unknown")


def _is_memory(rounds: Sequence[Round]) -> bool:
    return any(isinstance(found, Sample) and found.item_bytes is not None for one in rounds for found in one.values())


def _word(reached: bool | None) -> str:
    return {True: "reached", False: "**not reached**", None: "not measured"}[reached]


# Tables ---------------------------------------------------------------------------------------------------------


def _rates(results: Results, names: Sequence[str]) -> str:
    compared = [name for name in (SAMBA, IMPACKET) if name in names and OURS in names]
    heads = ["row", *(f"op/s {name}" for name in names), *(f"x {name}" for name in compared)]
    heads += [*(f"CPU {name}" for name in names), *(f"x {name}" for name in compared), ""]
    lines = []
    for row, rounds in results.items():
        line = [f"`{row}`"]
        for figure in (rate, cpu_us):
            line += [_number(middle(rounds, name, figure)) for name in names]
            line += [_ratio(ratio(rounds, OURS, name, figure)) for name in compared]
        lines.append([*line, "~" if others(rounds) > DISTURBED else ""])
    return format_table(heads, lines)


def _latencies(results: Results, names: Sequence[str]) -> str:
    heads = ["row", *(f"{what} {name}" for name in names for what in ("p50", "p99"))]
    heads += [f"limit {name}" for name in names]
    lines = []
    for row, rounds in results.items():
        line = [f"`{row}`"]
        for name in names:
            line += [_number(middle(rounds, name, lambda one: one.p50_us))]
            line += [_number(middle(rounds, name, lambda one: one.p99_us))]
        lines.append([*line, *(_limit(rounds, name) for name in names)])
    return format_table(heads, lines)


def _limit(rounds: Sequence[Round], name: str) -> str:
    found = limit(rounds, name)
    if found is None:
        return "-"
    word, server, load = found
    note = notes(rounds, name)
    return f"{word} {server:.2f}/{load:.2f}" + (f" ({note})" if note else "")


def _memory(results: Results, names: Sequence[str]) -> str:
    heads = ["row", *(f"KiB each {name}" for name in names)]
    compared = [name for name in (SAMBA, IMPACKET) if name in names and OURS in names]
    heads += [f"x {name}" for name in compared]
    heads += [*(f"MiB in all {name}" for name in names), *(f"µs each {name}" for name in names)]
    lines = []
    for row, rounds in results.items():
        line = [
            f"`{row}`",
            *(_number(middle(rounds, name, lambda one: _scaled(one.item_bytes, 1 << 10))) for name in names),
        ]
        line += [_ratio(ratio(rounds, OURS, name, lambda one: one.item_bytes)) for name in compared]
        line += [_number(middle(rounds, name, lambda one: _scaled(one.total_bytes, 1 << 20))) for name in names]
        for name in names:
            note = notes(rounds, name)
            line.append(_number(middle(rounds, name, time_us)) + (f" ({note})" if note else ""))
        lines.append(line)
    return format_table(heads, lines)


def _scaled(value: float | None, unit: int) -> float | None:
    return None if value is None else value / unit


def _growth(run: Run) -> str:
    lines = []
    for kind, what in GROWING.items():
        for name in run.versions:
            times, cpu = (dict(growth(run.results, kind, name, figure)) for figure in (time_us, cpu_us))
            if times:
                line = [_number(figures.get(count)) for count in (1_000, 10_000, 100_000) for figures in (times, cpu)]
                lines.append([what, name, *line])
    heads = [f"{what}{count}" for count in ("1,000", "10,000", "100,000") for what in ("", "CPU ")]
    return format_table(("", "server", *heads), lines, left=2) if lines else ""


def _absences(run: Run) -> str:
    """One line for each server and reason."""
    rows: dict[tuple[str, str], list[str]] = {}
    for row, rounds in run.results.items():
        for name in run.versions:
            if reason := absence(rounds, name):
                rows.setdefault((name, reason), []).append(f"`{row}`")
    lines = [(name, reason.replace("|", "\\|"), " ".join(names)) for (name, reason), names in rows.items()]
    lines += [(name, reason, "all") for name, reason in run.skipped.items()]
    return format_table(("server", "why", "rows"), lines, left=3) if lines else ""


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.1f}" if value < 100 else f"{value:,.0f}"


def _ratio(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


# Raw figures ----------------------------------------------------------------------------------------------------


def as_json(run: Run) -> dict[str, object]:
    """Every sample, for comparing runs."""
    return {
        "command": run.command,
        "moment": run.moment.isoformat(timespec="seconds"),
        "cores": os.cpu_count(),
        "processor": _processor(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "versions": dict(run.versions),
        "skipped": dict(run.skipped),
        "rounds": run.rounds,
        "seconds": run.seconds,
        "stopped": run.stopped,
        "rows": {
            row: [{server: asdict(sample) for server, sample in one.items()} for one in rounds]
            for row, rounds in run.results.items()
        },
    }
