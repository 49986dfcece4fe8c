"""A strategy that promises less of its answers is never chosen before one that promises more."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.analysis.choice import choose
from bench.analysis.declared import same_promise
from bench.analysis.summary import summarise
from bench.model import EXACT, HeldOutResult, OpenLoad, Quality, Run, SloResult
from bench.report.choice_sentence import choice_sentence
from bench.report.quality_words import share
from bench.statistics import proportion
from tests.analysis.test_choice import RATE, measured, said, together

BOUNDED = Quality("bounded", tolerance=0.05)
AGREEMENT = Quality("agreement", agreement=0.985, loss=0.01)
FOUND = HeldOutResult(2000, 1982, 0, 2000, 1418, 1430, 0.27)


def promising(
    run: Run, qualities: Mapping[str, Quality], found: Mapping[str, HeldOutResult] | None = None
) -> Run:
    """The run in which these strategies declare these qualities, as found on the held-out set."""
    strategies = {
        name: replace(one, quality=qualities.get(name, EXACT), held_out=(found or {}).get(name))
        for name, one in run.strategies.items()
    }
    return replace(run, strategies=strategies)


def test_the_best_exact_strategy_comes_first_and_then_what_lesser_answers_would_gain() -> None:
    rates = {"torch": 100.0, "onnx": 200.0, "onnx_int8": 260.0}
    run = promising(measured(rates), {"onnx_int8": AGREEMENT}, {"onnx_int8": FOUND})
    choice = choose(run, summarise(run))
    assert choice.pick == "onnx"
    assert choice.strategies == ("torch", "onnx")
    assert [(one.strategy, bool(one.ahead)) for one in choice.lesser] == [("onnx_int8", True)]
    assert said(run).replace("\N{NO-BREAK SPACE}", " ") == (
        "Among the 2 exact strategies, with small payloads, onnx serves 2.0 times the requests of torch. "
        "onnx serves the most: start with onnx. "
        "If answers that agree with the reference's on 99.1% of 2 000 held-out pictures (accuracy 70.9%, the "
        "reference's 71.5%) will do, onnx_int8 serves 1.3 times the requests of onnx with small payloads. "
        "How late they are below full load was not measured."
    )


def test_what_gains_nothing_is_named_and_not_recommended() -> None:
    rates = {"torch": 100.0, "onnx": 200.0, "near": 198.0, "int8": 120.0}
    run = promising(measured(rates), {"near": BOUNDED, "int8": AGREEMENT})
    assert "start with onnx." in said(run)
    assert "If answers" not in said(run)
    assert (
        "Of a lesser quality, and not shown to be better: near (bounded 0.05) and int8 "
        "(agreement \N{GREATER-THAN OR EQUAL TO} 98.5%)." in said(run)
    )


def test_one_exact_strategy_alone_is_still_where_to_start() -> None:
    run = promising(measured({"onnx": 200.0, "int8": 300.0}), {"int8": AGREEMENT})
    assert said(run).startswith(
        "Of 2 strategies only onnx is exact: start with onnx. If answers that are declared"
    )
    assert "int8 serves 1.5 times the requests of onnx with small payloads." in said(run)


def test_a_bound_is_nearer_than_agreement_and_the_pick_says_what_it_promises() -> None:
    run = promising(measured({"near": 200.0, "int8": 300.0}), {"near": BOUNDED, "int8": AGREEMENT})
    choice = choose(run, summarise(run))
    assert (choice.pick, choice.strategies) == ("near", ("near",))
    assert "start with near (bounded 0.05)." in said(run)
    alone = promising(measured({"a": 200.0, "b": 300.0}), {"a": AGREEMENT, "b": AGREEMENT})
    assert "start with b (agreement" in said(alone)


def test_one_round_shows_by_figures_alone_and_says_so() -> None:
    run = promising(measured({"torch": 100.0, "onnx": 200.0, "int8": 260.0}, rounds=1), {"int8": AGREEMENT})
    assert said(run).startswith("One round: it proves nothing.")
    assert "By these figures onnx comes first." in said(run)
    assert "int8 serves 1.3 times the requests of onnx" in said(run)


def test_lateness_and_rates_that_held_are_told_in_their_own_words() -> None:
    late = promising(
        measured({"onnx": 300.0, "batched": 250.0, "int8": 500.0}, load=RATE), {"int8": AGREEMENT}
    )
    assert "int8 has a p99 of 6.01 ms against 10.0 of onnx at 100 requests/s with small payloads." in said(
        late
    )
    searched = measured({"onnx": 100.0, "batched": 100.0, "int8": 100.0}, load=OpenLoad(50, 10, 2))
    held = tuple(
        SloResult(name, "small", "json", 0.99, 100.0, 200.0, rate, rate, ())
        for name, rate in (("onnx", 100.0), ("batched", 60.0), ("int8", 150.0))
    )
    run = promising(replace(searched, objectives=held, planned_trials=0), {"int8": AGREEMENT})
    assert "int8 holds 1.5 times the rate of onnx" in said(run)
    assert "int8 (agreement" in said(run).split("start with")[0], (
        "named with its quality where rates are told"
    )


def test_several_payloads_are_told_each() -> None:
    run = together(
        measured({"torch": 100.0, "onnx": 200.0, "int8": 260.0}),
        measured({"torch": 50.0, "onnx": 80.0, "int8": 160.0}, chosen="seed"),
    )
    run = promising(run, {"int8": AGREEMENT})
    assert (
        "int8 serves 1.3 times the requests of onnx with small payloads and 2.0 times with seed payloads"
        in said(run)
    )


def test_a_lesser_strategy_without_a_figure_is_left_out_like_any_other() -> None:
    run = together(
        measured({"torch": 100.0, "onnx": 200.0, "int8": 260.0}),
        measured({"torch": 50.0, "onnx": 80.0}, chosen="seed"),
    )
    run = promising(run, {"int8": AGREEMENT})
    assert choose(run, summarise(run)).left_out == ("int8",)
    assert "int8 is left out: it has no valid figure with seed payloads." in said(run)


@given(
    st.dictionaries(
        st.sampled_from("abcdef"),
        st.tuples(st.floats(50, 500), st.sampled_from((EXACT, BOUNDED, AGREEMENT))),
        min_size=2,
    )
)
def test_whatever_the_rates_nobody_is_picked_before_one_who_promises_more(
    drawn: Mapping[str, tuple[float, Quality]],
) -> None:
    run = promising(
        measured({name: rate for name, (rate, _) in drawn.items()}, rounds=3),
        {name: quality for name, (_, quality) in drawn.items()},
    )
    choice = choose(run, summarise(run))
    order = ("exact", "bounded", "agreement")
    best = min((quality.promise for _, quality in drawn.values()), key=order.index)
    assert choice.pick is None or drawn[choice.pick][1].promise == best
    assert {one.strategy for one in choice.lesser} == {
        name for name, (_, quality) in drawn.items() if quality.promise != best
    }
    assert choice_sentence(run, summarise(run))


def test_promises_are_the_same_only_if_their_numbers_are() -> None:
    assert same_promise(EXACT, Quality("exact"))
    assert not same_promise(BOUNDED, Quality("bounded", tolerance=0.01))
    assert not same_promise(EXACT, BOUNDED)


@pytest.mark.parametrize(
    ("part", "whole", "shown"),
    [(2000, 2000, "100%"), (1999, 2000, "99.9%"), (1, 3, "33.3%"), (0, 5, "0.0%"), (0, 0, "n/a")],
)
def test_a_share_is_cut_so_that_none_but_all_is_all(part: int, whole: int, shown: str) -> None:
    assert share(part, whole) == shown


@pytest.mark.parametrize(
    ("part", "whole", "low", "high"),
    # by R's binom.test
    [(8, 10, 0.4439045, 0.9747893), (0, 10, 0.0, 0.3084971), (10, 10, 0.6915029, 1.0)],
)
def test_the_interval_of_a_share_is_clopper_and_pearsons(
    part: int, whole: int, low: float, high: float
) -> None:
    found = proportion(part, whole)
    assert found is not None
    assert (found.low, found.high, found.n) == (pytest.approx(low), pytest.approx(high), whole)
    assert proportion(0, 0) is None
    with pytest.raises(ValueError, match="no part"):
        proportion(3, 2)
