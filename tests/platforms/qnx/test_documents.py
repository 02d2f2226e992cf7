"""docs/porting/qnx.md and platforms/qnx/startup: claims are no higher than what runs, and files are well-formed."""

import re
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pytest

from smbport.platform import POWERS
from smbport_qnx.platform import ABSENT

PLATFORMS = Path(__file__).parents[1]
PROJECT = PLATFORMS.parents[1]
STARTUP = PROJECT / "platforms/qnx/startup"
DEMANDED = {
    "T2": {"qnx/test_calls.py", "qnx/test_zerocopy.py"},
    "T4": {"test_without_linux.py"},
    "none": {"qnx/test_port.py"},
}
"""What may be claimed -> the files of tests that show it.  T1 and T5 are not reached."""


def rows():
    text = (PROJECT / "docs/porting/qnx.md").read_text()
    table = re.search(r"^\| capability .*?\n\|[-|]+\n(.*?)\n\n", text, re.MULTILINE | re.DOTALL)[1]
    return {
        row.split("|")[1].strip(): [cell.strip(" `") for cell in row.split("|")[2:-1]] for row in table.splitlines()
    }


@pytest.mark.parametrize("capability", rows())
def test_tiers(capability):
    uses, tier, shown_by = rows()[capability]
    file, _, test = shown_by.partition("::")
    assert file in DEMANDED[tier]
    assert f"def {test}(" in (PLATFORMS / file).read_text()
    assert (tier == "none") is uses.startswith("nothing")


def test_every_power_has_a_row():
    table = rows()
    assert set(POWERS) <= set(table)
    assert {capability for capability, row in table.items() if row[1] == "none"} == set(ABSENT)


def test_the_tier_is_run():
    """T4 is what the personality serves with refused calls, both with an error and with death."""
    text = (PLATFORMS / "test_without_linux.py").read_text()
    assert all(f'("qnx", "qnx/qnx8.py", "{mode}")' in text for mode in ("allow", "enosys", "kill"))


def test_the_start_script():
    subprocess.run(["sh", "-n", STARTUP / "smbport.sh"], check=True)


def test_the_slm_file():
    text = (STARTUP / "smbport.slm.xml").read_text()
    tree = ElementTree.fromstring(text.replace("SLM:", "").encode())  # slm's own files declare no name space either
    components = {component.get("name"): component for component in tree.iter("component")}
    smbport = components["smbport"]
    assert smbport.findtext("command").endswith("/smbport")
    assert smbport.findtext("args").startswith("serve --config ")
    assert smbport.findtext("depend") in components
