"""The run's pictures, each as PNG and SVG in the folder `plots`; one that has no data is not drawn."""

from collections.abc import Callable
from pathlib import Path

from matplotlib.figure import Figure

from bench.report import style
from bench.report.material import Material
from bench.report.plot_bars import resources, throughput
from bench.report.plot_images import image_size
from bench.report.plot_load import load
from bench.report.plot_starts import startup
from bench.report.plot_tails import latency

FOLDER = "plots"

PLOTS: dict[str, Callable[[Material], Figure | None]] = {
    "throughput": throughput,
    "latency": latency,
    "load": load,
    "resources": resources,
    "startup": startup,
    "image_size": image_size,
}


def write_plots(material: Material, folder: Path) -> list[Path]:
    """Draw every plot that has data into the run's folder, remove any that has none, return the files."""
    target = folder / FOLDER
    target.mkdir(exist_ok=True)
    written: list[Path] = []
    for name, draw in PLOTS.items():
        with style.settings():
            figure = draw(material)
            if figure is not None:
                written += style.save(figure, target, name)
    for stale in {target / f"{name}{suffix}" for name in PLOTS for suffix in style.SUFFIXES} - {*written}:
        stale.unlink(missing_ok=True)
    return written
