"""What a report says, as values: sections of paragraphs, lists, tables and code; writers make text of them.

Nothing here is Markdown or HTML, and no writer's output is read back.
"""

from dataclasses import dataclass
from typing import Literal

Tone = Literal["better", "worse"]
Role = Literal["name", "case", "text", "figure"]
"""What a column holds: the name of a row, what tells rows of one name apart, other words, or figures."""


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
    """One cell of a table: its figure or words, its interval and what follows that.

    `value` is the number that the cell sorts by; None sorts last in a column of figures and by its words in
    any other. A `missing` figure is shown as `n/a`.
    """

    text: str
    interval: str = ""
    after: str = ""
    value: float | None = None
    tone: Tone | None = None
    missing: bool = False


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its header and what it holds."""

    header: str
    role: Role


@dataclass(frozen=True, slots=True)
class Table:
    """A table; each row has a cell a column. `sortable` says whether rows may change places."""

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    sortable: bool = True


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


Block = Paragraph | Bullets | Table | CodeBlock | Heading


@dataclass(frozen=True, slots=True)
class Section:
    """A titled part of a report; one without blocks is not shown."""

    title: str
    blocks: tuple[Block, ...]
