"""The run's pictures, each as PNG and SVG in the folder `plots`; a plot that has no data is not drawn."""

import io
import os
import sys
import threading
import warnings
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from bench.analysis.run_analysis import RunAnalysis
from bench.report.plots import (
    batching,
    colours,
    histogram,
    image_size,
    latency,
    load,
    objectives,
    pareto,
    resources,
    stages,
    startup,
    style,
    sweep,
    throughput,
    timeline,
    uptime,
)
from bench.report.plots.plot import Plot

FOLDER = "plots"
SUFFIXES = (".png", ".svg")
# more gain little: the picture that takes longest is a quarter of all
MOST_PROCESSES = 4
# how many colours a PNG has
PALETTE = 255
# every third pixel each way tells which colours are frequent
SPARSE, FREQUENT = 3, 24

# every plot, in the order in which a report shows them
PLOTS: dict[str, Plot] = {
    plot.name: plot
    for plot in (
        throughput.PLOT,
        latency.PLOT,
        histogram.PLOT,
        sweep.PLOT,
        pareto.PLOT,
        load.PLOT,
        objectives.PLOT,
        batching.PLOT,
        stages.PLOT,
        resources.PLOT,
        timeline.PLOT,
        uptime.PLOT,
        startup.PLOT,
        image_size.PLOT,
    )
}


def write_plots(analysis: RunAnalysis, folder: Path, processes: int | None = None) -> list[Path]:
    """Draw every plot that has data into the run's folder, remove the files of the others, return the files.

    Without `processes`, as many processes draw as there are cores; the files are the same.
    """
    target = folder / FOLDER
    target.mkdir(exist_ok=True)
    drawn = _draw_all(analysis, target, processes or _processes())
    written = [path for name in PLOTS for path in drawn[name]]
    for stale in {target / f"{name}{suffix}" for name in PLOTS for suffix in SUFFIXES} - {*written}:
        stale.unlink(missing_ok=True)
    return written


def _draw_all(analysis: RunAnalysis, target: Path, processes: int) -> dict[str, list[Path]]:
    if processes == 1:
        return {name: _draw(analysis, target, name) for name in PLOTS}
    # the longest first, so that no process still draws it when the others are done
    names = sorted(PLOTS, key=lambda name: -PLOTS[name].cost)
    try:
        # a forked process has the analysis already, and the second that imports take behind it
        with ProcessPoolExecutor(processes, get_context("fork"), _keep, (analysis, target)) as pool:
            return dict(zip(names, pool.map(_draw_kept, names), strict=True))
    except BrokenProcessPool:  # a process was killed, perhaps for its memory: slower is better than nothing
        return _draw_all(analysis, target, 1)


def _processes() -> int:
    """How many processes draw: one beside other threads, whose locks a fork would copy, and off Linux."""
    if sys.platform != "linux" or threading.active_count() > 1:
        return 1
    return min(MOST_PROCESSES, len(os.sched_getaffinity(0)))


_kept: list[tuple[RunAnalysis, Path]] = []


def _keep(analysis: RunAnalysis, target: Path) -> None:
    _kept.append((analysis, target))


def _draw_kept(name: str) -> list[Path]:
    return _draw(*_kept[0], name)


def _draw(analysis: RunAnalysis, target: Path, name: str) -> list[Path]:
    with style.settings(), warnings.catch_warnings():
        # a box stands for a letter that the font does not have, and a name may be longer than its picture
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        warnings.filterwarnings("ignore", message="constrained_layout not applied")
        figure = PLOTS[name].draw(analysis)
        return _save(figure, target, name) if figure is not None else []


def _save(figure: Figure, folder: Path, name: str) -> list[Path]:
    """Write the figure as PNG and SVG; the same figure gives the same bytes."""
    png, svg = (folder / f"{name}{suffix}" for suffix in SUFFIXES)
    canvas: Any = FigureCanvasAgg(figure)
    canvas.draw()
    # it has placed everything: once more is half the time that a picture takes, and "none" would draw in vain
    figure.set_layout_engine(None)
    for axes in figure.axes:
        # the solver's last bits differ from time to time, and the ids of clipped paths hang on each bit
        axes.set_position(tuple(np.round(axes.get_position().bounds, 9)))
    _with_palette(np.asarray(canvas.buffer_rgba())[..., :3]).save(png, optimize=True)
    written = io.StringIO()
    figure.savefig(written, format="svg", metadata={"Date": None, "Creator": None})
    svg.write_text(colours.with_dark_scheme(written.getvalue()), encoding="utf-8")
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
