"""Cells made from values: each has its text, its interval, and the number by which it sorts."""

import math
from collections.abc import Callable
from dataclasses import replace

from bench.analysis.comparisons import Compared
from bench.analysis.metrics import METRICS, Metric
from bench.analysis.summary import Row, Summary
from bench.report import text
from bench.report.document import Cell, Tone
from bench.report.quality_words import DAGGER, after_name, mark
from bench.report.verdict_words import STAR, short_verdict_word
from bench.statistics import Comparison, Estimate

BLANK = Cell("", missing=True)
MISSING = Cell(text.MISSING, missing=True)
OWN_RATE = Cell("own rate")
BASELINE = Cell("1 (baseline)", value=1.0)
Raw = str | float | int | bool | None


def words(shown: str) -> Cell:
    """Words, or nothing."""
    return Cell(shown) if shown else BLANK


def strategy(summary: Summary, name: str) -> Cell:
    """The name of a strategy beside its figures; behind it stands its quality, if that is not exact."""
    return Cell(name, after=after_name(summary, name))


def to_baseline(summary: Summary, row: Row) -> Cell:
    """The ratio of throughput to the baseline, marked if the two do not promise the same of their answers."""
    return ratio(row.to_baseline, mark(summary, row.strategy, summary.baseline))


def raw(value: Raw) -> Cell:
    """A value as programs read it."""
    if value is None:
        return MISSING
    if isinstance(value, bool):
        return Cell("true" if value else "false")
    if isinstance(value, float) and math.isinf(value):
        return Cell(text.NEVER)
    return Cell(value) if isinstance(value, str) else Cell(str(value), value=value)


def count(value: int | None) -> Cell:
    """A whole number with its thousands set apart."""
    return MISSING if value is None else Cell(text.spaced(value), value=value)


def of(part: int, whole: int) -> Cell:
    """A count among others: `5 of 6`."""
    return Cell(f"{part} of {whole}", value=part)


def number(value: float | None) -> Cell:
    """A figure to three digits."""
    return MISSING if value is None else Cell(text.number(value), value=value)


def estimate(value: Estimate | None, scale: float = 1.0, after: str = "") -> Cell:
    """The centre and, if it is known, the interval."""
    if value is None:
        return MISSING
    centre = value.centre * scale
    sorts_by = centre if math.isfinite(centre) else None
    return Cell(text.number(centre), text.interval(value, scale), after, sorts_by)


def of_row(row: Row, metric: Metric, after: str = "", *, said: bool = False) -> Cell:
    """A row's figure; of an overloaded row the least and the most of its rounds, and no interval.

    If `said`, the cell says too in how many trials the row was overloaded.
    """
    found = row.estimates[metric.name]
    if not row.overloaded:
        return estimate(found, metric.scale, after)
    after = f", {text.overloaded(row)}" if said else after
    if found is None:
        return Cell(text.MISSING, "", after, missing=True)
    spread = row.spread(metric.name)
    value = found.centre * metric.scale
    return Cell(text.spread(spread, metric.scale), "", after, value if math.isfinite(value) else None)


def measured(metric: Metric) -> Callable[[Row], Cell]:
    """What a row's cell is in the column of this metric."""
    return lambda row: of_row(row, metric)


def money(value: Estimate | None) -> Cell:
    """A price to three digits, however small, and its interval."""
    if value is None:
        return MISSING
    shown, interval = text.money_parts(value)
    return Cell(shown, interval, value=value.centre)


def ratio(value: Comparison | Estimate | None, after: str = "") -> Cell:
    """A ratio and, if it is known, its interval, to two decimals."""
    if value is None:
        return MISSING
    centre = value.ratio if isinstance(value, Comparison) else value.centre
    interval = "" if value.low is None or value.high is None else text.span((value.low, value.high))
    return Cell(f"{centre:.2f}{text.TIMES}", interval, after, centre)


def plain_ratio(value: float | None) -> Cell:
    """A ratio without an interval."""
    return MISSING if value is None else Cell(f"{value:.2f}{text.TIMES}", value=value)


def span(value: tuple[float, float] | None) -> Cell:
    """An interval of a ratio on its own; it sorts by its lower end."""
    return MISSING if value is None else Cell(text.span(value), value=value[0])


def percent(value: float | None) -> Cell:
    """A share as a percentage."""
    return MISSING if value is None else Cell(text.percent(value), value=100 * value)


def utilisation(row: Row) -> Cell:
    """The share of capacity that an open load reached, with its interval; empty for a closed load."""
    if not row.case.at_due_times:
        return BLANK
    found = row.utilisation
    if found is None:
        return MISSING
    ends = (
        ""
        if found.low is None or found.high is None
        else f"{100 * found.low:.0f}{text.DASH}{100 * found.high:.0f}%"
    )
    return Cell(text.percent(found.centre), ends, value=100 * found.centre)


def effect(value: float | None) -> Cell:
    """The smallest difference that shows: `±1.8%`."""
    return MISSING if value is None else Cell(f"±{text.percent(value)}", value=100 * value)


def p_value(value: float | None) -> Cell:
    """A p to two digits."""
    return MISSING if value is None else Cell(text.p_value(value), value=value)


def mebibytes(value: float | None, after: str = "") -> Cell:
    """A size in MiB with its unit."""
    return MISSING if value is None else Cell(text.mebibytes(value), "", after, value / text.MIB)


def judged(one: Compared) -> Cell:
    """The ratio of a comparison, and the word of its verdict; no word if there are too few rounds for it."""
    star = STAR if one.outcome == "open among many" else ""
    shown = ratio(one.comparison, "" if one.same_work else DAGGER)
    return replace(shown, word=f"{short_verdict_word(one)}{star}", tone=tone(one))


def tone(one: Compared) -> Tone | None:
    """What a verdict means for the strategy that is compared; None if it means neither good nor bad.

    A difference is for the better or the worse only if both did the same: latencies at equal rates, all else
    at equal loads, and answers of one quality.
    """
    if one.outcome is None:
        return None
    if one.outcome not in ("less", "more"):
        return "open"
    same = one.relation != "cases" and one.case.same_for_all and one.same_work
    if not same or (METRICS[one.metric].unit == "ms" and not one.case.at_due_times):
        return None
    return "better" if one.outcome == METRICS[one.metric].better else "worse"
