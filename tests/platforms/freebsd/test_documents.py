"""docs/porting/freebsd.md and platforms/freebsd/rc.d: claims are no higher than what runs, and scripts are scripts."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from smbport.cli import main
from smbport.platform import POWERS
from smbport_freebsd.platform import ABSENT

HERE = Path(__file__).parent
PROJECT = HERE.parents[2]
RC_SCRIPT = PROJECT / "platforms/freebsd/rc.d/smbport"
SHOWN_BY = {
    "T1": ("test_abi.py",), "T3": ("test_clients.py",),
    "T2": ("test_port.py", "test_names.py", "test_marks.py", "test_data.py", "test_streams.py"),
    "T4": ("test_without_linux.py", "test_capsicum.py"), "none": ("test_port.py",),
}  # fmt: skip
"""What may be claimed -> the files of tests that show it.  T5 is not reached."""


def rows() -> dict[str, list[str]]:
    text = (PROJECT / "docs/porting/freebsd.md").read_text()
    found = re.search(r"^\| capability .*?\n\|[-|]+\n(.*?)\n\n", text, re.MULTILINE | re.DOTALL)
    assert found
    cells = [[cell.strip(" `") for cell in row.split("|")[1:-1]] for row in found[1].splitlines()]
    return {name: rest for name, *rest in cells}


@pytest.mark.parametrize("capability", rows())
def test_tiers(capability: str):
    uses, tier, shown_by = rows()[capability]
    file, _, test = shown_by.partition("::")
    text = (HERE / file if (HERE / file).exists() else HERE.parent / file).read_text()
    assert file in SHOWN_BY[tier]
    assert re.search(rf"^(async )?def {test}\(", text, re.MULTILINE)
    assert text.startswith(f'"""{tier}: ') or tier in ("T4", "none")
    assert (tier == "none") is uses.startswith("nothing")


def test_every_power_has_a_row():
    table = rows()
    assert set(POWERS) <= set(table)
    assert {capability for capability, (_, tier, _) in table.items() if tier == "none"} == set(ABSENT)


@pytest.fixture
def rc_script(tmp_path: Path) -> Path:
    """The script, with paths below `tmp_path` and a stand-in for rc.subr that runs what it would."""
    (tmp_path / "rc.subr").write_text(
        "load_rc_config() { smbport_args='--log debug'; smbport_config=$0.toml; }\n"
        "run_rc_command() {\n"
        '  case "$1" in\n'
        '  start) [ -f "$required_files" ] || exit 3; $start_precmd || exit 4; echo $command $command_args;;\n'
        "  configtest) $configtest_cmd;;\n"
        "  esac\n"
        "}\n"
    )
    text = RC_SCRIPT.read_text().replace("/etc/rc.subr", f"{tmp_path}/rc.subr").replace("/usr/local", str(tmp_path))
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/smbport").write_text('#!/bin/sh\necho "$@" >>"$0.log"\nexit ${REFUSE:-0}\n')
    (tmp_path / "bin/smbport").chmod(0o755)
    (tmp_path / "smbport").write_text(text)
    (tmp_path / "smbport.toml").touch()
    return tmp_path / "smbport"


@pytest.mark.skipif(shutil.which("sh") is None, reason="there is no shell")
def test_the_rc_script(rc_script: Path):
    assert RC_SCRIPT.read_text().startswith("#!/bin/sh\n")
    ran = subprocess.run(["sh", "-eu", rc_script, "start"], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == (
        f"/usr/sbin/daemon -c -r -P /var/run/smbport.pid -t smbport -T smbport {rc_script.parent}/bin/smbport serve"
        f" --config {rc_script}.toml --log debug\n"
    )
    asked = (rc_script.parent / "bin/smbport.log").read_text().split()
    assert asked == ["check-config", f"{rc_script}.toml"]
    assert main(asked) == 0
    refused = subprocess.run(["sh", "-eu", rc_script, "start"], env={"REFUSE": "1"}, capture_output=True, text=True)
    assert (refused.returncode, refused.stdout) == (4, "")
