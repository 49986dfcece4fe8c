"""Against the load that was offered: throughput, latency, and how the service batched and queued it."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from bench.model import Run
from bench.report import style
from bench.report.summary import Case, Row, Summary
from bench.statistics import Estimate

# An interval from two rounds is so wide that it hides what it is drawn around.
LEAST_ROUNDS = 3
PANEL_INCHES = (5.2, 4.2)
Points = list[tuple[float, Estimate]]


def load(run: Run, summary: Summary, _folder: Path) -> Figure | None:
    """Three panels a class of payloads, where it met two or more loads of one kind."""
    groups = _groups(summary)
    if not groups:
        return None
    width, height = PANEL_INCHES
    figure, axes = style.new_figure(3 * width, height * len(groups), len(groups), 3)
    for place, cases in enumerate(groups):
        panels = axes[3 * place : 3 * place + 3]
        of = f"{summary.payload_label(cases[0])} payloads"
        _throughput(panels[0], summary, cases, f"Requests answered, {of}")
        _latency(panels[1], summary, cases, f"Latency, {of}")
        _inside(panels[2], summary, cases, f"Batches and queue, {of}")
        for panel in panels:
            _load_axis(panel, cases)
    style.footer(
        figure,
        run,
        "throughput: geometric mean of the rounds; latency: median; batch size and queue delay: mean, as the "
        "services themselves count them; shaded: 95% interval over rounds, where there are rounds enough",
    )
    return figure


def _groups(summary: Summary) -> list[list[Case]]:
    """Cases that differ in nothing but how much load of one kind there was."""
    groups: dict[tuple[str, str, str], list[Case]] = {}
    for case in summary.cases:
        groups.setdefault((case.kind, case.payload_class, case.encoding), []).append(case)
    return [cases for cases in groups.values() if len(cases) > 1]


def _throughput(axes: Any, summary: Summary, cases: Sequence[Case], title: str) -> None:
    _lines(axes, summary, cases, lambda row: row.estimates["throughput"])
    if cases[0].kind == "open":
        offered = [case.size for case in cases]
        axes.plot(offered, offered, color=style.INK, linestyle=(0, (5, 3)), linewidth=1.2, label="offered")
    axes.set_ylabel("requests/s")
    axes.set_ylim(bottom=0)
    style.head(axes, title, PANEL_INCHES[0] - 1)


def _latency(axes: Any, summary: Summary, cases: Sequence[Case], title: str) -> None:
    _lines(axes, summary, cases, lambda row: row.estimates["p99"])
    _lines(axes, summary, cases, lambda row: row.estimates["p50"], filled=False)
    axes.set_ylabel("ms from due to done (log)")
    axes.set_yscale("log")
    style.plain_log_labels(axes)
    _head(axes, title, ("p99", "p50"))


def _inside(axes: Any, summary: Summary, cases: Sequence[Case], title: str) -> None:
    """Batch size on the left scale and queue delay on the right one."""
    right = axes.twinx()
    right.spines["right"].set_visible(True)
    right.grid(visible=False)
    _lines(axes, summary, cases, lambda row: row.estimates["batch"])
    _lines(right, summary, cases, lambda row: row.estimates["queue"], filled=False)
    axes.set_ylabel("items a batch, mean")
    right.set_ylabel("queue delay, ms, mean")
    for one in (axes, right):
        one.set_ylim(bottom=0)
    if not axes.lines and not right.lines:
        axes.text(0.5, 0.5, "n/a: no service tells of its batches", ha="center", transform=axes.transAxes)
    _head(axes, title, ("batch size (left)", "queue delay (right)"))


def _head(axes: Any, title: str, kinds: tuple[str, str]) -> None:
    """Say in the legend what a filled and a hollow mark are; the first panel's names the strategies."""
    marks: Any = {"color": style.INK, "marker": "o", "markersize": 6, "linewidth": 1.6}
    solid = Line2D([], [], label=kinds[0], **marks)
    hollow = Line2D([], [], label=kinds[1], markerfacecolor="white", linestyle=":", **marks)
    style.head(axes, title, PANEL_INCHES[0] - 1, [solid, hollow])


def _lines(
    axes: Any,
    summary: Summary,
    cases: Sequence[Case],
    figure_of: Callable[[Row], Estimate | None],
    *,
    filled: bool = True,
) -> None:
    """A line a strategy through those loads at which it has the figure."""
    looks = style.looks(summary.strategies)
    for name in summary.strategies:
        rows = [summary.rows[name, case] for case in cases if (name, case) in summary.rows]
        points: Points = [(row.case.size, found) for row in rows if (found := figure_of(row)) is not None]
        if not points:
            continue
        look = looks[name]
        axes.plot(
            [size for size, _ in points],
            [found.centre for _, found in points],
            color=look.colour,
            linestyle="-" if filled else ":",
            linewidth=1.8 if filled else 1.4,
            marker=look.marker,
            markeredgecolor=style.INK if filled else look.colour,
            markerfacecolor=look.colour if filled else "white",
            markersize=6,
            label=name,
        )
        _band(axes, points, look.colour)


def _band(axes: Any, points: Points, colour: str) -> None:
    spans = [(size, found.low, found.high) for size, found in points if found.n >= LEAST_ROUNDS]
    known = [(size, low, high) for size, low, high in spans if low is not None and high is not None]
    if known:
        sizes, lows, highs = zip(*known, strict=True)
        axes.fill_between(sizes, lows, highs, color=colour, alpha=0.2, linewidth=0)


def _load_axis(axes: Any, cases: Sequence[Case]) -> None:
    """Numbers of clients double, so they stand evenly on a log scale; rates stand where they are."""
    if cases[0].kind == "closed":
        axes.set_xscale("log", base=2)
        axes.set_xlabel("clients, each waiting for its answer (log)")
    else:
        axes.set_xlim(left=0)
        axes.set_xlabel("offered, requests/s")
    axes.xaxis.set_minor_locator(NullLocator())
    sizes = [case.size for case in cases]
    axes.set_xticks(sizes, [f"{size:g}" for size in sizes])
