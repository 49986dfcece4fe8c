"""Whoever adds a metric writes one entry of the table: every place shows it."""

import dataclasses
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import pytest

from bench.analysis.metrics import METRICS, Metric, Room
from bench.analysis.run_analysis import analyse
from bench.analysis.run_comparison import compare_runs
from bench.gate import Batch, judge
from bench.gate.rules import rules_of
from bench.model import Run
from bench.report import report_md, run_screen, terminal_summary
from bench.report.compare_runs import RENDERERS
from bench.report.exports import action, csv_files
from bench.report.index import make_index
from bench.report.json_summary import summary_json
from bench.report.page.run_page import render
from bench.report.plots import resources
from bench.report.report import Report, report_of
from bench.report.verdict.verdict_sentences import bound
from bench.report.writers import markdown
from bench.run_file import write_run

FEET = Metric(
    name="feet",
    label="feet",
    heading="feet per request",
    series="feet walked",
    title="Feet per request",
    column="feet_per_request",
    unit="feet",
    shown_unit="feet",
    better="less",
    below="nearer",
    above="farther",
    centre="median",
    of=lambda trial: trial.round + 7.5,
    places=frozenset(
        {
            "load table",
            "resource table",
            "key figures",
            "comparisons",
            "run comparisons",
            "gate rules",
            "exports",
            "trends",
        }
    ),
    picture="resources",
    room=Room(200, None),
)


@pytest.fixture
def _one_more_metric(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(METRICS, "feet", FEET)


@pytest.fixture
def report(_one_more_metric: None, run: Run, folder: Path) -> Report:
    return report_of(analyse(run, folder))


def drawn(report: Report) -> str:
    figure = resources.PLOT.draw(report.analysis)
    assert figure is not None
    titles = " ".join(text.get_text() for axes in figure.axes for text in axes.texts) + " ".join(
        axes.get_title(loc="left") + axes.get_title() + axes.get_ylabel() for axes in figure.axes
    )
    plt.close(figure)
    return titles + " ".join(text.get_text() for text in figure.texts)


def shown_in_sections(title: str) -> Callable[[Report], str]:
    def shown(report: Report) -> str:
        (section,) = [one for one in report.sections if one.title == title]
        return "\n".join(markdown.blocks(section.blocks))

    return shown


PLACES: dict[str, tuple[Callable[[Report], str], str]] = {
    "table of loads": (shown_in_sections("Throughput and latency"), "feet per request"),
    "table of resources": (shown_in_sections("Resources"), "feet per request"),
    "table of comparisons": (shown_in_sections("Comparisons"), "feet per request"),
    "terminal": (lambda report: terminal_summary(report.analysis.run, 200), "feet per request"),
    "JSON": (lambda report: json.dumps(summary_json(report.analysis.run)["rows"]), '"feet": {"centre"'),
    "CSV of trials": (csv_files.trials, "feet_per_request"),
    "CSV of figures": (csv_files.summary, "feet walked"),
    "github-action-benchmark": (action.smaller, "feet walked"),
    "picture": (drawn, "Feet per request"),
    "alternative text": (lambda report: resources.PLOT.describe(report.analysis), "feet per request"),
}


@pytest.mark.parametrize("place", PLACES)
def test_a_new_metric_is_shown(place: str, report: Report) -> None:
    of, name = PLACES[place]
    assert name in of(report)


@pytest.mark.parametrize("format_name", RENDERERS)
@pytest.mark.usefixtures("_one_more_metric")
def test_a_new_metric_is_compared_between_runs(format_name: str, run: Run) -> None:
    shown = RENDERERS[format_name](compare_runs(run, dataclasses.replace(run), "a", "b"))
    assert "feet" in shown


@pytest.mark.usefixtures("_one_more_metric")
def test_a_new_metric_is_followed_over_runs(run: Run, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        write_run(run, tmp_path / name)
    assert "feet per request" in make_index(tmp_path).path.read_text(encoding="utf-8")


@pytest.mark.usefixtures("_one_more_metric")
def test_a_rule_may_name_a_new_metric(run: Run) -> None:
    rules = rules_of({"primary": [{"strategy": "onnx", "metric": "feet", "tolerance": "5%"}]})
    (finding,) = judge(rules, Batch(run, run, paired=False)).findings
    assert (finding.metric, bound(finding)) == ("feet", "at most 5% more")
    assert finding.comparison is not None
    assert finding.comparison.ratio == pytest.approx(1.0)


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
    before = run_screen.render(known, 200) + report_md.render(report_of(analyse(known, Path())))
    assert "p99.9 ms" not in before
    shown = replace(METRICS["p999"], places=frozenset({"load table", "key figures"}), room=Room(25, 45))
    monkeypatch.setitem(METRICS, "p999", shown)
    report = report_of(analyse(known, Path()))
    header = next(line for line in report_md.render(report).splitlines() if line.startswith("| strategy |"))
    assert header.split(" | ").index("p99.9 ms") == header.split(" | ").index("p99 ms") + 1
    assert render(report).count("p99.9 ms</th>") == 3, (
        "the key figures, and a table for each class of payloads"
    )
    wide, narrow = run_screen.render(known, 200), run_screen.render(known, 60)
    assert "p99.9 ms" in wide
    assert "123 (123" in wide
    assert "p99.9 ms" in narrow.replace("\n", " ").split("left out here for width: ")[1]
