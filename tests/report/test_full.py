"""A run that has everything: its report against a golden file, and what each of its sections says."""

import dataclasses
import os
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.analysis.cases import Case, load_size
from bench.analysis.costs import core_count
from bench.analysis.run_analysis import analyse
from bench.analysis.summary import summarise
from bench.model import (
    ClosedLoad,
    Load,
    OpenLoad,
    ParityResult,
    RepeatCheck,
    ResourceFigures,
    Run,
    RunSettings,
    Trial,
)
from bench.report import report_md, terminal_summary, write_report
from bench.report.document import tables_in
from bench.report.plots import PLOTS
from bench.report.report import report_of
from bench.report.sections.comparisons import comparisons
from bench.report.sentence import sentence
from bench.report.text import money, seconds
from bench.run_file import read_run
from bench.statistics import Estimate
from tests.report.full_run import full

pytestmark = pytest.mark.slow

GOLDEN = Path(__file__).parent / "golden" / "full.md"
Write = Callable[[Run, Path], Path]


@pytest.fixture(scope="module")
def everything(run: Run) -> Run:
    return full(run)


@pytest.fixture(scope="module")
def folder(everything: Run, write_folder: Write, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_folder(everything, tmp_path_factory.mktemp("results") / "everything")
    write_report(folder)
    return folder


@pytest.fixture(scope="module")
def report(folder: Path) -> str:
    return (folder / "report.md").read_text(encoding="utf-8").replace("\N{NO-BREAK SPACE}", " ")


def section(report: str, title: str) -> str:
    return report.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]


def cells(text: str, *first: str) -> list[str]:
    """The cells of the only row that begins with these."""
    (row,) = [line for line in text.splitlines() if line.startswith("| " + " | ".join(first) + " |")]
    return [cell.strip() for cell in row.strip("|").split("|")]


def reported(run: Run, write_folder: Write, path: Path) -> str:
    """The report without its pictures."""
    found = analyse(run, write_folder(run, path))
    return report_md.render(report_of(found)).replace("\N{NO-BREAK SPACE}", " ")


def without_samples(run: Run, keep: Callable[[Trial], bool] = lambda _: True) -> Run:
    """The run with some of its trials, from whose samples nothing is read."""
    trials = tuple(dataclasses.replace(trial, samples=None) for trial in run.trials if keep(trial))
    return dataclasses.replace(run, trials=trials, planned_trials=len(trials))


def test_the_report_equals_the_golden_file(folder: Path) -> None:
    """Set UPDATE_GOLDEN=1 to accept a change on purpose."""
    report = (folder / "report.md").read_text(encoding="utf-8")
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.write_text(report, encoding="utf-8")
    assert report == GOLDEN.read_text(encoding="utf-8")


def test_the_run_survives_the_disk(everything: Run, folder: Path) -> None:
    assert read_run(folder) == everything


@pytest.mark.parametrize(
    ("load", "size", "label"),
    [
        (ClosedLoad(1, 2.0, 10.0), ("closed", 1.0), "1 client"),
        (OpenLoad(200.0, 2.0, 10.0), ("open", 200.0), "200 requests/s"),
        (OpenLoad(9.5, 2.0, 10.0, arrivals="constant"), ("open", 9.5), "9.5 requests/s, evenly"),
        (OpenLoad(70.1, 2.0, 10.0, share=0.7), ("share", 0.7), "70% of capacity"),
        (
            OpenLoad(70.1, 2.0, 10.0, share=0.7, arrivals="constant"),
            ("share", 0.7),
            "70% of capacity, evenly",
        ),
    ],
)
def test_a_load_is_named_by_kind_and_size(load: Load, size: tuple[str, float], label: str) -> None:
    assert (load_size(load), load.label) == (size, label)


def test_closed_open_and_share_loads_stand_in_this_order(everything: Run) -> None:
    small = [case.load for case in summarise(everything).cases if case.payload_class == "small"]
    assert small[:5] == ["1 client", "50 clients", "20 requests/s", "30 requests/s, evenly", "60 requests/s"]
    assert small[-3:] == ["50% of capacity", "70% of capacity", "90% of capacity"]


def test_strategies_at_shares_of_capacity_are_one_case_with_rates_of_their_own(everything: Run) -> None:
    summary = summarise(everything)
    case = Case("small", "json", "70% of capacity")
    rates = {name: summary.rows[name, case].offered_rps for name in summary.strategies}
    assert rates["torch"] == pytest.approx(70, abs=1)
    assert rates["onnx"] == pytest.approx(162, abs=1)
    assert summary.rows["onnx", case].to_baseline is None


def test_at_a_share_the_table_gives_the_rate_and_no_ratio_of_throughput(report: str) -> None:
    told = section(report, "Throughput and latency").split("<details>")[0]
    header, row = cells(told, "load", "strategy"), cells(told, "70% of capacity", "onnx")
    assert row[header.index("offered/s")] == "162"
    compared = cells(section(report, "Comparisons").split("<details>")[0], "onnx", "small, 70% of capacity")
    assert compared[2] == "", "each strategy has a rate of its own"


def test_at_a_share_latency_is_compared_and_throughput_is_not(report: str) -> None:
    rows = [line for line in section(report, "Comparisons").splitlines() if "70% of capacity" in line]
    assert sum("| p99 ms |" in row for row in rows) == 3, "two against torch, and batched against onnx"
    assert not any("| requests/s |" in row for row in rows)
    assert "so throughput is not compared" in section(report, "Comparisons")


def test_two_cases_of_a_strategy_are_named_in_one_cell_and_what_both_have_once(everything: Run) -> None:
    alone = without_samples(everything, lambda t: t.strategy == "onnx")
    found = tables_in(comparisons(analyse(alone, Path("nowhere"))))
    names = {cell.text for table in found for row in table.rows for cell in row[1:2]}
    assert {"small, 60 against 20 requests/s", "small, 50 clients against 1 client"} <= names


def test_with_shares_alone_the_sentence_names_each_strategys_own_rate(everything: Run) -> None:
    only = without_samples(everything, lambda t: isinstance(t.load, OpenLoad) and t.load.share is not None)
    said = sentence(only, summarise(only))
    assert said.startswith("At 90% of capacity with small payloads, p99: onnx 80.9 ms at its 208 requests/s,")
    assert ", torch 186 ms at its 90.2 requests/s." in said, "no closed loop, so no share that was reached"


def test_every_comparison_stands_once_and_those_with_the_baseline_stand_open(report: str) -> None:
    said = section(report, "Comparisons")
    shown, *folded = said.split("<summary>")
    assert [one.split("</summary>")[0] for one in folded] == [
        *("Among the other strategies", "Cases of a strategy", "How sure each comparison is")
    ]
    headings = ("requests/s", "p50 ms", "p99 ms", "CPU-ms per request")
    assert all(f"{one}, ratio to torch |" in shown for one in headings)
    batched = cells(shown, "batched", "small, 50 clients")
    assert re.fullmatch(r"1\.38\S+ \(\S+\) faster", batched[2])
    assert batched[5].endswith(" cheaper")
    assert cells(shown, "onnx", "small, 50 clients")[2].endswith(" faster (5 rounds)"), "one trial is invalid"
    assert not any("(" in cell for cell in cells(folded[2], *batched[:2], "torch", "requests/s")), "no ratio"
    assert cells(folded[0], "batched", "small, 50 clients", "onnx")
    assert "## Verdicts" not in report
    assert "ratio to" not in section(report, "Throughput and latency")


def test_the_tail_is_bounded_or_says_how_many_more_rounds_it_needs(report: str) -> None:
    tail = section(report, "The tail")
    torch = cells(tail, "torch", "small, 90% of capacity")
    assert torch[4].startswith("needs windows ")
    assert "more round" in torch[4]
    assert torch[5] == "p99 \N{LESS-THAN OR EQUAL TO} 100 ms"
    assert torch[6].startswith("no: ")
    onnx = cells(tail, "onnx", "small, 50% of capacity")
    assert onnx[2] == "6"
    assert onnx[4].startswith("\N{LESS-THAN OR EQUAL TO} ")
    assert onnx[6] == "yes"
    assert float(onnx[7]) == pytest.approx(116, rel=0.03), "nearly all that it answered was in time"
    closed = cells(tail, "onnx", "small, 50 clients")
    assert closed[5:] == ["", "", ""], "a full service's latency is not what an objective is about"


def test_too_few_rounds_for_a_tail_say_how_many_are_missing(
    run: Run, write_folder: Write, tmp_path: Path
) -> None:
    # at 10 requests/s a window of ten seconds holds a hundred
    few = tuple(
        dataclasses.replace(t, throughput_rps=10.0, window_s=10.0, warmup_s=0.0)
        for t in run.trials
        if t.round == 1 and t.payload_class == "small"
    )
    tail = section(reported(dataclasses.replace(run, trials=few), write_folder, tmp_path / "run"), "The tail")
    row = cells(tail, "onnx", "small")
    assert row[2] == "1"
    assert row[4] == "needs at least 2 more rounds"


def test_what_a_million_requests_cost_is_cpu_time_and_whole_cores(report: str) -> None:
    row = cells(section(report, "Cost"), "torch", "small, 50 clients")
    # 9.96 CPU-ms and 100.4 requests/s at 0.04 a core-hour
    assert row[2].startswith("0.111 (")
    assert row[3].startswith("0.111 (")
    assert "20 requests/s" not in section(report, "Cost")


def test_lengths_of_time_are_told_to_a_tenth_of_a_second() -> None:
    assert seconds([11.701, 8.5, 9.0]) == "8.5 to 11.7 s"
    assert seconds([8.0, 8.04]) == "8 s"


def test_a_price_and_its_interval_have_as_many_decimals() -> None:
    assert money(Estimate(0.0604, 0.0561, 0.065, 6)) == "0.0604 (0.0561\N{EN DASH}0.0650)"
    assert money(Estimate(12.34, 9.876, 101.5, 6)) == "12.3 (9.9\N{EN DASH}101.5)"
    assert money(Estimate(1234.0, None, None, 1)) == "1\N{NO-BREAK SPACE}234"
    assert money(Estimate(0.0, None, None, 1)) == "0.00"


@pytest.mark.parametrize(
    ("cores", "count"), [("1", 1), ("0,2-3", 3), ("", None), (None, None), ("all", None)]
)
def test_cores_are_counted_from_their_list(cores: str | None, count: int | None) -> None:
    assert core_count(cores) == count


def test_two_cores_cost_twice(everything: Run, write_folder: Write, tmp_path: Path) -> None:
    closed = without_samples(everything, lambda t: t.load.name == "c50")
    two = dataclasses.replace(
        closed, environment=dataclasses.replace(closed.environment, service_cores="1-2")
    )
    row = cells(section(reported(two, write_folder, tmp_path / "run"), "Cost"), "torch", "small")
    assert (row[2][:5], row[3][:5]) == ("0.111", "0.221")


def test_repeated_payloads_are_flagged_above_a_tenth(report: str) -> None:
    repeats = section(report, "Repeated payloads")
    assert cells(repeats, "torch")[-1] == ""
    assert "FLAGGED" in cells(repeats, "onnx")[-1]


def test_exactly_a_tenth_is_not_flagged_and_nothing_varied_is(
    everything: Run, write_folder: Write, tmp_path: Path
) -> None:
    checks = (
        RepeatCheck("torch", "small", "json", 100.0, 110.0),
        RepeatCheck("onnx", "small", "json", 0.0, 110.0),
    )
    bare = dataclasses.replace(without_samples(everything, lambda t: t.round == 1), repeats=checks)
    repeats = section(reported(bare, write_folder, tmp_path / "run"), "Repeated payloads")
    assert cells(repeats, "torch")[-1] == ""
    assert "FLAGGED" in cells(repeats, "onnx")[-1]


def test_reasons_are_counted_by_kind_in_invalid_and_in_valid_trials(report: str) -> None:
    told = section(report, "Which trials count")
    assert "197 of 199 planned trials valid, 1 invalid and left out, 1 not made." in told
    assert cells(told, "the host stole time of the service's core")[1:] == ["1", "1", "0"]


def test_objectives_say_what_held_and_every_rate_that_was_tried(report: str) -> None:
    told = section(report, "Service objectives")
    summary, probes = told.split("| strategy | payloads | offered/s |")
    assert cells(summary, "onnx")[3:] == ["231", "180", "77.9%", "179"]
    assert cells(summary, "batched")[4] == "never held"
    assert probes.count("| batched |") == 3
    assert "no: p99 beyond the bound" in probes


def test_the_driver_tells_its_worst_and_the_harness_what_it_took_between(report: str) -> None:
    told = section(report, "The driver's ceiling")
    assert cells(told, "small, 70% of capacity")[1:6] == ["2", "0", "37.0%", "0.6%", "1.20"]
    assert "itself took 0.75 s (median) and 1.00 s at most, over 198 trials" in told


def test_accounting_and_gpu_stand_below_the_resources(report: str) -> None:
    told = section(report, "Resources")
    accounting = told.split("| received bytes per request |")[1].split("GPU busy")[0]
    assert cells(accounting, "torch", "small")[2:] == ["41 000", "900", "0", "0.7%", "1.2%"]
    gpu = told.split("GPU busy")[1]
    assert cells(gpu, "batched", "seed, 50 clients")[2:] == ["42.0%", "900", "0.80"]
    assert "| torch |" not in gpu


def test_throttled_periods_are_summed_over_invalid_trials_too(
    everything: Run, write_folder: Write, tmp_path: Path
) -> None:
    throttled = ResourceFigures(None, None, 3, 0.0)
    trials = tuple(
        dataclasses.replace(t, resources=throttled, valid=t.round > 2, samples=None)
        for t in everything.trials
        if t.load.name == "c50" and t.payload_class == "small"
    )
    bare = dataclasses.replace(everything, trials=trials)
    told = section(reported(bare, write_folder, tmp_path / "run"), "Resources")
    row = cells(told.split("| received bytes per request |")[1], "torch", "small")
    assert row[2:5] == ["n/a", "n/a", "18"]


def test_starts_have_a_row_for_each_state_of_the_cache_and_their_phases_inside(report: str) -> None:
    told = section(report, "Startup")
    assert "| onnx | 2.35 (2.10" in told
    assert "| onnx | 1.92 (1.73" in told
    cold, warm = cells(told, "onnx", "cold"), cells(told, "onnx", "warm")
    assert float(cold[3]) > 5 * float(warm[3]), "a warm cache has nothing to pull"
    assert sum(map(float, cold[2:6])) == pytest.approx(float(cold[6]), abs=0.02)


def test_images_tell_waste_the_model_and_their_largest_packages(report: str) -> None:
    told = section(report, "Image size")
    assert "| onnx | 3.00 MiB | 266 MiB | 14.0 MiB | 280 MiB |" in told
    assert "| 1 | site-packages/torch 300 MiB | site-packages/onnxruntime 300 MiB |" in told
    assert "| 4 | site-packages/fastapi 37.0 MiB |  | site-packages/fastapi 37.0 MiB |" in told


def test_sections_without_data_are_left_out(run: Run, write_folder: Write, tmp_path: Path) -> None:
    text = reported(without_samples(run, lambda t: t.round == 1), write_folder, tmp_path / "run")
    for title in ("Comparisons", "Cost", "The tail", "Service objectives", "Capacities"):
        assert f"## {title}" not in text, title
    for word in ("GPU", "wasted", "received bytes", "workers", "Repeated", "itself took"):
        assert word not in text, word


def test_every_picture_shows_something(folder: Path) -> None:
    pictures = {path.stem for path in (folder / "plots").glob("*.png")}
    untold = {"batching", "stages", "pareto", "sweep"}
    assert pictures == {*PLOTS} - untold, "no service tells of its stages here, and no setting varies"
    for name in pictures:
        with Image.open(folder / "plots" / f"{name}.png") as picture:
            pixels = np.asarray(picture.convert("L"))
        assert 0.02 < np.mean(pixels < 200) < 0.8, name
        edges = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
        assert edges.min() > 200, f"{name} is cut off at an edge"


def test_the_terminal_stays_within_a_screen_whatever_the_names(everything: Run) -> None:
    long = {"onnx": "onnxruntime-optimised-offline (again)"}
    trials = tuple(
        dataclasses.replace(t, strategy=long.get(t.strategy, t.strategy), encoding="oip-binary-multipart")
        for t in everything.trials
    )
    strategies = {long.get(name, name): result for name, result in everything.strategies.items()}
    for one in (everything, dataclasses.replace(everything, trials=trials, strategies=strategies)):
        lines = terminal_summary(one, 100).splitlines()
        assert max(map(len, lines)) <= 100
        assert len(lines) <= 40, "\n".join(lines)
        assert any("held up to, requests/s" in line for line in lines)
        assert "more loads in report.md" in " ".join(lines)
    assert any("own rate" in line for line in terminal_summary(everything, 100).splitlines())


@pytest.mark.parametrize("comparators", [("tensors",), ("json", "unchecked")])
def test_a_model_without_images_is_not_told_of_images(
    everything: Run, write_folder: Write, tmp_path: Path, comparators: tuple[str, ...]
) -> None:
    """What is left of the word are the images that containers are made of."""
    replace = dataclasses.replace
    environment = replace(everything.environment, settings=RunSettings(comparators=comparators))
    parity = ParityResult(6, 0, 0.02, None, "", 0.25, "small_0 as json", 3)
    strategies = {**everything.strategies, "onnx": replace(everything.strategies["onnx"], parity=parity)}
    run = replace(without_samples(everything), environment=environment, strategies=strategies)
    said = reported(run, write_folder, tmp_path / "run").lower()
    told = said.partition("\n## environment\n")[0]
    assert "each strategy answers all requests in all its encodings" in told
    assert "the same few requests, sent over and over" in told
    for word in ("all images", "few images", "images/s", "prepared images", "photo", "pixel", "probabilit"):
        assert word not in told, word
    answers = section(said, "answers")
    assert "label" not in answers
    assert ("atol + rtol" in answers) == ("tensors" in comparators)
    assert ("its status is 2xx" in answers) == ("unchecked" in comparators)
