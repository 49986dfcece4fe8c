"""Answers that nothing checked are said loudly: in every table of loads, page, sentence and gate verdict."""

import dataclasses
import json
from pathlib import Path

import pytest

from bench.analysis.run_analysis import analyse
from bench.analysis.run_comparison import compare_runs
from bench.gate import judge
from bench.model import (
    Capacity,
    Environment,
    LongTrial,
    ParityResult,
    RepeatCheck,
    Run,
    RunSettings,
    UptimeSpan,
)
from bench.report import run_screen, text
from bench.report.compare_runs import RENDERERS
from bench.report.formats import PRINTED, WRITTEN
from bench.report.json_summary import summary_json
from bench.report.page import run_page
from bench.report.report import report_of
from bench.report.sections.objectives import capacities, objectives, repeats
from bench.report.sections.uptimes import uptimes
from bench.report.sentence import sentence
from bench.report.verdict import FORMATS, write_judgement
from bench.report.verdict.verdict_sentences import overall
from bench.report.writers.markdown import blocks
from bench.run_file import read_run, write_run
from tests.gate.runs import EQUAL, beside, throughput_rules, times
from tests.report.searched_run import searched

LOUD = "ANSWERS UNCHECKED"
SETTINGS = RunSettings(unchecked={"small": 3}, comparators=("tensors", "unchecked"))


def unchecked(run: Run) -> Run:
    """The run with small requests whose answers nobody checked, and others that are compared as tensors."""
    parity = ParityResult(6, 0, 0.02, None, "", 0.25, "seed_0 as json", 3)
    strategies = {**run.strategies, "onnx": dataclasses.replace(run.strategies["onnx"], parity=parity)}
    environment = dataclasses.replace(run.environment, settings=SETTINGS)
    return dataclasses.replace(run, environment=environment, strategies=strategies)


@pytest.mark.parametrize("name", [*WRITTEN, *(name for name in PRINTED if not name.startswith("csv"))])
def test_every_format_of_a_report_says_it(run: Run, name: str) -> None:
    render = {**WRITTEN, **PRINTED}[name]
    before, after = (render(report_of(analyse(one, Path()))) for one in (run, unchecked(run)))
    assert LOUD not in before
    assert LOUD in after


@pytest.mark.parametrize("name", ["csv", "csv-summary"])
def test_tables_of_figures_mark_what_is_unchecked(run: Run, name: str) -> None:
    before, after = (PRINTED[name](report_of(analyse(one, Path()))) for one in (run, unchecked(run)))
    assert "UNCHECKED" not in before
    lines = after.splitlines()[1:]
    assert all(
        ("UNCHECKED" in line) == (",small" in line) for line in lines if ",small" in line or ",seed" in line
    )
    assert any("UNCHECKED" in line for line in lines)


def test_the_sentence_begins_with_it_and_does_not_say_that_every_answer_was_checked(run: Run) -> None:
    analysis = analyse(unchecked(run), Path())
    told = sentence(analysis.run, analysis.summary)
    assert told.startswith(
        f"{LOUD}: nothing says whether the answers to 3 requests of class small are right."
    )
    assert "Every answer was checked" not in told
    assert "each element of a tensor within its tolerance, 25.0% of it at most, onnx's" in told


def test_tables_and_the_terminal_mark_the_class_and_no_other(run: Run) -> None:
    analysis = analyse(unchecked(run), Path())
    small, seed = (
        next(case for case in analysis.summary.cases if case.payload_class == name)
        for name in ("small", "seed")
    )
    assert analysis.summary.payload_label(small) == "small (UNCHECKED)"
    assert analysis.summary.payload_label(seed) == "seed"
    report = WRITTEN["report.md"](report_of(analysis))
    assert "### Small (UNCHECKED) payloads (" in report
    assert "### Seed payloads (" in report
    assert "(UNCHECKED)" in run_screen.render(unchecked(run), 200)
    assert run_page.state(analysis.run, analysis.summary) == ("doubtful", "Answers unchecked")


def test_tables_of_objectives_capacities_and_uptimes_mark_the_class(run: Run) -> None:
    spans = (UptimeSpan(0.0, 6.0, 600, 100.0, 10.0, 20.0, 1000),)
    small = next(one for one in run.trials if one.payload_class == "small")
    whole = dataclasses.replace(
        searched(run),
        capacities=(Capacity("onnx", "small", "json", 8, 100.0),),
        repeats=(RepeatCheck("onnx", "small", "json", 100.0, 100.0),),
        longs=(LongTrial(small, 60.0, 2.0, 12.0, spans),),
    )
    for section in (objectives, capacities, repeats, uptimes):
        before, after = (
            "\n".join(blocks(section(analyse(one, Path())))) for one in (whole, unchecked(whole))
        )
        assert "UNCHECKED" not in before
        assert "small, json (UNCHECKED)" in after, section


def test_programs_and_comparisons_are_told(run: Run, tmp_path: Path) -> None:
    told = summary_json(unchecked(run))
    assert LOUD in json.dumps(told)
    (parity,) = (one["parity"] for one in told["strategies"] if one["name"] == "onnx")
    assert parity is not None
    assert (parity["largest_share"], parity["share_at"], parity["unchecked"]) == (0.25, "seed_0 as json", 3)
    marks = {case["payload_class"]: case.get("unchecked") for case in told["cases"]}
    assert marks == {"small": True, "seed": None}
    assert all("unchecked" not in case for case in summary_json(run)["cases"])
    comparison = compare_runs(run, unchecked(run), "a", "b")
    for name, render in RENDERERS.items():
        assert f"b: {LOUD}" in " ".join(render(comparison).split()), name
    write_run(unchecked(run), tmp_path)
    assert read_run(tmp_path) == unchecked(run)


def test_every_verdict_of_a_gate_says_it_first(tmp_path: Path) -> None:
    batch = beside({"onnx": EQUAL}, {"onnx": times(1.0)})
    head = dataclasses.replace(batch.head, environment=Environment(settings=SETTINGS))
    judgement = judge(throughput_rules("onnx"), dataclasses.replace(batch, head=head, base=head))
    assert overall(judgement).startswith(LOUD)
    write_judgement(judgement, tmp_path)
    written = [file.read_text() for file in tmp_path.iterdir()]
    assert len(written) == len(FORMATS) - 1
    assert all(LOUD in one for one in written)


def test_a_run_whose_answers_were_all_checked_says_how(run: Run) -> None:
    assert text.right_answers(run).startswith("each probability within 0.02")
    only = dataclasses.replace(
        run, environment=Environment(settings=RunSettings(comparators=("label", "json")))
    )
    assert text.right_answers(only).endswith("; JSON with the values that the request set names")
