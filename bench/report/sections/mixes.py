"""Loads of several classes of requests: how late the answers to each class were."""

from collections.abc import Mapping

from bench.analysis.metrics import METRICS
from bench.analysis.mixed_classes import FIGURES, ClassRow, class_rows
from bench.analysis.run_analysis import RunAnalysis
from bench.report import cells, text
from bench.report.document import Block, Cell, case_column, figures, name_column, paragraph, table

HOW = (
    "All classes are sent in one load, so each waits for the others. Each figure is over the valid rounds, "
    "as in the other tables; of a class, requests/s are the right answers to its requests."
)


def mixes(analysis: RunAnalysis) -> list[Block]:
    """A row for each strategy, load and class of a mix; empty if no load was mixed."""
    rows = class_rows(analysis.run, analysis.summary)
    if not rows:
        return []
    columns = [name_column("strategy"), case_column("load"), case_column("class")]
    headers = [METRICS[name].heading for name in FIGURES]
    shown = table([*columns, *figures("requests", "bad", *headers)], [_row(one, analysis) for one in rows])
    return [shown, paragraph(f"{_weights(analysis)}{HOW}")]


def _row(one: ClassRow, analysis: RunAnalysis) -> list[Cell]:
    loud = analysis.summary.unchecked_mark(one.payload_class)
    return [
        cells.strategy(analysis.summary, one.strategy),
        cells.words(one.case.load),
        cells.words(f"{one.payload_class}{loud}"),
        cells.count(one.requests),
        cells.count(one.bad),
        *(cells.estimate(one.estimates[name]) for name in FIGURES),
    ]


def _weights(analysis: RunAnalysis) -> str:
    settings = analysis.run.environment.settings
    mix = settings.mix if settings else None
    if not isinstance(mix, Mapping):
        return ""
    told = text.listing([f"{name} {weight:g}" for name, weight in mix.items()])
    return f"The weights of the classes: {told}. "
