"""docs/information-classes.md says of every class what the code does."""

from collections.abc import Collection
from pathlib import Path

import pytest

from smbport.commands.query_directory import _FIXED_SIZE
from smbport.commands.rights import FILE_QUERY, FILE_SET, FS_QUERY, FS_SET
from smbport.wire.constants import FileInfo, FsInfo

PAGE = (Path(__file__).parents[2] / "docs/information-classes.md").read_text("utf-8")


def rows(heading: str) -> list[dict[str, str]]:
    """The table below a heading."""
    lines = [line for line in PAGE.split(f"## {heading}\n")[1].split("\n## ")[0].splitlines() if line.startswith("|")]
    names, _, *cells = ([cell.strip() for cell in line.strip("|").split("|")] for line in lines)
    return [dict(zip(names, row, strict=True)) for row in cells]


def numbers(heading: str, column: str) -> set[int]:
    return {int(row["number"]) for row in rows(heading) if row[column] == "yes"}


def constants(namespace: type) -> dict[int, str]:
    return {value: key for key, value in vars(namespace).items() if key.isupper()}


def title(key: str) -> str:
    base, more, _ = key.partition("_EX") if key.endswith("_EX") else (key, "", "")
    return "".join(part.capitalize() for part in base.split("_")) + "Information" + more.strip("_").capitalize()


@pytest.mark.parametrize(
    ("heading", "column", "table"),
    [
        ("Files and directories", "query", FILE_QUERY),
        ("Files and directories", "set", FILE_SET),
        ("Files and directories", "list", _FIXED_SIZE),
        ("Volumes", "query", FS_QUERY),
        ("Volumes", "set", FS_SET),
    ],
)
def test_what_is_answered(heading: str, column: str, table: Collection[int]) -> None:
    assert numbers(heading, column) == set(table)
    assert {row[column] for row in rows(heading)} <= {"yes", ""}


@pytest.mark.parametrize(
    ("heading", "prefix", "namespace", "listed"),
    [("Files and directories", "File", FileInfo, _FIXED_SIZE), ("Volumes", "FileFs", FsInfo, ())],
)
def test_every_class_has_its_row(heading: str, prefix: str, namespace: type, listed: Collection[int]) -> None:
    found = {int(row["number"]): row["class"] for row in rows(heading)}
    named = {number: prefix + title(key) for number, key in constants(namespace).items()}
    assert set(found) == {*named, *listed}
    assert named.items() <= found.items()
    assert list(found) == sorted(found)
