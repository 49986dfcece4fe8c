"""The table on top of the page: a row for each strategy, with its key figures as numbers and as bars."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from markupsafe import Markup

from bench.analysis.comparisons import Compared, compared, to_baseline
from bench.analysis.metrics import STARTUP, Metric, metrics_in
from bench.analysis.objectives import share_held
from bench.analysis.run_analysis import RunAnalysis
from bench.analysis.starts import startup_s
from bench.analysis.summary import Row, Summary, rows_at
from bench.model import Run
from bench.report import cells, key_loads, text
from bench.report.document import Cell
from bench.report.key_table import IMAGE_HEADING, image_size, ratio_heading
from bench.report.plots import style
from bench.report.quality_words import OTHER_QUALITY, in_short
from bench.report.verdict_words import short_verdict_word
from bench.report.writers import html
from bench.statistics import Estimate

BAR_WIDTH, BAR_HEIGHT = 64, 9


@dataclass(frozen=True, slots=True)
class FigureRow:
    """A strategy in a case: name, colour, title, case in words, and a cell for each column.

    `marks` say in how many of its trials it was overloaded, and how many are not in the figures. `quality` is
    what it declares of its answers; it is empty if all strategies of the run are exact.
    """

    strategy: str
    colour: str
    title: str
    case: str
    marks: tuple[str, ...]
    cells: tuple[Markup, ...]
    quality: str


@dataclass(frozen=True, slots=True)
class FigureTable:
    """The loads, the headers of the columns of figures, and the rows; `cases` heads the column of cases.

    It is empty if the rows do not differ in case. `note` says what a mark means behind a ratio; it is empty
    without a mark.
    """

    load: str
    columns: tuple[str, ...]
    rows: tuple[FigureRow, ...]
    cases: str
    note: str = ""


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
    KeyFigure(STARTUP.heading, lambda run, row: _startup(run, row)),
    KeyFigure(IMAGE_HEADING, image_size, 1 / text.MIB),
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
    # no column has a figure if one strategy is all there is and all its trials are void
    shown_by_row = list(zip(*columns.values(), strict=True)) or [()] * len(rows)
    return FigureTable(
        key_loads.loads(summary),
        tuple(columns),
        tuple(
            FigureRow(
                row.strategy,
                looks[row.strategy].colour,
                run.strategies[row.strategy].title if row.strategy in run.strategies else "",
                key_loads.case_words(summary, row.case),
                tuple(_marks(row)),
                shown,
                "" if summary.all_exact else in_short(summary.quality_of(row.strategy)),
            )
            for row, shown in zip(rows, shown_by_row, strict=True)
        ),
        key_loads.case_header(summary),
        "" if summary.one_promise else f"{OTHER_QUALITY}.",
    )


def _marks(row: Row) -> list[str]:
    made = row.valid_trials + row.invalid_trials
    left_out = f"{row.invalid_trials} of {text.plural(made, 'trial')} left out"
    return [*([text.overloaded(row)] if row.overloaded else []), *([left_out] if row.invalid_trials else [])]


def _columns(run: Run, summary: Summary, rows: Sequence[Row]) -> dict[str, list[Markup]]:
    """The cells of each column that has a figure; the ratio of throughput stands beside the throughput."""
    columns = {}
    for place, column in enumerate(_key_figures()):
        measured = [_measured(summary, row, column) for row in rows]
        found = [column.of(run, row) if row else None for row in measured]
        if any(found):
            header = key_loads.heading(summary, column.metric) if column.metric else column.header
            columns[header] = _bar_cells(summary, column, measured, found)
        if place == 0:
            if len(summary.strategies) > 1:
                judged = to_baseline(compared(summary))
                columns[ratio_heading(summary)] = [_ratio_cell(summary, row, judged) for row in rows]
            shares = [_of_capacity(run, row) for row in rows]
            if not all(one.missing for one in shares):
                columns["of capacity"] = [html.figure_cell(one) for one in shares]
    if summary.wrong_answers:
        columns["wrong"] = [html.figure_cell(cells.count(row.wrong_answers)) for row in rows]
    return columns


def _measured(summary: Summary, row: Row, column: KeyFigure) -> Row | None:
    return key_loads.row_for(summary, row, column.metric) if column.metric else row


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


def _bar_cells(
    summary: Summary, column: KeyFigure, rows: Sequence[Row | None], found: Sequence[Estimate | None]
) -> list[Markup]:
    """The cells of a column, whose bars share a scale from 0."""
    most = max((one.high or one.centre for one in found if one is not None), default=0.0)
    return [
        html.figure_cell(
            _figure(summary, column, row, one),
            _bar(one, most) if one is not None and most > 0 else html.NOTHING,
        )
        for row, one in zip(rows, found, strict=True)
    ]


def _figure(summary: Summary, column: KeyFigure, row: Row | None, found: Estimate | None) -> Cell:
    if row is None or found is None or column.metric is None:
        return cells.estimate(found, column.scale)
    return cells.of_row(row, column.metric, key_loads.after(summary, row, column.metric))


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
        return html.figure_cell(cells.to_baseline(summary, row))
    return html.figure_cell(replace(cells.judged(one), word=short_verdict_word(one)))
