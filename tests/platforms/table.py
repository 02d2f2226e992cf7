"""README's table of platforms: which port has which capability, by which route, and how far that was verified.

The rows are those of the pages in docs/porting/, each of which names a test that shows what it claims, and the powers
that the registry's ports for this machine find here.

    python -m tests.platforms.table    prints the table
"""

import re
from pathlib import Path
from typing import Final

from smbport.platform import POWERS

__all__ = ["BEGIN", "END", "PAGES", "README", "rows", "table"]

PROJECT: Final = Path(__file__).parents[2]
README: Final = PROJECT / "README.md"
PAGES: Final = ("linux", "freebsd", "qnx")
BEGIN: Final = "<!-- made by python -m tests.platforms.table -->\n"
END: Final = "<!-- end -->\n"
BASICS: Final = ("containment",)


def rows(port: str) -> dict[str, tuple[str, str, str]]:
    """Capability -> what is used, tier, and the test that shows it, of a port's page."""
    text = (PROJECT / "docs" / "porting" / f"{port}.md").read_text()
    found = re.search(r"^\| capability .*?\n\|[-|]+\n(.*?)\n\n", text, re.MULTILINE | re.DOTALL)
    assert found, f"the page of {port} has no table"
    cells = [[cell.strip() for cell in row.split("|")[1:-1]] for row in found[1].splitlines()]
    return {name: (uses, tier, test.strip("`")) for name, uses, tier, test in cells}


def table() -> str:
    """The table, with its marks."""
    pages = {port: rows(port) for port in PAGES}
    out = [BEGIN.rstrip(), f"| | {' | '.join(f'[{port}](docs/porting/{port}.md)' for port in PAGES)} |"]
    out.append("|---" * (len(PAGES) + 1) + "|")
    for capability in (*BASICS, *POWERS):
        cells = [_cell(pages[port][capability]) for port in PAGES]
        out.append(f"| {capability} | {' | '.join(cells)} |")
    return "\n".join([*out, END])


def _cell(row: tuple[str, str, str]) -> str:
    uses, tier, _ = row
    if tier == "none":
        return "none"
    calls = re.findall(r"`[^`]+`", uses)[:2]
    return f"{', '.join(calls) or uses.partition(':')[0]} ({tier})"


if __name__ == "__main__":
    print(table(), end="")
