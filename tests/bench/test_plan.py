"""What a session will do: every step, in seeded order, and of an unfinished run only what it lacks."""

from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from bench.measure.plan import Objective, SessionPlan
from bench.measure.steps.order import steps
from bench.measure.steps.step import Step
from bench.model import ClosedLoad, OpenLoad, PlannedLoad, ShareLoad
from tests.bench.plans import LOADS, NAMES, SETS, payload, plan, run_of


def test_every_round_runs_each_strategy_once_in_every_case() -> None:
    todo = steps(plan())
    for number in (1, 2, 3):
        trials = [step for step in todo if step.kind == "trial" and step.round == number]
        cases = Counter((s.strategy, s.payload_set, s.load.name) for s in trials if s.load)
        assert len(cases) == len(NAMES) * len(SETS) * len(LOADS)
        assert set(cases.values()) == {1}
    assert plan().planned_trials == sum(step.kind == "trial" for step in todo)


def test_the_order_of_a_round_is_shuffled_by_the_seed_and_by_nothing_else() -> None:
    def order(made: SessionPlan, number: int) -> list[Step]:
        return [step for step in steps(made) if step.round == number]

    assert order(plan(), 1) == order(plan(), 1)
    assert order(plan(), 1) != order(plan(seed=8), 1)
    places = [[step.strategy for step in order(plan(), number)] for number in (1, 2, 3)]
    assert len({tuple(one) for one in places}) == 3


def test_rounds_follow_each_other_so_that_pairs_lie_close_in_time() -> None:
    rounds = [step.round for step in steps(plan()) if step.kind == "trial"]
    assert rounds == sorted(rounds)


def test_shares_rest_on_the_closed_loops_of_the_rounds_and_nothing_is_measured_before_these() -> None:
    assert "capacity" not in {step.kind for step in steps(plan())}


def test_the_closed_loop_of_a_strategy_and_set_comes_before_its_shares() -> None:
    shares = (ShareLoad(0.5, 1, 2), ShareLoad(0.9, 1, 2), ClosedLoad(3, 1, 2), OpenLoad(9, 1, 2))
    for seed in range(8):
        made = plan(loads=(*shares, ClosedLoad(8, 1, 2)), seed=seed)
        for number in (1, 2, 3):
            places = placed(made, number)
            for name in NAMES:
                for chosen in SETS:
                    closed = places[name, chosen, "c8"]
                    assert all(closed < places[name, chosen, share] for share in ("s50", "s90"))
    # the rest is shuffled as ever: the smaller closed loop stands anywhere
    assert {
        places["fast", SETS[0], "c3"] < places["fast", SETS[0], "s50"] for places in some(plan, shares)
    } == {
        True,
        False,
    }


def test_all_closed_loops_of_a_set_come_before_a_share_of_the_slowest() -> None:
    loads = (ClosedLoad(8, 1, 2), ShareLoad(0.8, 1, 2, of_slowest=True), ShareLoad(0.5, 1, 2))
    for seed in range(8):
        made = plan(loads=loads, seed=seed)
        assert {step.round for step in steps(made) if step.kind == "trial"} == {1, 2, 3}
        for number in (1, 2, 3):
            places = placed(made, number)
            for chosen in SETS:
                closed = max(places[name, chosen, "c8"] for name in NAMES)
                assert all(closed < places[name, chosen, "l80"] for name in NAMES)
                assert all(places[name, chosen, "c8"] < places[name, chosen, "s50"] for name in NAMES)


def placed(made: SessionPlan, number: int) -> dict[tuple[str, tuple[str, str], str], int]:
    """The place of each trial of a round by strategy, payloads and load."""
    trials = [step for step in steps(made) if step.kind == "trial" and step.round == number]
    return {(s.strategy, s.payload_set, s.load.name): place for place, s in enumerate(trials) if s.load}


def some(
    make: Callable[..., SessionPlan], shares: tuple[PlannedLoad, ...]
) -> Iterator[dict[tuple[str, tuple[str, str], str], int]]:
    for seed in range(8):
        yield placed(make(loads=(*shares, ClosedLoad(8, 1, 2)), seed=seed), 1)


def test_starts_that_the_trials_do_not_make_are_made_at_the_end() -> None:
    few = plan(loads=LOADS[:1], rounds=1, payloads={SETS[0]: (payload(*SETS[0]),)}, startups=10)
    kinds = Counter((step.kind, step.strategy) for step in steps(few))
    # parity's and one trial's are two of ten
    assert kinds["start", "fast"] == kinds["start", "slow"] == 8
    assert kinds["warm start", "fast"] == 2


def test_one_class_is_checked_for_caches_that_with_the_smallest_bodies() -> None:
    repeats = [step for step in steps(plan()) if step.kind == "repeat"]
    assert [(step.strategy, step.payload_class) for step in repeats] == [("fast", "small"), ("slow", "small")]


@pytest.mark.parametrize("cut", [1, 5, 9, 14, 20, 33, 60, 85])
def test_a_run_that_was_cut_anywhere_lacks_exactly_what_it_had_not_done(cut: int) -> None:
    made = plan()
    todo = list(steps(made))
    done, missing = todo[:cut], todo[cut:]
    left = steps(made, run_of(made, done))
    parity = [step for step in left if step.kind == "parity"]
    assert len(parity) == len(NAMES), "what is measured must be right on the day it is measured"
    rest = [step for step in left if step.kind not in ("parity", "start")]
    assert rest == [step for step in missing if step.kind not in ("parity", "start")]


def test_a_search_makes_no_rounds_and_needs_the_capacity() -> None:
    objective = Objective(0.99, 100.0, 1.0, 2.0)
    made = plan(objective=objective, loads=(), rounds=0, startups=0, warm_startups=0, check_repeats=False)
    kinds = [step.kind for step in steps(made)]
    assert kinds == ["parity"] * 2 + ["ceiling"] * 4 + ["capacity"] * 8 + ["objective"] * 8
    assert made.planned_trials == 0
    assert made.settings().objective == "p99 within 100 ms"


def test_the_settings_tell_everything_that_shapes_the_load() -> None:
    told = plan().settings()
    assert told.clients == (8,)
    assert told.rates_per_s == (50,)
    assert told.shares_of_capacity == (0.7,)
    assert told.arrivals == ("poisson",)
    assert told.encodings == ("json", "raw")
    assert told.workers == 1


def test_a_step_is_told_apart_by_its_encoding_and_load() -> None:
    labels = [step.label() for step in steps(plan()) if step.kind == "trial" and step.round == 1]
    assert len(set(labels)) == len(labels)
    assert "round 1: trial slow seed as raw at 70% of capacity" in labels
