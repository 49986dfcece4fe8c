"""The Markdown of the report's sections as HTML: tables that sort, headings below the section's own."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup, escape

from bench.report.page.sorting import has_order, is_missing, sort_value, sort_words

# what a report's own Markdown has, and nothing that could fetch, link or run
PARSER = MarkdownIt("commonmark", {"html": False}).enable("table").disable(["image", "link", "autolink"])
LEAST_HEADING = 3
MOST_ROW_HEADERS = 2
# headers of the column that names a row, wherever it stands among the leading ones
NAMES = ("strategy", "what")
# a leading column that says what was found, and no case
FINDING = "verdict"
# more characters than this ask for a wider column
LONG = 32
INTERVAL = re.compile(r"(.*\S) (\([^()]*\d[^()]*\))(.*)", re.DOTALL)
WORDS = {"faster": "better", "cheaper": "better", "slower": "worse", "dearer": "worse"}


@dataclass(frozen=True, slots=True)
class Shape:
    """What a table's cells need to know of the others.

    `rows` holds the words of every cell, the headers' first; `right` whether a column holds figures;
    `leading` how many columns stand before the first of figures; `name` which of those names the row. The
    other leading ones say its case: which load, which metric.
    """

    rows: tuple[tuple[str, ...], ...]
    right: tuple[bool, ...]
    leading: int
    name: int

    @property
    def sorts(self) -> bool:
        """Whether rows may change places: not if they are ranks, each column in an order of its own."""
        return self.rows[0][0] != ""

    @property
    def cases(self) -> list[int]:
        """The columns that say a row's case."""
        return [
            column
            for column, header in enumerate(self.rows[0][: self.leading])
            if column != self.name and header != FINDING
        ]

    def place(self, column: int) -> list[str]:
        """The class of what stays in sight when the figures are scrolled."""
        if column == self.name:
            return ["pin"]
        return ["case"] if column in self.cases else []

    def under(self, row: int) -> str:
        """The case of a row in one line, for below its name where there is no room for columns."""
        return ", ".join(self.rows[row][column] for column in self.cases if self.rows[row][column])


def to_html(title: str, lines: Sequence[str]) -> Markup:
    """A section's Markdown as HTML; `title` names its tables where nothing nearer does."""
    tokens = PARSER.parse("\n".join(lines))
    _lower_headings(tokens)
    _mark_words(tokens)
    caption = title
    out: list[Token] = []
    for block in _blocks(tokens):
        if block[0].type == "table_open":
            out += [_raw(_before(caption)), *_table(block, caption), _raw("</div>\n")]
            caption = title
            continue
        said = next((token.content for token in block if token.type == "inline"), "")
        if block[0].type == "heading_open" or said.endswith(":"):
            caption = said.removesuffix(":").replace("*", "")
        out += block
    # every piece was escaped by the renderer or by _raw's callers
    return Markup(PARSER.renderer.render(out, PARSER.options, {}))  # noqa: S704


def verdict_class(text: str) -> str | None:
    """The class of a verdict's word, None for any other text."""
    return WORDS.get(text.split(" ", 1)[0]) if text else None


def _blocks(tokens: Sequence[Token]) -> Iterator[list[Token]]:
    """The tokens of each outermost block."""
    block: list[Token] = []
    depth = 0
    for token in tokens:
        block.append(token)
        depth += token.nesting
        if depth == 0:
            yield block
            block = []


def _lower_headings(tokens: Sequence[Token]) -> None:
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{max(LEAST_HEADING, int(token.tag[1:]))}"


def _mark_words(tokens: Sequence[Token]) -> None:
    """Give the emphasised words of a verdict their class."""
    for token in tokens:
        children = token.children or []
        for opened, inner in pairwise(children):
            if opened.type == "em_open" and (found := verdict_class(inner.content)):
                opened.attrSet("class", found)


def _before(caption: str) -> str:
    return f'<div class="scroll" role="region" tabindex="0" aria-label="{escape(caption)}">\n'


def _table(tokens: Sequence[Token], caption: str) -> list[Token]:
    """The tokens of a table with its caption, scopes, values to sort by and intervals set apart."""
    shape = _shape(tokens)
    if shape.sorts:
        tokens[0].attrSet("class", "sortable")
    out = [tokens[0], _raw(f'<caption class="hidden">{escape(caption)}</caption>\n')]
    row, column, tag = -1, 0, ""
    for token, following in zip(tokens[1:], [*tokens[2:], tokens[-1]], strict=True):
        if token.type == "tr_open":
            row, column = row + 1, 0
        elif token.type == "th_open":
            tag = _column_header(token, following, shape, column)
        elif token.type == "td_open":
            tag = _cell(token, following, shape, row, column)
        elif token.type in ("th_close", "td_close"):
            token.tag = tag
            column += 1
        out.append(token)
    return out


def _shape(tokens: Sequence[Token]) -> Shape:
    right = tuple(_is_right(token) for token in tokens if token.type == "th_open")
    words = [_words(token) for token in tokens if token.type == "inline"]
    rows = tuple(tuple(words[at : at + len(right)]) for at in range(0, len(words), len(right)))
    leading = right.index(True) if True in right else 1
    named = [name for name in NAMES if name in rows[0][:leading]]
    return Shape(rows, right, leading, rows[0].index(named[0]) if named else 0)


def _words(inline: Token) -> str:
    return "".join(child.content for child in inline.children or [])


def _is_right(token: Token) -> bool:
    return "right" in str(token.attrGet("style"))


def _column_header(token: Token, inline: Token, shape: Shape, column: int) -> str:
    """Set a header's attributes and return its tag."""
    classes = ["figure"] if shape.right[column] else []
    token.attrs = {}
    _set_classes(token, classes + shape.place(column))
    if shape.right[column] and not has_order([cells[column] for cells in shape.rows[1:]]):
        token.attrSet("data-unsorted", "")
    if inline.content:
        token.attrSet("scope", "col")
    else:
        token.tag = "td"  # a header must say something
    return token.tag


def _cell(token: Token, inline: Token, shape: Shape, row: int, column: int) -> str:
    """Set a cell's attributes and return its tag."""
    content = shape.rows[row][column]
    figure = shape.right[column]
    classes = ["figure"] if figure else []
    token.attrs = {}
    if is_missing(content):
        classes.append("missing")
    elif figure and (value := sort_value(content)) is not None:
        token.attrSet("data-value", f"{value:.9g}")
    elif not figure and len(content) > LONG:
        classes.append("long")
    if found := verdict_class(content):
        classes.append(found)
    _set_classes(token, classes + shape.place(column))
    if column < min(shape.leading, MOST_ROW_HEADERS):
        token.tag = "th"
        token.attrSet("scope", "row")
    if figure and content == inline.content:
        inline.children = [_raw(figure_html(content))]
    under = shape.under(row) if column == shape.name else ""
    if under or (not figure and sort_words(content) != content):
        token.attrSet("data-text", sort_words(content))
    if under:
        inline.children = [*(inline.children or []), _raw(f' <span class="under">{escape(under)}</span>')]
    return token.tag


def _set_classes(token: Token, classes: Sequence[str]) -> None:
    if classes:
        token.attrSet("class", " ".join(classes))


def figure_html(text: str) -> Markup:
    """A figure with its interval, if it has one, in an element of its own: `151 (149-153)`."""
    found = INTERVAL.fullmatch(text)
    if found is None:
        return escape(text)
    figure, interval, rest = found.groups()
    return Markup('{} <span class="interval">{}{}</span>').format(figure, interval, rest)


def _raw(html: str) -> Token:
    return Token("html_inline", "", 0, content=html)
