"""Row 23: a report says the same in each place of whether a trial is left out or only warned of."""

import csv
import dataclasses
import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.etree import ElementTree

from bench.analysis.run_analysis import analyse
from bench.model import TITLES, DoubtCode, Run, Trial
from bench.report.formats import PRINTED
from bench.report.json_summary import summary_json
from bench.report.report import report_of
from bench.report.report_md import render as report_md
from bench.report.run_screen import render as terminal
from tests.calibration.claims import Figure
from tests.calibration.edges.known_run import run_known
from tests.calibration.edges.known_service import Script
from tests.calibration.edges.registry import Edge

WARMUP_S, WINDOW_S = 1.0, 4.0
# one changes in the middle of its window, which leaves it out; one refuses requests, of which a report warns
SERVICES = {
    "changes": Script(phases=[[0.0, 5.0], [WARMUP_S + WINDOW_S / 2, 50.0]]),
    "refuses": Script(phases=[[0.0, 20.0]], most_queued=2),
}
REASONS: Mapping[str, tuple[DoubtCode, bool]] = {
    "changes": ("not_steady", True),
    "refuses": ("refusing", False),
}
OPTIONS = ("--rate", "120", "--warmup-s", f"{WARMUP_S:g}", "--warmup-most-s", f"{WARMUP_S:g}")
OPTIONS = (*OPTIONS, "--window-s", f"{WINDOW_S:g}")
MORE = "of warning in report.md"
ONLY_WARNS = re.compile(r"only warns|is a warning only|does not leave|kept all the same", re.IGNORECASE)


def driven(folder: Path) -> Run:
    """One trial of each service."""
    return run_known(folder, SERVICES, *OPTIONS).run


def measure(folder: Path) -> Sequence[Figure]:
    """An unsteady trial is void, one that refuses is not by that, and all places say so."""
    run = driven(folder)
    figures = []
    for name, (code, voids) in REASONS.items():
        found = [one.voids for one in of(run, name).doubts if one.code == code]
        figures.append(exact(f"{name}: {TITLES[code]} voids", voids, found[:1] == [True]))
        figures.append(exact(f"{name}: {TITLES[code]} is found", 1, bool(found)))
    return [*figures, *places(run)]


def broken(folder: Path) -> Sequence[Figure]:
    """As it was: what a reason does was said by its kind, whatever it did to the trial."""
    run = driven(folder)
    trials = tuple(
        dataclasses.replace(one, doubts=tuple(dataclasses.replace(d, voids=False) for d in one.doubts))
        for one in run.trials
    )
    return places(dataclasses.replace(run, trials=trials), of_trials=run)


def of(run: Run, name: str) -> Trial:
    """The only trial of a service."""
    return next(one for one in run.trials if one.strategy == name)


def places(run: Run, of_trials: Run | None = None) -> list[Figure]:
    """What each place of each format says, against whether the trials of run.json are void."""
    made = report_of(analyse(run, Path("nowhere")))
    texts = {name: PRINTED[name](made) for name in ("markdown", "csv", "junit")}
    texts |= {"report": report_md(made), "terminal": " ".join(terminal(run, 200).split())}
    contradicted = bool(ONLY_WARNS.search("".join(texts.values())))
    left_out = sum(not one.valid for one in run.trials)
    counted = f"{len(run.trials) - left_out} of {len(run.trials)} planned trials valid, {left_out} invalid"
    return [
        exact("a place says that a reason only warns", 0, contradicted),
        exact("the report counts the trials that are left out", 1, counted in texts["report"]),
        *(one for name in REASONS for one in _of_service(run, name, texts, of_trials or run)),
    ]


def _of_service(run: Run, name: str, texts: Mapping[str, str], of_trials: Run) -> list[Figure]:
    """The places that speak of one service."""
    code, _ = REASONS[name]
    trial, title = of(run, name), TITLES[code]
    out = not trial.valid
    voids = any(one.code == code and one.voids for one in of(of_trials, name).doubts)
    warned = re.search(rf"round 1, {name}, small( \(INVALID, left out\))?:", texts["report"])
    row = re.search(rf"\| {re.escape(title)} \| (\d) \| (\d) \| (\d) \|", texts["report"])
    state = "INVALID and left out" if out and voids else "warned of"
    document = next((one for one in summary_json(run)["warnings"] if one["code"] == code), None)
    table = {one["strategy"]: one["valid"] for one in csv.DictReader(io.StringIO(texts["csv"]))}
    case = ElementTree.fromstring(texts["junit"]).find(f".//testcase[@classname='{name}']")  # noqa: S314  # made by ourselves
    said = {
        "the report's warnings": warned is not None and (warned[1] is not None) == out,
        "the report's table of reasons": row is not None
        and row.groups() == (str(int(voids)), str(int(out)), str(int(not out))),
        "a pull request's comment": f"1 trial {state}: {title}" in texts["markdown"],
        "the terminal's table": f"{int(trial.valid)}/1" in texts["terminal"],
        "the terminal's reasons": f"{'INVALID' if out else 'warning'}, 1 trial of {name}: "
        in texts["terminal"]
        # a busy host may give more reasons than a terminal shows; what voids comes first
        or (not out and MORE in texts["terminal"]),
        "JSON": document is not None
        and (document["invalid_trials"], document["valid_trials"]) == (int(out), int(not out)),
        "CSV": table.get(name) == ("false" if out else "true"),
        "JUnit": case is not None and (case.find("failure") is not None) == out,
    }
    return [exact(f"{name}: {place} says what run.json does", 1, told) for place, told in said.items()]


def exact(claim: str, truth: float, measured: float) -> Figure:
    """A count, or a claim that holds (1) or not."""
    return Figure(claim, truth, measured, "exactly", truth == measured, 1)


EDGES = [
    Edge(
        23,
        "a report says once what a reason does to a trial",
        measure,
        broken,
        ("tests/report/test_one_word_for_void.py", "test_what_a_reason_does_is_said_once"),
    )
]
