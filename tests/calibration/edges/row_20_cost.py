"""Row 20: at a chosen rate the cost is that of CPU time; whole cores cost the same for everybody there."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from bench.analysis.costs import MILLION, S_PER_HOUR, costs
from bench.analysis.summary import summarise
from tests.calibration.claims import Figure, close
from tests.calibration.edges.known_run import KnownRun, run_known
from tests.calibration.edges.known_service import Script
from tests.calibration.edges.registry import Edge

PRICE, LIGHT, HEAVY = 0.04, 10.0, 40.0
OPTIONS = ("--rate", "15", "--price", str(PRICE), "--warmup-s", "1", "--window-s", "3")


def _measured(folder: Path) -> KnownRun:
    services = {"light": Script(cpu_ms=LIGHT), "heavy": Script(cpu_ms=HEAVY)}
    return run_known(folder, services, *OPTIONS)


def _true_ratio(found: KnownRun) -> float:
    """What the heavy service burnt for an answer in the window over what the light one did, by their logs.

    Four times as much, but on a busy machine more requests begin in the window than end in it.
    """
    burnt = {}
    for name, ms in (("heavy", HEAVY), ("light", LIGHT)):
        trial = found.trial(name)
        begin_s, end_s = trial.warmup_s, trial.warmup_s + trial.window_s
        begun = sum(begin_s <= request[1] < end_s for request in found.log(trial)["requests"])
        burnt[name] = ms * begun / found.answered(trial, begin_s, end_s)
    return burnt["heavy"] / burnt["light"]


def measure(folder: Path) -> Sequence[Figure]:
    """Two services of which one burns four times the CPU time, at one rate."""
    found = _measured(folder)
    # a host that voids a trial does not change what its CPU time costs
    trials = tuple(dataclasses.replace(one, valid=True, doubts=()) for one in found.run.trials)
    run = dataclasses.replace(found.run, trials=trials)
    known = costs(run, summarise(run))
    assert known is not None
    whole = [one for one in known.costs if one.whole_cores is not None]
    none = Figure("costs of whole cores at a chosen rate", 0, len(whole), "none", not whole, 2)
    money = {one.row.strategy: one.cpu_time.centre for one in known.costs if one.cpu_time}
    ratio, truth = money.get("heavy", 0.0) / money.get("light", 1.0), _true_ratio(found)
    # the service's own work comes on top of what it burns on purpose
    holds = 0.5 <= ratio / truth <= 1.1
    more = Figure("the cost of CPU time, heavy to light", truth, ratio, "50% to 110% of it", holds, 1)
    section = (found.folder / "report.md").read_text().split("## Cost")[1].split("\n## ")[0]
    words = "CPU time" in section and "whole core" not in section.splitlines()[4]
    return [none, more, Figure("the report says which cost it is", 1, float(words), "it does", words, 1)]


def broken(folder: Path) -> Sequence[Figure]:
    """The price of a core by the rate of answers, as it was: the same for both."""
    found = _measured(folder)
    rates = {one.strategy: one.throughput_rps or 15.0 for one in found.run.trials}
    money = {name: MILLION * PRICE / S_PER_HOUR / rate for name, rate in rates.items()}
    return [close("the cost of CPU time, heavy to light", 4, money["heavy"] / money["light"], 0.5, 1)]


EDGES = [
    Edge(
        20,
        "the cost at a chosen rate is that of CPU time",
        measure,
        broken,
        ("tests/analysis/test_comparisons.py", "test_at_a_chosen_rate_only_the_cost_of_cpu_time_is_shown"),
    )
]
