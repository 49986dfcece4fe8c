"""A trend as a small picture inside the page: a mark a run, a whisker an interval, a line a fingerprint."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from bench.analysis.trends import Point, joined
from bench.report import text
from bench.statistics import Estimate

WIDTH, HEIGHT = 300, 120
LEFT, RIGHT, TOP, BOTTOM = 40, 8, 14, 22
# outlines around 0, 0: a shape a group, and again from the first when they are used up
SHAPES = (
    "M-4 0A4 4 0 1 0 4 0A4 4 0 1 0 -4 0Z",
    "M-3.6 -3.6H3.6V3.6H-3.6Z",
    "M0 -4.8L4.4 3.4H-4.4Z",
    "M0 -5L5 0L0 5L-5 0Z",
    "M0 4.8L4.4 -3.4H-4.4Z",
)


@dataclass(frozen=True, slots=True)
class Frame:
    """Where values stand in a chart: runs side by side at even distances, figures from 0 upwards."""

    runs: int
    highest: float

    def x(self, place: int) -> float:
        """The distance from the left of the run at this place."""
        return LEFT + (WIDTH - LEFT - RIGHT) * (place + 0.5) / self.runs

    def y(self, value: float) -> float:
        """The distance of a figure from the top."""
        return TOP + (HEIGHT - TOP - BOTTOM) * (1 - value / self.highest)


def letter(group: int) -> str:
    """The name of a group of runs: A to Z, then AA and on."""
    head, tail = divmod(group, 26)
    return (letter(head - 1) if head else "") + chr(ord("A") + tail)


def mark(group: int) -> Markup:
    """A group's mark alone, for a legend."""
    shape = SHAPES[group % len(SHAPES)]
    return Markup(
        '<svg class="shape" width="14" height="14" viewBox="-7 -7 14 14" aria-hidden="true">'
        '<path d="{}"/></svg>'
    ).format(shape)


def chart(points: Sequence[Point], runs: int, title: str) -> Markup:
    """One metric of one strategy and case over `runs` runs; its label says every figure in words.

    There must be a point above 0.
    """
    frame = Frame(runs, max(_top(point.estimate) for point in points))
    groups = joined(points)
    said = f"{title}: {'; '.join(map(describe, points))}."
    return Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">{}{}{}</svg>').format(
        WIDTH,
        HEIGHT,
        said,
        _axes(frame),
        Markup("").join(_line(frame, group) for group in groups if len(group) > 1),
        Markup("").join(_group(frame, group) for group in groups),
    )


def describe(point: Point) -> str:
    """A point in words: its run, its group, its figure."""
    entry = point.entry
    commit = entry.run.environment.get("commit") or "no commit"
    return f"{entry.run.created[:10]} {commit} ({letter(entry.group)}) {text.estimate(point.estimate)}"


def _top(found: Estimate) -> float:
    return found.centre if found.high is None else found.high


def _axes(frame: Frame) -> Markup:
    """A line at 0 and one at the highest end, with their figures."""
    rules = Markup("")
    for value in (0.0, frame.highest):
        y = frame.y(value)
        rules += Markup(
            '<path class="axis" d="M{} {:.1f}H{}"/><text x="{}" y="{:.1f}" class="end">{}</text>'
        ).format(LEFT, y, WIDTH - RIGHT, LEFT - 5, y + 4, text.number(value) if value else "0")
    return rules


def _line(frame: Frame, group: Sequence[Point]) -> Markup:
    way = "L".join(f"{frame.x(point.place):.1f} {frame.y(point.estimate.centre):.1f}" for point in group)
    return Markup('<path class="line" d="M{}"/>').format(way)


def _group(frame: Frame, group: Sequence[Point]) -> Markup:
    """The marks of a group, its letter below the first."""
    first = group[0]
    name = Markup('<text x="{:.1f}" y="{}" class="letter">{}</text>').format(
        frame.x(first.place), HEIGHT - 6, letter(first.entry.group)
    )
    return name + Markup("").join(_mark(frame, point) for point in group)


def _mark(frame: Frame, point: Point) -> Markup:
    """One run: its whisker, its mark, and its figure for a pointer that rests on it."""
    found = point.estimate
    x, y = frame.x(point.place), frame.y(found.centre)
    whisker = Markup("")
    if found.low is not None and found.high is not None:
        whisker = Markup('<path class="whisker" d="M{:.1f} {:.1f}V{:.1f}"/>').format(
            x, frame.y(max(found.low, 0.0)), frame.y(found.high)
        )
    shape = SHAPES[point.entry.group % len(SHAPES)]
    return whisker + Markup(
        '<path class="shape" transform="translate({:.1f} {:.1f})" d="{}"><title>{}</title></path>'
    ).format(x, y, shape, describe(point))
