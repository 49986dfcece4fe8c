"""Which loads the key figures are of, and what they are called: the same in each form of a report."""

from bench.analysis.cases import Case
from bench.analysis.metrics import METRICS, Metric
from bench.analysis.summary import Row, Summary, equal_rates
from bench.report import text


def loads(summary: Summary) -> str:
    """The loads of the cases that stand for the run: `50 clients`; empty if there are none."""
    named = list(dict.fromkeys(case.load for case in summary.focus))
    return text.listing(named) if named else ""


def at_loads(summary: Summary) -> str:
    """`at 50 clients, `, to stand before when and on what the run was made."""
    told = loads(summary)
    return f"at {told}, " if told else ""


def case_header(summary: Summary) -> str:
    """The head of the column of cases; empty if a single case stands for the run."""
    several = len({case.load for case in summary.focus}) > 1
    return "" if len(summary.focus) < 2 else "case" if several else "payloads"


def case_words(summary: Summary, case: Case) -> str:
    """What the column of cases says: the payloads, and the load if that differs."""
    return summary.case_label(case) if case_header(summary) == "case" else summary.payload_label(case)


def heading(summary: Summary, metric: Metric) -> str:
    """The head of a metric's column, with the load if that is another than the table's."""
    rates = list(dict.fromkeys(case.load for case in _late_cases(summary).values()))
    if metric.name != "p99" or not rates:
        return metric.heading
    return f"{metric.heading} at {rates[0] if len(rates) == 1 else 'a rate that all took'}"


def row_for(summary: Summary, row: Row, metric: Metric) -> Row | None:
    """The row that has a metric's figure for a row of the table.

    A closed loop's latencies say how many clients wait, so a p99 is of the highest rate that was the same
    for all and overloaded nobody, if the run has any; None if it has none with these payloads.
    """
    cases = _late_cases(summary)
    if metric.name != "p99" or not cases:
        return row
    case = cases.get((row.case.payload_class, row.case.encoding))
    return summary.rows.get((row.strategy, case)) if case else None


def after(summary: Summary, row: Row, metric: Metric) -> str:
    """What stands behind a figure: its load, if the head of its column does not say it."""
    several = len({case.load for case in _late_cases(summary).values()}) > 1
    return f" at {row.case.load}" if metric.name == "p99" and several else ""


def _late_cases(summary: Summary) -> dict[tuple[str, str], Case]:
    """Beside closed loops: the rates of which a p99 is known, by payloads."""
    payloads = {(case.payload_class, case.encoding) for case in summary.focus if not case.at_due_times}
    return {
        key: case
        for key, case in equal_rates(summary).items()
        if key in payloads and any(_has_p99(summary, name, case) for name in summary.strategies)
    }


def _has_p99(summary: Summary, name: str, case: Case) -> bool:
    row = summary.rows.get((name, case))
    return row is not None and row.estimates[METRICS["p99"].name] is not None
