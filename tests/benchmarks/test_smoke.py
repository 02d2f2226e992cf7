"""The benchmark as a whole: both servers start, answer, are measured and end."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.interop
@pytest.mark.skipif(shutil.which("smbd", path="/usr/sbin:/usr/bin") is None, reason="needs smbd")
@pytest.mark.skipif(os.geteuid() != 0, reason="smbd needs root")
def test_quick_run_measures_both_servers(tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    # A short path of its own: smbd makes sockets below it, whose names have room for 107 bytes.
    with tempfile.TemporaryDirectory(prefix="b") as directory:
        done = run("--quick", "--rows", "echo*", "--directory", directory, "--json", figures)
        assert done.returncode == 0, done.stderr
        assert not os.listdir(directory), "the servers left their directories"
    rows = json.loads(figures.read_text())["rows"]
    assert list(rows) == ["echo/1/plain", "echo/32/plain", "echo/1/signed", "echo/32/signed"]
    for rounds in rows.values():
        assert [list(one) for one in rounds] == [["smbport", "Samba"]]
        assert all(sample["operations"] > 0 for sample in rounds[0].values())
    assert "echo/32/signed" in done.stdout


def test_unknown_rows_are_refused() -> None:
    done = run("--rows", "no such row")
    assert done.returncode == 2
    assert "echo/1/plain" in done.stderr
