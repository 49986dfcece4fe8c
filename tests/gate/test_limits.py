"""Limits: counted to the byte and the answer, and never passed where something is missing."""

import dataclasses

import pytest
from msgspec import UNSET

from bench.gate import judge
from bench.model import Environment, ParityResult, Run, RunSettings
from bench.report.verdict import FORMATS
from bench.report.verdict.verdict_sentences import finding_sentence
from bench.report.verdict.verdict_terminal import render as on_terminal
from tests.gate.runs import (
    BASE,
    EQUAL,
    IMAGE_BYTES,
    beside,
    limit_rules,
    only,
    run_of,
    stored,
    times,
    with_head,
    with_trials,
)

SLOW = beside({"onnx": EQUAL}, {"onnx": times(0.86)})
SAME = beside({"onnx": EQUAL}, {"onnx": times(1.0)})


def test_limits_do_not_hang_on_the_machine() -> None:
    base, head = run_of({"onnx": EQUAL}), run_of({"onnx": EQUAL})
    moved = dataclasses.replace(head, environment=Environment(kernel="another"))
    assert judge(limit_rules(metric="wrong_answers", most=0), stored(base, moved)).verdict == "pass"


@pytest.mark.parametrize(
    ("more", "bound", "verdict"),
    [
        (5_000_000, {"increase": "2 MB"}, "regression"),
        (2_000_000, {"increase": "2 MB"}, "pass"),
        (2_000_001, {"increase": "2 MB"}, "regression"),
        (-5_000_000, {"increase": 0}, "pass"),
        (1, {"increase": 0}, "regression"),
        (3_000_000, {"increase": "1%"}, "pass"),
        (3_000_001, {"increase": "1%"}, "regression"),
        (0, {"most": "300 MB"}, "pass"),
        (1, {"most": "300 MB"}, "regression"),
    ],
)
def test_an_image_is_held_to_its_bound_to_the_byte(more: int, bound: dict[str, object], verdict: str) -> None:
    batch = stored(run_of({"onnx": EQUAL}), run_of({"onnx": EQUAL}, IMAGE_BYTES + more))
    judgement = judge(limit_rules(metric="image_unpacked_bytes", **bound), batch)
    assert judgement.verdict == verdict
    if more and "increase" in bound:
        assert f"({more:+d} bytes)" in finding_sentence(only(judgement))


@pytest.mark.parametrize(
    ("base", "head", "bound", "whose"),
    [
        (None, IMAGE_BYTES, {"increase": "2 MB"}, "base's"),
        (IMAGE_BYTES, None, {"increase": "2 MB"}, "head's"),
        (None, None, {"most": "9 GB"}, "head's"),
    ],
)
def test_an_image_that_was_not_measured_never_passes(
    base: int | None, head: int | None, bound: dict[str, object], whose: str
) -> None:
    batch = stored(run_of({"onnx": EQUAL}, base), run_of({"onnx": EQUAL}, head))
    judgement = judge(limit_rules(metric="image_unpacked_bytes", **bound), batch)
    assert judgement.exit_code == 4
    assert f"the size of {whose} image was not measured" in finding_sentence(only(judgement))


def test_one_wrong_answer_of_an_invalid_trial_breaks_the_limit() -> None:
    run = run_of({"onnx": EQUAL})
    voided = dataclasses.replace(run.trials[0], wrong_answers=1, valid=False)
    head = dataclasses.replace(run, trials=(voided, *run.trials[1:]))
    judgement = judge(limit_rules(metric="wrong_answers", most=0), stored(run, head))
    assert judgement.exit_code == 3
    assert "onnx wrong answers: 1 of 6\N{NO-BREAK SPACE}031 answers checked, beyond" in finding_sentence(
        only(judgement)
    )


def test_no_wrong_answer_says_which_rate_that_excludes() -> None:
    """0 of 6 030: 1 - 0.05^(1/6030) = 0.0497%, about 3 in 6 030."""
    run = run_of({"onnx": EQUAL})
    sentence = finding_sentence(only(judge(limit_rules(metric="wrong_answers", most=0), stored(run, run))))
    assert "0 of 6\N{NO-BREAK SPACE}030 answers checked, which excludes a rate above 0.05% at 95%" in sentence


def test_wrong_answers_of_the_second_batch_count_too() -> None:
    wrong = with_head(SLOW, with_trials(SLOW.head, "onnx", wrong_answers=1))
    rules = limit_rules(metric="wrong_answers", most=0, strategy="onnx")
    assert judge(rules, SLOW).verdict == "pass"
    assert judge(rules, SLOW, wrong).verdict == "regression"


def test_a_wrong_answer_before_the_window_counts_too() -> None:
    wrong = with_head(SLOW, with_trials(SLOW.head, "onnx", wrong_answers_outside=1))
    rules = limit_rules(metric="wrong_answers", most=0, strategy="onnx")
    assert judge(rules, wrong).verdict == "regression"


def test_wrong_answers_of_base_are_not_those_of_head() -> None:
    wrong = with_head(SAME, with_trials(SAME.head, f"onnx{BASE}", wrong_answers=3))
    assert judge(limit_rules(metric="wrong_answers", most=0), wrong).verdict == "pass"


def with_tolerance(run: Run, strategy: str, tolerance: float) -> Run:
    """The run in which probabilities of this strategy's answers may be so far off."""
    result = dataclasses.replace(run.strategies[strategy], parity=ParityResult(73, 0, tolerance, 0.01))
    return dataclasses.replace(run, strategies={**run.strategies, strategy: result})


@pytest.mark.parametrize(("allowed", "noted"), [(0.02, False), (0.5, True), (0.001, True)])
def test_answers_that_are_judged_by_other_tolerances_are_told(allowed: float, noted: bool) -> None:
    """A commit may loosen the label that says what a wrong answer is."""
    run = with_tolerance(with_tolerance(SAME.head, f"onnx{BASE}", 0.02), "onnx", allowed)
    judgement = judge(limit_rules(metric="wrong_answers", most=0), with_head(SAME, run))
    assert bool(only(judgement).notes) == noted
    told = f"head's answers may be {allowed:g} off, one of base's 0.02"
    assert (told in FORMATS["markdown"].render(judgement)) == noted


@pytest.mark.parametrize("metric", ["wrong_answers", "error_rate"])
def test_a_trial_that_broke_off_is_no_proof_that_nothing_went_wrong(metric: str) -> None:
    run = run_of({"onnx": EQUAL})
    broken = dataclasses.replace(run.trials[2], requests=0, ok=0, valid=False, error="it ended by itself")
    head = dataclasses.replace(run, trials=(*run.trials[:2], broken, *run.trials[3:]))
    judgement = judge(limit_rules(metric=metric, most=0), stored(run, head))
    assert judgement.exit_code == 4
    assert "of 6 trials of head, one or more broke off" in finding_sentence(only(judgement))
    worse = with_trials(head, "onnx", wrong_answers=1, errors=1)
    assert judge(limit_rules(metric=metric, most=0), stored(run, worse)).exit_code == 3


def test_a_failed_request_breaks_a_limit_of_none_and_not_one_of_a_percent() -> None:
    run = run_of({"onnx": EQUAL})
    head = with_trials(run, "onnx", errors=1)
    assert judge(limit_rules(metric="error_rate", most="0%"), stored(run, head)).verdict == "regression"
    assert judge(limit_rules(metric="error_rate", most="1%"), stored(run, head)).verdict == "pass"


def test_a_general_limit_is_for_what_head_has_and_one_with_a_name_for_what_it_lost_too() -> None:
    base, head = run_of({"onnx": EQUAL, "torch": EQUAL}), run_of({"onnx": EQUAL})
    found = judge(limit_rules(metric="wrong_answers", most=0), stored(base, head)).findings
    assert [(one.strategy, one.verdict) for one in found] == [("onnx", "pass")]
    named = only(judge(limit_rules(metric="wrong_answers", most=0, strategy="torch"), stored(base, head)))
    assert (named.strategy, named.verdict) == ("torch", "invalid")
    assert "head does not have it" in finding_sentence(named)


@pytest.mark.parametrize("metric", ["image_unpacked_bytes", "image_own_bytes"])
def test_a_size_that_base_lacks_with_the_strategy_is_told_as_that(metric: str) -> None:
    base, head = run_of({"torch": EQUAL}), run_of({"onnx": EQUAL})
    finding = only(judge(limit_rules(metric=metric, increase="2 MB"), stored(base, head)))
    assert (finding.verdict, "base does not have it" in finding_sentence(finding)) == ("invalid", True)


def test_a_strategy_that_only_head_has_is_neither_passed_nor_failed() -> None:
    batch = dataclasses.replace(SAME, only_head=("mosec",))
    judgement = judge(limit_rules(metric="wrong_answers", most=0), batch)
    assert [(one.kind, one.strategy, one.verdict) for one in judgement.findings] == [
        ("limit", "onnx", "pass"),
        ("strategy", "mosec", "inconclusive"),
    ]
    assert judgement.exit_code == 5
    for told in (
        FORMATS["markdown"].render(judgement),
        on_terminal(judgement, 100),
        FORMATS["junit"].render(judgement),
    ):
        assert "mosec is not in base: nothing was compared" in told
    assert '"rule": "strategy.mosec"' in FORMATS["json"].render(judgement)


def unchecked_run(payload_class: str, unchecked: dict[str, int], sent: int, mix: dict[str, float]) -> Run:
    """A run of requests of one class, so many of which nothing checks."""
    run = run_of({"onnx": EQUAL})
    names = {payload_class: tuple(f"{place}" for place in range(sent))}
    settings = RunSettings(payloads=names, unchecked=unchecked, mix=mix or UNSET)
    trials = tuple(dataclasses.replace(one, payload_class=payload_class) for one in run.trials)
    environment = dataclasses.replace(run.environment, settings=settings)
    return dataclasses.replace(run, trials=trials, environment=environment)


@pytest.mark.parametrize(
    ("payload_class", "unchecked", "sent", "mix", "verdict"),
    [
        ("small", {"small": 3}, 3, {}, "invalid"),
        ("small", {"small": 3}, 4, {}, "pass"),
        ("small", {"seed": 3}, 3, {}, "pass"),
        ("mix", {"small": 1, "seed": 2}, 3, {"small": 1.0, "seed": 2.0}, "invalid"),
        ("mix", {"small": 1}, 3, {"small": 1.0, "seed": 2.0}, "pass"),
    ],
)
def test_no_wrong_answer_among_answers_that_nothing_checks_is_no_pass(
    payload_class: str, unchecked: dict[str, int], sent: int, mix: dict[str, float], verdict: str
) -> None:
    run = unchecked_run(payload_class, unchecked, sent, mix)
    judgement = judge(limit_rules(metric="wrong_answers", most=0), stored(run, run))
    assert judgement.verdict == verdict
    told = "onnx wrong answers not judged: nothing says which of its answers are right: record the right ones"
    assert (told in finding_sentence(only(judgement))) is (verdict == "invalid")


def test_answers_of_a_class_that_nothing_checks_do_not_count_beside_others() -> None:
    half, other = unchecked_run("small", {"small": 3}, 3, {}), run_of({"onnx": EQUAL})
    seed = tuple(dataclasses.replace(one, payload_class="seed") for one in other.trials)
    run = dataclasses.replace(half, trials=(*half.trials, *seed))
    sentence = finding_sentence(only(judge(limit_rules(metric="wrong_answers", most=0), stored(run, run))))
    assert "0 of 6\N{NO-BREAK SPACE}030 answers checked" in sentence
