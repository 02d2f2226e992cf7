"""Samba's own suite, unmodified, one process per leaf test, held against a table of what is expected.

`smbtorture.tsv` has a row per leaf: its name, how it must end here, how it ends against Samba's smbd 4.17 with
everything on (acl_xattr, streams_xattr, durable handles, multichannel), and the reason if it does not pass here.
`docs/conformance.md` is made of the same rows:

    python tests/interop/test_smbtorture.py > docs/conformance.md
"""

import csv
import re
import shutil
import subprocess
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(shutil.which("smbtorture") is None, reason="smbtorture is not installed (samba-testsuite)"),
]

TABLE = Path(__file__).with_name("smbtorture.tsv")
PAGE = Path(__file__).parents[2] / "docs" / "conformance.md"
PATIENCE_S = 120


class Leaf(NamedTuple):
    """One row of the table."""

    name: str
    expected: str  # pass, fail or skip
    samba: str  # pass, fail, skip or timeout
    reason: str


def rows() -> list[Leaf]:
    with TABLE.open(newline="") as table:
        return [Leaf(*row) for row in csv.reader(table, delimiter="\t")]


@pytest.fixture(scope="module")
def torture(serve_module: Callable[..., object]) -> object:
    """A server as the tests need it: wrong passwords by the thousand, and listings of 8 MiB."""
    return serve_module(
        server={"anonymous": "ipc-only"},
        limits={"failed_logons_per_connection": 10_000_000, "failed_logon_delay_s": 0.0, "transact_size": "8MiB"},
    )


def outcome(output: str, name: str) -> str:
    """How a leaf ended, from smbtorture's own words."""
    leaf = re.escape(name.rpartition(".")[2])
    for word, result in (("success", "pass"), ("failure", "fail"), ("error", "fail"), ("skip", "skip")):
        if re.search(rf"^{word}: {leaf}(\s|$)", output, re.MULTILINE):
            return result
    return "fail"


@pytest.mark.parametrize("leaf", rows(), ids=lambda leaf: leaf.name)
def test_leaf(torture: object, leaf: Leaf) -> None:
    served = torture
    command = [
        "smbtorture", f"//127.0.0.1/{'data'}", "-p", str(served.port),  # type: ignore[attr-defined]
        "-U", f"{served.user}%{served.password}", leaf.name,  # type: ignore[attr-defined]
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False, errors="replace")
    output = done.stdout + done.stderr
    assert outcome(output, leaf.name) == leaf.expected, f"{leaf.reason}\n{output[-3000:]}"


def test_every_failure_has_its_reason() -> None:
    for leaf in rows():
        assert leaf.expected in ("pass", "fail", "skip")
        assert leaf.expected == "pass" or leaf.reason, f"{leaf.name} does not pass; say why"


def test_the_page_is_current() -> None:
    assert PAGE.read_text() == page(), f"run: python {TABLE.with_name('test_smbtorture.py')} > {PAGE}"


def page() -> str:
    """docs/conformance.md."""
    leaves = rows()
    groups: dict[str, list[Leaf]] = defaultdict(list)
    for leaf in leaves:
        groups[".".join(leaf.name.split(".")[:2])].append(leaf)
    out = [
        "# Conformance\n",
        "Samba's smbtorture 4.17, unmodified, one process per leaf test, against `--platform linux` with signing",
        "required, beside Samba's smbd 4.17 with everything on.  The rows are `tests/interop/smbtorture.tsv`; the same",
        "file is a test, so a row that is not true fails the build.  This page is made by",
        "`python tests/interop/test_smbtorture.py`.\n",
        "| group | leaves | smbport passes | smbd passes |",
        "|---|---|---|---|",
    ]
    for name, members in [*sorted(groups.items()), ("all", leaves)]:
        ours = sum(leaf.expected == "pass" for leaf in members)
        theirs = sum(leaf.samba == "pass" for leaf in members)
        out.append(f"| {name} | {len(members)} | {ours} | {theirs} |")
    out += ["\n## What does not pass, and why\n", "| leaf | smbd | reason |", "|---|---|---|"]
    out += [f"| {leaf.name} | {leaf.samba} | {leaf.reason} |" for leaf in leaves if leaf.expected != "pass"]
    return "\n".join(out) + "\n"


if __name__ == "__main__":
    print(page(), end="")
