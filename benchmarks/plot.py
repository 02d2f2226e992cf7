"""Plots as SVG, drawn by hand: bars of ratios, and lines of growth.  They are readable on light and on dark pages."""

import math
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Final

from benchmarks.figures import cpu_us, quieter, rate, ratio
from benchmarks.goals import OURS, SAMBA, growth
from benchmarks.measure import Results
from benchmarks.report import GROWING, Run

__all__ = ["draw_bars", "draw_lines", "draw_plots"]

WIDTH: Final = 760
LABELS: Final = 200  # for the names of rows
RIGHT: Final = 120  # for the ratios
REACH: Final = 4  # doublings to each side
LINE: Final = 22
BAR: Final = 7
TOP: Final = 66
BOTTOM: Final = 34
LEFT: Final = 70
HEIGHT: Final = 340
LEGEND: Final = 110
COLOURS: Final = ("a", "b", "c", "d", "e")  # classes of the style below
DASHES: Final = ("", "7 4", "2 3", "9 3 2 3", "4 2")

STYLE: Final = """\
<style>
  text { font: 12px system-ui, "Segoe UI", Helvetica, Arial, sans-serif; fill: #333 }
  .title { font-size: 15px; font-weight: 600 } .small { font-size: 11px; fill: #666 } .end { text-anchor: end }
  .middle { text-anchor: middle } .grid { stroke: #ddd } .one { stroke: #666; stroke-width: 1.5 }
  .line { fill: none; stroke-width: 2 }
  .a { fill: #1769aa } .b { fill: #d9822b } .c { fill: #2e8b57 } .d { fill: #a23b72 } .e { fill: #777 }
  .line.a { stroke: #1769aa } .line.b { stroke: #d9822b } .line.c { stroke: #2e8b57 } .line.d { stroke: #a23b72 }
  .line.e { stroke: #777 } polyline.line { fill: none }
  @media (prefers-color-scheme: dark) {
    text { fill: #ddd } .small { fill: #aaa } .grid { stroke: #3a3f45 } .one { stroke: #aaa }
    .a { fill: #5aa9e6 } .b { fill: #f0a860 } .c { fill: #67c48f } .d { fill: #d78ab4 } .e { fill: #aaa }
    .line.a { stroke: #5aa9e6 } .line.b { stroke: #f0a860 } .line.c { stroke: #67c48f } .line.d { stroke: #d78ab4 }
    .line.e { stroke: #aaa }
  }
</style>
"""

Bars = Mapping[str, Sequence[float | None]]  # by the row's name, one for each series
Lines = Mapping[str, Sequence[tuple[int, float]]]  # by the server's name


def draw_plots(run: Run, folder: Path) -> list[tuple[str, str]]:
    """Write what there is to be drawn; returns titles and names of files."""
    plots = {}
    bars = _ratios(run.results)
    if bars:
        title = "smbport beside smbd"
        plots["ratios.svg"] = title, draw_bars(title, ("operations per second", "CPU per operation"), bars)
    for kind, what in GROWING.items():
        lines = {name: growth(run.results, kind, name) for name in run.versions}
        if any(len(points) > 1 for points in lines.values()):
            title = f"Time for each {what}"
            plots[f"growth-{kind}.svg"] = title, draw_lines(title, {name: at for name, at in lines.items() if at})
    for name, (_, text) in plots.items():
        (folder / name).write_text(text)
    return [(title, name) for name, (title, _) in plots.items()]


def _ratios(results: Results) -> Bars:
    bars = {}
    for row, rounds in results.items():
        pair = [ratio(quieter(rounds), OURS, SAMBA, figure) for figure in (rate, cpu_us)]
        if any(pair):
            bars[row] = pair
    return bars


# Bars -----------------------------------------------------------------------------------------------------------


def draw_bars(title: str, series: Sequence[str], bars: Bars) -> str:
    """Ratios, from a line in the middle that means "equal" to the right above 1, to the left below; logarithmic."""
    height = TOP + LINE * len(bars) + BOTTOM
    parts = [_text(16, 24, title, "title"), *_legend(series, 16, 46)]
    parts.append(_text(WIDTH - 12, 46, " / ".join(series), "small end"))
    for doubling in range(-REACH, REACH + 1):
        at = _across(2.0**doubling)
        parts.append(_rule(at, TOP - 4, at, height - BOTTOM, "one" if doubling == 0 else "grid"))
        label = f"{2**doubling} x" if doubling >= 0 else f"1/{2**-doubling}"
        parts.append(_text(at, height - BOTTOM + 18, label, "small middle"))
    for index, (row, values) in enumerate(bars.items()):
        y = TOP + LINE * index
        parts.append(_text(LABELS - 10, y + BAR + 5, row, "end"))
        for number, value in enumerate(values):
            if value:
                parts.append(_bar(value, y + number * (BAR + 1), number, f"{row}: {value:.2f} x in {series[number]}"))
        text = " / ".join("-" if value is None else f"{value:.2f}" for value in values)
        parts.append(_text(WIDTH - 12, y + BAR + 5, text, "small end"))
    return _document(WIDTH, height, title, parts)


def _across(value: float) -> float:
    """Where a ratio is; what is beyond the reach is at its end."""
    half = (WIDTH - LABELS - RIGHT) / 2
    return LABELS + half + half * min(max(math.log2(value) / REACH, -1.0), 1.0)


def _bar(value: float, y: float, number: int, title: str) -> str:
    """A bar; with a tip if it would go on."""
    middle, end, base = _across(1.0), _across(value), y + BAR
    tip = math.copysign(BAR, end - middle) if abs(math.log2(value)) > REACH else 0.0
    points = [(middle, y), (end - tip, y), (end, y + BAR / 2), (end - tip, base), (middle, base)]
    if not tip:
        end = end if abs(end - middle) > 1 else middle + 1  # what is equal is seen too
        points = [(middle, y), (end, y), (end, base), (middle, base)]
    path = " ".join(f"{x:.1f},{height:.1f}" for x, height in points)
    return f'<polygon class="{_colour(number)}" points="{path}"><title>{escape(title)}</title></polygon>\n'


# Lines ----------------------------------------------------------------------------------------------------------


def draw_lines(title: str, lines: Lines) -> str:
    """Microseconds over a count, both logarithmic: what stays level does not grow."""
    counts = sorted({count for points in lines.values() for count, _ in points})
    times = [time for points in lines.values() for _, time in points]
    low, high = math.floor(math.log10(min(times))), math.ceil(math.log10(max(times)))
    high = max(high, low + 1)
    right, bottom = WIDTH - LEGEND, HEIGHT - BOTTOM
    span = math.log10(counts[-1] / counts[0]) or 1.0

    def x(count: int) -> float:
        return LEFT + (right - LEFT - 20) * math.log10(count / counts[0]) / span

    def y(time: float) -> float:
        return bottom - (bottom - TOP) * (math.log10(time) - low) / (high - low)

    parts = [_text(16, 24, title, "title"), _text(16, 46, "microseconds for each, by how many there are", "small")]
    for power in range(low, high + 1):
        parts.append(_rule(LEFT, y(10.0**power), right - 20, y(10.0**power), "grid"))
        parts.append(_text(LEFT - 8, y(10.0**power) + 4, f"{10.0**power:,g}", "small end"))
    parts += [_text(x(count), bottom + 18, f"{count:,}", "small middle") for count in counts]
    for number, (name, points) in enumerate(lines.items()):
        parts += _line(name, [(x(count), y(time), time) for count, time in points], number)
    labels = _spread([(y(points[-1][1]), name, number) for number, (name, points) in enumerate(lines.items())])
    for at, name, number in labels:
        parts.append(f'<circle class="{_colour(number)}" cx="{right - 2}" cy="{at - 4:.1f}" r="4"/>\n')
        parts.append(_text(right + 8, at, name, ""))
    return _document(WIDTH, HEIGHT, title, parts)


def _line(name: str, points: Sequence[tuple[float, float, float]], number: int) -> Iterator[str]:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y, _ in points)
    dash = f' stroke-dasharray="{DASHES[number % len(DASHES)]}"' if number else ""
    yield f'<polyline class="line {_colour(number)}"{dash} points="{path}"/>\n'
    for x, y, time in points:
        yield (
            f'<circle class="{_colour(number)}" cx="{x:.1f}" cy="{y:.1f}" r="3.5"><title>{escape(name)}: {time:.1f}'
            " µs</title></circle>\n"
        )


def _spread(labels: Sequence[tuple[float, str, int]]) -> list[tuple[float, str, int]]:
    """Labels from top to bottom, so far apart that none covers another."""
    spread: list[tuple[float, str, int]] = []
    for y, name, number in sorted(labels):
        lowest = spread[-1][0] + 16 if spread else y
        spread.append((max(y + 4, lowest), name, number))
    return spread


# Parts ----------------------------------------------------------------------------------------------------------


def _colour(number: int) -> str:
    return COLOURS[number % len(COLOURS)]


def _legend(names: Sequence[str], x: float, y: float) -> Iterator[str]:
    for number, name in enumerate(names):
        yield f'<rect class="{_colour(number)}" x="{x:.0f}" y="{y - 10:.0f}" width="12" height="12"/>\n'
        yield _text(x + 18, y, name, "")
        x += 40 + 7 * len(name)


def _text(x: float, y: float, text: str, kind: str) -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}">{escape(text)}</text>\n'


def _rule(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>\n'


def _document(width: int, height: int, title: str, parts: Sequence[str]) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
        f' role="img" aria-label="{escape(title)}">\n{STYLE}{"".join(parts)}</svg>\n'
    )
