"""Cells of a CSV table: missing ones are empty, and no text becomes a formula."""

import csv
import io
from collections.abc import Iterable, Sequence

from bench.report.plain import one_line

Value = str | float | int | bool | None
# what spreadsheets take for the begin of a formula
FORMULA = ("=", "+", "-", "@")


def rendered(header: Sequence[str], rows: Iterable[Sequence[Value]]) -> str:
    """The table with a header, comma-separated as RFC 4180 has it but for lines that end in a newline."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([cell(name) for name in header])
    writer.writerows([[cell(value) for value in row] for row in rows])
    return file.getvalue()


def cell(value: Value) -> str:
    """A value as text; a text that a spreadsheet would compute gets an apostrophe before it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        line = one_line(value)
        return f"'{line}" if line.startswith(FORMULA) else line
    return str(value)
