"""The table on top of the page: a row a strategy, its key figures as numbers and as bars side by side."""

from collections.abc import Callable
from dataclasses import dataclass

from markupsafe import Markup

from bench.analysis.comparisons import compared
from bench.analysis.run_analysis import RunAnalysis
from bench.analysis.summary import Row, Summary, startup_s
from bench.model import Run
from bench.report import text
from bench.report.page.prose import figure_html, verdict_class
from bench.report.page.sorting import is_missing, sort_value
from bench.report.plots import style
from bench.report.verdict_words import verdict_word
from bench.statistics import Estimate

BAR_WIDTH, BAR_HEIGHT = 84, 9


@dataclass(frozen=True, slots=True)
class Cell:
    """A figure as it is shown, its value to sort by, its bar, and the class that colours it."""

    html: Markup
    value: float | None
    bar: Markup
    css: str


@dataclass(frozen=True, slots=True)
class FigureRow:
    """One strategy in one case: name, colour, title, case in words, and a cell a column."""

    strategy: str
    colour: str
    title: str
    case: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class FigureTable:
    """The load, the headers of the columns of figures, and the rows; `cases`: whether they differ in case."""

    load: str
    columns: tuple[str, ...]
    rows: tuple[FigureRow, ...]
    cases: bool


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its header and, for a row, the estimate that is drawn as a bar."""

    header: str
    of: Callable[[Run, Row], Estimate | None]


COLUMNS = (
    Column("requests/s", lambda _, row: row.estimates["throughput"]),
    Column("p99 ms", lambda _, row: row.estimates["p99"]),
    Column("CPU-ms a request", lambda _, row: row.estimates["cpu"]),
    Column("peak memory, MiB", lambda _, row: _scaled(row.estimates["memory"], 1 / text.MIB)),
    Column("first correct answer, s", lambda run, row: _startup(run, row)),
    Column("image, compressed, MiB", lambda run, row: _image(run, row)),
)


def figure_table(analysis: RunAnalysis) -> FigureTable | None:
    """The key figures at the load that stands for the run; None where no trial was made."""
    run, summary = analysis.run, analysis.summary
    rows = [
        summary.rows[name, case]
        for case in summary.focus
        for name in summary.strategies
        if (name, case) in summary.rows
    ]
    if not rows:
        return None
    looks = style.looks(summary.strategies)
    columns = [[column.of(run, row) for row in rows] for column in COLUMNS]
    bars = [_bar_cells(found) for found in columns]
    told = [place for place, found in enumerate(columns) if any(found)]
    headers = [COLUMNS[place].header for place in told]
    shown = [bars[place] for place in told]
    headers.insert(1, f"to {summary.baseline}" if summary.baseline else "ratio")
    shown.insert(1, [_ratio_cell(summary, row) for row in rows])
    if summary.wrong_answers:
        headers.append("wrong answers")
        shown.append([_plain(text.spaced(row.wrong_answers)) for row in rows])
    return FigureTable(
        text.listing(sorted({case.load for case in summary.focus})),
        tuple(headers),
        tuple(
            FigureRow(
                row.strategy,
                looks[row.strategy].colour,
                run.strategies[row.strategy].title if row.strategy in run.strategies else "",
                summary.payload_label(row.case),
                tuple(cells),
            )
            for row, cells in zip(rows, zip(*shown, strict=True), strict=True)
        ),
        len(summary.focus) > 1,
    )


def _scaled(found: Estimate | None, by: float) -> Estimate | None:
    if found is None:
        return None
    low, high = (None if end is None else end * by for end in (found.low, found.high))
    return Estimate(found.centre * by, low, high, found.n)


def _startup(run: Run, row: Row) -> Estimate | None:
    result = run.strategies.get(row.strategy)
    return startup_s(result) if result else None


def _image(run: Run, row: Row) -> Estimate | None:
    result = run.strategies.get(row.strategy)
    size = result.image.compressed_bytes if result and result.image else None
    return None if size is None else Estimate(size / text.MIB, None, None, 1)


def _bar_cells(found: list[Estimate | None]) -> list[Cell]:
    """Cells of one column, whose bars share a scale from 0."""
    most = max((one.high or one.centre for one in found if one is not None), default=0.0)
    cells = []
    for one in found:
        shown = text.estimate(one)
        bar = _bar(one, most) if one is not None and most > 0 else Markup("")
        cells.append(Cell(figure_html(shown), sort_value(shown), bar, "missing" if is_missing(shown) else ""))
    return cells


def _bar(found: Estimate, most: float) -> Markup:
    scale = BAR_WIDTH / most
    whisker = Markup("")
    if found.low is not None and found.high is not None:
        whisker = Markup('<path class="whisker" d="M{:.1f} 4.5H{:.1f}M{:.1f} 2v5M{:.1f} 2v5"/>').format(
            found.low * scale, found.high * scale, found.low * scale, found.high * scale
        )
    return Markup(
        '<svg class="bar" width="{0}" height="{1}" viewBox="0 0 {0} {1}" aria-hidden="true">'
        '<rect width="{2:.1f}" height="{1}"/>{3}</svg>'
    ).format(BAR_WIDTH, BAR_HEIGHT, found.centre * scale, whisker)


def _ratio_cell(summary: Summary, row: Row) -> Cell:
    """The ratio of throughput and, in a closed loop, the verdict's word."""
    if row.strategy == summary.baseline:
        return Cell(Markup("1 (baseline)"), 1.0, Markup(""), "")
    shown = text.ratio(row.to_baseline)
    key = (row.strategy, row.case, "throughput")
    word = next(
        (verdict_word(one) for one in compared(summary) if (one.strategy, one.case, one.metric) == key), ""
    )
    html = figure_html(shown)
    if word:
        html += Markup('<span class="word {}">{}</span>').format(verdict_class(word) or "", word)
    return Cell(html, sort_value(shown), Markup(""), "missing" if is_missing(shown) else "")


def _plain(shown: str) -> Cell:
    return Cell(Markup("{}").format(shown), sort_value(shown), Markup(""), "")
