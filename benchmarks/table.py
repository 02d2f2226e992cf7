"""A table in Markdown."""

from collections.abc import Sequence

__all__ = ["format_table"]


def format_table(heads: Sequence[str], lines: Sequence[Sequence[str]], left: int = 1) -> str:
    """Columns as wide as their widest cell; the first ones to the left, the others to the right."""
    widths = [max(3, *map(len, column)) for column in zip(heads, *lines, strict=True)]
    rules = ["-" * width if index < left else "-" * (width - 1) + ":" for index, width in enumerate(widths)]
    rows = [
        [
            cell.ljust(width) if index < left else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        for line in (heads, *lines)
    ]
    rows.insert(1, rules)
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)
