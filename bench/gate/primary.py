"""The primary metrics: compared over rounds, held to their tolerance, and confirmed before a word is said."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from bench import statistics
from bench.analysis.cases import load_size
from bench.analysis.comparability import Difference
from bench.analysis.comparisons import ALPHA, LEAST_ROUNDS
from bench.analysis.metrics import METRICS, Metric
from bench.analysis.summary import planned_made
from bench.gate.findings import PrimaryBasis, RuleFinding, Verdict
from bench.gate.rules import Primary
from bench.gate.values import (
    Batch,
    Evidence,
    NotMeasured,
    OtherConditions,
    Problem,
    Unfinished,
    not_measured,
    other_promises,
    unfinished,
)
from bench.model import Doubt, DoubtCode, Run, Trial, in_words
from bench.statistics import Comparison
from bench.statistics.ratios import MOST_ROUNDS, unpaired_comparison

Rounds = Mapping[int, float]


@dataclass(frozen=True, slots=True)
class Side:
    """One side's closed-loop trials of a strategy and its figure by round."""

    who: str
    trials: tuple[Trial, ...]
    rounds: Rounds


def evidence(rule: Primary, batch: Batch) -> Evidence:
    """Compare head with base over the rounds in which both have a figure."""
    metric = METRICS[rule.metric]
    base_name = batch.name_in_base(rule.strategy)
    ours, theirs = _trials(batch.head, rule.strategy), _trials(batch.base, base_name)
    payloads = {_payload(trial) for trial in (*ours, *theirs)}
    base = Side("base", theirs, _by_round(theirs, payloads, metric))
    head = Side("head", ours, _by_round(ours, payloads, metric))
    edge = edge_of(rule)
    compare = _paired if batch.paired else _unpaired
    comparison = compare(base.rounds, head.rounds)
    lost = next(iter(not_measured(batch, rule.strategy)), None)
    problem = _problem(metric, base, head, comparison, batch, lost or unfinished(batch, rule.strategy))
    if problem or comparison is None or comparison.low is None or comparison.high is None:
        comparison = None
    return Evidence(
        base=_centre(base.rounds),
        head=_centre(head.rounds),
        edge=edge,
        comparison=comparison,
        p=_p(comparison, edge, bad_side(metric), lambda: compare(_scaled(base.rounds, edge), head.rounds)),
        beyond=_lies(comparison, edge, bad_side(metric)),
        within=_lies(comparison, edge, -bad_side(metric)),
        improved=_lies(comparison, 1.0, -bad_side(metric)),
        problem=problem,
        doubt=_doubt((base, head)),
        notes=_notes(batch, base, head),
        promises=other_promises(batch, rule.strategy),
    )


def edge_of(rule: Primary) -> float:
    """The worst ratio of head to base that is allowed."""
    return 1 + bad_side(METRICS[rule.metric]) * rule.tolerance


def bad_side(metric: Metric) -> int:
    """-1 if a smaller figure is worse, else 1."""
    return -1 if metric.better == "more" else 1


def _lies(comparison: Comparison | None, edge: float, side: int) -> bool:
    """Whether the whole interval lies above (1) or below (-1) the edge."""
    if comparison is None or comparison.low is None or comparison.high is None:
        return False
    return comparison.low > edge if side > 0 else comparison.high < edge


def _p(
    comparison: Comparison | None, edge: float, side: int, against_edge: Callable[[], Comparison | None]
) -> float:
    """The p-value against the edge; 1 if the ratio is on its good side or missing.

    So every rule keeps its place in the family that Holm corrects for, and one that passes lends nobody its
    significance.
    """
    if comparison is None or (comparison.ratio - edge) * side <= 0:
        return 1.0
    found = against_edge()
    return 1.0 if found is None or found.t_p_value is None else found.t_p_value


def _scaled(rounds: Rounds, factor: float) -> Rounds:
    return {number: value * factor for number, value in rounds.items()}


def _paired(base: Rounds, head: Rounds) -> Comparison | None:
    return statistics.paired_ratio(base, head, bootstrap=False)


def _unpaired(base: Rounds, head: Rounds) -> Comparison | None:
    return unpaired_comparison(list(base.values()), list(head.values()))


def _trials(run: Run, name: str) -> tuple[Trial, ...]:
    """The strategy's trials in the run's largest closed loop: only there is throughput its own to choose."""
    sizes = [load_size(trial.load) for trial in run.trials]
    most = max((size for kind, size in sizes if kind == "closed"), default=0.0)
    found = zip(run.trials, sizes, strict=True)
    return tuple(trial for trial, size in found if trial.strategy == name and size == ("closed", most))


def _payload(trial: Trial) -> tuple[str, str]:
    return trial.payload_class, trial.encoding


def _by_round(trials: Sequence[Trial], payloads: set[tuple[str, str]], metric: Metric) -> dict[int, float]:
    """The metric by round, the geometric mean over payloads; rounds that lack one of them are left out."""
    rounds: dict[int, dict[tuple[str, str], float]] = {}
    for trial in trials:
        value = metric.of(trial) if trial.valid else None
        if value is not None:
            rounds.setdefault(trial.round, {})[_payload(trial)] = value
    return {
        number: _geometric_mean(list(found.values()))
        for number, found in sorted(rounds.items())
        if found.keys() == payloads
    }


def _geometric_mean(values: Sequence[float]) -> float:
    """The geometric mean of the values; 0 if a value has no logarithm, and a ratio of 0 is refused."""
    if not all(0 < value < math.inf for value in values):
        return 0.0
    return math.exp(sum(map(math.log, values)) / len(values))


def _centre(rounds: Rounds) -> float | None:
    return _geometric_mean(list(rounds.values())) if rounds else None


def _problem(
    metric: Metric,
    base: Side,
    head: Side,
    comparison: Comparison | None,
    batch: Batch,
    cut: NotMeasured | Unfinished | None,
) -> Problem:
    """Why the rule cannot be judged; empty if it can."""
    if cut and not (isinstance(cut, Unfinished) and cut.missing):
        return cut
    for side in (base, head):
        if not side.trials:
            return f"{side.who} has no closed-loop trial of it"
    if cut:
        return cut
    for side in (base, head):
        if not any(trial.valid for trial in side.trials):
            return f"no trial of {side.who} is valid ({_reasons(side.trials[0])})"
        if not side.rounds:
            return f"no valid round of {side.who} has a {metric.label} for every payload"
    if batch.paired:
        n, what = len(base.rounds.keys() & head.rounds.keys()), "rounds have both base and head valid"
    else:
        n, what = min(len(base.rounds), len(head.rounds)), "valid rounds are there on the poorer side"
    if n < LEAST_ROUNDS:
        void = next((trial for side in (head, base) for trial in side.trials if not trial.valid), None)
        why = f" ({_reasons(void)})" if void else ""
        return f"{n} {what}, and {LEAST_ROUNDS} are the least{why}"
    return "" if comparison else f"a {metric.label} of 0 has no ratio"


def _notes(batch: Batch, base: Side, head: Side) -> tuple[str, ...]:
    """What was left out of the comparison, and what was held against trials that are in it."""
    notes = [
        f"{side.who}, round {trial.round}: left out: {_reasons(trial)}"
        for side in (base, head)
        for trial in side.trials
        if not trial.valid
    ]
    notes += [note for side in (base, head) for note in _warned(side)]
    runs: list[tuple[str, Run]] = [("head", batch.head)]
    if batch.base is not batch.head:
        runs.insert(0, ("base", batch.base))
    for who, run in runs:
        missing = run.planned_trials - _lost(batch, run) - planned_made(run)
        if missing > 0:
            notes.append(f"{missing} planned trials of {who}'s run were not made")
    return tuple(notes)


def _lost(batch: Batch, run: Run) -> int:
    """How many of the run's planned trials are of strategies of which nothing could be timed."""
    twins = {batch.name_in_base(name): name for name in batch.head.strategies} if batch.paired else {}
    lost = [name for name in run.strategies if not_measured(batch, twins.get(name, name))]
    return run.planned_trials // len(run.strategies) * len(lost) if run.strategies else 0


def _warned(side: Side) -> list[str]:
    """Each kind of warning of the side's valid trials, with its first as an example."""
    valid = [trial for trial in side.trials if trial.valid]
    found: dict[DoubtCode, list[Doubt]] = {}
    for trial in valid:
        for code, doubt in {doubt.code: doubt for doubt in trial.doubts}.items():
            found.setdefault(code, []).append(doubt)
    return [
        f"{side.who}, {len(ones)} of {len(valid)} valid trials: {in_words(ones[0])}"
        for ones in found.values()
    ]


def _doubt(sides: Sequence[Side]) -> str:
    """That the driver may have been the limit, and in how many valid trials; empty if it was not."""
    valid = [trial for side in sides for trial in side.trials if trial.valid]
    limited = sum(any(one.code == "driver_may_limit" for one in trial.doubts) for trial in valid)
    return f"the driver may be the limit in {limited} of {len(valid)} valid trials" if limited else ""


def _reasons(trial: Trial) -> str:
    """What is held against a trial, in words."""
    return "; ".join(map(in_words, trial.reasons)) or "no reason is kept"


def judge_primaries(
    rules: Sequence[Primary], first: Batch, second: Batch | None, differences: Sequence[Difference]
) -> list[RuleFinding]:
    """A finding a rule; all rules are one family of tests, those without data too (Holm 1979)."""
    found = [evidence(rule, first) for rule in rules]
    adjusted = statistics.holm([one.p for one in found])
    return [
        _finding(rule, one, p or 0.0, second, differences)
        for rule, one, p in zip(rules, found, adjusted, strict=True)
    ]


def _finding(
    rule: Primary, found: Evidence, adjusted: float, second: Batch | None, differences: Sequence[Difference]
) -> RuleFinding:
    if differences and not found.problem:
        found = found.voided(OtherConditions(tuple(differences)))
    suspect = found.beyond and adjusted <= ALPHA
    again = evidence(rule, second) if suspect and second else None
    verdict = _verdict(found, again, suspect=suspect)
    rounds = _rounds(found) if not (found.problem or found.beyond or found.within) else None
    return RuleFinding(
        rule=f"primary.{rule.strategy}.{rule.metric}",
        kind="primary",
        strategy=rule.strategy,
        metric=rule.metric,
        verdict=verdict,
        basis=PrimaryBasis(rule, found, again, suspect),
        edge=found.edge,
        base=found.base,
        head=found.head,
        comparison=found.comparison,
        adjusted_p=None if found.comparison is None else adjusted,
        confirmation=again.comparison if again else None,
        rounds_to_decide=rounds,
        suspect=suspect and again is None,
        notes=(*found.notes, *(f"second batch: {note}" for note in (again.notes if again else ()))),
    )


def _verdict(found: Evidence, again: Evidence | None, *, suspect: bool) -> Verdict:
    if found.problem or (again and again.problem):
        return "invalid"
    if suspect and again and again.beyond:
        return "regression"
    # a driver that limits both sides draws their ratio to 1
    return "pass" if found.within and not found.doubt else "inconclusive"


def _rounds(found: Evidence) -> int | None:
    """How many rounds would decide in 80 of 100 gates, were the ratio that was found the true one."""
    comparison = found.comparison
    if comparison is None or comparison.spread is None:
        return None
    effect = found.edge / comparison.ratio - 1
    if effect == 0:
        return MOST_ROUNDS
    return max(comparison.n + 1, statistics.rounds_needed(comparison.spread, effect))
