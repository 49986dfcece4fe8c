"""The sentences of a judgement: every verdict with its figures, and with what it could not have seen."""

from collections.abc import Sequence
from typing import assert_never

from bench.analysis.declared import Declared
from bench.analysis.metrics import METRICS
from bench.gate import EXIT_CODES, Judgement, RuleFinding, Verdict
from bench.gate.findings import LimitBasis, LongBasis, PrimaryBasis, Uptimes
from bench.gate.limit_metrics import LIMITS
from bench.gate.values import NotMeasured, OtherConditions, Problem, Unfinished
from bench.model import in_words
from bench.report import text
from bench.report.quality_words import in_short
from bench.report.text import DASH, TIMES
from bench.report.unchecked_sentence import unchecked_sentence
from bench.statistics import CONFIDENCE, Comparison
from bench.statistics.ratios import MOST_ROUNDS

SHOWN_DIFFERENCES = 3
SHOWN_ROUNDS = 6
SIZES = ((10**9, "GB"), (10**6, "MB"), (10**3, "kB"), (1, "bytes"))
TITLES: dict[Verdict, str] = {verdict: verdict.capitalize() for verdict in EXIT_CODES}


def overall(judgement: Judgement) -> str:
    """The judgement in a sentence, and which strategies could not be judged, in another.

    If answers were not checked, that stands first: whatever the verdict, they may be wrong.
    """
    unchecked = unchecked_sentence(judgement.head)
    told = _verdict(judgement) + _not_judged(judgement) + _uptimes(judgement.uptimes)
    return f"{unchecked} {told}" if unchecked else told


def _uptimes(known: Uptimes | None) -> str:
    """Which uptimes were looked at: a pass says nothing of later ones."""
    if known is None:
        return ""
    windows = f" Judged from {known.begin_s:.1f} to {known.end_s:.1f} s after the first request"
    if known.alone is not None:
        return f"{windows}; what sets in later was not compared, as only {known.alone} has long trials."
    if known.long_s is None:
        return f"{windows}; what sets in later was not looked at."
    return f"{windows}, and up to {known.long_s:g} s by one long trial of each side."


def _not_judged(judgement: Judgement) -> str:
    if not judgement.not_measured:
        return ""
    told = [f"{one.strategy}, {lost(one)}" for one in judgement.not_measured]
    return f" Not judged: {'; '.join(told)}."


def _verdict(judgement: Judgement) -> str:
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
        return f"{TITLES[verdict]}{rest}: {finding_sentence(worst[0])}."
    names = text.listing([f"{finding.strategy} {label(finding)}" for finding in worst])
    return f"{TITLES[verdict]} in {len(worst)} of {len(findings)} rules{rest}: {names}."


def sides(judgement: Judgement) -> str:
    """What was compared with what, and how."""
    how = (
        "measured side by side, in fresh containers every round"
        if judgement.paired
        else "a fresh run against a stored one, so rounds do not pair"
    )
    return f"{judgement.head_name} against {judgement.base_name}, {how}."


def label(finding: RuleFinding) -> str:
    """The metric of a finding as people call it."""
    if finding.kind == "strategy":
        return "comparison"
    if finding.kind == "long":
        return f"{METRICS[finding.metric].label} later on"
    return METRICS[finding.metric].label if finding.kind == "primary" else LIMITS[finding.metric].label


def finding_sentence(finding: RuleFinding) -> str:
    """The finding in one sentence, without a full stop."""
    match finding.basis:
        case PrimaryBasis() as basis:
            return _primary(finding, basis)
        case LimitBasis() as basis:
            return _limit(finding, basis)
        case LongBasis() as basis:
            return _long(finding, basis)
        case None:
            return f"{finding.strategy} is not in base: nothing was compared"
    assert_never(finding.basis)


def bound(finding: RuleFinding) -> str:
    """The change that the rule allows: `at most 5% less`, `at most 2 MB more`; empty if there is no rule."""
    match finding.basis:
        case PrimaryBasis(rule=primary):
            worse = "less" if METRICS[primary.metric].better == "more" else "more"
            return f"at most {percentage(primary.tolerance)} {worse}"
        case LimitBasis(rule=limit):
            return f"at most {limit.amount.written}" + (" more" if limit.kind == "increase" else "")
        case LongBasis(metric=metric, let=let):
            return f"at most {percentage(let)} {'less' if METRICS[metric].better == 'more' else 'more'}"
        case None:
            return ""
    assert_never(finding.basis)


def ratio_parts(found: Comparison, edge: float | None) -> tuple[str, str]:
    """A ratio and its interval, to as many decimals as keep the interval's ends apart from 1 and the edge."""
    low, high = (found.low or found.ratio, found.high or found.ratio)
    marks = (1.0,) if edge is None else (1.0, edge)
    pairs = [(low, high), *((end, mark) for end in (low, high) for mark in marks)]
    decimals = next((d for d in (2, 3) if not any(_alike(*pair, d) for pair in pairs)), 4)
    return f"{found.ratio:.{decimals}f}{TIMES}", f"{low:.{decimals}f}{DASH}{high:.{decimals}f}"


def percentage(share: float) -> str:
    """A share as a rule has it: `5%`, `0.024%`."""
    return f"{100 * share:.2g}%" if 0 < share < 0.01 else f"{100 * share:.4g}%"


def size(value: float) -> str:
    """Bytes in the unit of a thousand that suits them: `5.03 MB`."""
    unit, name = next(((unit, name) for unit, name in SIZES if abs(value) >= unit), SIZES[-1])
    return f"{text.spaced(value)} bytes" if unit == 1 else f"{text.number(value / unit)} {name}"


def excluded_rate(checked: int) -> float:
    """The least rate of wrong answers that none among so many excludes at 95%: about 3 in that number."""
    return float(1 - (1 - CONFIDENCE) ** (1 / checked))


def _count(findings: Sequence[RuleFinding], verdict: Verdict) -> int:
    return sum(finding.verdict == verdict for finding in findings)


def _least(findings: Sequence[RuleFinding]) -> str:
    """How small a difference would have shown in each comparison."""
    compared = [one for one in findings if one.kind == "primary"]
    effects = [one.comparison.minimal_detectable_effect or 0.0 for one in compared if one.comparison]
    return f"; a change of {text.percent(max(effects))} or more would have shown" if effects else ""


def _problem(problem: Problem) -> str:
    """Why a rule cannot be judged."""
    match problem:
        case str():
            return problem
        case NotMeasured():
            return lost(problem)
        case Unfinished(who=who, doubt=doubt) if doubt is not None:
            return f"{who}'s run ended before its plan ({in_words(doubt)})"
        case Unfinished():
            return f"{problem.who} lacks {_rounds(problem.missing)} of the {problem.planned} planned"
        case OtherConditions(differences=differences):
            shown = [f"{one.name} ({one.base} there, {one.head} here)" for one in differences]
            more = len(shown) - SHOWN_DIFFERENCES
            rest = [text.plural(more, "more fact")] if more > 0 else []
            listed = text.listing([*shown[:SHOWN_DIFFERENCES], *rest])
            return f"the baseline was measured under other conditions: {listed}; measure it again here"
    assert_never(problem)


def lost(one: NotMeasured) -> str:
    """That nothing of a side could be timed, and why."""
    return f"{one.who} could not be measured ({in_words(one.doubt)})"


def _rounds(numbers: Sequence[int]) -> str:
    shown = text.listing([str(one) for one in numbers[:SHOWN_ROUNDS]])
    more = len(numbers) - SHOWN_ROUNDS
    return f"round{'s' if len(numbers) > 1 else ''} {shown}{f' and {more} more' if more > 0 else ''}"


def _primary(finding: RuleFinding, basis: PrimaryBasis) -> str:
    name = f"{finding.strategy} {label(finding)}"
    comparison = basis.first.comparison
    if comparison is None:
        return f"{name} not judged: {_problem(basis.first.problem)}"
    said = _verdict_reason(finding, basis)
    told = f"{name} {_within(comparison, basis.first.edge)} of base: {said}; {_sees(comparison)}"
    return f"{told}{_other_promises(basis)}"


def _other_promises(basis: PrimaryBasis) -> str:
    """That head promises other answers than base, so that a ratio is of other work; else empty."""
    if basis.first.promises is None:
        return ""
    base, head = (in_short(Declared(one)) for one in basis.first.promises)
    return f"; base declares {base} and head {head}, so it is not the same work"


def _long(finding: RuleFinding, basis: LongBasis) -> str:
    name, first, second = f"{finding.strategy} {label(finding)}", basis.first, basis.second
    if first.comparison is None:
        return f"{name} not judged: {_problem(first.problem)}"
    span = f"from {first.begin_s:.1f} to {first.end_s:g} s of uptime"
    told = f"{name}, {span}, {_within(first.comparison, first.edge)} of base in one long trial of each side"
    if first.within:
        return f"{told}: within the allowed change ({bound(finding)})"
    if not first.beyond:
        return f"{told}: neither within nor beyond the allowed change ({bound(finding)})"
    if second is None:
        return f"{told}: beyond the allowed change ({bound(finding)}), which only a second batch may confirm"
    if second.comparison is None:
        why = _problem(second.problem)
        return f"{told}: beyond the allowed change, but its second batch cannot be judged: {why}"
    again = _within(second.comparison, second.edge)
    if second.beyond:
        return f"{told}: a regression ({bound(finding)}), confirmed by a second batch ({again})"
    return f"{told}: beyond the allowed change, but a second batch does not confirm it ({again})"


def _verdict_reason(finding: RuleFinding, basis: PrimaryBasis) -> str:
    """The verdict of a metric that could be compared."""
    let = percentage(basis.rule.tolerance)
    if basis.suspect:
        return _suspected(basis, let)
    if basis.first.beyond:
        return (
            f"beyond the allowed change of {let}, but not clearly enough among so many rules "
            "(Holm's correction), so nothing is decided"
        )
    if basis.first.within and basis.first.doubt:
        doubt = f"{basis.first.doubt}, which hides a change, so the rule does not pass"
        return f"within the allowed change of {let}, but {doubt}"
    if basis.first.within:
        gain = ", an improvement" if basis.first.improved and basis.first.promises is None else ""
        return f"a change for the worse of more than the allowed {let} is excluded{gain}"
    return f"neither within nor beyond the allowed change of {let}{_more_rounds(finding)}"


def _suspected(basis: PrimaryBasis, let: str) -> str:
    second = basis.second
    if second is None:
        return (
            f"beyond the allowed change of {let}, which only a second batch of fresh containers may confirm"
        )
    if second.comparison is None:
        why = _problem(second.problem)
        return f"beyond the allowed change of {let}, but its second batch cannot be judged: {why}"
    ratio = _within(second.comparison, second.edge)
    if second.beyond:
        return f"a regression beyond the allowed change of {let}, confirmed by a second batch ({ratio})"
    return f"beyond the allowed change of {let}, but a second batch does not confirm it ({ratio})"


def _within(found: Comparison, edge: float | None) -> str:
    """A ratio with its interval."""
    ratio, interval = ratio_parts(found, edge)
    return f"{ratio} ({interval})"


def _alike(value: float, mark: float, decimals: int) -> bool:
    return value != mark and f"{value:.{decimals}f}" == f"{mark:.{decimals}f}"


def _more_rounds(finding: RuleFinding) -> str:
    rounds, comparison = finding.rounds_to_decide, finding.comparison
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
    return f"the detectable change is {text.percent(effect)}, with {text.plural(found.n, 'round')}"


def _limit(finding: RuleFinding, basis: LimitBasis) -> str:
    name = f"{finding.strategy} {label(finding)}"
    if finding.verdict == "invalid":
        return f"{name} not judged: {_missing(finding, basis)}"
    place = "beyond" if finding.verdict == "regression" else "within"
    return f"{name}: {_figure(finding, basis)}, {place} the limit ({bound(finding)})"


def _missing(finding: RuleFinding, basis: LimitBasis) -> str:
    if basis.problem:
        return _problem(basis.problem)
    if LIMITS[finding.metric].unit == "bytes":
        whose = "head" if finding.head is None else "base"
        return f"the size of {whose}'s image was not measured, which takes containers"
    if not basis.trials:
        return "head has no trial of it"
    return f"of {text.plural(basis.trials, 'trial')} of head, one or more broke off or made no requests"


def _figure(finding: RuleFinding, basis: LimitBasis) -> str:
    """The figure of head, of how many answers or trials it is, and what it is beside base's."""
    head, unit = finding.head or 0.0, LIMITS[finding.metric].unit
    if unit == "bytes":
        return size(head) + ("" if finding.base is None else _change(head - finding.base))
    if unit == "share" and not LIMITS[finding.metric].of_trials:
        return f"{percentage(head)} of {text.plural(basis.checked, 'held-out picture')}"
    if unit == "share":
        return f"{percentage(head)} over {text.plural(basis.trials, 'trial')}"
    counted = f"{text.spaced(head)} of {text.plural(basis.checked, 'answer')} checked"
    if head == 0:
        counted += f", which excludes a rate above {percentage(excluded_rate(basis.checked))} at 95%"
    return counted


def _change(more: float) -> str:
    if more == 0:
        return ", as much as base"
    return f", {size(abs(more))} {'more' if more > 0 else 'less'} than base ({more:+.0f} bytes)"
