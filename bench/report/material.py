"""What every section and picture is made of: a run, its summary, and the response times from its samples."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc
import pyarrow.parquet as pq

from bench.model import Run, Trial
from bench.report.cases import Case, case_of
from bench.report.summary import Row, Summary, summarise

Floats = npt.NDArray[np.float64]
Latencies = Mapping[tuple[str, Case], tuple[Floats, ...]]


@dataclass(frozen=True, slots=True)
class Material:
    """A run with its summary.

    `latencies` holds sorted response times in ms, an array a valid trial, and `windows_s` how long their
    windows were together.
    """

    run: Run
    summary: Summary
    latencies: Latencies
    windows_s: Mapping[tuple[str, Case], float]

    def trials(self, row: Row) -> list[Trial]:
        """The trials that a row sums up, invalid ones too."""
        return [t for t in self.run.trials if t.strategy == row.strategy and case_of(t) == row.case]


def gather(run: Run, folder: Path) -> Material:
    """Sum a run up and read its samples, each file once; files that are missing are left out."""
    groups: dict[tuple[str, Case], list[Floats]] = {}
    windows_s: dict[tuple[str, Case], float] = {}
    for trial in run.trials:
        path = folder / trial.samples if trial.valid and trial.samples else None
        if path is not None and path.is_file():
            key = trial.strategy, case_of(trial)
            groups.setdefault(key, []).append(read_latency_ms(path, trial))
            windows_s[key] = windows_s.get(key, 0.0) + trial.window_s
    return Material(run, summarise(run), {key: tuple(found) for key, found in groups.items()}, windows_s)


def read_latency_ms(path: Path, trial: Trial) -> Floats:
    """The response times in ms, due to done, of the requests rightly answered in the window, in order."""
    start_ns = int(trial.warmup_s * 1e9)
    end_ns = start_ns + int(trial.window_s * 1e9)
    samples = pq.read_table(path, columns=["due_ns", "done_ns", "outcome"])
    done = samples["done_ns"]
    inside = pc.and_(pc.greater_equal(done, start_ns), pc.less(done, end_ns))
    kept = samples.filter(pc.and_(inside, pc.equal(samples["outcome"], "ok")))
    latency_ns = kept["done_ns"].to_numpy() - kept["due_ns"].to_numpy()
    return np.sort(np.asarray(latency_ns, dtype=np.float64)) / 1e6
