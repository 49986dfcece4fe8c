"""One look for every plot: colours that colour-blind readers can tell apart, hatches and markers for grey."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from PIL import Image

from bench.model import Run
from bench.report.machine import machine_line

DPI = 130
PALETTE = 255
# every third pixel each way tells which colours are frequent
SPARSE, FREQUENT = 3, 24
PAD_INCHES = 0.1
FOOTER_CHARACTERS_PER_INCH = 17
LEGEND_MARK_INCHES = 0.55
LEGEND_CHARACTER_INCHES = 0.07
SUFFIXES = (".png", ".svg")
INK = "#222222"
PALE = "#777777"
SHARED = "#BBBBBB"
# warm-up and drain
OUTSIDE = "#EFEFEF"
LINE_INCHES = 0.14
# what the names and figures beside a panel take of its width
BESIDE_INCHES = 0.75
# a bound that was promised
LIMIT: Any = {"color": "#A00000", "linestyle": (0, (7, 3)), "linewidth": 1.5}
# an axis from 200 to 900 needs a label more than these two
FEW_LABELS = 8

SETTINGS: Any = {
    "svg.hashsalt": "bench",
    "svg.fonttype": "path",
    "font.family": "DejaVu Sans",
    "font.size": 10,
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
    "legend.fontsize": 9,
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
class Margins:
    """The room around and between panels, in inches."""

    left: float
    right: float
    top: float
    bottom: float
    between_columns: float
    between_rows: float


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a stacked bar."""

    name: str
    length: float
    colour: str
    hatch: str


# Okabe and Ito's colours, ordered so that neighbours differ in lightness; their yellow is no line on white
LOOKS = (
    Look("#0072B2", "", "o", "-"),
    Look("#E69F00", "//", "s", "--"),
    Look("#009E73", "\\\\", "^", "-."),
    Look("#56B4E9", "xx", "D", (0, (1, 1))),
    Look("#D55E00", "||", "v", (0, (6, 2))),
    Look("#CC79A7", "--", "P", (0, (3, 1, 1, 1, 1, 1))),
    Look("#444444", "++", "X", (0, (8, 2, 2, 2))),
)
# parts of a stacked bar, in order
PARTS = (
    ("#56B4E9", ""),
    ("#F0E442", "//"),
    ("#009E73", ""),
    ("#CC79A7", "xx"),
    ("#E69F00", "\\\\"),
    ("#0072B2", "--"),
    ("#999999", "++"),
)


def looks(names: Sequence[str]) -> dict[str, Look]:
    """A look for each strategy, by its place in the run."""
    return {name: LOOKS[place % len(LOOKS)] for place, name in enumerate(names)}


def new_figure(
    width: float, height: float, rows: int = 1, columns: int = 1, heights: Sequence[float] | None = None
) -> tuple[Figure, list[Any]]:
    """A figure in inches with its axes in reading order; `heights` are those of its rows to each other."""
    figure = Figure(figsize=(width, height), dpi=DPI)
    figure.set_layout_engine("constrained", w_pad=PAD_INCHES, h_pad=PAD_INCHES)
    axes = figure.subplots(rows, columns, squeeze=False, height_ratios=heights)
    return figure, list(axes.flat)


def fixed_figure(
    width: float, rows: int, columns: int, margins: Margins, row_inches: float, run: Run, facts: str
) -> tuple[Figure, list[Any]]:
    """The same for many like panels, placed by their margins: to look where there is room takes seconds.

    Each row is `row_inches` high, and the footer is written.
    """
    figure = Figure(figsize=(width, 1.0), dpi=DPI)
    below = margins.bottom + footer(figure, run, facts) + PAD_INCHES
    height = margins.top + rows * row_inches + (rows - 1) * margins.between_rows + below
    figure.set_figheight(height)
    axes = figure.subplots(rows, columns, squeeze=False, sharex="col")
    panel = (width - margins.left - margins.right - (columns - 1) * margins.between_columns) / columns
    figure.subplots_adjust(
        left=margins.left / width,
        right=1 - margins.right / width,
        top=1 - margins.top / height,
        bottom=below / height,
        wspace=margins.between_columns / panel,
        hspace=margins.between_rows / row_inches,
    )
    return figure, list(axes.flat)


def footer(figure: Figure, run: Run, facts: str) -> float:
    """What the marks mean, n and the machine, in small print below the axes; returns its height in inches."""
    columns = int(figure.get_figwidth() * FOOTER_CHARACTERS_PER_INCH)
    lines = [*textwrap.wrap(facts, columns), *textwrap.wrap(machine_line(run), columns)]
    figure.supxlabel("\n".join(lines), x=0.01, ha="left", fontsize=7.5, color="#555555")
    return LINE_INCHES * len(lines)


def head(axes: Any, title: str, width: float, handles: Sequence[Any] | None = None) -> None:
    """The title, and below it a legend in as many rows as fit a panel that is so many inches wide."""
    shown = axes.get_legend_handles_labels()[0] if handles is None else handles
    heads([(axes, title, shown)], width)


def heads(panels: Sequence[tuple[Any, str, Sequence[Any]]], width: float) -> None:
    """The same for panels side by side: their titles stand at one height."""
    columns = [_legend_columns([handle.get_label() for handle in shown], width) for _, _, shown in panels]
    rows = [-(-len(shown) // count) for (_, _, shown), count in zip(panels, columns, strict=True)]
    for (axes, title, shown), count in zip(panels, columns, strict=True):
        if shown:
            place = {"loc": "lower left", "bbox_to_anchor": (0, 1.0), "borderaxespad": 0.2}
            axes.legend(handles=list(shown), ncols=count, columnspacing=1.2, **place)
        axes.set_title(title, pad=8 + 17 * max(rows))


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
    """Label 1, 2 and 5 of each decade, as 20 and not as a power of ten; more where the axis is short."""
    low, high = axes.get_ylim()
    steps = (1.0, 2.0, 5.0) if high > FEW_LABELS * low else tuple(map(float, range(1, 10)))
    axes.yaxis.set_major_locator(LogLocator(base=10, subs=steps, numticks=99))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def stack(axes: Any, y: float, height: float, parts: Sequence[Part]) -> float:
    """A lying bar of parts, one after the other; each name enters the legend once. Returns where it ends."""
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


def save(figure: Figure, folder: Path, name: str) -> list[Path]:
    """Write the figure as PNG and SVG; the same figure gives the same bytes."""
    png, svg = folder / f"{name}.png", folder / f"{name}.svg"
    canvas: Any = FigureCanvasAgg(figure)
    canvas.draw()
    figure.set_layout_engine("none")  # it has placed everything, which is half the time that a picture takes
    _with_palette(np.asarray(canvas.buffer_rgba())[..., :3]).save(png, optimize=True)
    figure.savefig(svg, metadata={"Date": None, "Creator": None})
    return [png, svg]


def _with_palette(pixels: Any) -> Image.Image:
    """The picture, of height x width x RGB bytes, with a palette: of flat colours it is three times smaller.

    Maximum coverage keeps the rare colours and shifts the frequent ones, which are then put right.
    """
    picture = Image.fromarray(np.ascontiguousarray(pixels)).quantize(
        PALETTE, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE
    )
    sparse = pixels[::SPARSE, ::SPARSE].reshape(-1, 3)
    _, first, counts = np.unique(sparse @ (65536, 256, 1), return_index=True, return_counts=True)
    places = np.asarray(picture)[::SPARSE, ::SPARSE].ravel()
    palette = np.array(picture.getpalette(), dtype=np.uint8).reshape(-1, 3)
    for frequent in first[np.argsort(counts, kind="stable")[-FREQUENT:]]:
        palette[places[frequent]] = sparse[frequent]
    picture.putpalette(palette.tobytes())
    return picture


def settings() -> Any:
    """The context in which a figure is made and saved."""
    return mpl.rc_context(SETTINGS)
