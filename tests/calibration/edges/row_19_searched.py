"""Row 19: of a search everything shows the rate that held, and the headline names the objective."""

import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path

from bench.analysis.cases import Case
from bench.analysis.costs import costs
from bench.analysis.run_analysis import RunAnalysis, analyse
from bench.analysis.summary import Row
from bench.model import OpenLoad, Run, SloResult
from bench.report.json_summary import summary_json
from bench.report.page.figure_table import figure_table
from bench.report.plots import PLOTS
from bench.report.text import number
from tests.calibration.claims import Figure
from tests.calibration.edges.known_run import KnownRun, run_known
from tests.calibration.edges.known_service import Script
from tests.calibration.edges.registry import Edge

# 4 ms per request, one at a time, and 40 ms of every 200 at a stand, which a full queue makes up for: 250/s
WORK_MS, STALL_S, EVERY_S = 4.0, 0.04, 0.2
SERVICE = Script(phases=[[0.0, WORK_MS]], servers="one", stalls=[[0.1, STALL_S, EVERY_S]])
# due evenly at r a second, requests wait 40 ms less 1 - 0.004 r for each since: half of them 4 ms at 160/s
BOUND_MS, MOST_RPS = 8.0, 1.05 * 160
OBJECTIVE = f"p50 \N{LESS-THAN OR EQUAL TO} {BOUND_MS:g} ms"
OPTIONS = ("--p50", f"{BOUND_MS:g}ms", "--arrivals", "constant", "--price", "0.04")
OPTIONS = (*OPTIONS, "--warmup-s", "0.2", "--warmup-most-s", "0.4", "--window-s", "0.8")
# so that the search ends after a few trials: 25/s holds, 250/s does not, and 79.1/s holds in two fresh trials
COARSE = """
import bench.measure.steps.slo_search as search
search.RESOLUTION, search.CONFIRMATIONS, search.LAST_TRIES, search.SILENT = 2.5, 2, 4, 5
"""
USUAL = ("--runtime", "process", "--payloads", "small", "--quick", "--max-other-cpu", "100%")


def searched(folder: Path) -> KnownRun:
    """A search for the median of one service; another one if the host spoiled the first."""
    for place in ("first", "second"):
        found = run_known(
            folder / place, {"known": SERVICE}, *OPTIONS, verb="slo", usual=USUAL, beforehand=COARSE
        )
        if found.run.objectives and found.run.objectives[0].rate_per_s is not None:
            break
    return found


def measure(folder: Path) -> Sequence[Figure]:
    """The rate that held is the only one that stands for the run."""
    found = searched(folder)
    (result,) = found.run.objectives
    held = result.rate_per_s or 0.0
    tried = max(one.rate_per_s for one in result.probes)
    truth = Figure("the rate that held", MOST_RPS, held, f"at most {MOST_RPS:g}", 0 < held <= MOST_RPS, 1)
    above = Figure("a rate above it was tried", held, tried, "more", tried > held, 1)
    analysis = analyse(found.run, found.folder)
    return [truth, above, *_headline(found, result), *_figures(analysis, analysis.summary.focus, held)]


def _headline(found: KnownRun, result: SloResult) -> list[Figure]:
    """The sentence on top, on the terminal, in the report and in JSON, and the count of trials."""
    held = f"known held up to {number(result.rate_per_s)} requests/s"
    report = (found.folder / "report.md").read_text()
    texts = {
        "the terminal": " ".join(found.out.split()),
        "the report": " ".join(report.split()),
        "JSON": summary_json(found.run)["sentence"],
    }
    valid = sum(one.valid for one in found.run.trials)
    invalid = len(found.run.trials) - valid
    noun = "trial" if valid == 1 else "trials"
    counted = f"{valid} {noun} valid, {invalid} invalid and left out."
    held_most = max(one.rate_per_s for one in result.probes if one.held)
    return [
        *(
            exact(f"{name} names objective and rate first", 1, _named(text, held))
            for name, text in texts.items()
        ),
        exact("the report counts trials without a plan", 1, counted in report or "invalid" not in report),
        exact("something says N of 0 trials", 0, bool(re.search(r"\d of 0 ", "".join(texts.values())))),
        exact(
            "JSON has a number of planned trials", 0, summary_json(found.run)["trials"]["planned"] is not None
        ),
        exact("the rate that held is one that was seen to hold", 1, (result.rate_per_s or 0.0) <= held_most),
    ]


def _named(text: str, held: str) -> bool:
    at = text.find(OBJECTIVE), text.find(held)
    return 0 <= at[0] < at[1]


def _figures(analysis: RunAnalysis, focus: Sequence[Case], held: float) -> list[Figure]:
    """Key figures, cost, the table of the page and the pictures."""
    rates = [row.offered_rps for row in analysis.summary.rows.values() if row.case in focus]
    known = costs(analysis.run, analysis.summary)
    of_costs = [_rate(one.row) for one in known.costs] if known else []
    table = figure_table(analysis)
    in_table = bool(table) and table is not None and table.load == "the rate that held"
    said = " ".join(PLOTS[name].describe(analysis) for name in ("throughput", "objectives"))
    return [
        exact("key figures are of the rate that held", held, rates[0] if len(rates) == 1 else 0.0),
        exact("cost is of the rate that held", held, of_costs[0] if len(of_costs) == 1 else 0.0),
        exact("the page's table is of the rate that held", 1, in_table),
        exact("pictures name the rate that held", 1, f"held up to {number(held)} requests/s" in said),
    ]


def _rate(row: Row) -> float:
    return row.offered_rps or 0.0


def broken(folder: Path) -> Sequence[Figure]:
    """As it was: the case with the highest rate that was tried stands for the run."""
    found = searched(folder)
    (result,) = found.run.objectives
    highest = _highest(found.run)
    analysis = analyse(
        dataclasses.replace(found.run, objectives=(), options=None, planned_trials=1), found.folder
    )
    return _figures(analysis, [highest], result.rate_per_s or 0.0)


def _highest(run: Run) -> Case:
    tried = max(one.load.rate_per_s for one in run.trials if isinstance(one.load, OpenLoad))
    return next(
        Case(one.payload_class, one.encoding, one.load.label, "open", tried)
        for one in run.trials
        if isinstance(one.load, OpenLoad) and one.load.rate_per_s == tried
    )


def exact(claim: str, truth: float, measured: float) -> Figure:
    """A figure, or a claim that holds (1) or not."""
    return Figure(claim, truth, measured, "exactly", truth == measured, 1)


EDGES = [
    Edge(
        19,
        "of a search the rate that held stands for the run",
        measure,
        broken,
        (
            "tests/report/test_searched.py",
            "test_what_stands_for_the_run_is_the_rate_that_held_and_not_the_highest_that_was_tried",
        ),
    )
]
