"""report.md against a golden file, and the plots as pictures."""

import dataclasses
import os
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from bench.analysis.responses import answer_times_ms, read_responses
from bench.analysis.run_analysis import analyse
from bench.analysis.starts import phase_lengths_s
from bench.analysis.tails import curves
from bench.errors import UsageError
from bench.model import Environment, LatencyMs, Run, Startup
from bench.report import report_md, write_report
from bench.report.report import report_of
from bench.run_file import write_run
from tests.running.doubts import doubt

pytestmark = pytest.mark.slow

GOLDEN = Path(__file__).parent / "golden" / "report.md"
PLOTS = {"throughput", "latency", "histogram", "resources", "timeline", "startup", "image_size"}
MOST_BYTES = 200_000
Write = Callable[[Run, Path], Path]
Change = Callable[..., Run]


@pytest.fixture(scope="session")
def written(folder: Path) -> list[Path]:
    return write_report(folder)


def test_the_report_equals_the_golden_file(folder: Path, written: list[Path]) -> None:
    """Set UPDATE_GOLDEN=1 to accept a change on purpose."""
    assert folder / "report.md" in written
    report = (folder / "report.md").read_text(encoding="utf-8")
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.write_text(report, encoding="utf-8")
    assert report == GOLDEN.read_text(encoding="utf-8")


def test_every_plot_is_a_picture_that_shows_something(written: list[Path]) -> None:
    pngs = [path for path in written if path.suffix == ".png"]
    assert {path.stem for path in pngs} == PLOTS
    for path in pngs:
        with Image.open(path) as picture:
            pixels = np.asarray(picture.convert("L"))
        assert pixels.shape[1] >= 600
        assert 0.02 < np.mean(pixels < 200) < 0.8, path.name


def test_every_plot_has_an_svg_that_parses_and_names_no_date(written: list[Path]) -> None:
    svgs = [path for path in written if path.suffix == ".svg"]
    assert {path.stem for path in svgs} == PLOTS
    for path in svgs:
        assert ElementTree.parse(path).getroot().tag.endswith("svg")  # noqa: S314  # we wrote it ourselves
        assert "<dc:date>" not in path.read_text(encoding="utf-8")


def test_the_plots_are_small_and_the_same_each_time(folder: Path, written: list[Path]) -> None:
    before = {path: path.read_bytes() for path in written}
    sizes = [len(content) for path, content in before.items() if path.parent.name == "plots"]
    assert sum(sizes) < MOST_BYTES * len(PLOTS)
    assert {path: path.read_bytes() for path in write_report(folder)} == before


def test_a_run_without_samples_images_or_starts_is_reported_with_what_is_there(
    run: Run, write_folder: Write, with_trials: Change, tmp_path: Path
) -> None:
    strategies = {
        name: dataclasses.replace(result, image=None, startup=None, loops=())
        for name, result in run.strategies.items()
    }
    bare = dataclasses.replace(
        with_trials(samples=None, cpu_ms_per_request=None, latency_ms=LatencyMs(1.0, None, None)),
        strategies=strategies,
        ceilings=(),
        environment=Environment(),
        runtime="process",
    )
    folder = write_folder(bare, tmp_path / "run")
    files = write_report(folder)
    report = (folder / "report.md").read_text(encoding="utf-8")
    assert {path.stem for path in files if path.suffix == ".png"} == {"throughput", "resources"}
    assert "| onnx | n/a | n/a | n/a | n/a |" in report
    assert "| onnx | small | n/a | 184 (181" in report
    assert "local processes, not in containers" in report
    assert " 0.00" not in report


@pytest.mark.parametrize("changes", [{}, {"samples": None, "throughput_rps": None}])
def test_only_invalid_trials_give_a_report_that_says_so(
    changes: dict[str, object], write_folder: Write, with_trials: Change, tmp_path: Path
) -> None:
    spoilt = with_trials(**changes, valid=False, doubts=(doubt("Little's law off by 9%", "littles_law"),))
    folder = write_folder(spoilt, tmp_path / "run")
    files = write_report(folder)
    report = (folder / "report.md").read_text(encoding="utf-8")
    assert "**Invalid: none of 36 trials may be believed." in report
    assert "round 1, onnx, small (INVALID, left out): Little's law off by 9%" in report
    # how an invalid trial went is seen where its samples are known
    seen = {"startup", "image_size"} | (set() if "samples" in changes else {"timeline"})
    assert {path.stem for path in files if path.suffix == ".png"} == seen


def test_one_round_is_reported_without_a_bracket_and_drawn_without_whiskers(
    write_folder: Write, with_trials: Change, tmp_path: Path
) -> None:
    folder = write_folder(with_trials(lambda t: t.round == 1), tmp_path / "run")
    write_report(folder)
    report = (folder / "report.md").read_text(encoding="utf-8")
    assert "it proves nothing" in report
    assert "One round: no intervals." in report
    assert "\N{EN DASH}" not in report.split("## Startup")[0]
    times = "\N{MULTIPLICATION SIGN}"
    assert f"| onnx | small | 233 | 2.25{times} |" in report
    assert "ratio" not in report.split("## Throughput and latency")[1].split("\n## ")[0]


def test_a_failed_trial_is_a_line_with_its_error(run: Run, write_folder: Write, tmp_path: Path) -> None:
    first, *rest = run.trials
    failed = dataclasses.replace(
        first,
        valid=False,
        samples=None,
        throughput_rps=None,
        error=doubt("never ready: exit 1", "start_failed"),
    )
    spoilt = dataclasses.replace(run, trials=(failed, *rest))
    report = report_md.render(report_of(analyse(spoilt, write_folder(spoilt, tmp_path / "run"))))
    assert "- round 1, torch, small (INVALID, left out): never ready: exit 1" in report
    assert "| 5 of 6 |" in report


def test_a_plot_that_has_lost_its_data_is_removed(run: Run, write_folder: Write, tmp_path: Path) -> None:
    folder = write_folder(run, tmp_path / "run")
    (folder / "plots").mkdir()
    (folder / "plots" / "startup.png").write_bytes(b"an older report's")
    starts_unknown = {k: dataclasses.replace(v, startup=None) for k, v in run.strategies.items()}
    write_run(dataclasses.replace(run, strategies=starts_unknown), folder)
    write_report(folder)
    assert not (folder / "plots" / "startup.png").exists()
    assert (folder / "plots" / "throughput.png").exists()


def test_phases_follow_each_other_and_sum_to_the_median_start() -> None:
    found = Startup((4.0, 5.0, 6.0), {"ready_s": (3.0, 4.0, 5.0), "port_open_s": (1.0, 1.5, 2.0)}, "warm")
    assert phase_lengths_s(found) == {"port_open_s": 1.5, "ready_s": 2.5, "first_correct_answer_s": 1.0}


def test_a_folder_without_a_run_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"run\.json"):
        write_report(tmp_path)


def test_latency_takes_right_answers_within_the_window_only(run: Run, tmp_path: Path) -> None:
    second = 10**9
    done = np.array([1, 3, 4, 5, 21, 23]) * second
    table = pa.table(
        {
            "due_ns": done - second // 10,
            "done_ns": done,
            "outcome": ["ok", "ok", "wrong_answer", "timeout", "ok", "ok"],
        }
    )
    pq.write_table(table, tmp_path / "samples.parquet")
    trial = dataclasses.replace(run.trials[0], warmup_s=2.0, window_s=20.0)
    found = read_responses(tmp_path / "samples.parquet")
    assert answer_times_ms(found, trial).tolist() == [100.0, 100.0]


def test_a_curve_ends_where_its_samples_support_no_interval(run: Run, folder: Path) -> None:
    for curve in curves(analyse(run, folder).latencies).values():
        assert curve.n * np.log(curve.quantiles[-1]) <= np.log(0.025) + 1e-6
        assert np.all(np.diff(curve.latency_ms) >= 0)
        assert not np.isnan(curve.latency_ms).any()
        assert np.isnan(curve.highest_ms[-1]), "one round alone cannot reach as far as all of them"
        reached = ~np.isnan(curve.lowest_ms)
        assert np.all(curve.lowest_ms[reached] <= curve.highest_ms[reached])
