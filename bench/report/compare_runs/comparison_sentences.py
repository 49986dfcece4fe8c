"""The sentence on top of a comparison of two runs, and what makes the comparison doubtful."""

from collections.abc import Mapping, Sequence

from bench.analysis.cases import case_name
from bench.analysis.comparability import UNKNOWN, Difference
from bench.analysis.held_rates import SEARCHES_DIFFER, HeldRates
from bench.analysis.metrics import quantity
from bench.analysis.run_comparison import Counted, CountName, Measured, RowPair, RunComparison
from bench.analysis.summary import Summary
from bench.model import Run, SloResult, Variant, objective_label
from bench.model.variants import in_words
from bench.report import text
from bench.report.quality_words import DAGGER, in_short
from bench.report.unchecked_sentence import unchecked_sentence
from bench.report.verdict_words import measured_word, why_rows_not_compared

MOST_NAMED = 4
MOST_LEFT_OUT = 2
PAYLOADS = ("settings.payloads", "settings.payload_digests", "settings.encodings")
MOST_FACTS = 12
COUNTS: Mapping[CountName, str] = {
    "wrong_answers": "wrong answers",
    "errors": "failed requests",
    "compressed_bytes": "compressed bytes",
    "unpacked_bytes": "unpacked bytes",
}


def circumstances(one: Measured | Counted) -> str:
    """Under what a figure was measured: its case, the state of the model cache for a start, or the image."""
    if one.case is not None:
        return case_name(one.case)
    return f"{one.model_cache} model cache" if isinstance(one, Measured) else "image"


def objective_circumstances(one: SloResult) -> str:
    """What a search was for: `small, json, p99 ≤ 100 ms`."""
    return f"{one.payload_class}, {one.encoding}, {objective_label(one.quantile, one.bound_ms)}"


def offered(pair: RowPair) -> str:
    """What both runs offered and reached, if it is their own: `75.0 and 95.2 requests/s, 75.0% and ...`."""
    if not pair.head.case.by_capacity:
        return ""
    rates = " and ".join(text.number(row.offered_rps) for _, row in pair.sides)
    busy = [row.utilisation for _, row in pair.sides]
    shares = [text.MISSING if one is None else text.percent(one.centre) for one in busy]
    return f"{rates} requests/s" + (f", {' and '.join(shares)} of capacity" if any(busy) else "")


def sentence(comparison: RunComparison) -> str:
    """How many comparisons differ and the largest of them, or how large a difference would have shown.

    Objectives that both runs searched for come first; what is not compared is named, with the reason.
    """
    judged = [one for one in comparison.measured if one.outcome]
    first = _nothing(comparison)
    if comparison.judges:
        first = [_judged(judged, comparison.base_name, comparison.head_name)] if judged else first
    told = [*_unchecked(comparison), *_held(comparison), *first, *_void(comparison), *_left_out(comparison)]
    told += [*_other_settings(comparison), *_other_qualities(comparison)]
    return " ".join([*told, *_counted(comparison.counted)])


def _other_qualities(comparison: RunComparison) -> list[str]:
    """The strategies of which the two runs promise other answers."""
    found = comparison.other_qualities
    named = [
        f"{one.strategy} ({in_short(one.base)} in {comparison.base_name}, {in_short(one.head)} in "
        f"{comparison.head_name})"
        for one in found[:MOST_NAMED]
    ]
    more = len(found) - len(named)
    named += [f"{more} more"] if more > 0 else []
    return [f"Of another quality, and not the same work: {'; '.join(named)}."] if named else []


def _other_settings(comparison: RunComparison) -> list[str]:
    """The names under which both runs have strategies of other settings."""
    named = [
        f"{one.strategy} ({_settings(one.base)} in {comparison.base_name}, {_settings(one.head)} in "
        f"{comparison.head_name})"
        for one in comparison.other_settings[:MOST_NAMED]
    ]
    more = len(comparison.other_settings) - len(named)
    named += [f"{more} more"] if more > 0 else []
    return (
        [f"Not compared, as both runs give the name to other settings: {'; '.join(named)}."] if named else []
    )


def _settings(variant: Variant | None) -> str:
    return f"{variant.of} with {in_words(variant)}" if variant else "as configured"


def _unchecked(comparison: RunComparison) -> list[str]:
    """What nobody checked, of each run of which that can be said."""
    sides = {comparison.base_name: comparison.base, comparison.head_name: comparison.head}
    return [f"{name}: {told}" for name, run in sides.items() if (told := unchecked_sentence(run))]


def _void(comparison: RunComparison) -> list[str]:
    """The sides without a valid trial, else the loads that have none on a side."""
    names = {"base": comparison.base_name, "head": comparison.head_name}
    if comparison.sides_without_trials:
        return [f"{names[side]} has no valid trial." for side in comparison.sides_without_trials]
    named = [
        f"{pair.head.strategy} at {case_name(pair.head.case)} in "
        f"{text.listing([names[side] for side in pair.void_sides])}"
        for pair in comparison.void_rows[:MOST_NAMED]
    ]
    more = len(comparison.void_rows) - len(named)
    named += [f"{more} more"] if more > 0 else []
    return [f"Without a valid trial: {'; '.join(named)}."] if named else []


def _nothing(comparison: RunComparison) -> list[str]:
    # starts alone are no comparison
    if any(one.comparison for one in comparison.measured if one.case or comparison.judges):
        return ["Nothing is judged: no figure has three valid rounds in both runs."]
    if comparison.not_compared:
        return ["Nothing that was measured in rounds is compared."]
    return [] if comparison.held else ["No load is compared: no load has figures in both runs."]


def _held(comparison: RunComparison) -> list[str]:
    """Up to which rate each objective held in both runs; a search has no interval."""
    names = comparison.base_name, comparison.head_name
    told = [
        f"{one.of.strategy} ({objective_circumstances(one.of)}) {_both_held(one, *names)}"
        for one in comparison.held[:MOST_NAMED]
    ]
    more = len(comparison.held) - len(told)
    told += [f"and {text.plural(more, 'more objective')}"] if more > 0 else []
    if not told:
        return []
    scatter = f"two searches of one service differ by up to {100 * SEARCHES_DIFFER:.0f}% on a quiet host"
    rates = any(one.ratio is not None for one in comparison.held)
    return [f"{'; '.join(told)}{f' ({scatter})' if rates else ''}."]


def _both_held(one: HeldRates, base_name: str, head_name: str) -> str:
    if one.ratio is not None and one.base and one.head:
        rates = [text.number(side.rate_per_s) for side in (one.base, one.head)]
        apart = "not told apart, " if one.outcome == "open" else ""
        return f"held up to {rates[0]} requests/s in {base_name} and {rates[1]} in {head_name}, {apart}" + (
            f"{one.ratio:.2f}{text.TIMES}"
        )
    return f"{held_state(one.base)} in {base_name} and {held_state(one.head)} in {head_name}"


def held_state(found: SloResult | None) -> str:
    """What a search says: the rate, that there is none, or that it is not known."""
    if found is None:
        return "is not known (its search did not end)"
    if found.rate_per_s is not None:
        return f"held up to {text.number(found.rate_per_s)} requests/s"
    return "held at no rate" if found.known else f"is not known to hold at a rate ({found.why_none})"


def _left_out(comparison: RunComparison) -> list[str]:
    """The loads that are not compared, and why."""
    pairs = comparison.not_compared
    named = [
        f"{pair.head.strategy} at {case_name(pair.head.case)} ({why_rows_not_compared(pair)})"
        for pair in pairs[:MOST_LEFT_OUT]
    ]
    more = len(pairs) - len(named)
    named += [f"{more} more"] if more > 0 else []
    return [f"Not compared: {'; '.join(named)}."] if named else []


def _judged(judged: Sequence[Measured], base_name: str, head_name: str) -> str:
    differing = sorted((one for one in judged if one.differs), key=_size, reverse=True)
    of = text.plural(len(judged), "comparison")
    if not differing:
        return f"{head_name} is not told apart from {base_name} in any of {of}{_smallest(judged)}."
    named = [_clause(one) for one in differing[:MOST_NAMED]]
    more = len(differing) - len(named)
    named += [f"{more} more"] if more > 0 else []
    return f"{head_name} differs from {base_name} in {len(differing)} of {of}: {text.listing(named)}."


def _size(one: Measured) -> float:
    """How far the ratio is from 1, either way."""
    ratio = one.comparison.ratio if one.comparison else 1.0
    return max(ratio, 1 / ratio)


def _clause(one: Measured) -> str:
    marked = "" if one.same_work else DAGGER
    what = f"{one.strategy} {quantity(one.metric).heading} {text.ratio(one.comparison)}{marked}"
    return f"{what} {measured_word(one)} ({circumstances(one)})"


def _smallest(judged: Sequence[Measured]) -> str:
    """How large a difference would have shown in most cases, by the first metric that was judged."""
    metric = judged[0].metric
    effects = [
        effect
        for one in judged
        if one.metric == metric
        and one.comparison
        and (effect := one.comparison.minimal_detectable_effect) is not None
    ]
    label = quantity(metric).heading
    return f"; in {label} a difference of {text.percent(max(effects))} would have shown" if effects else ""


def _counted(counted: Sequence[Counted]) -> list[str]:
    """The images whose size changed, and the wrong answers of both runs if there are any."""
    images = [
        f"{one.strategy} {_change(one.head - one.base)}"
        for one in counted
        if one.name == "compressed_bytes"
        and one.base is not None
        and one.head is not None
        and one.outcome != "same"
    ]
    wrong = sum(one.head or 0 for one in counted if one.name == "wrong_answers")
    before = sum(one.base or 0 for one in counted if one.name == "wrong_answers")
    clauses = [f"Images to pull changed: {text.listing(images)}."] if images else []
    if wrong or before:
        clauses.append(f"Wrong answers: {text.spaced(before)} before, {text.spaced(wrong)} now.")
    return clauses


def _change(size: int) -> str:
    sign = "+" if size > 0 else "\N{MINUS SIGN}"
    if abs(size) < text.MIB / 100:
        return f"{sign}{text.plural(abs(size), 'byte')}"
    return f"{sign}{text.mebibytes(abs(size))}"


def doubts(comparison: RunComparison) -> tuple[str, ...]:
    """Why the comparison is doubtful, a clause for each reason, the gravest first; empty if it is not."""
    differing = comparison.differing
    clauses = ["both are the same run"] if comparison.base == comparison.head else []
    if payloads := [one.name for one in differing if one.name.startswith(PAYLOADS)]:
        clauses.append(f"different payloads ({text.listing(payloads)})")
    others = [one for one in differing if not one.name.startswith(PAYLOADS)]
    if unlike := [one.name for one in others if UNKNOWN not in (one.base, one.head)]:
        clauses.append(f"different circumstances ({_some(unlike)})")
    if untold := [one.name for one in others if UNKNOWN in (one.base, one.head)]:
        clauses.append(f"told by one run alone: {_some(untold)}")
    clauses += _drift(comparison.speeds)
    for name, run, summary in (
        (comparison.base_name, comparison.base, comparison.base_summary),
        (comparison.head_name, comparison.head, comparison.head_summary),
    ):
        clauses += [f"{name}: {clause}" for clause in _of_run(run, summary)]
    return tuple(clauses)


def _drift(speeds: Sequence[Difference]) -> list[str]:
    """The doubt that the speed of the machine itself changed."""
    changes = [f"{one.head} in place of {one.base}, {one.name}" for one in speeds]
    reason = "the machine itself was another, as its speed against a target that answers at once changed"
    return [f"{reason}: {text.listing(changes)}"] if changes else []


def _of_run(run: Run, summary: Summary) -> list[str]:
    clauses = []
    if not run.trials:
        clauses.append("no trial was made")
    elif not summary.valid_trials:
        clauses.append(f"no valid trial of {len(run.trials)}")
    elif summary.invalid_trials:
        clauses.append(
            f"{text.plural(summary.invalid_trials, 'invalid trial')} of {len(run.trials)} left out"
        )
    if summary.missing_trials:
        clauses.append(f"{text.plural(summary.missing_trials, 'planned trial')} not made")
    if run.trials and summary.one_round:
        clauses.append("one round, which proves nothing")
    if run.quick:
        clauses.append("a quick run of short windows")
    return clauses


def _some(names: Sequence[str]) -> str:
    more = len(names) - MOST_FACTS
    shown = names[:MOST_FACTS] if more > 0 else names
    return ", ".join(shown) + (f" and {more} more, listed below" if more > 0 else "")
