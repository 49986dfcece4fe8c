"""A table on a terminal: what it gives up, in which order, to fit a width, and its lines."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from io import StringIO
from typing import Literal

from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from bench.report.document import Cell, Column, Table, cell_text
from bench.report.plain import flat, printable

LEAST_NAME = 12
INDENT = "  "
ELLIPSIS = "\N{HORIZONTAL ELLIPSIS}"
BETTER, WORSE, DOUBTFUL = "bold green", "bold red", "bold yellow"
STYLES = {"better": BETTER, "worse": WORSE, "open": DOUBTFUL}
# wider than any table, so that rich draws each as wide as it is
UNBOUNDED = 100_000


Loss = tuple[str, ...]
"""What a table gives up at once: the word for it, then the headers of the columns that it concerns.

It can do without a column's `intervals`, what follows its figures (`after`), and the whole `column`; without
a second blank as the `gap` between columns; without a column for the `cases`, which then have lines of their
own; and without the end of long `names`.
"""


GAP: Loss = ("gap",)
CASES: Loss = ("cases",)
NAMES: Loss = ("names",)


@dataclass(frozen=True, slots=True)
class Shape:
    """A table, what it gives up, and how many characters of its rows' names it shows."""

    table: Table
    losses: Sequence[Loss]
    longest_name: int


def fitted(table: Table, width: int, giving_up: Sequence[Loss]) -> Shape:
    """The shape that loses as little as it can: what a later loss made room for is taken back."""
    longest = max((len(cell.text) for cell in _column(table, "name")), default=0)

    def shape(losses: Sequence[Loss]) -> Shape:
        return Shape(table, losses, min(longest, LEAST_NAME) if NAMES in losses else longest)

    losses: list[Loss] = []
    for loss in giving_up:
        if _width(shape(losses)) <= width:
            break
        losses.append(loss)
    for loss in losses[::-1]:
        others = [one for one in losses if one != loss]
        if _width(shape(others)) <= width:
            losses = others
    found = shape(losses)
    return replace(found, longest_name=min(longest, found.longest_name + max(0, width - _width(found))))


def shown(shape: Shape) -> Table:
    """The table with the columns and cells that are left."""
    table, losses = shape.table, shape.losses
    indent = INDENT if CASES in losses else ""

    def lost(what: str, column: Column) -> bool:
        return any(kind == what and column.header in headers for kind, *headers in losses)

    def cell(column: Column, found: Cell) -> Cell:
        if column.role == "name":
            return replace(found, text=indent + cut(found.text, shape.longest_name))
        if lost("intervals", column):
            found = replace(found, interval="")
        return replace(found, after="") if lost("after", column) else found

    kept = [
        place
        for place, column in enumerate(table.columns)
        if not lost("column", column) and not (CASES in losses and column.role == "case")
    ]
    columns = [table.columns[place] for place in kept]
    headers = [replace(one, header=indent + one.header) if one.role == "name" else one for one in columns]
    rows = [
        tuple(cell(one, row[place]) for one, place in zip(columns, kept, strict=True)) for row in table.rows
    ]
    return replace(table, columns=tuple(headers), rows=tuple(rows))


def _gap(shape: Shape) -> int:
    return 1 if GAP in shape.losses else 2


def _width(shape: Shape) -> int:
    """How many columns of the terminal the shape takes."""
    table = shown(shape)
    written = [[column.header for column in table.columns], *(map(cell_text, row) for row in table.rows)]
    widths = [max(map(len, column)) for column in zip(*written, strict=True)]
    return sum(widths) + _gap(shape) * (len(widths) - 1)


def _column(table: Table, role: str) -> list[Cell]:
    places = [place for place, column in enumerate(table.columns) if column.role == role]
    return [row[place] for row in table.rows for place in places]


def lines(shape: Shape, width: int) -> list[Text]:
    """The lines of the table; each is cut at the width if even the last shape is too wide."""
    table = shown(shape)
    grid = Grid(box=None, padding=(0, _gap(shape), 0, 0), pad_edge=False, header_style="")
    for column in table.columns:
        side: Literal["left", "right"] = "right" if column.role == "figure" else "left"
        grid.add_column(column.header, justify=side, no_wrap=True)
    for row in table.rows:
        grid.add_row(*map(_styled, row))
    found = _rendered(grid)
    if CASES in shape.losses:
        cases = [cell.text for cell in _column(shape.table, "case")]
        firsts = [place for place, case in enumerate(cases) if place == 0 or case != cases[place - 1]]
        for place in firsts[::-1]:
            found.insert(place + 1, Text(flat(cases[place])))
    for line in found:
        line.rstrip()
        line.truncate(width, overflow="ellipsis")
    return found


def _styled(cell: Cell) -> Text:
    return Text.assemble((flat(cell_text(cell)), STYLES.get(cell.tone or "", "")))


def _rendered(grid: Grid) -> list[Text]:
    console = Console(file=StringIO(), width=UNBOUNDED)
    rendered = console.render_lines(grid, pad=False)
    return [Text.assemble(*((part.text, part.style or "") for part in line)) for line in rendered]


def cut(label: str, most: int) -> str:
    """The label, or as much of it as goes into `most` columns with the sign that there is more."""
    return label if len(label) <= most else label[: most - 1].rstrip() + ELLIPSIS


def written(found: Iterable[Text], *, colour: bool) -> str:
    """The lines as text, with the codes of their colours if there shall be `colour`."""
    file = StringIO()
    console = Console(
        file=file,
        width=UNBOUNDED,
        color_system="standard" if colour else None,
        force_terminal=colour,
        no_color=not colour,
        legacy_windows=False,
    )
    for line in found:
        line.plain = printable(line.plain)  # as long as it was, so that its colours stay in their places
        console.print(line, soft_wrap=True)
    return file.getvalue()
