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
from bench.report.plots import colours
from bench.report.sentence import machine_line

DPI = 150
# a picture this wide, shrunk to a phone's 332 CSS pixels, has letters of SMALL points in 9 CSS pixels
WIDTH = 4.5
SMALL = 9.0
PAD_INCHES = 0.08
FOOTER_CHARACTERS_PER_INCH = 14.6
TITLE_CHARACTER_INCHES, TITLE_LINE_INCHES = 0.092, 0.18
LEGEND_MARK_INCHES, LEGEND_CHARACTER_INCHES = 0.43, 0.073
# a capital is so much wider than other letters, as a share of them
CAPITAL_MORE = 0.6
LEGEND_ROW_INCHES, LEGEND_PAD_INCHES = 0.2, 0.06
HEAD_INCHES = 0.15
LINE_INCHES = 0.155
# what is written right of the end of a horizontal bar
BESIDE: Any = {"xytext": (5, 0), "textcoords": "offset points", "va": "center", "fontsize": SMALL}
# a promised bound
LIMIT: Any = {"color": colours.LIMIT, "linestyle": (0, (7, 3)), "linewidth": 1.5}
# what stands left of a panel: the numbers and the label of its axis
AXIS_LEFT_INCHES = 0.7
# the line through what was offered
OFFERED: Any = {"color": colours.PALE, "linestyle": (0, (5, 3)), "label": "offered"}
# an axis from 200 to 900 needs a label more than these two
FEW_LABELS = 8
# a log axis is at least this long, so that a tenth more is a twenty-fifth of its length
LEAST_SPAN = 10.0
# of a name that stands beside a bar, and of what stands below it
NAME_CHARACTERS, NOTE_CHARACTERS = 16, 20
# divides a name that stands beside a bar from what stands below it
UNDER = "\N{INFORMATION SEPARATOR TWO}"

SETTINGS: Any = {
    "svg.hashsalt": "bench",
    # a name between two dollar signs is a name, and no formula
    "text.parse_math": False,
    "svg.fonttype": "path",
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "text.color": colours.INK,
    "axes.labelcolor": colours.INK,
    "axes.edgecolor": colours.INK,
    "xtick.color": colours.INK,
    "ytick.color": colours.INK,
    "xtick.labelsize": 9.5,
    "ytick.labelsize": 9.5,
    "figure.facecolor": colours.PAPER,
    "axes.facecolor": colours.PAPER,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": colours.GRID,
    "grid.linewidth": 0.7,
    "hatch.linewidth": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 9.5,
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


# Okabe and Ito's colours, each as light or as dark as it takes to have 3 to 1 on white and on dark paper, and
# three that are far from them and from each other for colour-blind readers too; neighbours differ in
# lightness, and no mark is another one turned by less than half
LOOKS = (
    Look("#0072B2", "", "o", "-"),
    Look("#CC7A00", "//", "s", "--"),
    Look("#007F5F", "\\\\", "^", "-."),
    Look("#3A96D0", "xx", "D", (0, (1, 1))),
    Look("#C24A00", "||", "v", (0, (6, 2))),
    Look("#C66CA2", "--", "*", (0, (3, 1, 1, 1, 1, 1))),
    Look("#6E6E6E", "oo", "X", (0, (8, 2, 2, 2))),
    Look("#846CFC", "..", "p", (0, (4, 1, 1, 1))),
    Look("#C024A8", "OO", "d", (0, (2, 2))),
    Look("#6C9C60", "**", "h", (0, (10, 3))),
)
# these strategies look the same in every picture of every run: they have the first of LOOKS, in order
KNOWN = ("torch", "onnx", "batched", "unbatched", "mosec")
# how many looks there were once: the later ones are given out last, so that pictures of old runs stay true
OLDEST = 7
# parts of a stacked bar, in order: no strategy has these colours, and in grey each differs from the next
PARTS = (
    ("#EADFC3", ""),
    ("#8F7F68", "//"),
    ("#CDB65A", ""),
    ("#6C6B8B", "\\\\"),
    ("#C3C2DC", "xx"),
    ("#7F8F5E", "--"),
    ("#F0E442", "++"),
)


def looks(names: Sequence[str]) -> dict[str, Look]:
    """A look for each strategy: those of KNOWN have looks of their own, the others get the rest in order."""
    found = {name: LOOKS[KNOWN.index(name)] for name in names if name in KNOWN}
    taken = {look.colour for look in found.values()}
    # looks that no known strategy has come first, so that the others are seldom mistaken for one
    in_turn = (*LOOKS[len(KNOWN) : OLDEST], *LOOKS[: len(KNOWN)], *LOOKS[OLDEST:])
    free = [look for look in in_turn if look.colour not in taken]
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
    height: float, panels: int = 1, heights: Sequence[float] | None = None
) -> tuple[Figure, list[Any]]:
    """A figure of panels one above the other; `heights` are theirs to each other.

    `height` is that of all panels in inches. Heads and the footer add what they take.
    """
    figure = Figure(figsize=(WIDTH, height), dpi=DPI)
    figure.set_layout_engine("constrained", w_pad=PAD_INCHES, h_pad=PAD_INCHES)
    axes = figure.subplots(panels, 1, squeeze=False, height_ratios=heights)
    return figure, list(axes.flat)


def footer(figure: Figure, run: Run, facts: str) -> float:
    """Write what the marks mean, n and the machine in small print below; return its height in inches."""
    columns = int(figure.get_figwidth() * FOOTER_CHARACTERS_PER_INCH)
    lines = [*textwrap.wrap(facts, columns), *textwrap.wrap(machine_line(run), columns)]
    figure.supxlabel("\n".join(lines), x=0.01, ha="left", fontsize=SMALL, color=colours.QUIET)
    height = LINE_INCHES * len(lines)
    figure.set_figheight(figure.get_figheight() + height)
    return height


def head(axes: Any, title: str, handles: Sequence[Any] | None = None, left: float = AXIS_LEFT_INCHES) -> None:
    """Write the title, and below it a legend in rows, each in the order of `handles`.

    The picture becomes higher by what they take. `left` is what stands beside the panel, in inches.
    """
    shown = list(axes.get_legend_handles_labels()[0] if handles is None else handles)
    width = axes.figure.get_figwidth() - left - 2 * PAD_INCHES
    names = [
        _cut(handle.get_label(), int((width - LEGEND_MARK_INCHES) / LEGEND_CHARACTER_INCHES))
        for handle in shown
    ]
    columns = _legend_columns(names, width)
    legend = LEGEND_PAD_INCHES + LEGEND_ROW_INCHES * -(-len(shown) // columns) if shown else 0.0
    if shown:
        # a legend is filled column by column
        by_rows = [place for column in range(columns) for place in range(len(shown))[column::columns]]
        handles, labels = [shown[place] for place in by_rows], [names[place] for place in by_rows]
        axes.legend(
            handles,
            labels,
            ncols=columns,
            columnspacing=0.9,
            handlelength=1.6,
            loc="lower left",
            bbox_to_anchor=(0, 1.0),
            borderaxespad=0.2,
        )
    lines = textwrap.wrap(title, int(width / TITLE_CHARACTER_INCHES))
    axes.set_title("\n".join(lines), pad=6 + 72 * legend)
    taken = HEAD_INCHES + TITLE_LINE_INCHES * len(lines) + legend
    axes.figure.set_figheight(axes.figure.get_figheight() + taken)


def _cut(name: str, most: int) -> str:
    """A name of at most so many letters: of a longer name both ends, as variants differ in the second."""
    half = most // 2
    return name if len(name) <= most else f"{name[: most - half - 1]}\N{HORIZONTAL ELLIPSIS}{name[-half:]}"


def _letters(name: str) -> float:
    """How wide a name is, in letters: those of settings are capitals, which are wide."""
    return len(name) + CAPITAL_MORE * sum(map(str.isupper, name))


def _legend_columns(names: Sequence[str], width: float) -> int:
    """In how many columns a legend fits that is read row by row; at least 1."""
    for columns in range(len(names), 1, -1):
        longest = [max(map(_letters, names[column::columns])) for column in range(columns)]
        if LEGEND_MARK_INCHES * columns + LEGEND_CHARACTER_INCHES * sum(longest) <= width:
            return columns
    return 1


def log_axis(axis: Any) -> None:
    """Make the axis of x or of y a log axis that covers a decade at least, with plain labels."""
    along = axis.axis_name
    axes = axis.axes
    axes.set(**{f"{along}scale": "log"})
    low, high = getattr(axes, f"get_{along}lim")()
    if high < LEAST_SPAN * low:
        widen = (LEAST_SPAN * low / high) ** 0.5
        low, high = low / widen, high * widen
    axes.set(**{f"{along}lim": (low, high)})
    steps = (1.0, 2.0, 5.0) if high > FEW_LABELS * low else tuple(map(float, range(1, 10)))
    axis.set_major_locator(LogLocator(base=10, subs=steps, numticks=99))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


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
            edgecolor=colours.EDGE,
            linewidth=0.6,
            label="" if part.name in known else part.name,
        )
        left += part.length
    return left


def name_bars(axes: Any, places: Sequence[float], names: Sequence[str], unit: str, most: float) -> None:
    """Name horizontal bars, the first on top, above an axis in this unit from 0 to `most`."""
    axes.set_yticks(places, [wrapped(name) for name in names])
    axes.set_ylim(places[-1] + 0.55, places[0] - 0.55)
    axes.set_xlabel(unit)
    axes.set_xlim(0, most)
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)


def wrapped(name: str) -> str:
    """A name in two lines that fit beside a bar; of a longer name the ends, in which variants differ.

    What stands behind UNDER has a line of its own below the name.
    """
    first, _, second = name.partition(UNDER)
    if second:
        return f"{_cut(first, NAME_CHARACTERS)}\n{_cut(second, NOTE_CHARACTERS)}"
    if len(name) <= NAME_CHARACTERS:
        return name
    lines = textwrap.wrap(name, NAME_CHARACTERS, break_on_hyphens=False)
    if len(lines) == 2:
        return "\n".join(lines)
    return f"{name[: NAME_CHARACTERS - 1]}\N{HORIZONTAL ELLIPSIS}\n{name[-NAME_CHARACTERS:].strip()}"


def beside(names: Iterable[str]) -> float:
    """How many inches names beside bars take."""
    longest = max((len(line) for name in names for line in wrapped(name).split("\n")), default=0)
    return 0.15 + LEGEND_CHARACTER_INCHES * longest


def legend_handles(axes: Any, names: Iterable[str]) -> list[Any]:
    """What was drawn under these names, in their order."""
    drawn = {handle.get_label(): handle for handle in axes.get_legend_handles_labels()[0]}
    return [drawn[name] for name in names if name in drawn]


def dots(axes: Any, x: Any, y: Any) -> None:
    """Small white marks, one for each round or start."""
    pen: Any = {"facecolor": colours.PAPER, "edgecolor": colours.INK, "linewidth": 0.8}
    axes.scatter(x, y, s=14, marker="o", zorder=3, **pen)


def spread(count: int, low: float, high: float) -> Any:
    """Offsets that set this many marks apart; a single mark stays in its place."""
    return np.linspace(low, high, count) if count > 1 else np.zeros(count)


def settings() -> Any:
    """The context in which a figure is made and saved."""
    return mpl.rc_context(SETTINGS)
