"""The run's pictures inside the page, as vectors while there is room."""

import base64
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from bench.analysis.run_analysis import RunAnalysis
from bench.report import plots
from bench.report.plots.plot import alternative_text
from bench.report.plots.style import DPI

# of a page that must stay below 3 MB
BUDGET_BYTES = 2_000_000
POINTS_PER_PIXEL = 0.75
PIXELS_PER_INCH = 96
SVG_SIZE = re.compile(rb'<svg[^>]* viewBox="0 0 ([\d.]+) ([\d.]+)"')


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture inside the page: its section, its data address, its size in CSS pixels, and its text."""

    name: str
    section: str
    source: str
    width: int
    height: int
    alt: str


def embedded(analysis: RunAnalysis, folder: Path, paths: Sequence[Path]) -> list[Picture]:
    """The pictures at these paths in the run's folder, in their order, together within the budget.

    All are counted as PNG first; then the ones whose SVG costs least more are taken as SVG, while there is
    room.
    """
    found = {path.with_suffix(""): path for path in paths if path.suffix == ".png"}
    svgs = {path.with_suffix("") for path in paths if path.suffix == ".svg"}
    png_sizes = {base: _encoded_size(folder / path) for base, path in found.items()}
    extra = {
        base: _encoded_size(folder / base.with_suffix(".svg")) - png_sizes[base]
        for base in found
        if base in svgs
    }
    room = BUDGET_BYTES - sum(png_sizes.values())
    vectors = set()
    for base in sorted(extra, key=lambda one: (extra[one], one)):
        if extra[base] <= room:
            room -= extra[base]
            vectors.add(base)
    return [
        _picture(analysis, folder / base.with_suffix(".svg" if base in vectors else ".png")) for base in found
    ]


def _encoded_size(path: Path) -> int:
    return path.stat().st_size * 4 // 3


def _picture(analysis: RunAnalysis, path: Path) -> Picture:
    content = path.read_bytes()
    kind = "svg+xml" if path.suffix == ".svg" else "png"
    width, height = _svg_size(content) if path.suffix == ".svg" else _png_size(content)
    source = f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}"
    plot = plots.PLOTS[path.stem]
    return Picture(plot.name, plot.section, source, width, height, alternative_text(plot, analysis))


def _svg_size(content: bytes) -> tuple[int, int]:
    """The size in CSS pixels of an SVG that matplotlib wrote, in points."""
    ((width, height),) = SVG_SIZE.findall(content)
    return round(float(width) / POINTS_PER_PIXEL), round(float(height) / POINTS_PER_PIXEL)


def _png_size(content: bytes) -> tuple[int, int]:
    with Image.open(io.BytesIO(content)) as image:
        width, height = image.size
    return round(width * PIXELS_PER_INCH / DPI), round(height * PIXELS_PER_INCH / DPI)
