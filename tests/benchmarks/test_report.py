"""Figures of made-up samples, the goals that they reach, and the report made of them."""

import json
from dataclasses import replace
from datetime import datetime
from xml.etree import ElementTree

import pytest

from benchmarks.figures import cpu_us, limit, middle, quieter, rate, ratio
from benchmarks.goals import growth, judge
from benchmarks.measure import Round
from benchmarks.plot import draw_bars, draw_lines, draw_plots
from benchmarks.report import Run, as_json, format_report
from benchmarks.sample import Absent, Sample

SVG = "{http://www.w3.org/2000/svg}"


def sample(rate: float = 1000, cpu_us: float = 100, load: float = 0.5, others: float = 0, **more) -> Sample:
    """Of two seconds."""
    operations = round(rate * 2)
    return Sample(operations, 2.0, cpu_us * operations / 1e6, load * 2, load * 2, others, **more)


def versus(ours: Sample | Absent, theirs: Sample | Absent) -> Round:
    return {"smbport": ours, "smbd": theirs}


def run(results: dict[str, list[Round]], **skipped: str) -> Run:
    names = next(iter(results.values()))[0]
    versions = dict.fromkeys(names, "1.2")
    return Run("python -m benchmarks", datetime(2026, 1, 2, 3, 4), versions, skipped, 3, 1.0, results)


def cells(results: dict[str, list[Round]], section: str, row: str) -> list[str]:
    """Those of a line of the table under that heading."""
    text = format_report(run(results)).partition(f"## {section}\n")[2].partition("\n## ")[0]
    line = next(line for line in text.splitlines() if f"| `{row}`" in line)
    return [cell.strip() for cell in line.strip("|").split("|")][1:]


# Figures --------------------------------------------------------------------------------------------------------

ROUNDS = [
    versus(sample(1000, 10), sample(500, 20)),
    versus(sample(3000, 30), sample(1000, 10)),
    versus(sample(2000, 20), sample(4000, 80)),
]


def test_medians_and_ratios_round_by_round() -> None:
    assert middle(ROUNDS, "smbport", rate) == 2000
    assert middle(ROUNDS, "smbd", cpu_us) == pytest.approx(20)
    assert ratio(ROUNDS, "smbport", "smbd", rate) == 2.0
    assert ratio(ROUNDS, "smbport", "smbd", cpu_us) == 0.5


def test_the_noisier_half_of_the_rounds_does_not_count() -> None:
    rounds = [versus(sample(others=0), sample(others=share)) for share in (0.5, 0.1, 0.9, 0.2, 0.3)]
    assert quieter(rounds) == [rounds[1], rounds[3], rounds[4]]
    assert len(quieter(rounds[:3])) == 3


def test_what_is_absent_has_no_figures() -> None:
    rounds = [versus(sample(), Absent("no"))]
    assert middle(rounds, "smbd", rate) is None
    assert ratio(rounds, "smbport", "smbd", rate) is None
    assert limit(rounds, "smbd") is None


def test_a_server_too_quick_for_its_clock_has_no_ratio() -> None:
    assert ratio([versus(sample(cpu_us=5), sample(cpu_us=0))], "smbport", "smbd", cpu_us) is None


@pytest.mark.parametrize(
    ("found", "word"),
    [
        (sample(1000, 100, load=0.81), "load"),
        (sample(1000, 810, load=0.3), "server"),
        (sample(1000, 700, load=0.7, others=0.5), "machine"),
        (sample(1000, 300, load=0.3), "waiting"),
    ],
)
def test_what_limited_a_row(found, word, monkeypatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    assert limit([versus(found, found)], "smbport")[0] == word


# Goals ----------------------------------------------------------------------------------------------------------


def verdict(results: dict[str, list[Round]], row: str):
    return next(verdict for verdict in judge(results) if verdict.row == row)


def test_a_goal_is_reached_by_both_ratios() -> None:
    assert verdict({"connect/1": [versus(sample(400, 30), sample(100, 100))]}, "connect/1").reached is True
    assert verdict({"connect/1": [versus(sample(400, 31), sample(100, 100))]}, "connect/1").reached is False
    assert verdict({"connect/1": [versus(sample(399, 30), sample(100, 100))]}, "connect/1").reached is False
    assert verdict({"connect/1": [versus(sample(), Absent("no"))]}, "connect/1").reached is None


def test_without_smbd_there_are_no_goals_beside_it() -> None:
    assert judge({"connect/1": [{"smbport": sample()}]}) == []


def test_idle_connections_have_goals_in_all_and_each() -> None:
    rounds = [versus(sample(item_bytes=60.0, total_bytes=300_000_000), sample(item_bytes=650.0, total_bytes=1 << 40))]
    assert [one.reached for one in judge({"idle-5000": rounds})] == [True, True]


def test_impacket_is_to_be_left_behind() -> None:
    results = {
        name: [{"smbport": sample(ours), "impacket": sample(100)}]
        for name, ours in (("a", 500), ("b", 900), ("c", 499))
    }
    assert judge(results)[0].measured == "c 5.0 x"
    assert judge(results)[0].reached is False
    del results["c"]
    assert judge(results)[0].measured == "lowest 5.0 x"


def test_what_is_held_is_compared_with_impacket_by_itself() -> None:
    rounds = [{"smbport": sample(400, item_bytes=10.0), "impacket": sample(100, item_bytes=40.0)}]
    works, held = judge({"echo/1/plain": [{"smbport": sample(600), "impacket": sample(100)}], "idle-100": rounds})
    assert (works.row, works.measured, works.reached) == ("all 1", "lowest 6.0 x", True)
    assert (held.row, held.measured, held.reached) == ("idle-100", "made 4.0 x as fast, memory 0.25 x", False)


def test_the_interpreted_build_has_goals_of_its_own() -> None:
    one = {"smbport": sample(400, 30), "smbport/interpreted": sample(300, 30), "smbd": sample(100, 100)}
    assert [verdict.reached for verdict in judge({"connect/1": [one]})] == [True]
    text = format_report(run({"connect/1": [one]}))
    assert text.index("## Goals\n") < text.index("## Goals: smbport/interpreted\n")
    assert "**not reached**" in text.partition("## Goals: smbport/interpreted\n")[2]


LISTINGS = {
    f"list-{entries}/1/plain": [versus(sample(1e6 / entries / us), sample(1e6 / entries / 20))]
    for entries, us in ((1_000, 2), (10_000, 2), (100_000, 4))
}


def test_growth_is_of_each_entry() -> None:
    points = growth(LISTINGS, "list", "smbport")
    assert [count for count, _ in points] == [1_000, 10_000, 100_000]
    assert [us for _, us in points] == pytest.approx([2, 2, 4])
    assert verdict(LISTINGS, "1,000 to 100,000").measured == "2.00 x, CPU 0.10 x"
    assert verdict(LISTINGS, "1,000 to 100,000").reached is False


# The report -----------------------------------------------------------------------------------------------------


def test_rates_and_cpu_in_a_table() -> None:
    assert cells({"echo": ROUNDS}, "Operations and CPU", "echo") == [
        "2,000",
        "1,000",
        "2.00",
        "20.0",
        "20.0",
        "0.50",
        "",
    ]


def test_a_disturbed_row_is_marked() -> None:
    quiet, loud = versus(sample(), sample(others=0.1)), versus(sample(), sample(others=0.3))
    results = {"a": [quiet], "b": [loud]}
    assert [cells(results, "Operations and CPU", row)[-1] for row in "ab"] == ["", "~"]


def test_a_run_that_was_disturbed_or_stopped_says_so() -> None:
    quiet = run({"a": [versus(sample(), sample(others=0.1))]})
    loud = run({"a": [versus(sample(), sample(others=1.26))]})
    assert "Disturbed" not in format_report(quiet)
    assert "other programs kept 1.3 cores busy" in format_report(loud)
    assert "Stopped" not in format_report(quiet)
    assert "Stopped" in format_report(replace(quiet, stopped=True))


def test_latencies_are_shown_where_they_are_known() -> None:
    known, unknown = sample(p50_us=20.0, p99_us=150.4), sample()
    found = cells({"a": [versus(known, unknown)]}, "Latency, and what was the limit", "a")
    assert found[:4] == ["20.0", "150", "-", "-"]


def test_memory_in_a_table_of_its_own() -> None:
    rounds = [versus(sample(item_bytes=2048.0, total_bytes=3 << 20), sample(item_bytes=4096.0, total_bytes=6 << 20))]
    assert cells({"idle": rounds}, "What is held", "idle")[:5] == ["2.0", "4.0", "0.50", "3.0", "6.0"]
    assert "Operations and CPU" not in format_report(run({"idle": rounds}))


def test_absences_have_their_reasons() -> None:
    results = {"a": [versus(sample(), Absent("it cannot"))], "b": [versus(sample(), Absent("it cannot"))]}
    text = format_report(run(results, impacket="it is not installed"))
    assert "| smbd     | it cannot           | `a` `b` |" in text
    assert "| impacket | it is not installed | all     |" in text


def test_one_server_alone_is_compared_with_nothing() -> None:
    assert cells({"echo": [{"smbport": sample(10, 5)}]}, "Operations and CPU", "echo") == ["10.0", "5.0", ""]


def test_json_has_every_sample() -> None:
    found = json.loads(json.dumps(as_json(run({"echo": [versus(sample(p50_us=1.0), Absent("no"))] * 2}))))
    assert len(found["rows"]["echo"]) == 2
    assert found["rows"]["echo"][0]["smbport"]["operations"] == 2000
    assert found["rows"]["echo"][0]["smbd"] == {"reason": "no"}


# Plots ----------------------------------------------------------------------------------------------------------


def bars(values: dict[str, list[float | None]]) -> list[list[float]]:
    """Where the corners of each bar are, from left to right."""
    picture = ElementTree.fromstring(draw_bars("a & b", ("x", "y"), values))
    assert next(picture.iter(f"{SVG}text")).text == "a & b"
    return [
        sorted(float(pair.split(",")[0]) for pair in bar.get("points").split())
        for bar in picture.iter(f"{SVG}polygon")
    ]  # fmt: skip


def test_bars_go_to_the_right_above_one_and_to_the_left_below() -> None:
    twice, half = bars({"a": [2.0, 0.5], "b": [None, None]})
    assert twice[0] == half[-1]
    assert twice[-1] - twice[0] == pytest.approx(half[-1] - half[0])


def test_a_bar_that_would_go_on_has_a_tip_at_the_end_of_the_scale() -> None:
    at_the_end, beyond = bars({"a": [16.0, 1000.0]})
    assert at_the_end[-1] == beyond[-1]
    assert (len(at_the_end), len(beyond)) == (4, 5)


def test_lines_that_stay_level_are_level() -> None:
    picture = ElementTree.fromstring(
        draw_lines("t", {"flat": [(1000, 5.0), (100_000, 5.0)], "up": [(1000, 1.0), (10_000, 9.0)]})
    )
    flat, up = (
        [float(pair.split(",")[1]) for pair in line.get("points").split()] for line in picture.iter(f"{SVG}polyline")
    )
    assert flat[0] == flat[1]
    assert up[0] > up[1]


def test_labels_of_lines_do_not_cover_each_other() -> None:
    picture = ElementTree.fromstring(draw_lines("t", {name: [(1000, 5.0), (10_000, 5.0)] for name in ("a", "b", "c")}))
    places = sorted(float(text.get("y")) for text in picture.iter(f"{SVG}text") if text.text in ("a", "b", "c"))
    assert places[1] - places[0] >= 16 <= places[2] - places[1]


def test_plots_of_what_was_measured_are_written(tmp_path) -> None:
    plots = draw_plots(run(LISTINGS), tmp_path)
    assert [name for _, name in plots] == ["ratios.svg", "growth-list.svg"]
    for _, name in plots:
        ElementTree.parse(tmp_path / name)
    assert draw_plots(run({"echo": [{"smbport": sample()}]}), tmp_path) == []
