"""A figure as files: PNG with a palette, and SVG; the same figure gives the same bytes."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

SUFFIXES = (".png", ".svg")
PALETTE = 255
# every third pixel each way tells which colours are frequent
SPARSE, FREQUENT = 3, 24


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
