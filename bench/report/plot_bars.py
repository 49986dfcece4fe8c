"""Bars per strategy, grouped by case: throughput, CPU and memory. Bars start at 0; points are rounds."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from bench.analysis.run_analysis import RunAnalysis
from bench.analysis.summary import Summary
from bench.report import style, text
from bench.report.plot_words import counted, interval

GROUP_WIDTH = 0.8
WIDEST_BAR = 0.3
BAR_INCHES = 0.48
WIDEST_BESIDE = 7.0


def throughput(analysis: RunAnalysis) -> Figure | None:
    """Requests per second with 95% intervals and the value of each round."""
    run, summary = analysis.run, analysis.summary
    if not _has(summary, "throughput"):
        return None
    width = max(6.4, _panel_width(summary))
    figure, (axes,) = style.new_figure(width, 4.2)
    _grouped_bars(axes, summary, "throughput")
    # what is offered in an open loop is what a service that keeps up answers
    closed = all(case.kind == "closed" for case in summary.focus)
    what = "more is better" if closed else f"offered: {summary.focus[0].load}"
    style.head(axes, f"Requests answered per second ({what})", width - 1)
    axes.set_ylabel("requests/s")
    style.footer(figure, run, _facts(summary, "bars: geometric mean; whiskers: 95% t-interval on the logs"))
    return figure


def resources(analysis: RunAnalysis) -> Figure | None:
    """CPU per request and peak memory, one panel each."""
    run, summary = analysis.run, analysis.summary
    panels = {
        "cpu": ("CPU per request (less is better)", "CPU-ms", 1.0),
        "memory": ("Peak memory (less is better)", "MiB", 1 / text.MIB),
    }
    known = {name: panel for name, panel in panels.items() if _has(summary, name)}
    if not known:
        return None
    width = max(4.6, _panel_width(summary))
    columns = len(known) if width <= WIDEST_BESIDE else 1
    rows = len(known) // columns
    figure, all_axes = style.new_figure(max(5.2, width * columns), 4.2 * rows, rows, columns)
    for axes, (name, (title, unit, scale)) in zip(all_axes, known.items(), strict=True):
        _grouped_bars(axes, summary, name, scale)
        style.head(axes, title, width - 1)
        axes.set_ylabel(unit)
    bars = "CPU: geometric mean, 95% t-interval on the logs; memory: median, 95% order-statistic interval"
    style.footer(figure, run, _facts(summary, bars))
    return figure


def _has(summary: Summary, metric: str) -> bool:
    return any(
        row.estimates[metric] is not None for row in summary.rows.values() if row.case in summary.focus
    )


def _grouped_bars(axes: Any, summary: Summary, metric: str, scale: float = 1.0) -> None:
    looks = style.looks(summary.strategies)
    width = min(WIDEST_BAR, GROUP_WIDTH / len(summary.strategies))
    for place, name in enumerate(summary.strategies):
        look = looks[name]
        for group, case in enumerate(summary.focus):
            x = group + (place - (len(summary.strategies) - 1) / 2) * width
            row = summary.rows.get((name, case))
            found = row.estimates[metric] if row else None
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
            tops = [*ends, *row.rounds[metric].values()]
            _points(axes, x, width, row.rounds[metric], scale, look.marker)
            note = {"xytext": (0, 6), "textcoords": "offset points", "ha": "center", "fontsize": 9}
            axes.annotate(text.number(height), (x, max(tops) * scale), **note)
    axes.set_xticks(range(len(summary.focus)), [summary.case_label(case) for case in summary.focus])
    axes.set_xlabel("payloads")
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


def _panel_width(summary: Summary) -> float:
    """Inches that give each bar room for its figure."""
    return 1.0 + BAR_INCHES * len(summary.focus) * (len(summary.strategies) + 1)


def _facts(summary: Summary, marks: str) -> str:
    n = counted(summary, summary.focus)
    return f"{n}; points: rounds" if summary.one_round else f"{n}; {marks}; points: rounds"
