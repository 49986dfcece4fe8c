"""A run with several loads: tables by load, a sentence about the largest, and the picture over load."""

import dataclasses
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.analysis.cases import Case
from bench.analysis.run_analysis import analyse
from bench.analysis.summary import summarise
from bench.docs.tables import results_block
from bench.model import (
    BatchFigures,
    Capacity,
    ClosedLoad,
    LatencyMs,
    Load,
    LoopResult,
    OpenLoad,
    Run,
    ServerFigures,
    StageFigures,
    Trial,
)
from bench.report import report_md, terminal_summary, text, write_report
from bench.report.document import Block, Table
from bench.report.report import report_of
from bench.report.sections.insides import stages
from bench.report.sections.objectives import capacities
from bench.report.sentence import sentence
from bench.run_file import read_run, write_run

pytestmark = pytest.mark.slow

CLIENTS = (1, 8, 64)
RATES = (20.0, 80.0, 250.0)
Write = Callable[[Run, Path], Path]


def closed(trial: Trial, clients: int) -> Trial:
    """The trial as it would be with so many clients: it fills up, then latency grows."""
    full = trial.throughput_rps or 1.0
    rate = full * clients / (clients + 3)
    p50 = 1000 * clients / rate
    return at_load(
        trial, ClosedLoad(clients, trial.load.warmup_s, trial.load.window_s), rate, p50, clients / full
    )


def offered(trial: Trial, rate_per_s: float) -> Trial:
    """The trial as it would be at a rate: what is beyond its capacity is turned away."""
    full = trial.throughput_rps or 1.0
    rate = min(rate_per_s, 0.97 * full)
    p50 = 1000 / full / (1.02 - rate / full)
    changed = at_load(
        trial, OpenLoad(rate_per_s, trial.load.warmup_s, trial.load.window_s), rate, p50, rate / full
    )
    return dataclasses.replace(changed, refused=round((rate_per_s - rate) * trial.window_s))


def at_load(trial: Trial, load: Load, rate: float, p50: float, fill: float) -> Trial:
    stages = {"decode": StageFigures(2.1, 900), "infer": StageFigures(4.0, 300)}
    batch = None
    if trial.strategy == "batched":
        stages["queue"] = StageFigures(1 + 20 * fill, 900)
        batch = BatchFigures(1 + 6 * fill, {"1.0": 3, "8.0": 40})
    return dataclasses.replace(
        trial,
        load=load,
        throughput_rps=rate,
        latency_ms=LatencyMs(p50, p50 * 1.5, p50 * 2),
        samples=None,
        server=None if trial.strategy == "torch" else ServerFigures(stages, batch),
    )


def rows(blocks: Sequence[Block]) -> list[tuple[str, ...]]:
    """The rows of a section's only table, as they are written."""
    (table,) = [block for block in blocks if isinstance(block, Table)]
    return [
        tuple(cell.text + (f" ({cell.interval})" if cell.interval else "") for cell in row)
        for row in table.rows
    ]


@pytest.fixture(scope="module")
def many(run: Run) -> Run:
    """Three closed loads and three open ones."""
    trials = [closed(trial, clients) for trial in run.trials for clients in CLIENTS]
    trials += [offered(trial, rate) for trial in run.trials for rate in RATES]
    return dataclasses.replace(run, trials=tuple(trials), planned_trials=len(trials))


@pytest.fixture(scope="module")
def folder(many: Run, write_folder: Write, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_folder(many, tmp_path_factory.mktemp("results") / "many")
    write_report(folder)
    return folder


def test_loads_stand_in_the_order_of_their_size(many: Run) -> None:
    small = [case.load for case in summarise(many).cases if case.payload_class == "small"]
    assert small[:3] == ["1 client", "8 clients", "64 clients"]
    assert small[3:] == ["20 requests/s", "80 requests/s", "250 requests/s"]


def test_the_sentence_is_about_the_largest_closed_load(many: Run) -> None:
    said = sentence(many, summarise(many))
    assert said.startswith("At 64 clients, onnx answers 2.3")
    assert "with small payloads and 1.3" in said
    assert "ms with small payloads" in said


def test_beside_a_closed_load_the_sentence_tells_the_tails_at_the_middle_rate_that_all_took(
    many: Run,
) -> None:
    said = sentence(many, summarise(many))
    tails = re.search(r"\. At 80 requests/s with small payloads, p99: ([^.]+\.\d.*?)\. Every", said)
    assert tails, said
    assert [one.split()[0] for one in tails[1].split(", ")] == ["onnx", "batched", "torch"], "the least first"


def test_what_was_refused_is_said_with_who_refused_it(many: Run) -> None:
    refused = sum(trial.refused or 0 for trial in many.trials)
    said = sentence(many, summarise(many)).replace("\N{NO-BREAK SPACE}", " ")
    assert f", {refused:,}".replace(",", " ").strip() in said.replace(",", "")
    assert "requests refused by torch, onnx and batched" in said


def test_without_a_closed_load_the_sentence_compares_the_tails_at_the_highest_rate_taken(many: Run) -> None:
    only = dataclasses.replace(many, trials=tuple(t for t in many.trials if isinstance(t.load, OpenLoad)))
    said = sentence(only, summarise(only))
    assert said.startswith("At 80 requests/s with small payloads, p99: onnx ")
    assert "; higher loads overloaded torch, onnx and batched." in said


def test_where_every_rate_was_too_much_the_tails_at_the_lowest_say_what_was_refused(many: Run) -> None:
    over = tuple(t for t in many.trials if t.load.name == "q250")
    said = sentence(many, summarise(dataclasses.replace(many, trials=over)))
    assert re.match(r"At 250 requests/s with small payloads, p99: onnx \d+\S* ms \([^)]+ refused\), ", said)


def test_each_load_has_its_verdict_and_says_whom_it_overloaded(folder: Path) -> None:
    report = (folder / "report.md").read_text(encoding="utf-8")
    shown = report.split("\n## Comparisons\n")[1].split("<details>")[0]
    rows = [line.split(" | ") for line in shown.splitlines() if line.startswith("| onnx | small, ")]
    assert [row[1] for row in rows] == [
        *("small, 1 client", "small, 8 clients", "small, 64 clients"),
        *("small, 20 requests/s", "small, 80 requests/s"),
    ]
    assert rows[1][2].startswith("2.")
    assert rows[4][2] == "", "in an open loop each answers what it is offered"
    (told,) = [
        line for line in report.splitlines() if line.startswith("- torch and onnx, small, 250 requests/s: ")
    ]
    assert told.endswith("not compared: torch and onnx overloaded.")


def test_the_time_of_a_stage_is_never_below_zero(many: Run, write_folder: Write, tmp_path: Path) -> None:
    """Over rounds of which one had a long queue, a t-interval of the mean would be."""
    queues = {1: 1.0, 2: 2.0, 3: 1.5, 4: 0.0, 5: 2.5, 6: 300.0}
    trials = tuple(
        dataclasses.replace(t, server=ServerFigures({"queue": StageFigures(queues[t.round], 9)}, None))
        for t in many.trials
    )
    found = analyse(
        changed := dataclasses.replace(many, trials=trials), write_folder(changed, tmp_path / "run")
    )
    (row,) = [row for row in rows(stages(found)) if row[:2] == ("torch", "small, 64 clients")]
    assert row[2] == "1.75 (0.00\N{EN DASH}300.00)"


def test_capacities_stand_beside_what_the_rounds_answered(
    many: Run, write_folder: Write, tmp_path: Path
) -> None:
    known = tuple(
        Capacity(name, "small", "json", clients, 100.0) for name, clients in [("torch", 64), ("onnx", 5)]
    )
    changed = dataclasses.replace(many, capacities=known)
    found = analyse(changed, write_folder(changed, tmp_path / "run"))
    rate = summarise(many).rows["torch", Case("small", "json", "64 clients")].estimates["throughput"]
    assert rate is not None
    torch, onnx = rows(capacities(found))
    assert torch[3:] == ("100", text.estimate(rate), f"{100 / rate.centre:.2f}\N{MULTIPLICATION SIGN}")
    assert onnx[3:] == ("100", "n/a", "n/a"), "no closed loop of the rounds had five clients"


def test_the_report_has_a_row_a_load_and_the_stages(folder: Path) -> None:
    report = (folder / "report.md").read_text(encoding="utf-8")
    assert report.count("### ") == 2
    assert "| load | strategy | requests/s | p50 ms | p99 ms |" in report
    assert "| 8 clients | onnx | 1" in report
    header = next(line for line in report.splitlines() if line.startswith("| load | strategy |"))
    place = header.split(" | ").index("refused")
    open_load, closed = (
        next(line for line in report.splitlines() if line.startswith(start)).split(" | ")[place]
        for start in ("| 250 requests/s | torch |", "| 8 clients | onnx |")
    )
    assert open_load.replace("\N{NO-BREAK SPACE}", "").isdigit()
    assert closed == "n/a"
    assert "## Where the time goes" in report
    assert "| batched | small, 64 clients | 2.10" in report
    assert "| torch | small, 64 clients | n/a | n/a | n/a | n/a |" in report
    loops = report.split("## Service against its own bare loop")[1].split("##")[0]
    assert "64 clients" in loops
    assert "8 clients |" not in loops
    assert "An open loop" in report


def test_parts_of_the_loop_are_columns_where_they_were_run(
    many: Run, write_folder: Write, tmp_path: Path
) -> None:
    onnx = many.strategies["onnx"]
    parts = (
        LoopResult("small", (400.0,) * 6, (2.0,) * 6, "prepare"),
        LoopResult("small", (2500.0,) * 6, (0.4,) * 6, "infer", 16),
    )
    strategies = {**many.strategies, "onnx": dataclasses.replace(onnx, loops=(*onnx.loops, *parts))}
    changed = dataclasses.replace(many, strategies=strategies)
    folder = write_folder(changed, tmp_path / "run")
    report = report_md.render(report_of(analyse(changed, folder)))
    assert "| prepare alone, items/s | infer alone, items/s |" in report
    assert "| 400 (400\N{EN DASH}400) | 2\N{NO-BREAK SPACE}500 (" in report
    assert read_run(folder).strategies["onnx"].loops[-1].batch_size == 16


@pytest.mark.parametrize("name", ["load", "batching", "stages"])
def test_the_pictures_over_load_and_of_the_inside_show_something(name: str, folder: Path) -> None:
    with Image.open(folder / "plots" / f"{name}.png") as picture:
        pixels = np.asarray(picture.convert("L"))
    assert pixels.shape[0] > pixels.shape[1] >= 600, "two panels, one above the other"
    assert 0.02 < np.mean(pixels < 200) < 0.8
    assert (folder / "plots" / f"{name}.svg").is_file()


def test_bars_are_of_the_largest_closed_load_alone(folder: Path) -> None:
    with Image.open(folder / "plots" / "throughput.png") as picture:
        assert picture.width < 1500


def test_one_load_has_no_picture_over_load(run: Run, write_folder: Write, tmp_path: Path) -> None:
    folder = write_folder(run, tmp_path / "run")
    write_report(folder)
    assert not (folder / "plots" / "load.png").exists()


def test_a_run_written_before_there_were_server_figures_still_reads(run: Run, tmp_path: Path) -> None:
    write_run(run, tmp_path)
    raw = json.loads((tmp_path / "run.json").read_text())
    for trial in raw["trials"]:
        del trial["server"], trial["refused"]
    for strategy in raw["strategies"].values():
        for loop in strategy["loops"]:
            del loop["part"], loop["batch_size"]
    (tmp_path / "run.json").write_text(json.dumps(raw))
    assert read_run(tmp_path) == run


def test_a_run_of_many_loads_survives_the_disk(many: Run, folder: Path) -> None:
    assert read_run(folder) == many


def test_terminal_and_readme_name_the_loads(many: Run) -> None:
    lines = terminal_summary(many).splitlines()
    place = lines.index("small, 64 clients")
    assert [line.split()[0] for line in lines[place + 1 : place + 4]] == ["torch", "onnx", "batched"]
    assert "plots/throughput.png" in results_block(many, "results/x", "splice")
