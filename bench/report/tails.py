"""Latency curves from a run's raw samples: each percentile as far as the number of samples supports it."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc
import pyarrow.parquet as pq

from bench import statistics
from bench.model import Run, Trial
from bench.report.summary import Case, case_of

POINTS = 80
FIRST = 0.1
READ_MOST = (0.5, 0.9, 0.95, 0.99, 0.999, 0.9999)
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Curve:
    """Latency in ms at each quantile, pooled over rounds, and the span of rounds, NaN beyond any."""

    quantiles: Floats
    latency_ms: Floats
    lowest_ms: Floats
    highest_ms: Floats
    n: int
    rounds: int


def curves(run: Run, folder: Path) -> dict[tuple[str, Case], Curve]:
    """A curve for each strategy and case with samples enough; without invalid trials and missing files."""
    groups: dict[tuple[str, Case], list[Floats]] = {}
    for trial in run.trials:
        path = folder / trial.samples if trial.valid and trial.samples else None
        if path is not None and path.is_file():
            groups.setdefault((trial.strategy, case_of(trial)), []).append(read_latency_ms(path, trial))
    found = {key: curve(rounds) for key, rounds in groups.items()}
    return {key: value for key, value in found.items() if value is not None}


def read_latency_ms(path: Path, trial: Trial) -> Floats:
    """The response times in ms, due to done, of the requests rightly answered within the window."""
    start_ns = int(trial.warmup_s * 1e9)
    end_ns = start_ns + int(trial.window_s * 1e9)
    samples = pq.read_table(path, columns=["due_ns", "done_ns", "outcome"])
    done = samples["done_ns"]
    inside = pc.and_(pc.greater_equal(done, start_ns), pc.less(done, end_ns))
    kept = samples.filter(pc.and_(inside, pc.equal(samples["outcome"], "ok")))
    latency_ns = kept["done_ns"].to_numpy() - kept["due_ns"].to_numpy()
    return np.asarray(latency_ns, dtype=np.float64) / 1e6


def curve(rounds: Iterable[Floats]) -> Curve | None:
    """Pool rounds into one curve; None where no quantile has enough samples."""
    ordered = [np.sort(latencies) for latencies in rounds]
    pooled = np.sort(np.concatenate(ordered)) if ordered else np.empty(0)
    top = statistics.greatest_quantile(len(pooled))
    if top == 0:
        return None
    evenly = 1 - np.logspace(np.log10(1 - FIRST), np.log10(1 - top), POINTS)
    quantiles = np.union1d(evenly, [quantile for quantile in READ_MOST if quantile <= top])
    each = np.array([_at(latencies, quantiles) for latencies in ordered])
    # NaN, which hides the span, wherever one round does not reach
    lowest, highest = each.min(axis=0), each.max(axis=0)
    return Curve(quantiles, _at(pooled, quantiles), lowest, highest, len(pooled), len(ordered))


def _at(ordered: Floats, quantiles: Floats) -> Floats:
    """Nearest-rank quantiles of sorted values; NaN beyond the highest quantile that their number supports."""
    if len(ordered) == 0:
        return np.full(len(quantiles), np.nan)
    ranks = np.clip(np.ceil(len(ordered) * quantiles - 1e-9).astype(int), 1, len(ordered))
    values: Floats = ordered[ranks - 1].copy()
    values[quantiles > statistics.greatest_quantile(len(ordered)) + 1e-12] = np.nan
    return values
