"""smbport selftest: a report that others can read."""

from pathlib import Path

import pytest

from smbport import cli, registry
from smbport.platform import Platform
from smbport.testing import kit
from smbport.testing.memory import MemoryPlatform


def test_a_port_that_passes(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["selftest", "--platform", "memory"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("smbport ")
    assert ", port memory, Python " in said[0]
    assert " uid " in said[1]
    assert said[2].startswith("file system: ")
    assert [line.split()[0] for line in said[4:-2]] == list(kit.CHECKS)
    assert said[-1] == "memory passed the exam"


def test_on_a_directory_of_the_real_system(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert cli.main(["selftest", "--path", str(tmp_path)]) == 0
    assert f"in {tmp_path}/smbport-selftest-" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())


def test_a_port_that_fails(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def check(platform: Platform, path: str) -> str:
        raise kit.ExamFailed("water is wet")

    monkeypatch.setattr(registry, "find", lambda name: MemoryPlatform())
    monkeypatch.setitem(kit.CHECKS, "threads", check)
    assert cli.main(["selftest", "--platform", "memory"]) == 1
    said = capsys.readouterr().out.splitlines()
    assert "threads      failed  water is wet" in said
    assert said[-1] == "memory failed the exam"


def test_a_directory_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["selftest", "--platform", "memory", "--path", "/not/there"]) == 1
    assert "No such file or directory" in capsys.readouterr().err
