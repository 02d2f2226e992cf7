"""Where the time goes: what the profiled server writes, and the page that is made of it."""

import json
import os
import signal
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from benchmarks import profiled_server
from benchmarks.goals import Verdict
from benchmarks.limits import LIMITS
from benchmarks.profiles import Profile, Spent, format_profiles, read_profile, unreached
from benchmarks.rows import ROWS


def use_time() -> None:
    """Some dozens of the longest ticks that kernels have."""
    for _ in range(10_000_000):
        pass


@pytest.fixture
def signals():
    names = (signal.SIGPROF, signal.SIGUSR1, signal.SIGUSR2)
    before = [signal.getsignal(name) for name in names]
    yield
    signal.setitimer(signal.ITIMER_PROF, 0)
    for name, handler in zip(names, before, strict=True):
        signal.signal(name, handler)


@pytest.mark.usefixtures("signals")
def test_a_server_is_looked_at_between_two_signals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = tmp_path / "profile"

    def serve() -> int:
        os.kill(os.getpid(), signal.SIGUSR1)
        use_time()
        os.kill(os.getpid(), signal.SIGUSR2)
        return 3

    monkeypatch.setattr(profiled_server, "main", serve)
    assert profiled_server.run(output) == 3
    spent = {one.function.split()[-1].rpartition(".")[2]: one for one in read_profile(output)}
    assert spent["use_time"].itself > 0
    assert spent["serve"].with_callees >= spent["use_time"].itself
    assert list(tmp_path.iterdir()) == [output]


def test_the_dearest_comes_first_and_paths_are_short(tmp_path: Path) -> None:
    here = str(Path(profiled_server.__file__).parents[1])
    found = [[f"{here}/smbport/a.py", "f", 1, 4], [json.__file__, "dumps", 3, 3]]
    (tmp_path / "profile").write_text(json.dumps(found))
    assert read_profile(tmp_path / "profile") == [Spent("json/__init__.py dumps", 3, 3), Spent("smbport/a.py f", 1, 4)]


def verdict(row: str, reached: bool | None, *rows: str) -> Verdict:
    return Verdict("goal", row, "", "", reached, rows)


def test_rows_that_miss_a_goal_are_profiled_once() -> None:
    verdicts = [
        verdict("echo/1/plain", False, "echo/1/plain"),
        verdict("echo/16/plain", True, "echo/16/plain"),
        verdict("many-16", None, "many-16"),
        verdict("all 3", False, "connect/1", "echo/1/plain", "torture-echo/1x16"),
    ]
    assert [row.name for row in unreached(verdicts)] == ["echo/1/plain", "connect/1"]


def test_the_page_has_a_section_for_each_row() -> None:
    spent = [Spent(f"f{number}", 10, 10) for number in range(20)]
    page = format_profiles([Profile("connect/1", 200, spent), Profile("new", 0, [], "failed: no")])
    assert "## connect/1\n\n200.0 µs of CPU for each operation; 200 samples." in page
    assert LIMITS["connect/*"].strip() in page
    assert "| `f0`     |   5.0% |         5.0% | 10.0 |" in page
    assert "| 6 others |  30.0% |              | 60.0 |" in page
    assert "`f14`" not in page
    assert "## new\n\nNo profile: failed: no" in page


def test_each_limit_is_of_rows_that_there_are() -> None:
    for pattern in LIMITS:
        assert any(fnmatchcase(row.name, pattern) for row in ROWS), pattern
