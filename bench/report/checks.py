"""What was found beside the rounds: capacities, objectives, repeated payloads, and doubts by reason."""

from collections import Counter

from bench.analysis.capacities import in_rounds
from bench.analysis.doubt_counts import kind, reasons
from bench.analysis.run_analysis import RunAnalysis
from bench.model import NOT_KNOWN, REPEAT_ALLOWED, Capacity, Probe, RepeatCheck, SloResult, objective_label
from bench.report import text
from bench.report.text import MISSING, number, table
from bench.statistics import Estimate

REASONS = (
    "A trial that has several reasons counts under each. A reason that stands in invalid trials need not be "
    "what voids them; one that stands in valid trials only warns."
)
REPEATED = (
    "The same few images over and over against copies of which no two bodies are alike. Where repeating is "
    f"more than {100 * (REPEAT_ALLOWED - 1):.0f}% faster, something caches answers and the figures are of "
    "the cache."
)
CAPACITY = (
    "The most that each answered in a closed loop before the rounds; shares of it became its rates. *In the "
    "rounds* is what the same closed loop answered there, and *before to rounds* the first to the second: "
    "above 1, a share of capacity was in truth a larger share."
)
SEARCHED = (
    "The highest rate tried at which the objective held; *goodput* counts right answers within the bound. "
    "Each probe was one trial; a rate that is not listed was not tried."
)


def capacities(analysis: RunAnalysis) -> list[str]:
    """The capacities from which shares became rates."""
    header = ("strategy", "payloads", "clients", "requests/s", "in the rounds", "before to rounds")
    rows = [_capacity_cells(one, in_rounds(analysis.summary, one)) for one in analysis.run.capacities]
    return [*table(header, rows, 2), "", CAPACITY] if rows else []


def _capacity_cells(one: Capacity, rate: Estimate | None) -> list[str]:
    return [
        one.strategy,
        f"{one.payload_class}, {one.encoding}",
        str(one.clients),
        number(one.throughput_rps),
        text.estimate(rate),
        f"{one.throughput_rps / rate.centre:.2f}{text.TIMES}" if rate and rate.centre > 0 else MISSING,
    ]


def repeats(analysis: RunAnalysis) -> list[str]:
    """Varied against repeated payloads, flagged where repeating pays."""
    header = ("strategy", "payloads", "varied, requests/s", "repeated, requests/s", "repeated to varied", "")
    rows = [_repeat_cells(one) for one in analysis.run.repeats]
    return [*table(header, rows, 2), "", REPEATED] if rows else []


def _repeat_cells(one: RepeatCheck) -> list[str]:
    ratio = one.repeated_rps / one.varied_rps if one.varied_rps > 0 else None
    return [
        one.strategy,
        f"{one.payload_class}, {one.encoding}",
        number(one.varied_rps),
        number(one.repeated_rps),
        MISSING if ratio is None else f"{ratio:.2f}{text.TIMES}",
        "**FLAGGED: answers may be cached**" if ratio is None or ratio > REPEAT_ALLOWED else "",
    ]


def objectives(analysis: RunAnalysis) -> list[str]:
    """What each strategy holds of its objective; below, every rate that was tried."""
    found = analysis.run.objectives
    if not found:
        return []
    header = ["strategy", "payloads", "objective", "capacity, requests/s", "held up to, requests/s"]
    header += ["of capacity", "goodput, requests/s"]
    tried = ("strategy", "payloads", "offered/s", "round", "quantile, ms", "goodput/s", "answered/s", "held")
    return [
        *table(header, [_objective_cells(one) for one in found], 3),
        "",
        *table(tried, [cells for one in found for cells in _probes(one)], 2),
        "",
        SEARCHED,
    ]


def _objective_cells(one: SloResult) -> list[str]:
    held, capacity = one.rate_per_s, one.capacity_rps
    return [
        one.strategy,
        f"{one.payload_class}, {one.encoding}",
        objective_label(one.quantile, one.bound_ms),
        number(capacity),
        (one.why_none or "never held") if held is None else number(held),
        text.percent(held / capacity if held is not None and capacity > 0 else None),
        number(one.goodput_rps),
    ]


def _probes(one: SloResult) -> list[list[str]]:
    return [
        [
            one.strategy,
            f"{one.payload_class}, {one.encoding}",
            number(probe.rate_per_s),
            str(probe.round),
            number(probe.quantile_ms),
            number(probe.goodput_rps),
            number(probe.throughput_rps),
            _held(probe),
        ]
        for probe in sorted(one.probes, key=lambda probe: (probe.rate_per_s, probe.round))
    ]


def _held(probe: Probe) -> str:
    if probe.held:
        return "yes"
    word = "no" if probe.known else NOT_KNOWN
    return f"{word}: {probe.why_not}".replace("|", "\\|") if probe.why_not else word


def validity(analysis: RunAnalysis) -> list[str]:
    """How many trials may be believed, and what was held against them, by reason, where anything was."""
    run, summary = analysis.run, analysis.summary
    invalid, valid = Counter[str](), Counter[str]()
    for trial in run.trials:
        (valid if trial.valid else invalid).update({kind(reason) for reason in reasons(trial)})
    if not invalid and not valid and not summary.missing_trials:
        return []
    told = f"{summary.valid_trials} of {text.plural(run.planned_trials, 'planned trial')} valid"
    told += f", {summary.invalid_trials} invalid and left out, {summary.missing_trials} not made."
    rows = [
        [reason, str(invalid[reason]), str(valid[reason])]
        for reason in sorted({*invalid, *valid}, key=lambda one: (-invalid[one], -valid[one], one))
    ]
    if not rows:
        return [told]
    return [told, "", *table(("reason", "in invalid trials", "in valid trials"), rows), "", REASONS]
