"""What grows or falls with uptime: each figure of a long trial over its tenths, and its trend."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from bench.model import LongTrial, UptimeSpan
from bench.statistics import Slope, later_span_s, theil_sen

# what an allocator takes and gives back is less
LEAST_GROWTH = 0.01


@dataclass(frozen=True, slots=True)
class UptimeFigure:
    """One figure over the tenths of a long trial, None in a tenth without it.

    `trend` is the change from the begin to the end of the trial as a share of the median (Theil and Sen, with
    its 95% interval); None if fewer than five tenths have the figure.
    """

    values: tuple[float | None, ...]
    trend: Slope | None


def looked_beyond(long: LongTrial) -> bool:
    """Whether enough of a long trial lies after the uptimes that the windows cover to compare them."""
    window_s, left_s = long.window_end_s - long.window_begin_s, long.length_s - long.window_end_s
    return bool(long.spans) and later_span_s(window_s, left_s) is not None


def grown_memory(long: LongTrial) -> Slope | None:
    """The trend of memory over a long trial, if it grows by 1% or more and beyond chance; None if not."""
    trend = figures_of(long)["memory"].trend
    return trend if trend is not None and trend.low > 0 and trend.centre >= LEAST_GROWTH else None


def figures_of(long: LongTrial) -> Mapping[str, UptimeFigure]:
    """Throughput (requests/s), p50 and p99 (ms) and memory (bytes) of a long trial by its tenths."""
    found: dict[str, list[float | None]] = {
        "throughput": [one.throughput_rps for one in long.spans],
        "p50": [one.p50_ms for one in long.spans],
        "p99": [one.p99_ms for one in long.spans],
        "memory": [None if one.memory_bytes is None else float(one.memory_bytes) for one in long.spans],
    }
    return {name: UptimeFigure(tuple(values), _trend(long.spans, values)) for name, values in found.items()}


def _trend(spans: tuple[UptimeSpan, ...], values: list[float | None]) -> Slope | None:
    known = [
        ((span.begin_s + span.end_s) / 2, value)
        for span, value in zip(spans, values, strict=True)
        if value is not None
    ]
    middle = float(np.median([value for _, value in known])) if known else 0.0
    if middle <= 0:
        return None
    length_s = spans[-1].end_s - spans[0].begin_s
    return theil_sen([at / length_s for at, _ in known], [value / middle for _, value in known])
