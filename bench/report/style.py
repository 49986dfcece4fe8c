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
PALETTE = 128
PAD_INCHES = 0.1
FOOTER_CHARACTERS_PER_INCH = 16
LEGEND_MARK_INCHES = 0.55
LEGEND_CHARACTER_INCHES = 0.07
SUFFIXES = (".png", ".svg")
INK = "#222222"
SHARED = "#BBBBBB"
# one trial or one start

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


@dataclass(frozen=True, slots=True)
class Look:
    """How one strategy is drawn in every plot."""

    colour: str
    hatch: str
    marker: str
    line: str


# Okabe and Ito's colours, ordered so that neighbours differ in lightness too
LOOKS = (
    Look("#0072B2", "", "o", "-"),
    Look("#E69F00", "//", "s", "--"),
    Look("#009E73", "\\\\", "^", "-."),
    Look("#F0E442", "xx", "D", ":"),
    Look("#CC79A7", "||", "v", "-"),
    Look("#56B4E9", "--", "P", "--"),
    Look("#D55E00", "++", "X", "-."),
)
# phases of a start, in order
PHASES = (
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


def footer(figure: Figure, run: Run, facts: str) -> None:
    """What the marks mean, n and the machine, in small print below the axes."""
    columns = int(figure.get_figwidth() * FOOTER_CHARACTERS_PER_INCH)
    lines = [*textwrap.wrap(facts, columns), *textwrap.wrap(machine_line(run), columns)]
    figure.supxlabel("\n".join(lines), x=0.01, ha="left", fontsize=7.5, color="#555555")


def head(axes: Any, title: str, width: float, handles: Sequence[Any] | None = None) -> None:
    """The title, and below it a legend in as many rows as fit a panel that is so many inches wide."""
    shown: Sequence[Any] = axes.get_legend_handles_labels()[0] if handles is None else handles
    sizes = [LEGEND_MARK_INCHES + LEGEND_CHARACTER_INCHES * len(handle.get_label()) for handle in shown]
    columns = len(shown) if sum(sizes) <= width else max(1, int(width / max(sizes)))
    rows = -(-len(shown) // columns)
    place = {"loc": "lower left", "bbox_to_anchor": (0, 1.0), "borderaxespad": 0.2}
    axes.legend(handles=shown, ncols=columns, columnspacing=1.2, **place)
    axes.set_title(title, pad=8 + 17 * rows)


def plain_log_labels(axes: Any) -> None:
    """Label 1, 2 and 5 of each decade, as 20 and not as a power of ten."""
    axes.yaxis.set_major_locator(LogLocator(base=10, subs=(1.0, 2.0, 5.0)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def save(figure: Figure, folder: Path, name: str) -> list[Path]:
    """Write the figure as PNG and SVG; the same figure gives the same bytes."""
    png, svg = folder / f"{name}.png", folder / f"{name}.svg"
    canvas: Any = FigureCanvasAgg(figure)
    canvas.draw()
    figure.set_layout_engine("none")  # it has placed everything, which is half the time that a picture takes
    # a palette makes a picture of flat colours three times smaller; maximum coverage keeps the rare ones
    flat = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    flat.quantize(PALETTE, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(png, optimize=True)
    figure.savefig(svg, metadata={"Date": None, "Creator": None})
    return [png, svg]


def settings() -> Any:
    """The context in which a figure is made and saved."""
    return mpl.rc_context(SETTINGS)
