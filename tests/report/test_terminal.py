"""The terminal's table at every width, what it says beside the figures, and the document for programs."""

import dataclasses
import json
import os
import pty
import re
import subprocess
import sys
import termios
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np
import pytest

from bench.analysis.doubt_counts import doubts
from bench.analysis.run_analysis import analyse
from bench.analysis.summary import METRICS, Summary, summarise
from bench.load import window
from bench.load.samples import Samples
from bench.model import ClassFigures, ClosedLoad, Doubt, LatencyMs, Run, in_words
from bench.report import run_screen
from bench.report.document import Bullets, Folded
from bench.report.json_summary import summary_json
from bench.report.json_types import ClassJson, ComparisonJson, EstimateJson, RowJson, RunJson, StrategyJson
from bench.report.sections.validity import of_the_run
from bench.report.writers.terminal import Shape, fitted, lines, shown
from bench.run_file import read_run
from tests.report.full_run import full
from tests.running.doubts import doubt

ROOT = Path(__file__).parents[2]
Change = Callable[..., Run]
EVERY_WIDTH = range(run_screen.LEAST_WIDTH, run_screen.MOST_WIDTH + 1)
INTERVAL = re.compile(r"\(\d[^)]*\)")


def long_names(run: Run) -> Run:
    def named(name: str) -> str:
        return f"{name}-as-the-team-in-charge-of-it-likes-to-call-it"

    trials = tuple(
        dataclasses.replace(t, strategy=named(t.strategy), encoding=t.strategy) for t in run.trials
    )
    return dataclasses.replace(
        run, trials=trials, strategies={named(name): result for name, result in run.strategies.items()}
    )


def huge_figures(run: Run) -> Run:
    trials = tuple(
        dataclasses.replace(t, throughput_rps=(t.throughput_rps or 0) * 12345, errors=10**9)
        for t in run.trials
    )
    return dataclasses.replace(run, trials=trials)


def shaped(summary: Summary, width: int) -> Shape:
    """The table of all cases in the shape that fits the width."""
    table = run_screen.table_of(summary, summary.cases)
    assert table is not None
    return fitted(table, width, run_screen.giving_up())


def made(kind: str, run: Run) -> Run:
    bare = {"throughput_rps": None, "latency_ms": LatencyMs(None, None, None), "valid": False}
    changes: dict[str, Callable[[], Run]] = {
        "two classes": lambda: run,
        "everything": lambda: full(run),
        "long names": lambda: long_names(full(run)),
        "huge figures": lambda: huge_figures(run),
        "no trials": lambda: dataclasses.replace(run, trials=(), planned_trials=0),
        "one round": lambda: dataclasses.replace(run, trials=tuple(t for t in run.trials if t.round == 1)),
        "all invalid": lambda: dataclasses.replace(
            run,
            trials=tuple(dataclasses.replace(t, **bare) for t in run.trials),  # type: ignore[arg-type]  # of many types
        ),
    }
    return changes[kind]()


@pytest.mark.parametrize(
    ("kind", "step"),
    [
        *(("two classes", 1), ("huge figures", 2), ("no trials", 10), ("one round", 5), ("all invalid", 5)),
        *(("everything", 10), ("long names", 3)),
    ],
)
def test_no_line_is_longer_than_the_terminal_is_wide(kind: str, step: int, run: Run) -> None:
    shown = made(kind, run)
    summary = summarise(shown)
    for width in EVERY_WIDTH[::step]:
        if summary.rows:
            assert max(map(len, lines(shaped(summary, width), width))) <= width
    for width in EVERY_WIDTH[::35]:
        assert max(map(len, run_screen.render(shown, width).splitlines())) <= width


def test_a_committed_run_fits_too() -> None:
    found = read_run(ROOT / "results" / "20261124T210427Z-db782fb")
    for width in EVERY_WIDTH[::9]:
        assert max(map(len, run_screen.render(found, width).splitlines())) <= width


def test_a_width_beyond_the_bounds_is_brought_within_them(run: Run) -> None:
    assert run_screen.render(run, 20) == run_screen.render(run, 60)
    assert run_screen.render(run, 999) == run_screen.render(run, 200)


def test_every_column_is_shown_or_said_to_be_left_out(run: Run) -> None:
    summary = summarise(run)
    all_headers = set(shown(shaped(summary, 200)).figure_headers)
    assert all_headers >= {"requests/s", "ratio", "verdict", "p95 ms", "p99 ms", "MiB", "trials"}
    for width in EVERY_WIDTH[::8]:
        headers = set(shown(shaped(summary, width)).figure_headers)
        assert headers <= all_headers
        legend = run_screen.render(run, width).replace("\n", " ").partition("left out here for width: ")[2]
        assert set(legend.partition(".")[0].split(", ")) - {""} == all_headers - headers


def test_a_wider_terminal_shows_no_fewer_intervals(run: Run) -> None:
    summary = summarise(run)
    shapes = {width: shaped(summary, width) for width in (60, 80, 100, 140, 200)}
    intervals = {
        width: len(INTERVAL.findall("".join(map(str, lines(shape, width)))))
        for width, shape in shapes.items()
    }
    assert sorted(intervals.values()) == list(intervals.values())
    assert intervals[60] == 4, "the ratios of two strategies with two classes of payloads"
    # the rate, p50, p95, p99, CPU and memory of each of six rows
    assert intervals[200] == 4 + 6 * 6
    assert len(shown(shapes[200]).figure_headers) == 10


def test_what_chooses_a_strategy_is_left_out_last(run: Run) -> None:
    for one in (run, full(run)):
        summary = summarise(one)
        headers = shown(shaped(summary, 60)).figure_headers
        assert {"requests/s", "ratio", "p99 ms"} <= set(headers)


@pytest.mark.parametrize("folder", ["20261124T210427Z-db782fb", "20261120T123610Z-8fc212b"])
def test_verdicts_and_refusals_survive_at_eighty_columns(folder: str) -> None:
    summary = summarise(read_run(ROOT / "results" / folder))
    headers = shown(shaped(summary, 80)).figure_headers
    assert "verdict" in headers
    assert ("refused" in headers) == any(row.refused is not None for row in summary.rows.values())


def test_what_was_refused_has_a_column_where_a_load_was_open() -> None:
    lines = run_screen.render(read_run(ROOT / "results" / "20261124T210427Z-db782fb"), 140).splitlines()
    (header,) = [line for line in lines if line.startswith("case ")]
    cells = {line[:30].rstrip(): re.split(" +", line) for line in lines if line.startswith("small, ")}
    assert header.split()[-2] == "refused"
    assert cells["small, 90% of capacity batched"][-2] == "1\N{NO-BREAK SPACE}598"
    assert "overloaded 5/6" in " ".join(cells["small, 90% of capacity batched"])
    assert cells["small, 70% of capacity batched"][-2] == "0"
    assert "a 503 is a failure" in " ".join(lines)


def test_narrow_rows_stand_below_their_case(run: Run) -> None:
    everything = full(run)
    lines = run_screen.render(everything, 60).splitlines()
    place = next(place for place, line in enumerate(lines) if line == "small, 50 clients")
    assert [line.split()[0] for line in lines[place + 1 : place + 4]] == ["torch", "onnx", "batched"]


def test_verdicts_are_those_of_the_report(run: Run) -> None:
    rows = [line for line in run_screen.render(run, 200).splitlines() if line.startswith(("small ", "seed "))]
    words = [re.split(r"  +", line)[4] for line in rows]
    assert words == ["baseline", "faster", "faster"] * 2


def test_without_a_width_columns_is_honoured(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "73")
    assert run_screen.render(run) == run_screen.render(run, 73)


def test_colours_repeat_words_and_take_no_columns(with_trials: Change) -> None:
    spoilt = with_trials(valid=False, doubts=(doubt(),))
    for run in (spoilt, with_trials()):
        plain, coloured = run_screen.render(run, 140), run_screen.render(run, 140, colour=True)
        assert "\x1b[" not in plain
        assert re.sub(r"\x1b\[[\d;]*m", "", coloured) == plain
    assert "\x1b[1;32mfaster\x1b[0m" in run_screen.render(with_trials(), 140, colour=True)
    assert "\x1b[1;31mINVALID\x1b[0m, 36 trials of" in run_screen.render(spoilt, 140, colour=True)


CHILD = """
import os, sys
from pathlib import Path
from bench.report import run_screen
from bench.run_file import read_run
run = read_run(Path(sys.argv[1]))
for changes in ({"NO_COLOR": ""}, {"NO_COLOR": "1"}, {"NO_COLOR": "", "TERM": "dumb"}):
    os.environ.update({"TERM": "xterm", **changes})
    print(run_screen.render(run), end="~")
"""


def test_a_terminal_gets_colours_unless_it_wants_none() -> None:
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (30, 80))
    environment = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    command = [sys.executable, "-c", CHILD, str(ROOT / "results" / "20261124T175723Z-e214b0c")]
    with subprocess.Popen(command, stdout=theirs, env=environment, cwd=ROOT) as process:
        os.close(theirs)
        said = b"".join(iter(lambda: _read(ours), b"")).decode()
    os.close(ours)
    assert process.returncode == 0
    coloured, plain, dumb, _ = said.split("~")
    assert "\x1b[1;31mINVALID\x1b[0m" in coloured
    assert "\x1b" not in plain + dumb
    assert 75 < max(map(len, plain.splitlines())) <= 80, "it is as wide as the terminal is"


def _read(end: int) -> bytes:
    """What was written, and nothing once the other end is closed, which Linux tells by an error."""
    try:
        return os.read(end, 65536)
    except OSError:
        return b""


def test_doubts_are_grouped_with_counts_the_gravest_first(run: Run) -> None:
    trials = list(run.trials)
    for place in range(5):
        stolen = doubt(f"the host stole {1.1 + place}% of the core", remedy="measure elsewhere", voids=False)
        trials[place] = dataclasses.replace(trials[place], doubts=(stolen,))
    late = doubt("the driver was late: 3.0% of the requests were sent too late", "late_sends")
    trials[9] = dataclasses.replace(trials[9], valid=False, doubts=(late,))
    found = doubts(dataclasses.replace(run, trials=tuple(trials)))
    assert [(one.invalid, one.valid) for one in found] == [(1, 0), (0, 0), (0, 5)]
    assert found[0].example == late
    assert found[1].example.text == "the host's governor could not be read"
    assert found[2].example.text == "the host stole 1.1% of the core"
    assert set(found[2].strategies) == {"torch", "onnx", "batched"}
    shown = run_screen.render(dataclasses.replace(run, trials=tuple(trials)), 200).replace("\n  ", " ")
    assert f"\nINVALID, 1 trial of torch: {late.text}\n" in shown
    assert (
        "\nwarning, 5 trials of torch, onnx and batched, such as: the host stole 1.1% of the core; remedy: "
        "measure elsewhere\n" in f"{shown}\n"
    )


def test_no_more_than_a_handful_of_doubts_is_shown(run: Run) -> None:
    many = tuple(doubt(f"the {word} is odd", "other") for word in "abcdefgh")
    shown = run_screen.render(dataclasses.replace(run, doubts=many))
    assert shown.count("warning: ") == run_screen.MOST_DOUBTS
    assert "and 3 more kinds of warning in report.md" in shown


def eight(run: Run) -> Run:
    """Eight strategies under three closed loads, and of each it is not known whether it keeps answers."""
    names = [f"strategy_{letter}" for letter in "abcdefgh"]
    like = [trial for trial in run.trials if (trial.strategy, trial.payload_class) == ("onnx", "small")]
    trials = tuple(
        dataclasses.replace(trial, strategy=name, load=ClosedLoad(clients, 2.0, 20.0))
        for trial in like
        for name in names
        for clients in (1, 10, 50)
    )
    unknown = tuple(
        Doubt("caching_unknown", f"whether {name} keeps answers is not known", "look", False, "harness")
        for name in names
    )
    return dataclasses.replace(
        run,
        trials=trials,
        strategies=dict.fromkeys(names, run.strategies["onnx"]),
        planned_trials=len(trials),
        doubts=unknown,
    )


def test_many_strategies_keep_to_a_screen_with_every_strategy_at_the_load_that_counts(run: Run) -> None:
    many = eight(run)
    shown = run_screen.render(many, 100)
    assert len(shown.splitlines()) <= run_screen.MOST_LINES
    rows = shown.split("\n\n")[0].splitlines()[1:]
    assert [row.split()[0] for row in rows] == list(many.strategies)
    assert "each row: small, 50 clients; " in shown
    assert "2 more loads in report.md" in shown.replace("\n", " ")


def test_fewer_warnings_are_shown_before_a_screen_is_passed_and_their_number_is_told(run: Run) -> None:
    odd = "is odd, as anybody can see who looks at it for as long as it takes to read three lines of text"
    many = tuple(doubt(f"the {word} {odd}; {odd}; {odd}", "other") for word in "abcdefgh")
    shown = run_screen.render(dataclasses.replace(eight(run), doubts=many), 100)
    assert len(shown.splitlines()) <= run_screen.MOST_LINES
    assert 1 <= (told := shown.count("warning: ")) < run_screen.MOST_DOUBTS
    assert f"and {8 - told} more kinds of warning in report.md" in shown


def test_a_warning_of_each_strategy_is_one_that_names_them(run: Run, tmp_path: Path) -> None:
    many = eight(run)
    shown = run_screen.render(many, 200).replace("\n  ", " ")
    assert shown.count("keeps answers is not known") == 1
    listed = ", ".join([*many.strategies][:-1])
    assert f"warning, of {listed} and strategy_h, such as: whether strategy_a keeps answers" in shown
    some = run_screen.render(dataclasses.replace(many, doubts=many.doubts[:2]), 200)
    assert "warning, 2 times, such as: whether strategy_a" in some, "whom they are about is not known"
    assert "warning: whether strategy_a" in run_screen.render(
        dataclasses.replace(many, doubts=many.doubts[:1]), 200
    )
    items, each = of_the_run(analyse(many, tmp_path))
    assert isinstance(items, Bullets)
    assert isinstance(each, Folded)
    assert len(items.items) == 1
    assert str(items.items[0][0]).startswith(f"a warning, of {listed} and strategy_h, such as: whether")
    assert each.blocks == (Bullets(tuple((in_words(one),) for one in many.doubts)),)
    # what counts warnings still counts each
    assert len(doubts(many)) == len(many.doubts)


def test_the_remedy_of_littles_law_is_shown_from_a_window_that_was_judged(run: Run) -> None:
    second_ns = 1_000_000_000
    due = np.arange(0, 10 * second_ns, 5_000_000, dtype=np.int64)
    ok = np.zeros_like(due)
    # one client, whose answers take twice as long as it has between two requests
    samples = Samples(due, due, due + 10_000_000, ok, ok + 200, ok, ok)
    (law,) = [one for one in window.summarise(samples, 1, 1.0, 8.0).doubts if one.code == "littles_law"]
    judged = dataclasses.replace(run.trials[0], valid=False, doubts=(law,))
    shown = run_screen.render(dataclasses.replace(run, trials=(judged, *run.trials[1:])), 200)
    assert "Little's law is off by 100.0%" in shown
    assert "; remedy: lengthen --window-s" in shown.replace("\n  ", " ")


# the document for programs


def written(run: Run) -> dict[str, Any]:
    """As a program reads it, which knows neither NaN nor infinity."""
    document = summary_json(run, "20260102T030405Z-abc1234", ["report.md"])
    found: dict[str, Any] = json.loads(json.dumps(document, allow_nan=False))
    return found


@pytest.mark.parametrize("kind", ["two classes", "everything", "no trials", "one round", "all invalid"])
def test_the_document_has_the_keys_of_its_schema_whatever_the_run(kind: str, run: Run) -> None:
    found = written(made(kind, run))
    assert found.keys() == get_type_hints(RunJson).keys()
    assert found["schema"] == 1
    assert (found["folder"], found["files"]) == ("20260102T030405Z-abc1234", ["report.md"])
    assert all(one.keys() == StrategyJson.__required_keys__ for one in found["strategies"])
    ids = {case["id"] for case in found["cases"]}
    for row in found["rows"]:
        assert row.keys() == RowJson.__required_keys__
        assert row["case"] in ids
        assert row["estimates"].keys() == METRICS.keys()
        for estimate in filter(None, row["estimates"].values()):
            assert estimate.keys() == get_type_hints(EstimateJson).keys()
        for comparison in row["to_baseline"].values():
            assert comparison.keys() == ComparisonJson.__required_keys__


def test_the_document_says_what_the_summary_says(run: Run) -> None:
    found, summary = written(full(run)), summarise(full(run))
    assert found["trials"] == {
        "planned": len(full(run).trials) + 1,
        "valid": summary.valid_trials,
        "invalid": 1,
        "missing": 1,
    }
    row = next(r for r in found["rows"] if (r["strategy"], r["case"]) == ("onnx", "seed, json, 50 clients"))
    (case,) = [case for case in summary.cases if (case.payload_class, case.load) == ("seed", "50 clients")]
    estimate = summary.rows["onnx", case].estimates["throughput"]
    assert estimate is not None
    assert row["estimates"]["throughput"] == {
        "centre": estimate.centre,
        "low": estimate.low,
        "high": estimate.high,
        "n": 6,
        "unit": "requests/s",
    }
    assert row["to_baseline"]["throughput"]["verdict"] == "faster"
    assert row["to_baseline"]["throughput"]["n"] == 6
    held = {one["strategy"]: one["rate_per_s"] for one in found["objectives"]}
    assert held == {"torch": 60.0, "onnx": 180.0, "batched": None}
    assert "\N{NO-BREAK SPACE}" not in found["sentence"]


def test_the_document_has_the_latency_of_each_class_of_a_mix(with_trials: Change) -> None:
    parts = tuple(
        ClassFigures(name, 100, 98, 1, 1, 9.8, LatencyMs(p50, 2 * p50, None))
        for name, p50 in (("long", 8.0), ("short", 2.0))
    )
    mixed = written(with_trials(by_class=parts))
    for row in mixed["rows"]:
        assert row.keys() == {*RowJson.__required_keys__, "classes"}
        assert list(row["classes"]) == ["long", "short"]
        found = row["classes"]["long"]
        assert found.keys() == get_type_hints(ClassJson).keys()
        assert (found["requests"], found["bad"]) == (600, 12)
        assert (found["estimates"]["p50"]["centre"], found["estimates"]["p50"]["unit"]) == (8.0, "ms")
        assert found["estimates"]["p99"] is None


def test_what_is_missing_is_null_in_the_document_and_never_zero(with_trials: Change) -> None:
    bare = with_trials(throughput_rps=None, latency_ms=LatencyMs(None, None, None), peak_memory_bytes=None)
    strategies = {
        name: dataclasses.replace(one, image=None, startup=None) for name, one in bare.strategies.items()
    }
    found = written(dataclasses.replace(bare, strategies=strategies))
    for row in found["rows"]:
        assert [row["estimates"][name] for name in ("throughput", "p50", "p99", "memory")] == [None] * 4
        assert row["to_baseline"].keys() <= {"cpu"}
        assert row["offered_per_s"] is None
    assert [(one["start_s"], one["image"]) for one in found["strategies"]] == [(None, None)] * 3


def test_one_round_has_neither_intervals_nor_verdicts_in_the_document(with_trials: Change) -> None:
    for row in written(with_trials(lambda t: t.round == 1))["rows"]:
        assert row["to_baseline"] == {}
        assert (row["estimates"]["throughput"]["low"], row["estimates"]["throughput"]["n"]) == (None, 1)
