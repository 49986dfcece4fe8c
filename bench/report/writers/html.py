"""A report's values as HTML: tables that sort, headings below the section's own."""

from collections.abc import Iterable

from markupsafe import Markup, escape

from bench.report.document import (
    Block,
    Bullets,
    Cell,
    Code,
    CodeBlock,
    Column,
    Emphasis,
    Folded,
    Heading,
    Link,
    Paragraph,
    Span,
    Strong,
    Table,
    Text,
    Tone,
)

# more characters than this ask for a wider column
LONG = 32
# the name of a row and the first column that tells it apart are read out with each of its cells
MOST_ROW_HEADERS = 2
# the classes of what stays in sight when the figures are scrolled
PLACES = {"name": "pin", "case": "case"}
NOTHING = Markup("")
FIGURE = Column("", "figure")


def blocks(found: Iterable[Block], title: str) -> Markup:
    """Some blocks of the section with this title."""
    return NOTHING.join(_block(one, title) for one in found)


def _block(found: Block, title: str) -> Markup:
    match found:
        case Table():
            return _scrolled(found, found.caption or title)
        case Paragraph(text):
            return Markup("<p>{}</p>\n").format(inline(text))
        case Bullets(items):
            listed = NOTHING.join(Markup("<li>{}</li>\n").format(inline(item)) for item in items)
            return Markup("<ul>\n{}</ul>\n").format(listed)
        case CodeBlock(text):
            return Markup("<pre><code>{}\n</code></pre>\n").format(text)
        case Heading(text):
            return Markup("<h3>{}</h3>\n").format(text)
        case Folded(title, inside):
            summary = Markup("<details>\n<summary>{}</summary>\n{}</details>\n")
            return summary.format(title, blocks(inside, title))


def inline(text: Text) -> Markup:
    """Running text with its elements."""
    return NOTHING.join(_span(span) for span in text)


def _span(span: Span) -> Markup:
    match span:
        case Strong(text):
            return Markup("<strong>{}</strong>").format(text)
        case Emphasis(text, tone):
            return Markup("<em{}>{}</em>").format(_classes(tone), text)
        case Code(text):
            return Markup("<code>{}</code>").format(text)
        case Link(text, target):
            return Markup('<a href="{}">{}</a>').format(target, text)
        case text:
            return escape(text)


def figure(cell: Cell) -> Markup:
    """What a cell shows: its interval with what follows it, and its word, are in elements of their own."""
    text = Markup("<strong>{}</strong>").format(cell.text) if cell.strong else escape(cell.text)
    shown = text + cell.after
    if cell.interval:
        shown = Markup('{} <span class="interval">({}){}</span>').format(text, cell.interval, cell.after)
    return shown + Markup(" ") + word(cell.word, cell.tone) if cell.word else shown


def word(text: str, tone: Tone | None) -> Markup:
    """The word of a verdict, below its figure."""
    return Markup("<span{}>{}</span>").format(_classes("word", tone), text)


def _scrolled(found: Table, caption: str) -> Markup:
    """The table in a region that scrolls by itself, so that the page never does."""
    return Markup(
        '<div class="scroll" role="region" tabindex="0" aria-label="{0}">\n'
        '<table{1}>\n<caption class="hidden">{0}</caption>\n'
        "<thead>\n<tr>\n{2}</tr>\n</thead>\n<tbody>\n{3}</tbody>\n</table>\n</div>\n"
    ).format(
        caption,
        _classes("sortable" if found.sortable else None),
        NOTHING.join(_header(column) for column in found.columns),
        NOTHING.join(_row(found, row) for row in found.rows),
    )


def _header(column: Column) -> Markup:
    classes = _classes("figure" if column.role == "figure" else None, PLACES.get(column.role))
    unsorted = NOTHING if column.sortable else Markup(' data-unsorted=""')
    if not column.header:
        return Markup("<td{}{}></td>\n").format(classes, unsorted)  # a header must say something
    return Markup('<th{}{} scope="col">{}</th>\n').format(classes, unsorted, column.header)


def _row(found: Table, row: tuple[Cell, ...]) -> Markup:
    places = [place for place, column in enumerate(found.columns) if column.role in PLACES]
    headers = set(places[:MOST_ROW_HEADERS])
    cases = [
        f"{found.columns[place].lead} {row[place].text}".strip()
        for place in places
        if found.columns[place].role == "case" and row[place].text
    ]
    cells = (
        _cell(
            column,
            cell,
            content=figure(cell),
            under=", ".join(cases) if column.role == "name" else "",
            header=place in headers,
        )
        for place, (column, cell) in enumerate(zip(found.columns, row, strict=True))
    )
    return Markup("<tr>\n{}</tr>\n").format(NOTHING.join(cells))


def figure_cell(cell: Cell, below: Markup = NOTHING) -> Markup:
    """A cell of a column of figures, with something below its figure."""
    return _cell(FIGURE, cell, content=figure(cell) + below)


def _cell(column: Column, cell: Cell, *, content: Markup, under: str = "", header: bool = False) -> Markup:
    """A cell; `under` says in one line, below the row's name, what other columns have no room for."""
    is_figure = column.role == "figure"
    attributes = _classes(
        "figure" if is_figure else None,
        "missing" if cell.missing or not cell.text else None,
        "long" if not is_figure and len(cell.text) > LONG else None,
        None if cell.word else cell.tone,
        PLACES.get(column.role),
    )
    if is_figure and cell.value is not None:
        attributes += Markup(' data-value="{}"').format(f"{cell.value:.9g}")
    if under:
        attributes += Markup(' data-text="{}"').format(cell.text)
        content += Markup(' <span class="under">{}</span>').format(under)
    if header:
        return Markup('<th{} scope="row">{}</th>\n').format(attributes, content)
    return Markup("<td{}>{}</td>\n").format(attributes, content)


def _classes(*found: str | None) -> Markup:
    names = " ".join(name for name in found if name)
    return Markup(' class="{}"').format(names) if names else NOTHING
