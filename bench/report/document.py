"""What a report says, as values: sections of paragraphs, lists, tables and code; writers make text of them.

Nothing here is Markdown or HTML, and no writer's output is read back.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal, TypeVar

Tone = Literal["better", "worse", "open"]
"""What a verdict means for the strategy that is judged; open if it is not told apart."""
Role = Literal["name", "case", "text", "figure"]
"""What a column holds: the names of the rows, what tells rows of a name apart, other words, or figures."""


@dataclass(frozen=True, slots=True)
class Strong:
    """Words that stand out."""

    text: str


@dataclass(frozen=True, slots=True)
class Emphasis:
    """A term, or the word of a verdict with its tone."""

    text: str
    tone: Tone | None = None


@dataclass(frozen=True, slots=True)
class Code:
    """What a person types, or what a program names."""

    text: str


@dataclass(frozen=True, slots=True)
class Link:
    """Words that lead to a file beside the report, or to a place in it."""

    text: str
    target: str


Span = str | Strong | Emphasis | Code | Link
Text = tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of a table: a figure or words, then its interval in brackets, then what else is said of it.

    `word` is the word of a verdict on the figure; its tone is the cell's.
    `value` is the number by which the cell sorts: a cell of a figure column that has none sorts last.
    A `missing` figure is shown as `n/a`.
    """

    text: str
    interval: str = ""
    after: str = ""
    value: float | None = None
    tone: Tone | None = None
    missing: bool = False
    strong: bool = False
    word: str = ""


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its header and what it holds. It is not `sortable` if a cell holds several figures.

    `lead` is the word before its cells where several columns are written in a line, without their headers.
    """

    header: str
    role: Role = "figure"
    sortable: bool = True
    lead: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """A table: each row has a cell for each column.

    Without a caption it has its section's title. Rows that are ranks may not change places: they are not
    `sortable`.
    """

    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    caption: str = ""
    sortable: bool = True

    @property
    def figure_headers(self) -> tuple[str, ...]:
        """The headers of the columns of figures."""
        return tuple(column.header for column in self.columns if column.role == "figure")


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Running text."""

    text: Text


@dataclass(frozen=True, slots=True)
class Bullets:
    """A list whose order says nothing."""

    items: tuple[Text, ...]


@dataclass(frozen=True, slots=True)
class CodeBlock:
    """Lines as they are typed or stored."""

    text: str
    language: str = ""


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading within a section."""

    text: str


@dataclass(frozen=True, slots=True)
class Folded:
    """Blocks that a reader opens by their title, which has nothing of the run's own in it."""

    title: str
    blocks: tuple["Block", ...]


Block = Paragraph | Bullets | Table | CodeBlock | Heading | Folded


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a report with a title; a section without blocks is not shown.

    If it is `folded`, a reader opens it: it holds what most readers pass over.
    """

    title: str
    blocks: tuple[Block, ...]
    folded: bool = False


Item = TypeVar("Item")
Field = tuple[Column, Callable[[Item], Cell]]
NOT_MEASURED = Paragraph(("Not measured.",))


def cell_text(cell: Cell) -> str:
    """Everything that a cell says."""
    interval = f" ({cell.interval})" if cell.interval else ""
    word = f" {cell.word}" if cell.word else ""
    return f"{cell.text}{interval}{cell.after}{word}"


def paragraph(*spans: Span) -> Paragraph:
    """A paragraph of these spans."""
    return Paragraph(spans)


def joined(*texts: Text) -> Paragraph:
    """A paragraph of several texts with a space between two of them."""
    return Paragraph(tuple(span for text in texts for span in (" ", *text))[1:])


def table(columns: Iterable[Column], rows: Iterable[Iterable[Cell]], caption: str = "") -> Table:
    """A table of these columns and rows, whose rows may be sorted."""
    return Table(tuple(columns), tuple(tuple(row) for row in rows), caption)


def tabulated(items: Iterable[Item], fields: Iterable[Field[Item]], caption: str = "") -> Table:
    """A table with a row for each item; a field is a column and what an item's cell in it is."""
    columns, cells = zip(*fields, strict=True)
    return table(columns, ([cell(item) for cell in cells] for item in items), caption)


def tables_in(blocks: Iterable[Block]) -> tuple[Table, ...]:
    """Every table among these blocks, those that are folded away among them."""
    found: list[Table] = []
    for block in blocks:
        if isinstance(block, Table):
            found.append(block)
        elif isinstance(block, Folded):
            found += tables_in(block.blocks)
    return tuple(found)


def name_column(header: str) -> Column:
    """The column that names the rows: it stays in sight when a wide table is scrolled."""
    return Column(header, "name")


def case_column(header: str, lead: str = "") -> Column:
    """A column that tells rows of the same name apart: which load, which metric."""
    return Column(header, "case", lead=lead)


def figures(*headers: str) -> tuple[Column, ...]:
    """Columns of figures."""
    return tuple(Column(header) for header in headers)
