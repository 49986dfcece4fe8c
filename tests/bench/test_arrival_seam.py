"""Whoever adds an arrival pattern writes its function and one line of the table: every place looks it up."""

import argparse
import inspect
import json
import os
import shutil
import subprocess
import sys
from array import array
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from bench.analysis.summary import summarise
from bench.measure.steps.trial import TrialStep
from bench.model import ARRIVALS, ArrivalPattern, OpenLoad, ShareLoad
from bench.report.plots.over_load import described, groups_of
from bench.verbs.arguments import add_arrivals
from tests.bench.plans import plan, run_of

Bench = Callable[..., "subprocess.CompletedProcess[str]"]
ROOT = Path(__file__).parents[2]
LAST_LINE = '    "constant": ArrivalPattern(constant_arrivals_ns, "evenly spaced", ", evenly", "-even"),\n'
LINE = '    "pairs": ArrivalPattern(pair_arrivals_ns, "in pairs", ", in pairs", "-pairs"),\n'
RATE = 40.0


def pair_arrivals_ns(rate_per_s: float, seconds: float, seed: int) -> "array[int]":
    """Two requests at each instant, 2/rate apart."""
    del seed
    due = array("q")
    while (len(due) + 2) < rate_per_s * seconds:
        due.extend([int((len(due) + 2) * 1e9 / rate_per_s)] * 2)
    return due


@pytest.fixture
def _pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = ArrivalPattern(pair_arrivals_ns, "in pairs", ", in pairs", "-pairs")
    monkeypatch.setitem(ARRIVALS, "pairs", pairs)


@pytest.mark.usefixtures("_pairs")
def test_a_line_of_the_table_is_a_choice_and_names_loads() -> None:
    parser = argparse.ArgumentParser()
    add_arrivals(parser)
    assert parser.parse_args(["--arrivals", "pairs"]).arrivals == "pairs"
    loads = OpenLoad(200, 1, 2, arrivals="pairs"), ShareLoad(0.7, 1, 2, arrivals="pairs")
    assert [load.label for load in loads] == ["200 requests/s, in pairs", "70% of capacity, in pairs"]
    assert [load.name for load in loads] == ["q200-pairs", "s70-pairs"]


@pytest.mark.usefixtures("_pairs")
def test_a_line_of_the_table_is_a_curve_of_its_own() -> None:
    """Loads of two patterns are never points of one curve; those of the table's first come first."""
    loads = [OpenLoad(rate, 1, 2, arrivals=name) for name in reversed(ARRIVALS) for rate in (30, 20)]
    steps = [
        TrialStep(strategy="fast", payload_class="seed", encoding="json", round=1, load=one) for one in loads
    ]
    summary = summarise(run_of(plan(), steps))
    curves = {described(summary, cases): [case.load for case in cases] for cases in groups_of(summary)}
    assert curves == {
        "seed, open": ["20 requests/s", "30 requests/s"],
        "seed, open, evenly": ["20 requests/s, evenly", "30 requests/s, evenly"],
        "seed, open, in pairs": ["20 requests/s, in pairs", "30 requests/s, in pairs"],
    }
    assert list(curves) == ["seed, open", "seed, open, evenly", "seed, open, in pairs"]


@pytest.fixture
def bench_with_pairs(tmp_path: Path) -> Bench:
    """Run a copy of bench whose table has the function above, and one line more."""
    copy = tmp_path / "copy"
    shutil.copytree(ROOT / "bench", copy / "bench", ignore=shutil.ignore_patterns("__pycache__"))
    table = copy / "bench" / "model" / "arrivals.py"
    text = table.read_text()
    assert text.count(LAST_LINE) == 1
    before, after = text.split("# by the name on the command line")
    function = inspect.getsource(pair_arrivals_ns)
    changed = f"{before}{function}\n\n# by the name on the command line{after}"
    table.write_text(changed.replace(LAST_LINE, LAST_LINE + LINE))

    def call(*words: str | Path) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "bench", *map(str, words)]
        environment = {**os.environ, "COLUMNS": "100"}
        return subprocess.run(
            command, cwd=copy, env=environment, capture_output=True, text=True, timeout=400, check=False
        )

    return call


@pytest.mark.slow
def test_a_new_pattern_is_offered_driven_and_named(
    bench_with_pairs: Bench, project: Path, tmp_path: Path
) -> None:
    """In a copy of bench with one function and one line more, since the driver is a process of its own."""
    shown = " ".join(bench_with_pairs("run", "--help").stdout.split())
    assert "--arrivals {poisson,constant,pairs}" in shown
    assert "instants of an open load: at random (default), evenly spaced or in pairs" in shown

    options = ("--runtime", "process", "--quick", "--strategies", "fast", "--payloads", "small")
    short = ("--warmup-s", "0.3", "--window-s", "1", "--startups", "0", "--loop-seconds", "0")
    load = ("--rate", f"{RATE:g}", "--arrivals", "pairs", "--max-other-cpu", "100%")
    results = tmp_path / "results"
    done = bench_with_pairs("run", "--root", project, "--results", results, *options, *short, *load)
    (folder,) = results.iterdir()
    run = json.loads((folder / "run.json").read_text())
    (trial,) = run["trials"]
    # a busy machine may spoil so short a window, which changes nothing of what was due
    assert done.returncode == (0 if trial["valid"] else 4), done.stderr
    assert (trial["load"]["kind"], trial["load"]["arrivals"]) == ("open", "pairs")
    assert "-q40-pairs-" in trial["samples"]
    assert "q40-pairs" in trial["samples"]
    assert run["environment"]["settings"]["arrivals"] == ["pairs"]
    due_ns = sorted(pd.read_parquet(folder / trial["samples"]).due_ns)
    assert len(due_ns) > RATE
    assert due_ns == list(pair_arrivals_ns(RATE, 60, 0))[: len(due_ns)]
    assert "40 requests/s, in pairs" in (folder / "report.md").read_text()
