"""Throughput and latency: a row for each strategy and load, two tables for each class of payloads."""

from collections.abc import Callable, Iterable, Sequence

from bench.analysis.cases import Case, case_in
from bench.analysis.doubt_counts import of_each_code
from bench.analysis.metrics import METRICS, Metric, metrics_in
from bench.analysis.objectives import CapacityCheck, check_capacity
from bench.analysis.run_analysis import RunAnalysis
from bench.analysis.summary import Row, Summary, rows_at
from bench.model import TITLES, gravity
from bench.report import cells, text
from bench.report.document import (
    NOT_MEASURED,
    Block,
    Bullets,
    Cell,
    Column,
    Emphasis,
    Folded,
    Heading,
    Table,
    Text,
    case_column,
    joined,
    name_column,
    tabulated,
)

INTERVALS: Text = (
    "In brackets, 95% intervals over rounds: requests/s a geometric mean with t on the logs; latency the "
    "median of the rounds by order statistics, which takes six of them.",
)
ONE_ROUND: Text = ("One round: no intervals.",)
SEARCHED: Text = (
    "A search chose these rates, each strategy's own. The highest rate at which the objective held stands "
    "for the run: its key figures and its costs are at that rate.",
)
SHARES: Text = (
    "At a share of capacity each strategy is offered its own rate, so throughput has no ratio: compare "
    "latencies at an equal share.",
)
MEASURED_BEFORE = (
    "Capacity was measured before the rounds, in requests/s, and in brackets what the rounds' own closed "
    "loop answered"
)
REACHED: Text = (
    Emphasis("Of capacity"),
    " is the rate offered as a share of what the closed loop of the same rounds answered.",
)
OVERLOADED: Text = (
    Emphasis("Overloaded"),
    " counts the trials in which requests were refused (429), or response times only grew. The service has "
    "no steady state then, so the row has the least and the most of its rounds instead of an interval, and "
    "is not compared. No trial of the row is invalid because it was not steady or had no answer in time.",
)
SERVICE: Text = (Emphasis("Service p99"), " runs from sent to done, all others from due to done.")
PERCENTILES = "Other percentiles"
# beside a table; all of them stand in a section of their own
MOST_DOUBTS = 6


def loads(analysis: RunAnalysis) -> list[Block]:
    """A table for each class of payloads: throughput, latency, errors; below it, what to beware of.

    Folded away is a second table, of the percentiles that few decide by.
    """
    summary = analysis.summary
    if not summary.cases:
        return [NOT_MEASURED]
    blocks: list[Block] = []
    for group in _groups(summary):
        names = list(dict.fromkeys(case.load for case in group))
        what = f"{group[0].encoding}, {names[0]}" if len(names) == 1 else group[0].encoding
        label = summary.payload_label(group[0])
        title = f"{label[0].upper()}{label[1:]} payloads ({what})"
        blocks += [Heading(title), _table(summary, group, title, several=len(names) > 1)]
        blocks += _percentiles(summary, group, f"Other percentiles, {title}", several=len(names) > 1)
        blocks += _doubts(analysis, group)
    notes = [ONE_ROUND if summary.one_round else INTERVALS]
    notes += [SEARCHED] if summary.searched else []
    if any(case.kind == "share" for case in summary.cases):
        notes += [SHARES, *_capacities(analysis)]
    notes += [REACHED] if any(row.utilisation for row in summary.rows.values()) else []
    notes += [OVERLOADED] if any(row.overloaded for row in summary.rows.values()) else []
    notes += [SERVICE] if _tells(METRICS["service_p99"], summary.rows.values()) else []
    return [*blocks, Folded("What the columns say", (joined(*notes),))]


def _doubts(analysis: RunAnalysis, group: list[Case]) -> list[Block]:
    """What is held against trials of these cases, by strategy and load: the gravest first."""
    counted: dict[tuple[str, str, str], list[bool]] = {}
    gravest: dict[str, int] = {}
    for trial in analysis.run.trials:
        if case_in(analysis.run, trial) in group:
            for one, voids in of_each_code(trial):
                key = (trial.strategy, trial.load.label, TITLES[one.code])
                counted.setdefault(key, []).append(voids)
                gravest[TITLES[one.code]] = gravity(one.code)
    ranked = sorted(counted.items(), key=lambda one: (not any(one[1]), gravest[one[0][2]]))
    lines = [_doubt(*key, voided) for key, voided in ranked]
    more = len(lines) - MOST_DOUBTS
    lines[MOST_DOUBTS:] = [f"and {more} more, below"] if more > 0 else []
    return [Bullets(tuple((line,) for line in lines))] if lines else []


def _doubt(strategy: str, load: str, title: str, voided: list[bool]) -> str:
    """`torch, 50 clients: 2 trials, 1 of them INVALID and left out: not steady`.

    `voided` says of each trial that has the doubt whether the doubt voids the trial.
    """
    invalid = sum(voided)
    some = f"{invalid} of them " if invalid < len(voided) else ""
    left_out = f", {some}INVALID and left out" if invalid else ""
    return f"{strategy}, {load}: {text.plural(len(voided), 'trial')}{left_out}: {title}"


def _capacities(analysis: RunAnalysis) -> list[Text]:
    """The capacities that the shares are of, beside what the same closed loop answered in the rounds."""
    checks = [check_capacity(analysis.summary, one) for one in analysis.run.capacities]
    several = len({(one.capacity.payload_class, one.capacity.encoding) for one in checks}) > 1
    capacities = ", ".join(_capacity(one, several=several) for one in checks)
    return [(f"{MEASURED_BEFORE}: {capacities}.",)] if checks else []


def _capacity(check: CapacityCheck, *, several: bool) -> str:
    """A capacity and what the rounds answered: `torch 101 (99.8)`, with payloads if there are several."""
    one, rate = check.capacity, check.in_rounds
    payloads = f" {one.payload_class}, {one.encoding}" if several else ""
    in_rounds = text.number(rate.centre if rate else None)
    return f"{one.strategy}{payloads} {text.number(one.throughput_rps)} ({in_rounds})"


def _groups(summary: Summary) -> list[list[Case]]:
    """The cases by class of payloads and encoding."""
    groups: dict[tuple[str, str], list[Case]] = {}
    for one in summary.cases:
        groups.setdefault((one.payload_class, one.encoding), []).append(one)
    return list(groups.values())


def _table(summary: Summary, group: list[Case], title: str, *, several: bool) -> Table:
    rows = rows_at(summary, group)
    at_due_times = any(case.at_due_times for case in group)
    fields: dict[Column, Callable[[Row], Cell]] = {
        **_names(summary, several=several),
        **{Column(one.heading): _figure(one) for one in metrics_in("load table") if _tells(one, rows)},
        **({Column("of capacity"): cells.utilisation} if any(row.utilisation for row in rows) else {}),
        **({Column("offered/s"): _offered} if at_due_times else {}),
        Column("errors"): lambda row: cells.count(row.errors),
        **({Column("refused"): lambda row: cells.count(row.refused)} if at_due_times else {}),
        Column("wrong"): lambda row: cells.count(row.wrong_answers),
        **(
            {Column("overloaded"): lambda row: cells.of(row.overloaded_trials, row.made_trials)}
            if any(row.overloaded for row in rows)
            else {}
        ),
        Column("valid trials"): lambda row: cells.of(row.valid_trials, row.valid_trials + row.invalid_trials),
    }
    return tabulated(rows, fields.items(), title)


def _percentiles(summary: Summary, group: list[Case], title: str, *, several: bool) -> list[Block]:
    """The table of the other percentiles, folded away; empty if no row has any of them."""
    rows = rows_at(summary, group)
    shown = [one for one in metrics_in("percentiles") if _tells(one, rows) and _differs(one, rows)]
    shown = [one for one in shown if any(row.estimates[one.name] for row in rows)]
    if not shown:
        return []
    fields = {**_names(summary, several=several), **{Column(one.heading): _figure(one) for one in shown}}
    return [Folded(PERCENTILES, (tabulated(rows, fields.items(), title),))]


def _names(summary: Summary, *, several: bool) -> dict[Column, Callable[[Row], Cell]]:
    """The load, if there are several, and the strategy of a row."""
    return {
        **({case_column("load"): lambda row: cells.words(row.case.load)} if several else {}),
        name_column("strategy"): lambda row: cells.strategy(summary, row.strategy),
    }


def _figure(metric: Metric) -> Callable[[Row], Cell]:
    """A figure, and how many rounds it is of if some valid rounds had too few answers for it."""

    def cell(row: Row) -> Cell:
        if metric.only_at_due_times and not row.case.at_due_times:
            return cells.BLANK
        estimate = row.estimates[metric.name]
        few = estimate is not None and estimate.n < row.valid_trials
        after = f" in {text.plural(estimate.n, 'round')}" if estimate and few else ""
        return cells.of_row(row, metric, after)

    return cell


def _tells(metric: Metric, rows: Iterable[Row]) -> bool:
    """Whether a metric gets a column: a metric of open loads only if a row of an open load has its figure."""
    known = (row for row in rows if row.case.at_due_times and row.estimates[metric.name] is not None)
    return not metric.only_at_due_times or any(known)


def _differs(metric: Metric, rows: Sequence[Row]) -> bool:
    """Whether a metric of open loads says anything that the metric it is a kind of does not say."""
    plain = METRICS.get(metric.name.removeprefix("service_").removesuffix("_with_failures"))
    if plain is None or plain is metric:
        return True
    at_due_times = [row for row in rows if row.case.at_due_times]
    return any(_figure(metric)(row) != _figure(plain)(row) for row in at_due_times)


def _offered(row: Row) -> Cell:
    return cells.number(row.offered_rps) if row.case.at_due_times else cells.BLANK
