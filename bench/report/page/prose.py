"""The Markdown of the report's sections as HTML: tables that sort, headings below the section's own."""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup, escape

from bench.report.page.sorting import is_missing, sort_value

# what a report's own Markdown has, and nothing that could fetch, link or run
PARSER = MarkdownIt("commonmark", {"html": False}).enable("table").disable(["image", "link", "autolink"])
LEAST_HEADING = 3
MOST_ROW_HEADERS = 2
# more characters than this ask for a wider column
LONG = 32
INTERVAL = re.compile(r"(.*\S) (\([^()]*\d[^()]*\))(.*)", re.DOTALL)
WORDS = {"faster": "better", "cheaper": "better", "slower": "worse", "dearer": "worse"}


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
    right = [_is_right(token) for token in tokens if token.type == "th_open"]
    leading = right.index(True) if True in right else 1
    row_headers = min(leading, MOST_ROW_HEADERS)
    tokens[0].attrSet("class", "sortable")
    out = [tokens[0], _raw(f'<caption class="hidden">{escape(caption)}</caption>\n')]
    column, tag = 0, ""
    for token, following in zip(tokens[1:], [*tokens[2:], tokens[-1]], strict=True):
        if token.type == "tr_open":
            column = 0
        elif token.type == "th_open":
            tag = _column_header(token, following)
        elif token.type == "td_open":
            tag = _cell(token, following, figure=right[column], header=column < row_headers)
        elif token.type in ("th_close", "td_close"):
            token.tag = tag
            column += 1
        out.append(token)
    return out


def _is_right(token: Token) -> bool:
    return "right" in str(token.attrGet("style"))


def _column_header(token: Token, inline: Token) -> str:
    """Set a header's attributes and return its tag."""
    token.attrs = {"class": "figure"} if _is_right(token) else {}
    if inline.content:
        token.attrSet("scope", "col")
    else:
        token.tag = "td"  # a header must say something
    return token.tag


def _cell(token: Token, inline: Token, *, figure: bool, header: bool) -> str:
    """Set a cell's attributes and return its tag."""
    content = inline.content.replace("*", "")
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
    if classes:
        token.attrSet("class", " ".join(classes))
    if header:
        token.tag = "th"
        token.attrSet("scope", "row")
    if figure and content == inline.content:
        inline.children = [_raw(figure_html(content))]
    return token.tag


def figure_html(text: str) -> Markup:
    """A figure with its interval, if it has one, in an element of its own: `151 (149-153)`."""
    found = INTERVAL.fullmatch(text)
    if found is None:
        return escape(text)
    figure, interval, rest = found.groups()
    return Markup('{} <span class="interval">{}{}</span>').format(figure, interval, rest)


def _raw(html: str) -> Token:
    return Token("html_inline", "", 0, content=html)
