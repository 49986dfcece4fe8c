"""The course of a trial: right answers a second and their response time, in short bins."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bench.model import Trial

# so long that a batch of 16, which ends in this bin or in the next, does not look like unsteadiness
BIN_S = 1.0
MOST_BINS = 60
# how much of the drain is kept, as a share of the window
DRAIN_SHARE = 0.15

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Timeline:
    """One trial in bins of `bin_s` seconds. The window begins at 0, and the warm-up lies before it.

    `middle_s` has the middle of each bin, `answered_per_s` the right answers a second that ended in it, and
    `median_ms` their median response time, NaN in a bin without answers.
    """

    round: int
    valid: bool
    window_s: float
    bin_s: float
    middle_s: Floats
    answered_per_s: Floats
    median_ms: Floats


def timeline(trial: Trial, done_ns: Ints, latency_ms: Floats) -> Timeline:
    """Bin a trial's right answers by when they ended, in ns since its start, with their response times."""
    within = int(np.clip(round(trial.window_s / BIN_S), 1, MOST_BINS))
    width = trial.window_s / within
    since_s = done_ns.astype(np.float64) / 1e9 - trial.warmup_s
    before = int(trial.warmup_s / width)
    drained = max(0.0, float(since_s.max(initial=0.0)) - trial.window_s)
    # whole bins alone: one in which the last answer ended early looks like a fall
    after = min(int(drained / width), int(np.ceil(DRAIN_SHARE * within)))
    places = np.floor(since_s / width).astype(np.int64) + before
    bins = before + within + after
    kept = (places >= 0) & (places < bins)
    counts = np.bincount(places[kept], minlength=bins)
    return Timeline(
        round=trial.round,
        valid=trial.valid,
        window_s=trial.window_s,
        bin_s=width,
        middle_s=(np.arange(bins, dtype=np.float64) - before + 0.5) * width,
        answered_per_s=counts / width,
        median_ms=_medians(places[kept], latency_ms[kept], counts),
    )


def _medians(places: Ints, values: Floats, counts: Ints) -> Floats:
    """The median of each bin's values by nearest rank, NaN in a bin without values."""
    ordered = values[np.lexsort((values, places))]
    middles = np.cumsum(counts) - counts + (counts - 1) // 2
    medians = np.full(len(counts), np.nan)
    some = counts > 0
    medians[some] = ordered[middles[some]]
    return medians
