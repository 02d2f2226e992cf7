"""The table of rows, the options that choose among them, and one row measured as a whole."""

import os
import sys
from collections import Counter
from fnmatch import fnmatchcase
from itertools import chain
from pathlib import Path

import pytest

from benchmarks.gang import Gang
from benchmarks.goals import GOALS
from benchmarks.measure import measure_row, measured
from benchmarks.options import parse_options
from benchmarks.rows import ROWS, Row
from benchmarks.sample import Absent, Sample
from benchmarks.servers import IMPACKET_LACKS, PLATFORM_LACKS, Server, ServerError, starter
from benchmarks.share import NEEDS


@pytest.fixture(scope="module")
def gang():
    with Gang(2) as gang:
        yield gang


def matching(pattern: str) -> list[str]:
    return [row.name for row in ROWS if fnmatchcase(row.name, pattern)]


def test_names_are_unique_and_what_is_needed_can_be_made() -> None:
    assert max(Counter(row.name for row in ROWS).values()) == 1
    assert {need for row in ROWS for need in row.needs} <= set(NEEDS)


@pytest.mark.parametrize(
    "pattern",
    [*IMPACKET_LACKS, *chain(*PLATFORM_LACKS.values()), *(pattern for goal in GOALS for pattern in goal.rows)],
)
def test_patterns_mean_rows_that_there_are(pattern) -> None:
    assert matching(pattern)


def test_connections_are_dealt_to_all_processes(tmp_path) -> None:
    server = Server("smbport", "0", 1, os.getpid(), "u", "p", None)
    row = next(row for row in ROWS if row.name == "many-100")
    numbers = [task.keywords["numbers"] for task in row.tasks(server, 1.0, 3)]
    assert [number for part in numbers for number in part] == list(range(100))
    assert len(row.tasks(server, 1.0, 1000)) == 100


@pytest.mark.parametrize("name", ["echo/16/plain", "many-16", "connect/2"])
async def test_rows_are_measured_on_a_server(server, do, populate, gang, name) -> None:
    row = next(row for row in ROWS if row.name == name)
    await populate(*row.needs)
    sample = await do(measure_row, gang, server, row, 0.01)
    assert sample.operations > 0 < sample.elapsed_s
    assert 0 < sample.p50_us <= sample.p99_us
    assert sample.item_bytes is None


async def test_memory_is_taken_of_what_is_held(server, do, gang) -> None:
    row = next(row for row in ROWS if row.name == "idle-100")
    sample = await do(measure_row, gang, server, row, 0.0)
    assert sample.operations == 100
    assert sample.total_bytes > 0
    assert sample.item_bytes is not None


def collect(*arguments) -> dict[str, list]:
    results: dict[str, list] = {}
    for row, one in measured(*arguments):
        results.setdefault(row, []).append(one)
    return results


def refuse(server, seconds) -> Sample | Absent:
    raise ServerError("it will not\nand this is why")


async def test_absent_rows_say_why_and_failures_are_not_tried_again(server, do, gang, tmp_path) -> None:
    calls: list[str] = []
    rows = [Row("torture-echo", foreign=lambda server, seconds: refuse(server, seconds))]
    results = await do(collect, gang, {"smbport": server}, rows, 2, 0.0, tmp_path, 100, calls.append)
    assert results == {"torture-echo": [{"smbport": Absent("failed: it will not")}] * 2}
    assert calls == ["round 1 of 2: torture-echo on smbport", "round 2 of 2: torture-echo on smbport"]
    lacking = Server("x", "0", 1, os.getpid(), "u", "p", tmp_path, lacks={"a*": "it is not there"})
    rows = [Row("abc", foreign=refuse), Row("opens", foreign=refuse, files=101)]
    results = await do(collect, gang, {"x": lacking}, rows, 1, 0.0, tmp_path, 100, calls.append)
    assert results["abc"] == [{"x": Absent("it is not there")}]
    assert results["opens"] == [
        {"x": Absent("it needs 101 open files, and the system lets a process have 100 (ulimit -Hn)")}
    ]


async def test_slow_rows_have_fewer_rounds(server, do, gang, tmp_path) -> None:
    rows = [Row("once", foreign=lambda server, seconds: Sample(1, 1.0), rounds=1)]
    results = await do(collect, gang, {"smbport": server}, rows, 3, 0.0, tmp_path, 100, lambda text: None)
    assert len(results["once"]) == 1


def test_a_server_that_is_not_installed_is_told(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ServerError, match="smbd and pdbedit are not installed"), starter("smbd")(tmp_path, None):
        pass
    with pytest.raises(ServerError, match="impacket is not installed"), starter("impacket")(tmp_path, None):
        pass


def test_options(capsys) -> None:
    assert (parse_options([]).rounds, parse_options([]).seconds) == (5, 1.0)
    assert (parse_options(["--quick"]).rounds, parse_options(["--quick", "--rounds", "3"]).rounds) == (1, 3)
    for wrong in (["--rounds", "0"], ["--servers", "nfsd"], ["--platform", "dos"]):
        with pytest.raises(SystemExit):
            parse_options(wrong)
    with pytest.raises(SystemExit):
        parse_options(["--help"])
    assert "python -m benchmarks --quick" in capsys.readouterr().out


@pytest.mark.pure_only  # there, this interpreter's is the compiled one
def test_the_interpreted_build_is_measured_beside_the_compiled_one(tmp_path: Path) -> None:
    with starter("smbport/interpreted", "no-such-python")(tmp_path, None) as server:
        assert (server.name, server.python) == ("smbport/interpreted", None)
        assert server.version.endswith("(interpreted)")


@pytest.mark.pure_only  # on the compiled build it would start
def test_what_is_called_compiled_is(tmp_path: Path) -> None:
    server = starter("smbport", sys.executable)(tmp_path, None)
    with pytest.raises(ServerError, match=r"not compiled|fails"), server:
        pass


def test_profiles_are_written_beside_a_report(capsys: pytest.CaptureFixture[str]) -> None:
    assert parse_options(["--profile", "--output", "somewhere"]).profile
    with pytest.raises(SystemExit):
        parse_options(["--profile"])
    assert "needs --output" in capsys.readouterr().err
