"""A sweep has the variants of a strategy by the values of a setting, and compares latency at equal loads."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from bench.analysis.summary import summarise
from bench.analysis.sweeps import Sweep, equal_load, sweeps
from bench.model import OpenLoad, Run, StrategyResult, Variant
from tests.gate.runs import EQUAL, run_of


def varied(settings: Mapping[str, Mapping[str, str]]) -> Run:
    """A run of variants of one strategy, by name."""
    run = run_of(dict.fromkeys(settings, EQUAL))
    results = {
        name: StrategyResult("ONNX", None, None, variant=Variant("onnx", given) if given else None)
        for name, given in settings.items()
    }
    return replace(run, strategies=results)


def only(run: Run) -> Sweep:
    (found,) = sweeps(run)
    return found


def test_a_run_without_variants_has_no_sweep() -> None:
    assert sweeps(run_of({"onnx": EQUAL})) == ()


def test_a_setting_with_one_value_is_no_sweep() -> None:
    assert sweeps(varied({"torch": {}, "onnx-a-1": {"A": "1"}})) == ()


def test_numbers_are_put_in_order_and_other_words_stay_as_they_were_asked_for() -> None:
    found = only(varied({"b": {"A": "10"}, "a": {"A": "2"}, "c": {"A": "-1"}, "torch": {}}))
    assert (found.of, found.setting, found.values) == ("onnx", "A", ("-1", "2", "10"))
    assert found.numbers == (-1.0, 2.0, 10.0)
    assert found.lines == {"": {"10": "b", "2": "a", "-1": "c"}}
    assert found.names == ("b", "a", "c")
    words = only(varied({"b": {"A": "slow"}, "a": {"A": "2"}}))
    assert (words.values, words.numbers) == (("slow", "2"), None)


def test_a_second_setting_makes_the_lines_and_one_that_does_not_differ_is_not_named() -> None:
    run = varied(
        {
            f"n{a}{b}": {"FIXED": "x", "A": a, "B": b}
            for a, b in [("1", "5"), ("1", "7"), ("2", "5"), ("2", "7")]
        }
    )
    found = only(run)
    assert (found.setting, found.values) == ("A", ("1", "2"))
    assert found.lines == {"B=5": {"1": "n15", "2": "n25"}, "B=7": {"1": "n17", "2": "n27"}}


@pytest.mark.parametrize(("overloaded", "at"), [(False, "20 requests/s"), (True, "10 requests/s")])
def test_latency_is_compared_at_the_highest_rate_that_overloaded_none(overloaded: bool, at: str) -> None:
    run = run_of({"a": EQUAL, "b": EQUAL})
    rates = [
        replace(one, load=OpenLoad(rate, 2.0, 10.0), refused=1 if overloaded and rate > 10 else 0)
        for one in run.trials
        for rate in (10.0, 20.0)
    ]
    summary = summarise(replace(run, trials=(*run.trials, *rates), planned_trials=36))
    (closed,) = summary.focus
    assert closed.kind == "closed"
    assert equal_load(summary, closed).load == at
    assert equal_load(summarise(run), closed) == closed
