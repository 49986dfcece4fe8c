"""The sentence on top of a report: who answers more, by how much, how late, and whether it was right."""

from bench.model import Run
from bench.report import text
from bench.report.cases import Case
from bench.report.compare import compared
from bench.report.summary import Row, Summary

ONE_ROUND = "One round: it proves nothing."
QUICK = "A quick run: short windows."
# beyond these a sentence is a worse table
MOST_OTHERS = 2
MOST_CASES = 2


def sentence(run: Run, summary: Summary) -> str:
    """What the run found, in a few sentences; a run without one valid trial claims nothing."""
    if not run.trials:
        return "No trial was made: there is nothing to report."
    if summary.valid_trials == 0:
        return (
            f"Invalid: none of {text.plural(len(run.trials), 'trial')} may be believed. {_answers(summary)}"
        )
    parts = [ONE_ROUND] if summary.one_round else []
    parts += [QUICK] if run.quick else []
    parts += [_comparison(summary), _answers(summary), *_gaps(summary)]
    return " ".join(part for part in parts if part)


def _comparison(summary: Summary) -> str:
    """The strategy with the highest ratio in detail, then the ratios of the others."""
    compared = _compared(summary)
    if summary.focus and summary.focus[0].at_due_times:
        return _open_comparison(summary)
    if not compared or summary.baseline is None:
        return "There is nothing to compare: fewer than two strategies have valid trials in one round."
    leader, *others = sorted(compared, key=lambda name: -_best_ratio(compared[name]))
    others = others if len(others) <= MOST_OTHERS else []
    at = f"At {summary.focus[0].load}, " if summary.several_loads else ""
    clauses = [
        f"{at}{leader} answers {_ratios(summary, compared[leader])} the requests of {summary.baseline} "
        f"per core {_with_payloads(summary, compared[leader])}"
    ]
    tail = _tail_latency(summary, leader)
    clauses += [tail] if tail else []
    clauses += [f"{name} {_ratios_with_payloads(summary, compared[name])}" for name in others]
    return "; ".join(clauses) + "."


def _open_comparison(summary: Summary) -> str:
    """Each strategy's p99 at the highest rate, in the first case, and the rate where each has its own."""
    case = summary.focus[0]
    rows = [summary.rows[name, case] for name in summary.strategies if (name, case) in summary.rows]
    tails = [
        f"{row.strategy} {text.number(p99.centre)} ms{_at_its_rate(row)}"
        for row in rows
        if (p99 := row.estimates["p99"]) is not None
    ]
    if not tails:
        return f"At {case.load} there is no p99: too few right answers."
    return f"At {case.load} {_payloads(summary, case)}, p99 is {text.listing(tails)}."


def _at_its_rate(row: Row) -> str:
    return "" if row.case.same_for_all else f" at its {text.number(row.offered_rps)} requests/s"


def _compared(summary: Summary) -> dict[str, list[Row]]:
    """Each strategy other than the baseline with its rows that have a ratio, in the order of the cases."""
    found: dict[str, list[Row]] = {}
    for name in summary.strategies:
        rows = [summary.rows[name, case] for case in summary.focus if (name, case) in summary.rows]
        rows = [row for row in rows if row.to_baseline is not None]
        if rows and name != summary.baseline:
            found[name] = rows[:MOST_CASES]
    return found


def _best_ratio(rows: list[Row]) -> float:
    return max(row.to_baseline.ratio for row in rows if row.to_baseline is not None)


def _claim(summary: Summary, row: Row) -> str:
    figure = text.ratio(row.to_baseline)
    comparison = row.to_baseline
    if comparison is None or summary.one_round or _differs(summary, row):
        return figure
    return f"{figure}, {'one round only' if comparison.low is None else 'no difference shown'},"


def _differs(summary: Summary, row: Row) -> bool:
    """Whether the verdict is that throughput differs: what the table does not say, the top must not."""
    wanted = (row.strategy, row.case, "throughput")
    return any(one.differs for one in compared(summary) if (one.strategy, one.case, one.metric) == wanted)


def _payloads(summary: Summary, case: Case) -> str:
    return f"with {summary.payload_label(case)} payloads"


def _ratios(summary: Summary, rows: list[Row]) -> str:
    return _claim(summary, rows[0])


def _with_payloads(summary: Summary, rows: list[Row]) -> str:
    rest = [f"{_claim(summary, row)} {_payloads(summary, row.case)}" for row in rows[1:]]
    return text.listing([_payloads(summary, rows[0].case), *rest])


def _ratios_with_payloads(summary: Summary, rows: list[Row]) -> str:
    return f"{_ratios(summary, rows)} {_with_payloads(summary, rows)}"


def _tail_latency(summary: Summary, leader: str) -> str | None:
    """The p99 of leader and baseline in the first case in which both have one."""
    for case in summary.focus:
        ours = summary.rows.get((leader, case))
        theirs = summary.rows.get((summary.baseline or "", case))
        if ours is None or theirs is None:
            continue
        left, right = ours.estimates["p99"], theirs.estimates["p99"]
        if left is not None and right is not None:
            where = f" {_payloads(summary, case)}" if len(summary.focus) > 1 else ""
            return f"p99 {text.number(left.centre)} ms against {text.number(right.centre)} ms{where}"
    return None


def _answers(summary: Summary) -> str:
    checked = f"Every answer was checked: {text.spaced(summary.wrong_answers)} wrong"
    failed = f", {text.plural(summary.errors, 'request')} failed" if summary.errors else ""
    return f"{checked} of {text.spaced(summary.requests)}{failed}."


def _gaps(summary: Summary) -> list[str]:
    gaps = []
    if summary.invalid_trials:
        count = text.plural(summary.invalid_trials, "trial")
        gaps.append(f"{count} of {summary.valid_trials + summary.invalid_trials} invalid and left out.")
    if summary.missing_trials:
        gaps.append(f"{text.plural(summary.missing_trials, 'planned trial')} not made.")
    return gaps
