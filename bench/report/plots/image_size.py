"""Stacked bars: the layers of an image, and the packages that fill them."""

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure
from matplotlib.patches import Patch

from bench.analysis import image_overlap as images
from bench.analysis.run_analysis import RunAnalysis
from bench.model import ImageSize, Run
from bench.report import text
from bench.report.plots import colours, style
from bench.report.plots.plot import Plot, listed

PAIR_INCHES, BAR_INCHES, AXIS_INCHES = 0.6, 0.38, 0.5
# what stands right of the longest bar, to its length
ROOM = 1.75
MOST_PACKAGES = 6
ELSE = "all else"
EXACT = "n = 1 image a strategy, whose sizes are exact: no interval"
REST = ("#D4D4D4", "")


def draw(analysis: RunAnalysis) -> Figure | None:
    """Compressed beside unpacked size by layer, shared layers first; below, unpacked size by package."""
    run = analysis.run
    found = {name: result.image for name, result in run.strategies.items()}
    known = [image for image in found.values() if image is not None]
    if not known:
        return None
    by_package = any(image.directories for image in known)
    heights = [PAIR_INCHES * len(found), *([BAR_INCHES * len(found)] if by_package else [])]
    figure, axes = style.new_figure(sum(heights) + AXIS_INCHES * len(heights), len(heights), heights)
    # both panels on one scale, so that their bars are of one length
    widest = ROOM * max(max(image.unpacked_bytes, _in_packages(image)) for image in known) / text.MIB
    _by_layer(axes[0], run, found, widest)
    if by_package:
        _by_package(axes[1], found, widest)
    style.footer(figure, run, "; ".join([_layer_count(found), *_overlaps(run), EXACT]))
    return figure


def describe(analysis: RunAnalysis) -> str:
    """The size of each strategy's image, unpacked and compressed."""
    clauses = [
        f"{name} {text.mebibytes(result.image.unpacked_bytes)} unpacked, "
        f"{text.mebibytes(result.image.compressed_bytes)} compressed"
        for name, result in analysis.run.strategies.items()
        if result.image is not None
    ]
    return f"image sizes, stacked. {listed(clauses)}"


PLOT = Plot("image_size", "Image size", draw, describe)


def _by_layer(axes: Any, run: Run, found: Mapping[str, ImageSize | None], widest: float) -> None:
    shared = len(images.shared_layers(run))
    looks = style.looks(list(run.strategies))
    for place, (name, image) in enumerate(found.items()):
        if image is None:
            axes.annotate(text.MISSING, (0, place), **style.BESIDE)
            continue
        unpacked: list[int | None] = [layer.unpacked_bytes for layer in image.layers]
        compressed = [layer.compressed_bytes for layer in image.layers]
        _layers(axes, place - 0.2, unpacked, image.unpacked_bytes, shared, looks[name], "unpacked")
        _layers(axes, place + 0.2, compressed, image.compressed_bytes, shared, looks[name], "compressed")
    style.name_bars(axes, range(len(found)), list(found), "MiB", widest)
    own = [_own_patch(name, looks[name], shared) for name, image in found.items() if image is not None]
    base = [Patch(facecolor=colours.SHARED, edgecolor=colours.EDGE, label="base shared by all")]
    title = "Image size by layer (less is better)"
    style.head(axes, title, [*(base if shared else []), *own], style.beside(found))


def _by_package(axes: Any, found: Mapping[str, ImageSize | None], widest: float) -> None:
    """The largest packages of all images, in one order, and the rest of each image."""
    most: dict[str, int] = {}
    for one in (one for image in found.values() if image for one in image.directories):
        most[one.path] = max(most.get(one.path, 0), one.unpacked_bytes)
    named = sorted(most, key=lambda path: (-most[path], path))[:MOST_PACKAGES]
    looks = dict(zip(named, style.PARTS, strict=False))
    for place, image in enumerate(found.values()):
        if image is None or not image.directories:
            axes.annotate(text.MISSING, (0, place), **style.BESIDE)
            continue
        sizes = {one.path: one.unpacked_bytes / text.MIB for one in image.directories}
        parts = [style.Part(_short(path), sizes[path], *looks[path]) for path in named if path in sizes]
        rest = image.unpacked_bytes / text.MIB - sum(part.length for part in parts)
        end = style.stack(axes, place, 0.6, [*parts, style.Part(ELSE, max(0.0, rest), *REST)])
        axes.annotate(text.mebibytes(image.unpacked_bytes), (end, place), **style.BESIDE)
    style.name_bars(axes, range(len(found)), list(found), "MiB", widest)
    handles = style.legend_handles(axes, [*map(_short, named), ELSE])
    style.head(axes, "What fills it, unpacked, by package (less is better)", handles, style.beside(found))


def _in_packages(image: ImageSize) -> int:
    return sum(found.unpacked_bytes for found in image.directories)


def _short(path: str) -> str:
    return path.removeprefix("site-packages/")


def _own_patch(name: str, look: style.Look, shared: int) -> Patch:
    label = f"{name}, the rest" if shared else name
    return Patch(facecolor=look.colour, edgecolor=colours.EDGE, hatch=look.hatch, label=label)


def _overlaps(run: Run) -> list[str]:
    """One clause for each image that shares layers, beyond the base, with images named after it."""
    names = [name for name, result in run.strategies.items() if result.image is not None]
    clauses = []
    for place, name in enumerate(names):
        found = images.overlap(run, name)
        later = [other for other in found.others if other in names[place + 1 :]]
        if later:
            clauses.append(
                f"{name} shares {text.mebibytes(found.unpacked_bytes)} of its rest with {', '.join(later)}"
            )
    return clauses


def _layer_count(found: Mapping[str, ImageSize | None]) -> str:
    counts = [f"{name} {len(image.layers)}" for name, image in found.items() if image is not None]
    return "layers: " + ", ".join(counts)


def _layers(
    axes: Any, y: float, sizes: list[int | None], total: int | None, shared: int, look: style.Look, kind: str
) -> None:
    """One bar: its layers if the size of each is known, otherwise its total in one piece."""
    own, base = (look.colour, look.hatch), (colours.SHARED, "")
    parts = [
        style.Part("_", size / text.MIB, *(base if place < shared else own))
        for place, size in enumerate(sizes)
        if size is not None
    ]
    if not parts or len(parts) < len(sizes):
        parts = [style.Part("_", (total or 0) / text.MIB, *own)]
    end = style.stack(axes, y, 0.36, parts)
    said = f"{kind}: {text.MISSING}" if total is None else f"{text.mebibytes(total)} {kind}"
    axes.annotate(said, (end, y), **style.BESIDE)
