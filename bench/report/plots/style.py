"""The look of every plot: colours that colour-blind readers can tell apart, hatches and markers for grey."""

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from bench.model import Run
from bench.report.sentence import machine_line

DPI = 130
PAD_INCHES = 0.1
FOOTER_POINTS, FOOTER_CHARACTERS_PER_INCH = 8.5, 15
TITLE_CHARACTER_INCHES = 0.092
LEGEND_MARK_INCHES, LEGEND_CHARACTER_INCHES = 0.46, 0.077
# a panel has room for this many rows of legend; each further row makes the figure higher
LEGEND_ROWS, LEGEND_ROW_INCHES = 2, 0.26
INK = "#222222"
PALE = "#777777"
SHARED = "#BBBBBB"
# warm-up and drain
OUTSIDE = "#EFEFEF"
LINE_INCHES = 0.16
# the part of a panel's width that the names and figures beside it take
BESIDE_INCHES = 0.75
# a promised bound
LIMIT: Any = {"color": "#A00000", "linestyle": (0, (7, 3)), "linewidth": 1.5}
# what is written right of the end of a horizontal bar
BESIDE: Any = {"xytext": (5, 0), "textcoords": "offset points", "va": "center", "fontsize": 9}
# the line through what was offered
OFFERED: Any = {"color": PALE, "linestyle": (0, (5, 3)), "label": "offered"}
# an axis from 200 to 900 needs a label more than these two
FEW_LABELS = 8

SETTINGS: Any = {
    "svg.hashsalt": "bench",
    # a name between two dollar signs is a name, and no formula
    "text.parse_math": False,
    "svg.fonttype": "path",
    "font.family": "DejaVu Sans",
    "font.size": 11,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.7,
    "hatch.linewidth": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 10,
}


Line = str | tuple[int, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Look:
    """How one strategy is drawn in every plot."""

    colour: str
    hatch: str
    marker: str
    line: Line


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a stacked bar."""

    name: str
    length: float
    colour: str
    hatch: str


# Okabe and Ito's colours without yellow, which is hard to see on white; neighbours differ in lightness
LOOKS = (
    Look("#0072B2", "", "o", "-"),
    Look("#E69F00", "//", "s", "--"),
    Look("#009E73", "\\\\", "^", "-."),
    Look("#56B4E9", "xx", "D", (0, (1, 1))),
    Look("#D55E00", "||", "v", (0, (6, 2))),
    Look("#CC79A7", "--", "P", (0, (3, 1, 1, 1, 1, 1))),
    Look("#444444", "++", "X", (0, (8, 2, 2, 2))),
)
# these strategies look the same in every picture of every run: they have the first of LOOKS, in order
KNOWN = ("torch", "onnx", "batched", "unbatched", "mosec")
# parts of a stacked bar, in order: no strategy has these colours, and in grey each differs from the next
PARTS = (
    ("#EADFC3", ""),
    ("#8F7F68", "//"),
    ("#CDB65A", ""),
    ("#62617F", "\\\\"),
    ("#C3C2DC", "xx"),
    ("#7F8F5E", "--"),
    ("#F0E442", "++"),
)


def looks(names: Sequence[str]) -> dict[str, Look]:
    """A look for each strategy: those of KNOWN have looks of their own, the others get the rest in order."""
    found = {name: LOOKS[KNOWN.index(name)] for name in names if name in KNOWN}
    taken = {look.colour for look in found.values()}
    # looks that no known strategy has come first, so that the others are seldom mistaken for one
    free = [look for look in (*LOOKS[len(KNOWN) :], *LOOKS[: len(KNOWN)]) if look.colour not in taken]
    others = [name for name in dict.fromkeys(names) if name not in found]
    again = [_mixed(place) for place in range(max(0, len(others) - len(free)))]
    found.update(zip(others, [*free, *again], strict=False))
    return {name: found[name] for name in names}


def _mixed(place: int) -> Look:
    """A look in a colour of LOOKS with the hatch, marker and line of another."""
    turn, colour = divmod(place, len(LOOKS))
    other = LOOKS[(colour + turn + 1) % len(LOOKS)]
    return Look(LOOKS[colour].colour, other.hatch, other.marker, other.line)


def new_figure(
    width: float, height: float, rows: int = 1, columns: int = 1, heights: Sequence[float] | None = None
) -> tuple[Figure, list[Any]]:
    """A figure in inches with its axes in reading order; `heights` are those of its rows to each other."""
    figure = Figure(figsize=(width, height), dpi=DPI)
    figure.set_layout_engine("constrained", w_pad=PAD_INCHES, h_pad=PAD_INCHES)
    axes = figure.subplots(rows, columns, squeeze=False, height_ratios=heights)
    return figure, list(axes.flat)


def footer(figure: Figure, run: Run, facts: str) -> float:
    """Write what the marks mean, n and the machine in small print below; return its height in inches."""
    columns = int(figure.get_figwidth() * FOOTER_CHARACTERS_PER_INCH)
    lines = [*textwrap.wrap(facts, columns), *textwrap.wrap(machine_line(run), columns)]
    figure.supxlabel("\n".join(lines), x=0.01, ha="left", fontsize=FOOTER_POINTS, color="#555555")
    return LINE_INCHES * len(lines)


def head(axes: Any, title: str, width: float, handles: Sequence[Any] | None = None) -> None:
    """Write the title, and below it a legend in rows that fit a panel of this width in inches."""
    shown = axes.get_legend_handles_labels()[0] if handles is None else handles
    heads([(axes, title, shown)], width)


def heads(panels: Sequence[tuple[Any, str, Sequence[Any]]], width: float) -> None:
    """Write titles and legends of panels side by side; the titles stand at one height."""
    columns = [_legend_columns([handle.get_label() for handle in shown], width) for _, _, shown in panels]
    rows = [-(-len(shown) // count) for (_, _, shown), count in zip(panels, columns, strict=True)]
    figure = panels[0][0].figure
    more = max(0, max(rows) - LEGEND_ROWS)
    figure.set_figheight(figure.get_figheight() + more * LEGEND_ROW_INCHES)
    for (axes, title, shown), count in zip(panels, columns, strict=True):
        if shown:
            place = {"loc": "lower left", "bbox_to_anchor": (0, 1.0), "borderaxespad": 0.2}
            axes.legend(handles=list(shown), ncols=count, columnspacing=0.9, handlelength=1.6, **place)
        lines = textwrap.wrap(title, int(width / TITLE_CHARACTER_INCHES))
        axes.set_title("\n".join(lines), pad=8 + 18.5 * max(rows))


def _legend_columns(names: Sequence[str], width: float) -> int:
    """In how many columns a legend fits; it is filled column by column."""
    for columns in range(len(names), 1, -1):
        rows, longer = divmod(len(names), columns)
        ends = np.cumsum([0, *(rows + (column < longer) for column in range(columns))])
        longest = [max(map(len, names[ends[column] : ends[column + 1]])) for column in range(columns)]
        if LEGEND_MARK_INCHES * columns + LEGEND_CHARACTER_INCHES * sum(longest) <= width:
            return columns
    return 1


def plain_log_labels(axes: Any) -> None:
    """Label 1, 2 and 5 of each decade, as 20 and not as a power of ten; a short axis gets more labels."""
    low, high = axes.get_ylim()
    steps = (1.0, 2.0, 5.0) if high > FEW_LABELS * low else tuple(map(float, range(1, 10)))
    axes.yaxis.set_major_locator(LogLocator(base=10, subs=steps, numticks=99))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def stack(axes: Any, y: float, height: float, parts: Sequence[Part]) -> float:
    """Draw a horizontal bar of parts, one after the other, and return where it ends.

    Each name enters the legend once.
    """
    left = 0.0
    known = axes.get_legend_handles_labels()[1]
    for part in parts:
        axes.barh(
            y,
            part.length,
            height,
            left=left,
            color=part.colour,
            hatch=part.hatch,
            edgecolor=INK,
            linewidth=0.6,
            label="" if part.name in known else part.name,
        )
        left += part.length
    return left


def name_bars(axes: Any, names: Sequence[str], unit: str, most: float, room: float = 0.5) -> None:
    """Name horizontal bars, the first on top, above an axis in this unit from 0 to `most`."""
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 1 + room, -room)
    axes.set_xlabel(unit)
    axes.set_xlim(0, most)
    axes.grid(visible=False, axis="y")


def legend_handles(axes: Any, names: Iterable[str]) -> list[Any]:
    """What was drawn under these names, in their order."""
    drawn = {handle.get_label(): handle for handle in axes.get_legend_handles_labels()[0]}
    return [drawn[name] for name in names if name in drawn]


def dots(axes: Any, x: Any, y: Any, marker: str) -> None:
    """Small white marks, one for each round or start."""
    axes.scatter(x, y, s=16, marker=marker, facecolor="white", edgecolor=INK, linewidth=0.8, zorder=3)


def spread(count: int, low: float, high: float) -> Any:
    """Offsets that set this many marks apart; a single mark stays in its place."""
    return np.linspace(low, high, count) if count > 1 else np.zeros(count)


def settings() -> Any:
    """The context in which a figure is made and saved."""
    return mpl.rc_context(SETTINGS)
