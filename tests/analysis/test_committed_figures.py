"""Every figure of the committed runs is what it was when it was stored, in every format for programs."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.analysis.run_analysis import analyse
from bench.model import Run
from bench.report.exports import action, csv_files
from bench.report.json_summary import summary_json
from bench.report.report import Report, report_of
from bench.run_file import read_run

ROOT = Path(__file__).parents[2]
STORED = sorted((Path(__file__).parent / "figures").glob("*.json"))
LABELS = ("strategy", "payloads", "encoding", "load", "metric")


def numbers(value: Any, path: str = "") -> Iterator[tuple[str, float | None]]:
    """Every number of a document by its path, and where a figure is missing."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from numbers(item, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for place, item in enumerate(value):
            yield from numbers(item, f"{path}[{place}]")
    elif value is None or isinstance(value, int | float):
        yield path, value


def number(cell: str) -> float | None:
    """A cell's number; None for a cell that is empty or holds words."""
    try:
        return float(cell)
    except ValueError:
        return None


def of_document(run: Run, _: Report) -> dict[str, Any]:
    return dict(numbers(summary_json(run)))


def of_trials(_: Run, report: Report) -> dict[str, Any]:
    rows = list(csv.DictReader(csv_files.trials(report).splitlines()))
    return {column: [number(row[column]) for row in rows] for column in rows[0]}


def of_summary(_: Run, report: Report) -> dict[str, Any]:
    rows = csv.DictReader(csv_files.summary(report).splitlines())
    ends = ("centre", "low", "high", "n")
    return {" | ".join(row[name] for name in LABELS): [number(row[name]) for name in ends] for row in rows}


def of_series(_: Run, report: Report) -> dict[str, Any]:
    entries = [*json.loads(action.smaller(report)), *json.loads(action.bigger(report))]
    return {entry["name"]: entry["value"] for entry in entries}


PLACES = {"document": of_document, "trials": of_trials, "summary": of_summary, "series": of_series}


def test_every_committed_run_is_stored() -> None:
    runs = {path.parent.name for path in (ROOT / "results").glob("*/run.json")}
    assert {path.stem for path in STORED} == runs


@pytest.mark.parametrize("stored", STORED, ids=lambda path: path.stem)
def test_figures_are_what_they_were(stored: Path) -> None:
    """New figures may come beside them."""
    folder = ROOT / "results" / stored.stem
    run = read_run(folder)
    report = report_of(analyse(run, folder))
    for place, before in json.loads(stored.read_text(encoding="utf-8")).items():
        now = PLACES[place](run, report)
        assert {name: now.get(name, "gone") for name in before} == before, place
