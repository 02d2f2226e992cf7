"""Figures of made-up samples, and the table made of them."""

import json

from benchmarks.load import Memory, Sample
from benchmarks.report import Round, as_json, format_report, quieter

VERSIONS = {"smbport": "1.2", "Samba": "4.5"}


def sample(
    rate: float = 1000, cpu_us: float = 100, load: float = 0.5, others: float = 0, latencies: tuple[float, ...] = ()
) -> Sample:
    """Of two seconds."""
    operations = round(rate * 2)
    return Sample(operations, 2.0, cpu_us * operations / 1e6, load * 2, others, list(latencies))


def versus(ours: Sample | Memory, theirs: Sample | Memory) -> Round:
    return {"smbport": ours, "Samba": theirs}


def table(results: dict[str, list[Round]], versions: dict[str, str] = VERSIONS) -> list[str]:
    """The lines of the table alone, the headings first."""
    return format_report(results, versions).split("\n\n")[1].splitlines()


def test_rates_and_cpu_are_medians_and_ratios_are_taken_round_by_round() -> None:
    rounds = [
        versus(sample(1000, 10), sample(500, 20)),
        versus(sample(3000, 30), sample(1000, 10)),
        versus(sample(2000, 20), sample(4000, 80)),
    ]
    assert table({"echo": rounds})[2].split()[:7] == ["echo", "2,000", "1,000", "2.00", "20.0", "20.0", "0.50"]


def test_the_noisier_half_of_the_rounds_does_not_count() -> None:
    noise = [0.5, 0.1, 0.9, 0.2, 0.3]
    rounds = [versus(sample(others=0), sample(others=share)) for share in noise]
    assert quieter(rounds) == [rounds[1], rounds[3], rounds[4]]


def test_three_rounds_count_at_least() -> None:
    rounds = [versus(sample(others=share), sample()) for share in (0.5, 0.1, 0.9)]
    assert len(quieter(rounds)) == 3


def test_latencies_are_shown_where_they_are_known() -> None:
    fast, slow = sample(latencies=(20.0, 150.4)), sample(latencies=(40.25, 99.0))
    known, unknown = table({"echo/1": [versus(fast, slow)], "echo/32": [versus(sample(), sample())]})[2:]
    assert known.split()[7:11] == ["20.0", "40.2", "150", "99.0"]
    assert unknown.split()[7:] == ["10/50", "10/50"]


def test_a_busy_generator_is_marked() -> None:
    line = table({"echo": [versus(sample(1000, 100, load=0.81), sample(1000, 100, load=0.8))]})[2]
    assert line.split()[-2:] == ["10/81!", "10/80"]


def test_a_disturbed_row_is_marked() -> None:
    quiet, loud = versus(sample(), sample(others=0.1)), versus(sample(), sample(others=0.3))
    assert not table({"echo": [quiet]})[2].endswith("~")
    assert table({"echo": [loud]})[2].endswith("~")


def test_a_server_too_quick_for_its_clock_has_no_ratio() -> None:
    line = table({"echo": [versus(sample(cpu_us=5), sample(cpu_us=0))]})[2]
    assert line.split() == ["echo", "1,000", "1,000", "1.00", "5.0", "0.0", "0/50", "0/50"]


def test_columns_are_aligned_under_their_headings() -> None:
    wide = [versus(sample(1234567, 1), sample())]
    headings, names, first, second = table({"a": wide, "a longer name": [versus(sample(), sample())]})
    end = names.index("smbport") + len("smbport")
    assert first[:end].endswith("  1,234,567")
    assert second[:end].endswith("  1,000")
    assert headings.index("op/s") == first.index("1,234,567")


def test_memory_has_a_line_of_its_own() -> None:
    rounds = [versus(Memory(kib), Memory(600.0)) for kib in (40.0, 60.0, 50.04)]
    line = "idle: smbport 50.0 KiB, Samba 600.0 KiB per connection"
    assert line in format_report({"echo": [versus(sample(), sample())], "idle": rounds}, VERSIONS).splitlines()
    assert line in format_report({"idle": rounds}, VERSIONS).splitlines()


def test_one_server_alone_is_compared_with_nothing() -> None:
    headings, names, line = table({"echo": [{"smbport": sample(10, 5)}]}, {"smbport": "1.2"})
    assert names.split() == ["row", "smbport", "smbport", "smbport", "smbport", "smbport"]
    assert line.split() == ["echo", "10.0", "5.0", "0/50"]
    assert headings.split()[0] == "op/s"


def test_json_has_every_sample() -> None:
    rounds = [versus(sample(latencies=(1.0, 2.0)), sample())] * 2
    found = json.loads(json.dumps(as_json({"echo": rounds, "idle": [versus(Memory(1.5), Memory(2.5))]}, VERSIONS)))
    assert found["versions"] == VERSIONS
    assert len(found["rows"]["echo"]) == 2
    assert found["rows"]["echo"][0]["smbport"]["operations"] == 2000
    assert found["rows"]["idle"][0]["Samba"] == {"kib_per_connection": 2.5}
