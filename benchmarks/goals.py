"""What smbport is to reach, and whether it does."""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

from benchmarks.figures import Figure, cpu_us, middle, quieter, rate, ratio, time_us
from benchmarks.measure import Results
from benchmarks.rows import ROWS
from benchmarks.sample import Sample
from benchmarks.servers import INTERPRETED

__all__ = ["GOALS", "IMPACKET", "OURS", "SAMBA", "Goal", "Verdict", "growth", "judge", "judge_all"]

OURS: Final = "smbport"
SAMBA: Final = "smbd"
IMPACKET: Final = "impacket"
IMPACKET_RATE: Final = 5.0
FLAT: Final = 1.5
IDLE_BYTES: Final = 400_000_000


@dataclass(frozen=True, slots=True)
class Goal:
    """Ratios to smbd: of operations per second at least, of CPU per operation at most, of memory at most."""

    what: str
    rows: tuple[str, ...]  # globs
    rate: float | None = None
    cpu: float | None = None
    memory: float | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """A goal, what was measured, and whether that is enough; None if it was not measured."""

    what: str
    row: str
    wanted: str
    measured: str
    reached: bool | None
    rows: tuple[str, ...] = ()  # that it speaks of


GOALS: Final = (
    Goal("connect, authenticate, disconnect", ("connect/1",), 4.0, 0.3),
    Goal("listing", ("list-1000/*", "list-100000/*"), 2.0, 0.5),
    Goal("stat, open and close, create to delete", ("stat/*", "open-close/*", "create-write-delete/*"), 1.0, 1.0),
    Goal("4 KiB, depth 16 and 64", ("read-4k/16/*", "read-4k/64/*", "write-4k/16/*", "write-4k/64/*"), 1.5, 0.7),
    Goal("4 KiB reads, depth 1", ("read-4k/1/*",), 0.9, 1.0),
    Goal("1 MiB, plain", ("*-1m/*/plain",), 1.2, 0.8),
    Goal("1 MiB, signed (GMAC), sealed (GCM)", ("*-1m/*/gmac", "*-1m/*/gcm"), 1.5, 0.6),
    Goal("100 connections", ("many-100",), 1.0, 1.0),
    Goal("memory of an idle connection", ("idle-*",), memory=0.1),
    Goal("echo, depth 1", ("echo/1/plain",), 0.6),
)


def judge(results: Results, ours: str = OURS) -> list[Verdict]:
    """All goals against all rows that were measured, for one build of ours."""
    verdicts = [
        _compare(goal, name, results, ours)
        for goal in GOALS
        for name, rounds in results.items()
        if SAMBA in rounds[0] and ours in rounds[0] and any(fnmatchcase(name, pattern) for pattern in goal.rows)
    ]
    return [*verdicts, *_idle(results, ours), *_beside_impacket(results, ours), *_flat(results, ours)]


def judge_all(results: Results) -> dict[str, list[Verdict]]:
    """The same for each build of ours that was measured, by its name."""
    found = {name: judge(results, name) for name in (OURS, INTERPRETED)}
    return {name: verdicts for name, verdicts in found.items() if verdicts}


def _compare(goal: Goal, name: str, results: Results, ours: str) -> Verdict:
    rounds = quieter(results[name])
    wanted, measured, reached = [], [], []
    for word, bound, figure, more in (
        ("op/s", goal.rate, rate, True),
        ("CPU", goal.cpu, cpu_us, False),
        ("memory", goal.memory, _item_bytes, False),
    ):
        if bound is None:
            continue
        found = ratio(rounds, ours, SAMBA, figure)
        wanted.append(f"{word} {'≥' if more else '≤'} {bound:g} x")
        measured.append(f"{word} {found:.2f} x" if found is not None else f"{word}: -")
        if found is not None:
            reached.append(found >= bound if more else found <= bound)
    complete = len(reached) == len(wanted)
    verdict = False if not all(reached) else True if complete else None
    return Verdict(goal.what, name, ", ".join(wanted), ", ".join(measured), verdict, (name,))


def _item_bytes(sample: Sample) -> float | None:
    return sample.item_bytes


def _idle(results: Results, ours: str) -> list[Verdict]:
    name = "idle-5000"
    total = middle(results.get(name, []), ours, lambda sample: sample.total_bytes)
    if total is None:
        return []
    return [Verdict("5000 idle connections", name, "< 400 MB in all", f"{total / 1e6:.0f} MB", total < IDLE_BYTES)]


def _beside_impacket(results: Results, ours: str) -> list[Verdict]:
    """One line for all rows that work, which says which is the lowest; and one for each that holds something."""
    ratios = {
        name: found
        for name, rounds in results.items()
        if (found := ratio(quieter(rounds), ours, IMPACKET, rate)) is not None
    }
    held = {row.name for row in ROWS if row.held}
    works = {name: found for name, found in ratios.items() if name not in held}
    verdicts = []
    if works:
        below = sorted((found, name) for name, found in works.items() if found < IMPACKET_RATE)
        text = ", ".join(f"{name} {found:.1f} x" for found, name in below) or f"lowest {min(works.values()):.1f} x"
        names = tuple(name for _, name in below)
        wanted = f"op/s ≥ {IMPACKET_RATE:g} x"
        verdicts.append(Verdict("beside impacket", f"all {len(works)}", wanted, text, not below, names))
    for name in filter(held.__contains__, ratios):
        size = ratio(quieter(results[name]), ours, IMPACKET, _item_bytes)
        text = f"made {ratios[name]:.1f} x as fast, memory " + ("-" if size is None else f"{size:.2f} x")
        wanted, reached = f"made ≥ {IMPACKET_RATE:g} x as fast", ratios[name] >= IMPACKET_RATE
        verdicts.append(Verdict("beside impacket, held", name, wanted, text, reached, (name,)))
    return verdicts


def growth(results: Results, kind: str, server: str, figure: Figure = time_us) -> list[tuple[int, float]]:
    """How many entries, locks or opens there were, and the microseconds, or the CPU's, that each took."""
    items = {row.name: row.items for row in ROWS}
    points = []
    for name, rounds in results.items():
        head = name.partition("/")[0]
        if head.rpartition("-")[0] == kind and (name == head or name.endswith("/1/plain")):
            found = middle(rounds, server, figure)
            if found is not None:
                points.append((int(head.rpartition("-")[2]), found / items.get(name, 1)))
    return sorted(points)


def _flat(results: Results, ours: str) -> list[Verdict]:
    verdicts = []
    for kind in ("list", "opens", "locks"):
        points = growth(results, kind, ours)
        if len(points) > 1:
            factor, of_cpu = _factor(points), _factor(growth(results, kind, ours, cpu_us))
            counts = f"{points[0][0]:,} to {points[-1][0]:,}"
            verdicts.append(
                Verdict(
                    f"growth of {kind}",
                    counts,
                    f"time of each ≤ {FLAT:g} x",
                    f"{factor:.2f} x, CPU {of_cpu:.2f} x",
                    factor <= FLAT,
                )
            )
    return verdicts


def _factor(points: Sequence[tuple[int, float]]) -> float:
    """How many times the least of something the most of it takes for each."""
    return max((us for _, us in points[1:]), default=0.0) / points[0][1] if points else 0.0
