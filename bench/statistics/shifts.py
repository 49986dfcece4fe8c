"""Whether response times change within a window: all of them, or the slowest tenth alone."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from bench.statistics.steadiness import BINS, TOLERANCE

# bins with requests on each side of a change of level
LEAST_SIDE = 3
# bins with requests that a line goes through
LEAST_LINE = 8
# requests of a bin whose slowest tenth is told
LEAST_TAIL = 5
TINY = 1e-9
# what a shift must exceed in its own standard errors: this much if requests do not wait, and more the longer
# a queue remembers, up to the most
LEAST_SHIFT, SHIFT_BY_MEMORY, MOST_SHIFT = 5.0, 9.0, 16.0
# a silence is a stall from half a bin on, and from so many times the usual time between two answers
STALL_BINS, STALL_GAPS = 0.5, 8

Floats = npt.NDArray[np.float64]
ShiftOf = Literal["median", "p90"]
PROBABILITIES: dict[ShiftOf, float] = {"median": 0.5, "p90": 0.9}


@dataclass(frozen=True, slots=True)
class Shift:
    """How the median or the p90 of response times changes in a window: between two levels, or bit by bit.

    `factor` is the change as a multiple (2 is twice as slow), `errors` the size of the change in its own
    standard errors, and `bound` how many of them chance explains.
    """

    of: ShiftOf
    factor: float
    errors: float
    bound: float

    def beyond(self, tolerance: float = TOLERANCE) -> bool:
        """Whether it is more than the tolerance, either way, and than chance explains."""
        return abs(math.log(self.factor)) > math.log1p(tolerance) and self.errors > self.bound


def shifts(due: npt.ArrayLike, done: npt.ArrayLike, begin: float, end: float) -> tuple[Shift, ...]:
    """The greatest change of the median of response times and of their p90, over the requests of a window.

    All arguments are in one unit. Requests lie where they came due.
    The window has fifteen bins, each with its median, and its p90 if it has five requests, on a log scale. A
    change from one level to another is looked for at each bin from the fourth to the twelfth, which is left
    out, since it may hold both levels; a change bit by bit is a line through all bins. Each is measured in
    standard errors by how the bins scatter about it, so that a stall, which is in a few bins alone, is no
    change of level. A stall at an end of the window would be: what its longest silence holds back is left
    out. The p90 tells of a part of the requests, from a seventh on, that get slower while most do not.

    A queue remembers: bins beside each other are alike, and scatter less than the level wanders. Its memory
    is about 4 N² services (M/M/1, N the mean number in flight), so the bound grows with the square root of
    the share of the window's requests that this is. It is so high that all tests of a window together call a
    steady one unsteady in about 1 of 100 at most: METHODOLOGY has the figures.

    Empty if there are fewer than fifteen such requests; a change is left out if too few bins have requests.
    """
    came, ended = np.asarray(due, dtype=np.float64), np.asarray(done, dtype=np.float64)
    values = ended - came
    inside = (came >= begin) & (came < end) & (values > 0)
    if inside.sum() < BINS:
        return ()
    in_flight = float(values[inside].sum()) / (end - begin)
    memory = 4 * in_flight**2 / int(inside.sum())
    bound = min(MOST_SHIFT, LEAST_SHIFT + SHIFT_BY_MEMORY * math.sqrt(memory))
    told = inside & ~_held_back(came, ended, inside, begin, end)
    places = np.floor((came - begin) / (end - begin) * BINS)[told]
    bins = [values[told][places == k] for k in range(BINS)]
    return tuple(_shifts(bins, bound))


def _held_back(
    came: Floats, ended: Floats, inside: npt.NDArray[np.bool_], begin: float, end: float
) -> npt.NDArray[np.bool_]:
    """The requests that waited through the longest time without an answer, if that is a stall."""
    answers = np.concatenate(([begin], np.sort(ended[inside])))
    gaps = np.diff(answers)
    longest = int(gaps.argmax())
    usual = (end - begin) / len(gaps)
    if gaps[longest] <= max(STALL_BINS * (end - begin) / BINS, STALL_GAPS * usual):
        return np.zeros(len(came), dtype=np.bool_)
    held: npt.NDArray[np.bool_] = (came < answers[longest + 1]) & (ended >= answers[longest + 1])
    return held


def _shifts(bins: list[Floats], bound: float) -> Iterator[Shift]:
    for of, probability in PROBABILITIES.items():
        least = 1 if of == "median" else LEAST_TAIL
        levels = np.log(
            [_level(values, probability) if len(values) >= least else math.nan for values in bins]
        )
        middle = range(LEAST_SIDE, BINS - LEAST_SIDE)
        changes = [_step(levels[:k], levels[k + 1 :]) for k in middle] + [_ramp(levels)]
        known = [one for one in changes if one is not None]
        if known:
            change, errors = max(known, key=lambda one: one[1])
            yield Shift(of, math.exp(change), errors, bound)


def _level(values: Floats, probability: float) -> float:
    if probability == 0.5:
        return float(np.median(values))
    rank = math.ceil(probability * len(values) - TINY)
    return float(np.partition(values, rank - 1)[rank - 1])


def _step(before: Floats, after: Floats) -> tuple[float, float] | None:
    """The difference of two levels, and its size in standard errors; None if a side has too few bins."""
    sides = [side[np.isfinite(side)] for side in (before, after)]
    counts = [len(side) for side in sides]
    if min(counts) < LEAST_SIDE:
        return None
    change = float(sides[1].mean() - sides[0].mean())
    squares = sum(float(((side - side.mean()) ** 2).sum()) for side in sides)
    error = math.sqrt(squares / (sum(counts) - 2) * sum(1 / count for count in counts))
    return change, abs(change) / max(error, TINY)


def _ramp(levels: Floats) -> tuple[float, float] | None:
    """The rise of a line through all bins over the window, and its size in standard errors."""
    places = np.flatnonzero(np.isfinite(levels))
    if len(places) < LEAST_LINE:
        return None
    x, y = places - places.mean(), levels[places] - levels[places].mean()
    slope = float(x @ y / (x @ x))
    error = math.sqrt(float(((y - slope * x) ** 2).sum()) / (len(x) - 2) / float(x @ x))
    return slope * BINS, abs(slope) / max(error, TINY)
