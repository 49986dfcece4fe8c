"""A report's values as Markdown."""

from collections.abc import Callable, Iterable

from bench.report.document import (
    Block,
    Bullets,
    Cell,
    Code,
    CodeBlock,
    Emphasis,
    Heading,
    Link,
    Paragraph,
    Section,
    Span,
    Strong,
    Table,
    Text,
    cell_text,
)

Escape = Callable[[str], str]


def _as_it_is(text: str) -> str:
    return text


def section(found: Section, escape: Escape = _as_it_is) -> list[str]:
    """The lines of a section with its heading."""
    return [f"## {found.title}", "", *blocks(found.blocks, escape)]


def blocks(found: Iterable[Block], escape: Escape = _as_it_is) -> list[str]:
    """The lines of some blocks, with an empty line between two of them.

    `escape` is applied to every text, but not to the marks that are written around it.
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
            return [inline(text, escape)]
        case Bullets(items):
            return [f"- {inline(item, escape)}" for item in items]
        case CodeBlock(text, language):
            return [f"```{language}", text, "```"]
        case Heading(text):
            return [f"### {escape(text)}"]


def table(found: Table, escape: Escape = _as_it_is) -> list[str]:
    """The lines of a table; columns of figures are aligned to the right."""
    header = [_in_cell(column.header, escape) for column in found.columns]
    rule = ["---:" if column.role == "figure" else "---" for column in found.columns]
    rows = [[_cell(cell, escape) for cell in row] for row in found.rows]
    return ["| " + " | ".join(cells) + " |" for cells in (header, rule, *rows)]


def inline(text: Text, escape: Escape = _as_it_is) -> str:
    """Running text with its marks."""
    return "".join(_span(span, escape) for span in text)


def _span(span: Span, escape: Escape) -> str:
    match span:
        case Strong(text):
            return f"**{escape(text)}**"
        case Emphasis(text):
            return f"*{escape(text)}*"
        case Code(text):
            return f"`{text}`"
        case Link(text, target):
            return f"[{escape(text)}]({target})"
        case text:
            return escape(text)


def _cell(cell: Cell, escape: Escape) -> str:
    text = _in_cell(cell_text(cell), escape)
    return f"**{text}**" if cell.strong else text


def _in_cell(text: str, escape: Escape) -> str:
    return escape(text).replace("|", "\\|")
