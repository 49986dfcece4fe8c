"""Labels beside their points, placed so that they cover neither each other nor a point nor a line."""

from collections.abc import Sequence
from itertools import pairwise
from math import hypot
from typing import Any

from bench.report.plots import colours

FONT_POINTS = 9
CHARACTER_POINTS = 0.58 * FONT_POINTS
# where a label may stand from its point, in points of print, the best place first
OFFSETS = tuple(
    (side * across, up, "left" if side > 0 else "right")
    for across, up in (
        (9, 8),
        (9, -8),
        (11, 0),
        *((9, sign * up) for up in range(18, 69, 10) for sign in (1, -1)),
    )
    for side in (1, -1)
)
CLEAR_POINTS = 6
LINE_POINTS = 1.5
# a label that is cut off cannot be read at all
CUT_OFF = 4
# a line through a label is worse than a label that is farther away
CROSSED = 500.0
# a label that is not clearly nearer to its own point seems to be another's: as bad as a covered label
NEARER, MISREAD = 1.5, 500.0
# a label that is farther away than this is tied to its point
TIED_POINTS = 13
Place = Sequence[float]
Box = tuple[float, float, float, float]


def place_labels(
    axes: Any, points: Sequence[Place], texts: Sequence[str], line: Sequence[Place] = ()
) -> None:
    """Write a text beside each point, off the line; the axes must have their final place and limits."""
    scale = 72 / axes.figure.dpi
    places = [(float(x), float(y)) for x, y in axes.transData.transform(points) * scale]
    frame: Box = tuple(value * scale for value in axes.bbox.extents)
    taken: list[Box] = [_around(place, place, CLEAR_POINTS) for place in places]
    lines = (
        [_around(*ends, LINE_POINTS) for ends in pairwise(axes.transData.transform(line) * scale)]
        if line
        else []
    )
    for number, (point, place, label) in enumerate(zip(points, places, texts, strict=True)):
        others = places[:number] + places[number + 1 :]
        boxes = [_box(place, offset, len(label)) for offset in OFFSETS]
        costs = [
            _cost(box, taken, frame) + CROSSED * _crossed(box, lines) + _misread(box, place, others)
            for box in boxes
        ]
        best = costs.index(min(costs))
        taken.append(boxes[best])
        _write(axes, label, point, OFFSETS[best], tied=_distance(boxes[best], place) > TIED_POINTS)


def _write(axes: Any, label: str, point: Place, offset: tuple[int, int, str], *, tied: bool) -> None:
    across, up, side = offset
    tie = {"arrowstyle": "-", "color": colours.PALE, "linewidth": 0.7, "shrinkA": 0, "shrinkB": 5}
    axes.annotate(
        label,
        point,
        xytext=(across, up),
        textcoords="offset points",
        ha=side,
        va="center",
        fontsize=FONT_POINTS,
        arrowprops={**tie, "relpos": (0 if side == "left" else 1, 0.5)} if tied else None,
    )


def _around(one: Place, other: Place, clear: float) -> Box:
    (left, right), (low, high) = sorted((one[0], other[0])), sorted((one[1], other[1]))
    return left - clear, low - clear, right + clear, high + clear


def _box(place: Place, offset: tuple[int, int, str], characters: int) -> Box:
    across, up, side = offset
    width = characters * CHARACTER_POINTS
    left = place[0] + across - (width if side == "right" else 0)
    middle = place[1] + up
    return left, middle - 0.6 * FONT_POINTS, left + width, middle + 0.6 * FONT_POINTS


def _cost(box: Box, taken: Sequence[Box], frame: Box) -> float:
    """How much of a label would be covered or cut off, in square points."""
    covered = sum(_common(box, other) for other in taken)
    return covered + CUT_OFF * ((box[2] - box[0]) * (box[3] - box[1]) - _common(box, frame))


def _crossed(box: Box, lines: Sequence[Box]) -> int:
    """How many parts of the line go through a label."""
    return sum(_common(box, one) > 0 for one in lines)


def _common(one: Box, other: Box) -> float:
    across = min(one[2], other[2]) - max(one[0], other[0])
    up = min(one[3], other[3]) - max(one[1], other[1])
    return max(0.0, across) * max(0.0, up)


def _misread(box: Box, own: Place, others: Sequence[Place]) -> float:
    nearest = NEARER * _distance(box, own)
    return MISREAD * sum(_distance(box, other) < nearest for other in others)


def _distance(box: Box, place: Place) -> float:
    """From a point to the nearest point of a box."""
    across = max(box[0] - place[0], 0.0, place[0] - box[2])
    up = max(box[1] - place[1], 0.0, place[1] - box[3])
    return hypot(across, up)
