"""What the gate makes of long trials: what sets in later is no pass, and a second batch confirms it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from bench.gate import Batch, Judgement, RuleFinding, judge
from bench.model import LongTrial, UptimeSpan
from bench.report.verdict import FORMATS
from tests.gate.runs import BASE, EQUAL, beside, stored, throughput_rules, times, trial, with_head
from tests.running.doubts import doubt

RULES = throughput_rules("onnx")
# windows end after 12 s of uptime: tenths of 6 s, of which the third and all after it lie beyond
LENGTH_S, WINDOW = 60.0, (2.0, 12.0)
STEADY = (100.0, 101.0, 99.0, 100.5, 99.5, 100.2, 99.8, 101.2, 98.9, 100.1)


def long(name: str, rates: Sequence[float]) -> LongTrial:
    spans = tuple(
        UptimeSpan(6.0 * place, 6.0 * place + 6.0, round(6 * rate), rate, 10.0, 20.0, None)
        for place, rate in enumerate(rates)
    )
    return LongTrial(trial(name, 0, 100.0), LENGTH_S, *WINDOW, spans)


def batch(head: Sequence[float], base: Sequence[float] = STEADY) -> Batch:
    made = beside({"onnx": EQUAL}, {"onnx": times(1.0)})
    longs = (long("onnx", head), long(f"onnx{BASE}", base))
    return with_head(made, replace(made.head, longs=longs))


def of_long(judgement: Judgement) -> RuleFinding:
    return next(one for one in judgement.findings if one.kind == "long")


def late(factor: float) -> tuple[float, ...]:
    """As steady in the windows, and by this factor slower or faster later."""
    return (*STEADY[:2], *(rate * factor for rate in STEADY[2:]))


def test_an_equal_long_trial_passes_and_the_pass_says_how_far_it_looked() -> None:
    found = judge(RULES, batch(tuple(reversed(STEADY))))
    assert found.verdict == "pass"
    text = FORMATS["text"].render(found).replace("\n", " ")
    assert "Judged from 2.0 to 12.0 s after the first request, and up to 60 s by one long trial" in text


@pytest.mark.parametrize("name", ["onnx", f"onnx{BASE}"])
def test_a_long_trial_of_one_side_alone_is_no_look_further(name: str) -> None:
    made = beside({"onnx": EQUAL}, {"onnx": times(1.0)})
    found = judge(RULES, with_head(made, replace(made.head, longs=(long(name, STEADY),))))
    assert found.uptimes is not None
    assert found.uptimes.long_s is None


@pytest.mark.parametrize("factor", [0.0, 0.025, 0.5, 0.8])
def test_what_sets_in_after_the_windows_is_a_regression_once_confirmed(factor: float) -> None:
    first = batch(late(factor))
    alone = judge(RULES, first)
    assert (of_long(alone).verdict, alone.suspects) == ("inconclusive", ("onnx",))
    both = judge(RULES, first, first)
    assert (both.verdict, both.exit_code) == ("regression", 3)
    assert "confirmed by a second batch" in FORMATS["markdown"].render(both)
    once = judge(RULES, first, batch(STEADY))
    assert (of_long(once).verdict, once.verdict) == ("inconclusive", "inconclusive")


def test_a_rule_that_looked_at_windows_alone_would_pass_it() -> None:
    first = batch(late(0.025))
    without = with_head(first, replace(first.head, longs=()))
    found = judge(RULES, without)
    assert found.verdict == "pass"
    assert "what sets in later was not looked at" in FORMATS["text"].render(found).replace("\n", " ")


@pytest.mark.parametrize("factor", [0.9, 1.0, 1.5])
def test_a_little_less_or_any_more_passes(factor: float) -> None:
    assert of_long(judge(RULES, batch(late(factor)))).verdict == "pass"


def test_the_slow_begin_of_head_is_not_the_long_trials_affair() -> None:
    """The rounds judge that: their windows cover it."""
    assert of_long(judge(RULES, batch((10.0, 20.0, *STEADY[2:])))).verdict == "pass"


def test_a_long_trial_that_was_not_made_is_invalid_and_no_pass() -> None:
    first = batch(STEADY)
    failed = LongTrial(replace(trial("onnx", 0, None), error=doubt("no model here")), LENGTH_S, *WINDOW)
    for longs in ((failed, first.head.longs[1]), first.head.longs[1:]):
        found = of_long(judge(RULES, with_head(first, replace(first.head, longs=longs))))
        assert found.verdict == "invalid"


def test_one_that_ends_with_the_windows_is_invalid() -> None:
    first = batch(STEADY)
    longs = tuple(replace(one, spans=one.spans[:4]) for one in first.head.longs)
    assert of_long(judge(RULES, with_head(first, replace(first.head, longs=longs)))).verdict == "invalid"


@pytest.mark.parametrize(("factor", "verdict"), [(1.0, "pass"), (0.5, "inconclusive")])
def test_a_stored_baseline_is_compared_too(factor: float, verdict: str) -> None:
    made = batch(late(factor))
    one = {"onnx": made.head.strategies["onnx"]}
    trials = tuple(t for t in made.head.trials if t.strategy == "onnx")
    head = replace(made.head, strategies=one, trials=trials, longs=made.head.longs[:1])
    base = replace(head, longs=(long("onnx", STEADY),))
    assert of_long(judge(RULES, stored(base, head))).verdict == verdict


@pytest.mark.parametrize("alone", ["base", "head"])
def test_if_only_one_of_two_stored_runs_has_long_trials_that_is_said_plainly_and_is_no_pass(
    alone: str,
) -> None:
    made = batch(STEADY)
    one = {"onnx": made.head.strategies["onnx"]}
    trials = tuple(t for t in made.head.trials if t.strategy == "onnx")
    with_long = replace(made.head, strategies=one, trials=trials, longs=(long("onnx", STEADY),))
    without = replace(with_long, longs=())
    runs = (with_long, without) if alone == "base" else (without, with_long)
    found = judge(RULES, stored(*runs))
    assert of_long(found).verdict == "invalid"
    assert (found.verdict, found.uptimes and found.uptimes.alone) == ("invalid", alone)
    other = "head" if alone == "base" else "base"
    text = FORMATS["text"].render(found).replace("\n", " ")
    assert f"only {alone} was measured with long trials: measure {other} with --long too" in text
    assert f"what sets in later was not compared, as only {alone} has long trials" in text


def test_wrong_answers_in_a_long_trial_break_their_limit() -> None:
    from bench.gate.rules import rules_of

    rules = rules_of({"limit": [{"metric": "wrong_answers", "most": 0}]})
    first = batch(STEADY)
    longs: Mapping[bool, LongTrial] = {
        ours: next(one for one in first.head.longs if (one.trial.strategy == "onnx") is ours)
        for ours in (True, False)
    }
    wrong = replace(longs[True], trial=replace(longs[True].trial, wrong_answers=3))
    found = judge(rules, with_head(first, replace(first.head, longs=(wrong, longs[False]))))
    assert found.verdict == "regression"
