"""A report's values as Markdown."""

import re
from collections.abc import Callable, Iterable

from bench.report.document import (
    Block,
    Bullets,
    Cell,
    Code,
    CodeBlock,
    Emphasis,
    Folded,
    Heading,
    Link,
    Paragraph,
    Span,
    Strong,
    Table,
    Text,
    cell_text,
)
from bench.report.plain import flat, in_markdown, not_a_block, printable

Escape = Callable[[str], str]
"""Makes a line of Markdown of a text, in which nothing is a mark."""


def blocks(found: Iterable[Block], escape: Escape = in_markdown) -> list[str]:
    """The lines of some blocks, with an empty line between two of them.

    `escape` is applied to every text, but not to the marks that are written around it, nor to code.
    """
    lines: list[str] = []
    for one in found:
        lines += ["", *_block(one, escape)] if lines else _block(one, escape)
    return lines


def _block(found: Block, escape: Escape) -> list[str]:
    match found:
        case Table():
            return table(found, escape)
        case Paragraph(text):
            return [not_a_block(inline(text, escape).lstrip())]
        case Bullets(items):
            return [f"- {not_a_block(inline(item, escape).lstrip())}" for item in items]
        case CodeBlock(text, language):
            fence = "`" * max(3, 1 + _longest_ticks(text))
            return [f"{fence}{language}", printable(text), fence]
        case Heading(text):
            return [f"### {escape(text)}"]
        case Folded(title, inside):
            return folded(title, blocks(inside, escape))


def folded(title: str, lines: list[str]) -> list[str]:
    """The lines below a title that opens them: GitHub reads Markdown in them because of the empty lines."""
    return ["<details>", f"<summary>{title}</summary>", "", *lines, "", "</details>"]


def table(found: Table, escape: Escape = in_markdown) -> list[str]:
    """The lines of a table; columns of figures are aligned to the right."""
    header = [_in_cell(column.header, escape) for column in found.columns]
    rule = ["---:" if column.role == "figure" else "---" for column in found.columns]
    rows = [[_cell(cell, escape) for cell in row] for row in found.rows]
    return ["| " + " | ".join(cells) + " |" for cells in (header, rule, *rows)]


def inline(text: Text, escape: Escape = in_markdown) -> str:
    """Running text with its marks."""
    return "".join(_span(span, escape) for span in text)


def _span(span: Span, escape: Escape) -> str:
    match span:
        case Strong(text):
            return f"**{escape(text)}**"
        case Emphasis(text):
            return f"*{escape(text)}*"
        case Code(text):
            return _code(flat(text))
        case Link(text, target):
            return f"[{escape(text)}]({target})"
        case text:
            return escape(text)


def _code(text: str) -> str:
    """Code in a line, between more backticks than it has in a row itself."""
    ticks = "`" * (1 + _longest_ticks(text))
    return f"{ticks} {text} {ticks}" if text[:1] == "`" or text[-1:] == "`" else f"{ticks}{text}{ticks}"


def _longest_ticks(text: str) -> int:
    return max(map(len, re.findall("`+", text)), default=0)


def _cell(cell: Cell, escape: Escape) -> str:
    text = _in_cell(cell_text(cell), escape)
    return f"**{text}**" if cell.strong else text


def _in_cell(text: str, escape: Escape) -> str:
    return escape(text).replace("|", "\\|")
