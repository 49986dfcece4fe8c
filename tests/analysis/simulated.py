"""Runs of simulated services: each trial is judged from its samples as a measured one is."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from bench.load.samples import Samples, write_parquet
from bench.load.window import summarise
from bench.model import Doubt, OpenLoad, Run, StrategyResult, Trial
from tests.bench.plans import plan, run_of

WARMUP_S, WINDOW_S = 2.0, 10.0


def judged(samples: Samples, round_: int, rate: float, folder: Path | None = None) -> Trial:
    """The trial of a service under an open load; its samples are written if there is a folder."""
    load = OpenLoad(rate, WARMUP_S, WINDOW_S)
    found = summarise(samples, None, WARMUP_S, WINDOW_S)
    name = f"samples/served-{load.name}-{round_}.parquet"
    if folder is not None:
        (folder / "samples").mkdir(parents=True, exist_ok=True)
        write_parquet(samples, folder / name, strategy="served", round_=round_, payload_class="small")
    return Trial(
        "served", round_, "small", "json", load, WINDOW_S, WARMUP_S, found.requests, found.ok, found.errors,
        found.wrong_answers, found.throughput_rps, found.latency_ms, None, None, None, found.doubts,
        found.valid, name, refused=found.refused, counted_by=found.counted_by,
        with_failures_ms=found.with_failures_ms,
    )  # fmt: skip


def voided(trial: Trial, *doubts: Doubt) -> Trial:
    """The trial, if these doubts were held against it too."""
    return dataclasses.replace(trial, valid=False, doubts=(*trial.doubts, *doubts))


def run_with(trials: Sequence[Trial]) -> Run:
    """A run of these trials."""
    names = dict.fromkeys(one.strategy for one in trials)
    return dataclasses.replace(
        run_of(plan(), []),
        strategies={name: StrategyResult(name, None, None) for name in names},
        trials=tuple(trials),
        planned_trials=len(trials),
    )
