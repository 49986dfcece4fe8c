"""One row a strategy, case and metric: its centre, interval and n."""

from bench.analysis.figures import Figure, figures
from bench.analysis.run_analysis import RunAnalysis
from bench.report.exports.cells import Value, rendered

HEADER = ("strategy", "payloads", "encoding", "load", "metric", "unit", "centre", "low", "high", "n", "n_of")


def render(analysis: RunAnalysis) -> str:
    """The table as CSV; a figure that is missing has a row with empty cells."""
    return rendered(HEADER, map(_row, figures(analysis)))


def _row(figure: Figure) -> list[Value]:
    case, found = figure.case, figure.estimate
    where: list[Value] = [case.payload_class, case.encoding, case.load] if case else [None, None, None]
    values: list[Value] = [found.centre, found.low, found.high, found.n] if found else [None] * 4
    return [figure.strategy, *where, figure.metric, figure.unit, *values, figure.of]
