"""A sweep has the variants of a strategy by the values of a setting, and compares latency at equal loads.

Variants of two runs are the same if their settings are, whatever their names.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from bench.analysis.choice import choose
from bench.analysis.run_comparison import compare_runs
from bench.analysis.summary import summarise
from bench.analysis.sweeps import Sweep, equal_load, sweeps
from bench.analysis.trends import entries, trends
from bench.errors import UsageError
from bench.model import OpenLoad, Run, SloResult, StrategyResult, Variant
from bench.report.compare_runs.comparison_sentences import sentence
from bench.report.index import make_index
from bench.run_file import write_run
from tests.gate.runs import EQUAL, run_of, times, trial


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


def with_rates(run: Run, *loads: OpenLoad, void: int = 0) -> Run:
    """The run with open loads too; all trials of the last `void` of them are invalid."""
    trials = [
        replace(trial(one.strategy, one.round, None if place >= len(loads) - void else 100.0), load=load)
        for one in run.trials
        for place, load in enumerate(loads)
    ]
    return replace(run, trials=(*run.trials, *trials), planned_trials=len(run.trials) + len(trials))


def lateness_at(run: Run) -> list[str]:
    """Where the sentence of a run compares lateness."""
    standings = choose(run, summarise(run)).standings
    return [one.case.load for one in standings if one.criterion == "lateness" and one.case]


LOW, HIGH = OpenLoad(10.0, 2.0, 10.0), OpenLoad(20.0, 2.0, 10.0)


@pytest.mark.parametrize(
    ("loads", "void", "at"),
    [
        ((LOW, HIGH), 0, "20 requests/s"),
        ((LOW, HIGH), 1, "10 requests/s"),
        ((LOW, HIGH), 2, None),
        ((LOW, OpenLoad(90.0, 2.0, 10.0, share=0.9, of_slowest=True)), 0, "90% of the slowest's capacity"),
        ((OpenLoad(5.0, 2.0, 10.0, share=0.9, of_slowest=True), LOW), 0, "10 requests/s"),
    ],
)
def test_picture_and_sentence_compare_latency_at_one_rate_that_has_figures(
    loads: tuple[OpenLoad, ...], void: int, at: str | None
) -> None:
    run = with_rates(run_of({"a": EQUAL, "b": EQUAL}), *loads, void=void)
    summary = summarise(run)
    (closed,) = summary.focus
    assert equal_load(summary, closed).load == (at or closed.load)
    assert lateness_at(run) == ([at] if at else [])


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


def later(run: Run) -> Run:
    return replace(run, created="2026-02-02T03:04:05+00:00")


def held(run: Run, *names: str) -> Run:
    found = tuple(SloResult(name, "small", "json", 0.99, 100.0, 50.0, 50.0, 50.0, ()) for name in names)
    return replace(run, objectives=found)


def test_one_name_for_other_settings_is_not_compared() -> None:
    base = held(varied({"onnx-1": {"X": "a/b"}, "onnx-x-2": {"X": "2"}, "torch": {}}), "onnx-1", "torch")
    fast = run_of({"onnx-1": times(2.0), "onnx-x-2": EQUAL, "torch": EQUAL})
    settings = {"onnx-1": {"X": "c/d"}, "onnx-x-2": {"X": "2"}, "torch": {}}
    head = later(held(replace(fast, strategies=varied(settings).strategies), "onnx-1", "torch"))
    found = compare_runs(base, head, "a", "b")
    compared = {one.strategy for one in (*found.measured, *found.counted)}
    assert compared == {"onnx-x-2", "torch"}
    assert {pair.head.strategy for pair in found.rows} == compared
    assert [one.of.strategy for one in found.held] == ["torch"]
    assert (found.only_base, found.only_head) == ((), ())
    told = "onnx-1 (onnx with X=a/b in a, onnx with X=c/d in b)"
    assert f"Not compared, as both runs give the name to other settings: {told}." in sentence(found)
    assert "other settings" not in sentence(compare_runs(base, later(base), "a", "b"))


def test_a_strategy_as_configured_is_no_variant_of_its_name() -> None:
    base, head = varied({"onnx-x-1": {"X": "1"}}), later(varied({"onnx-x-1": {}}))
    said = (
        r"^a \(onnx-x-1\) and b \(onnx-x-1\) share no strategy, as settings of onnx-x-1 differ: compare runs"
    )
    with pytest.raises(UsageError, match=said):
        compare_runs(base, head, "a", "b")


def test_one_name_for_other_settings_is_not_joined(tmp_path: Path) -> None:
    first = varied({"onnx-1": {"X": "a/b"}, "torch": {}})
    runs = {"a": first, "b": later(varied({"onnx-1": {"X": "c/d"}, "torch": {}})), "c": later(first)}
    followed = trends(entries([(name, run, summarise(run)) for name, run in runs.items()]))
    places = {
        (one.strategy, one.variant and one.variant.settings["X"]): [
            point.place for point in one.points["throughput"]
        ]
        for one in followed
    }
    assert places == {("onnx-1", "a/b"): [0, 2], ("onnx-1", "c/d"): [1], ("torch", None): [0, 1, 2]}
    for name, run in runs.items():
        (tmp_path / name).mkdir()
        write_run(run, tmp_path / name)
    page = make_index(tmp_path).path.read_text()
    assert re.findall(r"<h3>(.*)</h3>", page) == ["onnx-1 (X=a/b)", "onnx-1 (X=c/d)", "torch"]
    rows = re.findall(r'<tr><th scope="row"[^>]*>(onnx-1[^<]*) <', page)
    assert sorted(rows) == ["onnx-1 (X=a/b)", "onnx-1 (X=a/b)", "onnx-1 (X=c/d)"]
