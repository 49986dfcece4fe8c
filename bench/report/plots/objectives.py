"""A search for an objective: latency and goodput at each rate tried, and where the objective held."""

from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bench.analysis.run_analysis import RunAnalysis
from bench.analysis.summary import Summary
from bench.model import Probe, SloResult, objective_label
from bench.report import text
from bench.report.plots import colours, style
from bench.report.plots.plot import Plot, listed
from bench.report.quality_words import named

PANEL_INCHES = 2.9
Key = tuple[str, str, float, float]


def draw(analysis: RunAnalysis) -> Figure | None:
    """Two panels for each objective and class of payloads; each mark is a trial."""
    run = analysis.run
    groups: dict[Key, list[SloResult]] = {}
    for one in run.objectives:
        if one.probes:
            key = one.payload_class, one.encoding, one.quantile, one.bound_ms
            groups.setdefault(key, []).append(one)
    if not groups:
        return None
    figure, axes = style.new_figure(2 * PANEL_INCHES * len(groups), 2 * len(groups))
    summary = analysis.summary
    several = len({key[1] for key in groups}) > 1
    for place, (key, results) in enumerate(groups.items()):
        of = f"{key[0]}, {key[1]}" if several else f"{key[0]} payloads"
        above, below = axes[2 * place : 2 * place + 2]
        style.head(above, f"p{100 * key[2]:g} at each rate, {of}", _latency(above, summary, results))
        style.head(below, f"Goodput, {of}", _goodput(below, summary, results))
        for panel in (above, below):
            panel.set_xlim(left=0)
            panel.set_xlabel("offered, requests/s")
    trials = sum(len(one.probes) for results in groups.values() for one in results)
    rounds = len({probe.round for one in run.objectives for probe in one.probes})
    style.footer(
        figure,
        run,
        f"n = {text.plural(trials, 'trial')} in {text.plural(rounds, 'round')}, a mark each, no interval; "
        "the line is through their means. Goodput: right answers within the bound. Upright line: the highest "
        "rate at which the objective held",
    )
    return figure


def describe(analysis: RunAnalysis) -> str:
    """Up to which rate each strategy held its objective."""
    run = analysis.run
    clauses = [
        f"{named(analysis.summary, one.strategy)}, {text.searched_payloads(run, one)}, "
        f"{objective_label(one.quantile, one.bound_ms)} {_held(one)}"
        for one in run.objectives
    ]
    return f"latency and goodput at each rate that was tried. {listed(clauses)}"


def _held(one: SloResult) -> str:
    if one.rate_per_s is not None:
        return f"held up to {text.number(one.rate_per_s)} requests/s"
    return "not held" if one.known else "not known"


PLOT = Plot("objectives", "Service objectives", draw, describe)


def _latency(axes: Any, summary: Summary, results: Sequence[SloResult]) -> list[Any]:
    handles = []
    for one in results:
        known = [(probe, probe.quantile_ms) for probe in one.probes if probe.quantile_ms is not None]
        handles.append(_draw(axes, summary, one, known))
    bound = results[0].bound_ms
    words = f"objective: {objective_label(results[0].quantile, bound)}"
    limit = axes.axhline(bound, **style.LIMIT, label=words)
    style.log_axis(axes.yaxis)
    axes.set_ylabel("ms from due to done (log)")
    return [*handles, limit]


def _goodput(axes: Any, summary: Summary, results: Sequence[SloResult]) -> list[Any]:
    looks = style.looks(summary.strategies)
    most = max(probe.rate_per_s for one in results for probe in one.probes)
    for one in results:
        _draw(axes, summary, one, [(probe, probe.goodput_rps) for probe in one.probes])
        if one.rate_per_s is not None:
            # the points lie along a diagonal: above it at low rates there is room, and below it at high ones
            y, side = (0.98, "top") if one.rate_per_s < most / 2 else (0.02, "bottom")
            axes.axvline(one.rate_per_s, color=looks[one.strategy].colour, linewidth=1.0, linestyle=":")
            words = f"{named(summary, one.strategy)} {text.number(one.rate_per_s)}"
            place = {"transform": axes.get_xaxis_transform(), "rotation": 90, "ha": "right", "va": side}
            axes.text(one.rate_per_s, y, words, fontsize=style.SMALL, **place)
    (line,) = axes.plot([0, most], [0, most], linewidth=1.2, **style.OFFERED)
    axes.set_ylim(bottom=0)
    axes.set_ylabel("goodput, requests/s")
    return [*_states(results), line]


def _draw(axes: Any, summary: Summary, one: SloResult, known: Sequence[tuple[Probe, float]]) -> Line2D:
    """A mark for each trial: filled if the objective held, hollow if not, a cross if that is not known."""
    look = style.looks(summary.strategies)[one.strategy]
    rates = sorted({probe.rate_per_s for probe, _ in known})
    means = [_mean([value for probe, value in known if probe.rate_per_s == rate]) for rate in rates]
    axes.plot(rates, means, color=look.colour, linestyle=look.line, linewidth=1.5)
    for probe, value in known:
        axes.plot(probe.rate_per_s, value, **_pen(look, probe))
    pen: Any = {
        "color": look.colour,
        "linestyle": look.line,
        "marker": look.marker,
        "markeredgecolor": colours.INK,
    }
    return Line2D([], [], **pen, label=named(summary, one.strategy))


def _pen(look: style.Look, probe: Probe) -> dict[str, Any]:
    if not probe.known:
        return {"marker": "x", "color": look.colour, "markersize": 7, "linestyle": "none"}
    return {
        "marker": look.marker,
        "markersize": 7,
        "linestyle": "none",
        "markerfacecolor": look.colour if probe.held else colours.PAPER,
        "markeredgecolor": colours.INK if probe.held else look.colour,
        "markeredgewidth": 0.9 if probe.held else 1.5,
    }


def _states(results: Sequence[SloResult]) -> list[Line2D]:
    """The legend of the marks, as far as they are drawn."""
    ink = style.Look(colours.INK, "", "o", "-")
    probes = [probe for one in results for probe in one.probes]
    states = {
        "held": next((p for p in probes if p.known and p.held), None),
        "did not hold": next((p for p in probes if p.known and not p.held), None),
        "not known": next((p for p in probes if not p.known), None),
    }
    return [Line2D([], [], **_pen(ink, probe), label=name) for name, probe in states.items() if probe]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
