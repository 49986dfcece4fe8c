"""What is compared within a run: all strategies, cases of one, and none that were not equally busy."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from bench import statistics
from bench.analysis.cases import case_of
from bench.analysis.comparisons import Compared, compared, not_compared
from bench.analysis.costs import costs
from bench.analysis.run_analysis import analyse
from bench.analysis.summary import summarise, with_baseline
from bench.docs.tables import lateness
from bench.errors import UsageError
from bench.model import ClosedLoad, LatencyMs, Load, OpenLoad, Run, StrategyResult, Trial
from bench.report import report_md
from bench.report.json_summary import summary_json
from bench.report.report import report_of
from bench.report.run_screen import render
from bench.report.sections.resources import cost
from bench.report.sentence import sentence
from bench.report.writers import markdown
from bench.run_file import read_run
from tests.bench.plans import plan, run_of

RESULTS = Path(__file__).parents[2] / "results"
CLOSED_RUN, SHARES_RUN = "20261120T123610Z-8fc212b", "20261124T210427Z-db782fb"
WOBBLE = (1.0, 1.01, 0.99, 1.02, 0.98, 1.005)


def trial(
    strategy: str,
    round_: int,
    load: Load,
    rps: float,
    encoding: str = "json",
    chosen: str = "small",
) -> Trial:
    """A valid trial whose figures all follow from its rate, with a little noise that rounds share."""
    rps *= WOBBLE[round_ - 1] if isinstance(load, ClosedLoad) else 1.0
    late = 1000 / rps * (1 + 0.002 * ((round_ * len(strategy)) % 3))
    return Trial(
        strategy, round_, chosen, encoding, load, 10, 2, 900, 900, 0, 0, rps,
        LatencyMs(late, 2 * late, 3 * late), late / 2, 10**8, 0.1, (), True, None,
    )  # fmt: skip


def made(trials: Sequence[Trial], **changes: object) -> Run:
    names = dict.fromkeys(one.strategy for one in trials)
    run = replace(
        run_of(plan(), []),
        strategies={name: StrategyResult(name, None, None) for name in names},
        trials=tuple(trials),
        planned_trials=len(trials),
    )
    return replace(run, **changes)  # type: ignore[arg-type]  # fields by name


def rounds(
    strategy: str, load: Load, rps: float, encoding: str = "json", chosen: str = "small"
) -> list[Trial]:
    return [trial(strategy, number, load, rps, encoding, chosen) for number in range(1, 7)]


def shared(strategy: str, capacity: float, rate: float, share: float = 0.9) -> list[Trial]:
    """Closed loops of a capacity, and an open load that was meant as a share of it, at this rate."""
    closed = rounds(strategy, ClosedLoad(50, 2, 10), capacity)
    return [*closed, *rounds(strategy, OpenLoad(rate, 2, 10, share=share), rate)]


def pairs(family: Sequence[Compared]) -> list[tuple[str, str, str, str]]:
    return list(
        dict.fromkeys(
            (one.relation, one.strategy, one.base, f"{one.case.load}/{one.base_case.load}") for one in family
        )
    )


def said_of(run: Run) -> str:
    return report_md.render(report_of(analyse(run, Path("nowhere")))).replace("\N{NO-BREAK SPACE}", " ")


@pytest.mark.parametrize(
    ("folder", "payloads", "ratio", "low", "high"),
    [
        (CLOSED_RUN, "small", 1.17, 1.08, 1.26),
        (CLOSED_RUN, "seed", 1.03, 0.94, 1.13),
        (SHARES_RUN, "small", 1.11, 0.97, 1.26),
    ],
)
def test_batched_against_onnx_is_what_the_committed_samples_say(
    folder: str, payloads: str, ratio: float, low: float, high: float
) -> None:
    family = compared(summarise(read_run(RESULTS / folder)))
    (found,) = [
        one
        for one in family
        if (one.strategy, one.base, one.metric) == ("batched", "onnx", "throughput")
        and one.case.payload_class == payloads
    ]
    assert found.relation == "strategies"
    assert (found.comparison.ratio, found.comparison.low, found.comparison.high) == pytest.approx(
        (ratio, low, high), abs=0.005
    )
    assert found.comparison.minimal_detectable_effect


@pytest.mark.parametrize(("name", "reached"), [("torch", 85.5), ("onnx", 75.0), ("batched", 95.5)])
def test_the_utilisation_of_the_committed_run_is_that_of_its_rounds(name: str, reached: float) -> None:
    summary = summarise(read_run(RESULTS / SHARES_RUN))
    (row,) = [row for (one, case), row in summary.rows.items() if one == name and case.size == 0.9]
    assert row.utilisation is not None
    assert 100 * row.utilisation.centre == pytest.approx(reached, abs=0.05)
    assert row.utilisation.low is not None
    assert row.utilisation.low < row.utilisation.centre
    assert all(one.case.at_due_times or one.utilisation is None for one in summary.rows.values())


def test_unequal_shares_of_capacity_are_not_compared_and_every_report_says_so() -> None:
    run = made([*shared("torch", 100, 75), *shared("onnx", 200, 190)])
    summary = summarise(run)
    assert {one.case.kind for one in compared(summary)} == {"closed"}
    (found,) = not_compared(summary)
    assert found.why == "utilisation"
    assert "not compared: 75% and 95% of capacity" in said_of(run)
    assert "onnx 15.8 ms at its 190 requests/s (95% busy)" in sentence(run, summary)
    assert "are not compared" in sentence(run, summary)
    assert "not compared" in render(run, 140)
    document = summary_json(run)
    (told,) = document["not_compared"]
    assert (told["why"], told["base_utilisation"]) == ("utilisation", pytest.approx(0.75, abs=0.005))
    assert "not compared: 75% and 95% of capacity" in lateness(run)


@pytest.mark.parametrize(("factor", "expected"), [(1.04, True), (1.049, True), (1.055, False), (1.2, False)])
def test_shares_within_five_percent_of_each_other_are_compared(factor: float, expected: bool) -> None:
    run = made([*shared("torch", 100, 70), *shared("onnx", 200, 140 * factor)])
    latencies = [one for one in compared(summarise(run)) if one.case.kind == "share"]
    assert bool(latencies) == expected
    assert bool(not_compared(summarise(run))) != expected


def test_without_a_closed_loop_nobody_knows_how_busy_they_were() -> None:
    load = OpenLoad(70, 2, 10, share=0.7)
    run = made([*rounds("torch", load, 70), *rounds("onnx", load, 70)])
    assert compared(summarise(run)) == ()
    assert not_compared(summarise(run))[0].why == "utilisation_unknown"


def test_at_a_common_rate_strategies_are_compared_as_they_are() -> None:
    for load in (OpenLoad(80, 2, 10), OpenLoad(80, 2, 10, share=0.8, of_slowest=True)):
        trials = [*rounds("torch", ClosedLoad(50, 2, 10), 100), *rounds("onnx", ClosedLoad(50, 2, 10), 300)]
        run = made([*trials, *rounds("torch", load, 80), *rounds("onnx", load, 80)])
        summary = summarise(run)
        case = case_of(run.trials[-1])
        assert case.same_for_all
        assert not not_compared(summary)
        assert {one.metric for one in compared(summary) if one.case == case} == {"p50", "p99", "cpu"}
        reached = [summary.rows[name, case].utilisation for name in ("torch", "onnx")]
        assert [round(one.centre, 2) for one in reached if one] == [0.8, 0.27]


def test_an_overloaded_row_is_compared_with_nobody() -> None:
    load = OpenLoad(80, 2, 10)
    trials = [*rounds("torch", load, 80), *rounds("onnx", load, 80), *rounds("batched", load, 80)]
    spoilt = [replace(one, refused=7) if (one.strategy, one.round) == ("onnx", 2) else one for one in trials]
    summary = summarise(made(spoilt))
    assert {name for (name, _), row in summary.rows.items() if row.overloaded} == {"onnx"}
    assert {(one.strategy, one.base) for one in compared(summary)} == {("batched", "torch")}
    assert {one.why for one in not_compared(summary)} == {"overloaded"}
    assert all(row.to_baseline is None for row in summary.rows.values() if row.strategy == "onnx")


def test_all_pairs_are_one_family_and_the_baselines_come_first() -> None:
    load = ClosedLoad(50, 2, 10)
    names = {"torch": 100.0, "onnx": 200.0, "batched": 240.0, "peer": 150.0}
    run = made([one for name, rps in names.items() for one in rounds(name, load, rps)])
    family = compared(summarise(run))
    relations = [one.relation for one in family]
    assert relations == sorted(relations), "baseline before strategies"
    assert {(one.strategy, one.base) for one in family} == {
        *(("onnx", "torch"), ("batched", "torch"), ("peer", "torch")),
        *(("batched", "onnx"), ("peer", "onnx"), ("peer", "batched")),
    }
    adjusted = statistics.holm([one.comparison.t_p_value for one in family])
    assert [one.adjusted_p for one in family] == adjusted
    assert all(one.comparison.minimal_detectable_effect is not None for one in family)


def test_the_baseline_is_the_users_choice() -> None:
    load = ClosedLoad(50, 2, 10)
    run = made([*rounds("torch", load, 100), *rounds("onnx", load, 200), *rounds("batched", load, 240)])
    chosen = with_baseline(run, "batched")
    assert {one.base for one in compared(summarise(chosen)) if one.relation == "baseline"} == {"batched"}
    report = said_of(chosen)
    assert "ratio to batched" in report
    assert "requests/s, ratio to batched" in report
    assert summary_json(chosen)["baseline"] == "batched"
    with pytest.raises(UsageError, match="--baseline nobody is not in this run: it has torch, onnx, batched"):
        with_baseline(run, "nobody")
    assert with_baseline(run, None) is run


ENCODINGS = [
    *rounds("onnx", ClosedLoad(50, 2, 10), 100, "json"),
    *rounds("onnx", ClosedLoad(50, 2, 10), 130, "raw"),
]
CLIENTS = [*rounds("onnx", ClosedLoad(1, 2, 10), 40), *rounds("onnx", ClosedLoad(8, 2, 10), 100)]
RATES = [*rounds("onnx", OpenLoad(20, 2, 10), 20), *rounds("onnx", OpenLoad(80, 2, 10), 80)]
PAYLOADS = [
    *rounds("onnx", ClosedLoad(50, 2, 10), 100, chosen="seed"),
    *rounds("onnx", ClosedLoad(50, 2, 10), 130),
]


@pytest.mark.parametrize("trials", [ENCODINGS, CLIENTS, RATES, PAYLOADS])
@pytest.mark.parametrize("number", [6, 1])
def test_two_cases_of_one_strategy_are_compared(trials: list[Trial], number: int) -> None:
    run = made([one for one in trials if one.round <= number])
    summary = summarise(run)
    family = compared(summary)
    assert {one.relation for one in family} == {"cases"}
    assert {(one.strategy, one.base) for one in family} == {("onnx", "onnx")}
    closed = trials is not RATES
    assert {one.metric for one in family} == {"p50", "p99", "cpu", *(["throughput"] if closed else [])}
    assert "nothing to compare" not in sentence(run, summary)
    if number == 6:
        report = said_of(run)
        assert "## Comparisons" in report
        assert "| onnx | " in report.split("## Comparisons")[1].split("<details>")[0]
        assert "1.30" in report.split("## Comparisons")[1] or trials in (CLIENTS, RATES)


def test_every_pair_of_clients_and_encodings_but_of_rates_the_neighbours_alone() -> None:
    clients = [one for n in (1, 4, 16) for one in rounds("onnx", ClosedLoad(n, 2, 10), 30.0 * n)]
    rates = [one for rate in (10.0, 20.0, 40.0) for one in rounds("onnx", OpenLoad(rate, 2, 10), rate)]
    found = {where for *_, where in pairs(compared(summarise(made([*clients, *rates]))))}
    assert found == {
        *("4 clients/1 client", "16 clients/1 client", "16 clients/4 clients"),
        *("20 requests/s/10 requests/s", "40 requests/s/20 requests/s"),
    }


def test_a_case_that_differs_in_two_things_is_another_question() -> None:
    trials = [*ENCODINGS, *rounds("onnx", ClosedLoad(8, 2, 10), 70, "json")]
    found = {(one.case.encoding, *pair) for one, pair in zip(*_with_pairs(made(trials)), strict=True)}
    assert ("raw", "cases", "onnx", "onnx", "50 clients/8 clients") not in found


def _with_pairs(run: Run) -> tuple[list[Compared], list[tuple[str, str, str, str]]]:
    family = [one for one in compared(summarise(run)) if one.metric == "cpu"]
    return family, [
        (one.relation, one.strategy, one.base, f"{one.case.load}/{one.base_case.load}") for one in family
    ]


def test_at_a_chosen_rate_only_the_cost_of_cpu_time_is_shown() -> None:
    load = OpenLoad(80, 2, 10)
    trials = [replace(one, cpu_ms_per_request=2.92) for one in rounds("onnx", load, 80)]
    trials += [replace(one, cpu_ms_per_request=4.97) for one in rounds("torch", load, 80)]
    run = made(trials, price_per_core_hour=0.04)
    run = replace(run, environment=replace(run.environment, service_cores="1"))
    found = costs(run, summarise(run))
    assert found is not None
    assert [one.whole_cores for one in found.costs] == [None, None]
    report = said_of(run)
    section = report.split("## Cost")[1].split("\n## ")[0]
    for name, ms, price in (("onnx", "2.92", "0.0324"), ("torch", "4.97", "0.0552")):
        assert f"| {name} | small | {price}" in section
        assert f"| {name} | small | {ms}" in report.split("## Resources")[1]
    assert "whole core" not in section.splitlines()[4]
    assert "not full" in section


def test_a_closed_loop_without_a_valid_trial_has_the_headings_of_a_closed_loop() -> None:
    trials = [replace(one, valid=False) for one in rounds("torch", ClosedLoad(50, 2, 10), 100)]
    told = markdown.blocks(cost(analyse(made(trials, price_per_core_hour=0.04), Path("nowhere"))))
    said = "\n".join(told)
    assert "in the closed loop, which keeps the service full" in said
    assert "whole core" in said
    assert "At a rate that was chosen" not in said


def test_a_full_service_has_the_cost_of_its_whole_cores() -> None:
    closed = [*rounds("onnx", ClosedLoad(50, 2, 10), 200), *rounds("torch", ClosedLoad(50, 2, 10), 100)]
    run = made([*closed, *rounds("onnx", OpenLoad(80, 2, 10), 80)], price_per_core_hour=0.04)
    run = replace(run, environment=replace(run.environment, service_cores="1"))
    found = costs(run, summarise(run))
    assert found is not None
    whole = [one.whole_cores.centre for one in found.costs if one.whole_cores]
    assert len(whole) == 2
    assert max(whole) / min(whole) == pytest.approx(2, rel=0.01)
