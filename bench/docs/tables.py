"""The tables of a committed run that documents quote, beside the README's block."""

from bench.analysis.cases import Case
from bench.analysis.comparisons import JUDGED, Compared, compared
from bench.analysis.summary import Summary, summarise
from bench.errors import UsageError
from bench.model import Run
from bench.report import text
from bench.report.text import MISSING, table


def ratios(run: Run, strategy: str) -> str:
    """The strategy against every other one of the run, paired by round: a row a case and rival.

    Raises UsageError where the run has no such strategy.
    """
    summary = summarise(run)
    if strategy not in summary.strategies:
        raise UsageError(f"{strategy} is not in that run: it has {', '.join(summary.strategies)}")
    found = {
        (case, rival): {one.metric: one for one in compared(summary, {strategy: rival}) if one.case == case}
        for case in summary.cases
        for rival in summary.strategies
        if rival != strategy
    }
    rows = [
        [case.load, summary.payload_label(case), rival, *_ratio_cells(by_metric)]
        for (case, rival), by_metric in found.items()
    ]
    header = ["load", "payloads", f"{strategy} against", *(judged.label for judged in JUDGED.values())]
    return "\n".join(table([*header, "rounds"], rows, 3)) + "\n"


def lateness(run: Run) -> str:
    """The p50 and p99 of each strategy in ms from the instant a request was due: a row an open load.

    Where a load was too much for a strategy, its cells say so, and how many requests it refused.

    Raises UsageError where the run has no open load.
    """
    summary = summarise(run)
    cases = [case for case in summary.cases if case.at_due_times]
    if not cases:
        raise UsageError("that run has no open load: name one made with --rate or --load")
    quantiles = ("p50", "p99")
    header = ["offered", "payloads"]
    header += [f"{name} {quantile} ms" for name in summary.strategies for quantile in quantiles]
    rows = [
        [
            case.load,
            summary.payload_label(case),
            *(_latency(summary, name, case, q) for name in summary.strategies for q in quantiles),
        ]
        for case in cases
    ]
    return "\n".join(table(header, rows, 2)) + "\n"


def _ratio_cells(by_metric: dict[str, Compared]) -> list[str]:
    """A ratio a metric, with the number of its rounds where others have more, and the number of rounds."""
    most = max((one.comparison.n for one in by_metric.values()), default=0)
    return [*(_ratio(by_metric.get(metric), most) for metric in JUDGED), str(most)]


def _ratio(one: Compared | None, most: int) -> str:
    if one is None:
        return MISSING
    few = f" in {text.plural(one.comparison.n, 'round')}" if one.comparison.n < most else ""
    return text.ratio(one.comparison) + few


def _latency(summary: Summary, name: str, case: Case, quantile: str) -> str:
    row = summary.rows.get((name, case))
    if row is None:
        return MISSING
    figure = text.estimate(row.estimates[quantile])
    if not row.overloaded:
        return figure
    return f"{figure}, overloaded" + (f": {text.spaced(row.refused)} refused" if row.refused else "")
