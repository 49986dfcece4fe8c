"""The long trials: what sets in after the uptimes that the rounds saw, held to a wide bound, confirmed."""

import math
from collections.abc import Sequence

from bench import statistics
from bench.analysis.metrics import METRICS
from bench.gate.findings import LongBasis, LongEvidence, RuleFinding, Side, Uptimes, Verdict
from bench.gate.primary import bad_side
from bench.gate.rules import Primary
from bench.gate.values import Batch, Problem, not_measured
from bench.model import ClosedLoad, LongTrial, Run, UptimeSpan, in_words
from bench.statistics import Comparison
from bench.statistics.ratios import unpaired_comparison

# one container a side says less than rounds of them: the allowed change is larger than the rule's tolerance
TIMES_TOLERANCE, LEAST_LET, MOST_LET = 3.0, 0.15, 0.95
LEAST_SPANS = 3


def judge_longs(rules: Sequence[Primary], first: Batch, second: Batch | None) -> list[RuleFinding]:
    """A finding for each primary rule, if long trials were asked for on either side."""
    if not (_asked(first.head) or _asked(first.base)):
        return []
    return [_finding(rule, first, second) for rule in rules]


def uptimes_of(batch: Batch) -> Uptimes | None:
    """Which uptimes the trials of both sides cover; None without a trial."""
    runs = [batch.head] if batch.head is batch.base else [batch.base, batch.head]
    trials = [
        one for run in runs for one in run.trials if one.error is None and isinstance(one.load, ClosedLoad)
    ]
    if not trials:
        return None
    return Uptimes(
        min(one.warmup_s for one in trials),
        max(one.warmup_s + one.window_s for one in trials),
        _long_of_both(batch),
        _asked_alone(batch),
    )


def _asked_alone(batch: Batch) -> Side | None:
    """The only one of two stored runs that was asked for long trials; None if both or neither were."""
    asked = _asked(batch.base), _asked(batch.head)
    if batch.paired or asked[0] == asked[1]:
        return None
    return "base" if asked[0] else "head"


def _long_of_both(batch: Batch) -> float | None:
    """Up to which uptime both sides have a long trial; None if a side has none."""
    base = {batch.name_in_base(name) for name in batch.head.strategies} - {""}
    of_base = [one.length_s for one in batch.base.longs if one.spans and one.trial.strategy in base]
    of_head = [
        one.length_s
        for one in batch.head.longs
        if one.spans and not (batch.paired and one.trial.strategy in base)
    ]
    return min(max(of_base), max(of_head)) if of_base and of_head else None


def _asked(run: Run) -> bool:
    settings = run.environment.settings
    return bool(settings and settings.long_s) or bool(run.longs)


def _finding(rule: Primary, first: Batch, second: Batch | None) -> RuleFinding:
    metric = rule.metric if rule.metric in ("p50", "p99") else "throughput"
    let = min(MOST_LET, max(LEAST_LET, TIMES_TOLERANCE * rule.tolerance))
    found = _evidence(rule.strategy, metric, let, first)
    again = _evidence(rule.strategy, metric, let, second) if found.beyond and second else None
    return RuleFinding(
        rule=f"long.{rule.strategy}.{metric}",
        kind="long",
        strategy=rule.strategy,
        metric=metric,
        verdict=_verdict(found, again),
        basis=LongBasis(metric, let, found, again),
        edge=found.edge,
        base=found.base,
        head=found.head,
        comparison=found.comparison,
        confirmation=again.comparison if again else None,
        suspect=found.beyond and again is None,
        notes=(*found.notes, *(f"second batch: {note}" for note in (again.notes if again else ()))),
    )


def _verdict(found: LongEvidence, again: LongEvidence | None) -> Verdict:
    if found.problem or (again and again.problem):
        return "invalid"
    if found.beyond and again and again.beyond:
        return "regression"
    return "pass" if found.within else "inconclusive"


def _evidence(strategy: str, metric: str, let: float, batch: Batch) -> LongEvidence:
    """Compare the spans of both sides that lie after all windows."""
    edge = 1 + bad_side(METRICS[metric]) * let
    ours = _longs(batch.head, strategy)
    theirs = _longs(batch.base, batch.name_in_base(strategy))
    end_s = max((one.window_end_s for one in (*ours, *theirs)), default=0.0)
    base, head = _values(theirs, metric, end_s), _values(ours, metric, end_s)
    problem = _problem(strategy, batch, ours, theirs, min(len(base), len(head)))
    found = None if problem else _compared(base, head, paired=batch.paired)
    low, high = (found.low, found.high) if found else (None, None)
    worse = bad_side(METRICS[metric])
    known = low is not None and high is not None
    return LongEvidence(
        _centre(base),
        _centre(head),
        edge,
        found if known else None,
        beyond=known and (low > edge if worse > 0 else high < edge),  # type: ignore[operator]  # both are known
        within=known and (high < edge if worse > 0 else low > edge),  # type: ignore[operator]  # both are known
        problem=problem or ("" if known else "its ratio has no interval"),
        begin_s=end_s,
        end_s=max((one.length_s for one in ours), default=0.0),
        notes=_notes(ours, theirs),
    )


def _compared(base: Sequence[float], head: Sequence[float], *, paired: bool) -> Comparison | None:
    if not paired:
        return unpaired_comparison(list(base), list(head))
    return statistics.paired_ratio(dict(enumerate(base)), dict(enumerate(head)), bootstrap=False)


def _longs(run: Run, name: str) -> list[LongTrial]:
    return [one for one in run.longs if one.trial.strategy == name]


def _values(longs: Sequence[LongTrial], metric: str, after_s: float) -> list[float]:
    return [_value(span, metric) for one in longs for span in one.spans if span.begin_s >= after_s - 1e-6]


def _value(span: UptimeSpan, metric: str) -> float:
    """The figure of a span; a span without an answer counts as half an answer, as late as it is long."""
    length_s = span.end_s - span.begin_s
    if metric == "throughput":
        return max(span.ok, 0.5) / length_s
    return (span.p50_ms if metric == "p50" else span.p99_ms) or 1e3 * length_s


def _centre(values: Sequence[float]) -> float | None:
    return math.exp(sum(map(math.log, values)) / len(values)) if values else None


def _problem(
    strategy: str, batch: Batch, ours: Sequence[LongTrial], theirs: Sequence[LongTrial], spans: int
) -> Problem:
    lost = next(iter(not_measured(batch, strategy)), None)
    if lost:
        return lost
    if alone := _asked_alone(batch):
        other = "head" if alone == "base" else "base"
        return f"only {alone} was measured with long trials: measure {other} with --long too, or both without"
    for who, longs in (("base", theirs), ("head", ours)):
        if not longs:
            return f"{who} has no long trial of it"
        failed = next((one.trial for one in longs if one.trial.error or not one.spans), None)
        if failed:
            why = "; ".join(map(in_words, failed.reasons)) or "no reason is kept"
            return f"the long trial of {who} was not made ({why})"
    if spans < LEAST_SPANS:
        return "the long trials end too soon after the windows: make them longer with --long"
    return ""


def _notes(ours: Sequence[LongTrial], theirs: Sequence[LongTrial]) -> tuple[str, ...]:
    """What is held against the long trials."""
    return tuple(
        f"{who}, long trial: {in_words(doubt)}"
        for who, longs in (("base", theirs), ("head", ours))
        for one in longs
        for doubt in one.trial.doubts
    )
