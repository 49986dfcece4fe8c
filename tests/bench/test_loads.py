"""Several loads in one run: planned in seeded order, driven each, and kept apart."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from msgspec import UNSET

from bench.measure.plan import SessionPlan
from bench.measure.steps.order import TimeEstimate, steps
from bench.model import ClosedLoad, Load, OpenLoad, Payload, Strategy
from bench.model.expectations import LabelExpectation
from tests.running.exit_codes import code_of
from tests.running.in_flight import most_in_flight

Bench = Callable[..., "subprocess.CompletedProcess[str]"]
LOADS: tuple[Load, ...] = (ClosedLoad(1, 2.0, 10.0), ClosedLoad(64, 2.0, 10.0), OpenLoad(50.0, 2.0, 10.0))


def plan(loads: tuple[Load, ...] = LOADS, startups: int = 10) -> SessionPlan:
    body = Payload(
        "a.jpg", "seed", "json", "application/json", b"{}", LabelExpectation("rain", {"rain": 1.0})
    )
    return SessionPlan(
        strategies=tuple(
            Strategy(name, name, name, 8080, "/predict/", "/ready", ("json",), ("loop",))
            for name in ("onnx", "torch")
        ),
        payloads={("seed", "json"): (body,), ("small", "json"): (body,)},
        loads=loads,
        rounds=2,
        startups=startups,
        loop_s=1.0,
        seed=1,
        quick=False,
        command="",
    )


def trials(of: SessionPlan, number: int) -> list[tuple[str, str, str]]:
    found = [step for step in steps(of) if step.kind == "trial" and step.round == number]
    return [(step.strategy, step.payload_class, step.load.name if step.load else "") for step in found]


def test_a_round_makes_each_strategy_with_each_class_and_load_once_in_an_order_of_its_own() -> None:
    every = {
        (s, p, load) for s in ("onnx", "torch") for p in ("seed", "small") for load in ("c1", "c64", "q50")
    }
    first, second = trials(plan(), 1), trials(plan(), 2)
    assert sorted(first) == sorted(second) == sorted(every)
    assert first != second
    assert first == trials(plan(), 1)
    assert plan().planned_trials == len(first) + len(second)


def test_a_step_names_its_load_where_there_are_several() -> None:
    labels = {step.label() for step in steps(plan()) if step.kind == "trial"}
    assert "round 1: trial onnx seed at 64 clients" in labels
    assert "round 2: trial torch small at 50 requests/s" in labels
    assert "round 1: trial onnx seed" in {step.label() for step in steps(plan(LOADS[:1]))}


def test_every_trial_counts_as_a_start_and_takes_its_time() -> None:
    assert not [step for step in steps(plan(startups=13)) if step.kind == "start"]
    assert len([step for step in steps(plan(startups=15)) if step.kind == "start"]) == 4
    few, many = plan(LOADS[:1]), plan()
    assert TimeEstimate(many).left_s(steps(many)) > TimeEstimate(few).left_s(steps(few)) + 16 * 12


def test_the_settings_name_clients_and_rates() -> None:
    settings = plan().settings()
    assert (settings.clients, settings.rates_per_s) == ((1, 64), (50.0,))
    assert plan(LOADS[:2]).settings().rates_per_s is UNSET


def test_the_ceiling_is_measured_with_the_largest_closed_load() -> None:
    assert plan().closed_load(0.3, 5.0) == ClosedLoad(64, 0.3, 5.0)
    assert plan(LOADS[2:]).closed_load(0.3, 5.0).clients == 50


@pytest.mark.parametrize(
    ("options", "found"),
    [
        (("--concurrency", "1,8,8"), {"at 1 client", "at 8 clients"}),
        (("--rate", "12.5,100"), {"at 12.5 requests/s", "at 100 requests/s"}),
        (("--rate", "20", "--concurrency", "4"), {"at 20 requests/s", "at 4 clients"}),
        (("--load", "50%,90%"), {"at 50 clients", "at 50% of capacity", "at 90% of capacity"}),
        (("--load", "50%", "--concurrency", "4"), {"at 4 clients", "at 50% of capacity"}),
        (("--common-load", "80%"), {"at 50 clients", "at 80% of the slowest's capacity"}),
        (
            ("--rate", "20", "--load", "70%", "--arrivals", "constant"),
            {"at 50 clients", "at 20 requests/s, evenly", "at 70% of capacity, evenly"},
        ),
    ],
)
def test_loads_are_those_asked_for(
    bench: Bench, project: Path, options: tuple[str, ...], found: set[str]
) -> None:
    done = bench("plan", "--root", project, "--payloads", "small", "--rounds", "1", *options)
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if " trial fast " in line]
    assert {line.partition("small ")[2] for line in lines} == found
    assert len(lines) == len(found)


@pytest.mark.parametrize(
    "options",
    [
        ("--rate", "0"),
        ("--rate", "x"),
        ("--rate", "nan"),
        ("--rate", "1e9"),
        ("--concurrency", "1,,x"),
        ("--load", "50"),
        ("--load", "0%"),
        ("--load", "300%"),
        ("--common-load", "0%"),
        ("--baseline", "nobody"),
        ("--arrivals", "bursts"),
        ("--max-errors", "1"),
        ("--workers", "0"),
        ("--price", "free"),
    ],
)
def test_loads_that_make_no_sense_are_usage_errors(bench: Bench, options: tuple[str, ...]) -> None:
    assert bench("plan", *options).returncode == 2


def test_a_run_keeps_closed_and_open_loads_apart(bench: Bench, project: Path, tmp_path: Path) -> None:
    options = ("--runtime", "process", "--quick", "--warmup-s", "0.3", "--window-s", "1", "--startups", "0")
    options += ("--payloads", "small", "--strategies", "slow", "--loop-seconds", "0.2")
    options += ("--concurrency", "1,4", "--rate", "25")
    done = bench("run", "--root", project, "--results", tmp_path / "results", *options)
    (folder,) = (tmp_path / "results").iterdir()
    found = json.loads((folder / "run.json").read_text())
    assert done.returncode == code_of(found), done.stderr
    assert found["planned_trials"] == len(found["trials"]) == 3
    closed = {t["load"]["clients"]: t for t in found["trials"] if t["load"]["kind"] == "closed"}
    (open_,) = (t for t in found["trials"] if t["load"]["kind"] == "open")
    assert set(closed) == {1, 4}
    assert (open_["load"]["rate_per_s"], open_["load"]["arrivals"]) == (25.0, "poisson")
    assert (open_["refused"], closed[1]["refused"]) == (0, None)
    for clients, one in closed.items():
        kept = pd.read_parquet(folder / one["samples"])
        assert most_in_flight(kept["sent_ns"].to_numpy(), kept["done_ns"].to_numpy()) == clients
    assert 10 <= open_["ok"] <= 45
    assert len(list((folder / "samples").iterdir())) == len({t["samples"] for t in found["trials"]}) == 3
    assert len(pd.read_parquet(folder / "samples")) >= sum(t["ok"] for t in found["trials"])
    # the stub tells its batches as a service does, and its loop knows its parts
    stages = closed[4]["server"]["stages"]
    # it takes 20 ms, and longer on a busy machine
    assert 15 < stages["infer"]["mean_ms"] < 2000
    assert closed[4]["server"]["batch"]["mean"] == 1
    loops = found["strategies"]["slow"]["loops"]
    assert [(loop["part"], loop["batch_size"]) for loop in loops] == [
        ("whole", None),
        ("prepare", None),
        ("infer", 4),
    ]
    assert found["environment"]["settings"]["device"] == "auto"
    report = (folder / "report.md").read_text()
    assert "| 4 clients | slow |" in report
    assert "## Where the time goes" in report
    assert (folder / "plots" / "load.png").is_file()
