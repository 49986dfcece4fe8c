"""Stacked bars: the layers of an image."""

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure
from matplotlib.patches import Patch

from bench.model import ImageSize, Run
from bench.report import images, style, text
from bench.report.material import Material

WIDTH = 8.0


def image_size(material: Material) -> Figure | None:
    """Compressed beside unpacked, stacked by layer: what all images share, then each image's own layers."""
    run = material.run
    known = {name: result.image for name, result in run.strategies.items() if result.image is not None}
    if not known:
        return None
    shared = len(images.shared_layers(run))
    looks = style.looks(list(run.strategies))
    figure, (axes,) = style.new_figure(WIDTH, 1.9 + 0.95 * len(known))
    for place, (name, image) in enumerate(known.items()):
        unpacked: list[int | None] = [layer.unpacked_bytes for layer in image.layers]
        compressed = [layer.compressed_bytes for layer in image.layers]
        _layers(axes, place - 0.2, unpacked, image.unpacked_bytes, shared, looks[name], "unpacked")
        _layers(axes, place + 0.2, compressed, image.compressed_bytes, shared, looks[name], "compressed")
    axes.set_yticks(range(len(known)), list(known))
    axes.invert_yaxis()
    axes.set_xlabel("MiB")
    widest = max(image.unpacked_bytes for image in known.values()) / text.MIB
    axes.set_xlim(0, 1.02 * widest)
    axes.grid(visible=False, axis="y")
    own = [_own_patch(name, looks[name]) for name in known]
    base = [Patch(facecolor=style.SHARED, edgecolor=style.INK, label="base shared by all")]
    style.head(axes, "Image size (less is better)", WIDTH - 1, [*(base if shared else []), *own])
    facts = f"{_layer_count(known)}; each segment is a layer; sizes are exact, not sampled"
    style.footer(figure, run, "; ".join([facts, *_overlaps(run, list(known))]))
    return figure


def _own_patch(name: str, look: style.Look) -> Patch:
    return Patch(facecolor=look.colour, edgecolor=style.INK, hatch=look.hatch, label=f"{name}, the rest")


def _overlaps(run: Run, names: list[str]) -> list[str]:
    """One clause for each image that shares layers, beyond the base, with images named after it."""
    clauses = []
    for place, name in enumerate(names):
        found = images.overlap(run, name)
        later = [other for other in found.others if other in names[place + 1 :]]
        if later:
            clauses.append(
                f"{name} shares {text.mebibytes(found.unpacked_bytes)} of its rest with {', '.join(later)}"
            )
    return clauses


def _layer_count(known: Mapping[str, ImageSize]) -> str:
    return "layers: " + ", ".join(f"{name} {len(image.layers)}" for name, image in known.items())


def _layers(
    axes: Any, y: float, sizes: list[int | None], total: int | None, shared: int, look: style.Look, kind: str
) -> None:
    """One bar: its layers where each one's size is known, else its total in one piece."""
    whole = [size for size in sizes if size is not None]
    segments: list[tuple[float, bool]] = [(total or 0, False)]
    if len(whole) == len(sizes) and whole:
        segments = [(size, place < shared) for place, size in enumerate(whole)]
    left = 0.0
    for size, is_shared in segments:
        axes.barh(
            y,
            size / text.MIB,
            0.36,
            left=left,
            color=style.SHARED if is_shared else look.colour,
            hatch="" if is_shared else look.hatch,
            edgecolor=style.INK,
            linewidth=0.6,
        )
        left += size / text.MIB
    note = {"xytext": (5, 0), "textcoords": "offset points", "va": "center", "fontsize": 9}
    axes.annotate(
        f"{text.mebibytes(total)} {kind}" if total is not None else f"{kind}: n/a", (left, y), **note
    )
