"""A search for an objective: everything shows the rate that held, never the highest rate that was tried."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.analysis.costs import costs
from bench.analysis.run_analysis import analyse
from bench.analysis.run_comparison import compare_runs
from bench.analysis.summary import summarise
from bench.analysis.tails import tail_evidence
from bench.analysis.trends import entries, trends
from bench.model import PayloadSizes, Run, RunSettings
from bench.report import report_md, terminal_summary, write_report
from bench.report.choice_sentence import choice_sentence
from bench.report.exports.csv_files import summary as summary_csv
from bench.report.index import make_index
from bench.report.json_summary import summary_json
from bench.report.page.figure_table import figure_table
from bench.report.plots import PLOTS
from bench.report.report import report_of
from bench.report.sentence import sentence
from tests.report.searched_run import HELD, searched

Write = Callable[[Run, Path], Path]


@pytest.fixture(scope="module")
def search(run: Run) -> Run:
    return searched(run)


@pytest.fixture(scope="module")
def folder(search: Run, write_folder: Write, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(search, tmp_path_factory.mktemp("results") / "search")


def nowhere(run: Run) -> Run:
    """The same search, if the objective held nowhere."""
    none = tuple(
        dataclasses.replace(one, rate_per_s=None, goodput_rps=None, why_none="never held: not at 10/s")
        for one in run.objectives
    )
    return dataclasses.replace(run, objectives=none)


def test_the_headline_names_the_objective_and_the_rate_that_held_with_its_goodput(search: Run) -> None:
    said = sentence(search, summarise(search))
    assert said.startswith(
        "p99 \N{LESS-THAN OR EQUAL TO} 100 ms with small payloads: onnx held up to 137 requests/s"
    )
    assert "(goodput 136, 59.3% of its capacity); torch held up to 56.2 requests/s (goodput 55.9" in said
    assert "batched held at no rate (never held: not at 13.8/s in 4 trials)." in said
    assert sentence(nowhere(search), summarise(nowhere(search))).count("held at no rate") == 3


def unknown(run: Run, *names: str) -> Run:
    """The same search, if these strategies' capacities could not be measured."""
    why = "not known: its capacity is not, from which a search begins: the process exited with -9"
    nothing = {"rate_per_s": None, "goodput_rps": None, "capacity_rps": None, "probes": (), "known": False}
    results = tuple(
        dataclasses.replace(one, why_none=why, **nothing) if one.strategy in names else one  # type: ignore[arg-type]  # fields by name
        for one in run.objectives
    )
    trials = tuple(one for one in run.trials if one.strategy not in names)
    return dataclasses.replace(run, objectives=results, trials=trials)


@pytest.mark.slow
@pytest.mark.parametrize("names", [("torch",), ("torch", "onnx", "batched")])
def test_a_search_that_could_not_begin_is_told_with_its_reason_and_the_others_as_ever(
    search: Run, names: tuple[str, ...], write_folder: Write, tmp_path: Path
) -> None:
    run = unknown(search, *names)
    said = sentence(run, summarise(run))
    assert said.count("is not known to hold at a rate (not known: its capacity is not") == len(names)
    assert ("onnx held up to 137 requests/s" in said) == ("onnx" not in names)
    assert "torch not known" in " ".join(terminal_summary(run, 100).split())
    path = write_folder(run, tmp_path / "unknown")
    write_report(path)
    for name in ("report.md", "report.html"):
        assert "the process exited with -9" in (path / name).read_text()


def test_what_held_nowhere_has_no_cost(search: Run) -> None:
    none = nowhere(search)
    assert costs(none, summarise(none)) is None


def test_what_stands_for_the_run_is_the_rate_that_held_and_not_the_highest_that_was_tried(
    search: Run, folder: Path
) -> None:
    analysis = analyse(search, folder)
    (case,) = analysis.summary.focus
    assert (case.kind, case.load) == ("held", "the rate that held")
    rates = {name: row.offered_rps for (name, of), row in analysis.summary.rows.items() if of == case}
    assert rates == {name: rate for name, rate in HELD.items() if rate is not None}
    table = figure_table(analysis)
    assert table is not None
    assert [row.strategy for row in table.rows] == ["torch", "onnx"]
    found = costs(search, analysis.summary)
    assert found is not None
    assert {one.row.strategy: one.row.offered_rps for one in found.costs} == rates
    assert {(one.row.strategy, one.rounds) for one in tail_evidence(analysis)} == {("torch", 4), ("onnx", 5)}


def test_the_rate_that_a_search_chose_by_its_trials_is_not_confirmed_by_them(
    search: Run, folder: Path
) -> None:
    """Its trials held, or it would not be the rate: a bound for fresh trials takes fresh trials."""
    analysis = analyse(search, folder)
    found = tail_evidence(analysis)
    assert [(one.withheld, one.bound_ms, one.of_any) for one in found] == [("chosen", None, None)] * 2
    assert all(one.objective is not None and one.objective.goodput_rps > 0 for one in found)
    said = report_md.render(report_of(analysis, folder))
    assert "none: the search chose the rate by these rounds" in said
    assert "not judged: the search chose the rate by these rounds" in said


@pytest.mark.parametrize(
    "name", ["throughput", "resources", "latency", "histogram", "pareto", "timeline", "objectives"]
)
def test_the_pictures_are_of_the_rate_that_held_or_are_not_drawn(
    search: Run, folder: Path, name: str
) -> None:
    plot = PLOTS[name]
    analysis = analyse(search, folder)
    assert plot.draw(analysis) is not None
    said = plot.describe(analysis)
    assert "231" not in said
    if name in ("throughput", "objectives"):
        assert "137" in said
        assert "56.2" in said
    none = analyse(nowhere(search), folder)
    assert (plot.draw(none) is None) == (name != "objectives")


@pytest.mark.slow
@pytest.mark.parametrize("change", [lambda run: run, nowhere])
def test_every_format_says_how_many_trials_are_valid_without_a_number_that_was_planned(
    search: Run, write_folder: Write, tmp_path: Path, change: Callable[[Run], Run]
) -> None:
    run = change(search)
    path = write_folder(run, tmp_path / "results" / "one")
    write_report(path)
    texts = [(path / name).read_text(encoding="utf-8") for name in ("report.md", "report.html")]
    texts.append(terminal_summary(run, 100))
    texts.append(make_index(path.parent).path.read_text(encoding="utf-8"))
    assert f"{len(run.trials)} trials valid, 0 invalid and left out." in texts[0]
    for one in texts:
        assert "of 0" not in one.replace("\N{NO-BREAK SPACE}", " ")
        assert "100 ms" in one
    found = summary_json(run)
    assert found["trials"]["planned"] is None
    assert found["sentence"].startswith("p99")
    assert json.dumps(found)


def test_the_csv_of_figures_has_the_rate_that_held(search: Run, folder: Path) -> None:
    text = summary_csv(report_of(analyse(search, folder)))
    assert any(line.startswith("onnx,small,json,the rate that held,") for line in text.splitlines())


def test_a_trend_follows_the_rate_that_held_and_no_rate_that_a_search_happened_to_try(search: Run) -> None:
    later = dataclasses.replace(search, created="2026-01-03T03:04:05+00:00")
    followed = trends(entries([(one.created, one, summarise(one)) for one in (search, later)]))
    assert {one.case.kind for one in followed} == {"held"}
    assert {one.strategy for one in followed} == {"torch", "onnx"}
    assert all(one.runs == 2 for one in followed)


def test_two_searches_are_not_compared_by_latencies_at_limits_of_their_own(search: Run) -> None:
    later = dataclasses.replace(search, created="2026-01-03T03:04:05+00:00")
    found = compare_runs(search, later, "a", "b")
    at_held = {one.metric for one in found.measured if one.case and one.case.kind == "held"}
    assert at_held == {"cpu", "memory"}


def in_two_encodings(run: Run) -> Run:
    """The search in two encodings, if it did not learn what batched holds."""
    none = [one for one in run.objectives if one.strategy == "batched"]
    others = [one for one in run.objectives if one.strategy != "batched"]
    results = [dataclasses.replace(one, known=False, why_none="not known: few requests") for one in none]
    raw = [dataclasses.replace(one, encoding="raw") for one in others[:1]]
    return dataclasses.replace(run, objectives=(*others, *raw, *results))


def test_a_search_that_does_not_know_says_no_never_and_encodings_are_told_apart(
    search: Run, folder: Path
) -> None:
    run = in_two_encodings(search)
    terminal = " ".join(terminal_summary(run, 200).split())
    assert "torch 56.2 (small, json)" in terminal
    assert "torch 56.2 (small, raw)" in terminal
    assert "batched not known (small, json)" in terminal
    assert "never" not in terminal
    described = PLOTS["objectives"].describe(analyse(run, folder))
    assert "torch, small, raw, p99" in described
    assert "batched, small, json, p99 \N{LESS-THAN OR EQUAL TO} 100 ms not known" in described
    known = {one["strategy"]: one["known"] for one in summary_json(run)["objectives"]}
    assert known == {"torch": True, "onnx": True, "batched": False}


def test_at_rates_of_their_own_the_page_has_no_ratio_and_the_capacity_that_began_the_search(
    search: Run, folder: Path
) -> None:
    table = figure_table(analyse(search, folder))
    assert table is not None
    by_name = {row.strategy: dict(zip(table.columns, row.cells, strict=True)) for row in table.rows}
    ratio = next(header for header in table.columns if header.startswith("throughput ratio to "))
    assert all("own rate" in row[ratio] for row in by_name.values())
    assert "1 (baseline)" not in str(by_name)
    assert "56.2%" in by_name["torch"]["of capacity"]
    assert "59.3%" in by_name["onnx"]["of capacity"]


def test_a_search_names_the_payloads_in_which_rates_are_not_told_apart(search: Run) -> None:
    (one, *_) = search.objectives
    rates = {
        ("small", "onnx"): 137.0,
        ("small", "batched"): 140.0,
        ("large", "onnx"): 100.0,
        ("large", "batched"): 60.0,
    }
    objectives = tuple(
        dataclasses.replace(
            one, payload_class=payloads, strategy=name, rate_per_s=rate, known=True, why_none=None
        )
        for (payloads, name), rate in rates.items()
    )
    run = dataclasses.replace(search, objectives=objectives)
    text = choice_sentence(run, summarise(run))
    assert "Not told apart in the rate that held: onnx and batched with small payloads." in text
    assert "start with onnx" in text.lower()


def test_a_page_without_key_figures_shows_every_picture(
    search: Run, write_folder: Write, tmp_path: Path
) -> None:
    folder = write_folder(nowhere(search), tmp_path / "nowhere")
    write_report(folder)
    page = (folder / "report.html").read_text(encoding="utf-8")
    for picture in (folder / "plots").glob("*.png"):
        assert f'id="picture-{picture.stem}"' in page


def test_a_search_calls_payloads_as_a_run_does(search: Run) -> None:
    sizes = {"small": PayloadSizes(19_960, 19_960, 19_960, pictures=True)}
    settings = RunSettings(payload_sizes=sizes)
    environment = dataclasses.replace(search.environment, settings=settings)
    sized = dataclasses.replace(search, environment=environment)
    for told in (choice_sentence(sized, summarise(sized)), sentence(sized, summarise(sized))):
        assert " with 20 KB pictures: " in told
        assert "small payloads" not in told
