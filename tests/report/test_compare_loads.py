"""Two runs side by side: loads that are not alike are not compared, and rates that held are."""

import dataclasses
import json
from collections.abc import Sequence

import pytest

from bench.analysis.held_rates import SEARCHES_DIFFER, HeldRates
from bench.analysis.run_comparison import RunComparison, compare_runs
from bench.model import ClosedLoad, ExtraOptions, LoadOptions, ObjectiveOptions, OpenLoad, Run, Trial
from bench.model import SessionOptions as Options
from bench.report.compare_runs import RENDERERS
from bench.report.compare_runs.comparison_sentences import sentence
from tests.analysis.test_comparisons import made, rounds, shared
from tests.report.searched_run import searched
from tests.running.doubts import doubt

LATE = dataclasses.replace(doubt("overloaded: queue grows", "overloaded", cause="service"), voids=False)


def common(capacity: float, rate: float) -> list[Trial]:
    """Closed loops of a capacity, and an open load that was meant as a share of the slowest's."""
    closed = rounds("torch", ClosedLoad(50, 2, 10), capacity)
    return [*closed, *rounds("torch", OpenLoad(rate, 2, 10, share=0.9, of_slowest=True), rate)]


def open_load(trials: Sequence[Trial]) -> list[Trial]:
    return [one for one in trials if isinstance(one.load, OpenLoad)]


def overloaded(trials: Sequence[Trial], number: int) -> list[Trial]:
    """The same, of which the open load's first so many trials were overloaded."""
    over = open_load(trials)[:number]
    return [dataclasses.replace(one, doubts=(LATE,)) if one in over else one for one in trials]


def between(base: Sequence[Trial], head: Sequence[Trial]) -> RunComparison:
    return compare_runs(made(base), made(head, created="2026-02-03T00:00:00+00:00"), "a", "b")


def at_open(found: RunComparison) -> set[str]:
    """The metrics that are compared at the open load."""
    return {
        one.metric
        for one in found.measured
        if one.comparison and one.case is not None and one.case.at_due_times
    }


def every_format(found: RunComparison) -> list[str]:
    texts = [render(found).replace("\N{NO-BREAK SPACE}", " ") for render in RENDERERS.values()]
    return [" ".join(one.split()) for one in texts]


def test_unequal_shares_of_capacity_are_not_compared_and_every_format_says_why() -> None:
    found = between(shared("torch", 100, 75), shared("torch", 100, 95))
    assert at_open(found) == set()
    (pair,) = found.not_compared
    assert pair.why_not == "utilisation"
    why = "base at 74.9% and head at 94.9% of capacity"
    assert f"Not compared: torch at small, json, 90% of capacity ({why})." in sentence(found)
    for text in every_format(found):
        assert why in text
        assert "75.0 and 95.0 requests/s" in text or "base_offered_per_s" in text
    (told,) = json.loads(RENDERERS["json"](found))["not_compared"]
    assert (told["why"], told["base_offered_per_s"], told["head_offered_per_s"]) == ("utilisation", 75, 95)
    shown = {
        one["word"]
        for one in json.loads(RENDERERS["json"](found))["measured"]
        if "of capacity" in one["place"]
    }
    assert shown == {"not compared"}


def test_shares_that_reached_the_same_are_compared_at_whatever_rates() -> None:
    found = between(shared("torch", 100, 80), shared("torch", 200, 162))
    assert {"p50", "p99", "cpu"} <= at_open(found)
    assert found.not_compared == ()
    assert "80.0 and 162 requests/s, 79.9% and 80.9% of capacity" in every_format(found)[0]


def test_a_share_of_which_no_closed_loop_tells_is_not_compared() -> None:
    found = between(open_load(shared("torch", 100, 80)), open_load(shared("torch", 100, 80)))
    assert [one.why_not for one in found.not_compared] == ["utilisation_unknown"]
    assert not found.judges
    assert "Nothing that was measured in rounds is compared." in sentence(found)


@pytest.mark.parametrize("sides", [(1, 0), (0, 6), (2, 3)])
def test_a_load_that_overloaded_either_run_is_not_compared_and_shows_its_spread(
    sides: tuple[int, int],
) -> None:
    trials = shared("torch", 100, 90)
    found = between(overloaded(trials, sides[0]), overloaded(trials, sides[1]))
    assert at_open(found) == set()
    said = [
        f"{side} overloaded in {number} of 6"
        for side, number in zip(("base", "head"), sides, strict=True)
        if number
    ]
    for text in every_format(found):
        assert " and ".join(said) in text
    row = found.not_compared[0].base if sides[0] else found.not_compared[0].head
    spread = row.spread("p99")
    assert spread is not None
    assert f"{spread.least:.1f}\N{EN DASH}{spread.most:.1f}" in every_format(found)[0]


def test_failures_of_loads_that_are_not_alike_are_shown_and_not_judged_but_a_wrong_answer_is() -> None:
    trials = [
        dataclasses.replace(one, errors=3, wrong_answers=1) if isinstance(one.load, OpenLoad) else one
        for one in shared("torch", 100, 95)
    ]
    found = between(shared("torch", 100, 75), trials)
    outcomes = {
        one.name: one.outcome for one in found.counted if one.case is not None and one.case.at_due_times
    }
    assert outcomes == {"wrong_answers": "more", "errors": None}
    assert "failed requests 0 of 5 400 18 of 5 400 not compared" in every_format(found)[0]


@pytest.mark.parametrize(
    ("head", "compared"),
    [
        ((100, 62), True),  # the same rate offered, within 5%
        ((150, 61), True),  # the same too, however busy
        ((150, 90), True),  # another rate, and as busy
        ((150, 70), False),
        ((100, 75), False),
    ],
)
def test_a_common_load_is_compared_if_it_was_the_same_or_kept_both_as_busy(
    head: tuple[float, float], compared: bool
) -> None:
    found = between(common(100, 60), common(*head))
    assert bool(at_open(found)) == compared
    assert found.own_rates
    assert f"60.0 and {head[1]:.1f} requests/s" in every_format(found)[0]
    assert "each run has a rate of its own" in every_format(found)[0]


def test_a_fixed_rate_is_the_same_load_whatever_it_kept_busy() -> None:
    load = OpenLoad(60, 2, 10)
    found = between(
        [*rounds("torch", ClosedLoad(50, 2, 10), 100), *rounds("torch", load, 60)],
        [*rounds("torch", ClosedLoad(50, 2, 10), 150), *rounds("torch", load, 60)],
    )
    assert {"p50", "p99", "cpu"} <= at_open(found)
    assert not found.own_rates


class TestSearches:
    def test_the_rates_that_held_are_in_the_sentence_the_tables_and_json(self, run: Run) -> None:
        found = compare_runs(searched(run), faster(searched(run), 1.3), "a", "b")
        said = sentence(found).replace("\N{NO-BREAK SPACE}", " ")
        assert said.startswith("torch (small, json, p99 \N{LESS-THAN OR EQUAL TO} 100 ms) held up to 56.2")
        assert (
            "onnx (small, json, p99 \N{LESS-THAN OR EQUAL TO} 100 ms) held up to 137 requests/s in a" in said
        )
        assert "and 178 in b, 1.30\N{MULTIPLICATION SIGN}" in said
        assert "held at no rate in a and held at no rate in b" in said
        assert "two searches of one service differ by up to 20% on a quiet host" in said
        text, markdown, _ = every_format(found)
        line = "held up to, requests/s 137 178 1.30\N{MULTIPLICATION SIGN} no verdict: one search each"
        assert line in text
        assert "| 137 | 178 | 1.30\N{MULTIPLICATION SIGN} | " in markdown
        assert "so the ratio of rates that held has no interval" in text
        told = {one["strategy"]: one for one in json.loads(RENDERERS["json"](found))["objectives"]}
        assert (told["onnx"]["base_per_s"], told["onnx"]["head_per_s"]) == (137.0, pytest.approx(178.1))
        assert told["onnx"]["outcome"] == "ratio"
        assert (told["batched"]["outcome"], told["batched"]["ratio"]) == ("neither", None)
        # the sizes of what was offered differ, so the CPU time at the rates that held is not compared
        assert {one.why_not for one in found.rows if one.head.case.kind == "held"} == {"utilisation_unknown"}

    @pytest.mark.parametrize("factor", [1.0, 1.19, 1 / 1.19])
    def test_what_two_searches_of_one_service_may_differ_by_is_not_told_apart(
        self, run: Run, factor: float
    ) -> None:
        found = compare_runs(searched(run), faster(searched(run), factor), "a", "b")
        assert outcomes(found) == {"torch": "open", "onnx": "open", "batched": "neither"}
        assert "not told apart" in sentence(found)
        assert found.judges
        assert factor <= 1 + SEARCHES_DIFFER

    def test_a_side_that_holds_at_no_rate_or_is_not_known_is_told(self, run: Run) -> None:
        changes = {
            "torch": {"rate_per_s": None, "goodput_rps": None, "why_none": "never held"},
            "onnx": {"rate_per_s": None, "goodput_rps": None, "why_none": "not known: few", "known": False},
        }
        found = compare_runs(searched(run), changed(searched(run), changes), "a", "b")
        assert outcomes(found) == {"torch": "base alone", "onnx": "unknown", "batched": "neither"}
        said = sentence(found)
        assert "held up to 56.2 requests/s in a and held at no rate in b" in said
        assert "in a and is not known to hold at a rate (not known: few) in b" in said
        told = {one["strategy"]: one for one in json.loads(RENDERERS["json"](found))["objectives"]}
        assert (told["onnx"]["base_known"], told["onnx"]["head_known"]) == (True, False)
        text = every_format(found)[0]
        assert "held up to, requests/s 56.2 none n/a held in base alone" in text
        assert "held up to, requests/s 137 not known n/a not known" in text

    def test_a_search_that_did_not_end_is_not_known(self, run: Run) -> None:
        asked = Options(
            "slo",
            LoadOptions(2.0, 8.0, 4.0),
            1,
            payloads=("small",),
            objective=ObjectiveOptions(0.99, 100.0),
            extras=ExtraOptions(),
        )
        whole = searched(run)
        early = dataclasses.replace(whole, options=asked, objectives=whole.objectives[:1])
        found = compare_runs(whole, dataclasses.replace(early, created="2026-03-01"), "a", "b")
        assert outcomes(found) == {"torch": "open", "onnx": "unknown", "batched": "unknown"}
        assert "is not known (its search did not end) in b" in sentence(found)

    def test_other_objectives_are_not_compared_but_listed(self, run: Run) -> None:
        looser = {one.strategy: {"bound_ms": 200.0} for one in searched(run).objectives}
        found = compare_runs(searched(run), changed(searched(run), looser), "a", "b")
        assert found.held == ()
        text = every_format(found)[0]
        assert "Only in base: torch (small, json, p99 \N{LESS-THAN OR EQUAL TO} 100 ms)" in text
        assert "Only in head: torch (small, json, p99 \N{LESS-THAN OR EQUAL TO} 200 ms)" in text


def outcomes(found: RunComparison) -> dict[str, str]:
    return {one.of.strategy: one.outcome for one in found.held}


def changed(run: Run, changes: dict[str, dict[str, object]]) -> Run:
    """The run with other results of its searches, by strategy."""
    results = tuple(
        dataclasses.replace(one, **changes.get(one.strategy, {}))  # type: ignore[arg-type]  # fields by name
        for one in run.objectives
    )
    return dataclasses.replace(run, objectives=results, created="2026-03-01T00:00:00+00:00")


def faster(run: Run, factor: float) -> Run:
    """The search as it would have been of services that hold a multiple of their rates, with their trials."""
    held = {one.strategy: one.rate_per_s for one in run.objectives}
    trials = tuple(
        dataclasses.replace(t, load=OpenLoad(t.load.rate_per_s * factor, 2.0, 8.0))
        if isinstance(t.load, OpenLoad) and t.load.rate_per_s == held[t.strategy]
        else t
        for t in run.trials
    )
    rates = {name: {"rate_per_s": rate * factor} for name, rate in held.items() if rate is not None}
    return changed(dataclasses.replace(run, trials=trials), rates)


def test_an_objective_is_of_a_run() -> None:
    with pytest.raises(ValueError, match="of a run"):
        _ = HeldRates(None, None).of
