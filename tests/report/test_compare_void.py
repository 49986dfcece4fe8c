"""A comparison with a run, or a load, of which nothing is valid is no success and says so."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.cli import main
from bench.model import Run, Trial
from bench.run_file import write_run
from tests.running.doubts import doubt

Compare = Callable[[Run, Run], tuple[int, str, str]]


@pytest.fixture
def compare(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Compare:
    def call(base: Run, head: Run) -> tuple[int, str, str]:
        for name, run in (("before", base), ("after", head)):
            (tmp_path / name).mkdir()
            write_run(run, tmp_path / name)
        code = main(["compare", str(tmp_path / "before"), str(tmp_path / "after"), "--json"])
        printed = capsys.readouterr()
        return code, json.loads(printed.out)["sentence"], printed.err

    return call


def void(run: Run, where: Callable[[Trial], bool] = lambda _: True) -> Run:
    trials = tuple(
        dataclasses.replace(one, valid=False, doubts=(doubt("gone", "exited"),)) if where(one) else one
        for one in run.trials
    )
    return dataclasses.replace(run, trials=trials, created="2026-02-03T04:05:06+00:00")


def test_two_valid_runs_are_compared(compare: Compare, run: Run) -> None:
    code, sentence, told = compare(run, dataclasses.replace(run, created="2026-02-03T04:05:06+00:00"))
    assert (code, told) == (0, "")
    assert "after is not told apart from before in any of " in sentence


@pytest.mark.parametrize("side", ["before", "after"])
def test_a_run_of_which_nothing_is_valid_is_not_compared_by_its_starts(
    compare: Compare, run: Run, side: str
) -> None:
    """Its starts are valid, and told apart or not they say nothing of the two runs."""
    runs = (void(run), run) if side == "before" else (run, void(run))
    code, sentence, told = compare(*runs)
    assert code == 4
    assert told == "bench: nothing of the two runs can be compared: the lines above say why\n"
    assert "told apart" not in sentence
    assert sentence == (f"No load is compared: no load has figures in both runs. {side} has no valid trial.")


def test_a_run_without_any_trial_is_not_compared_by_its_starts(compare: Compare, run: Run) -> None:
    code, sentence, _ = compare(run, dataclasses.replace(run, trials=()))
    assert code == 4
    assert "after has no valid trial." in sentence


def test_runs_that_share_no_load_are_not_compared_by_their_starts(
    compare: Compare, with_trials: Callable[..., Run]
) -> None:
    small, seed = (
        with_trials(lambda one, kind=kind: one.payload_class == kind) for kind in ("small", "seed")
    )
    code, sentence, told = compare(small, seed)
    assert code == 4
    assert sentence == "No load is compared: no load has figures in both runs."
    assert "nothing of the two runs can be compared" in told


def test_a_strategy_that_is_void_in_one_run_is_named_and_no_success(compare: Compare, run: Run) -> None:
    code, sentence, told = compare(run, void(run, lambda one: one.strategy == "onnx"))
    assert code == 4
    assert "after is not told apart from before in any of " in sentence
    assert "Without a valid trial: onnx at small, json, 50 clients in after; onnx at seed" in sentence
    assert told == "bench: some of what both runs have is not compared: the lines above say why\n"


def test_one_valid_round_of_six_is_compared_with_what_there_is(compare: Compare, run: Run) -> None:
    code, sentence, _ = compare(run, void(run, lambda one: one.round > 3))
    assert code == 0
    assert "Without" not in sentence
