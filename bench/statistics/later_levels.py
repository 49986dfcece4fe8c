"""Whether a rate or a latency is another later on: spans of one long trial, before and after an instant."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

LEAST_SPANS = 5
# a span that long at least: in a shorter one there is nothing to count
SHORTEST_SPAN_S = 0.2
CHANGE_TOLERANCE = 0.10
CHANGE_SIGNIFICANCE = 0.01
# the scatter of a normal variable, from the median of the distances of two neighbours
SCATTER_OF_STEPS = 1 / (0.6745 * math.sqrt(2))
FAR = math.log(2)

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class LaterChange:
    """The ratio of the later level to the earlier one, and the later span (from 0) from which it is."""

    ratio: float
    first: int


def later_span_s(window_s: float, left_s: float) -> float | None:
    """How long the spans are in which the time after windows is cut; None if hardly any time is left there.

    They are as long as the windows, or shorter if fewer than five of those lie there.
    """
    span_s = min(window_s, left_s / LEAST_SPANS)
    return None if span_s < SHORTEST_SPAN_S else span_s


def later_change(
    before: Sequence[float],
    after: Sequence[float],
    tolerance: float = CHANGE_TOLERANCE,
    significance: float = CHANGE_SIGNIFICANCE,
    noisier: float = 1.0,
) -> LaterChange | None:
    """Compare spans before and after an instant; None if they do not differ beyond chance.

    All later spans are compared with the earlier ones, and so is their later half, which shows what sets in
    late; the greater change is returned. Levels are geometric means. The noise of a span is taken from the
    steps between neighbouring later spans, by their median, so that a level that moves once does not count as
    noise; an earlier span is `noisier` by this factor, if it is shorter. A level that is less than half or
    more than double also counts if no later span comes near an earlier one. Values must be above 0; None if
    there are fewer than five later spans, or no earlier one.
    """
    if not before or len(after) < LEAST_SPANS:
        return None
    earlier, later = np.log(np.asarray(before, dtype=float)), np.log(np.asarray(after, dtype=float))
    noise = float(np.median(np.abs(np.diff(later)))) * SCATTER_OF_STEPS
    found = []
    for first in (0, len(later) // 2):
        rest = later[first:]
        shift = float(rest.mean() - earlier.mean())
        counts = len(earlier) / noisier**2, len(rest)
        sure = _differs(shift, noise, counts, significance) or _apart(earlier, rest, shift)
        if sure and abs(math.expm1(shift)) > tolerance:
            found.append(LaterChange(math.exp(shift), first))
    return max(found, key=lambda one: abs(math.log(one.ratio)), default=None)


def _apart(earlier: Floats, later: Floats, shift: float) -> bool:
    """Whether the levels are a factor of two apart and no later span lies near an earlier one."""
    gap = later.min() - earlier.max() if shift > 0 else earlier.min() - later.max()
    return abs(shift) > FAR and float(gap) > FAR / 2


def _differs(shift: float, noise: float, spans: tuple[float, float], significance: float) -> bool:
    """Whether so great a shift between means of so many spans is beyond chance."""
    error = noise * math.sqrt(sum(1 / count for count in spans))
    return abs(shift) > float(special.stdtrit(max(2, sum(spans) - 2), 1 - significance / 2)) * error
