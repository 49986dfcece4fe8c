"""A strategy against itself: what the report says of the machine."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from bench.analysis.against_itself import Pair, pairs_of, self_comparisons
from bench.analysis.comparisons import ALPHA
from bench.analysis.run_analysis import analyse
from bench.analysis.summary import summarise
from bench.errors import UsageError
from bench.model import LatencyMs, Run, StrategyResult, Twin
from bench.report import aa_verdict, report_md, too_few_rounds
from bench.report.report import report_of

NOISE = 0.02


def twice(result: StrategyResult, of: str) -> StrategyResult:
    return dataclasses.replace(result, twin=Twin(of, "again"))


def again(run: Run, *, slower: float = 1.0, rounds: int = 6, noise: float = NOISE) -> Run:
    """The run's onnx twice, the second slower by a factor and both with noise from round to round."""
    rng = np.random.default_rng(11)
    trials = []
    for trial in run.trials:
        if trial.strategy != "onnx" or trial.round > rounds:
            continue
        for name, factor in (("onnx", 1.0), ("onnx-again", slower)):
            shift = factor * float(np.exp(rng.normal(0, noise)))
            p50, p99 = 217 * shift, 350 * shift * float(np.exp(rng.normal(0, noise)))
            trials.append(
                dataclasses.replace(
                    trial,
                    strategy=name,
                    throughput_rps=230 / shift,
                    latency_ms=LatencyMs(p50, 1.3 * p50, p99),
                    cpu_ms_per_request=4.3 * shift,
                    samples=None,
                )
            )
    onnx = run.strategies["onnx"]
    return dataclasses.replace(
        run,
        trials=tuple(trials),
        planned_trials=len(trials),
        strategies={"onnx-again": twice(onnx, "onnx"), "onnx": onnx},
    )


def words(text: str) -> str:
    return " ".join(text.split())


def test_a_pair_is_two_names_of_one_title_the_repetition_second(run: Run) -> None:
    assert pairs_of(again(run)) == [Pair("onnx", "onnx-again")]
    assert pairs_of(run) == []
    two = dataclasses.replace(run, strategies={name: run.strategies[name] for name in ("torch", "onnx")})
    assert pairs_of(two) == []
    named = dataclasses.replace(run, strategies=dict.fromkeys(("A", "B"), run.strategies["onnx"]))
    assert pairs_of(named) == [Pair("A", "B")]


def test_each_strategy_of_several_is_compared_with_itself_alone(run: Run, tmp_path: Path) -> None:
    one = again(run)
    other = tuple(
        dataclasses.replace(
            trial,
            strategy=trial.strategy.replace("onnx", "torch"),
            throughput_rps=(trial.throughput_rps or 0) / 2,
        )
        for trial in one.trials
    )
    torch = run.strategies["torch"]
    strategies = {**one.strategies, "torch": torch, "torch-again": twice(torch, "torch")}
    both = dataclasses.replace(one, trials=one.trials + other, strategies=strategies)
    said = words(aa_verdict(both))
    assert "A/A of onnx over 6 rounds: no difference" in said
    assert "A/A of torch over 6 rounds: no difference" in said
    report = report_md.render(report_of(analyse(both, tmp_path))).split("\n## ")[1]
    assert report.count("| requests/s |") == 4, "two strategies with two classes of payloads"
    assert "0.50" not in "".join(
        line.split("|")[4] for line in report.splitlines() if line.startswith("| torch")
    )


def test_no_difference_is_found_where_there_is_none_and_the_least_that_shows_is_told(run: Run) -> None:
    said = words(aa_verdict(again(run)))
    assert said.startswith("A/A of onnx over 6 rounds: no difference shown where there is none.")
    assert "of 8 95% intervals miss 1, where 0.40 would by chance" in said
    assert "The detectable change on this machine, with 6 rounds: requests/s " in said
    assert "small, requests/s: 1.0" in said or "small, requests/s: 0.9" in said
    assert "holds 1, p " in said


def test_more_noise_takes_more_rounds(run: Run) -> None:
    def rounds_for_5_percent(noise: float) -> int:
        said = words(aa_verdict(again(run, noise=noise)))
        return int(said.split("rounds needed: ")[1].split(" for 5%")[0].replace("\N{NO-BREAK SPACE}", ""))

    quiet, loud = rounds_for_5_percent(0.01), rounds_for_5_percent(0.06)
    assert 2 <= quiet < 8
    assert loud > 3 * quiet


def test_smaller_differences_take_more_rounds(run: Run) -> None:
    needs = words(aa_verdict(again(run))).split("rounds needed: ")[1].split(".")[0]
    five, two = (int(part.split(" for ")[0]) for part in needs.split(" and "))
    assert two > five >= 2


def test_a_machine_that_tells_a_strategy_apart_from_itself_is_called_out(run: Run) -> None:
    said = words(aa_verdict(again(run, slower=1.3)))
    assert "FALSE DIFFERENCE in requests/s (small)" in said
    assert "no difference shown" not in said
    assert "misses 1" in said


def test_one_round_says_that_it_says_nothing(run: Run, tmp_path: Path) -> None:
    one = again(run, rounds=1)
    said = words(aa_verdict(one))
    assert "nothing can be said of this machine" in said
    assert "from one round: no interval" in said
    report = report_md.render(report_of(analyse(one, tmp_path)))
    assert "nothing can be said of this machine" in report


def test_too_few_rounds_are_told_with_how_many_are_enough(run: Run) -> None:
    assert too_few_rounds(6) is too_few_rounds(7) is None
    assert str(too_few_rounds(1)).startswith("one round has no intervals, so nothing can be said of this ")
    assert "in 5 rounds the signs" in str(too_few_rounds(5))
    assert "take 6 rounds" in str(too_few_rounds(5))
    # and so it is: by the signs alone, five rounds that all differ one way are chance, and six are not
    for rounds, shown in ((5, False), (6, True)):
        summary = summarise(again(run, slower=1.3, rounds=rounds))
        every = self_comparisons(summary, pairs_of(again(run, slower=1.3, rounds=rounds)))
        assert any((one.comparison.p_value or 1.0) <= ALPHA for one in every) is shown


def test_the_verdict_fits_a_hundred_columns(run: Run) -> None:
    for one in (again(run), again(run, slower=1.3), again(run, rounds=1)):
        assert max(map(len, aa_verdict(one).splitlines())) <= 100


def test_a_run_of_different_strategies_is_refused_with_the_remedy(run: Run) -> None:
    with pytest.raises(UsageError, match="make one with `python -m bench aa`"):
        aa_verdict(run)


def test_the_report_begins_with_the_verdict_and_its_table(run: Run, tmp_path: Path) -> None:
    report = report_md.render(report_of(analyse(again(run), tmp_path)))
    assert report.split("\n## ")[1].startswith("The same against itself\n")
    assert "| strategy | case | metric | again to first | 1 is inside |" in report
    assert "rounds for 5% | rounds for 2% |" in report
