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
from bench.report.plots import colours, style
from bench.report.plots.plot import Plot, absent, label
from bench.report.quality_words import after_name

ROW_INCHES, GAP_INCHES = 0.72, 0.3
LEFT_INCHES, RIGHT_INCHES = 0.72, 0.15
TITLE_INCHES, LEGEND_INCHES, AXIS_INCHES = 0.62, 0.52, 0.55


def draw(analysis: RunAnalysis) -> Figure | None:
    """Panels of right answers per second, below them of response times: each strategy and case in focus."""
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
        "of the answers that ended in the bin. Each panel has a scale of its own, from 0"
        + absent(summary, {name for name, _, _ in rows}),
    )
    looks = style.looks(summary.strategies)
    for place, (name, case, found) in enumerate(rows):
        title = f"{label(summary, name, case)}{after_name(summary, name)}"
        above, below = axes[place], axes[len(rows) + place]
        for one in found:
            _line(above, one, one.answered_per_s, looks[name])
            _line(below, one, one.median_ms, looks[name])
        for panel in (above, below):
            _frame(panel, trials, last=place == len(rows) - 1)
            panel.text(0.0, 1.04, title, transform=panel.transAxes, fontsize=9.5)
        above.set_ylabel("answers/s")
        below.set_ylabel("ms")
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
    """Two blocks of panels above the small print, placed by margins: a layout engine would take seconds."""
    figure = Figure(figsize=(style.WIDTH, 1.0), dpi=style.DPI)
    block = TITLE_INCHES + rows * (ROW_INCHES + GAP_INCHES) - GAP_INCHES + AXIS_INCHES
    # the small print stands a hundredth of the height above the lower edge
    height = (LEGEND_INCHES + 2 * block + style.footer(figure, run, facts)) / 0.99
    figure.set_figheight(height)
    width = style.WIDTH - LEFT_INCHES - RIGHT_INCHES
    axes = []
    for top in (LEGEND_INCHES, LEGEND_INCHES + block):
        for row in range(rows):
            bottom = height - top - TITLE_INCHES - ROW_INCHES - row * (ROW_INCHES + GAP_INCHES)
            place = (LEFT_INCHES / style.WIDTH, bottom / height, width / style.WIDTH, ROW_INCHES / height)
            axes.append(figure.add_axes(place))
    return figure, axes


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
        axes.plot(one.middle_s, values, color=look.colour, linewidth=1.0)
        return
    axes.plot(
        one.middle_s, values, color=colours.INK, linewidth=1.0, linestyle="--", marker="x", markersize=4
    )


def _frame(axes: Any, trials: Sequence[Timeline], *, last: bool) -> None:
    """Shade what is outside the window: outside the longest window if trials differ."""
    first = min(float(one.middle_s[0]) - one.bin_s / 2 for one in trials)
    window = max(one.window_s for one in trials)
    end = max(window, *(float(one.middle_s[-1]) + one.bin_s / 2 for one in trials))
    axes.axvspan(first, 0, color=colours.OUTSIDE, linewidth=0, zorder=0)
    axes.axvspan(window, end, color=colours.OUTSIDE, linewidth=0, zorder=0)
    axes.set_xlim(first, end)
    tops = [np.nanmax(line.get_ydata()) for line in axes.lines if np.isfinite(line.get_ydata()).any()]
    axes.set_ylim(0, 1.08 * max([*tops, 1e-3]))
    axes.locator_params(axis="y", nbins=3)
    axes.tick_params(labelsize=style.SMALL, labelbottom=last)
    if last:
        axes.set_xlabel("seconds since the window began")


def _head(figure: Figure, axes: Sequence[Any], at: str, invalid: bool) -> None:
    height = figure.get_figheight()
    titles = (f"Right answers per second{at}", f"Response time{at}")
    for panel, title in zip(axes[:: len(axes) // 2], titles, strict=True):
        above = panel.get_position().y1 + (TITLE_INCHES - 0.14) / height
        left = style.PAD_INCHES / style.WIDTH
        figure.text(left, above, title, fontsize=11, fontweight="bold", va="top")
    trial: Any = {"color": colours.INK, "linewidth": 1.0}
    marks: list[Any] = [Line2D([], [], label="one trial", **trial)]
    if invalid:
        marks.append(Line2D([], [], label="invalid trial", linestyle="--", marker="x", markersize=4, **trial))
    marks.append(Patch(color=colours.OUTSIDE, label="warm-up and drain, not counted"))
    where = (style.PAD_INCHES / style.WIDTH, 1 - style.PAD_INCHES / height)
    # two in the first row, the shade below
    by_rows = [*marks[0::2], *marks[1::2]] if invalid else marks
    figure.legend(handles=by_rows, loc="upper left", bbox_to_anchor=where, ncols=2, borderaxespad=0)
