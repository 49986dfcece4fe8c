"""The sentences: every verdict with its figures, and with what it could not have seen."""

from collections.abc import Sequence
from dataclasses import dataclass

from bench.analysis.comparability import Difference
from bench.analysis.metrics import METRICS, Metric
from bench.gate.metrics import LIMITS
from bench.gate.rules import Primary
from bench.gate.values import EXIT_CODES, Evidence, Finding, Judgement, Verdict
from bench.report import text
from bench.report.text import DASH, TIMES
from bench.statistics import Comparison
from bench.statistics.ratios import MOST_ROUNDS

SHOWN_DIFFERENCES = 3
TITLES: dict[Verdict, str] = {verdict: verdict.capitalize() for verdict in EXIT_CODES}


@dataclass(frozen=True, slots=True)
class Told:
    """What is known of a primary metric when its sentence is written; `rounds` as `Finding` has it."""

    rule: Primary
    metric: Metric
    found: Evidence
    again: Evidence | None
    suspect: bool
    rounds: int | None


def overall(judgement: Judgement) -> str:
    """The judgement in one sentence."""
    findings, verdict = judgement.findings, judgement.verdict
    if not findings:
        return "Invalid: no rule applies to what was measured, and what is not judged does not pass."
    worst = [finding for finding in findings if finding.verdict == verdict]
    if verdict == "pass":
        hold = "the one rule holds" if len(worst) == 1 else f"all {len(worst)} rules hold"
        return f"Pass: {hold}{_least(worst)}."
    others = [f"{n} {other}" for other in TITLES if other != verdict and (n := _count(findings, other))]
    rest = f" (beside {text.listing(others)})" if others else ""
    if len(worst) == 1:
        return f"{TITLES[verdict]}{rest}: {worst[0].sentence}."
    names = text.listing([f"{finding.strategy} {label(finding)}" for finding in worst])
    return f"{TITLES[verdict]} in {len(worst)} of {len(findings)} rules{rest}: {names}."


def label(finding: Finding) -> str:
    """The metric of a finding as people call it."""
    if finding.kind == "strategy":
        return "comparison"
    return METRICS[finding.metric].label if finding.kind == "primary" else LIMITS[finding.metric].label


def new_strategy(name: str) -> str:
    """The finding of a strategy that base does not have."""
    return f"{name} is not in base: nothing was compared"


def _count(findings: Sequence[Finding], verdict: Verdict) -> int:
    return sum(finding.verdict == verdict for finding in findings)


def _least(findings: Sequence[Finding]) -> str:
    """How small a difference would have shown in each comparison."""
    effects = [one.comparison.minimal_detectable_effect or 0.0 for one in findings if one.comparison]
    return f"; differences from {text.percent(max(effects))} on would have shown" if effects else ""


def primary(told: Told) -> str:
    """The finding of a primary metric in one sentence."""
    name = f"{told.rule.strategy} {told.metric.label}"
    comparison = told.found.comparison
    if comparison is None:
        return f"{name} not judged: {told.found.problem}"
    return f"{name} {within(comparison, told.found.edge)} of base: {_said(told)}; {_sees(comparison)}"


def tolerance(rule: Primary, metric: Metric) -> str:
    """What a primary rule lets pass: `at most 5% less`."""
    return f"at most {percentage(rule.tolerance)} {'less' if metric.better == 'more' else 'more'}"


def differs(differences: Sequence[Difference]) -> str:
    """Why a stored baseline is refused: the facts, each with both values."""
    shown = [f"{one.name} ({one.base} there, {one.head} here)" for one in differences[:SHOWN_DIFFERENCES]]
    more = len(differences) - len(shown)
    listed = text.listing([*shown, text.plural(more, "more fact")] if more else shown)
    return f"the baseline was measured under other conditions: {listed}; measure it anew here"


def within(found: Comparison, edge: float | None) -> str:
    """A ratio with its interval, to as many decimals as keep its bounds apart from all else."""
    ratio, interval = ratio_parts(found, edge)
    return f"{ratio} ({interval})"


def ratio_parts(found: Comparison, edge: float | None) -> tuple[str, str]:
    """The ratio, and its interval."""
    low, high = (found.low or found.ratio, found.high or found.ratio)
    marks = (1.0,) if edge is None else (1.0, edge)
    pairs = [(low, high), *((bound, mark) for bound in (low, high) for mark in marks)]
    decimals = next((d for d in (2, 3) if not any(_alike(*pair, d) for pair in pairs)), 4)
    return f"{found.ratio:.{decimals}f}{TIMES}", f"{low:.{decimals}f}{DASH}{high:.{decimals}f}"


def percentage(share: float) -> str:
    """A share as a rule has it: `5%`, `0.024%`."""
    return f"{100 * share:.2g}%" if 0 < share < 0.01 else f"{100 * share:.4g}%"


def _alike(value: float, mark: float, decimals: int) -> bool:
    return value != mark and f"{value:.{decimals}f}" == f"{mark:.{decimals}f}"


def _said(told: Told) -> str:
    """The verdict of a metric that could be compared."""
    let = percentage(told.rule.tolerance)
    if told.suspect:
        return _suspected(told, let)
    if told.found.beyond:
        return (
            f"beyond the {let} let pass, but not clearly enough among so many rules "
            "(Holm's correction), so nothing is said"
        )
    if told.found.within and told.found.doubt:
        return f"within the {let} let pass, but {told.found.doubt}, which hides a change: so it is no pass"
    if told.found.within:
        gain = ", an improvement" if told.found.improved else ""
        return f"a change for the worse beyond the {let} let pass is excluded{gain}"
    return f"neither within nor beyond the {let} let pass{_more_rounds(told)}"


def _suspected(told: Told, let: str) -> str:
    again = told.again
    if again is None:
        return f"beyond the {let} let pass, which only a second batch of fresh containers may confirm"
    if again.comparison is None:
        return f"beyond the {let} let pass, but its second batch cannot be judged: {again.problem}"
    second = within(again.comparison, again.edge)
    if again.beyond:
        return f"a regression beyond the {let} let pass, confirmed by a second batch ({second})"
    return f"beyond the {let} let pass, but a second batch does not confirm it ({second})"


def _more_rounds(told: Told) -> str:
    rounds, comparison = told.rounds, told.found.comparison
    if rounds is None or comparison is None:
        return ""
    if rounds >= MOST_ROUNDS:
        return ", and so near the edge that no number of rounds decides"
    return f"; were {comparison.ratio:.2f}{TIMES} the truth, some {text.spaced(rounds)} rounds would decide"


def _sees(found: Comparison) -> str:
    """The minimal detectable effect."""
    effect = found.minimal_detectable_effect
    if effect is None:
        return "how small a difference would show is not known"
    return f"{text.plural(found.n, 'round')} tell differences from {text.percent(effect)} on"
