"""What the gate says of answers: limits on the held-out set, and head against base of another promise."""

import dataclasses

import pytest

from bench.gate import Batch, judge
from bench.gate.rules import rules_of
from bench.model import EXACT, HeldOutResult, Quality, Run
from bench.report.verdict.verdict_sentences import finding_sentence
from tests.gate.runs import BASE, EQUAL, beside, limit_rules, only, run_of, stored, throughput_rules, times

AGREEMENT = Quality("agreement", agreement=0.98, loss=0.01)


def answering(run: Run, name: str, found: HeldOutResult | None, quality: Quality = EXACT) -> Run:
    result = dataclasses.replace(run.strategies[name], held_out=found, quality=quality)
    return dataclasses.replace(run, strategies={**run.strategies, name: result})


def held(same: int, right: int = 700, truths: int = 1000) -> HeldOutResult:
    return HeldOutResult(2000, same, 0, truths, right, 710, 0.1)


@pytest.mark.parametrize(
    ("metric", "found", "most", "verdict"),
    [
        ("disagreement", held(1980), "1%", "pass"),
        ("disagreement", held(1979), "1%", "regression"),
        ("disagreement", held(2000), 0, "pass"),
        ("accuracy_loss", held(1980, 700), "1%", "pass"),
        ("accuracy_loss", held(1980, 699), "1%", "regression"),
        ("accuracy_loss", held(1980, 715), 0, "pass"),
    ],
)
def test_answers_to_the_held_out_set_are_bounded_to_the_picture(
    metric: str, found: HeldOutResult, most: object, verdict: str
) -> None:
    run = run_of({"onnx": EQUAL})
    judgement = judge(limit_rules(metric=metric, most=most), stored(run, answering(run, "onnx", found)))
    assert judgement.verdict == verdict
    assert "of 2\N{NO-BREAK SPACE}000 held-out pictures" in finding_sentence(only(judgement))


@pytest.mark.parametrize(
    ("metric", "found"),
    [("disagreement", None), ("accuracy_loss", None), ("accuracy_loss", held(1980, 0, 0))],
)
def test_what_was_not_asked_does_not_pass(metric: str, found: HeldOutResult | None) -> None:
    run = run_of({"onnx": EQUAL}, None)
    judgement = judge(limit_rules(metric=metric, most="1%"), stored(run, answering(run, "onnx", found)))
    assert judgement.verdict == "invalid"
    assert "head was not asked the held-out set" in finding_sentence(only(judgement))


def other(factor: float = 1.2) -> Batch:
    batch = beside({"onnx": EQUAL}, {"onnx": times(factor)})
    run = answering(batch.head, "onnx", held(1980), AGREEMENT)
    assert run.strategies["onnx" + BASE].quality == EXACT
    return dataclasses.replace(batch, base=run, head=run)


def test_a_faster_head_that_promises_less_is_no_improvement_and_says_so() -> None:
    sentence = finding_sentence(only(judge(throughput_rules("onnx"), other())))
    assert "base declares exact and head agreement" in sentence
    assert sentence.endswith("so it is not the same work")
    assert "improvement" not in sentence
    alike = beside({"onnx": EQUAL}, {"onnx": times(1.2)})
    sentence = finding_sentence(only(judge(throughput_rules("onnx"), alike)))
    assert "an improvement" in sentence
    assert "declares" not in sentence


def test_these_limits_are_bounds_and_no_increases() -> None:
    rules = rules_of({"limit": [{"metric": "disagreement", "most": "2%"}]})
    assert rules.limits[0].amount.value == 0.02
    with pytest.raises(Exception, match="takes no increase"):
        rules_of({"limit": [{"metric": "disagreement", "increase": "2%"}]})
