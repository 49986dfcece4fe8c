"""How each trial went over its time: a trial that was not steady is seen at once."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from bench.analysis.run_analysis import RunAnalysis
from bench.analysis.timelines import Timeline
from bench.model import Run
from bench.report import text
from bench.report.plots import style
from bench.report.plots.plot import Plot, absent, label

WIDTH = 8.2
ROW_INCHES = 1.35
# if there are many rows, they are lower
MANY_ROWS, LOW_INCHES = 8, 0.95
LEFT_INCHES, MIDDLE_INCHES, RIGHT_INCHES = 0.75, 0.75, 0.2
HEAD_INCHES, GAP_INCHES, AXIS_INCHES = 0.85, 0.34, 0.62


def draw(analysis: RunAnalysis) -> Figure | None:
    """A row for each strategy and case in focus: right answers a second beside their response time."""
    run, summary = analysis.run, analysis.summary
    rows = [
        (name, case, found)
        for case in summary.focus
        for name in summary.strategies
        if (found := analysis.timelines.get((name, case)))
    ]
    if not rows:
        return None
    trials = [one for _, _, found in rows for one in found]
    figure, axes = _panels(
        len(rows),
        run,
        f"{_count(trials)}, a line each, in bins of {_bins(trials)} s, no interval; response time: median "
        "of the answers that ended in the bin. Each row has a scale of its own, from 0"
        + absent(summary, {name for name, _, _ in rows}),
    )
    looks = style.looks(summary.strategies)
    for place, (name, case, found) in enumerate(rows):
        pair = axes[2 * place : 2 * place + 2]
        for one in found:
            _line(pair[0], one, one.answered_per_s, looks[name])
            _line(pair[1], one, one.median_ms, looks[name])
        for panel in pair:
            _frame(panel, trials, last=place == len(rows) - 1)
            panel.text(0.0, 1.03, label(summary, name, case), transform=panel.transAxes, fontsize=9.5)
        pair[0].set_ylabel("answers/s")
        pair[1].set_ylabel("ms")
    at = f", {summary.focus[0].load}"
    _head(figure, axes, at, any(not one.valid for one in trials))
    return figure


def describe(analysis: RunAnalysis) -> str:
    """How many trials are drawn, and how many of them are invalid."""
    summary = analysis.summary
    trials = [
        trial for row in summary.rows.values() if row.case in summary.focus for trial in analysis.trials(row)
    ]
    invalid = text.plural(sum(not trial.valid for trial in trials), "invalid trial")
    shown = text.plural(len(trials), "trial")
    return f"answers per second and response time over the time of each of {shown}, {invalid} among them."


PLOT = Plot("timeline", "Over the time of each trial", draw, describe, cost=6)


def _panels(rows: int, run: Run, facts: str) -> tuple[Figure, list[Any]]:
    """Rows of two panels above the small print, placed by margins: a layout engine would take seconds."""
    row_inches = ROW_INCHES if rows < MANY_ROWS else LOW_INCHES
    figure = Figure(figsize=(WIDTH, 1.0), dpi=style.DPI)
    below = AXIS_INCHES + style.footer(figure, run, facts) + style.PAD_INCHES
    height = HEAD_INCHES + rows * row_inches + (rows - 1) * GAP_INCHES + below
    figure.set_figheight(height)
    axes = figure.subplots(rows, 2, squeeze=False, sharex="col")
    figure.subplots_adjust(
        left=LEFT_INCHES / WIDTH,
        right=1 - RIGHT_INCHES / WIDTH,
        top=1 - HEAD_INCHES / height,
        bottom=below / height,
        wspace=MIDDLE_INCHES / ((WIDTH - LEFT_INCHES - RIGHT_INCHES - MIDDLE_INCHES) / 2),
        hspace=GAP_INCHES / row_inches,
    )
    return figure, list(axes.flat)


def _count(trials: Sequence[Timeline]) -> str:
    invalid = sum(not one.valid for one in trials)
    rounds = text.plural(len({one.round for one in trials}), "round")
    said = f"n = {text.plural(len(trials), 'trial')} in {rounds}"
    return f"{said}, {invalid} of them invalid" if invalid else said


def _bins(trials: Sequence[Timeline]) -> str:
    widths = sorted({round(one.bin_s, 3) for one in trials})
    return f"{widths[0]:g}" if len(widths) == 1 else f"{widths[0]:g} to {widths[-1]:g}"


def _line(axes: Any, one: Timeline, values: Any, look: style.Look) -> None:
    """A valid trial in its strategy's colour, an invalid trial as a broken black line with crosses."""
    if one.valid:
        axes.plot(one.middle_s, values, color=look.colour, linewidth=1.0, alpha=0.8)
        return
    axes.plot(
        one.middle_s, values, color=style.INK, linewidth=1.0, linestyle="--", marker="x", markersize=3.5
    )


def _frame(axes: Any, trials: Sequence[Timeline], *, last: bool) -> None:
    """Shade what is outside the window: outside the longest window if trials differ."""
    first = min(float(one.middle_s[0]) - one.bin_s / 2 for one in trials)
    window = max(one.window_s for one in trials)
    end = max(window, *(float(one.middle_s[-1]) + one.bin_s / 2 for one in trials))
    axes.axvspan(first, 0, color=style.OUTSIDE, linewidth=0, zorder=0)
    axes.axvspan(window, end, color=style.OUTSIDE, linewidth=0, zorder=0)
    axes.set_xlim(first, end)
    tops = [np.nanmax(line.get_ydata()) for line in axes.lines if np.isfinite(line.get_ydata()).any()]
    axes.set_ylim(0, 1.08 * max([*tops, 1e-3]))
    axes.locator_params(axis="y", nbins=4)
    axes.tick_params(labelsize=8.5)
    if last:
        axes.set_xlabel("seconds since the window began")


def _head(figure: Figure, axes: Sequence[Any], at: str, invalid: bool) -> None:
    height = figure.get_figheight()
    for panel, title in zip(axes[:2], (f"Right answers a second{at}", f"Response time{at}"), strict=True):
        left = panel.get_position().x0
        figure.text(left, 1 - 0.12 / height, title, fontsize=11, fontweight="bold", va="top")
    trial: Any = {"color": style.INK, "linewidth": 1.0}
    marks: list[Any] = [Line2D([], [], label="one trial", **trial)]
    if invalid:
        marks.append(Line2D([], [], label="invalid trial", linestyle="--", marker="x", markersize=4, **trial))
    marks.append(Patch(color=style.OUTSIDE, label="warm-up and drain, not counted"))
    where = (axes[0].get_position().x0, 1 - 0.36 / height)
    figure.legend(handles=marks, loc="upper left", bbox_to_anchor=where, ncols=3, borderaxespad=0)
