"""Stacked bars: a start from outside, with a cold and a warm model cache, and inside the service."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from bench.model import Run, Startup
from bench.report import style, text
from bench.report.material import Material
from bench.report.starts import every_start, middle
from bench.statistics import median

WIDTH = 8.0
BAR_INCHES = 0.75
LAST_PHASE = text.phase_name("first_correct_answer")


@dataclass(frozen=True, slots=True)
class Bar:
    """One strategy's starts with one state of the model cache."""

    strategy: str
    label: str
    found: Startup


def startup(material: Material) -> Figure | None:
    """From the create call to the first correct answer: medians of the phases, each start a point."""
    run = material.run
    bars = _bars(run)
    if not bars:
        return None
    inside = [bar for bar in bars if any(bar.found.inside.values())]
    panels = [1.3 + BAR_INCHES * len(group) for group in (bars, inside) if group]
    figure, axes = style.new_figure(WIDTH, 0.6 + sum(panels), len(panels), heights=panels)
    _outside_panel(axes[0], run, bars)
    if inside:
        _inside_panel(axes[1], inside)
    n = sorted({len(bar.found.first_correct_answer_s) for bar in bars})
    style.footer(
        figure,
        run,
        f"n = {' or '.join(map(str, n))} fresh starts; stacked: median ends of the phases; "
        "line: median total (95% interval by order statistics, from 6 starts); points: starts"
        + ("; inside: medians as the service times itself" if inside else "")
        + ("; cold and warm: the model cache" if len({bar.found.model_cache for bar in bars}) > 1 else ""),
    )
    return figure


def _bars(run: Run) -> list[Bar]:
    """A bar a strategy and state of its model cache, which is named where the run has both."""
    known = [(name, found) for name, found in every_start(run) if found and found.first_correct_answer_s]
    several = len({found.model_cache for _, found in known}) > 1
    return [Bar(name, f"{name}, {found.model_cache}" if several else name, found) for name, found in known]


def _outside_panel(axes: Any, run: Run, bars: Sequence[Bar]) -> None:
    stacks = [phase_lengths_s(bar.found) for bar in bars]
    phases = list(dict.fromkeys(phase for stack in stacks for phase in stack))
    marks = style.looks(list(run.strategies))
    for place, (bar, stack) in enumerate(zip(bars, stacks, strict=True)):
        _stack_of_phases(
            axes, place, {f"to {phase}": s for phase, s in stack.items()}, _colours(phases, "to ")
        )
        _starts(axes, place, bar.found, marks[bar.strategy].marker)
    _finish(axes, bars, "seconds since the create call")
    style.head(axes, "Start to the first correct answer (less is better)", WIDTH - 1)


def _inside_panel(axes: Any, bars: Sequence[Bar]) -> None:
    """The phases that the services time themselves, one after the other."""
    phases = list(dict.fromkeys(phase for bar in bars for phase in bar.found.inside))
    names = [text.phase_name(phase) for phase in phases]
    for place, bar in enumerate(bars):
        medians = {text.phase_name(phase): middle(values) for phase, values in bar.found.inside.items()}
        stack = {phase: length for phase, length in medians.items() if length is not None}
        _stack_of_phases(axes, place, stack, _colours(names))
        note = {"xytext": (8, 0), "textcoords": "offset points", "va": "center", "fontsize": 9}
        axes.annotate(f"{text.number(sum(stack.values()))} s", (sum(stack.values()), place), **note)
    _finish(axes, bars, "seconds inside the service")
    style.head(axes, "Where the service spends its start (less is better)", WIDTH - 1)


def _finish(axes: Any, bars: Sequence[Bar], label: str) -> None:
    axes.set_yticks(range(len(bars)), [bar.label for bar in bars])
    axes.invert_yaxis()
    axes.set_xlabel(label)
    axes.margins(x=0.04)
    # the figures stand right of the bars
    axes.set_xlim(0, 1.18 * axes.get_xlim()[1])
    axes.grid(visible=False, axis="y")


def _colours(phases: Sequence[str], before: str = "") -> dict[str, tuple[str, str]]:
    return {f"{before}{phase}": style.PHASES[place % len(style.PHASES)] for place, phase in enumerate(phases)}


def phase_lengths_s(found: Startup) -> dict[str, float]:
    """How long each phase took, from the medians of the moments at which they ended, in order of time."""
    total = median(found.first_correct_answer_s)
    moments = {phase: median(values) for phase, values in found.phases.items()}
    ends = sorted((end.centre, text.phase_name(phase)) for phase, end in moments.items() if end is not None)
    lengths: dict[str, float] = {}
    before = 0.0
    for end, phase in [*ends, (total.centre if total else 0.0, LAST_PHASE)]:
        if end > before:
            lengths[phase] = lengths.get(phase, 0.0) + end - before
            before = end
    return lengths


def _stack_of_phases(
    axes: Any, place: int, stack: Mapping[str, float], colours: Mapping[str, tuple[str, str]]
) -> None:
    left = 0.0
    known = axes.get_legend_handles_labels()[1]
    for phase, length in stack.items():
        colour, hatch = colours[phase]
        axes.barh(
            place,
            length,
            0.56,
            left=left,
            color=colour,
            hatch=hatch,
            edgecolor=style.INK,
            linewidth=0.6,
            label="" if phase in known else phase,
        )
        left += length


def _starts(axes: Any, place: int, found: Startup, marker: str) -> None:
    totals = sorted(found.first_correct_answer_s)
    total = median(totals)
    offsets = np.linspace(-0.2, 0.2, len(totals)) if len(totals) > 1 else np.zeros(1)
    axes.scatter(
        totals,
        place + offsets,
        s=16,
        marker=marker,
        facecolor="white",
        edgecolor=style.INK,
        linewidth=0.8,
        zorder=3,
    )
    if total is not None:
        axes.plot([total.centre] * 2, [place - 0.34, place + 0.34], color=style.INK, linewidth=2.2)
        note = {"xytext": (8, 0), "textcoords": "offset points", "va": "center", "fontsize": 9}
        axes.annotate(f"{text.estimate(total)} s", (totals[-1], place), **note)
