"""Against the load that was offered: throughput, latency, and how the service batched and queued it."""

from collections.abc import Callable, Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from bench.report import style
from bench.report.cases import Case
from bench.report.material import Material
from bench.report.summary import Row, Summary
from bench.statistics import Estimate

# An interval from two rounds is so wide that it hides what it is drawn around.
LEAST_ROUNDS = 3
PANEL_INCHES = (5.2, 4.2)
Points = list[tuple[float, Estimate]]


def load(material: Material) -> Figure | None:
    """A row of panels a class of payloads and kind of load, where there were two or more of that kind."""
    run, summary = material.run, material.summary
    groups = _groups(summary)
    if not groups:
        return None
    width, height = PANEL_INCHES
    columns = 3 if _tells_inside(summary, groups) else 2
    figure, axes = style.new_figure(columns * width, height * len(groups), len(groups), columns)
    for place, cases in enumerate(groups):
        panels = axes[columns * place : columns * (place + 1)]
        of = _of(summary, cases)
        _throughput(panels[0], summary, cases, f"Requests answered, {of}")
        _latency(panels[1], summary, cases, f"Latency, {of}")
        if columns == 3:
            _inside(panels[2], summary, cases, f"Batches and queue, {of}")
        for panel in panels:
            _load_axis(panel, cases)
    means = (
        "batch size and queue delay: mean, as the services themselves count them; " if columns == 3 else ""
    )
    style.footer(
        figure,
        run,
        f"throughput: geometric mean of the rounds; latency: median; {means}shaded: 95% interval over "
        "rounds, where there are rounds enough",
    )
    return figure


def _groups(summary: Summary) -> list[list[Case]]:
    """Cases that differ in nothing but how much load there was, closed or by a schedule of one kind.

    A rate that was given and one that is a share of capacity are points of the same curve.
    """
    groups: dict[tuple[bool, bool, str, str], list[Case]] = {}
    for case in summary.cases:
        key = case.at_due_times, case.even, case.payload_class, case.encoding
        groups.setdefault(key, []).append(case)
    return [cases for _, cases in sorted(groups.items(), key=lambda item: item[0][:2]) if len(cases) > 1]


def _tells_inside(summary: Summary, groups: Sequence[Sequence[Case]]) -> bool:
    """Whether any service told of its batches or its queue under these loads."""
    shown = {case for cases in groups for case in cases}
    rows = [row for row in summary.rows.values() if row.case in shown]
    return any(row.estimates["batch"] or row.estimates["queue"] for row in rows)


def _of(summary: Summary, cases: Sequence[Case]) -> str:
    """The payloads of a row of panels, and how their requests came where that differs in the run."""
    payloads = summary.payload_label(cases[0])
    if not any(case.at_due_times for case in summary.cases):
        return f"{payloads} payloads"
    if not cases[0].at_due_times:
        return f"{payloads}, closed"
    return f"{payloads}, open, evenly" if cases[0].even else f"{payloads}, open"


def _throughput(axes: Any, summary: Summary, cases: Sequence[Case], title: str) -> None:
    _lines(axes, summary, cases, lambda row: row.estimates["throughput"])
    if cases[0].at_due_times:
        most = max(size for name in summary.strategies for size, _ in _rows(summary, name, cases))
        offered = {"color": style.INK, "linestyle": (0, (5, 3)), "linewidth": 1.2, "label": "offered"}
        axes.plot([0, most], [0, most], **offered)
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
        rows = _rows(summary, name, cases)
        points: Points = [(size, found) for size, row in rows if (found := figure_of(row)) is not None]
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


def _rows(summary: Summary, name: str, cases: Sequence[Case]) -> list[tuple[float, Row]]:
    """A strategy's rows with what it was offered: clients, or its own rate in requests/s; the least first."""
    rows = [summary.rows[name, case] for case in cases if (name, case) in summary.rows]
    sized = [(row.offered_rps if row.case.at_due_times else row.case.size, row) for row in rows]
    return sorted(((size, row) for size, row in sized if size is not None), key=lambda pair: pair[0])


def _band(axes: Any, points: Points, colour: str) -> None:
    spans = [(size, found.low, found.high) for size, found in points if found.n >= LEAST_ROUNDS]
    known = [(size, low, high) for size, low, high in spans if low is not None and high is not None]
    if known:
        sizes, lows, highs = zip(*known, strict=True)
        axes.fill_between(sizes, lows, highs, color=colour, alpha=0.2, linewidth=0)


def _load_axis(axes: Any, cases: Sequence[Case]) -> None:
    """Numbers of clients double, so they stand evenly on a log scale; rates stand where they are."""
    axes.xaxis.set_minor_locator(NullLocator())
    if cases[0].at_due_times:
        axes.set_xlim(left=0)
        axes.set_xlabel("offered, requests/s")
        if any(not case.same_for_all for case in cases):
            return  # each strategy has rates of its own
    else:
        axes.set_xscale("log", base=2)
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xlabel("clients, each waiting for its answer (log)")
    sizes = sorted({case.size for case in cases})
    axes.set_xticks(sizes, [f"{size:g}" for size in sizes])
