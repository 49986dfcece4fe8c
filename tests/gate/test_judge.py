"""Primary metrics: what is needed to say regression, what passes, and that nothing unknown does."""

import dataclasses

import pytest

from bench.gate import EXIT_CODES, Batch, Verdict, judge
from bench.gate.rules import Rules, rules_of
from bench.model import OpenLoad, RunSettings
from bench.report.text import DASH, TIMES
from bench.report.verdict.verdict_sentences import finding_sentence
from tests.gate.runs import (
    BASE,
    EQUAL,
    beside,
    limit_rules,
    only,
    run_of,
    stored,
    throughput_rules,
    times,
    trial,
    with_head,
    with_trials,
)

ONNX = throughput_rules("onnx")
SLOW = beside({"onnx": EQUAL}, {"onnx": times(0.86)})
SAME = beside({"onnx": EQUAL}, {"onnx": times(1.0)})
# spreads by 8%: six rounds decide nothing at 5%
UNSURE = beside({"onnx": EQUAL}, {"onnx": (108.0, 93.0, 108.0, 90.0, 95.0, 110.0)})
# 3 standard errors beyond 0.95: p 0.03 with six rounds
MARGINAL = tuple(rate * wobble for rate, wobble in zip(EQUAL, (0.9436, 0.9066) * 3, strict=True))


def test_an_equal_head_passes_and_says_what_is_excluded() -> None:
    judgement = judge(ONNX, SAME)
    assert (judgement.verdict, judgement.exit_code, judgement.suspects) == ("pass", 0, ())
    assert finding_sentence(only(judgement)) == (
        f"onnx throughput 1.000{TIMES} (0.996{DASH}1.004) of base: a change for the worse of more than "
        "the allowed 5% is excluded; the detectable change is 0.5%, with 6 rounds"
    )


def test_a_faster_head_passes_as_an_improvement() -> None:
    finding = only(judge(ONNX, beside({"onnx": EQUAL}, {"onnx": times(1.2)})))
    assert finding.verdict == "pass"
    assert "excluded, an improvement" in finding_sentence(finding)


def test_a_slower_head_within_the_tolerance_passes_and_is_no_improvement() -> None:
    finding = only(judge(ONNX, beside({"onnx": EQUAL}, {"onnx": times(0.97)})))
    assert finding.verdict == "pass"
    assert "improvement" not in finding_sentence(finding)


def test_one_batch_alone_is_a_suspicion_and_names_whom_to_measure_again() -> None:
    judgement = judge(ONNX, SLOW)
    assert (judgement.verdict, judgement.exit_code) == ("inconclusive", 5)
    assert judgement.suspects == ("onnx",)
    assert only(judgement).suspect
    assert "which only a second batch of fresh containers may confirm" in finding_sentence(only(judgement))


def test_two_batches_that_agree_are_a_regression() -> None:
    judgement = judge(ONNX, SLOW, SLOW)
    assert (judgement.verdict, judgement.exit_code, judgement.suspects) == ("regression", 3, ())
    assert finding_sentence(only(judgement)) == (
        f"onnx throughput 0.860{TIMES} (0.857{DASH}0.863) of base: a regression beyond the allowed "
        f"change of 5%, confirmed by a second batch (0.860{TIMES} (0.857{DASH}0.863)); the detectable "
        "change is 0.5%, with 6 rounds"
    )


@pytest.mark.parametrize("second", [SAME, UNSURE])
def test_a_second_batch_that_does_not_agree_leaves_it_inconclusive(second: Batch) -> None:
    judgement = judge(ONNX, SLOW, second)
    assert (judgement.verdict, judgement.suspects) == ("inconclusive", ())
    assert "but a second batch does not confirm it (" in finding_sentence(only(judgement))
    assert only(judgement).confirmation is not None


def test_a_second_batch_without_enough_rounds_is_invalid_not_a_pass() -> None:
    short = beside({"onnx": EQUAL[:2]}, {"onnx": times(0.86)[:2]})
    judgement = judge(ONNX, SLOW, short)
    assert judgement.exit_code == 4
    assert "its second batch cannot be judged: 2 rounds have both" in finding_sentence(only(judgement))


def test_a_second_batch_cannot_make_a_regression_of_what_the_first_let_pass() -> None:
    assert judge(ONNX, SAME, SLOW).verdict == "pass"
    assert judge(ONNX, UNSURE, SLOW).verdict == "inconclusive"


def test_what_could_be_either_is_inconclusive_with_what_would_decide() -> None:
    finding = only(judge(ONNX, UNSURE))
    assert finding.verdict == "inconclusive"
    assert finding.comparison is not None
    assert finding.rounds_to_decide is not None
    assert finding.rounds_to_decide > finding.comparison.n
    assert "neither within nor beyond the allowed change of 5%; were " in finding_sentence(finding)
    assert f"some {finding.rounds_to_decide} rounds would decide" in finding_sentence(finding)
    assert f"the detectable change is {100 * (finding.comparison.minimal_detectable_effect or 0):.1f}%, " in (
        finding_sentence(finding)
    )


def test_a_bound_that_would_read_as_the_edge_gets_another_digit() -> None:
    """An interval that ends at 0.951 is not told as one that ends at 0.95, where 5% are allowed."""
    head = tuple(rate * wobble for rate, wobble in zip(EQUAL, (0.951, 0.955) * 3, strict=True))
    finding = only(judge(ONNX, beside({"onnx": EQUAL}, {"onnx": head})))
    assert finding.verdict == "pass"
    assert f"0.953{TIMES} (0.951{DASH}0.955)" in finding_sentence(finding)


def test_among_more_rules_the_same_figures_need_to_be_clearer() -> None:
    """What stands alone at p 0.03 is not said where three rules were tried (Holm)."""
    alone = only(judge(ONNX, beside({"onnx": EQUAL}, {"onnx": MARGINAL})))
    assert alone.suspect
    assert 0.05 / 3 < (alone.adjusted_p or 0) <= 0.05
    base = {"onnx": EQUAL, "torch": EQUAL, "batched": EQUAL}
    three = throughput_rules("onnx", "torch", "batched")
    judgement = judge(three, beside(base, {**base, "onnx": MARGINAL}))
    finding = judgement.findings[0]
    assert finding.adjusted_p == pytest.approx(3 * (alone.adjusted_p or 0))
    assert (finding.verdict, judgement.suspects) == ("inconclusive", ())
    assert "Holm's correction" in finding_sentence(finding)


def test_neither_a_neighbour_that_is_much_better_nor_one_without_data_lends_significance() -> None:
    base = {"onnx": EQUAL, "torch": EQUAL}
    two = throughput_rules("onnx", "torch")
    better = judge(two, beside(base, {"onnx": MARGINAL, "torch": times(1.5)}))
    missing = judge(two, beside({"onnx": EQUAL}, {"onnx": MARGINAL}))
    same = judge(two, beside(base, {"onnx": MARGINAL, "torch": times(1.0)}))
    found = {one.findings[0].adjusted_p for one in (better, missing, same)}
    assert len(found) == 1


@pytest.mark.parametrize(
    ("base", "head", "why"),
    [
        ({}, {"onnx": EQUAL}, "base has no closed-loop trial of it"),
        ({"onnx": EQUAL}, {}, "head has no closed-loop trial of it"),
        ({"onnx": EQUAL}, {"onnx": (None,) * 6}, "no trial of head is valid (the host stole 7.5%"),
        ({"onnx": EQUAL[:2]}, {"onnx": EQUAL[:2]}, "2 rounds have both base and head valid, and 3 are"),
        ({"onnx": EQUAL}, {"onnx": (None, None, None, None, 1.0, 1.0)}, "2 rounds have both"),
        (
            {"onnx": (1.0, 1.0, 1.0, None, None, None)},
            {"onnx": (None, None, None, 1.0, 1.0, 1.0)},
            "0 rounds",
        ),
        ({"onnx": EQUAL}, {"onnx": (0.0,) * 6}, "a throughput of 0 has no ratio"),
        ({"onnx": EQUAL}, {"onnx": (100.0, 0.0, 100.0, 100.0, 100.0, 100.0)}, "a throughput of 0"),
    ],
)
def test_what_cannot_be_compared_is_invalid_and_says_why(
    base: dict[str, tuple[float | None, ...]], head: dict[str, tuple[float | None, ...]], why: str
) -> None:
    judgement = judge(ONNX, beside(base, head))
    assert (judgement.verdict, judgement.exit_code) == ("invalid", 4)
    assert why in finding_sentence(only(judgement))
    assert only(judgement).comparison is None


def test_a_metric_that_no_trial_has_is_invalid() -> None:
    rules = rules_of({"primary": [{"strategy": "onnx", "metric": "cpu", "tolerance": "5%"}]})
    finding = only(judge(rules, SAME))
    assert finding.verdict == "invalid"
    assert "no valid round of base has a CPU time per request for every payload" in finding_sentence(finding)


def test_an_open_loop_is_not_judged_for_what_it_was_offered() -> None:
    run = with_trials(SAME.head, "onnx", load=OpenLoad(50.0, 2.0, 10.0))
    assert "head has no closed-loop trial" in finding_sentence(only(judge(ONNX, with_head(SAME, run))))


def test_invalid_trials_are_left_out_and_told_of() -> None:
    head = (*times(1.0)[:4], None, None)
    finding = only(judge(ONNX, beside({"onnx": EQUAL}, {"onnx": head})))
    assert finding.comparison is not None
    assert finding.comparison.n == 4
    assert len(finding.notes) == 2
    assert finding.notes[0].startswith("head, round 5: left out: the host stole 7.5%")


def test_trials_that_were_planned_and_not_made_are_told_of() -> None:
    run = dataclasses.replace(SAME.head, planned_trials=14)
    assert "2 planned trials of head's run were not made" in only(judge(ONNX, with_head(SAME, run))).notes


def test_a_round_counts_by_all_its_payloads_or_not_at_all() -> None:
    """Of two classes one is 30% slower: the ratio is their geometric mean, over rounds that have both."""
    run = SAME.head
    seed = [
        trial(one.strategy, one.round, (one.throughput_rps or 0) * (0.7 if one.strategy == "onnx" else 1))
        for one in run.trials
        if not (one.strategy == "onnx" and one.round == 3)
    ]
    seed = [dataclasses.replace(one, payload_class="seed") for one in seed]
    both = dataclasses.replace(run, trials=(*run.trials, *seed))
    comparison = only(judge(ONNX, with_head(SAME, both))).comparison
    assert comparison is not None
    assert comparison.n == 5
    assert comparison.ratio == pytest.approx(0.7**0.5, rel=0.01)


def test_a_stored_baseline_of_the_same_machine_is_compared_without_pairs() -> None:
    base, same, slow = (run_of({"onnx": times(factor)}) for factor in (1.0, 1.0, 0.8))
    assert judge(ONNX, stored(base, same)).verdict in ("pass", "inconclusive")
    slower = judge(ONNX, stored(base, slow), stored(base, slow))
    assert slower.verdict == "regression"
    assert not slower.paired


def test_a_stored_baseline_does_not_pair_by_the_numbers_of_rounds() -> None:
    """Other rounds, in another order, give the same verdict and the same figures."""
    base, slow = run_of({"onnx": times(1.0)}), run_of({"onnx": times(0.8)})
    turned = run_of({"onnx": tuple(reversed(times(0.8)))})
    one, other = (only(judge(ONNX, stored(base, head))).comparison for head in (slow, turned))
    assert one is not None
    assert other is not None
    assert (one.low, one.high) == pytest.approx((other.low, other.high))


def test_a_stored_baseline_of_another_machine_is_refused_with_what_differs() -> None:
    base, head = run_of({"onnx": times(1.0)}), run_of({"onnx": times(0.8)})
    moved = dataclasses.replace(
        head, environment=dataclasses.replace(head.environment, kernel="6.2.0", commit="def5678")
    )
    judgement = judge(ONNX, stored(base, moved))
    assert judgement.exit_code == 4
    assert only(judgement).comparison is None
    assert "kernel (6.1.0 there, 6.2.0 here)" in finding_sentence(only(judgement))
    assert [one.name for one in judgement.differences] == ["kernel"]


@pytest.mark.parametrize(("strategy", "refused"), [("batched", False), ("onnx", True)])
def test_a_tolerance_of_a_strategy_that_is_not_judged_refuses_no_baseline(
    strategy: str, refused: bool
) -> None:
    base, head = run_of({"onnx": times(1.0)}), run_of({"onnx": times(1.0)})
    settings = base.environment.settings or RunSettings()
    labelled = dataclasses.replace(settings, tolerances={strategy: 0.05})
    other = dataclasses.replace(base, environment=dataclasses.replace(base.environment, settings=labelled))
    judgement = judge(ONNX, stored(other, head))
    names = [f"settings.tolerances.{strategy}"] if refused else []
    assert [one.name for one in judgement.differences] == names
    assert (judgement.exit_code == 4) is refused


def test_a_stored_baseline_that_was_sent_other_requests_of_the_same_names_is_refused() -> None:
    base, same, other = (
        dataclasses.replace(run, environment=dataclasses.replace(run.environment, settings=settings))
        for run in [run_of({"onnx": times(1.0)})]
        for settings in (RunSettings(payload_digests={"small": digit * 64}) for digit in "aab")
    )
    assert judge(ONNX, stored(base, same)).differences == ()
    judgement = judge(ONNX, stored(base, other))
    assert judgement.exit_code == 4
    assert [one.name for one in judgement.differences] == ["settings.payload_digests.small"]
    older = run_of({"onnx": times(1.0)})
    assert judge(ONNX, stored(older, other)).differences == ()


@pytest.mark.parametrize("rules", [ONNX, limit_rules(metric="wrong_answers", most=0)])
def test_runs_without_a_trial_are_invalid(rules: Rules) -> None:
    empty = run_of({})
    assert judge(rules, stored(empty, empty)).exit_code == 4
    assert judge(rules, Batch(empty, empty, paired=True)).exit_code == 4


def test_no_rule_is_no_pass() -> None:
    assert judge(ONNX.only(["torch"]), SAME).exit_code == 4


@pytest.mark.parametrize(
    ("verdicts", "worst", "code"),
    [
        (("pass", "inconclusive", "invalid", "regression"), "regression", 3),
        (("pass", "inconclusive", "invalid"), "invalid", 4),
        (("pass", "inconclusive"), "inconclusive", 5),
        (("pass",), "pass", 0),
    ],
)
def test_the_worst_finding_is_the_verdict(verdicts: tuple[Verdict, ...], worst: str, code: int) -> None:
    usual = judge(ONNX, SAME)
    for order in (verdicts, verdicts[::-1]):
        findings = tuple(dataclasses.replace(only(usual), verdict=verdict) for verdict in order)
        judgement = dataclasses.replace(usual, findings=findings)
        assert (judgement.verdict, judgement.exit_code) == (worst, code)
    assert sorted(EXIT_CODES.values()) == [0, 3, 4, 5]


@pytest.mark.parametrize("metric", ["wrong_answers", "error_rate"])
def test_what_ails_both_sides_is_no_regression_of_heads(metric: str) -> None:
    """Another program that ended both containers is nobody's change; but it is no pass either."""
    field = {"wrong_answers": "wrong_answers", "error_rate": "errors"}[metric]
    rules = rules_of({"limit": [{"metric": metric, "most": 0 if metric == "wrong_answers" else "0%"}]})
    batch = beside({"onnx": EQUAL}, {"onnx": EQUAL})
    head = with_trials(batch.head, "onnx", **{field: 3})
    (alone,) = judge(rules, dataclasses.replace(batch, base=head, head=head)).findings
    assert alone.verdict == "regression"
    both = with_trials(head, "onnx" + BASE, **{field: 3})
    (shared,) = judge(rules, dataclasses.replace(batch, base=both, head=both)).findings
    assert shared.verdict == "invalid"
    assert "base is beyond the limit too" in finding_sentence(shared)
