"""Bars of a metric, grouped by case, a bar for each strategy. Bars start at 0; points are rounds."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from bench.analysis.metrics import Centre, Metric
from bench.analysis.summary import Summary
from bench.report import text
from bench.report.plots import style
from bench.report.plots.plot import counted, interval

GROUP_WIDTH = 0.8
WIDEST_BAR = 0.3
BAR_INCHES = 0.48
INTERVALS: Mapping[Centre, str] = {
    "geometric mean": "95% t-interval on the logs",
    "median": "95% order-statistic interval",
}


def has_figures(summary: Summary, metric: Metric) -> bool:
    """Whether the metric has a figure in any of the cases that stand for the run."""
    return any(
        row.estimates[metric.name] is not None for row in summary.rows.values() if row.case in summary.focus
    )


def grouped_bars(axes: Any, summary: Summary, metric: Metric) -> None:
    """A bar for each strategy and case, with its interval, its rounds as points and its figure above."""
    scale = metric.scale
    looks = style.looks(summary.strategies)
    width = min(WIDEST_BAR, GROUP_WIDTH / len(summary.strategies))
    for place, name in enumerate(summary.strategies):
        look = looks[name]
        for group, case in enumerate(summary.focus):
            x = group + (place - (len(summary.strategies) - 1) / 2) * width
            row = summary.rows.get((name, case))
            found = row.estimates[metric.name] if row else None
            label = name if group == 0 else None
            height = found.centre * scale if found else 0.0
            axes.bar(
                x, height, width * 0.92, color=look.colour, hatch=look.hatch, edgecolor=style.INK, label=label
            )
            if row is None or found is None:
                axes.text(x, 0, text.MISSING, ha="center", va="bottom", fontsize=8)
                continue
            ends = interval(found) or (found.centre, found.centre)
            if interval(found):
                span = [[height - ends[0] * scale], [ends[1] * scale - height]]
                axes.errorbar(x + 0.28 * width, height, span, color=style.INK, capsize=4, linewidth=1.4)
            tops = [*ends, *row.rounds[metric.name].values()]
            _points(axes, x, width, row.rounds[metric.name], scale, look.marker)
            note = {"xytext": (0, 6), "textcoords": "offset points", "ha": "center", "fontsize": 9}
            axes.annotate(text.number(height), (x, max(tops) * scale), **note)
    axes.set_xticks(range(len(summary.focus)), [summary.case_label(case) for case in summary.focus])
    axes.set_xlabel("payloads")
    axes.set_ylabel(metric.shown_unit)
    axes.set_xlim(-0.5, len(summary.focus) - 0.5)
    axes.margins(y=0.1)
    axes.set_ylim(bottom=0)
    axes.grid(visible=False, axis="x")


def _points(
    axes: Any, x: float, width: float, rounds: Mapping[int, float], scale: float, marker: str
) -> None:
    """One point a round in their order, left of the whisker."""
    offsets = np.linspace(-0.36, 0.08, len(rounds)) * width if len(rounds) > 1 else np.zeros(1)
    values = [value * scale for _, value in sorted(rounds.items())]
    axes.scatter(
        x + offsets,
        values,
        s=16,
        marker=marker,
        facecolor="white",
        edgecolor=style.INK,
        linewidth=0.8,
        zorder=3,
    )


def panel_width(summary: Summary) -> float:
    """Inches that give each bar room for its figure."""
    return 1.0 + BAR_INCHES * len(summary.focus) * (len(summary.strategies) + 1)


def facts(summary: Summary, marks: str) -> str:
    """How many rounds count and what the marks mean, for the small print."""
    n = counted(summary, summary.focus)
    return f"{n}; points: rounds" if summary.one_round else f"{n}; {marks}; points: rounds"
