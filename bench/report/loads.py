"""The first table: throughput and latency, a row a strategy and load, one table a class of payloads."""

from bench.analysis.capacities import in_rounds
from bench.analysis.cases import Case
from bench.analysis.run_analysis import RunAnalysis
from bench.analysis.summary import Row, Summary
from bench.report import text
from bench.report.text import EMPTY, MISSING, table

INTERVALS = (
    "In brackets, 95% intervals over rounds: requests/s a geometric mean with t on the logs; the ratio "
    "paired by round; latency the median of the rounds by order statistics, which takes six of them. "
    "*Detectable from*: the smallest detectable difference, which so many rounds find in 80 of 100 runs."
)
SHARES = (
    "At a share of capacity each strategy is offered its own rate, so there is no ratio of throughput: read "
    "how late the answers are when it is so full."
)
MEASURED_BEFORE = (
    "Capacity was measured before the rounds, in requests/s, and in brackets what the rounds' own closed "
    "loop answered"
)
SERVICE = "*Service p99* runs from sent to done, all others from due to done."


def loads(analysis: RunAnalysis) -> list[str]:
    """One table a class of payloads: throughput, ratio to the baseline, latency, errors."""
    summary = analysis.summary
    lines: list[str] = []
    for group in _groups(summary):
        names = list(dict.fromkeys(case.load for case in group))
        what = f"{group[0].encoding}, {names[0]}" if len(names) == 1 else group[0].encoding
        lines += ["", f"### {summary.payload_label(group[0]).capitalize()} payloads ({what})", ""]
        lines += _table(summary, group, several=len(names) > 1)
    if not lines:
        return [EMPTY]
    notes = ["One round: no intervals." if summary.one_round else INTERVALS]
    if any(not case.same_for_all for case in summary.cases):
        notes += [SHARES, *_capacities(analysis)]
    notes += [SERVICE] if any(map(_has_service, summary.rows.values())) else []
    return [*lines[1:], "", " ".join(notes)]


def _capacities(analysis: RunAnalysis) -> list[str]:
    """What the shares are of, beside what the same closed loop answered in the rounds."""
    found = [(one, in_rounds(analysis.summary, one)) for one in analysis.run.capacities]
    classes = len({(one.payload_class, one.encoding) for one, _ in found})
    told = [
        f"{one.strategy}{f' {one.payload_class}, {one.encoding}' if classes > 1 else ''} "
        f"{text.number(one.throughput_rps)} ({text.number(rate.centre if rate else None)})"
        for one, rate in found
    ]
    return [f"{MEASURED_BEFORE}: {', '.join(told)}."] if told else []


def _groups(summary: Summary) -> list[list[Case]]:
    """The cases by class of payloads and encoding."""
    groups: dict[tuple[str, str], list[Case]] = {}
    for case in summary.cases:
        groups.setdefault((case.payload_class, case.encoding), []).append(case)
    return list(groups.values())


def _table(summary: Summary, group: list[Case], *, several: bool) -> list[str]:
    rows = [summary.rows[n, case] for case in group for n in summary.strategies if (n, case) in summary.rows]
    at_due_times = any(case.at_due_times for case in group)
    service = any(map(_has_service, rows))
    columns = {
        **({"load": [row.case.load for row in rows]} if several else {}),
        "strategy": [row.strategy for row in rows],
        **({"offered/s": [_offered(row) for row in rows]} if at_due_times else {}),
        "requests/s": [text.estimate(row.estimates["throughput"]) for row in rows],
        f"ratio to {summary.baseline}" if summary.baseline else "ratio": [
            _ratio(summary, row) for row in rows
        ],
        "detectable from": [_effect(summary, row) for row in rows],
        **{f"{name} ms": [_latency(row, name) for row in rows] for name in ("p50", "p95", "p99")},
        **({"service p99 ms": [_service(row) for row in rows]} if service else {}),
        "errors": [text.spaced(row.errors) for row in rows],
        **({"refused": [_refused(row) for row in rows]} if at_due_times else {}),
        "wrong": [text.spaced(row.wrong_answers) for row in rows],
        "valid trials": [f"{row.valid_trials} of {row.valid_trials + row.invalid_trials}" for row in rows],
    }
    return table(list(columns), zip(*columns.values(), strict=True), 1 + several)


def _ratio(summary: Summary, row: Row) -> str:
    if not row.case.same_for_all:
        return ""
    return "1 (baseline)" if row.strategy == summary.baseline else text.ratio(row.to_baseline)


def _effect(summary: Summary, row: Row) -> str:
    if row.strategy == summary.baseline or not row.case.same_for_all:
        return ""
    effect = row.to_baseline.minimal_detectable_effect if row.to_baseline else None
    return MISSING if effect is None else f"±{text.percent(effect)}"


def _latency(row: Row, name: str) -> str:
    """A quantile, with the number of its rounds where others had too few answers for one."""
    found = row.estimates[name]
    few = found is not None and found.n < row.valid_trials
    return text.estimate(found) + (f" in {text.plural(found.n, 'round')}" if found and few else "")


def _has_service(row: Row) -> bool:
    """Whether service time tells more than response time: it is the same in a closed loop."""
    return row.case.at_due_times and row.estimates["service_p99"] is not None


def _service(row: Row) -> str:
    return text.estimate(row.estimates["service_p99"]) if row.case.at_due_times else ""


def _refused(row: Row) -> str:
    return MISSING if row.refused is None else text.spaced(row.refused)


def _offered(row: Row) -> str:
    return text.number(row.offered_rps) if row.case.at_due_times else ""
