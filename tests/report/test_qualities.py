"""What strategies declare of their answers stands beside their speed; no ratio of other work is unmarked."""

import csv
import dataclasses
import io
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

from bench.analysis.figures import figures
from bench.analysis.run_analysis import RunAnalysis, analyse
from bench.analysis.run_comparison import compare_runs
from bench.analysis.summary import summarise
from bench.analysis.trends import entries, trends
from bench.docs.tables import lateness, ratios, results_block
from bench.model import EXACT, BatchFigures, OpenLoad, Quality, Run, ServerFigures, StageFigures, Variant
from bench.report import plots, report_md, run_screen, terminal_summary
from bench.report.compare_runs import RENDERERS
from bench.report.exports import comment, csv_files, junit
from bench.report.index import make_index
from bench.report.json_summary import summary_json
from bench.report.page.run_page import render as page
from bench.report.plots import style
from bench.report.quality_words import DAGGER, OTHER_QUALITY
from bench.report.report import report_of
from bench.report.sentence import sentence
from bench.report.text import DASH
from bench.run_file import read_run, write_run
from tests.report.full_run import full
from tests.report.qualities import AGREEMENT, asked, left_out, three_promises

GOLDEN = Path(__file__).parent / "golden" / "qualities.md"
Write = Callable[[Run, Path], Path]
LESSER = {"onnx_near": "bounded 0.05", "onnx_int8": "agreement 98.9%"}
SPEEDS = re.compile(r"requests/s|p50 ms|p99 ms|p95 ms|CPU-ms per request")


@pytest.fixture(scope="module")
def promised(run: Run) -> Run:
    return three_promises(run)


@pytest.fixture(scope="module")
def analysis(promised: Run) -> RunAnalysis:
    return analyse(promised, Path("nowhere"))


def reported(run: Run) -> str:
    return report_md.render(report_of(analyse(run, Path("nowhere")))).replace("\N{NO-BREAK SPACE}", " ")


def test_the_report_equals_the_golden_file(promised: Run) -> None:
    """Set UPDATE_GOLDEN=1 to accept a change on purpose."""
    report = reported(promised)
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.write_text(report, encoding="utf-8")
    assert report == GOLDEN.read_text(encoding="utf-8")


def test_a_run_survives_the_disk_with_its_promises(promised: Run, tmp_path: Path) -> None:
    write_run(promised, tmp_path)
    assert read_run(tmp_path) == promised


def test_a_run_file_that_knows_no_promises_is_exact_and_was_asked_nothing(run: Run, tmp_path: Path) -> None:
    write_run(run, tmp_path)
    raw = json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))
    for one in raw["strategies"].values():
        one.pop("quality", None)
        one.pop("held_out", None)
    (tmp_path / "run.json").write_text(json.dumps(raw), encoding="utf-8")
    found = read_run(tmp_path)
    assert {one.quality for one in found.strategies.values()} == {EXACT}
    assert {one.held_out for one in found.strategies.values()} == {None}


def rows(report: str) -> list[dict[str, str]]:
    """Every row of every table, by the column's header; the name of the strategy without its quality."""
    found = []
    for block in (one.splitlines() for one in report.split("\n\n") if one.startswith("| ")):
        header, _, *lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in block]
        found += [dict(zip(header, line, strict=False)) for line in lines]
    return found


def test_every_table_with_a_speed_says_which_quality_it_is_of(promised: Run) -> None:
    beside = [
        row
        for row in rows(reported(promised))
        if any(map(SPEEDS.search, row)) and row.get("strategy", "").split(" ")[0] in LESSER
    ]
    assert len(beside) > 10
    for row in beside:
        name, short = row["strategy"].split(" ")[0], row.get("quality", "")
        assert row["strategy"] == f"{name} ({LESSER[name]})" or short == LESSER[name], row


def test_a_ratio_is_marked_if_the_promises_differ_and_only_then(promised: Run) -> None:
    beside = [row for row in rows(reported(promised)) if "strategy" in row]
    seen = set()
    for row in beside:
        for header, cell in row.items():
            if "ratio" not in header or "\N{MULTIPLICATION SIGN}" not in cell:
                continue
            against = row.get("against", "torch").split(" ")[0]
            promises = {one: LESSER.get(one, "exact") for one in (row["strategy"].split(" ")[0], against)}
            differ = len(set(promises.values())) > 1
            assert (DAGGER in cell) is differ, (header, row)
            seen.add(differ)
    assert seen == {True, False}
    top, _, rest = reported(promised).partition("## Comparisons")
    assert top.count(OTHER_QUALITY) == rest.count(OTHER_QUALITY) == 1, "once below the tables that have it"


@pytest.mark.parametrize("kind", ["plain", "full"])
def test_where_all_are_exact_no_mark_and_no_column_comes(kind: str, run: Run) -> None:
    found = full(run) if kind == "full" else run
    for said in (reported(found), terminal_summary(found, 200), results_block(found, "x", "y")):
        assert DAGGER not in said
        assert "quality" not in said
        assert "held-out" not in said


def test_a_held_out_set_that_all_agree_on_is_told_in_a_sentence_and_in_the_answers(run: Run) -> None:
    told = reported(asked(run))
    top, _, rest = told.partition("## Throughput and latency")
    assert (
        "Of 2 000 held-out pictures, torch, onnx and batched agree with the reference on 100% (accuracy"
        in top
    )
    assert "quality" not in top.split("![")[0], "no column for what is the same in every row"
    assert f"| torch | exact: the reference's label | 2 000 | 100% (99.8{DASH}100.0) |" in rest


@pytest.mark.parametrize("width", [80, 100])
def test_the_screen_of_a_terminal_has_the_quality_within_its_lines(width: int, run: Run) -> None:
    for found in (three_promises(run), asked(run), three_promises(full(run)), asked(full(run))):
        lines = run_screen.render(found, width).splitlines()
        assert max(map(len, lines)) <= width
        assert len(lines) <= run_screen.MOST_LINES * run_screen.USUAL_WIDTH // width
        assert "held-out pictures" in " ".join(lines)
    table = run_screen.render(three_promises(run), width)
    assert all(short in table for short in LESSER.values())
    assert f"faster{DAGGER}" in table, "no plain verdict on other work"


def test_a_narrow_screen_keeps_the_marks(promised: Run) -> None:
    assert DAGGER in run_screen.render(promised, 60)


def test_who_promises_less_comes_after_the_others_in_the_sentence(promised: Run) -> None:
    said = sentence(promised, summarise(promised))
    assert re.match(
        r"onnx answers 2\.\d\d\N{MULTIPLICATION SIGN} \(.*\) the requests of torch per core", said
    )
    two = dataclasses.replace(
        promised,
        strategies={name: promised.strategies[name] for name in ("torch", "onnx_int8")},
        trials=tuple(one for one in promised.trials if one.strategy in ("torch", "onnx_int8")),
    )
    said = sentence(two, summarise(two))
    assert said.startswith("onnx_int8 (agreement 98.9%) answers 3.00")
    assert f"){DAGGER} the requests of torch" in said


def test_what_counts_as_right_says_whose_answers_are_held_to_their_own(promised: Run) -> None:
    top = reported(promised).partition("## Throughput")[0]
    assert "of onnx_near and onnx_int8 the answers given before the load" in top
    assert "at most 0.0005 off" in top, "of the exact strategies: the others may be farther off"


def test_the_answers_say_what_was_promised_and_what_was_found(promised: Run) -> None:
    found = {row["strategy"]: row for row in rows(reported(promised)) if "declares" in row}
    assert found["torch"]["declares"] == "exact: the reference's label, and each probability within 0.02"
    int8 = found["onnx_int8"]
    assert "at least 98.5% of the held-out pictures" in int8["declares"]
    assert "an accuracy at most 1% below" in int8["declares"]
    assert int8["agreement"] == f"98.9% (98.4{DASH}99.3)"
    assert int8["accuracy"] == f"70.9% (68.9{DASH}72.9)"
    assert int8["the reference's"] == f"71.5% (69.5{DASH}73.5)"
    assert (int8["loss"], int8["largest difference, held out"], int8["of"]) == (
        "0.60%",
        "0.27",
        "held-out/1204",
    )


def test_programs_read_promises_figures_and_marks(promised: Run) -> None:
    told = summary_json(promised)
    int8 = next(one for one in told["strategies"] if one["name"] == "onnx_int8")
    assert int8["quality"] == {"promise": "agreement", "tolerance": None, "agreement": 0.985, "loss": 0.01}
    held = int8["held_out"]
    assert held["agreement"] is not None
    assert (held["agreement"]["centre"], held["agreement"]["n"]) == (0.9895, 2000)
    assert held["loss"] == 0.006
    for row in told["rows"]:
        for comparison in row["to_baseline"].values():
            assert comparison.get("other_quality", False) is (row["strategy"] in LESSER)
            assert row["strategy"] not in LESSER or "not the same work" in (comparison["verdict"] or "")
    assert {one["strategy"]: one["better"] for one in told["choice"]["lesser"]} == {
        "onnx_near": False,
        "onnx_int8": True,
    }
    assert all(
        "other_quality" not in one["found"] for one in told["comparisons"] if one["base"] == one["strategy"]
    )
    assert told["choice"]["pick"] == "onnx"


def test_a_document_of_exact_strategies_has_no_keys_of_other_promises(run: Run) -> None:
    told = summary_json(run)
    assert "lesser" not in told["choice"]
    assert all(one["quality"]["promise"] == "exact" and "held_out" not in one for one in told["strategies"])
    assert "other_quality" not in json.dumps(told)


def test_spreadsheets_have_a_column_of_quality_if_any_strategy_is_not_exact(promised: Run, run: Run) -> None:
    for of, wanted in ((promised, True), (run, False)):
        report = report_of(analyse(of, Path("nowhere")))
        for made in (csv_files.trials, csv_files.summary):
            found = list(csv.DictReader(io.StringIO(made(report))))
            assert ("quality" in found[0]) is wanted
            if wanted:
                assert {one["strategy"]: one["quality"] for one in found}["onnx_int8"] == "agreement 98.9%"
    metrics = {one.metric for one in figures(analyse(promised, Path("nowhere")))}
    assert {"agreement on the held-out set", "accuracy on the held-out set"} <= metrics


def test_page_comment_and_junit_say_it_too(analysis: RunAnalysis) -> None:
    report = report_of(analysis)
    shown = page(report)
    assert shown.count('<span class="word">agreement 98.9%</span>') == 2, "beside each payloads"
    assert OTHER_QUALITY in shown
    assert OTHER_QUALITY in comment.render(report)
    names = {one.get("name") for one in ElementTree.fromstring(junit.render(report)).iter("property")}  # noqa: S314  # our own
    assert "onnx_int8: agreement on the held-out set, share" in names


def test_documents_mark_their_ratios(promised: Run) -> None:
    told = ratios(promised, "onnx")
    marked = [line for line in told.splitlines() if DAGGER in line and line.startswith("|")]
    assert len(marked) == 4
    assert all("onnx_near (bounded 0.05)" in line or "onnx_int8 (agreement 98.9%)" in line for line in marked)
    assert told.rstrip().endswith(f"{OTHER_QUALITY}.")
    assert DAGGER in results_block(promised, "x", "y")
    assert "onnx_int8 (agreement 98.9%) p99 ms" in lateness(three_promises(full_rates(promised)))


def full_rates(run: Run) -> Run:
    """The exact strategies of the run at rates of an open load."""
    exact = [name for name in run.strategies if name not in LESSER]
    trials = tuple(
        dataclasses.replace(one, load=OpenLoad(20, 2, 10)) for one in run.trials if one.strategy in exact
    )
    return dataclasses.replace(run, trials=trials, strategies={name: run.strategies[name] for name in exact})


@pytest.mark.slow
def test_every_picture_names_the_quality_of_what_it_draws(
    run: Run, write_folder: Write, tmp_path: Path
) -> None:
    stages = {"decode": StageFigures(1.0, 10), "queue": StageFigures(9.0, 10), "infer": StageFigures(2.0, 10)}
    told = ServerFigures(stages, BatchFigures(4.0, {"4.0": 10}))
    whole = three_promises(full(run))
    trials = tuple(dataclasses.replace(one, server=told) for one in whole.trials)
    mine = [
        dataclasses.replace(one, trial=dataclasses.replace(one.trial, strategy="onnx_int8"))
        for one in whole.longs
    ]
    searched = [dataclasses.replace(one, strategy="onnx_int8") for one in whole.objectives[:1]]
    whole = dataclasses.replace(
        whole, trials=trials, longs=(*whole.longs, *mine), objectives=(*whole.objectives, *searched)
    )
    everything = analyse(whole, write_folder(whole, tmp_path / "run"))
    rates = tuple(one for one in trials if isinstance(one.load, OpenLoad) and one.load.share is None)
    rated = analyse(dataclasses.replace(whole, trials=rates, capacities=()), tmp_path / "nowhere")
    for name in plots.PLOTS:
        if name in ("sweep", "image_size"):
            continue  # nothing varies, and the size of an image is no speed
        with style.settings():
            figure = plots.PLOTS[name].draw(rated if name == "pareto" else everything)
        assert figure is not None, name
        figure.draw_without_rendering()
        assert "agreement 98.9%" in written(figure), name
        assert plots.PLOTS[name].describe(everything)
        if name == "pareto":
            assert f"onnx_int8{DAGGER} 20/s" in written(figure)
            assert f"{DAGGER} not exact: onnx_near (bounded 0.05), onnx_int8 (agreement 98.9%)" in written(
                figure
            )


@pytest.mark.slow
def test_the_variants_of_a_strategy_promise_what_it_promises(promised: Run) -> None:
    varied = {
        name: dataclasses.replace(
            promised.strategies["onnx_int8"], variant=Variant("onnx_int8", {"MAX_BATCH": size})
        )
        for name, size in (("onnx_int8", "1"), ("onnx_near", "8"))
    }
    trials = tuple(one for one in promised.trials if one.strategy in varied)
    found = analyse(dataclasses.replace(promised, strategies=varied, trials=trials), Path("nowhere"))
    with style.settings():
        figure = plots.PLOTS["sweep"].draw(found)
    assert "onnx_int8 (agreement 98.9%), small payloads" in written(figure)


def written(figure: object) -> str:
    """All words of a figure, of its axes and legends, with blanks for the ends of lines."""
    from matplotlib.text import Text

    found = [one.get_text() for one in figure.findobj(Text)]  # type: ignore[attr-defined]  # a figure
    return " ".join(found).replace("\n", " ")


def test_two_runs_of_one_strategy_with_other_promises_are_marked(run: Run) -> None:
    head = dataclasses.replace(
        run,
        strategies={**run.strategies, "onnx": dataclasses.replace(run.strategies["onnx"], quality=AGREEMENT)},
    )
    found = compare_runs(run, head, "before", "now")
    assert [one.strategy for one in found.other_qualities] == ["onnx"]
    for name, render in RENDERERS.items():
        told = render(found)
        assert "\\u2020" in told or DAGGER in told or name == "json", name
    text = RENDERERS["text"](found)
    assert "Of another quality, and not the same work: onnx (exact in before, agreement" in " ".join(
        text.split()
    )
    told = json.loads(RENDERERS["json"](found))
    assert {one["strategy"] for one in told["measured"] if not one["same_work"]} == {"onnx"}
    assert told["other_qualities"][0]["head"]["promise"] == "agreement"
    alike = compare_runs(run, run, "before", "now")
    assert all(DAGGER not in render(alike) for render in RENDERERS.values())


def test_a_trend_ends_where_a_strategy_promises_something_else(run: Run, tmp_path: Path) -> None:
    later = dataclasses.replace(run, created="2026-01-03T03:04:05+00:00")
    changed = dataclasses.replace(run.strategies["onnx"], quality=Quality("bounded", tolerance=0.1))
    later = dataclasses.replace(later, strategies={**later.strategies, "onnx": changed})
    found = trends(entries([("a", run, summarise(run)), ("b", later, summarise(later))]))
    assert {one.runs for one in found if one.strategy == "torch"} == {2}
    assert {one.runs for one in found if one.strategy == "onnx"} == {1}
    for name, one in (("a", run), ("b", later)):
        (tmp_path / name).mkdir()
        write_run(one, tmp_path / name)
    shown = make_index(tmp_path).path.read_text(encoding="utf-8")
    assert "onnx (exact)" in shown
    assert "onnx (bounded 0.1)" in shown
    assert "torch (exact)" not in shown


def test_every_form_says_why_a_strategy_is_left_out(run: Run) -> None:
    found = left_out(run, "batched")
    why = "batched is left out: its image could not be built"
    report = report_of(analyse(found, Path("nowhere")))
    assert why in reported(found)
    assert why in page(report)
    assert why in comment.render(report)
    assert why in junit.render(report)
    assert why in " ".join(run_screen.render(found, 100).split())
    told = summary_json(found)
    (failed,) = [one for one in told["strategies"] if "failure" in one]
    assert (failed["name"], failed["failure"]["code"]) == ("batched", "not_built")
    assert "left out: its image" not in reported(run)
