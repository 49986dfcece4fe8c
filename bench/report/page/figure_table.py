"""The table on top of the page: a row for each strategy, with its key figures as numbers and as bars."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from markupsafe import Markup

from bench.analysis.comparisons import Compared, compared, to_baseline
from bench.analysis.metrics import Metric, metrics_in
from bench.analysis.objectives import share_held
from bench.analysis.run_analysis import RunAnalysis
from bench.analysis.starts import startup_s
from bench.analysis.summary import Row, Summary, rows_at
from bench.model import Run
from bench.report import cells, text
from bench.report.document import Cell
from bench.report.plots import style
from bench.report.verdict_words import short_verdict_word
from bench.report.writers import html
from bench.statistics import Estimate

BAR_WIDTH, BAR_HEIGHT = 64, 9


@dataclass(frozen=True, slots=True)
class FigureRow:
    """A strategy in a case: name, colour, title, case in words, and a cell for each column.

    `marks` say in how many of its trials it was overloaded, and how many are not in the figures.
    """

    strategy: str
    colour: str
    title: str
    case: str
    marks: tuple[str, ...]
    cells: tuple[Markup, ...]


@dataclass(frozen=True, slots=True)
class FigureTable:
    """The load, the headers of the columns of figures, and the rows; `cases`: whether they differ in case."""

    load: str
    columns: tuple[str, ...]
    rows: tuple[FigureRow, ...]
    cases: bool


@dataclass(frozen=True, slots=True)
class KeyFigure:
    """A column with bars: its header, the estimate for a row, and the factor to the header's unit.

    `metric` is None if the figure does not depend on trials.
    """

    header: str
    of: Callable[[Run, Row], Estimate | None]
    scale: float = 1.0
    metric: Metric | None = None


# beside the metrics of trials
OF_STRATEGIES = (
    KeyFigure("first correct answer, s", lambda run, row: _startup(run, row)),
    KeyFigure("image, compressed, MiB", lambda run, row: _image(run, row), 1 / text.MIB),
)


def _key_figures() -> list[KeyFigure]:
    """The columns; the throughput is the first."""
    of_trials = [
        KeyFigure(one.heading, partial(_of_trials, one), one.scale, one) for one in metrics_in("key figures")
    ]
    return [*of_trials, *OF_STRATEGIES]


def _of_trials(metric: Metric, _run: Run, row: Row) -> Estimate | None:
    return row.estimates[metric.name]


def figure_table(analysis: RunAnalysis) -> FigureTable | None:
    """The key figures at the load that stands for the run; None if no trial was made."""
    run, summary = analysis.run, analysis.summary
    rows = rows_at(summary, summary.focus)
    if not rows:
        return None
    looks = style.looks(summary.strategies)
    columns = _columns(run, summary, rows)
    return FigureTable(
        text.listing(sorted({case.load for case in summary.focus})),
        tuple(columns),
        tuple(
            FigureRow(
                row.strategy,
                looks[row.strategy].colour,
                run.strategies[row.strategy].title if row.strategy in run.strategies else "",
                summary.payload_label(row.case),
                tuple(_marks(row)),
                shown,
            )
            for row, shown in zip(rows, zip(*columns.values(), strict=True), strict=True)
        ),
        len(summary.focus) > 1,
    )


def _marks(row: Row) -> list[str]:
    made = row.valid_trials + row.invalid_trials
    left_out = f"{row.invalid_trials} of {text.plural(made, 'trial')} left out"
    return [*([text.overloaded(row)] if row.overloaded else []), *([left_out] if row.invalid_trials else [])]


def _columns(run: Run, summary: Summary, rows: Sequence[Row]) -> dict[str, list[Markup]]:
    """The cells of each column that has a figure; the ratio of throughput stands beside the throughput."""
    columns = {}
    for place, column in enumerate(_key_figures()):
        found = [column.of(run, row) for row in rows]
        if any(found):
            columns[column.header] = _bar_cells(column, rows, found)
        if place == 0:
            header = f"to {summary.baseline}" if summary.baseline else "ratio"
            judged = to_baseline(compared(summary))
            columns[header] = [_ratio_cell(summary, row, judged) for row in rows]
            if any(row.case.at_due_times for row in rows):
                columns["of capacity"] = [html.figure_cell(_of_capacity(run, row)) for row in rows]
    if summary.wrong_answers:
        columns["wrong answers"] = [html.figure_cell(cells.count(row.wrong_answers)) for row in rows]
    return columns


def _of_capacity(run: Run, row: Row) -> Cell:
    """The share of capacity that a row reached; a rate that held, of what its search began from."""
    if row.case.kind != "held":
        return cells.utilisation(row)
    wanted = (row.strategy, row.case.payload_class, row.case.encoding)
    found = (one for one in run.objectives if (one.strategy, one.payload_class, one.encoding) == wanted)
    return cells.percent(next(map(share_held, found), None))


def _startup(run: Run, row: Row) -> Estimate | None:
    result = run.strategies.get(row.strategy)
    return startup_s(result) if result else None


def _image(run: Run, row: Row) -> Estimate | None:
    result = run.strategies.get(row.strategy)
    size = result.image.compressed_bytes if result and result.image else None
    return None if size is None else Estimate(size, None, None, 1)


def _bar_cells(column: KeyFigure, rows: Sequence[Row], found: Sequence[Estimate | None]) -> list[Markup]:
    """The cells of a column, whose bars share a scale from 0."""
    most = max((one.high or one.centre for one in found if one is not None), default=0.0)
    return [
        html.figure_cell(
            cells.estimate(one, column.scale) if column.metric is None else cells.of_row(row, column.metric),
            _bar(one, most) if one is not None and most > 0 else html.NOTHING,
        )
        for row, one in zip(rows, found, strict=True)
    ]


def _bar(found: Estimate, most: float) -> Markup:
    scale = BAR_WIDTH / most
    whisker = html.NOTHING
    if found.low is not None and found.high is not None:
        whisker = Markup('<path class="whisker" d="M{:.1f} 4.5H{:.1f}M{:.1f} 2v5M{:.1f} 2v5"/>').format(
            found.low * scale, found.high * scale, found.low * scale, found.high * scale
        )
    return Markup(
        '<svg class="bar" width="{0}" height="{1}" viewBox="0 0 {0} {1}" aria-hidden="true">'
        '<rect width="{2:.1f}" height="{1}"/>{3}</svg>'
    ).format(BAR_WIDTH, BAR_HEIGHT, found.centre * scale, whisker)


def _ratio_cell(summary: Summary, row: Row, judged: Sequence[Compared]) -> Markup:
    """The ratio of throughput and, in a closed loop, the verdict's word; none at rates of their own."""
    if not row.case.same_for_all:
        return html.figure_cell(cells.OWN_RATE)
    if row.strategy == summary.baseline:
        return html.figure_cell(cells.BASELINE)
    key = (row.strategy, row.case, "throughput")
    one = next((one for one in judged if (one.strategy, one.case, one.metric) == key), None)
    if one is None or one.outcome is None:
        return html.figure_cell(cells.ratio(row.to_baseline))
    return html.figure_cell(replace(cells.judged(one), word=short_verdict_word(one)))
