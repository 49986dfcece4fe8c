"""What the raw samples bear out of the tail: a bound on p99 at 99% confidence, or how many more it takes."""

import numpy as np

from bench import statistics
from bench.analysis.run_analysis import Floats, RunAnalysis
from bench.analysis.summary import Row
from bench.model import SloResult, objective_label
from bench.report import text
from bench.report.text import table

QUANTILE = CONFIDENCE = 0.99

NOTE = (
    "Right answers of all valid rounds together. The confidence is for independent requests; those of one "
    "trial are not, as a queue or a stall touches many at once: take the bound for the least that is to be "
    "doubted, and the span of the rounds in the picture beside it."
)
GOODPUT = (
    "*Goodput* counts the right answers within the objective's bound a second; refused requests are in "
    "neither figure."
)


def tails(analysis: RunAnalysis) -> list[str]:
    """A row a strategy and case that has samples, with goodput where the run knows an objective's bound."""
    summary, latencies = analysis.summary, analysis.latencies
    known = [row for row in summary.rows.values() if (row.strategy, row.case) in latencies]
    if not known:
        return []
    with_bound = any(_objective(analysis, row) is not None for row in known)
    header = ["strategy", "case", "right answers", "p99 at 99% confidence"]
    header += ["objective", "holds at 99% confidence", "goodput, requests/s"] if with_bound else []
    rows = []
    for row in known:
        pooled = np.sort(np.concatenate(latencies[row.strategy, row.case]))
        cells = [row.strategy, summary.case_label(row.case), text.spaced(len(pooled)), _bound(pooled)]
        rows.append(cells + (_against(analysis, row, pooled) if with_bound else []))
    lines = [*table(header, rows, 2), "", NOTE]
    return [*lines[:-1], f"{NOTE} {GOODPUT}"] if with_bound else lines


def _bound(pooled: Floats) -> str:
    """`≤ 45.2 ms`, or how many more requests it takes to say anything."""
    bound = statistics.tail_bound(pooled, QUANTILE, CONFIDENCE)
    if bound is not None:
        return f"≤ {text.number(bound)} ms"
    return (
        f"needs {text.spaced(statistics.confirm_tail(len(pooled), 0, QUANTILE, CONFIDENCE).needs_more)} more"
    )


def _against(analysis: RunAnalysis, row: Row, pooled: Floats) -> list[str]:
    objective = _objective(analysis, row)
    if objective is None:
        return ["", "", ""]
    within = int(np.searchsorted(pooled, objective.bound_ms, side="right"))
    goodput = within / analysis.windows_s[row.strategy, row.case]
    # what was refused or failed is within no bound
    lost = sum((trial.refused or 0) + trial.errors for trial in analysis.trials(row) if trial.valid)
    held = _held(len(pooled) + lost, len(pooled) + lost - within, objective.quantile)
    return [objective_label(objective.quantile, objective.bound_ms), held, text.number(goodput)]


def _held(n: int, over: int, quantile: float) -> str:
    """Whether the samples confirm the bound; where too many are over it, more of them will not."""
    found = statistics.confirm_tail(n, over, quantile, CONFIDENCE)
    if found.confirmed:
        return "yes"
    if over > (1 - quantile) * n:
        return f"no: {text.percent(over / n)} are over"
    return f"needs {text.spaced(found.needs_more)} more, all within"


def _objective(analysis: RunAnalysis, row: Row) -> SloResult | None:
    """The objective of the row's strategy and payloads; a closed loop, which keeps it full, has none."""
    if not row.case.at_due_times:
        return None
    wanted = (row.strategy, row.case.payload_class, row.case.encoding)
    found = (
        one for one in analysis.run.objectives if (one.strategy, one.payload_class, one.encoding) == wanted
    )
    return next(found, None)
