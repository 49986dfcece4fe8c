"""The run's pictures, each as PNG and SVG in the folder `plots`; one that has no data is not drawn."""

from collections.abc import Callable
from pathlib import Path

from matplotlib.figure import Figure

from bench.model import Run
from bench.report import style
from bench.report.plot_bars import resources, throughput
from bench.report.plot_load import load
from bench.report.plot_stacks import image_size, startup
from bench.report.plot_tails import latency
from bench.report.summary import Summary, summarise

FOLDER = "plots"

PLOTS: dict[str, Callable[[Run, Summary, Path], Figure | None]] = {
    "throughput": throughput,
    "latency": latency,
    "load": load,
    "resources": resources,
    "startup": startup,
    "image_size": image_size,
}


def write_plots(run: Run, folder: Path) -> list[Path]:
    """Draw every plot that has data into the run's folder, remove any that has none, return the files."""
    summary = summarise(run)
    target = folder / FOLDER
    target.mkdir(exist_ok=True)
    written: list[Path] = []
    for name, draw in PLOTS.items():
        with style.settings():
            figure = draw(run, summary, folder)
            if figure is not None:
                written += style.save(figure, target, name)
    for stale in {target / f"{name}{suffix}" for name in PLOTS for suffix in style.SUFFIXES} - {*written}:
        stale.unlink(missing_ok=True)
    return written
