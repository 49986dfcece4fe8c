"""A trial's samples as reports need them: when requests came due and ended, and which are the window's."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from bench.errors import UsageError
from bench.model import Trial
from bench.statistics.tail_bounds import Floats

Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
TIMES, OUTCOME = ("due_ns", "done_ns"), "outcome"
# the longest that a trial can last, in ns, and more than a day beyond
MOST_NS = 10**14 * 2


@dataclass(frozen=True, slots=True)
class Responses:
    """All requests of a trial, in ns since its start; `right` marks those with a right answer."""

    due_ns: Ints
    done_ns: Ints
    right: Mask

    @property
    def times_ms(self) -> Floats:
        """The response times, due to done."""
        return (self.done_ns - self.due_ns).astype(np.float64) / 1e6


def read_responses(path: Path) -> Responses:
    """Read a trial's file of samples; raises UsageError if it cannot be read."""
    try:
        return _responses(pq.read_table(path, columns=[*TIMES, OUTCOME]))
    # what a damaged file makes of the library's own reading is of many classes
    except (
        pa.ArrowException,
        OSError,
        ValueError,
        TypeError,
        LookupError,
        MemoryError,
        OverflowError,
    ) as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise UsageError(
            f"{path.name} in the run's samples cannot be read ({first[:200]}): "
            "fetch it again, or remove it, and the report goes on without it"
        ) from None


def _responses(samples: pa.Table) -> Responses:
    """The columns as they are computed with; raises ValueError if they are not a trial's."""
    found = {name: samples[name].combine_chunks() for name in (*TIMES, OUTCOME)}
    if any(column.null_count for column in found.values()):
        raise ValueError("a column has empty places")
    if any(found[name].type != pa.int64() for name in TIMES):
        raise ValueError("a time is not a whole number of ns")
    due_ns, done_ns = (found[name].to_numpy() for name in TIMES)
    if any(len(times) and not -MOST_NS < times.min() <= times.max() < MOST_NS for times in (due_ns, done_ns)):
        raise ValueError("a time is not within days of the trial's start")
    words = found[OUTCOME].type
    if not pa.types.is_string(words.value_type if pa.types.is_dictionary(words) else words):
        raise ValueError("an outcome is not a word")
    right = pc.equal(found[OUTCOME].cast(pa.string()), "ok").to_numpy(zero_copy_only=False)
    return Responses(due_ns, done_ns, right)


def window_mask(found: Responses, trial: Trial) -> Mask:
    """Mark the window's requests, by what the trial says that it was counted by.

    Those are the requests that came due in the window; in older runs and under their closed loads, those that
    ended in it, and those that came due before its end and failed after it.
    """
    begin_ns = int(trial.warmup_s * 1e9)
    end_ns = begin_ns + int(trial.window_s * 1e9)
    due_ns, done_ns = found.due_ns, found.done_ns
    if trial.counted_by == "due":
        return (due_ns >= begin_ns) & (due_ns < end_ns)
    ended = (done_ns >= begin_ns) & (done_ns < end_ns)
    return ended | (~found.right & (due_ns < end_ns) & (done_ns >= end_ns))


def answer_times_ms(found: Responses, trial: Trial) -> Floats:
    """The response times of the window's right answers, in order of their size."""
    return np.sort(found.times_ms[window_mask(found, trial) & found.right])


@dataclass(frozen=True, slots=True)
class WindowResponses:
    """The response times of all the window's requests, in the order in which they came due, and its length.

    They are infinite if a request has no right answer: refused, failed or wrong, it is over every bound.
    `valid` says whether the trial is.
    """

    times_ms: Floats
    window_s: float
    valid: bool


def window_responses(found: Responses, trial: Trial) -> WindowResponses:
    """All the window's requests of a trial, valid or not."""
    inside = window_mask(found, trial)
    times_ms = np.where(found.right, found.times_ms, np.inf)[inside]
    ordered = times_ms[np.argsort(found.due_ns[inside], kind="stable")]
    return WindowResponses(ordered, trial.window_s, trial.valid)
