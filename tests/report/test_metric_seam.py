"""A metric is an entry of one table: when p99.9 is given its places, it arrives in every table."""

from dataclasses import replace
from pathlib import Path

import pytest

from bench.analysis.metrics import METRICS, Room
from bench.analysis.run_analysis import analyse
from bench.model import Run
from bench.report import markdown, terminal
from bench.report.page.run_page import render
from bench.report.report import report_of


@pytest.fixture
def known(run: Run) -> Run:
    """The run with a p99.9 in each of its trials."""
    trials = tuple(
        replace(trial, samples=None, latency_ms=replace(trial.latency_ms, p999=123.0)) for trial in run.trials
    )
    return replace(run, trials=trials)


def test_a_metric_arrives_in_the_tables_of_report_page_and_terminal(
    known: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = terminal.render(known, 200) + markdown.render(report_of(analyse(known, Path())))
    assert "p99.9 ms" not in before
    shown = replace(METRICS["p999"], places=frozenset({"load table", "key figures"}), room=Room(25, 45))
    monkeypatch.setitem(METRICS, "p999", shown)
    report = report_of(analyse(known, Path()))
    header = next(line for line in markdown.render(report).splitlines() if line.startswith("| strategy |"))
    assert header.split(" | ").index("p99.9 ms") == header.split(" | ").index("p99 ms") + 1
    assert render(report).count("p99.9 ms</th>") == 3, (
        "the key figures, and a table for each class of payloads"
    )
    wide, narrow = terminal.render(known, 200), terminal.render(known, 60)
    assert "p99.9 ms" in wide
    assert "123 (123" in wide
    assert "p99.9 ms" in narrow.replace("\n", " ").split("left out here for width: ")[1]
