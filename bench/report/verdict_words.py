"""The verdicts of comparisons in words."""

from bench.analysis.comparisons import ENOUGH_ROUNDS, Compared, NotCompared
from bench.analysis.held_rates import HeldOutcome, HeldRates
from bench.analysis.metrics import METRICS, STARTUP, quantity
from bench.analysis.run_comparison import Counted, Measured, RowPair
from bench.report import text

NOT_TOLD_APART = "not told apart"
NOT_COMPARED = "not compared"
HELD_WORDS: dict[HeldOutcome, str] = {
    "unknown": "not known",
    "neither": "held in neither",
    "base alone": "held in base alone",
    "head alone": "held in head alone",
    "open": NOT_TOLD_APART,
    "ratio": "no verdict: one search each",
}
STAR = "*"
"""Marks what is not told apart although its own interval excludes 1: it does not stand among so many."""
MANY = f"With {STAR} the interval excludes 1, but one of so many comparisons may look like this by chance."
"""What the mark says, below a table that has it."""


def verdict_word(one: Compared) -> str:
    """The verdict in a word, or why there is none; empty if fewer than three rounds have both."""
    short = short_verdict_word(one)
    if one.outcome in ("less", "more") and not one.same_work:
        return f"{short}, at another quality of answers: not the same work"
    if one.outcome == "open among many":
        return f"{short}: one of so many comparisons may look like this by chance"
    if one.outcome == "open":
        least = text.percent(one.comparison.minimal_detectable_effect)
        return f"{short}: only a difference of {least} or more would reliably show"
    return short


def short_verdict_word(one: Compared) -> str:
    """The verdict in a word without any reason."""
    if one.outcome in ("less", "more"):
        words = METRICS[one.metric]
        return _with_number(words.above if one.outcome == "more" else words.below, one.comparison.n, "rounds")
    return "" if one.outcome is None else NOT_TOLD_APART


def why_not_compared(one: NotCompared) -> str:
    """Why two rows are not compared: `not compared: 75% and 95% of capacity`, the base's share first."""
    shares = [share for share in one.utilisations if share is not None]
    if one.why == "overloaded":
        return f"not compared: {text.listing(list(one.overloaded))} overloaded"
    if one.why == "utilisation_unknown" or len(shares) < 2:
        return "not compared: no closed loop of the same rounds says what share of capacity each had"
    written = [f"{100 * share:.0f}%" for share in shares]
    if written[0] == written[1]:
        written = [text.percent(share) for share in shares]
    return f"not compared: {text.listing(written)} of capacity"


def why_rows_not_compared(pair: RowPair) -> str:
    """Why two runs are not compared in a case: `base at 75% and head at 95% of capacity`."""
    if pair.why_not == "overloaded":
        sides = [f"{side} {text.overloaded(row)}" for side, row in pair.sides if row.overloaded]
        return text.listing(sides)
    if pair.why_not == "utilisation":
        busy = [row.utilisation.centre if row.utilisation else None for _, row in pair.sides]
        return f"base at {text.percent(busy[0])} and head at {text.percent(busy[1])} of capacity"
    rates = [f"{side} at {text.number(row.offered_rps)} requests/s" for side, row in pair.sides]
    return f"{text.listing(rates)}, of which no closed loop says what share of capacity that was"


def held_word(one: HeldRates) -> str:
    """What two searches for an objective say, in a word."""
    return HELD_WORDS[one.outcome]


def measured_word(one: Measured) -> str:
    """The verdict on two runs in a word; empty if there are too few values for one."""
    if one.why_not is not None:
        return NOT_COMPARED
    if one.outcome is None or one.comparison is None:
        return ""
    if one.outcome in ("less", "more"):
        words = quantity(one.metric)
        values = "starts" if one.metric == STARTUP.name else "rounds"
        return _with_number(words.above if one.outcome == "more" else words.below, one.comparison.n, values)
    return f"{NOT_TOLD_APART}{STAR}" if one.outcome == "open among many" else NOT_TOLD_APART


def counted_word(one: Counted) -> str:
    """Whether a count is the same in two runs; empty if one of them does not know it."""
    if one.why_not is not None:
        return NOT_COMPARED
    if one.outcome is None or one.outcome == "same":
        return one.outcome or ""
    below, above = ("fewer", "more") if one.of else ("smaller", "larger")
    return above if one.outcome == "more" else below


def _with_number(word: str, n: int, values: str) -> str:
    """The word, with the number of values it rests on if these are few."""
    return word if n >= ENOUGH_ROUNDS else f"{word} ({n} {values})"
