"""The one table of a run, below its choice: a row for each strategy and case, as wide as a comment is."""

from collections.abc import Callable

from bench.analysis.metrics import METRICS, Metric, metrics_in
from bench.analysis.run_analysis import RunAnalysis
from bench.analysis.starts import startup_s
from bench.analysis.summary import Row, Summary, rows_at
from bench.model import Run
from bench.report import cells, text
from bench.report.document import Block, Cell, Column, case_column, name_column, tabulated
from bench.statistics import Estimate

THROUGHPUT = METRICS["throughput"]


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
            {case_column("case"): lambda row: cells.words(summary.case_label(row.case))}
            if len(summary.focus) > 1
            else {}
        ),
        Column(THROUGHPUT.heading): cells.measured(THROUGHPUT),
        Column(f"throughput ratio to {summary.baseline or text.MISSING}"): lambda row: _ratio(summary, row),
        **{Column(one.heading): _centre(one) for one in metrics_in("key figures") if one != THROUGHPUT},
        Column("first answer, s"): lambda row: _middle(_start(run, row)),
        Column("image to pull"): lambda row: cells.mebibytes(_image_bytes(run, row)),
        Column("wrong"): lambda row: cells.count(row.wrong_answers),
        Column("valid trials"): lambda row: cells.of(row.valid_trials, row.valid_trials + row.invalid_trials),
    }
    return [tabulated(rows, fields.items())]


def _centre(metric: Metric) -> Callable[[Row], Cell]:
    """A figure without its interval, which is among what is folded."""
    return lambda row: _middle(row.estimates[metric.name], metric.scale)


def _middle(found: Estimate | None, scale: float = 1.0) -> Cell:
    return cells.number(found.centre * scale if found else None)


def _start(run: Run, row: Row) -> Estimate | None:
    result = run.strategies.get(row.strategy)
    return startup_s(result) if result else None


def _image_bytes(run: Run, row: Row) -> int | None:
    result = run.strategies.get(row.strategy)
    return result.image.compressed_bytes if result and result.image else None


def _ratio(summary: Summary, row: Row) -> Cell:
    if not row.case.same_for_all:
        return cells.OWN_RATE
    return Cell("baseline") if row.strategy == summary.baseline else cells.ratio(row.to_baseline)
