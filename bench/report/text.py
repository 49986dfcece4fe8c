"""How figures are written: three digits, units, n/a for what is missing."""

import math
from collections.abc import Iterable, Mapping

from bench.analysis.summary import Row, Spread, Summary
from bench.model import USUAL_TOLERANCE, Environment, Run, SloResult, StrategyResult, facts
from bench.statistics import Comparison, Estimate

MISSING = "n/a"
REFUSED = "turned away with 429; a 503 is a failure"
"""What it means under an open load that a request was refused."""
NEVER = "never"
"""What is written for a time that has no end: so many requests had no right answer."""
TIMES = "\N{MULTIPLICATION SIGN}"
DASH = "\N{EN DASH}"
MIB = 1024**2
# a longer list of names is a number
MOST_NAMED = 4


def number(value: float | None, like: float | None = None) -> str:
    """A figure to three digits, or to as many decimals as `like` has at three digits."""
    if value is None:
        return MISSING
    if math.isinf(value):
        return NEVER
    size = abs(value if like is None else like)
    decimals = 0 if size >= 100 else 1 if size >= 10 else 2
    return spaced(value) if decimals == 0 else f"{value:.{decimals}f}"


def spaced(value: float) -> str:
    """A whole number with its thousands set apart by no-break spaces."""
    return f"{value:,.0f}".replace(",", "\N{NO-BREAK SPACE}")


def estimate(value: Estimate | None, scale: float = 1.0) -> str:
    """The centre and, if it is known, its interval: `151 (149-153)`."""
    if value is None:
        return MISSING
    return _with_interval(number(value.centre * scale), interval(value, scale))


def interval(value: Estimate, scale: float = 1.0) -> str:
    """The interval to as many decimals as the centre has: `149-153`; empty if it is not known."""
    if value.low is None or value.high is None:
        return ""
    centre = value.centre * scale
    return f"{number(value.low * scale, centre)}{DASH}{number(value.high * scale, centre)}"


def _with_interval(centre: str, ends: str) -> str:
    return f"{centre} ({ends})" if ends else centre


def ratio(value: Comparison | Estimate | None) -> str:
    """A ratio and, if it is known, its interval, to two decimals."""
    if value is None:
        return MISSING
    centre = value.ratio if isinstance(value, Comparison) else value.centre
    if value.low is None or value.high is None:
        return f"{centre:.2f}{TIMES}"
    return f"{centre:.2f}{TIMES} ({value.low:.2f}{DASH}{value.high:.2f})"


def valid_trials(run: Run, summary: Summary) -> str:
    """`107 of 108 planned trials valid`; with spare rounds `7 of 8 trials valid (6 planned)`.

    Of a search, which plans no number of trials, it is `4 trials valid`.
    """
    if summary.searched:
        return f"{plural(summary.valid_trials, 'trial')} valid"
    if summary.all_trials > run.planned_trials:
        whole = plural(summary.all_trials, "trial")
        return f"{summary.valid_trials} of {whole} valid ({run.planned_trials} planned)"
    return f"{summary.valid_trials} of {plural(run.planned_trials, 'planned trial')} valid"


def searched_payloads(run: Run, one: SloResult) -> str:
    """The payload class of a search, and the encoding if the run searched with several: `small, raw`."""
    several = len({other.encoding for other in run.objectives}) > 1
    return f"{one.payload_class}, {one.encoding}" if several else one.payload_class


def percent(value: float | None) -> str:
    """A share as a percentage: with one decimal below 100%, without decimals from there on."""
    if value is None:
        return MISSING
    return f"{spaced(100 * value)}%" if value >= 1 else f"{100 * value:.1f}%"


def spread(value: Spread | None, scale: float = 1.0) -> str:
    """The least and the most of the rounds: `77-2 015`; the value itself if they are alike."""
    if value is None:
        return MISSING
    least, most = number(value.least * scale), number(value.most * scale)
    return least if least == most else f"{least}{DASH}{most}"


def overloaded(row: Row) -> str:
    """In how many of its trials a row was overloaded: `overloaded in 5 of 6`."""
    return f"overloaded in {row.overloaded_trials} of {row.made_trials}"


def span(value: tuple[float, float] | None) -> str:
    """An interval of a ratio on its own, to two decimals."""
    return MISSING if value is None else f"{value[0]:.2f}{DASH}{value[1]:.2f}"


def p_value(value: float | None) -> str:
    """A p to two digits; one that is too small to mean anything is `<0.001`."""
    if value is None:
        return MISSING
    return "<0.001" if value < 0.001 else f"{value:.3f}" if value < 0.1 else f"{value:.2f}"


def money(value: Estimate | None) -> str:
    """A price to three digits, however small, and its interval, if it is known, to as many decimals."""
    return MISSING if value is None else _with_interval(*money_parts(value))


def money_parts(value: Estimate) -> tuple[str, str]:
    """A price and its interval, which is empty if it is not known."""
    ends = [] if value.low is None or value.high is None else [value.low, value.high]
    decimals = max(0, 2 - math.floor(math.log10(value.centre))) if value.centre > 0 else 2
    centre, *written = (
        f"{amount:.{decimals}f}" if decimals else spaced(amount) for amount in (value.centre, *ends)
    )
    return centre, DASH.join(written)


def mebibytes(value: float | None) -> str:
    """A size in MiB."""
    return MISSING if value is None else f"{number(value / MIB)} MiB"


def seconds(lengths: Iterable[float]) -> str:
    """The least and the most of some lengths, to a tenth of a second: `8.5 to 11.7 s`."""
    known = [f"{round(length, 1):g}" for length in sorted(lengths)]
    return f"{known[0]} s" if known[0] == known[-1] else f"{known[0]} to {known[-1]} s"


def plural(count: int, noun: str) -> str:
    """A count with its noun: `1 trial`, `2 trials`."""
    return f"{spaced(count)} {noun}" if count == 1 else f"{spaced(count)} {noun}s"


def phase_name(key: str) -> str:
    """The name of a phase of a start as it is shown: `port open` for `port_open_s`."""
    return key.removesuffix("_s").replace("_", " ")


def listing(parts: list[str]) -> str:
    """Parts joined as in a sentence: `a, b and c`."""
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1]


def compared(run: Run) -> tuple[str, ...]:
    """The comparators of the run's answers; a run that names none compared labels."""
    settings = run.environment.settings
    return settings.comparators if settings and isinstance(settings.comparators, tuple) else ("label",)


def right_answers(run: Run) -> str:
    """When an answer of the run counts as right, and how far off the farthest was at parity."""
    settings = run.environment.settings
    usual = settings.tolerance if settings and isinstance(settings.tolerance, float) else USUAL_TOLERANCE
    others = settings.tolerances if settings and isinstance(settings.tolerances, Mapping) else {}
    bounds = [f"within {usual:g} of the reference", *(f"{one:g} for {name}" for name, one in others.items())]
    comparators = compared(run)
    rules = [
        f"{RULES_OF_ANSWERS[name]}{_share_used(run, name)}"
        for name in comparators
        if name in RULES_OF_ANSWERS
    ]
    if "label" not in comparators:
        return "; ".join(rules) or "none of them, as nothing says what is right"
    known = [
        (result.parity.largest_difference, name)
        for name, result in run.strategies.items()
        if _promises_exactly(result) and result.parity and result.parity.largest_difference is not None
    ]
    most = max(known, default=None)
    farthest = f"; at most {difference(most[0])} off, {most[1]}'s" if most else ""
    of_labels = f"each probability {', '.join(bounds)}, and the same label{farthest}"
    lesser = [name for name, result in run.strategies.items() if not _promises_exactly(result)]
    if lesser:
        named = listing(lesser) if len(lesser) <= MOST_NAMED else f"{len(lesser)} strategies"
        rules.append(f"of {named} the answers given before the load, which keep the declared quality")
    return "; ".join([of_labels, *rules])


def _promises_exactly(result: StrategyResult) -> bool:
    return result.quality.promise == "exact"


RULES_OF_ANSWERS = {
    "tensors": "each element of a tensor within its tolerance",
    "json": "JSON with the values that the request set names",
    "bytes": "the bytes that the request set names",
    "top-k": "the best classes that the request set names",
}
"""When answers are right that are not compared by label."""


def _share_used(run: Run, comparator: str) -> str:
    """How much of its tolerance an element of a tensor was off at most, before anything was timed."""
    parities = [(one.parity, name) for name, one in run.strategies.items() if one.parity]
    known = [(one.largest_share, name) for one, name in parities if one.largest_share is not None]
    most = max(known, default=None) if comparator == "tensors" else None
    return f", {percent(most[0])} of it at most, {most[1]}'s" if most else ""


def difference(value: float | None) -> str:
    """A difference of probabilities to three digits: `0.0199`, `4.2e-08`."""
    return MISSING if value is None else f"{value:.3g}"


def environment(told: Environment) -> list[tuple[str, str]]:
    """The facts of an environment as rows of names and printable values."""
    return [(name, _printable(value)) for name, value in facts(told)]


def _printable(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or MISSING
    return MISSING if value is None else str(value)
