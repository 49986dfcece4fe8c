"""Varied payloads and repeated ones in turn, to find a service that keeps its answers."""

import dataclasses
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench.measure.judge import TrialSpec
from bench.measure.progress import Progress
from bench.measure.runtime.instance import Instance
from bench.measure.trial import run_trial
from bench.model import Payload, Trial


def drive_in_turn(
    repeated: TrialSpec, copies: Sequence[Payload], instance: Instance, progress: Progress
) -> tuple[list[Trial], list[Trial], float]:
    """Trials of half the copies, of the repeated payloads, and of both once more, on one instance.

    Returns the varied trials, the repeated ones, and how many times over the copies came again at most.
    """
    half = len(copies) // 2
    varied, again, twice = [], [], 0.0
    with tempfile.TemporaryDirectory(prefix="bench-repeat-") as scratch:
        for new in (copies[:half], copies[half:]):
            spec = dataclasses.replace(repeated, payloads=tuple(new))
            tried = run_trial(spec, instance, Path(scratch), progress)
            varied.append(tried.trial)
            twice = max(twice, len(tried.samples) / len(new) - 1)
            again.append(run_trial(repeated, instance, Path(scratch), progress).trial)
    return varied, again, twice
