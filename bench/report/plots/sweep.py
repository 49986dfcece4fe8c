"""Variants of a strategy along the setting that makes them: what is answered, and how late."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from bench.analysis.cases import Case
from bench.analysis.run_analysis import RunAnalysis
from bench.analysis.summary import Row, Summary
from bench.analysis.sweeps import Sweep, equal_load, sweeps
from bench.report import text
from bench.report.plots import colours, style
from bench.report.plots.over_load import PANEL_INCHES, curve, pen
from bench.report.plots.plot import Plot, counted, listed
from bench.report.quality_words import after_name
from bench.statistics import Estimate

# nearer to each other on an axis the values' labels would touch
LEAST_GAP = 0.09
# so many characters of labels fit below a panel side by side; a label has so many at most
FITTING, LONGEST = 34, 24
# what several values begin or end with is left out if it is longer than this
COMMON = 4
ELLIPSIS = "\N{HORIZONTAL ELLIPSIS}"


@dataclass(frozen=True, slots=True)
class ValueAxis:
    """Where the values of a sweep stand, and how the axis says so."""

    places: tuple[float, ...]
    label: str


def draw(analysis: RunAnalysis) -> Figure | None:
    """Two panels for each sweep and class of payloads: requests/s, and p50 and p99."""
    summary = analysis.summary
    rows = [(sweep, case) for sweep in sweeps(analysis.run) for case in summary.focus]
    rows = [(sweep, case) for sweep, case in rows if _any(summary, sweep, case)]
    if not rows:
        return None
    figure, axes = style.new_figure(2 * PANEL_INCHES * len(rows), 2 * len(rows))
    for place, (sweep, case) in enumerate(rows):
        above, below = axes[2 * place : 2 * place + 2]
        late = equal_load(summary, case)
        answered = _lines(above, summary, sweep, case, "throughput")
        above.set_ylabel("requests/s")
        above.set_ylim(bottom=0)
        waited = _latency(below, summary, sweep, late)
        # what a setting makes of a strategy promises what the strategy does
        of = f"{sweep.of}{after_name(summary, sweep.names[0])}, {summary.payload_label(case)} payloads"
        style.head(above, f"Requests answered, {of}", answered)
        style.head(below, f"Latency, {of}, {late.load}", waited)
        for panel in (above, below):
            _value_axis(panel, sweep)
    style.footer(
        figure,
        analysis.run,
        f"{counted(summary, summary.focus)}; throughput: geometric mean of rounds, latency: median; "
        "whiskers: 95% interval over rounds, of throughput from three of them, of latency from six; "
        "hollow: no interval is known",
    )
    return figure


def describe(analysis: RunAnalysis) -> str:
    """The requests/s of each variant in the cases that stand for the run."""
    summary = analysis.summary
    clauses = [
        f"{sweep.of}, {summary.payload_label(case)}{label and f', {label}'}: " + ", ".join(told)
        for sweep in sweeps(analysis.run)
        for case in summary.focus
        for label, line in sweep.lines.items()
        if (told := _told(summary, sweep, case, line))
    ]
    return f"requests answered and latency over the values of a setting. Requests/s of {listed(clauses)}"


PLOT = Plot("sweep", "Variants", draw, describe, cost=8)


def axis_of(sweep: Sweep) -> ValueAxis:
    """To scale if the labels have room so, else on a log scale, else evenly spaced, in the values' order."""
    numbers = sweep.numbers
    if numbers is not None and _gap(numbers) >= LEAST_GAP:
        return ValueAxis(numbers, sweep.setting)
    if numbers is not None and numbers[0] > 0:
        logs = tuple(map(math.log2, numbers))
        if _gap(logs) >= LEAST_GAP:
            return ValueAxis(logs, f"{sweep.setting} (log)")
    even = tuple(map(float, range(len(sweep.values))))
    return ValueAxis(even, sweep.setting if numbers is None else f"{sweep.setting} (not to scale)")


def _gap(places: Sequence[float]) -> float:
    """The least distance of neighbours as a share of the whole axis."""
    whole = places[-1] - places[0]
    return min(b - a for a, b in itertools.pairwise(places)) / whole if whole > 0 else 0.0


def _value_axis(axes: Any, sweep: Sweep) -> None:
    axis = axis_of(sweep)
    room = 0.08 * (axis.places[-1] - axis.places[0])
    axes.set_xlim(axis.places[0] - room, axis.places[-1] + room)
    axes.xaxis.set_minor_locator(NullLocator())
    labels = value_labels(sweep.values)
    aslant = {"rotation": 30, "ha": "right"} if sum(map(len, labels)) > FITTING else {}
    axes.set_xticks(axis.places, labels, **aslant)
    axes.set_xlabel(axis.label)


def value_labels(values: Sequence[str]) -> list[str]:
    """The values as they fit below a panel: long ones without what all of them begin and end with."""
    if all(len(value) <= LONGEST // 2 for value in values):
        return list(values)
    begin = _common(values)
    rest = [value[begin:] for value in values]
    end = _common([value[::-1] for value in rest])
    bare = [value[: len(value) - end] for value in rest]
    return [_cut(f"{ELLIPSIS if begin else ''}{value}{ELLIPSIS if end else ''}") for value in bare]


def _common(values: Sequence[str]) -> int:
    """With how many characters all values begin; 0 if that is not worth leaving out."""
    alike = itertools.takewhile(lambda letters: len(set(letters)) == 1, zip(*values, strict=False))
    found = sum(1 for _ in alike)
    return found if found > COMMON else 0


def _cut(label: str) -> str:
    """The label with its middle left out if it is too long."""
    half = LONGEST // 2
    return label if len(label) <= LONGEST else f"{label[:half]}{ELLIPSIS}{label[1 - half :]}"


def _any(summary: Summary, sweep: Sweep, case: Case) -> bool:
    return any(_row_figure(summary, name, case, "throughput") for name in sweep.names)


def _row_figure(summary: Summary, name: str, case: Case, metric: str) -> Estimate | None:
    row: Row | None = summary.rows.get((name, case))
    return row.estimates[metric] if row else None


def _lines(
    axes: Any, summary: Summary, sweep: Sweep, case: Case, metric: str, *, second: bool = False
) -> list[Any]:
    """Draw a line for each combination of the other settings; return what its legend shows."""
    places = dict(zip(sweep.values, axis_of(sweep).places, strict=True))
    for (label, line), look in zip(sweep.lines.items(), _looks(sweep), strict=True):
        points = [
            (places[value], found)
            for value in sweep.values
            if value in line and (found := _row_figure(summary, line[value], case, metric)) is not None
        ]
        if points:
            curve(axes, points, look, _cut(label), second=second)
    return list(axes.get_legend_handles_labels()[0]) if len(sweep.lines) > 1 else []


def _latency(axes: Any, summary: Summary, sweep: Sweep, case: Case) -> list[Any]:
    handles = _lines(axes, summary, sweep, case, "p99")
    _lines(axes, summary, sweep, case, "p50", second=True)
    axes.set_ylabel("ms from due to done (log)")
    style.log_axis(axes.yaxis)
    mark = style.Look(colours.INK, "", "o", "-")
    return [
        *handles,
        Line2D([], [], **pen(mark), label="p99"),
        Line2D([], [], **pen(mark, second=True), label="p50"),
    ]


def _looks(sweep: Sweep) -> list[style.Look]:
    few = len(sweep.lines) <= len(style.LOOKS)
    return list(style.LOOKS[: len(sweep.lines)] if few else style.looks(list(sweep.lines)).values())


def _told(summary: Summary, sweep: Sweep, case: Case, line: Any) -> list[str]:
    found = (
        (value, _row_figure(summary, line[value], case, "throughput"))
        for value in sweep.values
        if value in line
    )
    return [f"{sweep.setting}={value} {text.estimate(one)}" for value, one in found if one is not None]
