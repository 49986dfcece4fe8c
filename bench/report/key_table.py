"""The one table of a run, below its choice: a row for each strategy and case, as wide as a comment is."""

from collections.abc import Callable
from dataclasses import replace

from bench.analysis.metrics import METRICS, STARTUP, Metric, metrics_in
from bench.analysis.run_analysis import RunAnalysis
from bench.analysis.starts import startup_s
from bench.analysis.summary import Row, Summary, rows_at
from bench.model import Run
from bench.report import cells, key_loads, text
from bench.report.document import Block, Cell, Column, case_column, name_column, paragraph, tabulated
from bench.report.quality_words import OTHER_QUALITY, in_short
from bench.statistics import Estimate

THROUGHPUT = METRICS["throughput"]
IMAGE_HEADING = "image, MiB"


def key_table(analysis: RunAnalysis) -> list[Block]:
    """The key figures at the load that stands for the run; empty if no trial was made."""
    return key_figures(analysis.run, analysis.summary)


def key_figures(run: Run, summary: Summary) -> list[Block]:
    """The same table of a run whose samples are not at hand."""
    rows = rows_at(summary, summary.focus)
    if not rows:
        return []
    fields: dict[Column, Callable[[Row], Cell]] = {
        name_column("strategy"): lambda row: cells.words(row.strategy),
        **(
            {case_column(header): lambda row: cells.words(key_loads.case_words(summary, row.case))}
            if (header := key_loads.case_header(summary))
            else {}
        ),
        **({} if summary.all_exact else {Column("quality", "text"): lambda row: quality(summary, row)}),
        Column(THROUGHPUT.heading): cells.measured(THROUGHPUT),
        **(
            {Column(ratio_heading(summary)): lambda row: _ratio(summary, row)}
            if len(summary.strategies) > 1
            else {}
        ),
        **{
            Column(key_loads.heading(summary, one)): _centre(summary, one)
            for one in metrics_in("key figures")
            if one != THROUGHPUT
        },
        Column(STARTUP.heading): lambda row: _middle(_start(run, row)),
        Column(IMAGE_HEADING): lambda row: _middle(image_size(run, row), 1 / text.MIB),
        Column("wrong"): lambda row: cells.count(row.wrong_answers),
        Column("valid trials"): lambda row: cells.of(row.valid_trials, row.valid_trials + row.invalid_trials),
    }
    return [tabulated(rows, fields.items()), *other_quality(summary)]


def other_quality(summary: Summary) -> list[Block]:
    """What the dagger says behind a ratio to the baseline; nothing if all strategies promise what it does."""
    return [] if summary.one_promise else [paragraph(f"{OTHER_QUALITY}.")]


def quality(summary: Summary, row: Row) -> Cell:
    """What the strategy declares of its answers, in short."""
    return cells.words(in_short(summary.quality_of(row.strategy)))


def ratio_heading(summary: Summary) -> str:
    """The head of the column of ratios, which a single strategy does not have."""
    return f"throughput ratio to {summary.baseline or text.MISSING}"


def _centre(summary: Summary, metric: Metric) -> Callable[[Row], Cell]:
    """A figure without its interval, which is among what is folded."""

    def cell(row: Row) -> Cell:
        measured = key_loads.row_for(summary, row, metric)
        if measured is None:
            return cells.MISSING
        found = _middle(measured.estimates[metric.name], metric.scale)
        return found if found.missing else replace(found, after=key_loads.after(summary, measured, metric))

    return cell


def _middle(found: Estimate | None, scale: float = 1.0) -> Cell:
    return cells.number(found.centre * scale if found else None)


def _start(run: Run, row: Row) -> Estimate | None:
    result = run.strategies.get(row.strategy)
    return startup_s(result) if result else None


def image_size(run: Run, row: Row) -> Estimate | None:
    """The bytes of the image that is pulled, which hang on no chance."""
    result = run.strategies.get(row.strategy)
    size = result.image.compressed_bytes if result and result.image else None
    return None if size is None else Estimate(size, None, None, 1)


def _ratio(summary: Summary, row: Row) -> Cell:
    if not row.case.same_for_all:
        return cells.OWN_RATE
    return Cell("baseline") if row.strategy == summary.baseline else cells.to_baseline(summary, row)
