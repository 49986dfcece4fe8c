"""Row 22: two cases of one strategy are compared."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.analysis.comparisons import compared
from bench.analysis.summary import summarise
from bench.report.sentence import sentence
from tests.calibration.claims import Figure, close
from tests.calibration.edges.known_run import KnownRun, run_known
from tests.calibration.edges.known_service import Script
from tests.calibration.edges.registry import Edge

MS, CLIENTS = 20.0, 4
OPTIONS = ("--concurrency", f"1,{CLIENTS}", "--warmup-s", "0.5", "--window-s", "2")


def _measured(folder: Path) -> KnownRun:
    """A service that serves all at once: four clients get four times the answers of one."""
    return run_known(folder, {"known": Script(phases=[[0.0, MS]], servers="many")}, *OPTIONS)


def _true_ratio(found: KnownRun) -> float:
    """Answers of four clients in the window to those of one, by the service's own log.

    Four times as many, but a busy host may hold up either trial.
    """
    one, many = found.trial(load="c1"), found.trial(load=f"c{CLIENTS}")
    return found.answered_rps(many) / found.answered_rps(one)


def _ratio(found: KnownRun, bases: Mapping[str, str] | None) -> Figure:
    ratios = [
        one.comparison.ratio
        for one in compared(summarise(found.run), bases)
        if one.metric == "throughput" and one.strategy == one.base
    ]
    measured = ratios[0] if ratios else float("nan")
    return close("answers of 4 clients to those of 1", _true_ratio(found), measured, 0.05, len(ratios))


def measure(folder: Path) -> Sequence[Figure]:
    """One strategy with one client and with four."""
    found = _measured(folder)
    if not all(one.valid for one in found.run.trials):
        # a busy host may void a window as short as this
        return []
    said = sentence(found.run, summarise(found.run))
    names = "nothing to compare" not in said and "4 clients" in said
    return [_ratio(found, None), Figure("the sentence compares them", 1, float(names), "it does", names, 1)]


def broken(folder: Path) -> Sequence[Figure]:
    """The same if strategies alone are compared."""
    return [_ratio(_measured(folder), {})]


EDGES = [
    Edge(
        22,
        "cases of one strategy are compared",
        measure,
        broken,
        ("tests/analysis/test_comparisons.py", "test_two_cases_of_one_strategy_are_compared"),
    )
]
