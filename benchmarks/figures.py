"""From samples to figures: medians of the quieter rounds, and ratios of servers that were measured in turn."""

import os
from collections.abc import Callable, Sequence
from statistics import median
from typing import Final, Literal

from benchmarks.measure import Round
from benchmarks.sample import Absent, Sample

__all__ = [
    "Figure", "absence", "cpu_us", "limit", "middle", "notes", "others", "quieter", "rate", "ratio", "samples",
    "time_us",
]  # fmt: skip

QUIET_ROUNDS: Final = 3  # at least so many count
BUSY: Final = 0.8  # of a core: what is busier is what limits a row

Figure = Callable[[Sample], float | None]
Limit = Literal["server", "load", "machine", "waiting"]


# Of one sample --------------------------------------------------------------------------------------------------


def rate(sample: Sample) -> float:
    """Operations per second."""
    return sample.operations / sample.elapsed_s


def time_us(sample: Sample) -> float:
    """Microseconds for each operation."""
    return 1e6 / rate(sample)


def cpu_us(sample: Sample) -> float | None:
    """Time of the server's CPU for each operation; None if it was too little to be counted."""
    return sample.server_cpu_s / sample.operations * 1e6 or None


# Of rounds ------------------------------------------------------------------------------------------------------


def quieter(rounds: Sequence[Round]) -> list[Round]:
    """The half of the rounds, three at least, in which others disturbed the machine least."""
    keep = max((len(rounds) + 1) // 2, QUIET_ROUNDS)
    return sorted(rounds, key=_disturbance)[:keep]


def _disturbance(one: Round) -> float:
    return max((sample.others for sample in one.values() if isinstance(sample, Sample)), default=0.0)


def others(rounds: Sequence[Round]) -> float:
    """Cores that other programs kept busy meanwhile."""
    return median(map(_disturbance, rounds))


def samples(rounds: Sequence[Round], server: str) -> list[Sample]:
    """Those of one server."""
    return [sample for one in rounds if isinstance(sample := one.get(server), Sample)]


def middle(rounds: Sequence[Round], server: str, figure: Figure) -> float | None:
    """The median; None if the server has no such figure."""
    known = [value for sample in samples(rounds, server) if (value := figure(sample)) is not None]
    return median(known) if known else None


def ratio(rounds: Sequence[Round], ours: str, theirs: str, figure: Figure) -> float | None:
    """One server's figure over the other's, round by round, for what disturbs a round disturbs both; the median."""
    ratios = []
    for one in rounds:
        our, their = one.get(ours), one.get(theirs)
        if isinstance(our, Sample) and isinstance(their, Sample):
            top, bottom = figure(our), figure(their)
            if top is not None and bottom:
                ratios.append(top / bottom)
    return median(ratios) if ratios else None


def limit(rounds: Sequence[Round], server: str) -> tuple[Limit, float, float] | None:
    """What limited a row, and how many cores the server and the load kept busy.

    The load is the limit if one of its processes had hardly any time left, the server if it had; if they and other
    programs had all of the machine, the machine is.  Else each waited for the other.
    """
    if not samples(rounds, server):
        return None
    busy = middle(rounds, server, lambda sample: sample.server_cpu_s / sample.elapsed_s) or 0.0
    load = middle(rounds, server, lambda sample: sample.load_cpu_s / sample.elapsed_s) or 0.0
    busiest = middle(rounds, server, lambda sample: sample.load_busiest_s / sample.elapsed_s) or 0.0
    if busiest > BUSY:
        return "load", busy, load
    if busy > BUSY:
        return "server", busy, load
    idle = (os.cpu_count() or 1) - busy - load - others(rounds)
    return ("waiting" if idle > 1 - BUSY else "machine"), busy, load


def absence(rounds: Sequence[Round], server: str) -> str | None:
    """Why a server has no figures, if it has none."""
    if samples(rounds, server):
        return None
    return next((found.reason for one in rounds if isinstance(found := one.get(server), Absent)), "not measured")


def notes(rounds: Sequence[Round], server: str) -> str:
    """What is to be said of a server's figures."""
    return "; ".join(sorted({sample.note for sample in samples(rounds, server) if sample.note}))
