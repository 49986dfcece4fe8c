"""A closed window counts what was sent in it: a stall across its end is in every figure but throughput."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from bench.analysis.responses import answer_times_ms, read_responses, window_responses
from bench.load.samples import Samples, write_parquet
from bench.load.window import WindowFigures, summarise
from bench.model import OUTCOMES, ClosedLoad, LatencyMs, Trial
from tests.statistics.processes import samples_of

CLIENTS, SERVICE_S, BEGIN_S, WINDOW_S = 8, 0.1, 5.0, 8.0
END_S = BEGIN_S + WINDOW_S
HTTP_ERROR = OUTCOMES.index("http_error")


def stalling(at_s: float, stall_s: float = 2.0, seed: int = 1) -> Samples:
    """Clients of a service of about 100 ms, which pauses once: what is in it then takes longer by that."""
    rng = np.random.default_rng(seed)
    due, done = [], []
    for _ in range(CLIENTS):
        now = rng.uniform(0, SERVICE_S)
        while now < END_S:
            ends = now + SERVICE_S * np.exp(rng.normal(0, 0.1))
            ends += stall_s if now < at_s <= ends else 0.0
            due.append(now)
            done.append(ends)
            now = ends
    return samples_of(np.array(due), np.array(done))


def judged(samples: Samples) -> WindowFigures:
    return summarise(samples, CLIENTS, BEGIN_S, WINDOW_S)


def ended(samples: Samples) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
    return (samples.done_ns >= BEGIN_S * 1e9) & (samples.done_ns < END_S * 1e9)


@pytest.mark.parametrize("ahead_s", [0.2, 0.8, 1.5])
def test_a_stall_across_the_end_is_in_the_figures_and_no_fault_of_the_driver(ahead_s: float) -> None:
    samples = stalling(END_S - ahead_s)
    figures = judged(samples)
    assert figures.latency_ms.p99 == pytest.approx(2100, rel=0.05)
    assert [one.code for one in figures.doubts if one.cause == "driver"] == []
    assert figures.counted_by == "due"
    # broken on purpose: of what ended in the window nothing waited
    by_end = np.quantile((samples.done_ns - samples.due_ns)[ended(samples)] / 1e6, 0.99)
    assert by_end < 200


def test_throughput_alone_counts_what_ended_in_the_window() -> None:
    samples = stalling(END_S - 0.8)
    assert judged(samples).throughput_rps == ended(samples).sum() / WINDOW_S


@pytest.mark.parametrize("at_s", [BEGIN_S - 1.0, BEGIN_S + 3.0])
def test_a_stall_elsewhere_is_no_fault_of_the_driver_either(at_s: float) -> None:
    assert [one.code for one in judged(stalling(at_s)).doubts if one.cause == "driver"] == []


def test_all_shares_are_of_the_requests_that_were_sent_in_the_window() -> None:
    """As it was, failures after the window's end counted and right answers after it did not."""
    samples = stalling(END_S - 0.8)
    late = np.flatnonzero((samples.done_ns >= END_S * 1e9) & (samples.due_ns < END_S * 1e9))
    samples.outcome[late[::2]] = HTTP_ERROR
    figures = judged(samples)
    assert figures.errors == len(late) / 2
    assert figures.ok + figures.errors == figures.requests
    inside = (samples.due_ns >= BEGIN_S * 1e9) & (samples.due_ns < END_S * 1e9)
    assert figures.requests == inside.sum()


@pytest.mark.parametrize("seed", range(20))
def test_steady_clients_are_steady_by_when_they_sent(seed: int) -> None:
    assert judged(stalling(99.0, seed=seed)).valid


def test_a_report_counts_by_what_the_trial_says_and_older_runs_as_they_were(tmp_path: Path) -> None:
    samples, none = stalling(END_S - 0.8), LatencyMs(None, None, None)
    trial = Trial(
        "onnx", 1, "small", "json", ClosedLoad(CLIENTS, BEGIN_S, WINDOW_S), WINDOW_S, BEGIN_S, 0, 0, 0, 0,
        None, none, None, None, None, (), True, None, counted_by="due",
    )  # fmt: skip
    write_parquet(samples, tmp_path / "a.parquet", strategy="onnx", round_=1, payload_class="small")
    found = read_responses(tmp_path / "a.parquet")
    times_ms = window_responses(found, trial).times_ms
    assert len(times_ms) == judged(samples).requests
    assert times_ms.max() > 2000
    older = answer_times_ms(found, dataclasses.replace(trial, counted_by="ended"))
    assert len(older) == ended(samples).sum()
    assert older.max() < 200
