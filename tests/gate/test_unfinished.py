"""A run that was cut short, and a driver that was the limit: neither passes."""

import dataclasses
from collections.abc import Callable

import pytest

from bench.gate import Batch, judge
from bench.gate.rules import rules_of
from bench.model import OtherCommit, Run, RunSettings
from bench.report.verdict.verdict_sentences import finding_sentence
from tests.gate.runs import (
    BASE,
    EQUAL,
    beside,
    only,
    stored,
    throughput_rules,
    times,
    trial,
    with_head,
    with_trials,
)
from tests.running.doubts import doubt

ONNX = throughput_rules("onnx")
LIMITS = rules_of(
    {
        "limit": [
            {"metric": "wrong_answers", "most": 0},
            {"metric": "image_unpacked_bytes", "increase": "2 MB"},
        ]
    }
)
SAME = beside({"onnx": EQUAL}, {"onnx": times(1.0)})
SLOW = beside({"onnx": EQUAL}, {"onnx": times(0.86)})
SATURATED = doubt(
    "the driver itself reaches 900 requests/s at most", "driver_may_limit", voids=False, cause="driver"
)


def planned(batch: Batch, change: Callable[[Run], Run]) -> Batch:
    """The batch of a run of six planned rounds, changed."""
    settings = RunSettings(rounds=6, side_by_side=OtherCommit("main", "abc1234"))
    environment = dataclasses.replace(batch.head.environment, settings=settings)
    run = dataclasses.replace(batch.head, environment=environment)
    return with_head(batch, change(run))


def interrupted(run: Run) -> Run:
    cut = doubt("the run is not complete, it was interrupted: 1 of 12 trials are missing", "incomplete")
    return dataclasses.replace(run, doubts=(cut,))


def without(name: str, number: int) -> Callable[[Run], Run]:
    return lambda run: dataclasses.replace(
        run, trials=tuple(one for one in run.trials if (one.strategy, one.round) != (name, number))
    )


def with_a_spare(run: Run) -> Run:
    """Round 4 of head is missing, and a spare round stands behind the planned ones."""
    spare = [trial(name, 7, 100.0) for name in ("onnx", f"onnx{BASE}")]
    return dataclasses.replace(without("onnx", 4)(run), trials=(*without("onnx", 4)(run).trials, *spare))


CUT = {
    "interrupted": (interrupted, "ended before its plan (the run is not complete, it was interrupted"),
    "head": (without("onnx", 6), "head lacks round 6 of the 6 planned"),
    "base": (without(f"onnx{BASE}", 2), "base lacks round 2 of the 6 planned"),
    "spare": (with_a_spare, "head lacks round 4 of the 6 planned"),
}


@pytest.mark.parametrize("how", CUT)
def test_a_batch_that_was_cut_short_does_not_pass(how: str) -> None:
    change, why = CUT[how]
    finding = only(judge(ONNX, planned(SAME, change)))
    assert (finding.verdict, finding.comparison) == ("invalid", None)
    assert why in finding_sentence(finding)
    wrong, size = judge(LIMITS, planned(SAME, change)).findings
    # wrong answers of head do not hang on base's rounds
    assert (wrong.verdict, size.verdict) == ("pass" if how == "base" else "invalid", "invalid")
    assert why in finding_sentence(size)


def test_all_planned_rounds_with_or_without_a_spare_one_pass() -> None:
    assert judge(ONNX, planned(SAME, lambda run: run)).verdict == "pass"
    spare = trial("onnx", 7, 100.0), trial(f"onnx{BASE}", 7, 100.0)
    more = planned(SAME, lambda run: dataclasses.replace(run, trials=(*run.trials, *spare)))
    assert judge(ONNX, more).verdict == "pass"


def test_a_round_that_lacks_one_of_its_payloads_is_missing() -> None:
    def with_seeds(run: Run) -> Run:
        seeds = [dataclasses.replace(one, payload_class="seed") for one in run.trials]
        return dataclasses.replace(run, trials=(*run.trials, *seeds[:-1]))

    lacking = only(judge(ONNX, planned(SAME, with_seeds)))
    assert (lacking.verdict, "lacks round 6" in finding_sentence(lacking)) == ("invalid", True)


def test_a_limit_that_is_broken_stays_so_whatever_is_missing() -> None:
    wrong = planned(SAME, lambda run: interrupted(with_trials(run, "onnx", wrong_answers=1)))
    assert judge(LIMITS, wrong).findings[0].verdict == "regression"


@pytest.mark.parametrize("how", CUT)
def test_a_second_batch_that_was_cut_short_confirms_nothing(how: str) -> None:
    change, why = CUT[how]
    finding = only(judge(ONNX, planned(SLOW, lambda run: run), planned(SLOW, change)))
    assert finding.verdict == "invalid"
    assert "its second batch cannot be judged" in finding_sentence(finding)
    assert why in finding_sentence(finding)


def test_a_stored_baseline_that_was_cut_short_does_not_pass() -> None:
    base = planned(SAME, interrupted).head
    finding = only(judge(ONNX, stored(base, planned(SAME, lambda run: run).head)))
    assert finding.verdict == "invalid"
    assert "base's run ended before its plan" in finding_sentence(finding)


@pytest.mark.parametrize("side", ["onnx", f"onnx{BASE}"])
def test_where_the_driver_may_be_the_limit_nothing_passes(side: str) -> None:
    doubtful = with_head(SAME, with_trials(SAME.head, side, doubts=(SATURATED,)))
    finding = only(judge(ONNX, doubtful))
    assert (finding.verdict, finding.rounds_to_decide) == ("inconclusive", None)
    assert "the driver may be the limit in 6 of 12 valid trials, which hides a change" in finding_sentence(
        finding
    )
    assert any("6 of 6 valid trials: the driver itself reaches 900" in note for note in finding.notes)


def test_a_regression_that_a_driver_at_its_limit_shows_all_the_same_stays_one() -> None:
    doubtful = with_head(SLOW, with_trials(SLOW.head, "onnx", doubts=(SATURATED,)))
    assert judge(ONNX, doubtful, doubtful).verdict == "regression"


def test_other_doubts_of_valid_trials_are_told_once_a_kind_and_change_no_verdict() -> None:
    run = SAME.head
    warned = tuple(
        dataclasses.replace(one, doubts=(doubt(f"the host stole {place}% of the service core's time"),))
        for place, one in enumerate(run.trials)
    )
    finding = only(judge(ONNX, with_head(SAME, dataclasses.replace(run, trials=warned))))
    assert finding.verdict == "pass"
    assert len(finding.notes) == 2
    assert finding.notes[0].startswith("base, 6 of 6 valid trials: the host stole ")
