"""What the pictures say: marks, labels and small print, read from the figures before they are painted."""

import dataclasses
import os
import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.collections import LineCollection
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text

from bench.analysis.metrics import METRICS
from bench.analysis.run_analysis import RunAnalysis, analyse
from bench.analysis.timelines import timeline
from bench.errors import UsageError
from bench.model import BatchFigures, LatencyMs, OpenLoad, Run, ServerFigures, StageFigures, Trial, Variant
from bench.report import plots
from bench.report.plots import style, throughput
from bench.report.plots.labels import place_labels
from bench.report.plots.pareto import Point, frontier
from bench.statistics import Estimate
from tests.report.full_run import BOUND_MS, full

pytestmark = pytest.mark.slow

Write = Callable[[Run, Path], Path]
STAGES = {"wait": 1.0, "decode": 2.0, "queue": 30.0, "infer": 12.0}
BATCH = 4.0


def told(run: Run) -> Run:
    """The run with what services tell of their stages, of which torch tells nothing, and with variants."""
    stages = {stage: StageFigures(ms, 100) for stage, ms in STAGES.items()}
    figures = ServerFigures(stages, BatchFigures(BATCH, {"4.0": 25}))
    trials = tuple(
        dataclasses.replace(trial, server=None if trial.strategy == "torch" else figures)
        for trial in run.trials
    )
    strategies = {
        name: dataclasses.replace(one, variant=Variant("torch", {"MAX_BATCH": size}))
        for (name, one), size in zip(run.strategies.items(), ("1", "32", "8"), strict=True)
    }
    return dataclasses.replace(run, trials=trials, strategies=strategies)


@pytest.fixture(scope="module")
def everything(run: Run, write_folder: Write, tmp_path_factory: pytest.TempPathFactory) -> RunAnalysis:
    whole = told(full(run))
    return analyse(whole, write_folder(whole, tmp_path_factory.mktemp("results") / "everything"))


def without_samples(run: Run, keep: Callable[[Trial], bool] = lambda _: True) -> RunAnalysis:
    """The analysis of some of a run's trials, from whose samples nothing is read."""
    trials = tuple(trial for trial in run.trials if keep(trial))
    return analyse(dataclasses.replace(run, trials=trials), Path("nowhere"))


@pytest.fixture(scope="module")
def figures(everything: RunAnalysis) -> dict[str, Any]:
    return {name: drawn(name, everything) for name in plots.PLOTS}


def drawn(name: str, analysis: RunAnalysis) -> Any:
    with style.settings():
        figure = plots.PLOTS[name].draw(analysis)
    assert figure is not None
    return figure


def words(figure: Any) -> str:
    """All that is written in a figure, its small print last."""
    found = [one.get_text() for axes in figure.axes for one in axes.texts]
    found += [axes.get_title(loc="left") for axes in figure.axes]
    found += [one.get_text() for axes in figure.axes if axes.get_legend() for one in axes.get_legend().texts]
    return "\n".join([*found, *(one.get_text() for one in figure.texts), figure.get_supxlabel()])


def small_print(figure: Any) -> str:
    return str(figure.get_supxlabel()).replace("\n", " ")


def test_every_plot_says_n_the_interval_and_the_machine(figures: dict[str, Any]) -> None:
    for name in plots.PLOTS:
        said = small_print(figures[name])
        assert re.search(r"\bn = \d", said), name
        assert "interval" in said or "span of the rounds" in said, name
        assert "on Example CPU @ 2.00GHz, 2 cores, 8 GiB of memory" in said, name


def test_every_scale_of_figures_names_its_unit(figures: dict[str, Any]) -> None:
    unit = re.compile(
        r"\bms\b|CPU-ms|seconds|MiB|requests/s|per second|answers/s|items|percentile|offered|clients"
    )
    for name, figure in figures.items():
        for axes in figure.axes:
            across, up = axes.get_xlabel(), axes.get_ylabel()
            assert unit.search(across) or unit.search(up), name


def test_bars_begin_at_nothing(figures: dict[str, Any]) -> None:
    for name in ("throughput", "resources"):
        assert all(axes.get_ylim()[0] == 0 for axes in figures[name].axes), name
    for name in ("stages", "startup", "image_size"):
        assert all(axes.get_xlim()[0] == 0 for axes in figures[name].axes), name


def test_a_metric_that_names_its_picture_gets_a_panel_of_bars(
    everything: RunAnalysis, monkeypatch: pytest.MonkeyPatch
) -> None:
    p95 = dataclasses.replace(METRICS["p95"], picture="resources", title="The slow twentieth")
    monkeypatch.setitem(METRICS, "p95", p95)
    figure = drawn("resources", everything)
    assert len(figure.axes) == 3
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    panel = figure.axes[titles.index("The slow twentieth (less is better)")]
    assert panel.get_ylabel() == "ms"
    estimate = everything.summary.rows["torch", everything.summary.focus[0]].estimates["p95"]
    assert estimate is not None
    assert panel.patches[0].get_height() == pytest.approx(estimate.centre)
    assert "p95 ms: torch, small, 50 clients: " in plots.PLOTS["resources"].describe(everything)
    assert "p95: median, 95% order-statistic interval" in small_print(figure)


def test_neighbouring_strategies_differ_in_more_than_hue() -> None:
    def luminance(colour: str) -> float:
        channels = [(int(colour[place : place + 2], 16) / 255) ** 2.2 for place in (1, 3, 5)]
        return float(np.dot(channels, (0.2126, 0.7152, 0.0722)))

    looks = style.LOOKS
    for part in ("hatch", "marker", "line", "colour"):
        assert len({str(getattr(look, part)) for look in looks}) == len(looks), part
    for one, other in pairwise(looks):
        assert abs(luminance(one.colour) - luminance(other.colour)) > 0.05
    # a line on white needs some contrast
    assert all(1.05 / (luminance(look.colour) + 0.05) > 2 for look in looks)


def point(name: str, rate: float, p99: float) -> Point:
    return Point(name, name, Estimate(rate, None, None, 6), Estimate(p99, None, None, 6))


def test_the_frontier_keeps_what_no_other_dominates() -> None:
    found = [point("a", 100, 50), point("b", 200, 80), point("c", 150, 90), point("d", 200, 70)]
    assert [one.strategy for one in frontier(found)] == ["a", "d"]
    aside = dataclasses.replace(found[3], set_aside="overloaded")
    assert [one.strategy for one in frontier([*found[:3], aside])] == ["a", "b"]
    assert frontier([aside]) == []


def test_a_rate_that_was_refused_or_is_invalid_is_crossed_and_no_choice(everything: RunAnalysis) -> None:
    def at_a_rate(trial: Trial) -> bool:
        load = trial.load
        return isinstance(load, OpenLoad) and load.share is None and load.arrivals == "poisson"

    kept = [t for t in everything.run.trials if t.strategy == "onnx" and at_a_rate(t)]
    least, *_, most = sorted({t.load.rate_per_s for t in kept})
    trials = tuple(
        dataclasses.replace(
            t,
            refused=7 if t.load.rate_per_s == most and t.round == 1 else 0,
            valid=not (t.load.rate_per_s == least and t.round == 2),
            samples=None,
        )
        for t in kept
    )
    figure = drawn("pareto", analyse(dataclasses.replace(everything.run, trials=trials), Path("nowhere")))
    said = [one.get_text() for one in figure.axes[0].texts]
    assert f"{most:g}/s (overloaded)" in said
    assert f"{least:g}/s (1 of 6 invalid)" in said
    crosses = [line for line in figure.axes[0].lines if line.get_marker() == "x"]
    assert len(crosses) == 2
    assert "no choice" in small_print(figure)
    faces = {
        line.get_xdata()[0]: line.get_markerfacecolor()
        for line in figure.axes[0].lines
        if line.get_marker() == "s"
    }
    assert all(to_hex(faces[line.get_xdata()[0]]) == "#ffffff" for line in crosses)


def test_strategies_that_are_known_look_the_same_whatever_the_run() -> None:
    together = style.looks(["torch", "onnx", "batched"])
    assert style.looks(["batched"])["batched"] == together["batched"]
    assert style.looks(["mosec", "other", "onnx"])["onnx"] == together["onnx"]


def test_any_number_of_strategies_is_told_apart() -> None:
    for names in (["a", "b", "onnx"], [f"s{number}" for number in range(9)], [*"abcdefgh", *style.KNOWN]):
        found = style.looks(names)
        assert list(found) == names
        assert len({*found.values()}) == len(names)
        assert len({(look.colour, look.marker) for look in found.values()}) == len(names)


def test_parts_of_a_bar_are_no_strategy_and_differ_in_grey() -> None:
    assert not {colour for colour, _ in style.PARTS} & {look.colour for look in style.LOOKS}
    greys = [np.dot(to_rgb(colour), (0.299, 0.587, 0.114)) for colour, _ in style.PARTS]
    assert all(abs(one - other) > 0.08 for one, other in pairwise(greys))


def test_two_rounds_have_no_whiskers_and_say_why(everything: RunAnalysis) -> None:
    figures = {}
    for rounds in (2, 3, 6):
        some = without_samples(everything.run, lambda t, most=rounds: t.round <= most)
        names = ("throughput", "resources", "load", "batching", "sweep")
        figures[rounds] = {name: drawn(name, some) for name in names}
    for name, two in figures[2].items():
        # a median's interval takes six
        enough = figures[6 if name == "batching" else 3][name]
        assert not any(whiskers(axes) for axes in two.axes)
        assert any(whiskers(axes) for axes in enough.axes)
        assert "(intervals take three)" in small_print(two) or "from six rounds" in small_print(two)


def whiskers(axes: Any) -> list[Any]:
    """What stands for intervals: error bars, and upright lines through points."""
    bars = [one for one in axes.containers if getattr(one, "has_yerr", False)]
    return bars + [one for one in axes.collections if isinstance(one, LineCollection)]


def test_an_interval_of_a_wait_is_above_nothing_and_whole_in_the_panel(everything: RunAnalysis) -> None:
    waits = (1.0, 2.0, 4.0, 900.0, 1.5, 2.5)
    trials = []
    for trial in everything.run.trials:
        server = trial.server
        if server is not None:
            stages = {**server.stages, "queue": StageFigures(waits[trial.round - 1], 100)}
            server = dataclasses.replace(server, stages=stages)
        trials.append(dataclasses.replace(trial, server=server))
    queue = drawn(
        "batching", without_samples(dataclasses.replace(everything.run, trials=tuple(trials)))
    ).axes[1]
    ends = [y for bars in whiskers(queue) for line in bars.get_segments() for y in line[:, 1]]
    low, high = queue.get_ylim()
    assert ends
    assert min(ends) > 0
    assert low <= min(ends) < max(ends) <= high


def test_dominated_strategies_are_hollow_and_say_so(figures: dict[str, Any]) -> None:
    figure = figures["pareto"]
    small = figure.axes[0]
    assert {one.get_text() for one in small.texts} == {"torch (dominated)", "onnx", "batched (dominated)"}
    faces = [to_hex(line.get_markerfacecolor()) for line in small.lines if line.get_marker() in "os^"]
    assert sorted(face == "#ffffff" for face in faces) == [False, True, True]
    whiskers = [(bars.has_xerr, bars.has_yerr) for bars in small.containers]
    assert whiskers == [(True, True), (True, False), (True, True)], "onnx has five rounds: too few for p99"


def test_one_strategy_under_one_load_is_no_choice_to_draw(everything: RunAnalysis) -> None:
    alone = without_samples(everything.run, lambda t: t.strategy == "onnx" and t.load.name == "c50")
    assert plots.PLOTS["pareto"].draw(alone) is None


def test_with_rates_alone_each_point_is_named_by_its_rate(everything: RunAnalysis) -> None:
    def at_a_rate(trial: Trial) -> bool:
        load = trial.load
        if trial.strategy != "onnx" or not isinstance(load, OpenLoad):
            return False
        return load.arrivals == "poisson" and load.share is None

    only = without_samples(everything.run, at_a_rate)
    said = words(drawn("pareto", only))
    assert "20/s" in said
    assert "90/s" in said


def test_labels_of_points_side_by_side_do_not_cover_each_other() -> None:
    figure = Figure(figsize=(5, 4))
    axes = figure.subplots()
    near = [(1.0, 1.0), (1.02, 1.01), (0.98, 0.99), (1.01, 0.98)]
    axes.set(xlim=(0, 2), ylim=(0, 2))
    place_labels(axes, near, ["onnx", "batched", "torch", "a rather long name"])
    figure.draw_without_rendering()
    boxes = [Text.get_window_extent(one) for one in axes.texts]  # without the line that ties it to its point
    assert not any(one.overlaps(other) for place, one in enumerate(boxes) for other in boxes[:place])
    assert all(axes.bbox.contains(*corner) for box in boxes for corner in box.corners())


def test_an_objective_is_a_line_at_its_bound_over_the_open_loads_alone(figures: dict[str, Any]) -> None:
    figure = figures["load"]
    limits = [
        [line for line in axes.lines if str(line.get_label()).startswith("objective")] for axes in figure.axes
    ]
    closed, opened = limits[1], limits[3]
    assert closed == [], "a full service's latency is not what an objective is about"
    assert [set(line.get_ydata()) for line in opened] == [{BOUND_MS}]
    assert "goodput, within 100 ms" in words(figure)


def test_goodput_falls_below_throughput_where_answers_are_late(figures: dict[str, Any]) -> None:
    axes = figures["load"].axes[2]
    lines = [line for line in axes.lines if line.get_marker() == "o"]
    answered = next(line for line in lines if line.get_label() == "torch")
    good = next(line for line in lines if line is not answered)
    assert good.get_ydata()[-1] < 0.9 * answered.get_ydata()[-1]
    assert good.get_ydata()[0] == pytest.approx(answered.get_ydata()[0], rel=0.05)


def test_a_run_without_objectives_has_the_curve_without_a_mark(everything: RunAnalysis) -> None:
    plain = without_samples(dataclasses.replace(everything.run, objectives=()))
    assert "objective" not in words(drawn("load", plain))
    assert plots.PLOTS["objectives"].draw(plain) is None


def test_rates_at_which_an_objective_did_not_hold_are_hollow(
    everything: RunAnalysis, figures: dict[str, Any]
) -> None:
    left, right = figures["objectives"].axes
    marks = [line for line in right.lines if len(line.get_xdata()) == 1 and line.get_marker() == "s"]
    held = [line.get_xdata()[0] for line in marks if to_hex(line.get_markerfacecolor()) != "#ffffff"]
    onnx = next(one for one in everything.run.objectives if one.strategy == "onnx")
    assert held == [probe.rate_per_s for probe in onnx.probes if probe.held]
    assert any(set(line.get_ydata()) == {BOUND_MS} for line in left.lines)
    assert "onnx 180" in words(figures["objectives"])


def test_work_of_a_batch_is_shared_by_its_items_and_waiting_left_out(figures: dict[str, Any]) -> None:
    whole, work = figures["stages"].axes
    ends = [one.get_text() for one in whole.texts], [one.get_text() for one in work.texts]
    assert ends[0][:3] == ["n/a", "45.0 ms", "45.0 ms"], "torch tells nothing"
    assert ends[1][:3] == ["n/a", "5.00 ms", "5.00 ms"], "2 ms and a quarter of 12"


def test_batches_and_queue_stand_over_the_loads_of_those_who_tell(figures: dict[str, Any]) -> None:
    figure = figures["batching"]
    assert {line.get_label() for line in figure.axes[0].lines} == {"onnx", "batched"}
    assert figure.axes[0].lines[0].get_ydata() == pytest.approx(BATCH)
    assert figure.axes[1].lines[0].get_ydata() == pytest.approx(STAGES["queue"])
    assert "n/a: torch" in small_print(figure)


def test_packages_add_up_to_the_image(everything: RunAnalysis, figures: dict[str, Any]) -> None:
    torch = everything.run.strategies["torch"].image
    assert torch is not None
    lengths = [bar.get_width() for bar in figures["image_size"].axes[1].patches if round(bar.get_y()) == 0]
    assert sum(lengths) == pytest.approx(torch.unpacked_bytes / 1024**2)


def test_a_strategy_without_image_or_starts_keeps_its_row(everything: RunAnalysis) -> None:
    strategies = dict(everything.run.strategies)
    strategies["onnx"] = dataclasses.replace(strategies["onnx"], image=None, startup=None, warm_startup=None)
    changed = without_samples(
        dataclasses.replace(everything.run, strategies=strategies), lambda t: t.round == 1
    )
    for name in ("image_size", "startup"):
        for axes in drawn(name, changed).axes:
            assert "onnx" in [tick.get_text() for tick in axes.get_yticklabels()]
            assert [one.get_text() for one in axes.texts].count("n/a") == 1


def test_a_missing_figure_is_no_bar_and_named_in_the_small_print(everything: RunAnalysis) -> None:
    trials = tuple(
        dataclasses.replace(t, latency_ms=LatencyMs(None, None, None), throughput_rps=None, samples=None)
        if t.strategy == "torch"
        else t
        for t in everything.run.trials
    )
    changed = without_samples(dataclasses.replace(everything.run, trials=trials))
    assert [one.get_text() for one in drawn("throughput", changed).axes[0].texts].count("n/a") == 2
    assert "n/a: torch" in small_print(drawn("pareto", changed))
    assert "n/a: torch" in small_print(drawn("load", changed))


def test_a_timeline_counts_right_answers_in_bins_around_the_window(run: Run) -> None:
    trial = dataclasses.replace(run.trials[0], warmup_s=2.0, window_s=4.0)
    # ten a second for nine and a half seconds, of 100 ms, but 300 ms in the window's first second
    done = np.arange(0.05, 9.5, 0.1)
    took = np.where((done >= 2.0) & (done < 3.0), 300.0, 100.0)
    found = timeline(trial, (done * 1e9).astype(np.int64), took)
    assert found.bin_s == 1.0
    assert found.middle_s[0] == -1.5
    inside = (found.middle_s > 0) & (found.middle_s < 4)
    assert found.answered_per_s[inside].tolist() == [10.0] * 4
    assert found.median_ms[inside].tolist() == [300.0, *[100.0] * 3]
    assert found.middle_s[-1] == 4.5, "of the drain no more than a share of the window"
    early = timeline(trial, (done[done < 6.5] * 1e9).astype(np.int64), took[done < 6.5])
    assert early.middle_s[-1] == 3.5, "half a bin of answers is no fall in their rate"


def test_a_bin_without_answers_has_none_and_no_response_time(run: Run) -> None:
    trial = dataclasses.replace(run.trials[0], warmup_s=0.0, window_s=2.0)
    found = timeline(trial, np.array([100_000_000], dtype=np.int64), np.array([50.0]))
    assert found.answered_per_s.tolist() == [1.0, 0.0]
    assert found.median_ms[0] == 50.0
    assert np.isnan(found.median_ms[1:]).all()
    none = timeline(trial, np.array([], dtype=np.int64), np.array([]))
    assert none.answered_per_s.tolist() == [0.0] * 2


def test_an_invalid_trial_is_broken_and_its_number_told(figures: dict[str, Any]) -> None:
    figure = figures["timeline"]
    broken = [line for axes in figure.axes for line in axes.lines if line.get_linestyle() == "--"]
    assert len(broken) == 2, "one trial's answers and its response times"
    assert "n = 36 trials in 6 rounds, 1 of them invalid" in small_print(figure)


def test_processes_draw_the_same_bytes_as_one_does(everything: RunAnalysis, tmp_path: Path) -> None:
    one_round = without_samples(everything.run, lambda t: t.round == 1 and t.payload_class == "seed")
    alone = {path: path.read_bytes() for path in plots.write_plots(one_round, tmp_path, 1)}
    together = {path: path.read_bytes() for path in plots.write_plots(one_round, tmp_path, 2)}
    assert len(alone) > 8
    assert list(alone) == list(together)
    assert alone == together


def test_a_killed_process_costs_time_and_no_picture(
    everything: RunAnalysis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = os.getpid()

    def dies(analysis: RunAnalysis) -> Figure | None:
        if os.getpid() != ours:
            os._exit(9)
        return throughput.PLOT.draw(analysis)

    fatal = dataclasses.replace(throughput.PLOT, draw=dies)
    monkeypatch.setattr(plots, "PLOTS", {"throughput": fatal})
    assert [path.name for path in plots.write_plots(everything, tmp_path, 2)] == [
        "throughput.png",
        "throughput.svg",
    ]


def test_samples_that_cannot_be_read_are_named_with_a_remedy(
    run: Run, write_folder: Write, tmp_path: Path
) -> None:
    one: Any = dataclasses.replace(run, trials=run.trials[:1])
    folder = write_folder(one, tmp_path / "run")
    file = folder / str(run.trials[0].samples)
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(UsageError, match=rf"{file.name} .* cannot be read .*remove it"):
        analyse(one, folder)
