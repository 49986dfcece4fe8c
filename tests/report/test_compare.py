"""When a difference is called one: the corrected p, the rounds' signs, and what is said where it is none."""

import dataclasses
from collections.abc import Mapping

import numpy as np
import pytest

from bench.analysis.comparisons import Compared, compared, to_baseline
from bench.analysis.summary import summarise
from bench.model import ClosedLoad, Run
from bench.report.verdict_words import verdict_word


def rated(run: Run, onnx: Mapping[int, float]) -> Run:
    """Two strategies with small payloads, of which torch answers 100 requests/s in every round."""
    trials = tuple(
        dataclasses.replace(
            t,
            throughput_rps=onnx[t.round] if t.strategy == "onnx" else 100.0,
            cpu_ms_per_request=None,
            latency_ms=dataclasses.replace(t.latency_ms, p50=None, p95=None, p99=None),
        )
        for t in run.trials
        if t.strategy != "batched" and t.payload_class == "small" and t.round in onnx
    )
    return dataclasses.replace(run, trials=trials)


def only(run: Run) -> Compared:
    (found,) = compared(summarise(run))
    return found


def test_six_rounds_on_one_side_are_a_difference(run: Run) -> None:
    found = only(rated(run, {1: 110.0, 2: 111.0, 3: 109.0, 4: 110.5, 5: 112.0, 6: 110.0}))
    assert found.comparison.p_value == pytest.approx(2 / 64)
    assert verdict_word(found) == "faster"


def test_less_is_slower_and_of_cpu_it_is_cheaper(run: Run) -> None:
    rounds = {1: 90.0, 2: 91.0, 3: 89.0, 4: 90.5, 5: 92.0, 6: 90.0}
    slower = rated(run, rounds)
    assert verdict_word(only(slower)) == "slower"
    cpu = tuple(
        dataclasses.replace(
            t, cpu_ms_per_request=rounds[t.round] if t.strategy == "onnx" else 100.0, throughput_rps=None
        )
        for t in slower.trials
    )
    # no throughput, no baseline: it has to be named
    (found,) = compared(summarise(dataclasses.replace(slower, trials=cpu)), {"onnx": "torch"})
    assert (found.metric, verdict_word(found)) == ("cpu", "cheaper")


def test_no_difference_says_how_large_one_would_have_to_be(run: Run) -> None:
    found = only(rated(run, {1: 99.0, 2: 101.0, 3: 98.0, 4: 102.0, 5: 100.0, 6: 101.0}))
    effect = found.comparison.minimal_detectable_effect
    assert effect is not None
    assert (
        verdict_word(found)
        == f"not told apart: only a difference of {100 * effect:.1f}% or more would reliably show"
    )


def test_fewer_rounds_have_a_verdict_that_names_their_number_and_two_have_none(run: Run) -> None:
    rounds = {1: 110.0, 2: 111.0, 3: 109.0, 4: 110.5, 5: 110.0}
    assert verdict_word(only(rated(run, rounds))) == "faster (5 rounds)"
    assert verdict_word(only(rated(run, {1: 110.0, 2: 110.1}))) == ""
    assert verdict_word(only(rated(run, {1: 110.0}))) == ""


def test_a_difference_that_one_round_carries_against_the_signs_is_none(run: Run) -> None:
    found = only(rated(run, {1: 104.0, 2: 103.0, 3: 105.0, 4: 104.0, 5: 103.5, 6: 99.9}))
    assert found.comparison.shows_difference
    assert found.comparison.p_value is not None
    assert found.comparison.p_value > 0.05
    assert verdict_word(found).startswith("not told apart: one of so many")


def test_many_comparisons_raise_the_bar(run: Run) -> None:
    """A ratio whose own interval excludes 1 is no verdict among dozens of others that show nothing."""
    rng = np.random.default_rng(5)
    near = {1: 101.0, 2: 103.0, 3: 101.5, 4: 102.5, 5: 100.4, 6: 103.0}
    alone = rated(run, near)
    assert verdict_word(only(alone)) == "faster"
    others = [
        dataclasses.replace(
            t,
            load=ClosedLoad(clients, t.load.warmup_s, t.load.window_s),
            throughput_rps=100.0 if t.strategy == "torch" else float(100 + rng.normal()),
        )
        for t in alone.trials
        for clients in range(51, 91)
    ]
    many = compared(summarise(dataclasses.replace(alone, trials=(*alone.trials, *others))))
    first = next(one for one in many if one.case.load == "50 clients")
    assert len(to_baseline(many)) == 41
    assert first.comparison.shows_difference
    assert verdict_word(first) == "not told apart: one of so many comparisons may look like this by chance"


def test_the_strategies_of_a_synthetic_run_with_no_difference_are_seldom_told_apart(run: Run) -> None:
    """Forty runs of eight comparisons: a family errs at most 5 times in 100, so hardly over six times."""
    rng = np.random.default_rng(7)
    base = [t for t in run.trials if t.payload_class == "small"]
    false = 0
    for _ in range(40):
        trials = tuple(
            dataclasses.replace(
                t,
                throughput_rps=float(100 * np.exp(rng.normal(0, 0.03))),
                cpu_ms_per_request=float(10 * np.exp(rng.normal(0, 0.03))),
                latency_ms=dataclasses.replace(
                    t.latency_ms,
                    p50=float(50 * np.exp(rng.normal(0, 0.03))),
                    p99=float(90 * np.exp(rng.normal(0, 0.05))),
                ),
            )
            for t in base
        )
        false += any(one.differs for one in compared(summarise(dataclasses.replace(run, trials=trials))))
    assert false <= 6
