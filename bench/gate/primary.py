"""The primary metrics: compared over rounds, held to their tolerance, and confirmed before a word is said."""

from collections.abc import Sequence

from bench import statistics
from bench.analysis.comparability import Difference
from bench.analysis.comparisons import ALPHA
from bench.analysis.metrics import METRICS
from bench.gate import texts
from bench.gate.evidence import Evidence, evidence
from bench.gate.rules import Primary
from bench.gate.values import Batch, Finding, Verdict
from bench.statistics.ratios import MOST_ROUNDS


def judge_primaries(
    rules: Sequence[Primary], first: Batch, second: Batch | None, differences: Sequence[Difference]
) -> list[Finding]:
    """A finding a rule; all rules are one family of tests, those without data too (Holm 1979)."""
    found = [evidence(rule, first) for rule in rules]
    adjusted = statistics.holm([one.p for one in found])
    return [
        _finding(rule, one, p or 0.0, second, differences)
        for rule, one, p in zip(rules, found, adjusted, strict=True)
    ]


def _finding(
    rule: Primary, found: Evidence, adjusted: float, second: Batch | None, differences: Sequence[Difference]
) -> Finding:
    if differences and not found.problem:
        found = found.voided(texts.differs(differences))
    suspect = found.beyond and adjusted <= ALPHA
    again = evidence(rule, second) if suspect and second else None
    verdict = _verdict(found, again, suspect=suspect)
    rounds = _rounds(found) if not (found.problem or found.beyond or found.within) else None
    metric = METRICS[rule.metric]
    return Finding(
        rule=f"primary.{rule.strategy}.{rule.metric}",
        kind="primary",
        strategy=rule.strategy,
        metric=rule.metric,
        verdict=verdict,
        sentence=texts.primary(texts.Told(rule, metric, found, again, suspect, rounds)),
        bound=texts.tolerance(rule, metric),
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
