"""The benchmark as a whole: the servers start, answer, are measured and end."""

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
def test_quick_run_measures_all_servers(tmp_path: Path) -> None:
    pytest.importorskip("impacket")
    # A short path of its own: smbd makes sockets below it, whose names have room for 107 bytes.
    with tempfile.TemporaryDirectory(prefix="b") as directory:
        done = run(
            "--quick", "--rows", "echo/16/*,many-16,idle-100", "--directory", directory, "--output", tmp_path,
            "--platform", "memory",
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert not os.listdir(directory), "the servers left their directories"
    rows = json.loads((tmp_path / "report.json").read_text())["rows"]
    assert list(rows) == ["echo/16/plain", "echo/16/gmac", "many-16", "idle-100"]
    for row, rounds in rows.items():
        assert [list(one) for one in rounds] == [["smbport", "smbd", "impacket", "smbport/memory"]]
        for name, sample in rounds[0].items():
            assert ("reason" in sample) == ((row, name) == ("echo/16/gmac", "impacket")), sample
    assert "`echo/16/gmac`" in (tmp_path / "report.md").read_text()
    assert (tmp_path / "ratios.svg").exists()


def test_unknown_rows_are_refused() -> None:
    done = run("--rows", "no such row")
    assert done.returncode == 2
    assert "echo/1/plain" in done.stderr


def test_rows_are_listed() -> None:
    assert run("--list", "--rows", "echo/*/plain").stdout.split() == ["echo/1/plain", "echo/16/plain"]
