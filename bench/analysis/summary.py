"""A run's figures by strategy and case, computed from its values only, without files or a clock.

Invalid trials are counted and left out of every figure. A missing figure is None.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from bench import statistics
from bench.analysis.cases import KIND_ORDER, Case, case_in, case_key, is_search
from bench.analysis.declared import UNDECLARED, Declared, declared, same_promise
from bench.analysis.metrics import METRICS, Metric, scaled, stage_ms
from bench.analysis.overload import judged_by_load
from bench.errors import UsageError
from bench.model import OpenLoad, Run, Trial
from bench.model.subjects import MIX
from bench.statistics import Comparison, Estimate

BASELINE = "torch"
# the parts of a bare loop that are run alone
PARTS = ("prepare", "infer")


@dataclass(frozen=True, slots=True)
class Spread:
    """The least and the most of the values of `n` rounds, which may be infinite."""

    least: float
    most: float
    n: int


@dataclass(frozen=True, slots=True)
class Row:
    """One strategy in one case: its estimates by metric name, counts over all its trials, and ratios.

    `rounds` holds each metric's value by round. `to_baseline` is the ratio of throughput to the baseline
    strategy; it is None under a share of capacity, where each strategy has a rate of its own. `loop` is the
    rate of the strategy's own in-process loop, `to_loop` the ratio of throughput to it, and `loop_parts` the
    items/s of the loop's parts. `refused` and `offered_rps` are None if the load is closed. `stages`
    holds the ms of each stage that the service itself timed: of each window the mean, over rounds the
    median. `overloaded_trials` counts the trials, valid or not, that the load was too much for.
    """

    strategy: str
    case: Case
    estimates: Mapping[str, Estimate | None]
    rounds: Mapping[str, Mapping[int, float]]
    valid_trials: int
    invalid_trials: int
    requests: int
    errors: int
    wrong_answers: int
    to_baseline: Comparison | None
    loop: Estimate | None
    to_loop: Estimate | None
    refused: int | None
    offered_rps: float | None
    stages: Mapping[str, Estimate]
    loop_parts: Mapping[str, Estimate]
    utilisation: Estimate | None = None
    """Of an open load: the mean rate offered as a share of the capacity that the closed loop of the same
    rounds showed, with the interval over these rounds; None without such a closed loop."""
    overloaded_trials: int = 0

    @property
    def made_trials(self) -> int:
        """How many trials were made, valid or not."""
        return self.valid_trials + self.invalid_trials

    @property
    def overloaded(self) -> bool:
        """Whether any trial was overloaded: then the rounds do not repeat one state of the service."""
        return self.overloaded_trials > 0

    def spread(self, metric: str) -> Spread | None:
        """The least and the most of the rounds' values; None without values."""
        values = self.rounds[metric].values()
        return Spread(min(values), max(values), len(values)) if values else None


UNCHECKED = "UNCHECKED"
"""What stands beside a class of payloads of which answers were not checked."""


@dataclass(frozen=True, slots=True)
class Summary:
    """All rows of a run, and what concerns it as a whole.

    `missing_trials` are those that were planned and not made; spare rounds do not stand for them.
    `searched` says whether its trials are tries of a search for an objective, of which no number was planned.
    """

    strategies: tuple[str, ...]
    cases: tuple[Case, ...]
    rows: Mapping[tuple[str, Case], Row]
    baseline: str | None
    one_round: bool
    valid_trials: int
    invalid_trials: int
    missing_trials: int
    requests: int
    errors: int
    wrong_answers: int
    searched: bool = False
    unchecked: frozenset[str] = frozenset()
    """The classes of payloads of which some answers were not checked."""
    attached: frozenset[str] = frozenset()
    """The strategies that ran already: nobody gave them as many cores as the others."""
    declared: Mapping[str, Declared] = field(default_factory=dict)
    """What each strategy declares of its answers, and what it answered to the held-out set."""

    def quality_of(self, name: str) -> Declared:
        """What a strategy declares of its answers: that they are exact if the run does not say."""
        return self.declared.get(name, UNDECLARED)

    def same_work(self, name: str, other: str | None) -> bool:
        """Whether two strategies promise the same of their answers; so it is if there is no other."""
        if other is None:
            return True
        return same_promise(self.quality_of(name).quality, self.quality_of(other).quality)

    @property
    def one_promise(self) -> bool:
        """Whether every strategy promises what the baseline does."""
        return all(self.same_work(name, self.baseline) for name in self.strategies)

    @property
    def all_exact(self) -> bool:
        """Whether every strategy promises the reference's answers."""
        return all(self.quality_of(name).exact for name in self.strategies)

    @property
    def all_trials(self) -> int:
        """How many trials there are, with those that were planned and not made."""
        return self.valid_trials + self.invalid_trials + self.missing_trials

    @property
    def several_loads(self) -> bool:
        """Whether the run has more than one load."""
        return len({case.load for case in self.cases}) > 1

    @property
    def focus(self) -> tuple[Case, ...]:
        """The cases that stand for the run: of its largest closed load, or else of open loads.

        Of these it is, for each payloads, the largest that overloaded nobody, or the smallest if each of them
        overloaded somebody. Of a search, the rates at which the objective held; none if it held nowhere.
        """
        cases = [case for case in self.cases if case.kind == "held" or not self.searched]
        largest = max(map(_weight, cases), default=None)
        first = [case for case in cases if _weight(case) == largest]
        if not first or first[0].kind in ("closed", "held"):
            return tuple(first)
        alike = by_payloads(case for case in cases if case.kind == first[0].kind).values()
        return tuple(most_taken(self, group) or min(group, key=_weight) for group in alike)

    def payload_label(self, case: Case) -> str:
        """The payload class, and the encoding if the run has several; loud if its answers are unchecked."""
        several = len({other.encoding for other in self.cases}) > 1
        mark = self.unchecked_mark(case.payload_class)
        return f"{case.payload_class}, {case.encoding}{mark}" if several else f"{case.payload_class}{mark}"

    def unchecked_mark(self, payload_class: str) -> str:
        """What stands behind the name of a class: loud if its answers are unchecked, else nothing."""
        return f" ({UNCHECKED})" if payload_class in self.unchecked else ""

    def case_label(self, case: Case) -> str:
        """The payload class, and of encoding and load only what differs within the run."""
        payloads = self.payload_label(case)
        return f"{payloads}, {case.load}" if self.several_loads else payloads

    def payloads_at(self, case: Case) -> str:
        """The same as in a sentence: `small payloads, 50 clients`."""
        payloads = f"{self.payload_label(case)} payloads"
        return f"{payloads}, {case.load}" if self.several_loads else payloads


def summarise(run: Run) -> Summary:
    """Sum a run up; strategies keep the order in which the run lists them."""
    run = judged_by_load(run)
    strategies = tuple(dict.fromkeys([*run.strategies, *(trial.strategy for trial in run.trials)]))
    cases = tuple(sorted({case_in(run, trial) for trial in run.trials}, key=case_key))
    groups = {(name, case): _group(run, name, case) for name in strategies for case in cases}
    throughput = {key: _by_round(group, METRICS["throughput"]) for key, group in groups.items()}
    overloaded = {key for key, group in groups.items() if any(trial.overloaded for trial in group)}
    baseline = _baseline(strategies, cases, throughput, run.baseline)
    # what has no one state is no baseline
    known = {key: rates for key, rates in throughput.items() if key not in overloaded}
    rows = {
        (name, case): _row(run, name, case, group, known.get((baseline or "", case), {}))
        for (name, case), group in groups.items()
        if group
    }
    rows = {key: _with_baseline(row, rows.get((baseline or "", row.case))) for key, row in rows.items()}
    rows = {key: replace(row, utilisation=_utilisation(row, groups)) for key, row in rows.items()}
    valid = [trial for trial in run.trials if trial.valid]
    return Summary(
        strategies=strategies,
        cases=cases,
        rows=rows,
        baseline=baseline,
        one_round=not is_search(run) and len({trial.round for trial in run.trials}) <= 1,
        valid_trials=len(valid),
        invalid_trials=len(run.trials) - len(valid),
        missing_trials=max(0, run.planned_trials - planned_made(run)),
        requests=sum(trial.requests for trial in run.trials),
        errors=sum(trial.errors for trial in run.trials),
        wrong_answers=sum(trial.wrong_answers for trial in run.trials),
        searched=is_search(run),
        unchecked=_unchecked(run),
        attached=frozenset(name for name, one in run.strategies.items() if one.attached),
        declared=declared(run),
    )


def _unchecked(run: Run) -> frozenset[str]:
    settings = run.environment.settings
    if not settings or not isinstance(settings.unchecked, Mapping):
        return frozenset()
    return frozenset(settings.unchecked) | ({MIX} if isinstance(settings.mix, Mapping) else set())


def rows_at(summary: Summary, cases: Iterable[Case]) -> list[Row]:
    """The rows of these cases, case by case, with the strategies in the order of the run."""
    keys = ((name, case) for case in cases for name in summary.strategies)
    return [summary.rows[key] for key in keys if key in summary.rows]


def by_payloads(cases: Iterable[Case]) -> dict[tuple[str, str], list[Case]]:
    """The cases of each class of payloads in each encoding, in their order."""
    groups: dict[tuple[str, str], list[Case]] = {}
    for case in cases:
        groups.setdefault((case.payload_class, case.encoding), []).append(case)
    return groups


def most_taken(summary: Summary, cases: Iterable[Case]) -> Case | None:
    """The largest load that overloaded nobody, of those at which most strategies have a p99; None if none."""

    def rank(case: Case) -> tuple[int, float, tuple[int, float, int]]:
        rows = rows_at(summary, [case])
        known = sum(row.estimates["p99"] is not None for row in rows)
        # a load's size may be requests/s or a share, so loads are ranked by what they offered
        return known, max((row.offered_rps or 0.0 for row in rows), default=0.0), _weight(case)

    taken = [case for case in cases if not any(row.overloaded for row in rows_at(summary, [case]))]
    return max(taken, key=rank, default=None)


def equal_rates(summary: Summary) -> dict[tuple[str, str], Case]:
    """For each payloads the highest rate that was the same for all and overloaded nobody, where there is any.

    A search tries rates for a strategy alone, so it has none.
    """
    offered = [case for case in summary.cases if case.kind in ("open", "common") and not summary.searched]
    known = {payloads: most_taken(summary, group) for payloads, group in by_payloads(offered).items()}
    return {payloads: case for payloads, case in known.items() if case is not None}


def _weight(case: Case) -> tuple[int, float, int]:
    return -KIND_ORDER.index(case.kind), case.size, -case.arrivals_place


def with_baseline(run: Run, name: str | None) -> Run:
    """The run with another baseline; raises UsageError if it did not measure that strategy."""
    if name is None:
        return run
    if name not in run.strategies:
        raise UsageError(f"--baseline {name} is not in this run: it has {', '.join(run.strategies)}")
    return replace(run, baseline=name)


def planned_made(run: Run) -> int:
    """How many planned trials were made: one that its round made twice counts once, a spare round's not."""
    settings = run.environment.settings
    rounds = (settings.rounds if settings else None) or math.inf
    made = {(one.strategy, case_in(run, one), one.round) for one in run.trials if one.round <= rounds}
    return len(made)


def _group(run: Run, strategy: str, case: Case) -> list[Trial]:
    return [trial for trial in run.trials if trial.strategy == strategy and case_in(run, trial) == case]


def _by_round(trials: Iterable[Trial], metric: Metric) -> dict[int, float]:
    values = {trial.round: metric.of(trial) for trial in trials if trial.valid}
    return {number: value for number, value in sorted(values.items()) if value is not None}


def _baseline(
    strategies: Sequence[str],
    cases: Sequence[Case],
    throughput: Mapping[tuple[str, Case], Mapping[int, float]],
    wanted: str | None,
) -> str | None:
    """The strategy that the user chose, or named torch; else the first strategy of the run that has a figure.

    It is chosen by its place, because a choice by figures would make differences out of chance.
    """
    if wanted in strategies and any(throughput.values()):
        return wanted
    for case in cases:
        known = [name for name in strategies if throughput[name, case]]
        if known:
            return BASELINE if BASELINE in known else known[0]
    return None


def _row(run: Run, name: str, case: Case, trials: Sequence[Trial], baseline: Mapping[int, float]) -> Row:
    rounds = {metric.name: _by_round(trials, metric) for metric in METRICS.values()}
    valid, overloaded = sum(trial.valid for trial in trials), sum(trial.overloaded for trial in trials)
    loop = _loop_rates(run, name, case.payload_class)
    refused = [trial.refused for trial in trials if trial.refused is not None]
    return Row(
        strategy=name,
        case=case,
        estimates={
            m.name: _estimate(m, list(rounds[m.name].values()), overloaded=overloaded > 0)
            for m in METRICS.values()
        },
        rounds=rounds,
        valid_trials=valid,
        invalid_trials=len(trials) - valid,
        requests=sum(trial.requests for trial in trials),
        errors=sum(trial.errors for trial in trials),
        wrong_answers=sum(trial.wrong_answers for trial in trials),
        to_baseline=(
            _to_baseline(baseline, rounds["throughput"]) if case.same_for_all and not overloaded else None
        ),
        loop=statistics.geometric_mean(loop),
        to_loop=statistics.unpaired_ratio(loop, list(rounds["throughput"].values())),
        refused=sum(refused) if refused else None,
        offered_rps=_offered_rps(trials),
        stages=_stages(trials),
        loop_parts={part: rate for part in PARTS if (rate := _loop_part(run, name, case, part)) is not None},
        overloaded_trials=overloaded,
    )


def _estimate(metric: Metric, values: Sequence[float], *, overloaded: bool) -> Estimate | None:
    """The figure of several rounds; without an interval if they do not repeat one state of the service."""
    found = metric.over_rounds(values)
    return found if found is None or not overloaded else Estimate(found.centre, None, None, found.n)


def _to_baseline(baseline: Mapping[int, float], ours: Mapping[int, float]) -> Comparison | None:
    # without the bootstrap, whose import takes a second that the terminal's table should not wait for
    return statistics.paired_ratio(baseline, ours, bootstrap=False)


def _with_baseline(row: Row, base: Row | None) -> Row:
    """The row without its ratio if it or the baseline's row is overloaded, which repeats no state."""
    return replace(row, to_baseline=None) if row.overloaded or (base is not None and base.overloaded) else row


def _utilisation(row: Row, groups: Mapping[tuple[str, Case], Sequence[Trial]]) -> Estimate | None:
    """The mean rate offered over the geometric mean of the capacity in the same rounds.

    The capacity is what the row's strategy and payloads answered in the run's largest closed loop.
    """
    closed = [
        case
        for name, case in groups
        if (name, case.kind) == (row.strategy, "closed")
        and (case.payload_class, case.encoding) == (row.case.payload_class, row.case.encoding)
    ]
    if not row.case.at_due_times or not closed:
        return None
    capacity = _by_round(groups[row.strategy, max(closed, key=_weight)], METRICS["throughput"])
    offered = {
        trial.round: trial.load.rate_per_s
        for trial in groups[row.strategy, row.case]
        if isinstance(trial.load, OpenLoad) and trial.load.rate_per_s > 0
    }
    rounds = [number for number in offered if capacity.get(number, 0.0) > 0]
    shares = statistics.geometric_mean([offered[number] / capacity[number] for number in rounds])
    mean = statistics.geometric_mean([capacity[number] for number in rounds])
    if shares is None or mean is None:
        return None
    centre = sum(offered[number] for number in rounds) / len(rounds) / mean.centre
    return scaled(shares, centre / shares.centre)


def _offered_rps(trials: Sequence[Trial]) -> float | None:
    """The rate at which requests came due, the mean over trials; None if nothing could be offered."""
    rates = [t.load.rate_per_s for t in trials if isinstance(t.load, OpenLoad) and t.load.rate_per_s > 0]
    return sum(rates) / len(rates) if rates else None


def _stages(trials: Sequence[Trial]) -> dict[str, Estimate]:
    """The time of each stage, the median over rounds, in the order in which the service lists them."""
    valid = [trial for trial in trials if trial.valid]
    names = dict.fromkeys(stage for trial in valid if trial.server for stage in trial.server.stages)
    stages = {}
    for name in names:
        times = [ms for trial in valid if (ms := stage_ms(trial, name)) is not None]
        if (estimate := statistics.median(times)) is not None:
            stages[name] = estimate
    return stages


def _loop_part(run: Run, name: str, case: Case, part: str) -> Estimate | None:
    return statistics.geometric_mean(_loop_rates(run, name, case.payload_class, part))


def _loop_rates(run: Run, name: str, payload_class: str, part: str = "whole") -> tuple[float, ...]:
    result = run.strategies.get(name)
    loops = result.loops if result else ()
    wanted = (payload_class, part)
    return next((loop.requests_per_s for loop in loops if (loop.payload_class, loop.part) == wanted), ())
