"""Which strategy a run speaks for, by which rule, and what it says is not proven."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from bench.analysis.choice import ENOUGH, choose
from bench.analysis.summary import summarise
from bench.model import (
    ClosedLoad,
    Environment,
    ImageSize,
    Load,
    OpenLoad,
    PayloadSizes,
    Run,
    RunSettings,
    Startup,
    StrategyResult,
    Trial,
)
from bench.report.choice_sentence import choice_sentence
from bench.report.payload_words import size_words
from bench.run_file import read_run
from tests.analysis.test_comparisons import made, trial

RESULTS = Path(__file__).parents[2] / "results"
CLIENTS = ClosedLoad(50, 10, 2)
RATE = OpenLoad(100, 10, 2)


def measured(rates: Mapping[str, float], rounds: int = 6, load: Load = CLIENTS, chosen: str = "small") -> Run:
    return made(
        [
            trial(name, number, load, rate, chosen=chosen)
            for number in range(1, rounds + 1)
            for name, rate in rates.items()
        ]
    )


def together(*runs: Run) -> Run:
    trials = [one for run in runs for one in run.trials]
    return replace(runs[0], trials=tuple(trials), planned_trials=len(trials))


def with_costs(run: Run, costs: Mapping[str, tuple[float, int]]) -> Run:
    """The run with seconds of start, which five starts scatter, and image bytes for each strategy."""
    strategies = {}
    for name, (start_s, size) in costs.items():
        times = tuple(start_s * (1 + place / 100) for place in range(5))
        strategies[name] = StrategyResult(name, ImageSize(size, size, ()), Startup(times, {}, "cold"))
    return replace(run, strategies=strategies)


def said(run: Run) -> str:
    return choice_sentence(run, summarise(run))


def test_the_committed_run_says_what_its_readers_found_in_its_last_lines() -> None:
    run = read_run(RESULTS / "20261120T123610Z-8fc212b")
    assert said(run) == (
        "On one core, with small payloads, batched serves 2.3 times and onnx 2.0 times the requests of "
        "torch; with seed payloads, batched and onnx 1.4 times. "
        "onnx starts fastest, needs the least memory and has the smallest image: start with onnx. "
        "Not told apart in requests/s: onnx and batched with seed payloads. "
        "How late they are below full load was not measured."
    )


def test_who_serves_enough_is_chosen_by_the_rest() -> None:
    rates = {"torch": 100.0, "onnx": 205.0, "batched": 230.0}
    run = with_costs(measured(rates), {"torch": (2, 300), "onnx": (1, 100), "batched": (2, 300)})
    choice = choose(run, summarise(run))
    assert choice.pick == "onnx"
    assert set(choice.leads) == {"start", "image"}
    assert "onnx starts fastest and has the smallest image: start with onnx." in said(run)


def test_who_serves_far_less_is_not_weighed_by_anything_else() -> None:
    rates = {"torch": 100.0, "onnx": 230 * (ENOUGH - 0.05), "batched": 230.0}
    run = with_costs(measured(rates), {"torch": (2, 300), "onnx": (1, 100), "batched": (2, 300)})
    assert choose(run, summarise(run)).pick == "batched"
    assert "batched serves the most: start with batched." in said(run)


def test_nobody_is_chosen_who_is_far_behind_somewhere() -> None:
    run = together(
        measured({"onnx": 200.0, "batched": 100.0}),
        measured({"onnx": 100.0, "batched": 200.0}, chosen="seed"),
    )
    assert choose(run, summarise(run)).pick is None
    assert "No strategy is near the best everywhere: choose by your own payloads." in said(run)


def test_lateness_at_a_rate_that_all_have_counts_among_the_rest() -> None:
    closed = measured({"onnx": 200.0, "batched": 210.0})
    run = together(closed, measured({"onnx": 300.0, "batched": 150.0}, load=RATE))
    choice = choose(run, summarise(run))
    assert choice.pick == "onnx"
    assert "onnx is the least late: start with onnx." in said(run)
    assert "was not measured" not in said(run)


def test_without_closed_loops_lateness_decides() -> None:
    run = measured({"onnx": 300.0, "batched": 150.0}, load=RATE)
    assert said(run) == (
        "With small payloads, at 100 requests/s, 99 of 100 answers come within 10.0 ms from onnx and 20.0 ms "
        "from batched. onnx is the least late: start with onnx."
    )


def test_one_round_proves_nothing_and_says_so_first() -> None:
    text = said(measured({"torch": 100.0, "onnx": 205.0}, rounds=1))
    assert text.startswith("One round: it proves nothing. ")
    assert "By these figures onnx comes first." in text
    assert "start with" not in text


def test_equals_are_not_told_apart_and_nobody_is_preferred() -> None:
    rates = {"torch": 100.0, "onnx": 100.0}
    run = with_costs(measured(rates), {"torch": (1, 300), "onnx": (1, 300)})
    assert "Nothing tells torch and onnx apart: take what is simplest to run." in said(run)


@pytest.mark.parametrize("least", [1, 2])
def test_too_few_rounds_prove_nothing_about_memory(least: int) -> None:
    run = measured({"torch": 100.0, "onnx": 200.0}, rounds=least)
    half = tuple(
        replace(one, peak_memory_bytes=10**7) if one.strategy == "onnx" else one for one in run.trials
    )
    assert "memory" not in choose(replace(run, trials=half), summarise(run)).leads


def test_a_figure_that_some_do_not_have_is_no_reason() -> None:
    run = measured({"torch": 100.0, "onnx": 200.0})
    known = with_costs(run, {"onnx": (1, 100)}).strategies["onnx"]
    some = replace(run, strategies={"torch": StrategyResult("torch", None, None), "onnx": known})
    criteria = [one.criterion for one in choose(some, summarise(some)).standings]
    assert criteria == ["requests", "memory"]


def test_a_run_without_a_valid_trial_names_nobody() -> None:
    run = measured({"torch": 100.0, "onnx": 200.0})
    void = replace(run, trials=tuple(replace(one, valid=False) for one in run.trials))
    assert said(void) == "Invalid: none of 12 trials may be believed."
    assert said(replace(run, trials=())) == "No trial was made: there is nothing to choose by."


def test_a_single_strategy_is_compared_with_itself() -> None:
    run = together(measured({"onnx": 200.0}), measured({"onnx": 100.0}, load=ClosedLoad(8, 10, 2)))
    assert "onnx at small, 50 clients answers" in said(run)
    assert "start with" not in said(run)


@pytest.mark.parametrize("rounds", [1, 2])
def test_too_few_rounds_excuse_nobody_who_serves_far_less(rounds: int) -> None:
    costs = {"torch": (1.0, 100), "onnx": (2.0, 300)}
    run = with_costs(measured({"torch": 10.0, "onnx": 205.0}, rounds), costs)
    assert choose(run, summarise(run)).pick == "onnx"


def test_a_strategy_with_few_valid_rounds_is_not_excused_either() -> None:
    run = with_costs(measured({"torch": 10.0, "onnx": 205.0}), {"torch": (1.0, 100), "onnx": (2.0, 300)})
    few = tuple(replace(one, valid=one.strategy == "onnx" or one.round <= 2) for one in run.trials)
    assert choose(replace(run, trials=few), summarise(replace(run, trials=few))).pick == "onnx"


def test_the_least_late_is_so_with_all_payloads() -> None:
    closed = [measured({"onnx": 200.0, "batched": 210.0}, chosen=chosen) for chosen in ("small", "seed")]
    late = [
        measured({"onnx": 300.0, "batched": 150.0}, load=RATE),
        measured({"onnx": 150.0, "batched": 300.0}, load=RATE, chosen="seed"),
    ]
    assert "least late" not in said(together(*closed, *late))
    assert "onnx is the least late" in said(
        together(*closed, late[0], replace(late[0], trials=as_seed(late[0])))
    )


def as_seed(run: Run) -> tuple[Trial, ...]:
    return tuple(replace(one, payload_class="seed") for one in run.trials)


def test_who_lacks_a_figure_is_left_out_and_named() -> None:
    small = measured({"torch": 1000.0, "onnx": 200.0, "batched": 230.0})
    seed = measured({"torch": 100.0, "onnx": 50.0, "batched": 60.0}, chosen="seed")
    void = tuple(replace(one, valid=one.strategy != "torch") for one in seed.trials)
    run = together(small, replace(seed, trials=void))
    assert choose(run, summarise(run)).strategies == ("onnx", "batched")
    assert "torch is left out: it has no valid figure with seed payloads." in said(run)


def test_payloads_without_any_figure_are_named_and_the_others_decide() -> None:
    small = measured({"torch": 100.0, "onnx": 200.0})
    seed = measured({"torch": 100.0, "onnx": 50.0}, chosen="seed")
    run = together(small, replace(seed, trials=tuple(replace(one, valid=False) for one in seed.trials)))
    assert choose(run, summarise(run)).pick == "onnx"
    assert "With seed payloads nobody has a valid figure." in said(run)


@pytest.mark.parametrize(
    ("other", "times"),
    [(20.0, "0.02 times"), (96.0, "0.96 times"), (186.0, "1.9 times"), (2050.0, "20 times")],
)
def test_multiples_have_digits_that_say_something(other: float, times: str) -> None:
    base = 1000.0 if other == 20.0 else 100.0
    assert f"onnx serves {times} the requests of torch" in said(measured({"torch": base, "onnx": other}))


def test_cores_that_are_not_known_are_not_named() -> None:
    run = measured({"torch": 100.0, "onnx": 200.0})
    for cores, words in (("", "With small"), ("1", "On one core, with"), ("1-3", "On cores 1-3, with")):
        environment = replace(run.environment, service_cores=cores)
        assert said(replace(run, environment=environment)).startswith(words)


def sized(run: Run, **sizes: PayloadSizes) -> Run:
    """The run with the sizes of its classes."""
    return replace(run, environment=Environment(service_cores="1", settings=RunSettings(payload_sizes=sizes)))


def test_payloads_of_about_one_size_are_called_by_it() -> None:
    small = measured({"torch": 100.0, "onnx": 200.0})
    seed = measured({"torch": 100.0, "onnx": 140.0}, chosen="seed")
    sizes = {
        "small": PayloadSizes(14_200, 19_960, 28_000, pictures=True),
        "seed": PayloadSizes(180_000, 229_876, 260_000, pictures=True),
    }
    told = said(sized(together(small, seed), **sizes))
    assert told.startswith("On one core, with 20 KB pictures, onnx serves 2.0 times the requests of torch; ")
    assert "with 230 KB pictures, 1.4 times" in told or "with 230 KB pictures, onnx 1.4 times" in told
    assert "small" not in told
    # what is not a picture is not called so, and nobody's figure is told by size too
    bodies = {name: replace(one, pictures=False) for name, one in sizes.items()}
    void = tuple(replace(one, valid=False) for one in seed.trials)
    told = said(sized(together(small, replace(seed, trials=void)), **bodies))
    assert "with 20 KB payloads, " in told
    assert "With 230 KB payloads nobody has a valid figure." in told


@pytest.mark.parametrize(
    "sizes",
    [
        {},
        {"seed": PayloadSizes(10_000, 10_000, 10_000, pictures=True)},
        {"small": PayloadSizes(9_000, 14_000, 18_001, pictures=True)},
        {"small": PayloadSizes(0, 14_000, 18_000, pictures=True)},
        {
            "small": PayloadSizes(20_100, 20_100, 20_100, pictures=True),
            "seed": PayloadSizes(20_400, 20_400, 20_400, pictures=True),
        },
    ],
    ids=["unknown", "of another class alone", "mixed", "with an empty file", "of two classes alike"],
)
def test_other_payloads_keep_the_name_of_their_class(sizes: dict[str, PayloadSizes]) -> None:
    assert "with small payloads, " in said(sized(measured({"torch": 100.0, "onnx": 200.0}), **sizes))


@pytest.mark.parametrize(
    ("median", "told"),
    [
        (7, "7 bytes"),
        (640, "640 bytes"),
        (999, "1 KB"),
        (1_234, "1.2 KB"),
        (99_600, "100 KB"),
        (4_560_000, "4.6 MB"),
    ],
)
def test_a_size_has_two_digits(median: int, told: str) -> None:
    assert size_words(PayloadSizes(median, median, median, pictures=True)) == told


def test_a_pick_has_a_reason_where_it_is_first_in_nothing() -> None:
    run = read_run(RESULTS / "20261124T175723Z-e214b0c")
    assert "batched has a smaller image than mosec: start with batched." in said(run)


def test_a_pick_that_is_first_in_as_much_as_another_says_what_decided() -> None:
    rates = {"onnx": 205.0, "batched": 230.0}
    run = with_costs(measured(rates), {"onnx": (1, 300), "batched": (2, 100)})
    assert choose(run, summarise(run)).leads == ("requests", "image")
    assert "batched serves the most and has the smallest image: start with batched." in said(run)
    seed = measured({"onnx": 200.0, "batched": 199.9}, chosen="seed")
    both = replace(together(run, seed), strategies=run.strategies)
    assert (
        "batched has the smallest image and is ahead in as much as onnx, with better figures for requests/s: "
        "start with batched."
    ) in said(both)


def test_a_pick_that_alone_is_near_the_best_everywhere_says_so() -> None:
    run = together(
        measured({"torch": 100.0, "onnx": 90.0, "batched": 50.0}),
        measured({"torch": 50.0, "onnx": 90.0, "batched": 100.0}, chosen="seed"),
    )
    assert "onnx alone is near the best in every case: start with onnx." in said(run)


def test_a_pick_that_shares_its_places_names_them() -> None:
    """torch is far behind, first in two things, and so in the way of both others."""
    rates = {"torch": 100.0, "onnx": 205.0, "batched": 205.0, "mosec": 205.0}
    costs = {"torch": (1.0, 300), "onnx": (1.0, 300), "batched": (2.0, 300), "mosec": (1.0, 400)}
    run = with_costs(measured(rates), costs)
    choice = choose(run, summarise(run))
    assert (choice.pick, choice.leads, choice.beats_rivals_in, choice.level) == ("onnx", (), (), ())
    assert "onnx is among the first in time to start, memory and size of the image: start with onnx." in said(
        run
    )


def test_who_is_near_the_best_and_told_apart_in_nothing_is_a_matter_of_taste() -> None:
    rates = {"torch": 100.0, "onnx": 200.0, "batched": 200.0}
    run = with_costs(measured(rates), {"torch": (1, 300), "onnx": (1, 300), "batched": (1, 300)})
    assert "Nothing tells onnx and batched apart: take what is simplest to run." in said(run)
    assert "start with" not in said(run)
