"""What every section and picture is made from: a run, its summary, and the figures of its samples."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from bench.analysis.cases import Case, case_in
from bench.analysis.overload import judged_by_load
from bench.analysis.responses import WindowResponses, answer_times_ms, read_responses, window_responses
from bench.analysis.summary import Row, Summary, summarise
from bench.analysis.timelines import Timeline, timeline
from bench.model import Run, Trial

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Latencies = Mapping[tuple[str, Case], tuple[Floats, ...]]
Timelines = Mapping[tuple[str, Case], tuple[Timeline, ...]]
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class RunAnalysis:
    """A run with its summary and its samples' figures; its trials are judged by load.

    `latencies` holds sorted response times in ms, an array for each valid trial, and `windows_s` the length
    of all their windows together. `responses` holds all requests of each window that tells of the tail: of
    valid trials, and of those that are void by the service's own doing, which would hide its worst rounds.
    `timelines` holds the timeline of each trial of the cases in focus, of invalid trials too.
    """

    run: Run
    summary: Summary
    latencies: Latencies
    windows_s: Mapping[tuple[str, Case], float]
    timelines: Timelines
    responses: Mapping[tuple[str, Case], tuple[WindowResponses, ...]]

    def trials(self, row: Row) -> list[Trial]:
        """The trials of a row, valid or not."""
        return [t for t in self.run.trials if t.strategy == row.strategy and case_in(self.run, t) == row.case]


def analyse(run: Run, folder: Path) -> RunAnalysis:
    """Sum a run up and read its samples, each file once; files that are missing are left out."""
    run = judged_by_load(run)
    summary = summarise(run)
    latencies: dict[tuple[str, Case], list[Floats]] = {}
    timelines: dict[tuple[str, Case], list[Timeline]] = {}
    responses: dict[tuple[str, Case], list[WindowResponses]] = {}
    windows_s: dict[tuple[str, Case], float] = {}
    for trial in run.trials:
        key = trial.strategy, case_in(run, trial)
        path = folder / trial.samples if trial.samples else None
        tells = trial.valid or trial.void_by_service
        if path is None or not path.is_file() or not (tells or key[1] in summary.focus):
            continue
        found = read_responses(path)
        if tells:
            responses.setdefault(key, []).append(window_responses(found, trial))
        if trial.valid:
            latencies.setdefault(key, []).append(answer_times_ms(found, trial))
            windows_s[key] = windows_s.get(key, 0.0) + trial.window_s
        if key[1] in summary.focus:
            timelines.setdefault(key, []).append(
                timeline(trial, found.done_ns[found.right], found.times_ms[found.right])
            )
    return RunAnalysis(run, summary, _frozen(latencies), windows_s, _frozen(timelines), _frozen(responses))


def _frozen(groups: Mapping[tuple[str, Case], list[Item]]) -> dict[tuple[str, Case], tuple[Item, ...]]:
    return {key: tuple(items) for key, items in groups.items()}
