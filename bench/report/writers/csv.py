"""A table as CSV for programs: figures in full, missing ones empty, and no text that becomes a formula."""

import csv
import io

from bench.report.document import Cell, Table, cell_text
from bench.report.plain import one_line

# what spreadsheets take for the begin of a formula
FORMULA = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def table(found: Table) -> str:
    """The table with a header, comma-separated as RFC 4180 has it but for lines that end in a newline."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([_harmless(column.header) for column in found.columns])
    writer.writerows([[_cell(cell) for cell in row] for row in found.rows])
    return file.getvalue()


def _cell(cell: Cell) -> str:
    """The cell's value as it is, else its words; nothing if the figure is missing."""
    if cell.value is not None:
        return str(cell.value)
    return "" if cell.missing else _harmless(cell_text(cell))


def _harmless(text: str) -> str:
    """A text in one line; a text that a spreadsheet would compute gets an apostrophe before it."""
    line = one_line(text)
    return f"'{line}" if line.startswith(FORMULA) else line
