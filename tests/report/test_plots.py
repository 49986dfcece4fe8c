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
from matplotlib.colors import to_hex
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.patches import StepPatch
from matplotlib.text import Text

from bench.analysis.metrics import METRICS
from bench.analysis.run_analysis import RunAnalysis, analyse
from bench.analysis.timelines import timeline
from bench.errors import UsageError
from bench.model import BatchFigures, LatencyMs, OpenLoad, Run, ServerFigures, StageFigures, Trial, Variant
from bench.report import plots
from bench.report.plots import colours, style, throughput
from bench.report.plots.labels import place_labels
from bench.report.plots.pareto import Point, frontier
from bench.statistics import Estimate
from tests.report.contrast import contrast
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
    """Every picture; that of rates alone is of the run's rates."""
    rates = without_samples(everything.run, at_a_rate)
    return {name: drawn(name, rates if name == "pareto" else everything) for name in plots.PLOTS}


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
        for axes in (one for one in figure.axes if one.axison):
            across, up = axes.get_xlabel(), axes.get_ylabel()
            assert unit.search(across) or unit.search(up), name


def test_bars_begin_at_nothing(figures: dict[str, Any]) -> None:
    for name in ("throughput", "resources", "stages", "startup", "image_size"):
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
    assert panel.get_xlabel() == "ms"
    estimate = everything.summary.rows["torch", everything.summary.focus[0]].estimates["p95"]
    assert estimate is not None
    assert panel.patches[0].get_width() == pytest.approx(estimate.centre)
    assert "p95 ms: torch, small, 50 clients: " in plots.PLOTS["resources"].describe(everything)
    assert "p95: median, 95% order-statistic interval" in small_print(figure)


def test_every_line_of_a_vector_picture_is_seen_on_dark_paper_too(
    everything: RunAnalysis, tmp_path: Path
) -> None:
    dark = {light.lower(): other for light, other in colours.DARK.items()}
    faint = {colours.EDGE.lower(), *(dark[one.lower()].lower() for one in (colours.GRID, colours.OUTSIDE))}
    for name in ("load", "stages", "timeline"):
        svg = next(
            path for path in plots._draw(everything, tmp_path, name) if path.suffix == ".svg"
        ).read_text()
        style_, _, body = svg.partition("</style>")
        assert "@media (prefers-color-scheme:dark)" in style_
        drawn_ = {*re.findall(r"stroke: (#[0-9a-f]{6})", body)}
        assert colours.INK in drawn_
        for colour in drawn_:
            shown = dark.get(colour, colour).lower()
            assert shown in faint or contrast(shown, colours.DARK[colours.PAPER]) > 3, (name, colour)
        rules = dict(re.findall(r'\[style\*="fill: (#[0-9a-f]{6})"\][^{]*\{fill:(#[0-9a-f]{6})', style_))
        assert rules == {light.lower(): other.lower() for light, other in colours.DARK.items()}


PHONE_PIXELS = 332


def test_a_picture_on_a_phone_has_a_panel_a_row_and_letters_of_nine_pixels(figures: dict[str, Any]) -> None:
    for name, figure in figures.items():
        pixels_a_point = PHONE_PIXELS / (72 * figure.get_figwidth())
        for one in figure.findobj(Text):
            if one.get_visible() and one.get_text():
                assert one.get_fontsize() * pixels_a_point >= 9, (name, one.get_text())
        spans = sorted((axes.get_position().y0, axes.get_position().y1) for axes in figure.axes)
        assert all(above[0] >= below[1] for below, above in pairwise(spans)), f"{name}: panels side by side"


def written(figure: Any) -> list[tuple[Text, Any]]:
    """Each text that is drawn, with the box around it in dots."""
    found = [figure._supxlabel, *figure.texts]
    for axes in figure.axes:
        found += [*axes.texts, axes._left_title, axes.xaxis.label, axes.yaxis.label]
        found += axes.get_legend().texts if axes.get_legend() else []
        found += [tick.label1 for axis in (axes.xaxis, axes.yaxis) for tick in axis._update_ticks()]
    return [(one, Text.get_window_extent(one)) for one in found if one.get_visible() and one.get_text()]


def test_nothing_that_is_written_is_cut_off_or_lies_on_a_title(figures: dict[str, Any]) -> None:
    for name, figure in figures.items():
        figure.draw_without_rendering()
        boxes = written(figure)
        assert len(boxes) > 10
        for one, box in boxes:
            inside = figure.bbox.x0 - 1 <= box.x0, box.x1 <= figure.bbox.x1 + 1
            assert all(inside), (name, one.get_text())
            assert figure.bbox.y0 - 1 <= box.y0 < box.y1 <= figure.bbox.y1 + 1, (name, one.get_text())
        heads = {axes._left_title for axes in figure.axes} | {figure._supxlabel}
        for one, box in boxes:
            for other, around in boxes:
                if one in heads and other is not one:
                    assert not box.overlaps(around), (name, one.get_text(), other.get_text())


def test_a_legend_is_read_by_rows_in_the_order_of_what_is_drawn() -> None:
    with style.settings():
        figure, (axes,) = style.new_figure(2.0)
        names = ["torch", "onnx", "batched", "unbatched", "mosec", "litserve", "a-name-of-some-length"]
        for number, name in enumerate(names):
            axes.plot([0, 1], [0, number], label=name)
        style.head(axes, "Requests")
        figure.draw_without_rendering()
    found = [(one.get_text(), one.get_window_extent()) for one in axes.get_legend().texts]
    assert len({round(box.y0) for _, box in found}) > 1, "more rows than one"
    assert len({round(box.x0) for _, box in found}) > 1, "more columns than one"
    assert [name for name, _ in sorted(found, key=lambda pair: (-round(pair[1].y0), pair[1].x0))] == names


def test_a_tenth_more_is_no_cliff_on_a_log_axis(figures: dict[str, Any]) -> None:
    with style.settings():
        _, (axes,) = style.new_figure(2.0)
        axes.plot([0, 1], [100, 110])
        style.log_axis(axes.yaxis)
    low, high = axes.get_ylim()
    assert low < 100 < 110 < high
    assert np.log(110 / 100) / np.log(high / low) < 0.05
    assert len([tick for tick in axes.get_yticks() if low <= tick <= high]) > 2
    for name, figure in figures.items():
        for panel in figure.axes:
            for scale, (least, most) in (
                (panel.get_xscale(), panel.get_xlim()),
                (panel.get_yscale(), panel.get_ylim()),
            ):
                # clients double, from as few as there were
                assert scale == "linear" or most >= 9.99 * least or "clients" in panel.get_xlabel(), name


def test_a_bar_whose_interval_is_not_known_is_open_and_the_small_print_says_so(
    everything: RunAnalysis,
) -> None:
    figure = drawn("resources", everything)
    memory = figure.axes[1]
    faces = [to_hex(bar.get_facecolor()) for bar in memory.patches]
    assert [face == "#ffffff" for face in faces] == [False, True, False, False, False, False], (
        "onnx has five rounds with small payloads: too few for a median's interval"
    )
    assert "open bars: no interval is known" in small_print(figure)
    assert "open bars" not in small_print(drawn("throughput", everything))


def test_marks_whose_interval_is_not_known_are_hollow(everything: RunAnalysis) -> None:
    def faces(most: int) -> set[str]:
        some = without_samples(everything.run, lambda t: t.round <= most)
        lines = drawn("load", some).axes[0].lines
        return {to_hex(one.get_markerfacecolor()) for one in lines if one.get_linestyle() == "None"}

    assert faces(6) == set()
    assert faces(2) == {"#ffffff"}


def test_a_histogram_has_all_answers_of_the_valid_rounds_and_above_them_their_p50_and_p99(
    everything: RunAnalysis, figures: dict[str, Any]
) -> None:
    figure, case = figures["histogram"], everything.summary.focus[0]
    above, panel = figure.axes[:2]
    assert panel.get_xscale() == "log"
    steps = [one for one in panel.patches if isinstance(one, StepPatch)]
    assert len(steps) == 3
    assert [np.nansum(one.get_data().values) for one in steps] == pytest.approx([100.0] * 3)
    assert not any(one.get_fill() for one in steps), "what lies below another line is seen"
    together = [np.concatenate(everything.latencies[name, case]) for name in everything.summary.strategies]
    (middle,) = [line.get_xdata()[0] for line in above.lines if line.get_marker() == "o"]
    assert np.mean(together[0] <= middle) == pytest.approx(0.5, abs=0.001)
    tails = [line.get_xdata()[0] for line in above.lines if line.get_marker() == "|"]
    beyond = [np.mean(times > tail) for times, tail in zip(together, tails, strict=True)]
    assert beyond == pytest.approx([0.01] * 3, abs=0.001), "of the answers that are drawn"
    assert above.get_xlim() == panel.get_xlim()
    assert above.get_position().y0 > panel.get_position().y1, "no mark stands at a height that is a figure"
    legend = [one.get_text() for one in above.get_legend().texts]
    assert sorted(legend) == ["batched", "mark: p50, line end: p99", "onnx", "torch"]
    assert "p99: of the same answers" in small_print(figure)
    assert plots.PLOTS["histogram"].draw(without_samples(everything.run)) is None


def point(name: str, rate: float, p99: float) -> Point:
    return Point(name, name, Estimate(rate, None, None, 6), Estimate(p99, None, None, 6))


def test_the_frontier_keeps_what_no_other_dominates() -> None:
    found = [point("a", 100, 50), point("b", 200, 80), point("c", 150, 90), point("d", 200, 70)]
    assert [one.strategy for one in frontier(found)] == ["a", "d"]
    aside = dataclasses.replace(found[3], set_aside="overloaded")
    assert [one.strategy for one in frontier([*found[:3], aside])] == ["a", "b"]
    assert frontier([aside]) == []


def test_a_rate_that_was_refused_or_is_invalid_is_crossed_and_no_choice(everything: RunAnalysis) -> None:
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


def test_a_rate_with_too_few_answers_for_a_p99_is_named_and_one_reason_is_in_the_legend_alone(
    everything: RunAnalysis,
) -> None:
    kept = [t for t in everything.run.trials if t.strategy == "onnx" and at_a_rate(t)]
    least, *_, most = sorted({t.load.rate_per_s for t in kept})
    trials = tuple(
        dataclasses.replace(
            t,
            refused=7 if t.load.rate_per_s == most and t.round == 1 else 0,
            latency_ms=LatencyMs(20.0, None, None) if t.load.rate_per_s == least else t.latency_ms,
            samples=None,
        )
        for t in kept
    )
    figure = drawn("pareto", analyse(dataclasses.replace(everything.run, trials=trials), Path("nowhere")))
    said = [one.get_text() for one in figure.axes[0].texts]
    assert f"{most:g}/s" in said
    assert not any("overloaded" in one for one in said)
    assert "overloaded" in [one.get_text() for one in figure.axes[0].get_legend().texts]
    assert f"too few answers for a p99: {least:g}/s" in small_print(figure)


def test_no_label_lies_on_the_line() -> None:
    figure = Figure(figsize=(5, 4))
    axes = figure.subplots()
    axes.set(xlim=(0, 2), ylim=(0, 2))
    line = [(1.4, 0.0), (1.4, 2.0)]
    place_labels(axes, [(1.5, 1.0)], ["340/s at last"], line)
    figure.draw_without_rendering()
    upright = axes.transData.transform(line)[0][0]
    boxes = [Text.get_window_extent(one) for one in axes.texts]
    assert not any(box.x0 < upright < box.x1 for box in boxes)


def test_where_all_answer_what_was_offered_no_panel_shows_a_diagonal(everything: RunAnalysis) -> None:
    plain = dataclasses.replace(everything.run, objectives=())

    def panels(answered: float) -> tuple[int, str]:
        """How many panels there are, if every service answers this part of what is offered."""
        trials = tuple(
            dataclasses.replace(
                t, throughput_rps=answered * t.load.rate_per_s, refused=0, samples=None, valid=True, doubts=()
            )
            for t in plain.trials
            if at_a_rate(t)
        )
        figure = drawn("load", analyse(dataclasses.replace(plain, trials=trials), Path("nowhere")))
        return len(figure.axes), small_print(figure)

    assert [panels(answered)[0] for answered in (1.0, 0.99, 0.9)] == [1, 1, 2]
    assert "all answered what was offered, within 2%" in panels(1.0)[1]
    assert "within 2%" not in panels(0.9)[1]


def test_every_mark_of_the_latency_curve_stands_at_a_tick(figures: dict[str, Any]) -> None:
    (panel, *_) = figures["latency"].axes
    for line in panel.lines:
        marked = [line.get_xdata()[place] for place in line.get_markevery() or ()]
        assert marked
        assert all(np.isclose(panel.get_xticks(), one).any() for one in marked)


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
    bars = [one for one in axes.containers if isinstance(one, ErrorbarContainer)]
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


def at_a_rate(trial: Trial) -> bool:
    load = trial.load
    return isinstance(load, OpenLoad) and load.share is None and load.arrivals == "poisson"


def test_a_closed_loop_has_no_picture_of_throughput_against_p99(everything: RunAnalysis) -> None:
    """Its p99 follows from its throughput and its clients: each point would lie on one curve."""
    assert plots.PLOTS["pareto"].draw(everything) is None
    closed = without_samples(everything.run, lambda t: not isinstance(t.load, OpenLoad))
    assert plots.PLOTS["pareto"].draw(closed) is None


def test_a_point_whose_interval_is_not_known_is_hollow_and_the_legend_says_so(
    everything: RunAnalysis,
) -> None:
    def drawn_from(most: int) -> tuple[dict[str, str], str]:
        """The faces of the points, by their marks, with onnx in so many rounds and all others in six."""
        kept = without_samples(
            everything.run, lambda t: at_a_rate(t) and (t.strategy != "onnx" or t.round <= most)
        )
        figure = drawn("pareto", kept)
        marks = [line for line in figure.axes[0].lines if line.get_marker() in "os^"]
        return {line.get_marker(): to_hex(line.get_markerfacecolor()) for line in marks}, words(figure)

    faces, said = drawn_from(6)
    assert "#ffffff" not in faces.values()
    assert "an interval not known" not in said
    faces, said = drawn_from(5)
    assert {mark for mark, face in faces.items() if face == "#ffffff"} == {"s"}, "a p99 takes six rounds"
    assert "an interval not known" in said


def test_one_strategy_under_one_load_is_no_choice_to_draw(everything: RunAnalysis) -> None:
    alone = without_samples(everything.run, lambda t: t.strategy == "onnx" and t.load.name == "c50")
    assert plots.PLOTS["pareto"].draw(alone) is None
    assert (
        plots.PLOTS["throughput"].draw(without_samples(alone.run, lambda t: t.payload_class == "seed"))
        is None
    )


def test_with_rates_alone_each_point_is_named_by_its_rate(everything: RunAnalysis) -> None:
    only = without_samples(everything.run, lambda t: t.strategy == "onnx" and at_a_rate(t))
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
    # points lie along a diagonal, and a rate's name on the side of it that is free
    sides = {one.get_text().split()[0]: one.get_va() for one in right.texts}
    assert sides == {"torch": "top", "onnx": "bottom"}


def test_the_highest_mark_over_uptime_is_whole(figures: dict[str, Any]) -> None:
    for axes in figures["uptime"].axes:
        most = max(float(np.nanmax(line.get_ydata())) for line in axes.lines)
        assert axes.get_ylim()[0] == 0
        assert axes.get_ylim()[1] > 1.05 * most


def test_work_of_a_batch_is_shared_by_its_items_and_waiting_left_out(figures: dict[str, Any]) -> None:
    whole, work, _ = figures["stages"].axes
    ends = [one.get_text() for one in whole.texts]
    assert ends[:3] == ["n/a", "45.0 ms", "45.0 ms"], "torch tells nothing"
    # 2 ms, a quarter of 12, and beyond that the rest of the CPU time, if there is more
    assert lengths(work, 1) == pytest.approx([2, 3]), "onnx has 4.3 CPU-ms a request: its stages are more"
    assert lengths(work, 2) == pytest.approx([2, 3, 2.22], abs=0.01), "batched has 7.2"


def test_the_response_time_of_one_client_is_its_stages_and_what_none_of_them_times(
    everything: RunAnalysis, figures: dict[str, Any]
) -> None:
    alone = figures["stages"].axes[2]
    (case,) = [one for one in everything.summary.cases if (one.kind, one.size) == ("closed", 1)]
    for place, name in enumerate(("onnx", "batched")):
        rate = everything.summary.rows[name, case].estimates["throughput"]
        assert rate is not None
        whole = 1000 / rate.centre
        drawn = lengths(alone, place)
        if whole > sum(STAGES.values()):
            assert sum(drawn) == pytest.approx(whole)
        else:
            assert drawn == pytest.approx(list(STAGES.values())), "stages that take longer leave nothing over"
    assert "of one client the response time that no stage times" in small_print(figures["stages"])


def lengths(axes: Any, place: int) -> list[float]:
    """The lengths of the parts of a bar."""
    return [bar.get_width() for bar in axes.patches if round(bar.get_y() + bar.get_height() / 2) == place]


def test_batches_and_queue_stand_over_the_loads_of_those_who_tell(figures: dict[str, Any]) -> None:
    figure = figures["batching"]
    assert {one.get_text() for one in figure.axes[0].get_legend().texts} == {"onnx", "batched"}
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
    rates = without_samples(changed.run, at_a_rate)
    assert "n/a: torch" in small_print(drawn("pareto", rates))
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
