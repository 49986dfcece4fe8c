"""Stacked bars: a start from outside, with a cold and a warm model cache, and inside the service."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure

from bench.analysis.run_analysis import RunAnalysis
from bench.analysis.starts import phase_lengths_s, starts
from bench.analysis.summary import Summary
from bench.model import Run, Startup
from bench.report import text
from bench.report.plots import colours, style
from bench.report.plots.plot import Plot, interval, listed, tick
from bench.statistics import median

BAR_INCHES, AXIS_INCHES = 0.42, 0.5
BAR = 0.66
NOTE: Any = {**style.BESIDE, "xytext": (8, 0)}


@dataclass(frozen=True, slots=True)
class Bar:
    """One strategy's starts with one state of the model cache; None if no start is known."""

    strategy: str
    label: str
    found: Startup | None
    inside_s: Mapping[str, float | None]


def draw(analysis: RunAnalysis) -> Figure | None:
    """From the create call to the first correct answer: medians of the phases, each start a point."""
    run = analysis.run
    bars = _bars(run, analysis.summary)
    known = [bar.found for bar in bars if bar.found is not None]
    if not known:
        return None
    inside = any(any(found.inside.values()) for found in known)
    panels = 2 if inside else 1
    figure, axes = style.new_figure(panels * (AXIS_INCHES + BAR_INCHES * len(bars)), panels)
    _outside_panel(axes[0], bars)
    if inside:
        _inside_panel(axes[1], bars)
    n = sorted({len(found.first_correct_answer_s) for found in known})
    style.footer(
        figure,
        run,
        f"n = {' or '.join(map(str, n))} fresh starts; stacked: median ends of the phases; "
        "line: median total; whiskers: its 95% interval by order statistics, from 6 starts; points: starts"
        + ("; inside: medians as the service times itself" if inside else "")
        + ("; cold and warm: the model cache" if len({found.model_cache for found in known}) > 1 else ""),
    )
    return figure


def describe(analysis: RunAnalysis) -> str:
    """How long each strategy takes to start, by the state of its model cache."""
    clauses = []
    for one in starts(analysis.run):
        if one.startup is not None and one.first_answer_s is not None:
            total = text.number(one.first_answer_s.centre)
            clauses.append(f"{one.strategy} {total} s with a {one.startup.model_cache} model cache")
    return f"phases of a start, stacked, up to the first correct answer. {listed(clauses)}"


PLOT = Plot("startup", "Startup", draw, describe, cost=5)


def _bars(run: Run, summary: Summary) -> list[Bar]:
    """A bar for each strategy and state of its model cache; labels name the state if the run has both."""
    known = [(one, one.startup if one.first_answer_s else None) for one in starts(run)]
    several = len({startup.model_cache for _, startup in known if startup}) > 1
    return [
        Bar(
            one.strategy,
            tick(
                summary,
                one.strategy,
                f"{one.strategy}, {startup.model_cache}" if several and startup else one.strategy,
            ),
            startup,
            one.inside_s if startup else {},
        )
        for one, startup in known
    ]


def _outside_panel(axes: Any, bars: Sequence[Bar]) -> None:
    stacks = [_worded(phase_lengths_s(bar.found)) if bar.found else {} for bar in bars]
    phases = list(dict.fromkeys(phase for stack in stacks for phase in stack))
    for place, (bar, stack) in enumerate(zip(bars, stacks, strict=True)):
        style.stack(axes, place, BAR, _parts(stack, phases, "to "))
        if bar.found is None:
            axes.annotate(text.MISSING, (0, place), **NOTE)
        else:
            _starts(axes, place, bar.found)
    _name(axes, bars, "seconds since the create call", 1.25)
    _head(axes, "Start to the first correct answer (less is better)", bars)


def _inside_panel(axes: Any, bars: Sequence[Bar]) -> None:
    """The phases that the services time themselves, one after the other."""
    inside = [bar.inside_s for bar in bars]
    phases = list(dict.fromkeys(phase for found in inside for phase in found))
    names = [text.phase_name(phase) for phase in phases]
    for place, found in enumerate(inside):
        stack = _worded({phase: length for phase, length in found.items() if length is not None})
        end = style.stack(axes, place, BAR, _parts(stack, names))
        axes.annotate(f"{text.number(end)} s" if stack else text.MISSING, (end, place), **NOTE)
    _name(axes, bars, "seconds inside the service", 1.25)
    _head(axes, "Where the service spends its start (less is better)", bars)


def _head(axes: Any, title: str, bars: Sequence[Bar]) -> None:
    style.head(axes, title, None, style.beside([bar.label for bar in bars]))


def _name(axes: Any, bars: Sequence[Bar], unit: str, room: float) -> None:
    axes.margins(x=0.04)
    # the figures stand right of the bars
    names = [bar.label for bar in bars]
    style.name_bars(axes, range(len(names)), names, unit, room * axes.get_xlim()[1])


def _worded(lengths: Mapping[str, float]) -> dict[str, float]:
    return {text.phase_name(phase): length for phase, length in lengths.items()}


def _parts(stack: Mapping[str, float], phases: Sequence[str], before: str = "") -> list[style.Part]:
    """The parts of a bar; a phase has the same colour in each bar."""
    looks = {phase: style.PARTS[place % len(style.PARTS)] for place, phase in enumerate(phases)}
    return [style.Part(f"{before}{phase}", length, *looks[phase]) for phase, length in stack.items()]


def _starts(axes: Any, place: int, found: Startup) -> None:
    totals = sorted(found.first_correct_answer_s)
    total = median(totals)
    style.dots(axes, totals, place + style.spread(len(totals), -0.2, 0.2))
    if total is not None:
        axes.plot([total.centre] * 2, [place - 0.34, place + 0.34], color=colours.INK, linewidth=2.2)
        ends = interval(total)
        if ends:
            span = [[total.centre - ends[0]], [ends[1] - total.centre]]
            axes.errorbar(total.centre, place + 0.24, xerr=span, color=colours.INK, capsize=3.5)
        axes.annotate(f"{text.number(total.centre)} s", (totals[-1], place), **NOTE)
