"""The run's pictures, each as PNG and SVG in the folder `plots`; one that has no data is not drawn."""

import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path

from matplotlib.figure import Figure

from bench.analysis.run_analysis import RunAnalysis
from bench.report import style
from bench.report.plot_bars import resources, throughput
from bench.report.plot_batching import batching
from bench.report.plot_files import SUFFIXES, save
from bench.report.plot_images import image_size
from bench.report.plot_load import load
from bench.report.plot_pareto import pareto
from bench.report.plot_slo import objectives
from bench.report.plot_stages import stages
from bench.report.plot_starts import startup
from bench.report.plot_tails import latency
from bench.report.plot_timeline import timeline

FOLDER = "plots"
# more gain little: the picture that takes longest is a quarter of all
MOST_PROCESSES = 4

PLOTS: dict[str, Callable[[RunAnalysis], Figure | None]] = {
    "throughput": throughput,
    "latency": latency,
    "pareto": pareto,
    "load": load,
    "objectives": objectives,
    "batching": batching,
    "stages": stages,
    "resources": resources,
    "timeline": timeline,
    "startup": startup,
    "image_size": image_size,
}
# the longest first, so that no process is left with one when the others are done
ORDER = ("load", "startup", "timeline", "pareto", "batching")


def write_plots(analysis: RunAnalysis, folder: Path, processes: int | None = None) -> list[Path]:
    """Draw every plot that has data into the run's folder, remove any that has none, return the files.

    As many processes draw as there are cores, unless told how many; the files are the same.
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
    names = sorted(PLOTS, key=lambda name: ORDER.index(name) if name in ORDER else len(ORDER))
    try:
        # a forked process has the analysis already, and the second that imports take behind it
        with ProcessPoolExecutor(processes, get_context("fork"), _keep, (analysis, target)) as pool:
            return dict(zip(names, pool.map(_draw_kept, names), strict=True))
    except BrokenProcessPool:  # one was killed, for its memory say: slower is better than none
        return _draw_all(analysis, target, 1)


def _processes() -> int:
    """One where a process must not be forked: beside other threads, which may hold locks, or off Linux."""
    if sys.platform != "linux" or threading.active_count() > 1:
        return 1
    return min(MOST_PROCESSES, len(os.sched_getaffinity(0)))


_kept: list[tuple[RunAnalysis, Path]] = []


def _keep(analysis: RunAnalysis, target: Path) -> None:
    _kept.append((analysis, target))


def _draw_kept(name: str) -> list[Path]:
    return _draw(*_kept[0], name)


def _draw(analysis: RunAnalysis, target: Path, name: str) -> list[Path]:
    with style.settings():
        figure = PLOTS[name](analysis)
        return save(figure, target, name) if figure is not None else []
