"""Stacked bars: the phases of a start, and the layers of an image."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from bench.model import ImageSize, Run, Startup
from bench.report import images, style, text
from bench.report.summary import Summary
from bench.statistics import median

WIDTH = 8.0
LAST_PHASE = text.phase_name("first_correct_answer")


def startup(run: Run, _summary: Summary, _folder: Path) -> Figure | None:
    """From the create call to the first correct answer: medians of the phases, each start a point."""
    known = {
        name: result.startup
        for name, result in run.strategies.items()
        if result.startup and result.startup.first_correct_answer_s
    }
    if not known:
        return None
    figure, (axes,) = style.new_figure(WIDTH, 1.9 + 0.75 * len(known))
    stacks = {name: phase_lengths_s(found) for name, found in known.items()}
    phases = list(dict.fromkeys(phase for stack in stacks.values() for phase in stack))
    marks = style.looks(list(run.strategies))
    for place, (name, found) in enumerate(known.items()):
        _stack_of_phases(axes, place, stacks[name], phases)
        _starts(axes, place, found, marks[name].marker)
    axes.set_yticks(range(len(known)), list(known))
    axes.invert_yaxis()
    axes.set_xlabel("seconds since the create call")
    axes.margins(x=0.04)
    axes.set_xlim(left=0)
    axes.grid(visible=False, axis="y")
    style.head(axes, "Start to the first correct answer (less is better)", WIDTH - 1)
    n = sorted({len(found.first_correct_answer_s) for found in known.values()})
    style.footer(
        figure,
        run,
        f"n = {' or '.join(map(str, n))} fresh starts; stacked: median ends of the phases; "
        "line: median total (95% interval by order statistics, from 6 starts); points: starts",
    )
    return figure


def phase_lengths_s(found: Startup) -> dict[str, float]:
    """How long each phase took, from the medians of the moments at which they ended, in order of time."""
    total = median(found.first_correct_answer_s)
    moments = {phase: median(values) for phase, values in found.phases.items()}
    ends = sorted((end.centre, text.phase_name(phase)) for phase, end in moments.items() if end is not None)
    lengths: dict[str, float] = {}
    before = 0.0
    for end, phase in [*ends, (total.centre if total else 0.0, LAST_PHASE)]:
        if end > before:
            lengths[phase] = lengths.get(phase, 0.0) + end - before
            before = end
    return lengths


def _stack_of_phases(axes: Any, place: int, stack: Mapping[str, float], phases: list[str]) -> None:
    left = 0.0
    for phase, length in stack.items():
        number = phases.index(phase)
        colour, hatch = style.PHASES[number % len(style.PHASES)]
        label = f"to {phase}"
        if label in axes.get_legend_handles_labels()[1]:
            label = ""
        axes.barh(
            place,
            length,
            0.56,
            left=left,
            color=colour,
            hatch=hatch,
            edgecolor=style.INK,
            linewidth=0.6,
            label=label,
        )
        left += length


def _starts(axes: Any, place: int, found: Startup, marker: str) -> None:
    totals = sorted(found.first_correct_answer_s)
    total = median(totals)
    offsets = np.linspace(-0.2, 0.2, len(totals)) if len(totals) > 1 else np.zeros(1)
    axes.scatter(
        totals,
        place + offsets,
        s=16,
        marker=marker,
        facecolor="white",
        edgecolor=style.INK,
        linewidth=0.8,
        zorder=3,
    )
    if total is not None:
        axes.plot([total.centre] * 2, [place - 0.34, place + 0.34], color=style.INK, linewidth=2.2)
        note = {"xytext": (8, 0), "textcoords": "offset points", "va": "center", "fontsize": 9}
        axes.annotate(f"{text.estimate(total)} s", (totals[-1], place), **note)


def image_size(run: Run, _summary: Summary, _folder: Path) -> Figure | None:
    """Compressed beside unpacked, stacked by layer: what all images share, then each image's own layers."""
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
