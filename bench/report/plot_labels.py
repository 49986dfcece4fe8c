"""Labels beside their points, where they cover neither each other nor a point."""

from collections.abc import Sequence
from typing import Any

FONT_POINTS = 9
CHARACTER_POINTS = 0.56 * FONT_POINTS
# where a label may stand from its point, in points of print, the best place first
OFFSETS = tuple(
    (side * across, up, "left" if side > 0 else "right")
    for across, up in ((9, 7), (9, -7), (11, 0), (9, 17), (9, -17), (9, 27), (9, -27), (9, 37), (9, -37))
    for side in (1, -1)
)
CLEAR_POINTS = 6
Box = tuple[float, float, float, float]


def place_labels(axes: Any, points: Sequence[tuple[float, float]], texts: Sequence[str]) -> None:
    """Write a text beside each point; the axes must have their final place and limits."""
    scale = 72 / axes.figure.dpi
    places = [tuple(place) for place in axes.transData.transform(points) * scale]
    frame = tuple(value * scale for value in axes.bbox.extents)
    taken: list[Box] = [
        (x - CLEAR_POINTS, y - CLEAR_POINTS, x + CLEAR_POINTS, y + CLEAR_POINTS) for x, y in places
    ]
    for point, place, label in zip(points, places, texts, strict=True):
        boxes = [_box(place, offset, len(label)) for offset in OFFSETS]
        costs = [_cost(box, taken, frame) for box in boxes]
        best = costs.index(min(costs))
        across, up, side = OFFSETS[best]
        taken.append(boxes[best])
        axes.annotate(
            label,
            point,
            xytext=(across, up),
            textcoords="offset points",
            ha=side,
            va="center",
            fontsize=FONT_POINTS,
        )


def _box(place: tuple[float, ...], offset: tuple[int, int, str], characters: int) -> Box:
    across, up, side = offset
    width = characters * CHARACTER_POINTS
    left = place[0] + across - (width if side == "right" else 0)
    middle = place[1] + up
    return left, middle - 0.6 * FONT_POINTS, left + width, middle + 0.6 * FONT_POINTS


def _cost(box: Box, taken: Sequence[Box], frame: Sequence[float]) -> float:
    """How much of a label would be covered or cut off, in square points."""
    covered = sum(
        max(0.0, min(box[2], other[2]) - max(box[0], other[0]))
        * max(0.0, min(box[3], other[3]) - max(box[1], other[1]))
        for other in taken
    )
    inside = max(0.0, min(box[2], frame[2]) - max(box[0], frame[0])) * max(
        0.0, min(box[3], frame[3]) - max(box[1], frame[1])
    )
    return covered + (box[2] - box[0]) * (box[3] - box[1]) - inside
